import type { Session } from "../duckdb/session";
import type { StepCompiler } from "./context";

/** The table of evaluation texts, filled before the database is locked: `step BIGINT, item VARCHAR, text VARCHAR`. */
export const evalItems = "eval_items";

/**
 * Fills `matches(_n BIGINT, item VARCHAR, shared BIGINT)` with the rows of `input` that share a word n-gram with one of the texts of
 * `items` (a query of `item, text`): the item with the most shared n-grams of each row. A text with fewer than n words is looked for as a whole.
 */
export async function evalMatches(session: Session, input: string, items: string, ngram: number, matches: string): Promise<void> {
  const grams = `${matches}_grams`;
  await session.run(`CREATE TABLE ${grams} AS SELECT item, n, unnest(till_ngrams(text, n)) AS gram FROM (SELECT item, text, least(${ngram}, till_words(text))::INTEGER AS n FROM (${items})) WHERE n > 0`);
  const lengths = await session.rows<{ n: number }>(`SELECT DISTINCT n FROM ${grams} ORDER BY n`);
  const hits = lengths.map(({ n }) => `SELECT r._n, g.item, count(*) AS shared FROM (SELECT _n, unnest(till_ngrams(text, ${n})) AS gram FROM ${input}) r JOIN ${grams} g ON g.n = ${n} AND g.gram = r.gram GROUP BY ALL`);
  await session.run(
    hits.length === 0
      ? `CREATE TABLE ${matches} (_n BIGINT, item VARCHAR, shared BIGINT)`
      : `CREATE TABLE ${matches} AS SELECT _n, item, shared FROM (${hits.join(" UNION ALL ")}) QUALIFY row_number() OVER (PARTITION BY _n ORDER BY shared DESC, item) = 1`,
  );
  await session.run(`DROP TABLE ${grams}`);
}

/** Drops the rows that contain evaluation text; the receipt names the prompt. */
export const decontaminate: StepCompiler<"decontaminate"> = async ({ session, input, receipts, scratch, index }, config) => {
  const matches = scratch("matches");
  await evalMatches(session, input, `SELECT item, text FROM ${evalItems} WHERE step = ${index}`, config.ngram, matches);
  await session.run(`INSERT INTO ${receipts} SELECT _n, 'dropped', 'evaluation text', shared || ' shared n-grams', NULL, item FROM ${matches}`);
};
