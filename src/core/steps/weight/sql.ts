import { ident, literal } from "../../sql";
import type { PlanContext, StepOp } from "../plan";

export type WeightConfig = { by: string; values: Readonly<Record<string, number>> } | { where: string; factor: number };

/** Writes a receipt with the factor for every row whose weight it changes; a factor of 1 changes none. */
export function weightPlan({ input, receipts }: PlanContext, config: WeightConfig): StepOp[] {
  if ("where" in config) {
    const rows = `SELECT _n, 'weighted', 'predicate is true', ${literal(String(config.factor))}, NULL, NULL FROM ${input} WHERE ${config.factor !== 1} AND (\n${config.where}\n)`;
    return [{ predicate: config.where }, { sql: `INSERT INTO ${receipts} ${rows}`, user: true }];
  }
  const values = Object.entries(config.values).map(([value, factor]) => `(${literal(value)}, ${literal(String(factor))})`);
  const named = `SELECT _n, coalesce(${ident(config.by)}::VARCHAR, '(none)') AS v FROM ${input}`;
  return [
    { predicate: `${ident(config.by)} IS NULL OR true` },
    { sql: `INSERT INTO ${receipts} SELECT _n, 'weighted', ${literal(`${config.by} = `)} || v, factor, NULL, NULL FROM (${named}) JOIN (VALUES ${values.join(", ")}) AS f(v, factor) USING (v) WHERE factor <> '1'` },
  ];
}
