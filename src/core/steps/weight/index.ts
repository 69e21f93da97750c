import { z } from "zod";
import { defineStep } from "../definition";
import { weightPlan } from "./sql";

/** The least and the largest factor of one step; rows that nobody shall see are for `where`. */
const factor = z.number().min(0.001, "should be 0.001 or more: to leave rows out, write a where step").max(1000);

/** Lets rows be seen more or less often than others. */
export const weight = defineStep({
  key: "weight",
  schema: z
    .strictObject({ by: z.string().min(1).optional(), values: z.record(z.string(), factor).optional(), where: z.string().trim().min(1).optional(), factor: factor.optional() })
    .transform((value, context) => {
      const { by, values, where, factor: times } = value;
      const [column, predicate] = [by !== undefined || values !== undefined, where !== undefined || times !== undefined];
      if (column && !predicate && by !== undefined && values !== undefined && Object.keys(values).length > 0) return { by, values };
      if (predicate && !column && where !== undefined && times !== undefined) return { where, factor: times };
      context.addIssue({ code: "custom", message: "should have either by and values (a factor for each value of a column), or where and factor" });
      return z.NEVER;
    }),
  field: {
    doc: [
      "**weight**: lets rows be seen more or less often than others. A row's weight is 1 until a step changes it, and the weights of several steps multiply.",
      "",
      "The mix gives each row a share of its group's tokens in proportion to its weight: without a budget a row of weight 1 is seen once, one of weight 2 twice, and of the rows of weight 0.25 a quarter, chosen by lot.",
      "",
      "```yaml\n- weight: { by: topic, values: { code: 2, spam: 0.25 } }\n- weight: { where: \"length(text) > 5000\", factor: 0.5 }\n```",
    ].join("\n"),
    snippet: "{ by: ${1:source}, values: { ${2:value}: ${3:2} } }",
    fields: {
      by: { doc: "The column whose values have factors; `source` is the source's name.", snippet: "${1:source}" },
      values: { doc: "Factor by value; rows with other values keep their weight. NULL is `(none)`.", snippet: "{ ${1:value}: ${2:2} }", each: { doc: "What the weight of the rows with this value is multiplied by, 0.001 to 1000.", snippet: "${1:2}" } },
      where: { doc: "An SQL predicate as in `where`: the rows for which it is true get the factor, all stay.", snippet: "\"${1:length(text) > 5000}\"" },
      factor: { doc: "What the weight of the rows for which `where` is true is multiplied by, 0.001 to 1000.", snippet: "${1:0.5}" },
    },
  },
  snippets: [
    { label: "weight by a column", insert: "weight: { by: ${1:source}, values: { ${2:value}: ${3:2} } }", detail: "Rows are seen more or less often, by the values of a column" },
    { label: "weight where", insert: "weight: { where: \"${1:length(text) > 5000}\", factor: ${2:0.5} }", detail: "Rows for which an SQL predicate is true are seen more or less often" },
  ],
  title: () => "weight",
  plan: weightPlan,
});
