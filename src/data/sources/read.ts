import { rmSync, writeFileSync } from "node:fs";
import { defaultTextRows, formatOfName, formatsSentence, type Format, type TextRows } from "../../core/dataset/formats";
import type { BadRow } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { isCancelled } from "../duckdb/failure";
import type { Session } from "../duckdb/session";
import { ident, literal, parquet, plainPath } from "../duckdb/sql";
import { scanCsv } from "./csv";
import { jsonElements, jsonLayout } from "./json";
import { lineFault, maxDepth, maxLineBytes, readLines, refuseWideEncodings } from "./lines";
import { jsonPath } from "./normalize";
import { fileVersion, sanitizeLines, scanLines } from "./scan";
import { readText } from "./text";
import { temporaryFile, withPlain } from "./unpack";

export type { Format } from "../../core/dataset/formats";

/** Bad rows that are listed; all are counted. */
export const maxListedBad = 1000;

export interface RawColumn {
  name: string;
  type: string;
}

/** Fields of a struct that is taken apart at once. */
const structFields = 256;

/** A file and what of it is read: itself, or its unpacked copy. */
export interface SourceFile {
  file: string;
  plain: string;
}

export interface ReadOptions {
  /** What a text file is cut into. */
  rows?: TextRows;
}

/**
 * A file as a table or view: `_tillage_row` and the file's columns, nested ones as JSON. `_tillage_row` is 0-based: the line on which the row begins
 * (JSONL, CSV, text), the element (JSON), the row (Parquet).
 */
export interface RawTable {
  table: string;
  columns: RawColumn[];
  /** The whole JSON object of each row stands in `_tillage_json` (JSON only). */
  json: boolean;
  /** False where the types are guesses from the values (CSV): any column may be taken as text. */
  typed?: boolean;
  /** The 0-based line of a `_tillage_row`, where that is another number. */
  lineOf?: (fileRow: number) => number;
  bad: BadRow[];
  badRows: number;
}

/** The format that a file's name speaks of. */
export function formatOf(file: string): Format {
  const found = formatOfName(file);
  if (found) return found.format;
  const hint = /\.arrow$/iu.test(file) ? " Arrow is read in Python: datasets.Dataset.from_file(FILE).to_parquet(NEW)." : "";
  throw TillageError.user("unknown_format", `${file} is of no format that Tillage reads.`, `Use ${formatsSentence}.${hint}`, { file });
}

/** Reads a file into the table given. Broken rows are kept out and listed; a file of which nothing can be read is an error. */
export async function readFile(session: Session, file: string, table: string, options: ReadOptions = {}): Promise<RawTable> {
  const empty = () => TillageError.user("empty_file", `${file} is empty.`, "Take it out of the sources, or write rows into it.", { file });
  if (fileVersion(file).size === 0) throw empty();
  const format = formatOf(file);
  if (format === "parquet") return readParquet(session, file, table);
  const { compression, extension } = formatOfName(file) ?? { extension: "" };
  return withPlain(file, compression, session.signal, async (plain) => {
    if (fileVersion(plain).size === 0) throw empty();
    refuseWideEncodings(plain, file);
    const source = { file, plain };
    if (format === "csv") return readCsv(session, source, table, extension === "tsv");
    if (format === "text") return readText(session, source, table, options.rows ?? defaultTextRows.recipe);
    return format === "json" ? readJson(session, source, table) : readJsonl(session, source, table);
  });
}

async function describe(session: Session, from: string): Promise<RawColumn[]> {
  const rows = await session.rows<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${from}`);
  return rows.map((row) => ({ name: row.column_name, type: row.column_type }));
}

/** Whether a DuckDB type is made of parts (lists, structs, maps). */
export function isNested(type: string): boolean {
  return /\[\d*\]$|^STRUCT|^MAP|^UNION|^VARIANT/.test(type);
}

async function readParquet(session: Session, file: string, table: string): Promise<RawTable> {
  const from = parquet([file], "file_row_number = true");
  try {
    const columns = (await describe(session, from)).filter((column) => column.name !== "file_row_number");
    const select = columns.map((column) => (isNested(column.type) ? `to_json(${ident(column.name)}) AS ${ident(column.name)}` : ident(column.name)));
    await session.run(`CREATE VIEW ${ident(table)} AS SELECT file_row_number AS _tillage_row, ${select.join(", ")} FROM ${from}`);
    return { table, columns: columns.map((column) => ({ ...column, type: isNested(column.type) ? "JSON" : column.type })), json: false, bad: [], badRows: 0 };
  } catch (error) {
    throw parquetFault(error, file);
  }
}

/** A Parquet file that DuckDB refuses, as an error that names the file. */
export function parquetFault(error: unknown, file: string): unknown {
  if (isCancelled(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (!/magic bytes|too small|footer|thrift|TProtocol|TType|parquet|corrupt|snappy|zstd|read \d+ bytes|not enough/i.test(message)) return error;
  const reason = message.replace(/^DuckDB refused a query: /, "").split("\n")[0] ?? "";
  return TillageError.user("broken_parquet", `${file} is not a whole Parquet file: it was cut short, or it is no Parquet. (${reason})`, "Copy or download it again.", { file });
}

async function readCsv(session: Session, { file, plain }: SourceFile, table: string, tabs: boolean): Promise<RawTable> {
  const copy = temporaryFile("csv");
  try {
    const scan = await scanCsv(plain, undefined, tabs, session.signal);
    // Broken records are taken out before DuckDB sees the file: its own guesses at a dialect depend on them.
    if (scan.bad.length > 0) await scanCsv(plain, copy, tabs, session.signal);
    const from = scan.bad.length > 0 ? copy : plain;
    const options = ["header = true", "sample_size = -1", `delim = ${literal(scan.delimiter)}`, "quote = '\"'", "escape = '\"'", "hive_partitioning = false", `max_line_size = ${maxLineBytes + 1024}`, `buffer_size = ${4 * maxLineBytes}`];
    if (scan.records > 0) await session.run(`CREATE TABLE ${ident(table)} AS SELECT row_number() OVER () - 1 AS _tillage_row, * FROM read_csv(${literal(plainPath(from))}, ${options.join(", ")})`);
    const bad = scan.bad.slice(0, maxListedBad).map(({ line, reason }): BadRow => ({ file, line: line + 1, reason }));
    if (scan.records === 0) throw TillageError.user("no_rows", `${file} has no row that can be read${bad[0] ? `: ${bad[0].reason}` : ""}.`, "The first line should name the columns, and every line have as many fields.", { file, line: bad[0]?.line ?? 1 });
    const { n } = await session.one<{ n: number }>(`SELECT count(*) AS n FROM ${ident(table)}`);
    if (n !== scan.records) throw csvFault(file, `it has ${scan.records} records, of which ${n} were read`);
    await placeRecords(session, table, scan.lines);
    const columns = (await describe(session, ident(table))).filter((column) => column.name !== "_tillage_row");
    return { table, columns, json: false, typed: false, bad, badRows: scan.bad.length };
  } catch (error) {
    if (isCancelled(error) || (error instanceof TillageError && error.problem.code !== "duckdb")) throw error;
    throw csvFault(file, (error instanceof Error ? error.message : String(error)).replace(/^DuckDB refused a query: /, "").split("\n")[0] ?? "");
  } finally {
    rmSync(copy, { force: true });
  }
}

function csvFault(file: string, reason: string): TillageError {
  return TillageError.user("broken_csv", `${file} cannot be read as CSV: ${reason}`, "The first line should name the columns, and every line have as many fields.", { file });
}

/** Puts the line of each record in the place of its number. */
async function placeRecords(session: Session, table: string, lines: readonly (readonly [number, number])[]): Promise<void> {
  if (lines.length === 0) await session.run(`UPDATE ${ident(table)} SET _tillage_row = _tillage_row + 1`);
  else await shiftRows(session, table, "_tillage_row", [[0, 1], ...lines.map(([record, line]): [number, number] => [record, line - record])]);
}

/** Adds to a column of ascending numbers: from each `start` on the `shift` beside it. */
async function shiftRows(session: Session, table: string, column: string, shifts: readonly (readonly [start: number, shift: number])[]): Promise<void> {
  const file = temporaryFile("csv");
  try {
    // Where most records have several lines these are as many as rows: too many for a statement.
    writeFileSync(file, shifts.map(([start, shift]) => `${start},${shift}\n`).join(""), { flag: "wx", mode: 0o600 });
    const from = `(SELECT start, max(shift) AS shift FROM read_csv(${literal(file)}, header = false, auto_detect = false, delim = ',', columns = {start: 'BIGINT', shift: 'BIGINT'}) GROUP BY start)`;
    await session.run(`CREATE OR REPLACE TABLE ${ident(table)} AS SELECT r.${column} + coalesce(s.shift, 0) AS ${column}, r.* EXCLUDE (${column}) FROM ${ident(table)} r ASOF LEFT JOIN ${from} s ON r.${column} >= s.start ORDER BY 1`);
  } finally {
    rmSync(file, { force: true });
  }
}

async function readJson(session: Session, source: SourceFile, table: string): Promise<RawTable> {
  const layout = await jsonLayout(source.plain, session.signal);
  if (layout === "lines") return readJsonl(session, source, table);
  const { file } = source;
  const wrong = (what: string) => TillageError.user("broken_json", `${file} ${what}.`, "A JSON file should be a list of objects, or an object with one such list; one object a line is read too.", { file, line: 1 });
  if (layout === "other") throw wrong("is no list of objects");
  const copy = temporaryFile("jsonl");
  try {
    const lines = await jsonElements(file, source.plain, layout === "array" ? "array" : "object", copy, session.signal);
    if (lines.length > 0) {
      const lineOf = (element: number) => lines[element] ?? 0;
      return { ...(await readJsonl(session, { file, plain: copy }, table, lineOf)), lineOf };
    }
    // One object in one line, without a list in it, is a row.
    if (layout !== "line") throw wrong("has no list of objects");
    return await readJsonl(session, source, table);
  } finally {
    rmSync(copy, { force: true });
  }
}

async function readJsonl(session: Session, { file, plain }: SourceFile, table: string, lineOf: (line: number) => number = (line) => line): Promise<RawTable> {
  const scan = await scanLines(plain, session.signal);
  const staged = `${table}_lines`;
  const load = (from: string) =>
    session.run(`CREATE OR REPLACE TABLE ${ident(staged)} AS SELECT row_number() OVER () - 1 AS k, json FROM read_ndjson_objects(${literal(plainPath(from))}, format = 'newline_delimited', hive_partitioning = false, ignore_errors = true, maximum_object_size = ${maxLineBytes})`);
  let clean = false;
  if (scan.longestLine <= maxLineBytes && scan.mostOpened <= maxDepth && !scan.byteOrderMark) {
    try {
      await load(plain);
      clean = (await session.one<{ n: number }>(`SELECT count(*) AS n FROM ${ident(staged)}`)).n === scan.lines;
    } catch (error) {
      if (isCancelled(error)) throw error;
    }
  }
  if (!clean) {
    // What DuckDB does not read line by line is read once here, so that every row keeps its line number.
    const copy = temporaryFile("jsonl");
    try {
      await sanitizeLines(plain, copy, session.signal);
      await load(copy);
    } finally {
      rmSync(copy, { force: true });
    }
  }
  await numberLines(session, staged, scan.blank);
  const { bad, badRows } = await badLines(session, staged, { file, plain }, lineOf);
  const { plain: single, others } = otherCase(await jsonColumns(session, staged));
  const columns = [...single, ...others.map(({ column }) => column)];
  // In groups: DuckDB's cost of taking a struct apart grows with the square of its fields.
  const groups = Array.from({ length: Math.ceil(single.length / structFields) }, (_, i) => single.slice(i * structFields, (i + 1) * structFields));
  const structs = groups.map((group, i) => `json_transform(json, ${literal(JSON.stringify(Object.fromEntries(group.map((column) => [column.name, column.type]))))}) AS v${i}`);
  const fields = [...groups.flatMap((group, i) => group.map((column) => `v${i}.${ident(column.name)} AS ${ident(column.name)}`)), ...others.map(({ column, sql }) => `${sql} AS ${ident(column.name)}`)];
  if (columns.length === 0) throw TillageError.user("no_rows", `${file} has no row that can be read: ${bad[0]?.reason ?? "it is empty"}.`, "Every row should be a JSON object.", { file, line: bad[0]?.line ?? 1 });
  await session.run(
    `CREATE TABLE ${ident(table)} AS SELECT _tillage_row, json AS _tillage_json, ${fields.join(", ")} FROM (SELECT line AS _tillage_row, json, ${structs.join(", ")} FROM ${ident(staged)} WHERE json_type(json) = 'OBJECT')`,
  );
  await session.run(`DROP TABLE ${ident(staged)}`);
  return { table, columns, json: true, bad, badRows };
}

/** Adds the 0-based `line` of the file; blank lines, which DuckDB skips, are counted in. */
async function numberLines(session: Session, staged: string, blank: readonly number[]): Promise<void> {
  if (blank.length === 0) {
    await session.run(`ALTER TABLE ${ident(staged)} RENAME COLUMN k TO line`);
    return;
  }
  // The i-th blank line b comes before the row b - i: rows from there on stand i + 1 lines further down.
  await shiftRows(session, staged, "k", blank.map((b, i): [number, number] => [b - i, i + 1]));
  await session.run(`ALTER TABLE ${ident(staged)} RENAME COLUMN k TO line`);
}

async function badLines(session: Session, staged: string, { file, plain }: SourceFile, lineOf: (line: number) => number): Promise<{ bad: BadRow[]; badRows: number }> {
  const faulty = `json IS NULL OR json_type(json) <> 'OBJECT'`;
  const badRows = (await session.one<{ n: number }>(`SELECT count(*) AS n FROM ${ident(staged)} WHERE ${faulty}`)).n;
  if (badRows === 0) return { bad: [], badRows };
  const lines = new Set((await session.rows<{ line: number }>(`SELECT line FROM ${ident(staged)} WHERE ${faulty} ORDER BY line LIMIT ${maxListedBad}`)).map((row) => row.line));
  const bad: BadRow[] = [];
  let number = 0;
  for await (const bytes of readLines(plain, session.signal)) {
    if (lines.has(number)) bad.push({ file, line: lineOf(number) + 1, reason: lineFault(bytes) ?? "it has escapes that are no text, such as half of a surrogate pair (\\ud800)" });
    number++;
    if (bad.length === lines.size) break;
  }
  return { bad, badRows };
}

/** The keys of all objects with the type that holds all of their values; nested and mixed values stay JSON. */
async function jsonColumns(session: Session, staged: string): Promise<RawColumn[]> {
  // One row of each structure stands for all of them: putting structures together costs DuckDB more than all the rest.
  const one = `SELECT any_value(json) AS json FROM ${ident(staged)} WHERE json_type(json) = 'OBJECT' GROUP BY json_structure(json)`;
  const { s } = await session.one<{ s: string | null }>(`SELECT json_group_structure(json)::VARCHAR AS s FROM (${one})`);
  const structure = s === null ? {} : (JSON.parse(s) as Record<string, unknown>);
  if (typeof structure !== "object") return [];
  const scalar: Record<string, string> = { UBIGINT: "UBIGINT", BIGINT: "BIGINT", DOUBLE: "DOUBLE", BOOLEAN: "BOOLEAN", VARCHAR: "VARCHAR", NULL: "VARCHAR" };
  return Object.entries(structure).map(([name, type]) => ({ name, type: typeof type === "string" ? (scalar[type] ?? "JSON") : "JSON" }));
}

/**
 * To DuckDB `Text` and `text` are one name: the first in lower case keeps it, or else the first, and the others are read as JSON under another
 * name, such as `Text_2`. Answers with their SQL over `json`.
 */
function otherCase(columns: readonly RawColumn[]): { plain: RawColumn[]; others: { column: RawColumn; sql: string }[] } {
  const byName = new Map<string, RawColumn[]>();
  for (const column of columns) byName.set(column.name.toLowerCase(), [...(byName.get(column.name.toLowerCase()) ?? []), column]);
  const keeps = (column: RawColumn) => {
    const rivals = byName.get(column.name.toLowerCase()) ?? [];
    return column === (rivals.find(({ name }) => name === name.toLowerCase()) ?? rivals[0]);
  };
  const others = columns.filter((column) => !keeps(column)).map(({ name }) => {
    let serial = 2;
    while (byName.has(`${name}_${serial}`.toLowerCase())) serial++;
    byName.set(`${name}_${serial}`.toLowerCase(), []);
    return { column: { name: `${name}_${serial}`, type: "JSON" }, sql: `json_extract(json, ${jsonPath(name)})` };
  });
  return { plain: columns.filter(keeps), others };
}
