import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import path from "node:path";
import { formatCount, plural } from "../../core/format";
import { smooth } from "../../core/run/series";
import type { RunState } from "../../core/run/state";
import type { Problem } from "../../protocol/errors";
import type { RunSpec } from "../../protocol/native.gen";
import type { RunHead, RunLists, RunNumbers } from "../../protocol/training-panel";
import { datasetOf } from "../../runtime/run-folder";

/** How strongly a loss is smoothed where nobody chose. */
export const SMOOTHING = 0.8;

/** What a run is, from its `run.json`. */
export function headOf(dir: string, spec: RunSpec): RunHead {
  const dataset = datasetOf(dir, spec);
  return {
    name: spec.name,
    ...(spec.file ? { file: path.resolve(dir, spec.file) } : {}),
    objective: spec.objective,
    method: methodOf(spec),
    from: fromOf(dir, spec),
    ...(spec.distill ? { teacher: startName(path.resolve(dir, spec.distill.adapter ?? spec.distill.teacher)) } : {}),
    ...(spec.weight ? { weight: spec.weight } : {}),
    ...(dataset ? { dataset: path.basename(dataset) } : {}),
    epochs: spec.train.epochs,
    context: spec.train.context,
    batchTokens: spec.train.batch_tokens,
    lr: spec.train.lr,
    schedule: spec.train.schedule,
  };
}

/** What is trained. */
function methodOf({ adapter, prompt }: RunSpec): string {
  if (prompt) return `prompt of ${plural(prompt.tokens, "token")}`;
  return adapter ? `${kindOf(adapter)} r${adapter.r} α${adapter.alpha}` : "full";
}

function kindOf(adapter: NonNullable<RunSpec["adapter"]>): string {
  if (adapter.dora) return "DoRA";
  return adapter.rslora ? "rsLoRA" : "LoRA";
}

/** What the run starts from. */
function fromOf(dir: string, spec: RunSpec): string {
  if (spec.fork) return startName(path.resolve(dir, spec.fork.checkpoint));
  if (spec.model.kind === "init") return "random weights";
  return startName(path.resolve(dir, spec.model.adapter ?? spec.model.path));
}

/** A folder's name; of a run's result the run's, of its checkpoint with the step. */
function startName(folder: string): string {
  const name = path.basename(folder);
  const parent = path.dirname(folder);
  if (name === "model" || name === "adapter") return runName(parent);
  const step = /^step-(\d+)$/u.exec(name);
  return step && path.basename(parent) === "checkpoints" ? `${runName(path.dirname(parent))} at step ${formatCount(Number(step[1]))}` : name;
}

/** `.tillage/runs/<name>-<time>` is called by its run's name. */
function runName(folder: string): string {
  return path.basename(folder).replace(/-\d{8}-\d{6}-[0-9a-f]{4}$/u, "");
}

/** The newest numbers, from the folded state and the folder. */
export function numbersOf(dir: string, state: RunState): RunNumbers {
  const { series } = state;
  const problem = problemOf(dir, state);
  return {
    phase: state.phase,
    ...(state.attempt ? { device: state.attempt.device, threads: state.attempt.threads } : {}),
    step: state.step,
    total: state.total,
    epoch: state.epoch,
    ...(series.loss.length > 0 ? { loss: series.loss.at(-1), smoothed: smooth(series.loss.slice(-200), SMOOTHING).at(-1) } : {}),
    ...(state.validation.length > 0 ? { validation: state.validation.at(-1)?.loss } : {}),
    ...newest("accuracy", series.accuracy),
    ...newest("reward", series.reward),
    ...(state.doing ? { doing: state.doing } : {}),
    ...(series.step.length > 0 ? { tokensPerSecond: median(series.tokensPerSecond.slice(-20)), memoryBytes: series.memoryBytes.at(-1) } : {}),
    elapsed: series.seconds.at(-1) ?? 0,
    ...(state.secondsLeft === undefined ? {} : { secondsLeft: state.secondsLeft }),
    attempts: state.attempts,
    parameters: state.parameters,
    trainable: state.trainable,
    trainRows: state.trainRows,
    trainTokens: state.trainTokens,
    ...(state.output === undefined ? {} : { output: state.output }),
    ...(state.best ? { best: state.best, early: state.early ?? false } : {}),
    rowLosses: existsSync(path.join(dir, "row_loss.parquet")),
    ...(problem ? { problem } : {}),
  };
}

export function listsOf(state: RunState, bad: readonly { line: number; reason: string }[]): RunLists {
  const unread = bad.map(({ line, reason }) => ({ step: state.step, code: "unreadable_event", message: `Line ${line} of events.jsonl is not an event and was left out: ${reason}.` }));
  return {
    validation: state.validation.map(({ step, loss }) => ({ step, loss })),
    samples: state.samples,
    checkpoints: state.checkpoints,
    warnings: [...state.warnings, ...unread],
  };
}

/** What went wrong, whose fault it is and what to do; nothing while all is well. */
export function problemOf(dir: string, state: RunState): Problem | undefined {
  const checkpoint = state.checkpoints.at(-1);
  if (state.phase === "failed" && state.error) return state.error;
  if (state.phase !== "interrupted") return undefined;
  const file = path.join(dir, "engine.log");
  const said = lastWords(file);
  const resume = checkpoint ? `it goes on from the checkpoint at step ${checkpoint.step}; nothing before it is lost` : "it begins again, since there is no checkpoint yet";
  if (NO_MEMORY.test(said)) {
    return {
      blame: "environment", code: "out_of_memory", message: `The machine had no memory left for the engine at step ${state.step}. Its log ends: ${said}`,
      remedy: `Close other programs and resume: ${resume}. If it happens again, lower \`batch_tokens\` or \`context\` in a new run.`,
    };
  }
  const message = state.attempt
    ? `The engine ended at step ${state.step} without a last word: it was killed, or the machine went down.`
    : "The engine ended before its first step.";
  return { blame: "environment", code: "interrupted", message: said === "" ? message : `${message} Its log ends: ${said}`, remedy: `Resume: ${resume}.` };
}

/** What Rust says when the system gives no memory; the process then ends without an event. */
const NO_MEMORY = /memory allocation of \d+ bytes failed/u;

/** The last lines of the engine's log. */
function lastWords(file: string, most = 600): string {
  let handle: number;
  try {
    handle = openSync(file, "r");
  } catch {
    return "";
  }
  try {
    const size = statSync(file).size;
    const buffer = Buffer.alloc(Math.min(most, size));
    const read = readSync(handle, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8", 0, read).trim().split("\n").slice(-3).join(" ");
  } finally {
    closeSync(handle);
  }
}

/** The mean over the newest steps, where the objective has such a number. */
function newest<K extends "accuracy" | "reward">(name: K, values: readonly number[]): Partial<Pick<RunNumbers, K>> {
  const known = values.slice(-20).filter(Number.isFinite);
  return known.length === 0 ? {} : ({ [name]: mean(known) } as Partial<Pick<RunNumbers, K>>);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** One slow step (a checkpoint, say) does not make the shown speed jump. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
