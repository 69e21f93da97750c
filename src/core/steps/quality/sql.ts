import { ownColumns } from "../../dataset";
import { literal } from "../../sql";
import type { PlanContext, StepOp } from "../plan";
import { qualityRules, type QualityPreset, type QualityRule } from "./rules";

export type Thresholds = Readonly<Record<string, number | "off" | undefined>>;

/** Rules as SQL over a struct `q` of `till_quality`: the first rule that fails, and its value. */
export function rulesSql(rules: readonly QualityRule[], thresholds: Thresholds, q = "q"): { reason: string; value: string } {
  const tests = rules.flatMap((rule) => {
    const threshold = thresholds[rule.name] ?? rule.default;
    return threshold === "off" ? [] : [{ ...rule, test: `${q}.${rule.field} ${rule.op} ${threshold}` }];
  });
  if (tests.length === 0) return { reason: "NULL::VARCHAR", value: "NULL::VARCHAR" };
  return {
    reason: `CASE ${tests.map((rule) => `WHEN ${rule.test} THEN ${literal(rule.name)}`).join(" ")} END`,
    value: `CASE ${tests.map((rule) => `WHEN ${rule.test} THEN round(${q}.${rule.field}, 4)::VARCHAR`).join(" ")} END`,
  };
}

/** A preset's rules as SQL over a struct `q` of `till_quality`. */
export function qualitySql(preset: QualityPreset, thresholds: Thresholds, q = "q"): { reason: string; value: string } {
  return rulesSql(qualityRules(preset), thresholds, q);
}

/** Drops the rows that fail a rule; the reason is the rule's name, the value what was measured. */
export function rulesPlan({ measured, receipts, measure }: PlanContext, rules: readonly QualityRule[], thresholds: Thresholds): StepOp {
  const { reason, value } = rulesSql(rules, thresholds);
  return {
    sql: `INSERT INTO ${receipts} SELECT _n, 'dropped', reason, value, NULL, NULL FROM (SELECT _n, ${reason} AS reason, ${value} AS value FROM (SELECT _n, ${measure("till_quality(text)")} AS q FROM ${measured})) WHERE reason IS NOT NULL`,
  };
}

/** Drops the rows that fail a rule, and removes C4's lines from the texts that stay: the value is how many. */
export function qualityPlan(context: PlanContext, config: { preset: QualityPreset; thresholds: Thresholds; removeLines: boolean }): StepOp[] {
  const { input, measured, measure, receipts, changes } = context;
  const dropped = rulesPlan(context, qualityRules(config.preset), config.thresholds);
  if (!config.removeLines) return [dropped];
  const lines = "CASE removed WHEN 0 THEN 'marks and white space' WHEN 1 THEN '1 line' ELSE removed || ' lines' END";
  const others = ownColumns.filter((column) => column !== "text");
  return [
    dropped,
    {
      sql:
        `INSERT INTO ${receipts} SELECT _n, 'changed', 'lines removed', ${lines}, NULL, NULL ` +
        `FROM (SELECT _n, text, ${measure("till_quality(text)")}.c4_removed_lines AS removed FROM ${measured} WHERE _shape = 'text' AND _n NOT IN (SELECT _n FROM ${receipts})) WHERE till_c4_clean(text) <> text`,
    },
    { sql: `INSERT INTO ${changes} SELECT _n, till_c4_clean(text), ${others.join(", ")} FROM ${input} WHERE _n IN (SELECT _n FROM ${receipts} WHERE effect = 'changed')` },
  ];
}
