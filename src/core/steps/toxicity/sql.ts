import { literal } from "../../sql";
import type { PlanContext, StepOp } from "../plan";

export interface ToxicityConfig {
  languages: readonly string[];
  max_ratio?: number | undefined;
  max_hits?: number | undefined;
  action: "drop" | "flag";
}

/** Drops or flags the rows with too many terms of the lexicon: the reason is the bound that was passed, the value the share or number of hits and the terms. */
export function toxicityPlan({ measured, receipts, measure }: PlanContext, { languages, max_ratio, max_hits, action }: ToxicityConfig): StepOp[] {
  const found = measure(`till_toxicity(text, ${literal(languages.join(","))})`);
  const bounds = [
    ...(max_hits === undefined ? [] : [{ test: `t.hits > ${max_hits}`, reason: "max_hits", value: "t.hits" }]),
    ...(max_ratio === undefined ? [] : [{ test: `t.ratio > ${max_ratio}`, reason: "max_ratio", value: "round(t.ratio, 4)" }]),
  ];
  const reason = `CASE ${bounds.map((bound) => `WHEN ${bound.test} THEN ${literal(bound.reason)}`).join(" ")} END`;
  const value = `CASE ${bounds.map((bound) => `WHEN ${bound.test} THEN ${bound.value}::VARCHAR`).join(" ")} END`;
  return [
    {
      sql:
        `INSERT INTO ${receipts} SELECT _n, ${literal(action === "drop" ? "dropped" : "flagged")}, reason, value || ': ' || array_to_string(terms, ', '), NULL, NULL ` +
        `FROM (SELECT _n, ${reason} AS reason, ${value} AS value, t.terms AS terms FROM (SELECT _n, ${found} AS t FROM ${measured})) WHERE reason IS NOT NULL`,
    },
  ];
}
