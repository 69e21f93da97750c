import { buildShapes, ownColumns, wholeText, type OwnColumn } from "../../dataset";
import { inList, literal } from "../../sql";
import type { PlanContext, StepOp } from "../plan";

/** Redacts, drops or flags rows with personal data: the reason is the kinds that were found, the value how many pieces. */
export function piiPlan({ input, measured, receipts, changes, measure }: PlanContext, config: { action: "redact" | "drop" | "flag"; kinds: readonly string[] }): StepOp[] {
  const effect = { redact: "changed", drop: "dropped", flag: "flagged" }[config.action];
  const found: StepOp = {
    sql:
      `INSERT INTO ${receipts} SELECT _n, ${literal(effect)}, array_to_string(list_sort(list_distinct(list_transform(found, lambda f: f.kind))), ', '), len(found)::VARCHAR, NULL, NULL ` +
      `FROM (SELECT _n, list_filter(${measure("till_pii(text)")}, lambda f: f.kind IN ${inList(config.kinds)}) AS found FROM ${measured}) WHERE len(found) > 0`,
  };
  if (config.action !== "redact") return [found];
  const redact = (column: string) => `till_redact(${column}, ${literal(config.kinds.join(","))})`;
  const fresh = (column: OwnColumn) => `new_${column}`;
  const text = buildShapes.map((shape) => `WHEN ${literal(shape)} THEN ${wholeText(shape, fresh)}`);
  const others = ownColumns.filter((column) => column !== "text").map(fresh);
  const redacted: StepOp = {
    sql:
      `INSERT INTO ${changes} SELECT _n, CASE _shape ${text.join(" ")} END, ${others.join(", ")} ` +
      `FROM (SELECT _n, _shape, ${ownColumns.map((column) => `${redact(column)} AS ${fresh(column)}`).join(", ")} FROM ${input} WHERE _n IN (SELECT _n FROM ${receipts}))`,
  };
  return [found, redacted];
}
