import { z } from "zod";
import { defineStep } from "../definition";
import { lengthPlan } from "./sql";

/** Keeps rows by how long their text is. */
export const length = defineStep({
  key: "length",
  schema: z
    .strictObject({ unit: z.enum(["tokens", "words", "chars"]).default("tokens"), min: z.int().min(0).optional(), max: z.int().min(1).optional() })
    .superRefine(({ min, max }, context) => {
      if (min === undefined && max === undefined) context.addIssue({ code: "custom", message: "should have a min, a max, or both" });
      else if (min !== undefined && max !== undefined && min > max) context.addIssue({ code: "custom", message: `has a min of ${min} above its max of ${max}: no row would stay` });
    }),
  field: {
    doc: "**length**: keeps the rows whose text has at least `min` and at most `max` tokens, words or characters. Tokens are those of `mix.tokenizer`, without what a chat template adds; without a tokenizer they are estimated at 1.3 a word, and the receipt says so.\n\n```yaml\n- length: { max: 2048 }\n- length: { unit: words, min: 20 }\n```",
    snippet: "{ max: ${1:2048} }",
    fields: {
      unit: { doc: "`tokens` (default), `words` or `chars`.", values: ["tokens", "words", "chars"] },
      min: { doc: "The shortest text that stays.", snippet: "${1:20}" },
      max: { doc: "The longest text that stays.", snippet: "${1:2048}" },
    },
  },
  snippets: [{ label: "length", insert: "length: { unit: ${1|tokens,words,chars|}, min: ${2:20}, max: ${3:2048} }", detail: "Keep the rows whose text is neither too short nor too long" }],
  title: (config) => `length in ${config.unit}`,
  plan: lengthPlan,
});
