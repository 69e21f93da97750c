import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { TillageError } from "../protocol/errors";
import type { ModelSource, RunSpec } from "../protocol/native.gen";
import { writeAtomic } from "../disk/atomic";
import { tillageFolder } from "../disk/layout";
import { holderOf, readRun } from "../runtime/run-folder";
import type { Deps } from "./deps";
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
  tillageFolder(deps.root, "runs");
  // Not recursive: a folder of this name that is there already is another run's.
  mkdirSync(planned.runDir);
  writeAtomic(path.join(planned.runDir, "run.json"), `${JSON.stringify(relativeTo(planned.runDir, planned.spec), null, 2)}\n`);
  return { runDir: planned.runDir, ...(await deps.engine.startRun(planned.runDir)) };
}

/** The spec with paths relative to the run's folder, so that a workspace that is moved keeps its runs. */
function relativeTo(runDir: string, spec: RunSpec): RunSpec {
  const relative = (file: string): string => path.relative(runDir, file);
  const { model } = spec;
  const source: ModelSource =
    model.kind === "folder"
      ? { ...model, path: relative(model.path), ...(model.adapter == null ? {} : { adapter: relative(model.adapter) }) }
      : { ...model, tokenizer: model.tokenizer.kind === "folder" ? { ...model.tokenizer, path: relative(model.tokenizer.path) } : model.tokenizer };
  const distill = spec.distill ? { distill: { ...spec.distill, teacher: relative(spec.distill.teacher), ...(spec.distill.adapter == null ? {} : { adapter: relative(spec.distill.adapter) }) } } : {};
  const policy = spec.policy ? { policy: { ...spec.policy, rewards: spec.policy.rewards.map((reward) => rewardPaths(reward, relative)) } } : {};
  const fork = spec.fork ? { fork: { checkpoint: relative(spec.fork.checkpoint) } } : {};
  return { ...spec, ...distill, ...policy, ...fork, file: spec.file ? relative(spec.file) : spec.file, model: source, data: { train: spec.data.train.map(relative), valid: (spec.data.valid ?? []).map(relative) } };
}

type Reward = NonNullable<RunSpec["policy"]>["rewards"][number];

/** A reward with the paths that it names changed. */
function rewardPaths(reward: Reward, change: (file: string) => string): Reward {
  if (reward.kind === "reward_model") return { ...reward, base: change(reward.base), adapter: change(reward.adapter) };
  if (reward.kind === "command") return { ...reward, cwd: change(reward.cwd ?? "") };
  return reward;
}

/**
 * Goes on where the last checkpoint is.
 * @throws `run_locked` when an engine is at work on it, `run_completed` when there is nothing left to do
 */
export async function resumeRun(runDir: string, deps: Deps): Promise<{ runDir: string; pid: number }> {
  const { state } = await readRun(runDir);
  const holder = holderOf(runDir);
  if (holder !== undefined) throw TillageError.environment("run_locked", `The run in ${runDir} is held by process ${holder}.`, "Wait for it to end, or stop it first.", { file: runDir });
  if (state.phase === "completed") throw TillageError.user("run_completed", `The run in ${runDir} is complete.`, "Start its run file again for a new run.", { file: runDir });
  return { runDir, ...(await deps.engine.startRun(runDir)) };
}

/** Asks the engine to finish its step, write a checkpoint and end. */
export function stopRun(runDir: string): void {
  if (!existsSync(path.join(runDir, "run.json"))) throw TillageError.user("no_run", `${runDir} is not a run's folder.`, "Choose a folder below .tillage/runs.");
  writeFileSync(path.join(runDir, "stop"), "");
}
