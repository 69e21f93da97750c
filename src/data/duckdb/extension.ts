import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { TillageError } from "../../protocol/errors";

const name = "tillage.duckdb_extension";

/** The folder of the bundle; where there is no bundle (tests run the sources as ES modules), the working folder. */
function here(): string {
  return typeof __dirname === "string" ? __dirname : process.cwd();
}

/**
 * Where the DuckDB extension is: the file or folder that was given; else `native/` beside the bundle; else `dist/native/`
 * of a folder above (a development tree).
 */
export function findExtension(given?: string): string {
  const candidates: string[] = [];
  if (given !== undefined) {
    if (existsSync(given) && statSync(given).isDirectory()) candidates.push(path.join(given, name), path.join(given, "native", name), path.join(given, "dist", "native", name));
    else candidates.push(given);
  } else {
    candidates.push(path.join(here(), "native", name));
    for (let folder = here(); path.dirname(folder) !== folder; folder = path.dirname(folder)) candidates.push(path.join(folder, "dist", "native", name));
  }
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found !== undefined) return found;
  throw TillageError.environment("extension_missing", `Tillage's DuckDB extension (${name}) was not found.`, "Build it with 'npm run build', or install the package for this platform.", { file: candidates[0] });
}

const hashes = new Map<string, string>();

/** The SHA-256 of the extension's bytes: what text functions say is only as old as they are. */
export function extensionHash(given?: string): string {
  const file = findExtension(given);
  const key = `${file} ${statSync(file).mtimeMs}`;
  const known = hashes.get(key) ?? createHash("sha256").update(readFileSync(file)).digest("hex");
  hashes.set(key, known);
  return known;
}
