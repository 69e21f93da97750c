/** What the training panel and its host say to each other: a run before its start (preflight), and a run. */
import type { Points, PointsChange } from "../core/run/points";
import type { RunPhase, Sample } from "../core/run/state";
import type { Problem } from "./errors";
import type { PreflightResult } from "./native.gen";

/** What a run is, in words; does not change while it runs. */
export interface RunHead {
  name: string;
  /** The `*.run.yaml`. */
  file?: string;
  objective: string;
  /** Such as `LoRA r16 α32`, `prompt of 16 tokens` or `full`. */
  method: string;
  /** What it starts from: a folder's name or `random weights`. */
  from: string;
  /** The teacher of a distillation. */
  teacher?: string;
  /** The column by which rows count. */
  weight?: string;
  /** Name of the dataset folder. */
  dataset?: string;
  epochs: number;
  context: number;
  batchTokens: number;
  lr: number;
  schedule: string;
}

/** The newest numbers of a run. */
export interface RunNumbers {
  phase: RunPhase;
  device?: string;
  threads?: number;
  step: number;
  total: number;
  epoch: number;
  /** Nats; absent before the first step. */
  loss?: number;
  smoothed?: number;
  validation?: number;
  /** Share of the newest steps' pairs that are preferred as they should be. */
  accuracy?: number;
  /** Mean reward of the newest steps' answers. */
  reward?: number;
  /** Work before the next step. */
  doing?: { what: string; done: number; of: number };
  tokensPerSecond?: number;
  memoryBytes?: number;
  /** Seconds of training over all attempts. */
  elapsed: number;
  secondsLeft?: number;
  attempts: number;
  parameters: number;
  trainable: number;
  trainRows: number;
  trainTokens: number;
  /** `model` or `adapter`, once completed. */
  output?: string;
  /** The validation whose checkpoint the output is, where that need not be the last one. */
  best?: { step: number; loss: number };
  /** Whether early stopping ended the run. */
  early?: boolean;
  /** Whether `row_loss.parquet` is there. */
  rowLosses: boolean;
  /** What went wrong, when the run failed or was interrupted. */
  problem?: Problem;
}

export interface RunLists {
  validation: { step: number; loss: number }[];
  samples: Sample[];
  checkpoints: { step: number; path: string }[];
  warnings: { step: number; code: string; message: string }[];
}

/** Another run's curve in the same chart. */
export interface Overlay {
  dir: string;
  label: string;
  points: Points;
}

export interface RunView {
  mode: "run";
  dir: string;
  id: string;
  head: RunHead;
  numbers: RunNumbers;
  lists: RunLists;
  points: Points;
  smoothing: number;
  overlays: Overlay[];
}

export interface GuardView {
  guard: string;
  ok: boolean;
  message: string;
  /** The reason that the run file gives for going on nevertheless. */
  override?: string;
  rows: { rowId: string; detail: string }[];
}

export interface PreflightView {
  mode: "preflight";
  file: string;
  name: string;
  stage: "planning" | "measuring" | "ready" | "starting" | "failed" | "cancelled";
  /** What is being done now. */
  doing?: { text: string; done?: number; of?: number };
  head?: RunHead;
  guards: GuardView[];
  /** Whether a guard keeps the run from starting. */
  blocked: boolean;
  result?: PreflightResult;
  problem?: Problem;
}

export type TrainingState = RunView | PreflightView | { mode: "problem"; dir: string; problem: Problem };

export type TrainingUpdate =
  /** The panel shows something else from now on. */
  | { kind: "state"; state: TrainingState }
  | { kind: "run"; numbers: RunNumbers; points?: PointsChange; lists?: Partial<RunLists> };

/** A row of a batch with its text. */
export interface BatchRow {
  rowId: string;
  source: string;
  text: string;
  /** Mean loss of the row in this step, nats; absent until a checkpoint has written it. */
  loss?: number;
  /** What the row weighs, where the run weighs rows. */
  weight?: number;
  /** The answers that the policy drew to it in this step. */
  answers?: DrawnAnswer[];
}

/** An answer of the policy, and what it was worth. */
export interface DrawnAnswer {
  text: string;
  reward: number;
  /** What each reward gave, by name. */
  rewards: Record<string, number>;
  advantage: number;
  /** Whether it came to its end by itself. */
  ended: boolean;
}

export interface BatchRows {
  step: number;
  rows: BatchRow[];
  /** Rows of the batch that the dataset does not hold any more. */
  missing: number;
  dataset: string;
  /** Why the losses of the rows are not there, when they could not be read. */
  lossProblem?: Problem;
}

export type TrainingApi = {
  /** Starts the planned run. */
  start(params: null): Promise<null>;
  /** Ends the preflight, or closes the panel when it has ended. */
  cancel(params: null): Promise<null>;
  /** Plans and measures again. */
  again(params: null): Promise<null>;
  stop(params: null): Promise<null>;
  resume(params: null): Promise<null>;
  openRunFile(params: { guard?: string }): Promise<null>;
  /** The file and line that the preflight's problem is about. */
  openProblem(params: null): Promise<null>;
  openLog(params: null): Promise<null>;
  /** The grid of row losses. */
  openRowLosses(params: null): Promise<null>;
  rows(params: { step: number }, signal: AbortSignal): Promise<BatchRows>;
  /** Where a row came from. */
  why(params: { rowId: string }): Promise<null>;
  /** Lets the user choose the runs whose curves are laid over this one's. */
  chooseOverlays(params: null): Promise<null>;
  setOverlays(params: { dirs: string[] }): Promise<null>;
  /** Weight of the smoothing, 0 to below 1; answers with all points. */
  smoothing(params: { weight: number }): Promise<{ points: Points; overlays: Overlay[] }>;
  /** Before and after this run's training. */
  compare(params: null): Promise<null>;
  /** Asks for a format and a place, and writes the run's result there. */
  exportModel(params: null): Promise<null>;
};
