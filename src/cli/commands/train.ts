import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import pc from "picocolors";
import { resolveRun } from "../../app/resolve-run";
import { resumeRun, startRun, stopRun } from "../../app/start-run";
import { formatDuration, formatPercent, formatScaled } from "../../core/format";
import { emptyRun, foldEvents, isLive, phaseWord } from "../../core/run/state";
import type { RunState } from "../../core/run/state";
import { TillageError } from "../../protocol/errors";
import { followRun } from "../../runtime/follow";
import { engineAlive, readRun, settle } from "../../runtime/run-folder";
import type { Context } from "../context";
import { progress } from "../progress";
import { printBuild } from "./build";

export interface TrainResult {
  runDir: string;
  state: RunState;
}

/** `tillage train RUN`: builds the data, checks the guards, starts the engine and follows it to its end. */
export async function train(context: Context, runFile: string, options: { raw?: boolean; overrides?: Record<string, string>; quietBuild?: boolean }): Promise<TrainResult> {
  const planned = await resolveRun(runFile, context, { signal: context.signal, raw: options.raw, overrides: options.overrides });
  if (planned.dataset && !options.quietBuild) printBuild(context, planned.dataset);
  const { runDir, pid } = await startRun(planned, context);
  return follow(context, runDir, planned.spec.name, pid, emptyRun());
}

/** `tillage train --resume RUN_DIR` */
export async function resume(context: Context, runDir: string): Promise<TrainResult> {
  const dir = path.resolve(runDir);
  const { state } = await readRun(dir);
  const { pid } = await resumeRun(dir, context);
  return follow(context, dir, path.basename(dir), pid, state);
}

/** `tillage pause RUN_DIR`: the run finishes its step, writes a checkpoint and ends. Returns when it has. */
export async function pause(context: Context, runDir: string): Promise<TrainResult> {
  const dir = path.resolve(runDir);
  let { state } = await readRun(dir);
  if (!isLive(state.phase)) throw TillageError.user("run_not_running", `The run in ${dir} is not running: it is ${phaseWord(state.phase)}.`, "Name a run that is at work.", { file: dir });
  stopRun(dir);
  while (isLive(state.phase) && !context.signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    ({ state } = await readRun(dir));
  }
  report(context, dir, state);
  return { runDir: dir, state };
}

/**
 * Follows a run to its end; Ctrl-C asks it to stop at a checkpoint.
 * @param pid the engine that was started
 * @param before the run before that: its file ends with the last attempt's word until the new one has begun
 */
async function follow(context: Context, runDir: string, name: string, pid: number, before: RunState): Promise<TrainResult> {
  const bar = progress(name, context.out.json);
  let state = emptyRun();
  context.signal.addEventListener("abort", () => stopRun(runDir), { once: true });
  const end = await new Promise<RunState>((resolve, reject) => {
    const unchanged = (): boolean => state.attempts === before.attempts && state.endedAt === before.endedAt;
    let silent = 0;
    const finish = (): void => {
      follower.dispose();
      clearInterval(watch);
      resolve(state);
    };
    const follower = followRun(runDir, (batch) => {
      state = foldEvents(batch.reset ? emptyRun() : state, batch.events);
      bar.update(state.step, state.total, newest(state));
      if (!isLive(state.phase) && state.phase !== "interrupted" && !unchanged()) finish();
    }, { pollMs: 200, onError: reject });
    const watch = setInterval(() => {
      state = settle(runDir, state);
      // Gone before it said anything; its last words may still be on their way through the file.
      if (unchanged() && !engineAlive(pid)) silent += 1;
      if (silent > 1) state = { ...state, phase: "interrupted", error: undefined };
      if (state.phase === "interrupted") finish();
    }, 1000);
  });
  bar.stop();
  report(context, runDir, end);
  return { runDir, state: end };
}

/** The newest numbers in a few words. */
function newest(state: RunState): string {
  if (state.doing) return `${state.doing.what} ${state.doing.done}/${state.doing.of}`;
  const loss = state.series.loss.at(-1);
  const accuracy = state.series.accuracy.at(-1);
  const reward = state.series.reward.at(-1);
  return [
    ...(loss === undefined ? [] : [`loss ${loss.toFixed(3)}`]),
    ...(accuracy === undefined || Number.isNaN(accuracy) ? [] : [`${formatPercent(accuracy)} preferred`]),
    ...(reward === undefined || Number.isNaN(reward) ? [] : [`reward ${reward.toFixed(3)}`]),
    ...(state.secondsLeft === undefined ? [] : [`${formatDuration(state.secondsLeft)} left`]),
  ].join(", ");
}

/** The last line of the engine's log, where it left one. */
function lastWords(runDir: string): string {
  const log = path.join(runDir, "engine.log");
  const last = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n").at(-1) : undefined;
  return last ? ` It said: ${last}` : "";
}

function report(context: Context, runDir: string, state: RunState): void {
  if (state.error) throw new TillageError(state.error);
  if (state.phase === "interrupted") {
    throw TillageError.environment("run_interrupted", `The engine of ${runDir} ended without a word, after step ${state.step}.${lastWords(runDir)}`, `Nothing before the last checkpoint is lost. Go on with: tillage train --resume ${runDir}`, { file: path.join(runDir, "engine.log") });
  }
  const losses = state.series.loss;
  const seconds = state.series.seconds.at(-1) ?? 0;
  context.out.say(
    `  ${phaseWord(state.phase)}: ${state.step} steps in ${formatDuration(seconds)}, ${formatScaled(state.parameters)} parameters${state.trainable < state.parameters ? ` (${formatScaled(state.trainable)} trained)` : ""}, ` +
      `loss ${pc.bold((losses[0] ?? NaN).toFixed(3))} → ${pc.bold((losses.at(-1) ?? NaN).toFixed(3))}`,
  );
  if (state.best) context.out.say(`  ${state.early ? "stopped early; " : ""}the result is step ${state.best.step}, with the lowest validation loss: ${pc.bold(state.best.loss.toFixed(3))}`);
  if (state.phase === "stopped") context.out.say(`  go on with: tillage train --resume ${runDir}`);
  for (const warning of state.warnings) context.out.say(`  ${pc.yellow("warning")} ${warning.message}`);
}
