import type { PlanContext, StepOp } from "../plan";
import { nearPairs, type NearConfig } from "./near";
import { spansPlan, type SpansConfig } from "./spans";

type Keep = "longest" | "first";
/** What happens to a group: all but one leave, or all stay with weights that sum to one. */
type Action = "drop" | "weight";
export type DedupConfig = { exact: "exact" | "normalized"; keep: Keep; action: Action } | { near: NearConfig; keep: Keep; action: Action } | { spans: SpansConfig };

/** The row of a group that stays: the longest (the first of several), or the first. */
function order(keep: Keep): string {
  return keep === "longest" ? "size DESC, _n" : "_n";
}

/** Receipts of groups whose k rows get the weight 1/k each; `grouped` is a query of `_n, kept, members`. The row that would stay is the others' match. */
function weightGroups(receipts: string, reason: string, grouped: string): StepOp {
  return { sql: `INSERT INTO ${receipts} SELECT _n, 'weighted', '${reason}', (1::DOUBLE / members)::VARCHAR, CASE WHEN kept <> _n THEN kept END, NULL FROM (${grouped}) WHERE members > 1` };
}

/** Keeps one row of each group of duplicates, or one place of each repeated passage; the receipts of the others name it. */
export function dedupPlan(context: PlanContext, config: DedupConfig): StepOp[] {
  if ("spans" in config) return spansPlan(context, config.spans);
  const { input, measured, receipts, scratch, seed, measure } = context;
  if ("exact" in config) {
    const hash = measure(config.exact === "normalized" ? "md5(till_normalize(text))::UUID" : "md5(text)::UUID");
    const kept = `SELECT _n, first(_n) OVER (PARTITION BY hash ORDER BY ${order(config.keep)}) AS kept, count(*) OVER (PARTITION BY hash) AS members FROM (SELECT _n, ${hash} AS hash, ${measure("length(text)")} AS size FROM ${measured})`;
    if (config.action === "weight") return [weightGroups(receipts, "exact duplicate", kept)];
    return [{ sql: `INSERT INTO ${receipts} SELECT _n, 'dropped', 'exact duplicate', NULL, kept, NULL FROM (${kept}) WHERE kept <> _n` }];
  }
  const [pairs, groups] = [scratch("pairs"), scratch("groups")];
  const kept = `SELECT _n, first(_n) OVER (PARTITION BY root ORDER BY ${order(config.keep)}) AS kept, count(*) OVER (PARTITION BY root) AS members FROM (SELECT g._n, g.root, length(i.text) AS size FROM ${groups} g JOIN ${input} i USING (_n))`;
  return [
    ...nearPairs(input, config.near, seed, pairs),
    { components: `SELECT a, b FROM ${pairs}`, into: groups },
    config.action === "weight" ? weightGroups(receipts, "near duplicate", kept) : {
      sql:
        `INSERT INTO ${receipts} SELECT d._n, 'dropped', 'near duplicate', round(till_jaccard(x.text, y.text, ${config.near.ngram}), 4)::VARCHAR, d.kept, NULL ` +
        `FROM (${kept}) d JOIN ${input} x ON x._n = d._n JOIN ${input} y ON y._n = d.kept WHERE d.kept <> d._n`,
    },
  ];
}
