import { readFileSync } from "node:fs";
import path from "node:path";
import { TillageError } from "../protocol/errors";
import type { YamlFile } from "../core/yaml-file";

/** Reads a text file; a missing one and invalid UTF-8 are the user's errors that name it. */
export function readText(file: string, what: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") throw TillageError.user("file_not_found", `The ${what} ${file} does not exist.`, "Check the path in the file that names it.", { file });
    throw TillageError.environment("unreadable", `The ${what} ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}.`, "Check the file's permissions.", { file });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw TillageError.user("invalid_utf8", `The ${what} ${file} is not valid UTF-8.`, "Save it as UTF-8.", { file });
  }
}

/** Reads and parses a YAML file; throws its first problem. */
export function readYaml<T>(file: string, what: string, parse: (text: string, file: string) => YamlFile<T>): T {
  const parsed = parse(readText(file, what), file);
  const problem = parsed.problems[0];
  if (problem || parsed.value === undefined) {
    const { blame, code, message, remedy, line } = problem ?? TillageError.internal("no_value", `The ${what} gave no value.`).problem;
    throw new TillageError({ blame, code, message, remedy, file, line });
  }
  return parsed.value;
}

/** A path written in a file is relative to that file. */
export function besides(file: string, written: string): string {
  return path.resolve(path.dirname(file), written);
}
