/** `run.json`: what a run was asked to do. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { TillageError } from "../protocol/errors";
import { checked } from "../protocol/native";
import type { RunSpec } from "../protocol/native.gen";

/**
 * `run.json` of a folder.
 * @throws `no_run` when there is none, `run_json` when it is no JSON, `native_contract` when it is not one that this version can read
 */
export function readSpec(dir: string): RunSpec {
  const file = path.join(dir, "run.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new TillageError({ blame: "user", code: "no_run", message: `${dir} holds no run: ${(error as Error).message}.`, remedy: "Choose a folder of .tillage/runs, or start the run again from its run file.", file }, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TillageError({ blame: "user", code: "run_json", message: `${file} is not valid JSON: ${(error as Error).message}.`, remedy: "Start the run again from its run file.", file }, { cause: error });
  }
  return checked("run_spec", value, file);
}
