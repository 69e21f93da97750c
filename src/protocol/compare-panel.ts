/** What the compare panel and its host say to each other: the same prompts through two models. */
import type { Change, WordPart } from "../core/eval/compare";
import type { Verdict } from "../core/eval/result";
import type { Problem } from "./errors";

/** A model that can be chosen. */
export interface CompareModel {
  /** A folder, `run:NAME` or `run:NAME@STEP`. */
  ref: string;
  label: string;
  /** Its answers to this eval file, when it was asked. */
  result?: { correct: number; of: number; time: string; /** The eval file was changed since. */ stale: boolean };
}

export interface CompareAnswer {
  output: string;
  verdict: Verdict;
  tokens: number;
  /** False when the answer was cut at its longest length. */
  ended: boolean;
  seconds: number;
}

export interface CompareCase {
  id: string;
  prompt: string;
  /** What a right answer says, for the reader. */
  answer: string | null;
  change: Change;
  before: CompareAnswer;
  after: CompareAnswer;
  words: WordPart[];
}

export interface CompareView {
  /** The `*.eval.yaml`. */
  file: string;
  name: string;
  title?: string;
  models: CompareModel[];
  before?: string;
  after?: string;
  /** There once both were asked. */
  cases?: CompareCase[];
  counts?: Record<Change, number>;
  /** Prompts that only one of the two was asked. */
  unmatched: number;
  /** What is being asked now. */
  asking?: { label: string; done: number; of: number };
  problem?: Problem;
}

export type CompareUpdate = { view: CompareView };

export type CompareApi = {
  /** Chooses the models; those that were not asked yet are asked. */
  choose(params: { before?: string; after?: string }): Promise<null>;
  swap(params: null): Promise<null>;
  /** Asks both models again. */
  again(params: null): Promise<null>;
  cancel(params: null): Promise<null>;
  /** One prompt's answers in VS Code's diff editor. */
  openDiff(params: { id: string }): Promise<null>;
  /** All of them in its multi-file diff. */
  openChanges(params: null): Promise<null>;
  /** Shows the prompt in the eval file; the file's top without an id. */
  openPrompt(params: { id?: string }): Promise<null>;
  /** Adds a model folder that no run made. */
  addModel(params: { side: "before" | "after" }): Promise<null>;
};
