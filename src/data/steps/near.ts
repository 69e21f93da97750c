import type { Session } from "../duckdb/session";

/** Rows of a bucket up to which all of its pairs are compared. */
const smallBucket = 64;

export interface NearConfig {
  threshold: number;
  permutations: number;
  ngram: number;
}

/**
 * Fills `pairs(a, b)` with the near duplicates among the rows of `input` (columns `_n`, `text`): candidates that share a band of
 * their MinHash signatures (Leskovec et al., Mining of Massive Datasets, 3.4), each checked by the exact Jaccard similarity of
 * its word n-grams. In a bucket of more than 64 rows, each is compared with the bucket's first row and with the one before
 * it instead of with all: as components are what counts, a large group of copies is still found, in linear time.
 */
export async function nearPairs(session: Session, input: string, config: NearConfig, seed: number, pairs: string): Promise<void> {
  const bands = `${pairs}_bands`;
  await session.run(
    `CREATE TABLE ${bands} AS SELECT _n, h FROM (SELECT _n, unnest(till_lsh_bands(till_minhash(text, ${config.permutations}, ${config.ngram}, ${seed}), till_lsh_choose(${config.permutations}, ${config.threshold}))) AS h FROM ${input}) QUALIFY count(*) OVER (PARTITION BY h) > 1`,
  );
  await session.run(
    `CREATE TABLE ${pairs} AS WITH sized AS (SELECT _n, h, count(*) OVER (PARTITION BY h) AS size, first(_n) OVER w AS head, lag(_n) OVER w AS previous FROM ${bands} WINDOW w AS (PARTITION BY h ORDER BY _n)), ` +
      `small AS (SELECT _n, h FROM sized WHERE size <= ${smallBucket}), ` +
      `candidates AS (SELECT x._n AS a, y._n AS b FROM small x JOIN small y ON x.h = y.h AND x._n < y._n ` +
      `UNION SELECT head, _n FROM sized WHERE size > ${smallBucket} AND head <> _n ` +
      `UNION SELECT previous, _n FROM sized WHERE size > ${smallBucket} AND previous IS NOT NULL AND previous <> _n) ` +
      `SELECT a, b FROM candidates JOIN ${input} x ON x._n = a JOIN ${input} y ON y._n = b WHERE till_jaccard(x.text, y.text, ${config.ngram}) >= ${config.threshold}`,
  );
  await session.run(`DROP TABLE ${bands}`);
}
