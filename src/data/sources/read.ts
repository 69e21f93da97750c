import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { BadRow } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { isCancelled } from "../duckdb/failure";
import type { Session } from "../duckdb/session";
import { ident, literal, parquet, plainPath } from "../duckdb/sql";
import { fileVersion, lineFault, lineNumbers, maxLineBytes, readLines, sanitizeLines, scanFile } from "./scan";

export type Format = "parquet" | "jsonl" | "csv";

/** Bad rows that are listed; all are counted. */
export const maxListedBad = 1000;

export interface RawColumn {
  name: string;
  type: string;
}

/** A file as a table or view: `_file_row` (0-based; the line for JSONL) and the file's columns, nested ones as JSON. */
export interface RawTable {
  table: string;
  columns: RawColumn[];
  /** The whole JSON object of each row stands in `_json` (JSON only). */
  json: boolean;
  /** False where the types are guesses from the values (CSV): any column may be taken as text. */
  typed?: boolean;
  bad: BadRow[];
  badRows: number;
}

/** The format that a file's name speaks of. */
export function formatOf(file: string): Format {
  const extension = path.extname(file).toLowerCase();
  if (extension === ".parquet") return "parquet";
  if (extension === ".jsonl" || extension === ".ndjson") return "jsonl";
  if (extension === ".csv" || extension === ".tsv") return "csv";
  throw TillageError.user("unknown_format", `${file} is of no format that Tillage reads.`, "Use .parquet, .jsonl, .ndjson, .csv or .tsv.", { file });
}

/** Reads a file into the table given. Broken rows are kept out and listed; a file of which nothing can be read is an error. */
export async function readFile(session: Session, file: string, table: string): Promise<RawTable> {
  if (fileVersion(file).size === 0) throw TillageError.user("empty_file", `${file} is empty.`, "Take it out of the sources, or write rows into it.", { file });
  const format = formatOf(file);
  if (format === "parquet") return readParquet(session, file, table);
  return format === "jsonl" ? readJsonl(session, file, table) : readCsv(session, file, table);
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
    await session.run(`CREATE VIEW ${ident(table)} AS SELECT file_row_number AS _file_row, ${select.join(", ")} FROM ${from}`);
    return { table, columns: columns.map((column) => ({ ...column, type: isNested(column.type) ? "JSON" : column.type })), json: false, bad: [], badRows: 0 };
  } catch (error) {
    throw parquetFault(error, file);
  }
}

/** A Parquet file that DuckDB refuses, as an error that names the file. */
export function parquetFault(error: unknown, file: string): unknown {
  if (isCancelled(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (!/magic bytes|too small|footer|thrift|TProtocol|invalid TType|parquet|corrupt|snappy|zstd|read \d+ bytes|not enough/i.test(message)) return error;
  const reason = message.replace(/^DuckDB refused a query: /, "").split("\n")[0] ?? "";
  return TillageError.user("broken_parquet", `${file} is not a whole Parquet file: it was cut short, or it is no Parquet. (${reason})`, "Copy or download it again.", { file });
}

async function readCsv(session: Session, file: string, table: string): Promise<RawTable> {
  const rejects = `${table}_rejects`;
  const options = [
    "header = true", "sample_size = -1", "store_rejects = true", `rejects_table = ${literal(rejects)}`, `rejects_scan = ${literal(`${rejects}_scan`)}`, "rejects_limit = 0", "hive_partitioning = false", `max_line_size = ${maxLineBytes}`,
    ...(file.toLowerCase().endsWith(".tsv") ? ["delim = '\\t'"] : []),
  ];
  try {
    await session.run(`CREATE TABLE ${ident(table)} AS SELECT row_number() OVER () - 1 AS _file_row, * FROM read_csv(${literal(plainPath(file))}, ${options.join(", ")})`);
  } catch (error) {
    if (isCancelled(error)) throw error;
    throw TillageError.user("broken_csv", `${file} cannot be read as CSV: ${(error instanceof Error ? error.message : String(error)).replace(/^DuckDB refused a query: /, "").split("\n")[0] ?? ""}`, "The first line should name the columns, and every line have as many fields.", { file });
  }
  const rows = await session.rows<{ byte: number; reason: string }>(`SELECT line_byte_position::BIGINT AS byte, min(error_message) AS reason FROM ${ident(rejects)} GROUP BY line, line_byte_position ORDER BY byte`);
  const listed = rows.slice(0, maxListedBad);
  // DuckDB counts records; a quoted line break makes them fewer than lines.
  const lines = await lineNumbers(file, listed.map((row) => row.byte), session.signal);
  const bad = listed.map((row, i): BadRow => ({ file, line: lines[i] ?? 0, reason: row.reason }));
  await session.run(`DROP TABLE ${ident(rejects)}; DROP TABLE ${ident(`${rejects}_scan`)}`);
  const columns = (await describe(session, ident(table))).filter((column) => column.name !== "_file_row");
  return { table, columns, json: false, typed: false, bad, badRows: rows.length };
}

async function readJsonl(session: Session, file: string, table: string): Promise<RawTable> {
  const scan = await scanFile(file, session.signal);
  const staged = `${table}_lines`;
  const load = (from: string) =>
    session.run(`CREATE OR REPLACE TABLE ${ident(staged)} AS SELECT row_number() OVER () - 1 AS k, json FROM read_ndjson_objects(${literal(plainPath(from))}, hive_partitioning = false, ignore_errors = true, maximum_object_size = ${maxLineBytes})`);
  let clean = false;
  if (scan.longestLine <= maxLineBytes && !scan.byteOrderMark) {
    try {
      await load(file);
      clean = (await session.one<{ n: number }>(`SELECT count(*) AS n FROM ${ident(staged)}`)).n === scan.lines;
    } catch (error) {
      if (isCancelled(error)) throw error;
    }
  }
  if (!clean) {
    // What DuckDB does not read line by line is read once here, so that every row keeps its line number.
    const copy = path.join(os.tmpdir(), `tillage-${randomUUID()}.jsonl`);
    try {
      await sanitizeLines(file, copy, session.signal);
      await load(copy);
    } finally {
      rmSync(copy, { force: true });
    }
  }
  await numberLines(session, staged, scan.blank);
  const { bad, badRows } = await badLines(session, staged, file);
  const columns = await jsonColumns(session, staged);
  const structure = JSON.stringify(Object.fromEntries(columns.map((column) => [column.name, column.type])));
  const fields = columns.map((column) => `v.${ident(column.name)} AS ${ident(column.name)}`);
  if (columns.length === 0) throw TillageError.user("no_rows", `${file} has no row that can be read: ${bad[0]?.reason ?? "it is empty"}.`, "Every line should be a JSON object.", { file, line: bad[0]?.line ?? 1 });
  await session.run(
    `CREATE TABLE ${ident(table)} AS SELECT _file_row, json AS _json, ${fields.join(", ")} FROM (SELECT line AS _file_row, json, json_transform(json, ${literal(structure)}) AS v FROM ${ident(staged)} WHERE json_type(json) = 'OBJECT')`,
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
  const shifts = blank.map((b, i) => `(${b - i}, ${i + 1})`).join(", ");
  await session.run(
    `CREATE OR REPLACE TABLE ${ident(staged)} AS SELECT l.k + coalesce(s.shift, 0) AS line, l.json FROM ${ident(staged)} l ASOF LEFT JOIN (SELECT start, max(shift) AS shift FROM (VALUES ${shifts}) t(start, shift) GROUP BY start) s ON l.k >= s.start ORDER BY l.k`,
  );
}

async function badLines(session: Session, staged: string, file: string): Promise<{ bad: BadRow[]; badRows: number }> {
  const faulty = `json IS NULL OR json_type(json) <> 'OBJECT'`;
  const badRows = (await session.one<{ n: number }>(`SELECT count(*) AS n FROM ${ident(staged)} WHERE ${faulty}`)).n;
  if (badRows === 0) return { bad: [], badRows };
  const lines = new Set((await session.rows<{ line: number }>(`SELECT line FROM ${ident(staged)} WHERE ${faulty} ORDER BY line LIMIT ${maxListedBad}`)).map((row) => row.line));
  const bad: BadRow[] = [];
  let number = 0;
  for await (const bytes of readLines(file, session.signal)) {
    if (lines.has(number)) bad.push({ file, line: number + 1, reason: lineFault(bytes) ?? "it cannot be read" });
    number++;
    if (bad.length === lines.size) break;
  }
  return { bad, badRows };
}

/** The keys of all objects with the type that holds all of their values; nested and mixed values stay JSON. */
async function jsonColumns(session: Session, staged: string): Promise<RawColumn[]> {
  const { s } = await session.one<{ s: string | null }>(`SELECT json_group_structure(json)::VARCHAR AS s FROM ${ident(staged)} WHERE json_type(json) = 'OBJECT'`);
  const structure = s === null ? {} : (JSON.parse(s) as Record<string, unknown>);
  if (typeof structure !== "object") return [];
  const scalar: Record<string, string> = { UBIGINT: "UBIGINT", BIGINT: "BIGINT", DOUBLE: "DOUBLE", BOOLEAN: "BOOLEAN", VARCHAR: "VARCHAR", NULL: "VARCHAR" };
  return Object.entries(structure).map(([name, type]) => ({ name, type: typeof type === "string" ? (scalar[type] ?? "JSON") : "JSON" }));
}
