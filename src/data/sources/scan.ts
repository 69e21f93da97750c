import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { TillageError } from "../../protocol/errors";
import { throwIfCancelled } from "../duckdb/failure";
import { isBlank, isSpace, lineFault, LongLine, readLines, withoutBom } from "./lines";

export interface FileVersion {
  mtimeMs: number;
  size: number;
}

/** A file's bytes, hashed. */
export interface FileScan extends FileVersion {
  sha256: string;
}

/** What the lines of a file are like. */
export interface LineScan {
  /** Lines with something on them. */
  lines: number;
  /** 0-based numbers of the lines with nothing but white space. */
  blank: number[];
  longestLine: number;
  /** The most brackets that a line opens, counted a little beyond `maxDepth`: it cannot be nested deeper. */
  mostOpened: number;
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

/** A file's hash. Remembered until size or time change. */
export async function scanFile(file: string, signal?: AbortSignal): Promise<FileScan> {
  const version = fileVersion(file);
  const before = known.get(file);
  if (before && before.size === version.size && before.mtimeMs === version.mtimeMs) return before;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    hash.update(chunk);
  }
  const scan: FileScan = { ...version, sha256: hash.digest("hex") };
  known.set(file, scan);
  return scan;
}

/** Reads a file's lines once, by searching for line breaks and brackets; only white space at a line's start is looked at byte by byte. */
export async function scanLines(file: string, signal?: AbortSignal): Promise<LineScan> {
  const scan: LineScan = { lines: 0, blank: [], longestLine: 0, mostOpened: 0, byteOrderMark: false };
  let [line, length, filled, opened, first] = [0, 0, false, 0, true];
  const endLine = () => {
    if (filled) scan.lines++;
    else scan.blank.push(line);
    scan.longestLine = Math.max(scan.longestLine, length);
    scan.mostOpened = Math.max(scan.mostOpened, opened);
    [line, length, filled, opened] = [line + 1, 0, false, 0];
  };
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    if (first) scan.byteOrderMark = withoutBom(chunk).length < chunk.length;
    first = false;
    let [square, curly] = [chunk.indexOf(91), chunk.indexOf(123)];
    for (let from = 0; from < chunk.length; ) {
      const newline = chunk.indexOf(10, from);
      const to = newline < 0 ? chunk.length : newline;
      for (let i = from; i < to && !filled; i++) filled = !isSpace(chunk[i] ?? 0);
      for (; square >= 0 && square < to; square = chunk.indexOf(91, square + 1)) opened++;
      for (; curly >= 0 && curly < to; curly = chunk.indexOf(123, curly + 1)) opened++;
      length += to - from;
      if (newline >= 0) endLine();
      from = to + 1;
    }
  }
  if (length > 0) endLine();
  return scan;
}

/** Copies a JSONL file with `null` in place of every line that is no JSON object; blank lines are left out. For files that DuckDB cannot read line by line. */
export async function sanitizeLines(file: string, target: string, signal?: AbortSignal): Promise<void> {
  await pipeline(sanitized(file, signal), createWriteStream(target, { flags: "wx", mode: 0o600 }));
}

async function* sanitized(file: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const newline = Buffer.from("\n");
  for await (const line of readLines(file, signal)) {
    if (!(line instanceof LongLine) && isBlank(line)) continue;
    const good = !(line instanceof LongLine) && lineFault(line) === undefined;
    yield good ? Buffer.concat([Buffer.from(withoutBom(line).toString("utf8").trim()), newline]) : Buffer.from("null\n");
  }
}
