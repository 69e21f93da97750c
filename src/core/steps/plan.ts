/** The table of evaluation texts, filled before the database is locked: `step BIGINT, item VARCHAR, text VARCHAR`. */
export const evalItems = "eval_items";

/** What a step's SQL works on. Its plan is text only, so that the same plan can be run by whoever has the rows. */
export interface PlanContext {
  /** The view of the rows that the step looks at: `_n`, `text` and all columns that `where` sees. */
  input: string;
  /**
   * The table that the step fills by INSERT: `_n BIGINT, effect VARCHAR ('dropped' | 'changed' | 'flagged' | 'weighted'), reason VARCHAR, value VARCHAR,
   * matched_n BIGINT, matched VARCHAR`. `matched` names what is no row (an evaluation's prompt).
   * The value of `weighted` is the factor that the row's weight is multiplied by, a number above 0.
   */
  receipts: string;
  /** The table that a step fills that rewrites rows: `_n BIGINT`, then `ownColumns`. */
  changes: string;
  /** Names of scratch tables, which go with all others whose names begin like them when the step ends. */
  scratch: (name: string) => string;
  /** `input` with the columns of `measure`; who does not need these reads `input`, since they cost what they measure. */
  measured: string;
  /**
   * A column of `measured` with the value of an SQL expression over `text`, computed once a row however often the column is named. What a text
   * function measures does not change while thresholds do: so it is kept, and a step with another threshold reads it again instead of the texts.
   */
  measure: (expression: string) => string;
  /** A row's tokens as SQL over `text`, and whether they are counted or estimated. */
  tokens: { sql: string; exact: boolean };
  /** The step's position in the recipe, from 0. */
  index: number;
  seed: number;
}

/** One thing that a step does. */
export type StepOp =
  /** A statement. With `user` it contains an expression of the user's: what fails in it is theirs to mend. */
  | { sql: string; user?: boolean }
  /** Checks a predicate of the user's against the columns of `input` and what predicates may do. */
  | { predicate: string }
  /** Operations for each value of a query of one column. */
  | { each: string; plan: (value: number) => StepOp[] }
  /** Writes the connected components of the edges `a, b` that a query gives: `into(_n BIGINT, root BIGINT)`, members of components only. */
  | { components: string; into: string };
