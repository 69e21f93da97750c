import path from "node:path";
import { readText } from "../disk/read-text";
import { TillageError } from "../protocol/errors";
import type { YamlFile } from "../core/yaml-file";

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
