import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, statSync } from "node:fs";
import { isUtf8 } from "node:buffer";
import { pipeline } from "node:stream/promises";
import { TillageError } from "../../protocol/errors";
import { throwIfCancelled } from "../duckdb/failure";

/** A line longer than this is a bad row. */
export const maxLineBytes = 64 * 1024 * 1024;

export interface FileVersion {
  mtimeMs: number;
  size: number;
}

/** What one reading of a file's bytes tells. */
export interface FileScan extends FileVersion {
  sha256: string;
  /** Lines with something on them. */
  lines: number;
  /** 0-based numbers of the lines with nothing but white space. */
  blank: number[];
  longestLine: number;
  /** The file begins with UTF-8's byte order mark. */
  byteOrderMark: boolean;
}

/** Size and time of a file; missing files are the user's error. */
export function fileVersion(file: string): FileVersion {
  try {
    const { mtimeMs, size, isFile } = ((s) => ({ mtimeMs: s.mtimeMs, size: s.size, isFile: s.isFile() }))(statSync(file));
    if (!isFile) throw TillageError.user("not_a_file", `${file} is a folder.`, "Name a file, or files with a glob such as folder/*.jsonl.", { file });
    return { mtimeMs, size };
  } catch (error) {
    if (error instanceof TillageError) throw error;
    throw TillageError.user("file_missing", `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"}).`, "Check the path.", { file });
  }
}

const known = new Map<string, FileScan>();

/** Reads a file once: its hash, and its lines where it has lines. Remembered until size or time change. */
export async function scanFile(file: string, signal?: AbortSignal): Promise<FileScan> {
  const version = fileVersion(file);
  const before = known.get(file);
  if (before && before.size === version.size && before.mtimeMs === version.mtimeMs) return before;
  const hash = createHash("sha256");
  const blank: number[] = [];
  let [line, lines, longestLine, length, filled] = [0, 0, 0, 0, false];
  let byteOrderMark: boolean | undefined;
  const endLine = () => {
    if (filled) lines++;
    else blank.push(line);
    longestLine = Math.max(longestLine, length);
    [line, length, filled] = [line + 1, 0, false];
  };
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    hash.update(chunk);
    byteOrderMark ??= chunk.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
    for (let from = 0; from < chunk.length; ) {
      const newline = chunk.indexOf(10, from);
      const to = newline < 0 ? chunk.length : newline;
      for (let i = from; i < to && !filled; i++) filled = !isSpace(chunk[i] ?? 0);
      length += to - from;
      if (newline >= 0) endLine();
      from = to + 1;
    }
  }
  if (length > 0) endLine();
  const scan: FileScan = { ...version, sha256: hash.digest("hex"), lines, blank, longestLine, byteOrderMark: byteOrderMark ?? false };
  known.set(file, scan);
  return scan;
}

function isSpace(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}

/** Why a line is no JSON object; undefined when it is one. */
export function lineFault(bytes: Buffer): string | undefined {
  if (bytes.length > maxLineBytes) return `the line has ${Math.round(bytes.length / 1048576)} MB; at most ${maxLineBytes / 1048576} MB are read`;
  if (!isUtf8(bytes)) return "it is not valid UTF-8";
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8").replace(/^\uFEFF/, ""));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return undefined;
    return `it is ${Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`}, not a JSON object`;
  } catch (error) {
    return `it is not valid JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The lines of a file as bytes, without their line breaks. */
export async function* readLines(file: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    let from = 0;
    for (let newline = chunk.indexOf(10); newline >= 0; newline = chunk.indexOf(10, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, newline)]);
      rest = [];
      from = newline + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) yield Buffer.concat(rest);
}

/** The 1-based lines of byte positions that ascend. */
export async function lineNumbers(file: string, positions: readonly number[], signal?: AbortSignal): Promise<number[]> {
  const numbers: number[] = [];
  let [line, start] = [1, 0];
  for await (const bytes of readLines(file, signal)) {
    const end = start + bytes.length + 1;
    for (let next = positions[numbers.length]; next !== undefined && next < end; next = positions[numbers.length]) numbers.push(line);
    if (numbers.length === positions.length) break;
    [line, start] = [line + 1, end];
  }
  return numbers;
}

/** Copies a JSONL file with `null` in place of every line that is no JSON object; blank lines are left out. For files that DuckDB cannot read line by line. */
export async function sanitizeLines(file: string, target: string, signal?: AbortSignal): Promise<void> {
  await pipeline(sanitized(file, signal), createWriteStream(target, { flags: "wx", mode: 0o600 }));
}

async function* sanitized(file: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  for await (const bytes of readLines(file, signal)) {
    if (bytes.every(isSpace)) continue;
    const line = lineFault(bytes) === undefined ? Buffer.from(bytes.toString("utf8").replace(/^\uFEFF/, "").trim()) : Buffer.from("null");
    yield Buffer.concat([line, Buffer.from("\n")]);
  }
}
