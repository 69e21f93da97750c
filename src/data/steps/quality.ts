import { qualityRules, type QualityPreset } from "../../core/recipe";
import { literal } from "../duckdb/sql";
import type { StepCompiler } from "./context";

/** A preset's rules as SQL over a struct `q` of `till_quality`: the first rule that fails, and its value. */
export function qualitySql(preset: QualityPreset, thresholds: Readonly<Record<string, number | "off" | undefined>>, q = "q"): { reason: string; value: string } {
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
export const quality: StepCompiler<"quality"> = async ({ session, input, receipts }, config) => {
  const sql = qualitySql(config.preset, config.thresholds);
  await session.run(
    `INSERT INTO ${receipts} SELECT _n, 'dropped', reason, value, NULL, NULL FROM (SELECT _n, ${sql.reason} AS reason, ${sql.value} AS value FROM (SELECT _n, till_quality(text) AS q FROM ${input})) WHERE reason IS NOT NULL`,
  );
};
