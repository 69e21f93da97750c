import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { datasetCard, hubSplit } from "../../core/dataset/card";
import { fsyncPath } from "../../disk/atomic";
import type { BuildProgress, DatasetFormat, DatasetExport } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { fromSystem } from "../duckdb/failure";
import { Database, type Session } from "../duckdb/session";
import { ident, literal, parquet } from "../duckdb/sql";
import { readWhole, type Manifest } from "./manifest";

/** Columns whose texts are conversations in JSON where the shape has conversations. */
const conversations = ["messages", "chosen", "rejected"];

export interface ExportParams {
  dataset: string;
  to: DatasetFormat;
  /** The folder that is made. */
  out: string;
  /** Without the columns that lead back to the sources, whose names begin with `_`. */
  plain?: boolean;
}

/** Writes a built dataset for other programs. The folder appears whole, by one rename, or not at all. */
export async function exportDataset(params: ExportParams, extensionPath?: string, signal?: AbortSignal, progress?: (p: BuildProgress) => void): Promise<DatasetExport> {
  const folder = path.resolve(params.dataset);
  const manifest = readWhole(folder);
  const out = path.resolve(params.out);
  if (existsSync(out) && (!statSync(out).isDirectory() || readdirSync(out).length > 0)) {
    throw TillageError.user("out_exists", `${out} is there already and is not empty.`, "Name another folder, or remove this one.", { file: out });
  }
  const temporary = `${out}.${randomUUID()}.tmp`;
  const database = await Database.open(extensionPath);
  try {
    mkdirSync(temporary, { recursive: true });
    const files = await database.session(signal, (session) => write(session, manifest, folder, temporary, params, progress));
    if (params.to === "hub") writeFileSync(path.join(temporary, "README.md"), datasetCard(manifest));
    if (existsSync(out)) rmdirSync(out);
    renameSync(temporary, out);
    return { out, files: files.map((file) => path.join(out, file)), rows: manifest.split.reduce((sum, side) => sum + side.rows, 0) };
  } catch (error) {
    throw fromSystem(error);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    database.close();
  }
}

async function write(session: Session, manifest: Manifest, folder: string, target: string, { to, plain }: ExportParams, progress?: (p: BuildProgress) => void): Promise<string[]> {
  const written: string[] = [];
  const of = manifest.split.reduce((sum, side) => sum + side.files.length, 0);
  for (const side of manifest.split) {
    const shards = side.files.map((file) => path.join(folder, file));
    if (shards.length === 0) continue;
    const columns = await columnsOf(session, manifest, shards, to, plain ?? false);
    for (const [i, shard] of shards.entries()) {
      progress?.({ stage: `writing ${side.name}`, done: written.length, of });
      const file = fileName(to, side.name, i, shards.length);
      mkdirSync(path.dirname(path.join(target, file)), { recursive: true });
      const format = to === "jsonl" ? "(FORMAT json, ARRAY false)" : "(FORMAT parquet, COMPRESSION zstd)";
      await session.run(`COPY (SELECT ${columns.join(", ")} FROM ${parquet([shard])}) TO ${literal(path.join(target, file))} ${format}`);
      fsyncPath(path.join(target, file));
      written.push(file);
    }
  }
  return written;
}

function fileName(to: DatasetFormat, side: string, shard: number, shards: number): string {
  const padded = (value: number) => String(value).padStart(5, "0");
  if (to === "hub") return `data/${hubSplit(side)}-${padded(shard)}-of-${padded(shards)}.parquet`;
  return shards === 1 ? `${side}.${to}` : `${side}-${padded(shard)}.${to}`;
}

/** The columns as others expect them: conversations as lists of turns, not as text. */
async function columnsOf(session: Session, manifest: Manifest, shards: readonly string[], to: DatasetFormat, plain: boolean): Promise<string[]> {
  const from = parquet(shards, "union_by_name = true");
  const all = await session.rows<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${from}`);
  const chats = /chat|mixed/.test(manifest.shape);
  const columns: string[] = [];
  for (const { column_name: name, column_type: type } of all) {
    if (plain && name.startsWith("_")) continue;
    const nested = type === "JSON" || (chats && conversations.includes(name));
    columns.push(nested ? `${await nestedSql(session, from, name, to)} AS ${ident(name)}` : ident(name));
  }
  return columns;
}

async function nestedSql(session: Session, from: string, name: string, to: DatasetFormat): Promise<string> {
  // In a mixed dataset a column may hold texts in some rows and conversations in others: what is no JSON stays a text.
  const { broken } = await session.one<{ broken: number }>(`SELECT count(*) AS broken FROM ${from} WHERE ${ident(name)} IS NOT NULL AND NOT json_valid(${ident(name)}::VARCHAR)`);
  if (broken > 0) return ident(name);
  const json = `${ident(name)}::VARCHAR::JSON`;
  if (to === "jsonl") return json;
  const { structure } = await session.one<{ structure: string | null }>(`SELECT json_group_structure(${json})::VARCHAR AS structure FROM ${from} WHERE ${ident(name)} IS NOT NULL`);
  return structure === null || !/^[[{]/.test(structure) ? `${ident(name)}::VARCHAR` : `json_transform(${json}, ${literal(structure)})`;
}
