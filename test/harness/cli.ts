import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { root } from "../../scripts/lib/run.mjs";

/** The `tillage` command as it ships: the bundle, the engine, the DuckDB extension. */
export const cli = path.join(root, "dist/cli.js");

/** What a command said, and how it ended. */
export interface Outcome {
  /** Exit code; -1 where a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `tillage` in a folder, without colours. Never throws for a failed command. */
export function tillageIn(cwd: string, ...args: string[]): Promise<Outcome> {
  if (!existsSync(cli)) throw new Error("dist/cli.js is not there: run `npm run build` first.");
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { cwd, maxBuffer: 1 << 26, env: { ...process.env, NO_COLOR: "1" } }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

/** The object that `--json` prints on the last line. */
export function lastJson(outcome: Outcome): unknown {
  const line = outcome.stdout.trim().split("\n").at(-1) ?? "";
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(`The last line is no JSON (exit code ${outcome.code}):\n${outcome.stdout}\n${outcome.stderr}`);
  }
}
