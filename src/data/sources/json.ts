/** JSON files as lines: the elements of an array, or of the one array of objects that an object holds. */
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { TillageError } from "../../protocol/errors";
import { throwIfCancelled } from "../duckdb/failure";
import { isSpace, lineFault, LongLine, maxLineBytes, readLines, withoutBom } from "./lines";

/** Longest key of an object that is remembered. */
const longestKey = 200;

/** What a JSON file looks like from its first line. */
export async function jsonLayout(plain: string, signal?: AbortSignal): Promise<"array" | "object" | "line" | "lines" | "other"> {
  let first = true;
  let lines = 0;
  for await (const line of readLines(plain, signal)) {
    if (line instanceof LongLine) return first ? "other" : "object";
    const bytes = first ? withoutBom(line) : line;
    const start = bytes.findIndex((byte) => !isSpace(byte));
    if (start < 0) continue;
    const byte = bytes[start];
    if (first) {
      if (byte === 0x5b) return "array";
      if (byte !== 0x7b) return "other";
      first = false;
      if (lineFault(bytes) !== undefined) return "object";
      lines++;
    } else {
      // A second object behind the first: it is JSONL under another name.
      return byte === 0x7b ? "lines" : "object";
    }
  }
  return lines > 0 ? "line" : "other";
}

/** Copies the elements of a JSON file's array into a file with one a line. Answers with the 0-based line of each element in the file itself. */
export async function jsonElements(file: string, plain: string, layout: "array" | "object", target: string, signal?: AbortSignal): Promise<number[]> {
  const splitter = new Splitter(file, layout);
  await pipeline(elements(plain, splitter, signal), createWriteStream(target, { flags: "wx", mode: 0o600 }));
  return splitter.lines;
}

async function* elements(plain: string, splitter: Splitter, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let first = true;
  for await (const chunk of createReadStream(plain, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    const out = splitter.feed(first ? withoutBom(chunk) : chunk);
    first = false;
    if (out.length > 0) yield Buffer.concat(out);
  }
  const out = splitter.end();
  if (out.length > 0) yield Buffer.concat(out);
}

const newline = Buffer.from("\n");
/** Stands for an element that is too long; DuckDB reads it as no object. */
const placeholder = Buffer.from(`"too long"`);

/** Follows brackets and texts; everything else is checked where the elements are read. */
class Splitter {
  readonly lines: number[] = [];
  private line = 0;
  private depth = 0;
  private inText = false;
  private escaped = false;
  /** Whether the present array's elements are taken. */
  private taking = false;
  private key = "";
  private keyParts: Buffer[] | undefined;
  private taken: string | undefined;
  private parts: Buffer[] = [];
  private held = 0;
  private open = false;
  private begun = false;
  private over = false;

  constructor(
    private readonly file: string,
    private readonly layout: "array" | "object",
  ) {}

  private get base(): number {
    return this.layout === "array" ? 1 : 2;
  }

  feed(chunk: Buffer): Buffer[] {
    const out: Buffer[] = [];
    let start = this.open ? 0 : -1;
    let i = 0;
    while (i < chunk.length) {
      if (this.inText) {
        const to = this.textEnd(chunk, i);
        this.keyParts?.push(chunk.subarray(i, Math.min(to, i + longestKey)));
        i = to;
        if (i === chunk.length) break;
        if (this.keyParts) {
          this.key = Buffer.concat(this.keyParts).toString("utf8").slice(0, longestKey);
          this.keyParts = undefined;
        }
        i++;
        continue;
      }
      const byte = chunk[i] ?? 0;
      if (byte === 10) this.line++;
      if (this.taking && this.depth === this.base && !this.open && !isSpace(byte) && byte !== 0x2c && byte !== 0x5d) {
        this.open = true;
        start = i;
        this.lines.push(this.line);
      }
      switch (byte) {
        case 0x22:
          this.inText = true;
          if (this.layout === "object" && this.depth === 1) this.keyParts = [];
          break;
        case 0x5b:
        case 0x7b:
          this.depth++;
          if (byte === 0x5b && this.depth === this.base && !this.over) this.enter();
          break;
        case 0x5d:
        case 0x7d:
          if (this.taking && this.depth === this.base) {
            if (this.open) this.close(out, chunk.subarray(start, i));
            this.taking = false;
            if (this.layout === "array") this.over = true;
          }
          this.depth = Math.max(0, this.depth - 1);
          break;
        case 0x2c:
          if (this.open && this.depth === this.base) this.close(out, chunk.subarray(start, i));
          break;
        default:
      }
      i++;
    }
    if (this.open) this.keep(chunk.subarray(start));
    return out;
  }

  /** The array's end is missing: what is left is one element, which the reader of elements judges. */
  end(): Buffer[] {
    const out: Buffer[] = [];
    if (this.open) this.close(out, Buffer.alloc(0));
    return out;
  }

  /** Where the text ends, or the chunk. */
  private textEnd(chunk: Buffer, from: number): number {
    let i = from;
    while (i < chunk.length) {
      if (this.escaped) {
        this.escaped = false;
        i++;
        continue;
      }
      const quote = chunk.indexOf(0x22, i);
      const end = quote < 0 ? chunk.length : quote;
      const slash = chunk.subarray(i, end).indexOf(0x5c);
      if (slash < 0) {
        for (let at = chunk.subarray(i, end).indexOf(10); at >= 0; at = chunk.subarray(i, end).indexOf(10, at + 1)) this.line++;
        this.inText = quote < 0;
        return end;
      }
      i += slash + 1;
      this.escaped = true;
    }
    return chunk.length;
  }

  /** An array at the depth of rows begins: it is the one whose elements are taken, unless there was one. */
  private enter(): void {
    if (this.layout === "array") {
      this.taking = !this.begun;
      this.begun = true;
      return;
    }
    this.taking = true;
    this.begun = false;
  }

  private keep(part: Buffer): void {
    this.held += part.length;
    if (this.held <= maxLineBytes) this.parts.push(Buffer.from(part));
    else this.parts = [];
  }

  private close(out: Buffer[], last: Buffer): void {
    this.keep(last);
    const bytes = this.held > maxLineBytes ? placeholder : Buffer.concat(this.parts);
    this.parts = [];
    this.held = 0;
    this.open = false;
    if (this.layout === "object" && !this.begun) {
      this.begun = true;
      // Lists of numbers and texts beside the rows are no rows.
      if (bytes[0] !== 0x7b) {
        this.taking = false;
        this.lines.pop();
        return;
      }
      if (this.taken !== undefined) {
        throw TillageError.user("several_arrays", `${this.file} has several lists of objects: '${this.taken}' and '${this.key}'.`, "Keep one of them in a file of its own.", { file: this.file });
      }
      this.taken = this.key;
    }
    // A raw line break between tokens is white space; in a text it is an error, and stays one.
    out.push(oneLine(bytes), newline);
  }
}

/** Line breaks become blanks outside of texts, and control characters, which JSON refuses, within them. */
function oneLine(bytes: Buffer): Buffer {
  if (!bytes.includes(10) && !bytes.includes(13)) return bytes;
  const copy = Buffer.from(bytes);
  let inText = false;
  for (let i = 0; i < copy.length; i++) {
    const byte = copy[i];
    if (byte === 92) i++;
    else if (byte === 34) inText = !inText;
    else if (byte === 10 || byte === 13) copy[i] = inText ? 1 : 32;
  }
  return copy;
}
