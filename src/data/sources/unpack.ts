/** Packed files (.gz, .zst) as plain ones: unpacked into a temporary file, within limits that a file made to fill the disk does not get past. */
import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream, rmSync, statfsSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { Decompress } from "fzstd";
import type { Compression } from "../../core/dataset/formats";
import { TillageError } from "../../protocol/errors";
import { throwIfCancelled } from "../duckdb/failure";

/** What a packed file may become. Text packs 3 to 20 times; 300 times is a file of one line over and over, or a trap. */
export const unpackLimits = {
  /** Up to this size nothing is asked. */
  freeBytes: 256 * 1024 ** 2,
  /** Beyond it, so many times the packed size. */
  ratio: 300,
  /** And at most this. */
  bytes: 256 * 1024 ** 3,
  /** Room that is left on the disk. */
  leftBytes: 1024 ** 3,
};
export type UnpackLimits = typeof unpackLimits;

/** A new name in the system's temporary folder. */
export function temporaryFile(extension: string): string {
  return path.join(os.tmpdir(), `tillage-${randomUUID()}.${extension}`);
}

/** Runs `work` on a file that is not packed: the file itself, or an unpacked copy that is removed afterwards. */
export async function withPlain<T>(file: string, compression: Compression | undefined, signal: AbortSignal | undefined, work: (plain: string) => Promise<T>): Promise<T> {
  if (compression === undefined) return work(file);
  const plain = temporaryFile("plain");
  try {
    await unpack(file, compression, plain, signal);
    return await work(plain);
  } finally {
    rmSync(plain, { force: true });
  }
}

/** Unpacks a file; a broken one, and one beyond the limits, is the user's error. */
export async function unpack(file: string, compression: Compression, target: string, signal?: AbortSignal, limits: UnpackLimits = unpackLimits): Promise<void> {
  const packed = statSync(file).size;
  const most = Math.min(limits.bytes, Math.max(limits.freeBytes, packed * limits.ratio));
  const disk = statfsSync(path.dirname(target));
  const room = disk.bavail * disk.bsize - limits.leftBytes;
  try {
    const plain = compression === "gz" ? gunzipped(file) : unzstd(file);
    await pipeline(Readable.from(limited(plain, { file, packed, most, room }, signal), { objectMode: false, highWaterMark: 1 << 20 }), createWriteStream(target, { flags: "wx", mode: 0o600 }));
  } catch (error) {
    if (error instanceof TillageError || isSystem(error)) throw error;
    throw TillageError.user("broken_archive", `${file} cannot be unpacked: ${error instanceof Error ? error.message : String(error)}.`, "It was cut short, or it is no such archive: copy or download it again.", { file });
  }
}

function isSystem(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

interface Bounds {
  file: string;
  packed: number;
  most: number;
  room: number;
}

async function* limited(chunks: AsyncIterable<Uint8Array>, { file, packed, most, room }: Bounds, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    throwIfCancelled(signal);
    bytes += chunk.length;
    if (bytes > most) {
      throw TillageError.user("unpacked_too_large", `${file} (${size(packed)}) becomes more than ${size(most)} when it is unpacked: at most ${unpackLimits.ratio} times its size are read, and ${size(unpackLimits.bytes)}.`, "Unpack it yourself where you trust it, and name the plain file.", { file });
    }
    if (bytes > room) throw TillageError.environment("disk_full", `There is no room to unpack ${file}: ${size(bytes)} so far.`, "Free some space in the temporary folder, or unpack the file yourself and name the plain one.", { file });
    yield chunk;
  }
}

function size(bytes: number): string {
  return bytes >= 1e9 ? `${Math.round(bytes / 1e8) / 10} GB` : bytes >= 1e6 ? `${Math.round(bytes / 1e5) / 10} MB` : `${Math.round(bytes / 100) / 10} kB`;
}

function gunzipped(file: string): AsyncIterable<Uint8Array> {
  const unzip = createGunzip({ chunkSize: 1 << 18 });
  const source = createReadStream(file, { highWaterMark: 1 << 18 });
  source.on("error", (error) => unzip.destroy(error));
  unzip.on("close", () => source.destroy());
  return source.pipe(unzip);
}

/** Node 20 has no Zstandard of its own. */
async function* unzstd(file: string): AsyncGenerator<Uint8Array> {
  const ready: Uint8Array[] = [];
  const decoder = new Decompress((chunk) => void ready.push(chunk));
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
    // A little at a time: what one push unpacks is held in memory, and a block of 128 kB may be packed into 4 bytes.
    for (let from = 0; from < chunk.length; from += 4096) {
      decoder.push(chunk.subarray(from, from + 4096));
      yield* ready.splice(0);
    }
  }
  decoder.push(new Uint8Array(0), true);
  yield* ready.splice(0);
}
