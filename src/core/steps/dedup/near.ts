import type { StepOp } from "../plan";

/** Rows of a bucket up to which all of its pairs are compared. */
const smallBucket = 64;

export interface NearConfig {
  threshold: number;
  permutations: number;
  ngram: number;
}

/**
 * The least similarity that the sketches of a pair at the threshold may speak of: four standard deviations below it (`till_alike`), so that
 * three pairs in 100,000 at the threshold itself are lost by it, and fewer above.
 */
function leastEstimate({ threshold, permutations }: NearConfig): number {
  const agree = threshold + (1 - threshold) / 16;
  return threshold - (4 * Math.sqrt((agree * (1 - agree)) / permutations)) / (15 / 16);
}

/**
 * Fills `pairs(a, b)` with the near duplicates among the rows of `input` (columns `_n`, `text`): candidates that share a band of
 * their MinHash signatures (Leskovec et al., Mining of Massive Datasets, 3.4), whose sketches do not rule them out, each checked by the
 * exact Jaccard similarity of its word n-grams. In a bucket of more than 64 rows, each is compared with the bucket's first row and with
 * the one before it instead of with all: as components are what counts, a large group of copies is still found, in linear time.
 *
 * A row's bands are kept as one list, and buckets are made of one band at a time: so memory holds the hashes of one band, not of all.
 */
export function nearPairs(input: string, config: NearConfig, seed: number, pairs: string): StepOp[] {
  const { permutations, ngram, threshold } = config;
  const [bands, candidates, alike] = [`${pairs}_bands`, `${pairs}_candidates`, `${pairs}_alike`];
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
  // The signature is made once a row: see `createMeasured` of the pipeline for why it stands behind an unnest.
  const signatures = `SELECT _n, unnest([till_minhash(text, ${permutations}, ${ngram}, ${seed})]) AS m FROM ${input}`;
  return [
    { sql: `CREATE TABLE ${bands} AS SELECT _n, till_lsh_bands(m, till_lsh_choose(${permutations}, ${threshold})) AS b, till_sketch(m) AS s FROM (${signatures})` },
    { sql: `CREATE TABLE ${candidates} (a BIGINT, b BIGINT)` },
    { each: `SELECT unnest(range(1, coalesce(max(len(b)), 0) + 1)) FROM ${bands}`, plan: (band) => [bucket(band)] },
    {
      sql:
        `CREATE TABLE ${alike} AS SELECT a, c.b FROM (SELECT DISTINCT a, b FROM ${candidates}) c JOIN ${bands} x ON x._n = a JOIN ${bands} y ON y._n = c.b ` +
        `WHERE till_alike(x.s, y.s, ${permutations}) >= ${leastEstimate(config)}`,
    },
    { sql: `DROP TABLE ${bands}; DROP TABLE ${candidates}` },
    { sql: `CREATE TABLE ${pairs} AS SELECT a, b FROM ${alike} JOIN ${input} x ON x._n = a JOIN ${input} y ON y._n = b WHERE till_jaccard(x.text, y.text, ${ngram}) >= ${threshold}` },
    { sql: `DROP TABLE ${alike}` },
  ];
}
