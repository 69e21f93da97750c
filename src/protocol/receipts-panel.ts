/** What the receipts panel and its host say to each other. */
import type { BuildResult, ReceiptRow, StepCount } from "./corpus";
import type { Problem } from "./errors";

export interface ReceiptsState {
  /** A built dataset's receipts, or the rows that a step of a recipe's present text drops or changes. */
  kind: "dataset" | "step";
  /** Such as `corpus@1a2b3c4d5e6f` or `corpus.recipe.yaml`. */
  title: string;
  /** Folder of the dataset, by which the panel comes back after the window was reloaded; null for a step. */
  dataset: string | null;
  steps: StepCount[];
  /** Rows read from the sources, and rows kept. */
  rowsIn: number;
  rowsOut: number;
  /** What the dataset is; null for a step of the present text. */
  build: DatasetFacts | null;
  /** Position in `steps` of the step whose rows are shown; null shows those of all steps. */
  selected: number | null;
  rows: ReceiptRow[];
  /** More rows exist than were read. */
  more: boolean;
  loading: boolean;
  problem: Problem | null;
}

export interface DatasetFacts {
  split: BuildResult["split"];
  guards: BuildResult["guards"];
  /** The build that was just made; absent when the dataset was opened later. */
  made?: {
    /** False where the same dataset was there already. */
    fresh: boolean;
    seconds: number;
  };
}

export type ReceiptsUpdate = Partial<ReceiptsState>;

/** The whole texts behind one receipt. */
export interface ReceiptTexts {
  text: string;
  matchedText: string | null;
  /** What the step found in the text, such as e-mail addresses. */
  found: string[];
}

export type ReceiptsApi = {
  select: (params: { step: number | null }) => Promise<null>;
  /** Opens the row in its source file. */
  open: (params: { index: number }) => Promise<null>;
  texts: (params: { index: number }) => Promise<ReceiptTexts>;
  why: (params: { rowId: string }) => Promise<null>;
  loadMore: (params: null) => Promise<null>;
  retry: (params: null) => Promise<null>;
};
