import { z } from "zod";
import { shareSchema } from "../../recipe/field";
import { defineStep } from "../definition";
import { samplePlan } from "./sql";

/** Keeps rows by lot. */
export const sample = defineStep({
  key: "sample",
  schema: z
    .strictObject({ rows: z.int().min(1).optional(), share: shareSchema.optional(), by: z.string().min(1).optional() })
    .superRefine(({ rows, share }, context) => {
      if ((rows === undefined) === (share === undefined)) context.addIssue({ code: "custom", message: "should have either rows or share" });
    }),
  field: {
    doc: "**sample**: keeps so many `rows`, or that `share` of them, by lot. The lot of a row follows from its id and the recipe's `seed`: the same rows come out whatever the number of threads, and a larger sample contains a smaller one. With `by` the same is done within each value of a column.\n\n```yaml\n- sample: { rows: 10000 }\n- sample: { share: 10%, by: topic }\n```",
    snippet: "{ share: ${1:10}% }",
    fields: {
      rows: { doc: "How many rows stay (of each value of `by`, where that is given).", snippet: "${1:10000}" },
      share: { doc: "Which share of the rows stays.", snippet: "${1:10}%" },
      by: { doc: "The column whose values are sampled each by itself.", snippet: "${1:source}" },
    },
  },
  snippets: [{ label: "sample", insert: "sample: { share: ${1:10}% }", detail: "Keep a part of the rows, by lot" }],
  title: () => "sample",
  plan: samplePlan,
});
