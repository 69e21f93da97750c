/** What the mixer panel and its host say to each other. */
import type { MixGroup, MixWish } from "../core/mix";
import type { Problem } from "./errors";

/** The size of the model that the dataset is for. */
export interface MixerModel {
  parameters: number;
  /** Where the number comes from: a run file's name, or `typed` when the user gave it. */
  from: string;
  /** Absent when the user typed the number. */
  objective?: string;
  /** How often that run sees the dataset; once when absent. */
  epochs?: number;
}

export interface MixerState {
  /** The recipe's file name. */
  title: string;
  /** Its path, by which the panel comes back after the window was reloaded. */
  path: string;
  /** The groups and what they have, after the recipe's steps; absent until the rows were counted for the first time. */
  groups: MixGroup[] | null;
  /** Whether tokens were counted by a tokenizer; otherwise they are estimated from words. */
  exact: boolean;
  /** What the recipe's text asks for. */
  wish: MixWish;
  /** The column that says which rows are synthetic, where the recipe limits them. */
  syntheticColumn?: string;
  by: string;
  /** Columns that `by` can name. */
  byChoices: string[];
  model: MixerModel | null;
  /** Rows are being counted for the text as it is now. */
  updating: boolean;
  problem: Problem | null;
}

export type MixerUpdate = Partial<MixerState>;

export type MixerApi = {
  /** Writes shares (fractions by group) into the text; `last` ends the drag, and with it the undo step. */
  setShares: (params: { shares: Record<string, number>; last: boolean }) => Promise<null>;
  setBudget: (params: { tokens: number }) => Promise<null>;
  setMaxEpochs: (params: { epochs: number }) => Promise<null>;
  setBy: (params: { by: string }) => Promise<null>;
  /** The number of parameters to measure the budget against; null takes the run file's again. */
  setParameters: (params: { parameters: number | null }) => Promise<null>;
  undo: (params: null) => Promise<null>;
  showText: (params: null) => Promise<null>;
  retry: (params: null) => Promise<null>;
};
