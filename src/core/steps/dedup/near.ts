import type { StepOp } from "../plan";

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
 *
 * A row's bands are kept as one list, and buckets are made of one band at a time: so memory holds the hashes of one band, not of all.
 */
export function nearPairs(input: string, config: NearConfig, seed: number, pairs: string): StepOp[] {
  const [bands, candidates] = [`${pairs}_bands`, `${pairs}_candidates`];
  const bucket = (band: number): StepOp => ({
    sql:
      `INSERT INTO ${candidates} WITH one AS (SELECT _n, b[${band}] AS h FROM ${bands}), ` +
      `shared AS (SELECT _n, h FROM one WHERE h IN (SELECT h FROM one GROUP BY h HAVING count(*) > 1)), ` +
      `sized AS (SELECT _n, h, count(*) OVER (PARTITION BY h) AS size, first(_n) OVER w AS head, lag(_n) OVER w AS previous FROM shared WINDOW w AS (PARTITION BY h ORDER BY _n)), ` +
      `small AS (SELECT _n, h FROM sized WHERE size <= ${smallBucket}) ` +
      `SELECT x._n AS a, y._n AS b FROM small x JOIN small y ON x.h = y.h AND x._n < y._n ` +
      `UNION ALL SELECT head, _n FROM sized WHERE size > ${smallBucket} AND head <> _n ` +
      `UNION ALL SELECT previous, _n FROM sized WHERE size > ${smallBucket} AND previous <> _n AND previous <> head`,
  });
  return [
    { sql: `CREATE TABLE ${bands} AS SELECT _n, till_lsh_bands(till_minhash(text, ${config.permutations}, ${config.ngram}, ${seed}), till_lsh_choose(${config.permutations}, ${config.threshold})) AS b FROM ${input}` },
    { sql: `CREATE TABLE ${candidates} (a BIGINT, b BIGINT)` },
    { each: `SELECT unnest(range(1, coalesce(max(len(b)), 0) + 1)) FROM ${bands}`, plan: (band) => [bucket(band)] },
    { sql: `DROP TABLE ${bands}` },
    {
      sql:
        `CREATE TABLE ${pairs} AS SELECT a, b FROM (SELECT DISTINCT a, b FROM ${candidates}) JOIN ${input} x ON x._n = a JOIN ${input} y ON y._n = b ` +
        `WHERE till_jaccard(x.text, y.text, ${config.ngram}) >= ${config.threshold}`,
    },
    { sql: `DROP TABLE ${candidates}` },
  ];
}
