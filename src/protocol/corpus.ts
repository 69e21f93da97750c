/**
 * The contract with the corpus service: the Node child that owns DuckDB.
 * Every method is a JSON-RPC request of the same name; `signal` becomes a cancellation that reaches DuckDB's interrupt.
 */
import type { DatasetDiff } from "./dataset-diff";
import type { Problem } from "./errors";

/** The shapes of rows that the field uses. */
export type Shape = "text" | "prompt/completion" | "chat" | "preference" | "verifiable" | "table";

export type ColumnKind = "text" | "number" | "category" | "boolean" | "nested";

export interface Column {
  name: string;
  /** DuckDB's type, such as VARCHAR. */
  type: string;
  kind: ColumnKind;
  /** Computed by Tillage (length, words, language ...), not in the file. */
  derived: boolean;
}

/** A row that could not be read; it is kept out and listed. */
export interface BadRow {
  file: string;
  /** 1-based line of the file. */
  line: number;
  reason: string;
}

/** A shape with the file's column of each of its roles, such as `{ prompt: "question", completion: "answer" }`. */
export interface ShapeGuess {
  shape: Shape;
  columns: Record<string, string>;
}

/** What a file's columns speak of. */
export interface Detection extends ShapeGuess {
  confidence: "sure" | "unsure";
  /** Why, as the end of "detected because ...". */
  reason: string;
  /** What they might be as well, the likeliest first. */
  alternatives: ShapeGuess[];
}

/** How a source's rows are read. */
export interface SourceReading extends Detection {
  /** Who says so: the recipe (`as`, `map`), or the names of the file's columns. */
  by: "recipe" | "columns";
}

/** A source's columns with some values, and what its rows become with a shape and a map. */
export interface SourceMapping {
  /** The source's first file, absolute; how many there are. */
  file: string;
  files: number;
  /** At most 200 of them; `columnsLeft` counts the others. */
  columns: { name: string; type: string; holds: "text" | "turns" | "boolean" | "number" | "other"; examples: string[] }[];
  columnsLeft: number;
  detection: Detection;
  /** The shape and each role's column as the rows are read; null where they cannot be, and `problem` says why. */
  read: ShapeGuess | null;
  problem: Problem | null;
  /** The first rows as they are read; `fault` says why one is kept out. */
  rows: { row: number; values: Record<string, string | null>; fault: string | null }[];
  /** Rows of the sample, and how many of them are kept out. */
  sampled: number;
  bad: number;
  /** Whether the sample is the whole file. */
  whole: boolean;
}

export interface OpenResult {
  handle: string;
  path: string;
  format: "parquet" | "jsonl" | "json" | "csv" | "text";
  shape: Shape;
  detection: Detection;
  columns: Column[];
  rows: number;
  bytes: number;
  /** At most 1,000 of them; `badRows` counts them all. */
  bad: BadRow[];
  badRows: number;
  /** Changes when the file on disk changes. */
  version: string;
  /** Files of a folder; absent for a file. */
  files?: number;
}

/** One condition of a view; all conditions hold together. */
export type Clause =
  /** Both ends belong to it; null is open. */
  | { kind: "range"; column: string; min: number | null; max: number | null }
  | { kind: "in"; column: string; values: (string | null)[] }
  | { kind: "search"; text: string; mode: "literal" | "regex"; caseSensitive: boolean }
  | { kind: "sql"; predicate: string };

/** The one query state that grid, facets, histograms and search share. */
export interface Query {
  clauses: Clause[];
  sort?: { column: string; descending: boolean };
}

export type Cell = string | number | boolean | null;

export interface PageRow {
  /** 0-based position in the file: the row's stable name within it. */
  row: number;
  /** In the order of `OpenResult.columns`; long text is cut to 400 characters. */
  cells: Cell[];
}

export interface Page {
  rows: PageRow[];
  /** Rows that match the query, among those that were searched. */
  total: number;
  /** Rows, from the first on, that were searched; absent when all were. */
  scanned?: number;
}

export interface HistogramBin {
  x0: number;
  x1: number;
  /** Rows of the file, and rows that match the clauses on the other columns. */
  all: number;
  selected: number;
}

export type Facet =
  | { column: string; kind: "histogram"; min: number; max: number; bins: HistogramBin[]; nulls: number }
  | { column: string; kind: "categories"; values: { value: string | null; all: number; selected: number }[]; distinct: number };

/** The facets of a view and what they were counted on. */
export interface FacetCounts {
  facets: Facet[];
  /** Rows that were counted: all, or those of a sample, from which the counts are estimated. */
  rows: number;
  /** Rows whose derived columns are there, while they are being computed. */
  computed?: number;
  /** Why they cannot be computed; it is tried again later. */
  problem?: Problem;
}

export interface FailedRule {
  rule: string;
  reason: string;
}

export interface RowDetail {
  row: number;
  /** 0-based place among the rows of the file; the row's own number counts the unreadable ones above it too. */
  position: number;
  /** The rows before and behind it; null where there is none. */
  previous: number | null;
  next: number | null;
  /** Whole values, by column; nested ones as JSON text. */
  values: Record<string, Cell>;
  /** Quality signals by name. */
  signals: Record<string, number>;
  failed: FailedRule[];
  pii: { kind: string; value: string }[];
}

export interface StepCount {
  /** Position in the recipe's `steps`, from 0. */
  index: number;
  /** Such as `dedup near`. */
  step: string;
  in: number;
  out: number;
  /** Rows that stayed but were changed (redacted, say). */
  changed: number;
  /** Rows whose weight was changed; absent where there is none. */
  weighted?: number;
  /** Most frequent first. */
  reasons: { reason: string; rows: number }[];
}

export interface Diagnostic {
  severity: "error" | "warning" | "information";
  message: string;
  /** 0-based offsets into the recipe's text. */
  start: number;
  end: number;
  code: string;
  fixes: { title: string; newText: string; start: number; end: number }[];
}

export interface RecipeCounts {
  /** Rows read per source, bad ones excluded. */
  sources: { name: string; rows: number; badRows: number; bad: BadRow[]; tokens: number; reading?: SourceReading }[];
  steps: StepCount[];
  diagnostics: Diagnostic[];
}

/** Some rows of a group: their tokens, these times the rows' weights, and the largest weight. */
export interface MixPart {
  tokens: number;
  weighted: number;
  heaviest: number;
}

/** A group's rows that are not synthetic, and those that are. */
export interface MixParts {
  plain: MixPart;
  synthetic: MixPart;
}

/** Fractions of all tokens, 0 to 1, that are synthetic. */
export interface MixSynthetic {
  limit: number;
  now: number;
  mixed: number;
  /** The limit makes synthetic rows be seen less often than the recipe's weights and shares would. */
  limited: boolean;
  /** Groups of synthetic rows alone, whose shares are less than the recipe asks for. */
  cut: string[];
  /** There are no other rows: the limit cannot be kept. */
  unmet: boolean;
}

export interface MixRow {
  group: string;
  rows: number;
  tokens: number;
  /** Fractions of all tokens, 0 to 1. */
  shareNow: number;
  shareWanted: number;
  /** How often each of the group's rows is seen, in the mean over tokens. */
  epochs: number;
  /** How often the row is seen that is seen most; absent where all are seen as often. */
  most?: number;
  /** Absent where every row has weight 1 and the recipe does not ask for synthetic ones. */
  parts?: MixParts;
}

export interface MixTable {
  by: string;
  rows: MixRow[];
  budgetTokens: number;
  /** Tokens that the recipe asks for; more than `budgetTokens` where a group would be seen more than `maxEpochs` times. */
  wantedTokens?: number;
  /** The group that cut the budget. */
  limitedBy?: string;
  /** Whether `tokens` is exact (a tokenizer was given) or counted in words times 1.3. */
  exact: boolean;
  maxEpochs: number;
  /** The limit that the recipe sets on synthetic rows, and what counts as one. */
  synthetic?: MixSynthetic & { column: string; values?: string[] };
}

export interface GuardResult {
  guard: string;
  ok: boolean;
  message: string;
  /** Rows to look at. */
  rows: { rowId: string; detail: string }[];
}

/** Orders in which a dataset's training rows may stand. */
export const curriculumOrders = ["shuffle", "length", "perplexity", "column"] as const;

/** The order of a dataset's training rows. */
export interface CurriculumSpec {
  order: (typeof curriculumOrders)[number];
  /** The column of `column` and `perplexity`. */
  by?: string;
  descending?: boolean;
}

export interface BuildResult {
  recipe: string;
  /** Absolute path of the dataset's folder. */
  dataset: string;
  /** `mixed` where the sources' shapes differ: then every row has `text`. */
  shape?: "text" | "prompt/completion" | "chat" | "preference" | "preference/chat" | "preference/label" | "verifiable" | "mixed";
  hash: string;
  /** False when the same dataset was there already. */
  built: boolean;
  sources: RecipeCounts["sources"];
  steps: StepCount[];
  mix: MixTable;
  split: { name: string; rows: number; tokens: number; files: string[] }[];
  /** The order of the training rows; absent in datasets from before there was one, which are shuffled. */
  curriculum?: CurriculumSpec;
  guards: GuardResult[];
  seconds: number;
}

export interface BuildProgress {
  /** What is being done, such as `dedup near`. */
  stage: string;
  done: number;
  of: number;
}

export interface ReceiptRow {
  rowId: string;
  source: string;
  file: string;
  fileRow: number;
  step: string;
  /** What the step did with the row. */
  effect?: "dropped" | "changed" | "flagged" | "weighted";
  reason: string;
  value: string | null;
  /** The row that it duplicates, or the evaluation prompt that it contains as `file#id`. */
  matchedRowId: string | null;
  /** The row's text, cut to 400 characters. */
  text: string;
  matchedText: string | null;
}

export interface Stats {
  path: string;
  shape: Shape;
  rows: number;
  /** The first of the broken rows; `badRows` counts all. */
  bad: BadRow[];
  badRows: number;
  columns: { name: string; type: string; nulls: number; distinct: number; minLength: number | null; meanLength: number | null; maxLength: number | null }[];
  words: number;
  languages: { lang: string; rows: number }[];
  exactDuplicates: number;
  pii: { kind: string; rows: number }[];
  quality: { reason: string; rows: number }[];
}

/** Forms in which a dataset is written for others: a folder as the Hugging Face hub reads it, Parquet files, or JSON lines. */
export const datasetFormats = ["hub", "parquet", "jsonl"] as const;
export type DatasetFormat = (typeof datasetFormats)[number];

export interface DatasetExport {
  /** Absolute path of the folder. */
  out: string;
  /** Absolute paths of the files with rows. */
  files: string[];
  rows: number;
}

export interface CorpusApi {
  open(params: { path: string }, signal?: AbortSignal): Promise<OpenResult>;
  close(params: { handle: string }): Promise<null>;
  /** `partial`: answers with what a search found so far. It goes on while it is asked about. */
  page(params: { handle: string; query: Query; offset: number; limit: number; partial?: boolean }, signal?: AbortSignal): Promise<Page>;
  /** `partial`: estimates from a sample what cannot be counted yet. `pause`: stops the computing of columns, until it is asked without. */
  facets(params: { handle: string; query: Query; partial?: boolean; pause?: boolean }, signal?: AbortSignal): Promise<FacetCounts>;
  detail(params: { handle: string; row: number }, signal?: AbortSignal): Promise<RowDetail>;
  /** The query as one SQL predicate over the file's own columns, for "Keep as filter". */
  predicate(params: { handle: string; query: Query }): Promise<{ sql: string }>;
  stats(params: { path: string }, signal?: AbortSignal): Promise<Stats>;
  /** Live counts of a recipe's text (unsaved too); `path` resolves its relative files. */
  counts(params: { path: string; text: string }, signal?: AbortSignal): Promise<RecipeCounts>;
  mix(params: { path: string; text: string }, signal?: AbortSignal): Promise<MixTable>;
  /** What the rows of a recipe's source become with a shape (null: as they are detected) and a map, by a sample of its first file. */
  mapping(params: { path: string; text: string; source: string; as: Exclude<Shape, "table"> | null; map: Record<string, string> }, signal?: AbortSignal): Promise<SourceMapping>;
  /** The rows that a step dropped or changed. */
  dropped(params: { path: string; text: string; step: number; limit: number }, signal?: AbortSignal): Promise<ReceiptRow[]>;
  build(
    params: {
      path: string;
      text?: string;
      /** Leaves out the steps and the mix: all good rows of the sources, once. */
      skipSteps?: boolean;
      /** Further evaluations for the guard, beside those of the recipe's decontaminate steps: files or globs, relative to the recipe. */
      evals?: string[];
      /** Holds `.tillage`; found from the recipe's folder when absent. */
      root?: string;
    },
    signal?: AbortSignal,
    progress?: (p: BuildProgress) => void,
  ): Promise<BuildResult>;
  /** A built dataset's receipts; all of a row's when `rowId` is given. */
  receipts(params: { dataset: string; rowId?: string; step?: string; limit: number }, signal?: AbortSignal): Promise<ReceiptRow[]>;
  /** The guards of a built dataset. `evals`: absolute paths; `context` and `tokenizer` (a tokenizer.json or its folder): for rows that are too long. */
  guards(params: { dataset: string; evals?: string[]; context?: number; tokenizer?: string }, signal?: AbortSignal): Promise<GuardResult[]>;
  /** What two built datasets differ in; `limit` rows of each change come with their texts. */
  diff(params: { before: string; after: string; limit: number }, signal?: AbortSignal, progress?: (p: BuildProgress) => void): Promise<DatasetDiff>;
  /** Writes a built dataset into a new folder for other programs; `plain` leaves out the columns that lead back to the sources. */
  exportDataset(params: { dataset: string; to: DatasetFormat; out: string; plain?: boolean }, signal?: AbortSignal, progress?: (p: BuildProgress) => void): Promise<DatasetExport>;
  /** Rows of a built dataset by id; `text` is a row's whole text, whatever its shape. */
  rows(params: { dataset: string; rowIds: string[] }, signal?: AbortSignal): Promise<{ rowId: string; source: string; values: Record<string, Cell>; text: string }[]>;
}

/** What crosses the wire when a call fails. */
export interface RpcFailure {
  problem: Problem;
}

/** Names of the API's methods, for registering handlers and building clients. */
export const corpusMethods = [
  "open", "close", "page", "facets", "detail", "predicate", "stats", "counts", "mix", "mapping", "dropped", "build", "receipts", "rows", "guards", "diff", "exportDataset",
] as const satisfies readonly (keyof CorpusApi)[];
