import { ownColumns } from "../../dataset";
import type { PlanContext, StepOp } from "../plan";

export interface SpansConfig {
  /** Words of a passage. */
  min_tokens: number;
}

/**
 * Cuts passages of at least so many words that stand earlier in the corpus, or earlier in the same text (Lee et al. 2022). Candidates are found by
 * winnowed anchors and windows by their hashes, each grouped once: no two texts are compared as a pair (`text/spans` of the extension has why nothing
 * that is repeated is missed). A text of which no word is left leaves.
 */
export function spansPlan({ input, receipts, changes, scratch }: PlanContext, { min_tokens: n }: SpansConfig): StepOp[] {
  const [anchors, candidates, windows, cuts, texts] = [scratch("anchors"), scratch("candidates"), scratch("windows"), scratch("cuts"), scratch("texts")];
  const others = ownColumns.filter((column) => column !== "text");
  const kept = `SELECT hash, min({n: _n, start: start}) AS first FROM ${windows} GROUP BY hash HAVING count(*) > 1`;
  return [
    { sql: `CREATE TABLE ${anchors} AS SELECT _n, unnest(till_span_anchors(text, ${n})) AS anchor FROM ${input} WHERE _shape = 'text'` },
    { sql: `CREATE TABLE ${candidates} AS SELECT _n, list(DISTINCT anchor) AS anchors FROM ${anchors} WHERE anchor IN (SELECT anchor FROM ${anchors} GROUP BY anchor HAVING count(*) > 1) GROUP BY _n` },
    { sql: `DROP TABLE ${anchors}` },
    { sql: `CREATE TABLE ${windows} AS SELECT _n, w.hash AS hash, w.start AS start FROM (SELECT i._n, unnest(till_span_windows(i.text, ${n}, c.anchors)) AS w FROM ${input} i JOIN ${candidates} c ON c._n = i._n)` },
    {
      sql:
        `CREATE TABLE ${cuts} AS SELECT _n, min(first.n) AS matched, list(CASE WHEN _n = first.n THEN greatest(start, first.start + ${n}) ELSE start END) AS starts, list(start + ${n}) AS ends ` +
        `FROM ${windows} JOIN (${kept}) USING (hash) WHERE _n <> first.n OR start <> first.start GROUP BY _n`,
    },
    { sql: `CREATE TABLE ${texts} AS SELECT _n, matched, before, text, till_words(text) AS words FROM (SELECT i._n, c.matched, till_words(i.text) AS before, unnest([till_cut_words(i.text, c.starts, c.ends)]) AS text FROM ${input} i JOIN ${cuts} c ON c._n = i._n)` },
    { sql: `INSERT INTO ${receipts} SELECT _n, CASE words WHEN 0 THEN 'dropped' ELSE 'changed' END, 'repeated passage', (before - words) || ' words', CASE WHEN matched <> _n THEN matched END, NULL FROM ${texts} WHERE words < before` },
    { sql: `INSERT INTO ${changes} SELECT i._n, t.text, ${others.map((column) => `i.${column}`).join(", ")} FROM ${input} i JOIN ${texts} t ON t._n = i._n WHERE t.words > 0 AND t.words < t.before` },
  ];
}
