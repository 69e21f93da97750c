import { computeMix, isSynthetic, type MixGroup, type MixResult } from "../../core/mix";
import type { Recipe } from "../../core/recipe";
import { lot } from "../../core/steps";
import type { MixTable } from "../../protocol/corpus";
import type { Session } from "../duckdb/session";
import type { Stage } from "../pipeline/pipeline";
import { tokensSql } from "../sources/load";
import { curriculumOrder } from "./curriculum";
import { groupColumn } from "./split";

/**
 * The rows' weights as a query of `_n, _factor`: the product of the factors that the steps gave, in the steps' order. Rows of which no step changed the
 * weight are not in it. Undefined where no step did.
 */
function weightsOf(stages: readonly Stage[]): string | undefined {
  const parts = stages.flatMap(({ receipts, count }, i) => (receipts !== undefined && (count?.weighted ?? 0) > 0 ? [`SELECT _n, ${i} AS step, value::DOUBLE AS factor FROM ${receipts} WHERE effect = 'weighted'`] : []));
  if (parts.length === 0) return undefined;
  // The order of the factors is fixed, since a product of three is not the same in every order.
  return `SELECT _n, list_aggregate(list(factor ORDER BY step), 'product') AS _factor FROM (${parts.join(" UNION ALL ")}) GROUP BY _n`;
}

/** A part of a group. Sums are of whole millionths, so that they are the same in whatever order threads add them. */
function part(where: string): string {
  const sum = (what: string) => `coalesce(sum(${what}) FILTER (${where}), 0)::DOUBLE`;
  return `{tokens: ${sum("tokens")}, weighted: ${sum("round(tokens * weight * 1e6)::BIGINT")} / 1e6, heaviest: coalesce(max(weight) FILTER (${where} AND tokens > 0), 0)}`;
}

/**
 * Creates `weighed(_n, grp, tokens, weight, synthetic)` of the rows that the last stage leaves, and gives the groups of the training ones. Needs `split`.
 */
export async function weigh(session: Session, stages: readonly Stage[], view: string, recipe: Recipe, recipePath: string, tokenizer: string | undefined): Promise<MixGroup[]> {
  const by = await groupColumn(session, view, recipe.mix.by, recipePath, "mix.by");
  const { synthetic } = recipe.mix;
  const made = synthetic ? isSynthetic(synthetic, await groupColumn(session, view, synthetic.column, recipePath, "mix.synthetic.column")) : "false";
  const weights = weightsOf(stages);
  const [weight, join] = weights === undefined ? ["1::DOUBLE", ""] : ["coalesce(_factor, 1)", ` LEFT JOIN (${weights}) USING (_n)`];
  await session.run(`CREATE TABLE weighed AS SELECT _n, coalesce(${by}::VARCHAR, '(none)') AS grp, ${tokensSql(tokenizer)} AS tokens, ${weight} AS weight, ${made} AS synthetic FROM ${view}${join}`);
  const groups = await session.rows<{ group: string; rows: number; tokens: number; parts: string }>(
    `SELECT grp AS "group", count(*) AS rows, coalesce(sum(tokens), 0) AS tokens, to_json({plain: ${part("NOT synthetic")}, synthetic: ${part("synthetic")}}) AS parts FROM weighed JOIN split USING (_n) WHERE side = 'train' GROUP BY grp ORDER BY min(_n)`,
  );
  const plain = weights === undefined && synthetic === undefined;
  return groups.map(({ parts, ...group }) => (plain ? group : { ...group, parts: JSON.parse(parts) as NonNullable<MixGroup["parts"]> }));
}

/** What the recipe's mix makes of the groups. */
export function mixOf(recipe: Recipe, groups: readonly MixGroup[]): MixResult {
  const { budget, shares, maxEpochs, synthetic } = recipe.mix;
  return computeMix(groups, { budget, shares, maxEpochs, synthetic: synthetic?.maxShare });
}

export function mixTable(recipe: Recipe, mix: MixResult, exact: boolean): MixTable {
  const rule = recipe.mix.synthetic;
  const synthetic = rule && mix.synthetic ? { synthetic: { ...mix.synthetic, column: rule.column, ...(rule.values ? { values: [...rule.values] } : {}) } } : {};
  return { by: recipe.mix.by, rows: mix.rows, budgetTokens: mix.budgetTokens, wantedTokens: mix.wantedTokens, limitedBy: mix.limitedBy, exact, maxEpochs: recipe.mix.maxEpochs, ...synthetic };
}

/**
 * Creates `sampled(_n, copy, position)`: each training row as often as its group's epochs and its weight say. The rows of a group with one weight are a
 * class, which has the tokens of that many epochs: whole epochs take every row; of the rest the rows come in the order of their lots until the tokens are
 * used up, and a lot of the class says whether the row in which they end is taken, so that a class of few rows has its share in the mean. Nothing depends
 * on threads: lots are hashes, and tokens are whole numbers.
 */
export async function sample(session: Session, view: string, recipe: Recipe, recipePath: string, mix: MixResult): Promise<void> {
  const { seed } = recipe;
  await session.run("CREATE TABLE scales (grp VARCHAR, of_plain DOUBLE, of_synthetic DOUBLE)");
  for (const { group, plain, synthetic } of mix.scales) await session.run("INSERT INTO scales VALUES (?, ?, ?)", [group, plain, synthetic]);
  const limited = mix.synthetic !== undefined && !mix.synthetic.unmet && mix.synthetic.limit < 1;
  // A table holds a row for each copy: only where some of them are looked at once more.
  const kind = limited ? "TABLE" : "VIEW";
  const share = (text: string) => `('0x' || substr(${lot(text, seed)}, 1, 8))::BIGINT / 4294967296`;
  await session.run(
    `CREATE ${kind} copies AS WITH lots AS (SELECT w._n, w.grp, w.tokens, w.weight, w.synthetic, r._row_id, ${lot("r._row_id", seed)} AS lot FROM weighed w JOIN split s USING (_n) JOIN ${view} r USING (_n) WHERE s.side = 'train'), ` +
      `classes AS (SELECT grp, weight, synthetic, sum(tokens) AS tokens, any_value(CASE WHEN synthetic THEN of_synthetic ELSE of_plain END) * weight AS epochs FROM lots JOIN scales USING (grp) GROUP BY grp, weight, synthetic), ` +
      // Rounding must not turn an epoch of 1 into 0.999999.
      `exact AS (SELECT * REPLACE (CASE WHEN abs(epochs - round(epochs)) < 1e-6 THEN round(epochs) ELSE epochs END AS epochs) FROM classes), ` +
      `parts AS (SELECT grp, weight, synthetic, floor(epochs)::BIGINT AS whole, (epochs - floor(epochs)) * tokens AS rest, ${share("grp || ':' || weight || ':' || synthetic")} AS edge FROM exact), ` +
      `placed AS (SELECT l._n, l._row_id, p.whole, p.rest, sum(l.tokens) OVER (PARTITION BY l.grp, l.weight, l.synthetic ORDER BY l.lot, l._row_id) - l.tokens * (1 - p.edge) AS mark FROM lots l JOIN parts p ON p.grp = l.grp AND p.weight = l.weight AND p.synthetic = l.synthetic), ` +
      `often AS (SELECT _n, _row_id, whole + CASE WHEN mark < rest THEN 1 ELSE 0 END AS times FROM placed) ` +
      `SELECT _n, _row_id, unnest(range(times)) AS copy FROM often WHERE times > 0`,
  );
  if (limited) await keepLimit(session, seed, mix.synthetic?.limit ?? 1);
  const order = await curriculumOrder(session, view, recipe, recipePath);
  await session.run(
    `CREATE TABLE sampled AS SELECT _n, copy, row_number() OVER (ORDER BY ${[...order, lot("c._row_id || ':' || copy", seed), "c._row_id", "copy"].join(", ")}) - 1 AS position FROM copies c${order.length > 0 ? ` JOIN ${view} r USING (_n) JOIN weighed w USING (_n)` : ""}`,
  );
  await session.run(`DROP ${kind} copies; DROP TABLE scales`);
}

/** Whole rows can come out a little above the limit of the synthetic share: the last copies, by lot, go until it holds. */
async function keepLimit(session: Session, seed: number, limit: number): Promise<void> {
  const sums = await session.one<{ made: number; others: number }>("SELECT coalesce(sum(tokens) FILTER (synthetic), 0)::DOUBLE AS made, coalesce(sum(tokens) FILTER (NOT synthetic), 0)::DOUBLE AS others FROM copies JOIN weighed USING (_n)");
  const over = sums.made - (limit / (1 - limit)) * sums.others;
  if (over <= 0) return;
  await session.run(
    `DELETE FROM copies USING (SELECT _n, copy FROM (SELECT _n, copy, sum(tokens) OVER (ORDER BY copy DESC, ${lot("_row_id", seed)} DESC, _row_id DESC) - tokens AS before FROM copies JOIN weighed USING (_n) WHERE synthetic AND tokens > 0) WHERE before < ${over}) gone WHERE copies._n = gone._n AND copies.copy = gone.copy`,
  );
}
