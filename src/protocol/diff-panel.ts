/** What the panel that compares two datasets and its host say to each other. */
import type { BuildProgress } from "./corpus";
import type { DatasetDiff } from "./dataset-diff";
import type { Problem } from "./errors";

export type DiffSideName = "before" | "after";

/** One of the two datasets, before anything of it was read. */
export interface DiffPick {
  /** Absolute path of the dataset's folder. */
  dataset: string;
  /** Such as `corpus@1a2b3c4d5e6f`. */
  name: string;
  /** When it was built, milliseconds since the epoch; null where the dataset is gone. */
  built: number | null;
}

export interface DiffState {
  before: DiffPick;
  after: DiffPick;
  /** The files of its rows are named as the workspace calls them. */
  diff: DatasetDiff | null;
  /** What is being done; null when nothing is. */
  progress: BuildProgress | null;
  /** The comparison was cancelled before it came to an end. */
  cancelled: boolean;
  problem: Problem | null;
}

export type DiffUpdate = Partial<DiffState>;

/** A row's whole texts; null on the side where the row is missing. */
export interface DiffTexts {
  before: string | null;
  after: string | null;
}

export type DiffApi = {
  cancel: (params: null) => Promise<null>;
  retry: (params: null) => Promise<null>;
  swap: (params: null) => Promise<null>;
  /** Asks for another dataset on one side. */
  choose: (params: { side: DiffSideName }) => Promise<null>;
  /** Reads more rows of each change. */
  more: (params: null) => Promise<null>;
  texts: (params: { index: number }) => Promise<DiffTexts>;
  /** Opens the row in its source file. */
  open: (params: { index: number }) => Promise<null>;
  /** Tells a row's story in one of the two datasets. */
  why: (params: { index: number; side: DiffSideName }) => Promise<null>;
};
