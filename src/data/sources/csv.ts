/** CSV by records: where each begins, and which are broken. DuckDB reads the values. */
import { isUtf8 } from "node:buffer";
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { isBlank, LongLine, maxLineBytes, lineBatches, tooLong, withoutBom, withoutReturn } from "./lines";

export interface CsvScan {
  delimiter: string;
  /** Good records without the header. */
  records: number;
  /** 0-based line of record i where that is not i + 1. */
  lines: [record: number, line: number][];
  /** Broken records: 0-based line and why. */
  bad: { line: number; reason: string }[];
}

const quote = 34;
const delimiters = [",", ";", "\t", "|"];

/** The delimiter that stands most often in a header, outside of quotes. */
function delimiterOf(header: Buffer): string {
  const plain = header.toString("utf8").replace(/"(?:[^"]|"")*"/g, "");
  const counts = delimiters.map((mark) => plain.split(mark).length);
  return delimiters[counts.indexOf(Math.max(...counts))] ?? ",";
}

interface Fields {
  count: number;
  /** A quoted field goes on in the next line. */
  open: boolean;
  fault?: string;
}

/** The fields of a line; `open` says that it begins within a quoted one. */
function fieldsOf(line: Buffer, delimiter: number, open: boolean): Fields {
  let count = 1;
  if (!open && !line.includes(quote)) {
    for (let at = line.indexOf(delimiter); at >= 0; at = line.indexOf(delimiter, at + 1)) count++;
    return { count, open: false };
  }
  let i = 0;
  let quoted = open;
  for (;;) {
    if (quoted) {
      const end = line.indexOf(quote, i);
      if (end < 0) return { count, open: true };
      if (line[end + 1] === quote) {
        i = end + 2;
        continue;
      }
      i = end + 1;
      quoted = false;
      if (i < line.length && line[i] !== delimiter) return { count, open: false, fault: "something stands behind a closing quote" };
    } else if (line[i] === quote) {
      quoted = true;
      i++;
      continue;
    }
    const next = line.indexOf(delimiter, i);
    if (next < 0) return { count, open: false };
    count++;
    i = next + 1;
  }
}

/** Reads a CSV file's records. With a target, the good ones are copied there. */
export async function scanCsv(plain: string, target: string | undefined, tabs: boolean, signal?: AbortSignal): Promise<CsvScan> {
  const scan: CsvScan = { delimiter: tabs ? "\t" : ",", records: 0, lines: [], bad: [] };
  if (target === undefined) for await (const part of goodRecords(plain, scan, tabs, false, signal)) void part;
  else await pipeline(goodRecords(plain, scan, tabs, true, signal), createWriteStream(target, { flags: "wx", mode: 0o600 }));
  scan.bad.sort((a, b) => a.line - b.line);
  return scan;
}

/** Lines of a record at most: beyond, its quote was never closed. */
const recordLines = 100_000;

async function* goodRecords(plain: string, scan: CsvScan, tabs: boolean, keep: boolean, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let columns = 0;
  let shift = 1;
  let record: Buffer[] = [];
  let [first, start, held, count, open] = [true, 0, 0, 0, false];
  const newline = Buffer.from("\n");
  const reset = () => {
    record = [];
    [held, count, open] = [0, 0, false];
  };
  let out: Buffer[] = [];
  const put = (): void => {
    if (keep) for (const part of record) out.push(part, newline);
    if (columns === 0) columns = count;
    else {
      if (start !== scan.records + shift) {
        shift = start - scan.records;
        scan.lines.push([scan.records, start]);
      }
      scan.records++;
    }
    reset();
  };
  /** The lines of a record that broke off: the first is bad, the others are read anew. */
  let again: { line: number; bytes: Buffer | LongLine }[] = [];
  const next = (line: number, read: Buffer | LongLine): void => {
    const broken = (reason: string): void => {
      scan.bad.push({ line: start, reason });
      const rest = record.slice(1).map((bytes, i) => ({ line: start + 1 + i, bytes }));
      if (record.length > 0) again.push(...rest, { line, bytes: read });
      reset();
    };
    if (!open) start = line;
    if (read instanceof LongLine) return broken(tooLong(read.bytes));
    const bytes = withoutReturn(read);
    if (!open && isBlank(bytes)) return;
    const fields = fieldsOf(bytes, scan.delimiter.charCodeAt(0), open);
    const total = open ? count + fields.count - 1 : fields.count;
    if (fields.fault !== undefined) return broken(fields.fault);
    if (record.length === 0 && !isUtf8(bytes)) return broken("it is not valid UTF-8");
    if (record.length > 0 && !isUtf8(bytes)) return broken("it is not valid UTF-8, in one of its lines");
    if (bytes.includes(0)) return broken("it has NUL bytes");
    record.push(bytes);
    held += bytes.length + 1;
    [count, open] = [total, fields.open];
    if (open && held <= maxLineBytes && record.length <= recordLines) return;
    if (open || held > maxLineBytes) {
      // This line is read anew with the others.
      const reason = held > maxLineBytes ? tooLong(held, "the record") : "a quote is never closed";
      record.pop();
      return broken(reason);
    }
    if (columns > 0 && total !== columns) {
      scan.bad.push({ line: start, reason: `it has ${total} ${total === 1 ? "field" : "fields"}, the header ${columns}` });
      reset();
      return;
    }
    put();
  };
  const drain = (): void => {
    while (again.length > 0) {
      const lines = again;
      again = [];
      for (const [i, { line, bytes }] of lines.entries()) {
        next(line, bytes);
        if (again.length > 0) {
          again.push(...lines.slice(i + 1));
          break;
        }
      }
    }
  };
  let line = 0;
  for await (const lines of lineBatches(plain, signal)) {
    for (const read of lines) {
      let bytes = read;
      if (first && !(read instanceof LongLine)) {
        bytes = withoutBom(read);
        if (!tabs) scan.delimiter = delimiterOf(bytes);
      }
      first = false;
      next(line++, bytes);
      if (again.length > 0) drain();
    }
    if (out.length > 0) yield Buffer.concat(out);
    out = [];
  }
  while (open) {
    // The file ended within a quoted field.
    scan.bad.push({ line: start, reason: "a quote is never closed" });
    again = record.slice(1).map((bytes, i) => ({ line: start + 1 + i, bytes }));
    reset();
    drain();
  }
  if (out.length > 0) yield Buffer.concat(out);
}
