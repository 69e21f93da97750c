import { existsSync } from "node:fs";
import path from "node:path";
import type { EvalResult } from "../core/eval/result";
import { parseRunFile } from "../core/run/schema";
import { readSpec } from "../runtime/spec";
import { besides, readYaml } from "./files";
import { runsNamed } from "./models";
import { listResults } from "./run-eval";

/** The newest finished run of each name, in the order in which they were made. Folders that cannot be read are left out. */
export function finishedRuns(root: string): string[] {
  const newest = new Map<string, string>();
  for (const dir of runsNamed(root)) {
    const name = specOf(dir)?.name;
    if (name === undefined || newest.has(name)) continue;
    if (["model", "adapter"].some((made) => existsSync(path.join(dir, made)))) newest.set(name, dir);
  }
  return [...newest.values()].reverse();
}

/** The recipes that runs were made from, each once, as far as their run files are still there. */
export function recipesOf(runs: readonly string[]): string[] {
  const recipes = new Set<string>();
  for (const dir of runs) {
    const written = specOf(dir)?.file;
    const file = written === undefined || written === null ? undefined : path.resolve(dir, written);
    if (file === undefined || !existsSync(file)) continue;
    const { data } = readYaml(file, "run file", parseRunFile);
    if (typeof data === "string") recipes.add(besides(file, data));
  }
  return [...recipes];
}

/** What the models of a workspace were asked, in the order in which they were; of one eval file when it is given. */
export function askedSoFar(root: string, evalFile?: string): { file: string; stages: EvalResult[] }[] {
  const files = new Map<string, EvalResult[]>();
  for (const result of listResults(root, evalFile).results.reverse()) {
    const file = path.resolve(root, result.file);
    if (!existsSync(file)) continue;
    files.set(file, [...(files.get(file) ?? []), result]);
  }
  return [...files].map(([file, stages]) => ({ file, stages }));
}

function specOf(dir: string): ReturnType<typeof readSpec> | undefined {
  try {
    return readSpec(dir);
  } catch {
    return undefined;
  }
}
