import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import path from "node:path";
import type { Session } from "../duckdb/session";
import { Database } from "../duckdb/session";
import { ident, list, parquet, plainPath } from "../duckdb/sql";
import { folderFiles } from "../sources/folder";
import { formatOf, isNested, maxListedBad, parquetFault, type RawColumn } from "../sources/read";
import { detectRaw } from "../sources/shape";
import { importFile, placeOf, versionOf, type Imported } from "./import";
import type { Part } from "./rows";

/** Whether a path is a folder. */
export const isFolder = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;

/** Changes when one of a folder's files changes, comes or goes. */
export function folderVersion(files: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(files.map((file) => [file, versionOf(file)]))).digest("hex").slice(0, 24);
}

/** The data files of a folder, as a recipe's source takes them. */
export function filesOf(folder: string): string[] {
  return folderFiles(folder, {}, { file: folder });
}

/** Reads all files of a folder as one corpus, one behind the other by name. Parquet is read in place. */
export async function importFolder(folder: string, extensionPath: string | undefined, signal?: AbortSignal): Promise<Imported> {
  const files = filesOf(folder);
  const version = folderVersion(files);
  const common = { version, folder: placeOf(folder, version), bytes: files.reduce((sum, file) => sum + statSync(file).size, 0), names: files.map((file) => path.relative(folder, file).split(path.sep).join("/")) };
  if (formatOf(files[0] ?? folder) === "parquet") return { ...(await parquetParts(files, extensionPath, signal)), ...common };
  const imported: Imported[] = [];
  for (const file of files) imported.push(await importFile(file, extensionPath, signal));
  const [first] = imported;
  if (!first) throw new Error(`${folder} has no file.`);
  const columns = unionColumns(imported.map((one) => one.columns));
  return { ...first, ...common, columns, parts: imported.flatMap((one) => one.parts), rows: sum(imported, (one) => one.rows), badRows: sum(imported, (one) => one.badRows), bad: imported.flatMap((one) => one.bad).slice(0, maxListedBad) };
}

const sum = <T>(all: readonly T[], of: (one: T) => number): number => all.reduce((total, one) => total + of(one), 0);

const number = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL.*)$/;

/** All columns of several files, in the order in which they are met; one of several types is a DOUBLE where all are numbers, else text. */
export function unionColumns(files: readonly (readonly RawColumn[])[]): RawColumn[] {
  const types = new Map<string, string>();
  for (const columns of files) {
    for (const { name, type } of columns) {
      const known = types.get(name);
      if (known === undefined || known === type) types.set(name, type);
      else types.set(name, number.test(known) && number.test(type) ? "DOUBLE" : "VARCHAR");
    }
  }
  return [...types].map(([name, type]) => ({ name, type }));
}

async function parquetParts(files: readonly string[], extensionPath: string | undefined, signal?: AbortSignal): Promise<Pick<Imported, "format" | "detected" | "columns" | "rows" | "bad" | "badRows" | "parts">> {
  const database = await Database.open(extensionPath);
  try {
    return await database.session(signal, async (session) => {
      const parts = await footers(session, files).catch((error: unknown) => {
        throw parquetFault(error, files.length === 1 ? (files[0] ?? "") : path.dirname(files[0] ?? ""));
      });
      const columns = unionColumns(parts.map((part) => part.columns));
      const [first] = files;
      const select = parts[0]?.columns.map(({ name, type }) => (type === "JSON" ? `to_json(${ident(name)}) AS ${ident(name)}` : ident(name))) ?? [];
      await session.run(`CREATE VIEW raw AS SELECT ${select.join(", ")} FROM ${parquet([first ?? ""])}`);
      const detected = await detectRaw(session, { table: "raw", columns: [...(parts[0]?.columns ?? [])] });
      return { format: "parquet", detected, columns, rows: sum(parts, (part) => part.rows), bad: [], badRows: 0, parts };
    });
  } finally {
    database.close();
  }
}

/** Rows and columns of Parquet files from their footers; files with the same schema are described once. */
async function footers(session: Session, files: readonly string[]): Promise<Part[]> {
  const all = list(files.map(plainPath));
  const rows = new Map((await session.rows<{ file: string; rows: number }>(`SELECT file_name AS file, num_rows AS rows FROM parquet_file_metadata(${all})`)).map((one) => [one.file, one.rows]));
  const schemas = await session.rows<{ file: string; schema: string }>(`SELECT file_name AS file, md5(to_json(list([name, type, converted_type, logical_type, repetition_type, num_children::VARCHAR]))::VARCHAR) AS schema FROM parquet_schema(${all}) GROUP BY 1`);
  const schemaOf = new Map(schemas.map((one) => [one.file, one.schema]));
  const known = new Map<string, RawColumn[]>();
  const parts: Part[] = [];
  for (const file of files) {
    const schema = schemaOf.get(file) ?? file;
    const columns = known.get(schema) ?? (await session.rows<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${parquet([file])}`)).map(({ column_name: name, column_type: type }) => ({ name, type: isNested(type) ? "JSON" : type }));
    known.set(schema, columns);
    parts.push({ file, rowsFile: file, parquet: true, rows: rows.get(file) ?? 0, columns });
  }
  return parts;
}
