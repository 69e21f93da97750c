import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { ownColumns, type BuildShape } from "../../core/dataset";
import { tokensPerWord } from "../../core/mix";
import type { Recipe, SourceSpec } from "../../core/recipe";
import type { BadRow, SourceReading } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import type { Session } from "../duckdb/session";
import { ident, literal, plainPath } from "../duckdb/sql";
import { folderFiles } from "./folder";
import { normalSql } from "./normalize";
import { writeRows } from "./number";
import { maxListedBad, parquetFault, readFile, type RawTable } from "./read";
import { scanFile } from "./scan";
import { resolveShape } from "./shape";

/** Columns of every row, in front of the sources' own. */
export const baseColumns = ["_n", "_row_id", "_source", "_file", "_file_row", "_shape", ...ownColumns] as const;

export interface LoadedSource {
  name: string;
  shape: BuildShape;
  rows: number;
  bad: BadRow[];
  badRows: number;
  files: { file: string; sha256: string }[];
  /** Names of the file's columns that the shape's were read from. */
  aliases: { column: string; as: string }[];
  /** How the rows are read; of several files the least sure. */
  reading: SourceReading;
}

/** What the recipe says of how a source is read, for telling whether it is read as before: all but its files, which are looked at themselves, and its place. */
export function readingOf({ files: _files, start: _start, end: _end, line: _line, ...reading }: SourceSpec): Omit<SourceSpec, "files" | "start" | "end" | "line"> {
  return reading;
}

/** A source with its files, and what is in them. */
export interface FoundSource {
  source: SourceSpec;
  files: { file: string; sha256: string }[];
}

export interface LoadedRows {
  sources: LoadedSource[];
  /** The sources' own columns beside the shape's. */
  extras: string[];
}

/** The files of a list of paths and globs, sorted; relative to the folder, returned absolute. */
export async function expandFiles(session: Session, patterns: readonly string[], folder: string): Promise<string[]> {
  const files = new Set<string>();
  for (const pattern of patterns) {
    const absolute = path.resolve(folder, pattern);
    if (existsSync(absolute)) files.add(absolute);
    else for (const row of await session.rows<{ file: string }>("SELECT file FROM glob(?) ORDER BY file", [path.resolve(plainPath(folder), pattern)])) files.add(path.resolve(row.file));
  }
  return [...files];
}

/** A path as recipes and receipts write it: relative to the folder, with forward slashes. */
export function relativePath(folder: string, file: string): string {
  return path.relative(folder, file).split(path.sep).join("/");
}

/** The files of a source; none is an error at the source's line. */
export async function sourceFiles(session: Session, source: SourceSpec, recipe: string): Promise<string[]> {
  const named = await expandFiles(session, source.files, path.dirname(recipe));
  const place = { file: recipe, line: source.line };
  const inFolders = named.map((file) => ({ file, folder: statSync(file).isDirectory() }));
  if ((source.split ?? source.config) !== undefined && !inFolders.some(({ folder }) => folder)) {
    throw TillageError.user("no_folder", `The source '${source.name}' names a ${source.split === undefined ? "config" : "split"}, but no folder.`, "Splits and configurations are those of a dataset's folder: name the folder in 'files', or take them out.", place);
  }
  const files = [...new Set(inFolders.flatMap(({ file, folder }) => (folder ? folderFiles(file, source, place) : [file])))];
  if (files.length > 0) return files;
  throw TillageError.user("no_files", `The source '${source.name}' has no files: nothing matches ${source.files.join(", ")}.`, "Paths are relative to the recipe's folder.", { file: recipe, line: source.line });
}

/** The files of a recipe's sources with the hashes of their bytes. */
export async function findSources(session: Session, recipe: Recipe, recipePath: string, step: (done: number, of: number, what: string) => void): Promise<FoundSource[]> {
  const found: FoundSource[] = [];
  for (const [i, source] of recipe.sources.entries()) {
    const files: FoundSource["files"] = [];
    for (const file of await sourceFiles(session, source, recipePath)) {
      step(i, recipe.sources.length, `reading ${relativePath(path.dirname(recipePath), file)}`);
      files.push({ file, sha256: (await scanFile(file, session.signal)).sha256 });
    }
    found.push({ source, files });
  }
  return found;
}

/** Reads all sources of a recipe into `rows.parquet` in a folder (see `baseColumns`), with stable row ids. `folder` is the recipe's, to which files are relative. */
export async function loadSources(session: Session, found: readonly FoundSource[], recipePath: string, target: string, step: (done: number, of: number, what: string) => void): Promise<LoadedRows> {
  const folder = path.dirname(recipePath);
  const sources: LoadedSource[] = [];
  const parts: { name: string; drop: string }[] = [];
  const extras = new Set<string>();
  let next = 0;
  for (const [si, { source, files }] of found.entries()) {
    const loaded: Omit<LoadedSource, "reading"> & { reading?: SourceReading } = { name: source.name, shape: source.as ?? "text", rows: 0, bad: [], badRows: 0, files, aliases: [] };
    for (const [fi, { file }] of files.entries()) {
      step(si, found.length, `reading ${relativePath(folder, file)}`);
      const raw = await readFile(session, file, `raw_${si}_${fi}`, { rows: source.rows });
      const { columns: shape, reading } = await resolveShape(session, file, raw, source.as, source.map, { file: recipePath, line: source.line });
      if (fi > 0 && shape.shape !== loaded.shape) throw TillageError.user("mixed_shapes", `${file} is ${shape.shape}, the files of '${source.name}' before it are ${loaded.shape}.`, "Make two sources of them.", { file: recipePath, line: source.line });
      loaded.shape = shape.shape;
      if (loaded.reading === undefined || (loaded.reading.confidence === "sure" && reading.confidence === "unsure")) loaded.reading = reading;
      const sql = normalSql(raw, shape);
      const others = raw.columns.map((column) => column.name).filter((name) => !sql.used.has(name) && sql.extra?.[name] === undefined);
      const kept = others.map((name) => ({ name, as: keptName(name) }));
      const made = Object.entries(sql.extra ?? {});
      for (const name of [...kept.map((column) => column.as), ...made.map(([column]) => column)]) extras.add(name);
      for (const [column, as] of sql.used) if (as !== "" && as !== column && !loaded.aliases.some((alias) => alias.column === column)) loaded.aliases.push({ column, as });
      const part = `part_${si}_${fi}`;
      const select = [...kept.map((column) => `, ${ident(column.name)} AS ${ident(column.as)}`), ...made.map(([column, value]) => `, ${value} AS ${ident(column)}`)].join("");
      const own = ownColumns.map((column) => `${column === "text" ? sql.text : (sql.own[column] ?? "NULL::VARCHAR")} AS ${column}`).join(", ");
      try {
        await session.run(
          `CREATE VIEW ${part} AS SELECT (_tillage_row + ${next})::BIGINT AS _n, _tillage_row AS _file_row, ${literal(source.name)} AS _source, ${literal(relativePath(folder, file))} AS _file, ${literal(shape.shape)} AS _shape, ${sql.fault} AS _fault, ${own}${select} FROM ${ident(raw.table)}`,
        );
        next += await collectFaults(session, part, file, loaded, raw);
      } catch (error) {
        throw parquetFault(error, file);
      }
      parts.push({ name: part, drop: `DROP VIEW ${part}; DROP ${file.toLowerCase().endsWith(".parquet") ? "VIEW" : "TABLE"} ${ident(raw.table)}` });
    }
    if (loaded.rows === 0 || loaded.reading === undefined) {
      const first = loaded.bad[0];
      throw TillageError.user("no_rows", `The source '${source.name}' has no good row.${first ? ` The first bad one: ${first.reason}.` : ""}`, "Mend the file, or take the source out.", { file: first?.file ?? files[0]?.file, line: first?.line });
    }
    sources.push({ ...loaded, reading: loaded.reading });
  }
  step(found.length, found.length, "numbering rows");
  try {
    await writeRows(session, parts.map((part) => part.name), [...extras], target);
  } catch (error) {
    const files = found.flatMap((entry) => entry.files.map(({ file }) => file));
    throw parquetFault(error, files.find((file) => error instanceof Error && error.message.includes(file)) ?? files[0] ?? recipePath);
  }
  for (const part of parts) await session.run(part.drop);
  return { sources, extras: [...extras] };
}

/** The name that a file's own column beside the shape's has among a recipe's rows. */
export function keptName(name: string): string {
  const reserved = name.startsWith("_") || (baseColumns as readonly string[]).includes(name);
  return reserved ? `file_${name.replace(/^_+/, "")}` : name;
}

/** Counts a part's good and bad rows and lists the bad ones; gives the numbers of rows that the file takes, bad ones included. */
async function collectFaults(session: Session, part: string, file: string, source: Pick<LoadedSource, "rows" | "badRows" | "bad">, { bad, badRows, lineOf }: RawTable): Promise<number> {
  const counts = await session.one<{ good: number; faults: number; numbers: number }>(`SELECT count(*) FILTER (_fault IS NULL) AS good, count(*) FILTER (_fault IS NOT NULL) AS faults, coalesce(max(_file_row), -1) + 1 AS numbers FROM ${part}`);
  const faults = counts.faults === 0 ? [] : await session.rows<{ line: number; reason: string }>(`SELECT _file_row + 1 AS line, _fault AS reason FROM ${part} WHERE _fault IS NOT NULL ORDER BY 1 LIMIT ${maxListedBad}`);
  source.rows += counts.good;
  source.badRows += badRows + counts.faults;
  const all = [...bad, ...faults.map(({ line, reason }): BadRow => ({ file, line: (lineOf?.(line - 1) ?? line - 1) + 1, reason }))].sort((a, b) => a.line - b.line);
  source.bad.push(...all.slice(0, Math.max(0, maxListedBad - source.bad.length)));
  return counts.numbers;
}

/** A row's tokens as SQL over `text`: exact with a tokenizer, else 1.3 a word. */
export function tokensSql(tokenizer: string | undefined, text = "text"): string {
  return tokenizer === undefined ? `round(till_words(${text}) * ${tokensPerWord})::BIGINT` : `till_tokens(${text}, ${literal(tokenizer)})::BIGINT`;
}
