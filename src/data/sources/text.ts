/** Plain text as rows: a file, its lines or its paragraphs. */
import { createReadStream, createWriteStream, rmSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { TextRows } from "../../core/dataset/formats";
import type { BadRow } from "../../protocol/corpus";
import type { Session } from "../duckdb/session";
import { ident, literal } from "../duckdb/sql";
import { throwIfCancelled } from "../duckdb/failure";
import { isBlank, LongLine, maxLineBytes, readLines, textFault, tooLong, withoutBom, withoutReturn } from "./lines";
import { maxListedBad, type RawTable, type SourceFile } from "./read";
import { temporaryFile } from "./unpack";

/** A piece of a file with the 0-based line on which it begins. */
interface Piece {
  line: number;
  bytes: Buffer | LongLine;
}

/** Bytes that are gathered before they are written. */
const batchBytes = 1 << 20;

/** Reads a text file into the table: `_tillage_row` is the 0-based line on which the row begins. */
export async function readText(session: Session, { file, plain }: SourceFile, table: string, rows: TextRows): Promise<RawTable> {
  const bad: BadRow[] = [];
  let badRows = 0;
  const fault = (line: number, reason: string) => {
    badRows++;
    if (bad.length < maxListedBad) bad.push({ file, line: line + 1, reason: rows === "file" && reason.includes("at most") ? `${reason} as one row: say 'rows: paragraph' or 'rows: line'` : reason });
  };
  const copy = temporaryFile("jsonl");
  try {
    await pipeline(jsonLines(pieces(plain, rows, session.signal), fault), createWriteStream(copy, { flags: "wx", mode: 0o600 }));
    await session.run(`CREATE TABLE ${ident(table)} AS SELECT l AS _tillage_row, text FROM read_ndjson(${literal(copy)}, columns = {l: 'BIGINT', text: 'VARCHAR'}, maximum_object_size = ${8 * maxLineBytes}, hive_partitioning = false)`);
  } finally {
    rmSync(copy, { force: true });
  }
  return { table, columns: [{ name: "text", type: "VARCHAR" }], json: false, bad, badRows };
}

/** The good pieces as JSON lines; the others are told to `fault`. */
async function* jsonLines(source: AsyncIterable<Piece>, fault: (line: number, reason: string) => void): AsyncGenerator<string> {
  let batch = "";
  for await (const { line, bytes } of source) {
    const reason = bytes instanceof LongLine ? tooLong(bytes.bytes, "the text") : textFault(bytes);
    if (reason !== undefined) fault(line, reason);
    else batch += `${JSON.stringify({ l: line, text: (bytes as Buffer).toString("utf8") })}\n`;
    if (batch.length < batchBytes) continue;
    yield batch;
    batch = "";
  }
  // An empty file is no JSON to DuckDB; a blank line is none either, but a file.
  yield batch === "" ? "\n" : batch;
}

async function* pieces(plain: string, rows: TextRows, signal?: AbortSignal): AsyncGenerator<Piece> {
  if (rows === "file") yield* wholeFile(plain, signal);
  else if (rows === "line") yield* fileLines(plain, signal);
  else yield* paragraphs(plain, signal);
}

async function* wholeFile(plain: string, signal?: AbortSignal): AsyncGenerator<Piece> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of createReadStream(plain, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    bytes += chunk.length;
    if (bytes <= maxLineBytes) parts.push(chunk);
    else parts.length = 0;
  }
  const whole = bytes > maxLineBytes ? new LongLine(bytes) : withoutBom(Buffer.concat(parts));
  if (whole instanceof LongLine || !isBlank(whole)) yield { line: 0, bytes: whole };
}

/** Lines with something on them. */
async function* fileLines(plain: string, signal?: AbortSignal): AsyncGenerator<Piece> {
  let line = 0;
  for await (const read of readLines(plain, signal)) {
    const bytes = read instanceof LongLine ? read : withoutReturn(line === 0 ? withoutBom(read) : read);
    if (bytes instanceof LongLine || !isBlank(bytes)) yield { line, bytes };
    line++;
  }
}

/** What stands between blank lines. */
async function* paragraphs(plain: string, signal?: AbortSignal): AsyncGenerator<Piece> {
  let [start, held, next] = [0, 0, 0];
  let parts: Buffer[] = [];
  const end = (): Piece => {
    const bytes = held > maxLineBytes ? new LongLine(held) : Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from("\n"), part])));
    parts = [];
    held = 0;
    return { line: start, bytes };
  };
  for await (const read of readLines(plain, signal)) {
    const line = next++;
    const bytes = read instanceof LongLine ? read : withoutReturn(line === 0 ? withoutBom(read) : read);
    if (!(bytes instanceof LongLine) && isBlank(bytes)) {
      if (held > 0) yield end();
      continue;
    }
    if (held === 0) start = line;
    held += (bytes instanceof LongLine ? bytes.bytes : bytes.length) + 1;
    if (bytes instanceof LongLine || held > maxLineBytes) parts = [];
    else parts.push(bytes);
  }
  if (held > 0) yield end();
}
