import { literal } from "../../sql";
import type { PlanContext, StepOp } from "../plan";
import { qualityRules, type QualityPreset } from "./rules";

type Thresholds = Readonly<Record<string, number | "off" | undefined>>;

/** A preset's rules as SQL over a struct `q` of `till_quality`: the first rule that fails, and its value. */
export function qualitySql(preset: QualityPreset, thresholds: Thresholds, q = "q"): { reason: string; value: string } {
  const rules = qualityRules(preset).flatMap((rule) => {
    const threshold = thresholds[rule.name] ?? rule.default;
    return threshold === "off" ? [] : [{ ...rule, test: `${q}.${rule.field} ${rule.op} ${threshold}` }];
  });
  if (rules.length === 0) return { reason: "NULL::VARCHAR", value: "NULL::VARCHAR" };
  return {
    reason: `CASE ${rules.map((rule) => `WHEN ${rule.test} THEN ${literal(rule.name)}`).join(" ")} END`,
    value: `CASE ${rules.map((rule) => `WHEN ${rule.test} THEN round(${q}.${rule.field}, 4)::VARCHAR`).join(" ")} END`,
  };
}

/** Drops the rows that fail a rule; the reason is the rule's name, the value what was measured. */
export function qualityPlan({ measured, receipts, measure }: PlanContext, config: { preset: QualityPreset; thresholds: Thresholds }): StepOp[] {
  const { reason, value } = qualitySql(config.preset, config.thresholds);
  return [
    {
      sql: `INSERT INTO ${receipts} SELECT _n, 'dropped', reason, value, NULL, NULL FROM (SELECT _n, ${reason} AS reason, ${value} AS value FROM (SELECT _n, ${measure("till_quality(text)")} AS q FROM ${measured})) WHERE reason IS NOT NULL`,
    },
  ];
}
