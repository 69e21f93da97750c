/** What a run is at this moment: a fold of its events. Pure; nothing here knows of files, processes or windows. */
import type { EngineError, Event } from "../../protocol/native.gen";
import { secondsLeft } from "./series";

/** `interrupted`: the process is gone without a last word. */
export type RunPhase = "waiting" | "running" | "stopping" | "completed" | "stopped" | "failed" | "interrupted";

/** The steps so far, one array a column; all as long as `step`. */
export interface StepSeries {
  step: number[];
  epoch: number[];
  /** The objective: mean negative log-likelihood of the labelled tokens in nats, or the mean loss of the rows. */
  loss: number[];
  lr: number[];
  /** L2 norm before clipping. */
  gradNorm: number[];
  tokensPerSecond: number[];
  memoryBytes: number[];
  /** Labelled tokens since the run's first step. */
  tokens: number[];
  /** Seconds of training since the run's first step, pauses between attempts left out. */
  seconds: number[];
  /** Share of the pairs whose chosen answer has the larger implicit reward; NaN where the objective has no pairs. */
  accuracy: number[];
  /** Mean difference of the implicit rewards of chosen and rejected answers; NaN where the objective has none. */
  margin: number[];
  /** Mean reward of the model's own answers; NaN where the objective draws none. */
  reward: number[];
  /** Loss of a policy's values, and the share of the returns' variance that they explain; NaN without a value head. */
  valueLoss: number[];
  explained: number[];
  /** How far the policy moved from the one that answered, and the share of tokens whose ratio was clipped; NaN where it moves once. */
  policyKl: number[];
  clipShare: number[];
  /** Nats: how far from the reference, from the teacher, or for KTO how far unrelated answers drifted. */
  kl: number[];
  /** Mean tokens of a policy's answers. */
  answerLength: number[];
}

/** One engine process of the run. */
export interface Attempt {
  time: string;
  pid: number;
  engine: string;
  device: string;
  threads: number;
  /** The last step that was already done when it started. */
  fromStep: number;
}

export interface Sample {
  step: number;
  id: string;
  prompt: string;
  text: string;
}

export interface RunState {
  phase: RunPhase;
  /** The newest attempt; absent before the first. */
  attempt?: Attempt;
  attempts: number;
  step: number;
  total: number;
  epoch: number;
  parameters: number;
  trainable: number;
  trainRows: number;
  trainTokens: number;
  validRows: number;
  plannedBytes: number;
  series: StepSeries;
  validation: { step: number; loss: number; tokens: number }[];
  samples: Sample[];
  checkpoints: { step: number; path: string }[];
  warnings: { step: number; code: string; message: string }[];
  /** Seconds to the end at the pace of the last steps; absent when not running or not known. */
  secondsLeft?: number;
  /** `model` or `adapter`, relative to the run's folder, once completed. */
  output?: string;
  /** Work that must be done before the next step, while it goes on. */
  doing?: { what: string; done: number; of: number };
  /** The validation whose checkpoint the output is, where that need not be the last one. */
  best?: { step: number; loss: number };
  /** Early stopping ended the run before its last planned step. */
  early?: boolean;
  /** The run whose checkpoint this one began behind. */
  forkedFrom?: { run: string; step: number };
  /** Of the newest attempt, while it is the last word. */
  error?: EngineError;
  endedAt?: string;
  /** Seconds and tokens that attempts before the newest one had done. */
  carried: { seconds: number; firstIndex: number };
}

/** A run of which nothing has been read. */
export function emptyRun(): RunState {
  return {
    phase: "waiting", attempts: 0, step: 0, total: 0, epoch: 0, parameters: 0, trainable: 0, trainRows: 0, trainTokens: 0, validRows: 0, plannedBytes: 0,
    series: { step: [], epoch: [], loss: [], lr: [], gradNorm: [], tokensPerSecond: [], memoryBytes: [], tokens: [], seconds: [], accuracy: [], margin: [], reward: [], valueLoss: [], explained: [], policyKl: [], clipShare: [], kl: [], answerLength: [] },
    validation: [], samples: [], checkpoints: [], warnings: [], carried: { seconds: 0, firstIndex: 0 },
  };
}

/**
 * The state after some more events. The given state is not changed; its arrays are copied once for the whole batch,
 * so give events in batches where there are many.
 */
export function foldEvents(state: RunState, events: readonly Event[]): RunState {
  if (events.length === 0) return state;
  const next: RunState = {
    ...state,
    series: mapSeries(state.series, (column) => [...column]),
    validation: [...state.validation], samples: [...state.samples], checkpoints: [...state.checkpoints], warnings: [...state.warnings],
    carried: { ...state.carried },
  };
  for (const event of events) apply(next, event);
  const { step, seconds } = next.series;
  const first = next.carried.firstIndex;
  next.secondsLeft = next.phase === "running" ? secondsLeft(step.slice(Math.max(first, step.length - 60)), seconds.slice(Math.max(first, seconds.length - 60)), next.total) : undefined;
  return next;
}

/** The phase with what only the folder and the machine know: whether the process lives, and whether it was asked to stop. */
export function withLiveness(state: RunState, live: { alive: boolean; stopRequested: boolean }): RunState {
  if (state.phase !== "running" && state.phase !== "waiting") return state;
  const phase: RunPhase = !live.alive ? "interrupted" : live.stopRequested ? "stopping" : state.phase;
  return phase === state.phase ? state : { ...state, phase, secondsLeft: phase === "interrupted" ? undefined : state.secondsLeft };
}

/** A phase as people read it: a stop that leaves a checkpoint to go on from is a pause. */
export function phaseWord(phase: RunPhase): string {
  return phase === "stopping" ? "pausing" : phase === "stopped" ? "paused" : phase;
}

/** Whether the run's process is at work. */
export function isLive(phase: RunPhase): boolean {
  return phase === "waiting" || phase === "running" || phase === "stopping";
}

/** Whether `resume` can go on with it. */
export function isResumable(phase: RunPhase): boolean {
  return phase === "stopped" || phase === "failed" || phase === "interrupted";
}

export function mapSeries(series: StepSeries, map: (column: number[]) => number[]): StepSeries {
  return {
    step: map(series.step), epoch: map(series.epoch), loss: map(series.loss), lr: map(series.lr), gradNorm: map(series.gradNorm),
    tokensPerSecond: map(series.tokensPerSecond), memoryBytes: map(series.memoryBytes), tokens: map(series.tokens), seconds: map(series.seconds),
    accuracy: map(series.accuracy), margin: map(series.margin), reward: map(series.reward),
    valueLoss: map(series.valueLoss), explained: map(series.explained), policyKl: map(series.policyKl), clipShare: map(series.clipShare), kl: map(series.kl), answerLength: map(series.answerLength),
  };
}

function apply(state: RunState, event: Event): void {
  switch (event.type) {
    case "started":
      rewind(state, event.step);
      Object.assign(state, {
        phase: "running", attempts: state.attempts + 1, step: event.step, total: event.total_steps, parameters: event.parameters, trainable: event.trainable,
        trainRows: event.train_rows, trainTokens: event.train_tokens, validRows: event.valid_rows, plannedBytes: event.planned_bytes,
        output: undefined, best: undefined, early: undefined, error: undefined, endedAt: undefined, doing: undefined, forkedFrom: event.forked_from ?? undefined,
        attempt: { time: event.time, pid: event.pid, engine: event.engine, device: event.device, threads: event.threads, fromStep: event.step },
      } satisfies Partial<RunState>);
      return;
    case "step": {
      const { series } = state;
      series.step.push(event.step);
      series.epoch.push(event.epoch);
      series.loss.push(event.loss);
      series.lr.push(event.lr);
      series.gradNorm.push(event.grad_norm);
      series.tokensPerSecond.push(event.tokens_per_second);
      series.memoryBytes.push(event.memory_bytes);
      series.tokens.push((series.tokens.at(-1) ?? 0) + event.tokens);
      series.seconds.push(state.carried.seconds + event.seconds);
      series.accuracy.push(event.metrics?.["rewards/accuracies"] ?? Number.NaN);
      series.margin.push(event.metrics?.["rewards/margins"] ?? Number.NaN);
      series.reward.push(event.metrics?.["reward"] ?? Number.NaN);
      series.valueLoss.push(event.metrics?.["value_loss"] ?? Number.NaN);
      series.explained.push(event.metrics?.["explained_variance"] ?? Number.NaN);
      series.policyKl.push(event.metrics?.["policy_kl"] ?? Number.NaN);
      series.clipShare.push(event.metrics?.["clip_share"] ?? Number.NaN);
      series.kl.push(event.metrics?.["kl"] ?? Number.NaN);
      series.answerLength.push(event.metrics?.["completion_length"] ?? Number.NaN);
      state.doing = undefined;
      state.step = event.step;
      state.epoch = event.epoch;
      return;
    }
    case "validation":
      state.validation.push({ step: event.step, loss: event.loss, tokens: event.tokens });
      return;
    case "progress":
      state.doing = { what: event.what, done: event.done, of: event.of };
      return;
    case "sample":
      state.samples.push({ step: event.step, id: event.id, prompt: event.prompt, text: event.text });
      return;
    case "checkpoint":
      state.checkpoints.push({ step: event.step, path: event.path });
      return;
    case "warning":
      state.warnings.push({ step: event.step, code: event.code, message: event.message });
      return;
    case "finished":
      state.phase = event.outcome;
      state.doing = undefined;
      state.step = event.step;
      state.output = event.output ?? undefined;
      state.best = event.best ?? undefined;
      state.early = event.early ?? undefined;
      state.endedAt = event.time;
      return;
    case "failed":
      state.phase = "failed";
      state.doing = undefined;
      state.error = event.error;
      state.endedAt = event.time;
      return;
  }
}

/** A new attempt goes on after `step`: what an earlier attempt did beyond it was not kept. */
function rewind(state: RunState, step: number): void {
  const { series } = state;
  let end = series.step.length;
  while (end > 0 && (series.step[end - 1] ?? 0) > step) end -= 1;
  if (end < series.step.length) {
    state.series = mapSeries(series, (column) => column.slice(0, end));
    state.epoch = state.series.epoch.at(-1) ?? 0;
  }
  state.validation = state.validation.filter((item) => item.step <= step);
  state.samples = state.samples.filter((item) => item.step <= step);
  state.checkpoints = state.checkpoints.filter((item) => item.step <= step);
  state.warnings = state.warnings.filter((item) => item.step <= step);
  state.carried = { seconds: state.series.seconds.at(-1) ?? 0, firstIndex: end };
}
