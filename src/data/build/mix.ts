import { computeMix, type MixResult } from "../../core/mix";
import type { Recipe } from "../../core/recipe";
import { lot } from "../../core/steps";
import type { MixTable } from "../../protocol/corpus";
import type { Session } from "../duckdb/session";
import { tokensSql } from "../sources/load";
import { groupColumn } from "./split";

/** Creates `weighed(_n, grp, tokens)` of the rows that are left, and gives the mix of the training ones. Needs `split`. */
export async function weigh(session: Session, view: string, recipe: Recipe, recipePath: string, tokenizer: string | undefined): Promise<MixResult> {
  const by = await groupColumn(session, view, recipe.mix.by, recipePath, "mix.by");
  await session.run(`CREATE TABLE weighed AS SELECT _n, coalesce(${by}::VARCHAR, '(none)') AS grp, ${tokensSql(tokenizer)} AS tokens FROM ${view}`);
  const groups = await session.rows<{ group: string; rows: number; tokens: number }>(
    `SELECT grp AS "group", count(*) AS rows, coalesce(sum(tokens), 0) AS tokens FROM weighed JOIN split USING (_n) WHERE side = 'train' GROUP BY grp ORDER BY min(_n)`,
  );
  return computeMix(groups, { budget: recipe.mix.budget, shares: recipe.mix.shares, maxEpochs: recipe.mix.maxEpochs });
}

export function mixTable(recipe: Recipe, mix: MixResult, exact: boolean): MixTable {
  return { by: recipe.mix.by, rows: mix.rows, budgetTokens: mix.budgetTokens, wantedTokens: mix.wantedTokens, limitedBy: mix.limitedBy, exact, maxEpochs: recipe.mix.maxEpochs };
}

/**
 * Creates `sampled(_n, copy, position)`: each training row as often as its group's epochs say. Whole epochs take every row; of the rest
 * the rows come in the order of their lots until their tokens are used up. The order of the result is a shuffle by lots: nothing depends on threads.
 */
export async function sample(session: Session, view: string, recipe: Recipe, mix: MixResult): Promise<void> {
  await session.run("CREATE TABLE epochs (grp VARCHAR, whole BIGINT, rest DOUBLE)");
  for (const row of mix.rows) {
    // Rounding must not turn an epoch of 1 into 0.999999.
    const epochs = Math.abs(row.epochs - Math.round(row.epochs)) < 1e-6 ? Math.round(row.epochs) : row.epochs;
    await session.run("INSERT INTO epochs VALUES (?, ?, ?)", [row.group, Math.floor(epochs), (epochs - Math.floor(epochs)) * row.tokens]);
  }
  await session.run(
    `CREATE TABLE sampled AS WITH lots AS (SELECT w._n, w.grp, w.tokens, r._row_id, ${lot("r._row_id", recipe.seed)} AS lot FROM weighed w JOIN split s USING (_n) JOIN ${view} r USING (_n) WHERE s.side = 'train'), ` +
      `placed AS (SELECT l.*, e.whole, e.rest, sum(l.tokens) OVER (PARTITION BY l.grp ORDER BY l.lot, l._row_id) - l.tokens / 2.0 AS middle FROM lots l JOIN epochs e USING (grp)), ` +
      `often AS (SELECT _n, _row_id, whole + CASE WHEN middle < rest THEN 1 ELSE 0 END AS times FROM placed), ` +
      `copies AS (SELECT _n, _row_id, unnest(range(times)) AS copy FROM often WHERE times > 0) ` +
      `SELECT _n, copy, row_number() OVER (ORDER BY ${lot("_row_id || ':' || copy", recipe.seed)}, _row_id, copy) - 1 AS position FROM copies`,
  );
}
