import { evalItems, type PlanContext, type StepOp } from "../plan";

/**
 * Fills `matches(_n BIGINT, item VARCHAR, shared BIGINT)` with the rows of `input` that share a word n-gram with one of the texts of
 * `items` (a query of `item, text`): the item with the most shared n-grams of each row. A text with fewer than n words is looked for as a whole.
 */
export function evalMatches(input: string, items: string, ngram: number, matches: string): StepOp[] {
  const grams = `${matches}_grams`;
  return [
    { sql: `CREATE TABLE ${grams} AS SELECT item, n, unnest(till_ngrams(text, n)) AS gram FROM (SELECT item, text, least(${ngram}, till_words(text))::INTEGER AS n FROM (${items})) WHERE n > 0` },
    { sql: `CREATE TABLE ${matches} (_n BIGINT, item VARCHAR, shared BIGINT)` },
    {
      each: `SELECT DISTINCT n FROM ${grams} ORDER BY n`,
      plan: (n) => [{ sql: `INSERT INTO ${matches} SELECT r._n, g.item, count(*) FROM (SELECT _n, unnest(till_ngrams(text, ${n})) AS gram FROM ${input}) r JOIN ${grams} g ON g.n = ${n} AND g.gram = r.gram GROUP BY ALL` }],
    },
    { sql: `CREATE OR REPLACE TABLE ${matches} AS SELECT * FROM ${matches} QUALIFY row_number() OVER (PARTITION BY _n ORDER BY shared DESC, item) = 1` },
    { sql: `DROP TABLE ${grams}` },
  ];
}

/** Drops the rows that contain evaluation text; the receipt names the prompt. */
export function decontaminatePlan({ input, receipts, scratch, index }: PlanContext, config: { ngram: number }): StepOp[] {
  const matches = scratch("matches");
  return [
    ...evalMatches(input, `SELECT item, text FROM ${evalItems} WHERE step = ${index}`, config.ngram, matches),
    { sql: `INSERT INTO ${receipts} SELECT _n, 'dropped', 'evaluation text', shared || ' shared n-grams', NULL, item FROM ${matches}` },
  ];
}
