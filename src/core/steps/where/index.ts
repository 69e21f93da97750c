import { z } from "zod";
import { defineStep } from "../definition";
import { wherePlan } from "./sql";

/** Keeps the rows for which an SQL predicate is true. */
export const where = defineStep({
  key: "where",
  schema: z.string({ error: "should be an SQL predicate in quotes, such as \"length(text) > 200\"" }).trim().min(1, "should be an SQL predicate, such as \"length(text) > 200\""),
  field: {
    doc: [
      "**where**: keeps the rows for which an SQL predicate (DuckDB) is true; rows for which it is false or NULL leave.",
      "",
      "It sees the columns of the source, `text` (the whole text of a row, whatever its shape), `prompt`, `completion`, `messages`, `_source`,",
      "and the derived columns `chars`, `words`, `language`, `quality` (`ok` or the first Gopher rule that fails) and `pii` (`none` or the kinds found).",
      "",
      "```yaml\n- where: \"length(text) between 200 and 20000\"\n```",
    ].join("\n"),
    snippet: "\"${1:length(text) between 200 and 20000}\"",
  },
  snippets: [{ label: "where", insert: "where: \"${1:length(text) between 200 and 20000}\"", detail: "Keep the rows for which an SQL predicate is true" }],
  title: () => "where",
  plan: wherePlan,
});
