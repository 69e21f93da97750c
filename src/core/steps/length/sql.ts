import { literal } from "../../sql";
import type { PlanContext, StepOp } from "../plan";

export interface LengthConfig {
  unit: "tokens" | "words" | "chars";
  min?: number;
  max?: number;
}

/** Drops the rows that are too short or too long; the value is the length with its unit. */
export function lengthPlan({ measured, receipts, measure, tokens }: PlanContext, { unit, min, max }: LengthConfig): StepOp[] {
  const size = measure({ tokens: tokens.sql, words: "till_words(text)", chars: "length(text)" }[unit]);
  const tests = [...(min === undefined ? [] : [{ test: `size < ${min}`, reason: "too short" }]), ...(max === undefined ? [] : [{ test: `size > ${max}`, reason: "too long" }])];
  const reason = `CASE ${tests.map((entry) => `WHEN ${entry.test} THEN ${literal(entry.reason)}`).join(" ")} END`;
  const said = unit === "tokens" && !tokens.exact ? "tokens (estimated)" : unit;
  return [{ sql: `INSERT INTO ${receipts} SELECT _n, 'dropped', reason, size || ${literal(` ${said}`)}, NULL, NULL FROM (SELECT _n, size, ${reason} AS reason FROM (SELECT _n, ${size} AS size FROM ${measured})) WHERE reason IS NOT NULL` }];
}
