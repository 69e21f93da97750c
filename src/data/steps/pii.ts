import { inList, literal } from "../duckdb/sql";
import { buildShapes, ownColumns, type OwnColumn } from "../../core/dataset";
import { wholeText } from "../sources/normalize";
import type { StepCompiler } from "./context";

/** Redacts, drops or flags rows with personal data: the reason is the kinds that were found, the value how many pieces. */
export const pii: StepCompiler<"pii"> = async ({ session, input, receipts, changes }, config) => {
  const effect = { redact: "changed", drop: "dropped", flag: "flagged" }[config.action];
  await session.run(
    `INSERT INTO ${receipts} SELECT _n, ${literal(effect)}, array_to_string(list_sort(list_distinct(list_transform(found, lambda f: f.kind))), ', '), len(found)::VARCHAR, NULL, NULL ` +
      `FROM (SELECT _n, list_filter(till_pii(text), lambda f: f.kind IN ${inList(config.kinds)}) AS found FROM ${input}) WHERE len(found) > 0`,
  );
  if (config.action !== "redact") return;
  const redact = (column: string) => `till_redact(${column}, ${literal(config.kinds.join(","))})`;
  const fresh = (column: OwnColumn) => `new_${column}`;
  const text = buildShapes.map((shape) => `WHEN ${literal(shape)} THEN ${wholeText(shape, fresh)}`);
  const others = ownColumns.filter((column) => column !== "text").map(fresh);
  await session.run(
    `INSERT INTO ${changes} SELECT _n, CASE _shape ${text.join(" ")} END, ${others.join(", ")} ` +
      `FROM (SELECT _n, _shape, ${ownColumns.map((column) => `${redact(column)} AS ${fresh(column)}`).join(", ")} FROM ${input} WHERE _n IN (SELECT _n FROM ${receipts}))`,
  );
};
