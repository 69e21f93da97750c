import { inList, literal } from "../duckdb/sql";
import { messagesText } from "../sources/normalize";
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
  await session.run(
    `INSERT INTO ${changes} SELECT _n, CASE _shape WHEN 'text' THEN ${redact("text")} WHEN 'chat' THEN ${messagesText("new_messages")} ELSE new_prompt || chr(10) || new_completion END, new_prompt, new_completion, new_messages ` +
      `FROM (SELECT _n, _shape, text, ${redact("prompt")} AS new_prompt, ${redact("completion")} AS new_completion, ${redact("messages")} AS new_messages FROM ${input} WHERE _n IN (SELECT _n FROM ${receipts}))`,
  );
};
