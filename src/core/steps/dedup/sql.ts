import type { PlanContext, StepOp } from "../plan";
import { nearPairs, type NearConfig } from "./near";
import { spansPlan, type SpansConfig } from "./spans";

type Keep = "longest" | "first";
export type DedupConfig = { exact: "exact" | "normalized"; keep: Keep } | { near: NearConfig; keep: Keep } | { spans: SpansConfig };

/** The row of a group that stays: the longest (the first of several), or the first. */
function order(keep: Keep): string {
  return keep === "longest" ? "size DESC, _n" : "_n";
}

/** Keeps one row of each group of duplicates, or one place of each repeated passage; the receipts of the others name it. */
export function dedupPlan(context: PlanContext, config: DedupConfig): StepOp[] {
  if ("spans" in config) return spansPlan(context, config.spans);
  const { input, measured, receipts, scratch, seed, measure } = context;
  if ("exact" in config) {
    const hash = measure(config.exact === "normalized" ? "md5(till_normalize(text))::UUID" : "md5(text)::UUID");
    const kept = `SELECT _n, first(_n) OVER (PARTITION BY hash ORDER BY ${order(config.keep)}) AS kept FROM (SELECT _n, ${hash} AS hash, ${measure("length(text)")} AS size FROM ${measured})`;
    return [{ sql: `INSERT INTO ${receipts} SELECT _n, 'dropped', 'exact duplicate', NULL, kept, NULL FROM (${kept}) WHERE kept <> _n` }];
  }
  const [pairs, groups] = [scratch("pairs"), scratch("groups")];
  const kept = `SELECT _n, first(_n) OVER (PARTITION BY root ORDER BY ${order(config.keep)}) AS kept FROM (SELECT g._n, g.root, length(i.text) AS size FROM ${groups} g JOIN ${input} i USING (_n))`;
  return [
    ...nearPairs(input, config.near, seed, pairs),
    { components: `SELECT a, b FROM ${pairs}`, into: groups },
    {
      sql:
        `INSERT INTO ${receipts} SELECT d._n, 'dropped', 'near duplicate', round(till_jaccard(x.text, y.text, ${config.near.ngram}), 4)::VARCHAR, d.kept, NULL ` +
        `FROM (${kept}) d JOIN ${input} x ON x._n = d._n JOIN ${input} y ON y._n = d.kept WHERE d.kept <> d._n`,
    },
  ];
}
