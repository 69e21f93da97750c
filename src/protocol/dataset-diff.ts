/** What became of a row between two datasets. */
export type RowChange = "added" | "removed" | "changed";

/** One of the two datasets that are compared. */
export interface DiffSide {
  /** Absolute path of the dataset's folder. */
  dataset: string;
  recipe: string;
  hash: string;
  /** Different rows, validation included; how often they are seen does not count. */
  rows: number;
  /** Tokens of all rows as they are seen, repeats included. */
  tokens: number;
}

/** Rows that are there on one side alone, or with another text, and the step that decided it. */
export interface DiffCause {
  change: RowChange;
  /** The step of the side where the row is missing or was changed; `sources` where the row was not read at all. */
  step: string;
  reason: string;
  rows: number;
}

/** How much of each dataset a source makes up. */
export interface DiffShare {
  source: string;
  rowsBefore: number;
  rowsAfter: number;
  tokensBefore: number;
  tokensAfter: number;
  /** Of the tokens, repeats included: 0 to 1. */
  shareBefore: number;
  shareAfter: number;
}

export interface DiffRow {
  rowId: string;
  source: string;
  change: RowChange;
  step: string;
  reason: string;
  value: string | null;
  matchedRowId: string | null;
  /** The row's place: the source file, absolute, and the 0-based row of it. */
  file: string;
  fileRow: number;
  /** At most 400 characters, of a changed row from shortly before the place where its texts part; null on the side where the row is missing. */
  before: string | null;
  after: string | null;
}

/** What two built datasets differ in; a row is the same row by its id, which follows from source and content. */
export interface DatasetDiff {
  before: DiffSide;
  after: DiffSide;
  added: number;
  removed: number;
  changed: number;
  same: number;
  /** Rows that are on the other side of the split. */
  moved: number;
  /** Rows of both that are seen more often, or less. */
  more: number;
  less: number;
  causes: DiffCause[];
  shares: DiffShare[];
  /** Tokens of a row at the percentiles 5, 25, 50, 75 and 95, each row counted once. */
  lengths: { before: number[]; after: number[] };
  /** Some rows of each change, of all its causes in turn. */
  rows: DiffRow[];
}
