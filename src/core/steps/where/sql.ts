import type { PlanContext, StepOp } from "../plan";

/** Drops the rows for which the predicate is false or NULL. */
export function wherePlan({ input, receipts }: PlanContext, predicate: string): StepOp[] {
  const drop = `INSERT INTO ${receipts} SELECT _n, 'dropped', CASE WHEN kept IS NULL THEN 'predicate is NULL' ELSE 'predicate is false' END, NULL, NULL, NULL FROM (SELECT _n, (\n${predicate}\n)::BOOLEAN AS kept FROM ${input}) WHERE kept IS DISTINCT FROM true`;
  return [{ predicate }, { sql: drop, user: true }];
}
