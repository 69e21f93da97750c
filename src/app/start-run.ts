import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { TillageError } from "../protocol/errors";
import { writeAtomic } from "../disk/atomic";
import type { Deps } from "./deps";
import { readSpec } from "./models";
import type { PlannedRun } from "./resolve-run";

/**
 * Writes the run's folder and starts the engine, detached.
 * @throws `guard_blocked` when a guard fails that the run file does not override
 */
export async function startRun(planned: PlannedRun, deps: Deps): Promise<{ runDir: string; pid: number }> {
  const first = planned.blocked[0];
  if (first) {
    throw TillageError.user(
      "guard_blocked",
      `The guard ${first.guard} blocks this run: ${first.message}`,
      `Mend the data, or write a reason into the run file under guards.override.${first.guard}.`,
      { file: planned.spec.file ?? undefined },
    );
  }
  mkdirSync(planned.runDir, { recursive: true });
  writeAtomic(path.join(planned.runDir, "run.json"), `${JSON.stringify(planned.spec, null, 2)}\n`);
  return { runDir: planned.runDir, ...(await deps.engine.startRun(planned.runDir)) };
}

/** Goes on where the last checkpoint is. */
export async function resumeRun(runDir: string, deps: Deps): Promise<{ runDir: string; pid: number }> {
  readSpec(runDir);
  return { runDir, ...(await deps.engine.startRun(runDir)) };
}

/** Asks the engine to finish its step, write a checkpoint and end. */
export function stopRun(runDir: string): void {
  if (!existsSync(path.join(runDir, "run.json"))) throw TillageError.user("no_run", `${runDir} is not a run's folder.`, "Choose a folder below .tillage/runs.");
  writeFileSync(path.join(runDir, "stop"), "");
}
