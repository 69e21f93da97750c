/** Where things lie in a workspace. Files are the truth; `.tillage/` can be deleted and rebuilt, except for runs and evals. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

/**
 * The folder that holds `.tillage/`: the nearest one upwards that has it already, otherwise the nearest that has
 * `.vscode` or `.git`, otherwise the file's own folder.
 */
export function workspaceRoot(fileOrDir: string): string {
  const absolute = path.resolve(fileOrDir);
  const start = statSync(absolute, { throwIfNoEntry: false })?.isDirectory() ? absolute : path.dirname(absolute);
  const chain: string[] = [];
  for (let dir = start; ; dir = path.dirname(dir)) {
    chain.push(dir);
    if (path.dirname(dir) === dir) break;
  }
  const having = (...names: string[]): string | undefined => chain.find((dir) => names.some((name) => existsSync(path.join(dir, name))));
  return having(".tillage") ?? having(".vscode", ".git") ?? start;
}

export const runsDir = (root: string): string => path.join(root, ".tillage", "runs");
export const evalsDir = (root: string): string => path.join(root, ".tillage", "evals");
export const datasetsDir = (root: string): string => path.join(root, ".tillage", "datasets");
export const reportsDir = (root: string): string => path.join(root, ".tillage", "reports");

/** The stem of `tune.run.yaml` is `tune`. */
export function stem(file: string): string {
  return path.basename(file).replace(/\.(run|recipe|eval)\.ya?ml$/u, "");
}

/** Writes a whole file or nothing: a temporary file beside it, fsync, rename. */
export function writeAtomic(file: string, data: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.tmp`);
  try {
    const handle = openSync(temporary, "w");
    try {
      writeFileSync(handle, data);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
