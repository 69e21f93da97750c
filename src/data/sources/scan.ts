import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { formatOfName } from "../../core/dataset/formats";
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

const known = new Map<string, FileScan & { lines?: LineScan }>();

function remembered(file: string): (FileScan & { lines?: LineScan }) | undefined {
  const version = fileVersion(file);
  const before = known.get(file);
  return before?.size === version.size && before.mtimeMs === version.mtimeMs ? before : undefined;
}

/** A file's hash. Remembered until size or time change. JSONL's lines are looked at on the way: they are wanted next. */
export async function scanFile(file: string, signal?: AbortSignal): Promise<FileScan> {
  const before = remembered(file);
  if (before) return before;
  const version = fileVersion(file);
  const format = formatOfName(file);
  const lines = format?.format === "jsonl" && format.compression === undefined ? new LineScanner() : undefined;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    hash.update(chunk);
    lines?.feed(chunk);
  }
  const scan = { ...version, sha256: hash.digest("hex"), ...(lines ? { lines: lines.end() } : {}) };
  known.set(file, scan);
  return scan;
}

/** What a file's lines are like. */
export async function scanLines(file: string, signal?: AbortSignal): Promise<LineScan> {
  const before = remembered(file)?.lines;
  if (before) return before;
  const lines = new LineScanner();
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    lines.feed(chunk);
  }
  return lines.end();
}

/** Goes over a file by searching for line breaks and brackets; only white space at a line's start is looked at byte by byte. */
class LineScanner {
  private readonly scan: LineScan = { lines: 0, blank: [], longestLine: 0, mostOpened: 0, byteOrderMark: false };
  private line = 0;
  private length = 0;
  private filled = false;
  private opened = 0;
  private first = true;

  feed(chunk: Buffer): void {
    if (this.first) this.scan.byteOrderMark = withoutBom(chunk).length < chunk.length;
    this.first = false;
    let [square, curly] = [chunk.indexOf(91), chunk.indexOf(123)];
    for (let from = 0; from < chunk.length; ) {
      const newline = chunk.indexOf(10, from);
      const to = newline < 0 ? chunk.length : newline;
      for (let i = from; i < to && !this.filled; i++) this.filled = !isSpace(chunk[i] ?? 0);
      for (; square >= 0 && square < to; square = chunk.indexOf(91, square + 1)) this.opened++;
      for (; curly >= 0 && curly < to; curly = chunk.indexOf(123, curly + 1)) this.opened++;
      this.length += to - from;
      if (newline >= 0) this.endLine();
      from = to + 1;
    }
  }

  end(): LineScan {
    if (this.length > 0) this.endLine();
    return this.scan;
  }

  private endLine(): void {
    if (this.filled) this.scan.lines++;
    else this.scan.blank.push(this.line);
    this.scan.longestLine = Math.max(this.scan.longestLine, this.length);
    this.scan.mostOpened = Math.max(this.scan.mostOpened, this.opened);
    this.line++;
    this.length = 0;
    this.filled = false;
    this.opened = 0;
  }
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
