/** Files as lines of bytes, and what is wrong with a line. */
import { isUtf8 } from "node:buffer";
import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { TillageError } from "../../protocol/errors";
import { throwIfCancelled } from "../duckdb/failure";

/** A row longer than this is a bad row: some four million tokens. What steps and guards make of a text takes up to 100 times its size in memory. */
export const maxLineBytes = 16 * 1024 * 1024;

/** JSON nested deeper than this is a bad row: DuckDB walks it by recursion. */
export const maxDepth = 1000;

const bom = Buffer.from([0xef, 0xbb, 0xbf]);

export function isSpace(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}

export function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (!isSpace(byte)) return false;
  return true;
}

/** Without UTF-8's byte order mark. */
export function withoutBom(bytes: Buffer): Buffer {
  return bytes.subarray(0, 3).equals(bom) ? bytes.subarray(3) : bytes;
}

/** A line without what is left of Windows' line break. */
export function withoutReturn(bytes: Buffer): Buffer {
  return bytes.at(-1) === 13 ? bytes.subarray(0, -1) : bytes;
}

/** A line that was longer than `maxLineBytes`: only its beginning was kept. */
export class LongLine {
  constructor(readonly bytes: number) {}
}

/** The lines of a file, without their line breaks; of one that is too long only how long it is. */
export async function* readLines(file: string, signal?: AbortSignal): AsyncGenerator<Buffer | LongLine> {
  for await (const lines of lineBatches(file, signal)) yield* lines;
}

/** The lines of a file, many at a time: a step of an asynchronous loop costs more than a short line. */
export async function* lineBatches(file: string, signal?: AbortSignal): AsyncGenerator<(Buffer | LongLine)[]> {
  let rest: Buffer[] = [];
  let held = 0;
  const line = (end: Buffer): Buffer | LongLine => {
    const bytes = held + end.length;
    const whole = bytes > maxLineBytes ? new LongLine(bytes) : rest.length === 0 ? end : Buffer.concat([...rest, end]);
    rest = [];
    held = 0;
    return whole;
  };
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    const lines: (Buffer | LongLine)[] = [];
    let from = 0;
    for (let newline = chunk.indexOf(10); newline >= 0; newline = chunk.indexOf(10, from)) {
      lines.push(line(chunk.subarray(from, newline)));
      from = newline + 1;
    }
    if (lines.length > 0) yield lines;
    if (from === chunk.length) continue;
    held += chunk.length - from;
    // What is too long already is not kept any more.
    if (held <= maxLineBytes) rest.push(chunk.subarray(from));
    else rest = [];
  }
  if (held > 0) yield [line(Buffer.alloc(0))];
}

/** Why a row of so many bytes is too long. */
export function tooLong(bytes: number, what = "the line"): string {
  return `${what} has ${Math.round(bytes / 1048576)} MB; at most ${maxLineBytes / 1048576} MB are read`;
}

/** How deep the brackets of a JSON text are nested. */
function depthOf(bytes: Buffer): number {
  let [depth, deepest, inText] = [0, 0, false];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inText) {
      if (byte === 92) i++;
      else if (byte === 34) inText = false;
    } else if (byte === 34) inText = true;
    else if (byte === 91 || byte === 123) deepest = Math.max(deepest, ++depth);
    else if (byte === 93 || byte === 125) depth--;
  }
  return deepest;
}

/** How many brackets are opened, in texts too; no more are counted than `upTo`. */
export function countOpened(bytes: Buffer, upTo: number): number {
  let opened = 0;
  for (const bracket of [91, 123]) for (let at = bytes.indexOf(bracket); at >= 0 && opened <= upTo; at = bytes.indexOf(bracket, at + 1)) opened++;
  return opened;
}

/** Why a line is no JSON object; undefined when it is one. */
export function lineFault(line: Buffer | LongLine): string | undefined {
  if (line instanceof LongLine) return tooLong(line.bytes);
  if (!isUtf8(line)) return "it is not valid UTF-8";
  if (countOpened(line, maxDepth) > maxDepth && depthOf(line) > maxDepth) return `it is nested deeper than ${maxDepth} levels`;
  try {
    const value: unknown = JSON.parse(withoutBom(line).toString("utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return undefined;
    return `it is ${Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`}, not a JSON object`;
  } catch (error) {
    return `it is not valid JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Why a piece of plain text is no good; undefined when it is. */
export function textFault(bytes: Buffer): string | undefined {
  if (bytes.length > maxLineBytes) return tooLong(bytes.length, "the text");
  if (!isUtf8(bytes)) return "it is not valid UTF-8";
  return bytes.includes(0) ? "it has NUL bytes" : undefined;
}

/** UTF-16 and UTF-32 are refused with what to do; they are told by their first bytes. */
export function refuseWideEncodings(plain: string, file: string): void {
  const head = Buffer.alloc(4);
  const descriptor = openSync(plain, "r");
  try {
    readSync(descriptor, head, 0, 4, 0);
  } finally {
    closeSync(descriptor);
  }
  const wide = head[0] === 0xff && head[1] === 0xfe ? (head[2] === 0 && head[3] === 0 ? "UTF-32" : "UTF-16") : head[0] === 0xfe && head[1] === 0xff ? "UTF-16" : undefined;
  if (wide === undefined) return;
  throw TillageError.user("wrong_encoding", `${file} is ${wide}; Tillage reads UTF-8.`, `Save it as UTF-8 in your editor, or convert it: iconv -f ${wide} -t UTF-8 OLD > NEW.`, { file, line: 1 });
}
