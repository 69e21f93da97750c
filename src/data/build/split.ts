import type { Recipe } from "../../core/recipe";
import { nearest } from "../../core/recipe";
import { lot, nearPairs } from "../../core/steps";
import { TillageError } from "../../protocol/errors";
import type { Session } from "../duckdb/session";
import { ident } from "../duckdb/sql";
import { runOps } from "../pipeline/run-ops";

/** Near duplicates are kept on one side of the split from this similarity on, whatever the recipe's own steps do. */
const alike = { threshold: 0.8, permutations: 128, ngram: 5 };

/** The column that `by` names: `source` is the source's name. Unknown ones are errors with the nearest. */
export async function groupColumn(session: Session, view: string, by: string, recipePath: string, what: string): Promise<string> {
  const columns = (await session.rows<{ column_name: string }>(`DESCRIBE ${view}`)).map((row) => row.column_name);
  if (columns.includes(by)) return ident(by);
  if (by === "source") return "_source";
  const known = columns.filter((name) => !name.startsWith("_"));
  const near = nearest(by, known);
  throw TillageError.user("unknown_column", `'${what}' names the column '${by}', which the rows do not have.${near ? ` Did you mean '${near}'?` : ""}`, `The columns are source, ${known.join(", ")}.`, { file: recipePath });
}

/**
 * Creates `split(_n, side)` with side `train` or `valid`. Rows with equal or nearly equal texts, or with the same prompt, stay together;
 * in each value of `by` the groups are taken for validation in the order of their lots while that brings it nearer to its share.
 */
export async function createSplit(session: Session, view: string, recipe: Recipe, recipePath: string): Promise<void> {
  const valid = recipe.split.valid;
  const by = await groupColumn(session, view, recipe.split.by, recipePath, "split.by");
  if (valid <= 0) {
    await session.run(`CREATE TABLE split AS SELECT _n, 'train' AS side FROM ${view}`);
    return;
  }
  // A hash a row is held, not the text.
  const same = (column: string, where: string) => `SELECT first(_n) OVER (PARTITION BY h ORDER BY _n) AS a, _n AS b FROM (SELECT _n, md5(till_normalize(${column}))::UUID AS h FROM ${view} WHERE ${where})`;
  const together = `SELECT a, b FROM splitting.near UNION ALL ${same("text", "true")} UNION ALL ${same("prompt", "prompt IS NOT NULL")}`;
  await session.run("CREATE SCHEMA splitting");
  await runOps(session, [...nearPairs(view, alike, recipe.seed, "splitting.near"), { components: `SELECT a, b FROM (${together}) WHERE a <> b`, into: "splitting.groups" }]);
  await session.run(
    `CREATE TABLE split AS WITH units AS (SELECT r._n, coalesce(g.root, r._n) AS unit, r._row_id, ${by}::VARCHAR AS stratum FROM ${view} r LEFT JOIN splitting.groups g USING (_n)), ` +
      `sized AS (SELECT unit, min(stratum) AS stratum, count(*) AS size, min(${lot("_row_id", recipe.seed)}) AS lot FROM units GROUP BY unit), ` +
      `taken AS (SELECT unit, sum(size) OVER (PARTITION BY stratum ORDER BY lot, unit) - size / 2.0 AS middle, sum(size) OVER (PARTITION BY stratum) * ${valid} AS wanted FROM sized) ` +
      `SELECT u._n, CASE WHEN t.middle < t.wanted THEN 'valid' ELSE 'train' END AS side FROM units u JOIN taken t USING (unit)`,
  );
  await session.run("DROP SCHEMA splitting CASCADE");
}
