import { inList } from "../../sql";
import type { PlanContext, StepOp } from "../plan";

/** Drops the rows in other languages, and those whose language is too uncertain. */
export function languagePlan({ measured, receipts, measure }: PlanContext, config: { keep: readonly string[]; min_confidence: number }): StepOp[] {
  const reason = `CASE WHEN l.lang IS NULL THEN 'no language' WHEN l.lang NOT IN ${inList(config.keep)} THEN 'language ' || l.lang ELSE 'uncertain language' END`;
  return [
    {
      sql:
        `INSERT INTO ${receipts} SELECT _n, 'dropped', ${reason}, round(l.confidence, 4)::VARCHAR, NULL, NULL ` +
        `FROM (SELECT _n, ${measure("till_language(text)")} AS l FROM ${measured}) WHERE l.lang IS NULL OR l.lang NOT IN ${inList(config.keep)} OR l.confidence < ${config.min_confidence}`,
    },
  ];
}
