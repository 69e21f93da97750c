/** What the corpus editor's host and webview say to each other, beyond `panels.ts`. */
import type { FacetCounts, OpenResult, Page, Query, RowDetail } from "./corpus";
import type { Problem } from "./errors";

/** Where a file is on its way to the screen. */
export type CorpusStage =
  | { kind: "opening"; /** Milliseconds since the epoch. */ since: number }
  | { kind: "ready"; open: OpenResult }
  | { kind: "failed"; problem: Problem };

export interface CorpusState {
  /** The file's own name. */
  name: string;
  /** Relative to the workspace where it lies in one. */
  path: string;
  /** The absolute path of a folder whose files are shown as one; absent for a file. */
  folder?: string;
  /** Size on disk; 0 when it cannot be read, and of a folder. */
  bytes: number;
  /** Files are written in trusted workspaces only. */
  trusted: boolean;
  stage: CorpusStage;
  /** A row (0-based position in the file) that somebody asked to see. */
  reveal?: number;
}

export type CorpusUpdate =
  | { kind: "stage"; stage: CorpusStage; bytes: number }
  /** The file was written by somebody else and has been read again. */
  | { kind: "changed"; open: OpenResult; bytes: number; rowsBefore: number; time: number }
  | { kind: "trusted" }
  | { kind: "reveal"; row: number };

/** Of the whole file, whatever the view; counted when asked. */
export interface CorpusSummary {
  words: number;
  exactDuplicates: number;
}

export type CorpusPanelApi = {
  page(params: { query: Query; offset: number; limit: number }, signal: AbortSignal): Promise<Page>;
  /** `pause`: columns are not computed further, and what is not there is estimated. */
  facets(params: { query: Query; pause?: boolean }, signal: AbortSignal): Promise<FacetCounts>;
  detail(params: { row: number }, signal: AbortSignal): Promise<RowDetail>;
  /** Null where the file is too large to read for it. */
  summary(params: null, signal: AbortSignal): Promise<CorpusSummary | null>;
  /** Writes the view as a `where` step; the file written, or null when the person chose none. */
  keepAsFilter(params: { query: Query }): Promise<{ file: string } | null>;
  /** Shows the file as text, at a 1-based line. */
  openText(params: { line?: number }): Promise<null>;
  copy(params: { text: string }): Promise<null>;
  /** Shows a row as a model sees it. */
  tokens(params: { row: number }): Promise<null>;
  /** Reads the file again, after a failure or at a person's wish. */
  reload(params: null): Promise<null>;
  /** Gives up an opening that takes too long. */
  cancelOpen(params: null): Promise<null>;
};
