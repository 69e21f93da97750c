#!/usr/bin/env node
// Makes a DuckDB loadable extension of a shared library: appends the 534-byte footer that DuckDB
// reads before it opens the file. Usage: node scripts/sign-extension.mjs IN OUT [--platform NAME]
//
// The footer: a WebAssembly custom-section header of 22 bytes, eight fields of 32 bytes (last field
// first) and 256 bytes for a signature. The signature stays zero, so the database that loads the
// file must be opened with allow_unsigned_extensions.
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const METADATA_VERSION = "4";
const ABI = "C_STRUCT";
const C_API_VERSION = "v1.2.0";
const SECTION_HEADER = Buffer.concat([
  Buffer.from([0, 147, 4, 16]),
  Buffer.from("duckdb_signature", "ascii"),
  Buffer.from([128, 4]),
]);
const FIELD_BYTES = 32;
const SIGNATURE_BYTES = 256;
/** Node's platform and architecture, as DuckDB spells them. */
const PLATFORMS = {
  "linux-x64": "linux_amd64",
  "linux-arm64": "linux_arm64",
  "darwin-x64": "osx_amd64",
  "darwin-arm64": "osx_arm64",
  "win32-x64": "windows_amd64",
};

function hostPlatform() {
  const host = `${process.platform}-${process.arch}`;
  const platform = PLATFORMS[host];
  if (platform === undefined) {
    throw new Error(`no DuckDB platform is known for ${host}: name one with --platform (${Object.values(PLATFORMS).join(", ")})`);
  }
  return platform;
}

function field(text) {
  const bytes = Buffer.alloc(FIELD_BYTES);
  if (Buffer.byteLength(text) > FIELD_BYTES) throw new Error(`"${text}" is longer than ${FIELD_BYTES} bytes`);
  bytes.write(text, "utf8");
  return bytes;
}

/** The footer for one extension version and platform: 534 bytes. */
export function footer(extensionVersion, platform) {
  const fields = ["", "", "", ABI, extensionVersion, C_API_VERSION, platform, METADATA_VERSION];
  return Buffer.concat([SECTION_HEADER, ...fields.map(field), Buffer.alloc(SIGNATURE_BYTES)]);
}

/** Writes `input` with the footer to `output`, whole or not at all. */
export function signExtension(input, output, { version, platform = hostPlatform() }) {
  if (basename(output) !== "tillage.duckdb_extension") {
    throw new Error(`the file must be called tillage.duckdb_extension, DuckDB derives the init symbol from its name; got ${basename(output)}`);
  }
  const library = readFileSync(input);
  if (library.includes(SECTION_HEADER)) throw new Error(`${input} already has a footer: give the library that cargo built`);
  mkdirSync(dirname(output), { recursive: true });
  const temporary = `${output}.${process.pid}.tmp`;
  const file = openSync(temporary, "w");
  try {
    for (const part of [library, footer(version, platform)]) {
      for (let written = 0; written < part.length; ) written += writeSync(file, part, written);
    }
    fsyncSync(file);
    closeSync(file);
    renameSync(temporary, output);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function main() {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { platform: { type: "string" } } });
  const [input, output] = positionals;
  if (input === undefined || output === undefined || positionals.length !== 2) {
    throw new Error("usage: node scripts/sign-extension.mjs IN OUT [--platform NAME]");
  }
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  signExtension(input, output, { version: `v${manifest.version}`, platform: values.platform });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main();
  } catch (error) {
    process.stderr.write(`sign-extension: ${error.message}\n`);
    process.exitCode = 1;
  }
}
