/** What a source's rows become with a shape and a map, by a sample of its first file. */
import { closeSync, openSync, readSync, rmSync, statSync, writeFileSync } from "node:fs";
import { ownColumns, shapeTexts, familyOf, rolesOf } from "../../core/dataset";
import { formatOfName } from "../../core/dataset/formats";
import { parseRecipe, recipeError, type SourceSpec } from "../../core/recipe";
import type { CorpusApi, SourceMapping } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { isCancelled } from "../duckdb/failure";
import { Database, type Session, type Value } from "../duckdb/session";
import { ident } from "../duckdb/sql";
import { sourceFiles } from "./load";
import { jsonPath, normalSql } from "./normalize";
import { readFile, type RawTable } from "./read";
import { fileVersion } from "./scan";
import { columnHolds, detectRaw, resolveShape } from "./shape";
import { temporaryFile } from "./unpack";

/** Rows that are looked at, and bytes of a plain file of lines that they are taken from. */
const sampleRows = 1000;
const sampleBytes = 16 * 1024 ** 2;
/** What is shown: columns, values of each, rows, characters. */
const shown = { columns: 200, values: 3, among: 50, rows: 20, characters: 240 };

interface Sample {
  key: string;
  database: Database;
  raw: RawTable;
  file: string;
  files: number;
  rows: number;
  whole: boolean;
}

/** Keeps the sample of the source that was looked at last, so that another mapping of it reads no file again. */
export class SourceSamples {
  private last: Sample | undefined;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(private readonly extensionPath?: string) {}

  /** One at a time: a sample is replaced by the next one's. */
  async mapping(params: Parameters<CorpusApi["mapping"]>[0], signal?: AbortSignal): Promise<SourceMapping> {
    const turn = this.queue.then(async () => {
      const { recipe, problems } = parseRecipe(params.text, params.path);
      if (!recipe) throw recipeError(problems, params.path);
      const source = recipe.sources.find((candidate) => candidate.name === params.source);
      if (!source) throw TillageError.user("no_source", `The recipe has no source '${params.source}'.`, "Look at the recipe's sources again: it was changed.", { file: params.path });
      const sample = await this.sample(source, params.path, signal);
      return sample.database.session(signal, (session) => look(session, sample, params));
    });
    this.queue = turn.catch(() => undefined);
    return turn;
  }

  private async sample(source: SourceSpec, recipePath: string, signal: AbortSignal | undefined): Promise<Sample> {
    const database = await Database.open(this.extensionPath);
    const known = this.last;
    try {
      const sample = await database.session(signal, async (session): Promise<Sample> => {
        const files = await sourceFiles(session, source, recipePath);
        const [file = ""] = files;
        const { size, mtimeMs } = fileVersion(file);
        const key = JSON.stringify([files, size, mtimeMs, source.rows ?? null]);
        return known?.key === key ? known : { key, database, file, files: files.length, ...(await readSample(session, file, source)) };
      });
      (sample === known ? database : known?.database)?.close();
      this.last = sample;
      return sample;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  dispose(): void {
    void this.queue.then(() => {
      this.last?.database.close();
      this.last = undefined;
    });
  }
}

/** The first rows of a file, in the table `sample`. */
async function readSample(session: Session, file: string, source: SourceSpec): Promise<Pick<Sample, "raw" | "rows" | "whole">> {
  const head = headOf(file, source);
  try {
    const raw = await readFile(session, head ?? file, "raw", { rows: source.rows });
    await session.run(`CREATE TABLE sample AS SELECT * FROM raw LIMIT ${sampleRows}`);
    const { rows } = await session.one<{ rows: number }>("SELECT count(*) AS rows FROM sample");
    const more = await session.one<{ more: boolean }>(`SELECT count(*) > ${sampleRows} AS more FROM (SELECT 1 FROM raw LIMIT ${sampleRows + 1})`);
    // A head may end in the middle of a record of several lines, which is then no bad row.
    return { raw: { ...raw, table: "sample", badRows: head === undefined ? raw.badRows : 0 }, rows, whole: head === undefined && !more.more };
  } finally {
    if (head !== undefined) rmSync(head, { force: true });
  }
}

/** The beginning of a large plain file of lines, up to a line's end, as a file of its own; undefined where the file is read itself. */
function headOf(file: string, source: SourceSpec): string | undefined {
  const known = formatOfName(file);
  const lines = known?.compression === undefined && (known?.format === "jsonl" || known?.format === "csv" || (known?.format === "text" && source.rows !== undefined && source.rows !== "file"));
  if (!known || !lines || statSync(file).size <= sampleBytes) return undefined;
  const buffer = Buffer.alloc(sampleBytes);
  const from = openSync(file, "r");
  let length: number;
  try {
    length = readSync(from, buffer, 0, sampleBytes, 0);
  } finally {
    closeSync(from);
  }
  const end = buffer.lastIndexOf(10, length - 1) + 1;
  // One line that is longer than the sample: only the whole file has it.
  if (end === 0) return undefined;
  const head = temporaryFile(known.extension);
  writeFileSync(head, buffer.subarray(0, end), { flag: "wx", mode: 0o600 });
  return head;
}

async function look(session: Session, { raw, file, files, rows, whole }: Sample, { as, map, path: recipe }: Parameters<CorpusApi["mapping"]>[0]): Promise<SourceMapping> {
  const { own: _own, ...detection } = await detectRaw(session, raw);
  const base = { file, files, whole, detection, ...(await columnsOf(session, raw)) };
  try {
    const { columns } = await resolveShape(session, file, raw, as ?? undefined, map, { file: recipe });
    const sql = normalSql(raw, columns);
    const values = ownColumns.filter((column) => column !== "text" && sql.own[column] !== undefined && (shapeTexts[columns.shape] as readonly string[]).concat("prompt").includes(column)).map((column): [string, string] => [column, sql.own[column] ?? "NULL"]);
    if (values.length === 0) values.push(["text", sql.text]);
    for (const [name, expression] of Object.entries(sql.extra ?? {})) values.push([name, `(${expression})`]);
    const read = await session.lists(`SELECT _tillage_row, ${sql.fault} AS fault, ${values.map(([, expression]) => `left((${expression})::VARCHAR, ${shown.characters})`).join(", ")} FROM sample ORDER BY _tillage_row LIMIT ${shown.rows}`);
    const { bad } = await session.one<{ bad: number }>(`SELECT count(*) FILTER ((${sql.fault}) IS NOT NULL) AS bad FROM sample`);
    return {
      ...base, read: { shape: familyOf(columns.shape), columns: rolesOf(columns) }, problem: null, sampled: rows + raw.badRows, bad: bad + raw.badRows,
      rows: read.map(([row, fault, ...cells]) => ({ row: Number(row), fault: textOrNull(fault), values: Object.fromEntries(values.map(([name], i) => [name, textOrNull(cells[i])])) })),
    };
  } catch (error) {
    if (isCancelled(error) || !(error instanceof TillageError) || error.problem.blame !== "user") throw error;
    return { ...base, read: null, problem: error.problem, rows: [], sampled: rows + raw.badRows, bad: raw.badRows };
  }
}

function textOrNull(value: Value | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}

/** The file's columns with the first values that each has. */
async function columnsOf(session: Session, raw: RawTable): Promise<Pick<SourceMapping, "columns" | "columnsLeft">> {
  const columns = raw.columns.slice(0, shown.columns);
  const holds = await columnHolds(session, raw, columns.map((column) => column.name));
  const texts = columns.map(({ name }) => `left(${raw.json ? `json_extract_string(_tillage_json, ${jsonPath(name)})` : `${ident(name)}::VARCHAR`}, ${shown.characters})`);
  const rows = await session.lists(`SELECT ${texts.join(", ")} FROM sample ORDER BY _tillage_row LIMIT ${shown.among}`);
  return {
    columns: columns.map(({ name, type }, i) => ({ name, type, holds: holds(name), examples: [...new Set(rows.map((row) => textOrNull(row[i])).filter((value) => value !== null && value !== ""))].slice(0, shown.values) as string[] })),
    columnsLeft: raw.columns.length - columns.length,
  };
}
