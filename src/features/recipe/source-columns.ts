import type * as vscode from "vscode";
import type { CorpusApi } from "../../protocol/corpus";
import { sourceFiles } from "./source-files";

export interface ColumnItem {
  name: string;
  detail: string;
  documentation: string;
  /** A column of few values, by which rows can be grouped. */
  groupable?: boolean;
}

/** What every predicate can name besides the file's own columns. */
const DERIVED: readonly ColumnItem[] = [
  { name: "text", detail: "VARCHAR · every row", documentation: "The whole text of a row, whatever its shape." },
  { name: "chars", detail: "BIGINT · derived", documentation: "Characters of the text." },
  { name: "words", detail: "BIGINT · derived", documentation: "Words of the text." },
  { name: "language", detail: "VARCHAR · derived", documentation: "ISO 639-1 code of the detected language." },
  { name: "quality", detail: "VARCHAR · derived", documentation: "`ok`, or the first Gopher rule that the text fails." },
  { name: "pii", detail: "VARCHAR · derived", documentation: "`none`, or the kinds of personal data found, such as `email, phone`." },
  { name: "_source", detail: "VARCHAR · every row", documentation: "Name of the source in this recipe." },
];

/** The columns that a predicate of a recipe can name; a file is read once for each of its versions on disk. */
export class SourceColumns {
  private readonly known = new Map<string, Promise<ColumnItem[]>>();

  constructor(private readonly corpus: CorpusApi) {}

  async of(document: vscode.TextDocument): Promise<ColumnItem[]> {
    const files = await sourceFiles(document);
    const firsts = new Map<string, string>();
    for (const file of files) if (!firsts.has(file.source)) firsts.set(file.source, file.path);
    const lists = await Promise.all([...firsts].map(([source, file]) => this.columns(source, file)));
    const items = new Map<string, ColumnItem>();
    for (const item of [...lists.flat(), ...DERIVED]) {
      const old = items.get(item.name);
      items.set(item.name, old && old.detail !== item.detail && !DERIVED.includes(item) ? { ...old, detail: `${old.detail}; ${item.detail}` } : (old ?? item));
    }
    return [...items.values()];
  }

  private async columns(source: string, file: string): Promise<ColumnItem[]> {
    const key = `${source}\n${file}`;
    const known = this.known.get(key);
    if (known) return known;
    const read = this.read(source, file);
    this.known.set(key, read);
    try {
      return await read;
    } catch {
      // A file that cannot be opened has its own diagnostic; completion goes on without its columns.
      this.known.delete(key);
      return [];
    }
  }

  private async read(source: string, file: string): Promise<ColumnItem[]> {
    const opened = await this.corpus.open({ path: file });
    await this.corpus.close({ handle: opened.handle });
    return opened.columns
      .filter((column) => !column.derived)
      .map((column) => ({ name: column.name, detail: `${column.type} · ${source}`, documentation: `Column of ${file}.`, groupable: column.kind === "category" || column.kind === "boolean" }));
  }
}
