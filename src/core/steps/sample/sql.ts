import { ident, literal } from "../../sql";
import type { PlanContext, StepOp } from "../plan";

export interface SampleConfig {
  rows?: number;
  share?: number;
  by?: string;
}

/** A text's place in an order that looks random and depends on nothing but the text and the seed: 16 hex digits. */
export function lot(expression: string, seed: number): string {
  return `substr(md5('${seed}' || chr(31) || ${expression}), 1, 16)`;
}

/** Drops the rows whose lot is behind those that stay; the value is their group, where there are groups. */
export function samplePlan({ input, receipts, seed }: PlanContext, { rows, share, by }: SampleConfig): StepOp[] {
  const group = by === undefined ? "NULL::VARCHAR" : `${ident(by)}::VARCHAR`;
  // Other lots than the split's and the mix's: else the rows of a sample would be those that validation takes first.
  const placed = `SELECT _n, grp, row_number() OVER (PARTITION BY grp ORDER BY lot, _n) AS place, count(*) OVER (PARTITION BY grp) AS size FROM (SELECT _n, ${group} AS grp, ${lot(`${literal("sample:")} || _row_id`, seed)} AS lot FROM ${input})`;
  const kept = rows === undefined ? `round(size * ${share ?? 1})` : String(rows);
  return [
    ...(by === undefined ? [] : [{ predicate: `${ident(by)} IS NULL OR true` }]),
    { sql: `INSERT INTO ${receipts} SELECT _n, 'dropped', 'not sampled', grp, NULL, NULL FROM (${placed}) WHERE place > ${kept}` },
  ];
}
