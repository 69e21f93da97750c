import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import type { Detected, ShapeColumns } from "../../core/dataset";
import { defaultTextRows } from "../../core/dataset/formats";
import type { BadRow } from "../../protocol/corpus";
import { writeAtomic } from "../../disk/atomic";
import { Database, type Session } from "../duckdb/session";
import { ident, literal } from "../duckdb/sql";
import { jsonPath, normalSql } from "../sources/normalize";
import { formatOf, maxListedBad, parquetFault, readFile, type Format, type RawTable } from "../sources/read";
import { fileVersion } from "../sources/scan";
import type { Part } from "./rows";
import { detectRaw, textColumns } from "../sources/shape";
import { cacheFolder } from "../../disk/layout";
import { sweepCache } from "../../disk/sweep-cache";

/** Version of what is kept in the cache; another one is computed again. */
const cacheVersion = 5;

const shapeSchema = z.enum(["text", "prompt/completion", "chat", "preference", "verifiable", "table"]);
const guessSchema = z.object({ shape: shapeSchema, columns: z.record(z.string(), z.string()) });
const metaSchema = z.object({
  format: z.enum(["parquet", "jsonl", "json", "csv", "text"]),
  /** `own` is what `shapeColumns` made; it is written here only. */
  detected: guessSchema.extend({ confidence: z.enum(["sure", "unsure"]), reason: z.string(), alternatives: z.array(guessSchema), own: z.custom<ShapeColumns>((value) => typeof value === "object" && value !== null && "shape" in value).optional() }),
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  rows: z.number(),
  bad: z.array(z.object({ file: z.string(), line: z.number(), reason: z.string() })),
  badRows: z.number(),
});

export type ImportMeta = z.infer<typeof metaSchema>;

/** A file or folder as browsing needs it: Parquet with good rows only, and what is known of it. */
export interface Imported extends ImportMeta {
  version: string;
  bytes: number;
  parts: readonly Part[];
  /** What each of several files is called within their folder. */
  names?: readonly string[];
  /** Where what is computed of it is kept. */
  folder: string;
}

/** Changes when the file on disk changes. */
export function versionOf(file: string): string {
  const { mtimeMs, size } = fileVersion(file);
  return `${Math.round(mtimeMs * 1000)}-${size}`;
}

/** Where what is computed of a file or folder of this version is kept; made when it is not there. */
export function placeOf(file: string, version: string): string {
  const key = createHash("sha256").update(JSON.stringify([cacheVersion, path.resolve(file), version])).digest("hex").slice(0, 24);
  const cache = cacheFolder(file);
  sweepCache(cache);
  const folder = path.join(cache, key);
  mkdirSync(folder, { recursive: true });
  utimesSync(folder, new Date(), new Date());
  return folder;
}

/** Reads a file for browsing, or finds in the cache what was read before. */
export async function importFile(file: string, extensionPath: string | undefined, signal?: AbortSignal): Promise<Imported> {
  const version = versionOf(file);
  const format = formatOf(file);
  const folder = placeOf(file, version);
  const metaFile = path.join(folder, "meta.json");
  const rowsFile = format === "parquet" ? path.resolve(file) : path.join(folder, "rows.parquet");
  const imported = (meta: ImportMeta): Imported => ({ ...meta, version, bytes: statSync(file).size, folder, parts: [{ file, rowsFile, parquet: format === "parquet", rows: meta.rows, columns: meta.columns }] });
  const known = readMeta(metaFile);
  if (known && existsSync(rowsFile)) return imported(known);
  const database = await Database.open(extensionPath);
  try {
    const meta = await database.session(signal, (session) => convert(session, path.resolve(file), format, rowsFile));
    writeAtomic(metaFile, JSON.stringify(meta));
    return imported(meta);
  } finally {
    database.close();
  }
}

/** A cache that cannot be read is no cache. */
function readMeta(file: string): ImportMeta | undefined {
  try {
    return metaSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return undefined;
  }
}

async function convert(session: Session, file: string, format: Format, rowsFile: string): Promise<ImportMeta> {
  const raw = await readFile(session, file, "raw", { rows: defaultTextRows.browse });
  const detected: Detected = await detectRaw(session, raw).catch((error: unknown) => {
    throw parquetFault(error, file);
  });
  const { own } = detected;
  // A Parquet file is shown as it is: its rows without a text are NULLs like others, no broken lines.
  const fault = own && format !== "parquet" ? normalSql(raw, own).fault : "NULL::VARCHAR";
  try {
    const counts = await session.one<{ good: number; faults: number }>(`SELECT count(*) FILTER ((${fault}) IS NULL) AS good, count(*) FILTER ((${fault}) IS NOT NULL) AS faults FROM raw`);
    const faults = counts.faults === 0 ? [] : await session.rows<{ line: number; reason: string }>(`SELECT _tillage_row + 1 AS line, ${fault} AS reason FROM raw WHERE (${fault}) IS NOT NULL ORDER BY 1 LIMIT ${maxListedBad}`);
    const bad = [...raw.bad, ...faults.map(({ line, reason }): BadRow => ({ file, line: (raw.lineOf?.(line - 1) ?? line - 1) + 1, reason }))].sort((a, b) => a.line - b.line).slice(0, maxListedBad);
    const texts = new Set(own ? textColumns(own) : []);
    const columns = raw.columns.map((column) => ({ name: column.name, type: texts.has(column.name) ? "VARCHAR" : column.type }));
    if (format !== "parquet") await copyRows(session, raw, own, fault, rowsFile);
    return { format, detected, columns, rows: counts.good, bad, badRows: raw.badRows + counts.faults };
  } catch (error) {
    throw parquetFault(error, file);
  }
}

async function copyRows(session: Session, raw: RawTable, own: ShapeColumns | undefined, fault: string, rowsFile: string): Promise<void> {
  const texts = new Set(own ? textColumns(own) : []);
  const columns = raw.columns.map(({ name }) => {
    if (!texts.has(name)) return ident(name);
    const value = raw.json ? `json_extract_string(_tillage_json, ${jsonPath(name)})` : `${ident(name)}::VARCHAR`;
    return `${value} AS ${ident(name)}`;
  });
  const temporary = `${rowsFile}.${randomUUID()}.tmp`;
  try {
    await session.run(`COPY (SELECT _tillage_row, ${columns.join(", ")} FROM raw WHERE (${fault}) IS NULL) TO ${literal(temporary)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 10240)`);
    renameSync(temporary, rowsFile);
  } finally {
    rmSync(temporary, { force: true });
  }
}
