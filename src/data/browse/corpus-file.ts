import type { Column, ColumnKind, OpenResult } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { derivedColumns, derivedSql } from "../derived";
import { Database, type Session } from "../duckdb/session";
import { ident } from "../duckdb/sql";
import { rolesOf } from "../../core/dataset";
import { normalSql } from "../sources/normalize";
import { isNested } from "../sources/read";
import { importFile, versionOf, type Imported } from "./import";
import { filesOf, folderVersion, importFolder, isFolder } from "./import-folder";
import { fileColumn, Rows } from "./rows";

/** Rows from which the kind of a column is told. */
const sampleRows = 5000;
/** A text column is a category with at most so many different values, none of them long on average. */
const categoryValues = 1000;
const categoryLength = 64;
/** Columns of a file that are counted in facets. */
const mostFacets = 100;
/** For how long files that were looked at count as unchanged where they are many, ms. */
const looked = 1000;
const manyFiles = 32;

/** Memory for an open corpus: a page and a scan need little, and several may be open. */
export const browseMemory = "300MB";

/** An open file or folder: what its columns are, and its rows as SQL. */
export class CorpusFile {
  readonly columns: Column[];
  readonly rows: Rows;
  /** A row's whole text as SQL over its columns. */
  readonly text: string;
  private lookedAt = 0;

  private constructor(
    readonly path: string,
    readonly handle: string,
    readonly database: Database,
    readonly imported: Imported,
    kinds: ReadonlyMap<string, ColumnKind>,
  ) {
    const own = imported.columns.map((column): Column => ({ ...column, kind: kinds.get(column.name) ?? "text", derived: false }));
    const taken = new Set(own.map((column) => column.name));
    const several = imported.names !== undefined && !taken.has(fileColumn);
    this.rows = new Rows(imported.parts, imported.columns, several ? imported.names : undefined);
    const files: Column[] = several ? [{ name: fileColumn, type: "VARCHAR", kind: "category", derived: true }] : [];
    this.columns = [...own, ...files, ...derivedColumns.filter((column) => !taken.has(column.name)).map((column): Column => ({ ...column, derived: true }))];
    this.text = wholeText(imported);
  }

  static async open(path: string, handle: string, extensionPath: string | undefined, signal?: AbortSignal): Promise<CorpusFile> {
    const imported = await (isFolder(path) ? importFolder : importFile)(path, extensionPath, signal);
    const database = await Database.open(extensionPath, { memory: browseMemory });
    try {
      return await database.session(signal, async (session) => {
        const kinds = await columnKinds(session, imported);
        const file = new CorpusFile(path, handle, database, imported, kinds);
        // A page reads a few rows of a file whose footer takes as long to read.
        await session.run("SET parquet_metadata_cache = true");
        // What a predicate sees. It is never read as a whole: rows are read by their place.
        await session.run(`CREATE VIEW seen AS ${file.computed(0, 0)}`);
        await database.lock(imported.parts.map((part) => part.rowsFile), [imported.folder]);
        return file;
      });
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** The derived columns with their SQL, without those that the file has itself. */
  derived(): [string, string][] {
    const names = new Set(this.columns.filter((column) => column.derived).map((column) => column.name));
    return Object.entries(derivedSql(this.text)).filter(([name]) => names.has(name));
  }

  /** The rows from `from` to `to` with `text` and the derived columns, which are computed where they are asked for, as a query. */
  computed(from: number, to: number): string {
    return this.withDerived(this.rows.range(from, to));
  }

  /** The same of the rows at these positions. */
  computedAt(positions: readonly number[]): string {
    return this.withDerived(this.rows.at(positions));
  }

  /** Rows, given as a query, with `text` and the derived columns. */
  withDerived(rows: string): string {
    const text = this.has("text") ? [] : [`${this.text} AS text`];
    return `SELECT *, ${[...text, ...this.derived().map(([name, sql]) => `${sql} AS ${ident(name)}`)].join(", ")} FROM (${rows})`;
  }

  has(column: string): boolean {
    return this.imported.columns.some((candidate) => candidate.name === column);
  }

  column(name: string): Column {
    const found = this.columns.find((column) => column.name === name);
    if (found) return found;
    throw TillageError.user("unknown_column", `There is no column '${name}'.`, `The columns are ${this.columns.map((column) => column.name).join(", ")}.`, { file: this.path });
  }

  /** Columns that are kept beside the file and counted: all but long texts and nested values, and of very many the first. */
  get small(): Column[] {
    const small = this.columns.filter((column) => column.kind !== "text" && column.kind !== "nested");
    return [...small.filter((column) => !column.derived).slice(0, mostFacets), ...small.filter((column) => column.derived)];
  }

  result(): OpenResult {
    const { format, rows, bytes, bad, badRows, version, parts, names } = this.imported;
    const { own: _own, ...detection } = this.imported.detected;
    return { handle: this.handle, path: this.path, format, shape: detection.shape, detection, columns: this.columns, rows, bytes, bad, badRows, version, ...(names === undefined ? {} : { files: parts.length }) };
  }

  /** Throws when the file is no longer what was opened: positions and counts would be of another file. */
  assertUnchanged(): void {
    const { parts, version, names } = this.imported;
    if (parts.length > manyFiles && Date.now() - this.lookedAt < looked) return;
    const now = names === undefined ? versionOf(this.path) : folderVersion(filesOf(this.path));
    this.lookedAt = Date.now();
    if (now === version) return;
    throw TillageError.user("file_changed", `${this.path} was changed since it was opened.`, "Open it again to see it as it is now.", { file: this.path });
  }
}

/** A row's whole text: the shape's, or all of its texts one below the other. A dataset of several shapes has a `text` for every row. */
function wholeText(imported: Imported): string {
  const { own } = imported.detected;
  if (own) {
    const text = normalSql({ table: "file", columns: imported.columns, json: false, bad: [], badRows: 0 }, own).text;
    return own.shape !== "text" && imported.columns.some((column) => column.name === "text" && column.type === "VARCHAR") ? `coalesce(${text}, "text")` : text;
  }
  const texts = imported.columns.filter((column) => column.type === "VARCHAR").map((column) => ident(column.name));
  return texts.length > 0 ? `concat_ws(chr(10), ${texts.join(", ")})` : "''";
}

const numeric = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL.*)$/;

async function columnKinds(session: Session, imported: Imported): Promise<Map<string, ColumnKind>> {
  const kinds = new Map<string, ColumnKind>();
  const { own } = imported.detected;
  const { label: _label, ...roles } = own ? rolesOf(own) : {};
  const texts = new Set<string>(Object.values(roles));
  const open = imported.columns.filter(({ name, type }) => {
    const kind: ColumnKind | undefined = numeric.test(type) ? "number" : type === "BOOLEAN" ? "boolean" : type === "JSON" || isNested(type) ? "nested" : texts.has(name) ? "text" : undefined;
    if (kind) kinds.set(name, kind);
    return kind === undefined;
  });
  if (open.length === 0) return kinds;
  const rows = new Rows(imported.parts, imported.columns);
  const measures = open.flatMap(({ name }, i) => [`approx_count_distinct(${ident(name)}) AS d${i}`, `avg(length(${ident(name)}::VARCHAR)) AS l${i}`]);
  const measured = await session.one(`SELECT ${measures.join(", ")} FROM (${rows.range(0, Math.min(sampleRows, rows.count))})`);
  open.forEach(({ name }, i) => kinds.set(name, Number(measured[`d${i}`]) <= categoryValues && Number(measured[`l${i}`] ?? 0) <= categoryLength ? "category" : "text"));
  return kinds;
}
