import type { ConfigOf, StepKey } from "../../core/recipe";
import type { Session } from "../duckdb/session";

/** What a step's SQL works on. */
export interface StepContext {
  session: Session;
  /** The view of the rows that the step looks at, with `where`'s columns. */
  input: string;
  /**
   * The table that the step fills by INSERT: `_n BIGINT, effect VARCHAR ('dropped' | 'changed' | 'flagged'), reason VARCHAR, value VARCHAR,
   * matched_n BIGINT, matched VARCHAR`. `matched` names what is no row (an evaluation's prompt).
   */
  receipts: string;
  /** The table that a step fills that rewrites rows: `_n BIGINT`, then `ownColumns`. */
  changes: string;
  /** Names of scratch tables; the caller drops them. */
  scratch: (name: string) => string;
  /** The step's position in the recipe, from 0. */
  index: number;
  seed: number;
  /** For messages about the recipe's own text. */
  recipe: { file: string; line: number };
}

/** A step's SQL half. */
export type StepCompiler<K extends StepKey> = (context: StepContext, config: ConfigOf<K>) => Promise<void>;
