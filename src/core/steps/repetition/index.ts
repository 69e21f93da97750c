import { z } from "zod";
import { defineStep } from "../definition";
import { thresholdFields, thresholdSchemas } from "../quality/fields";
import { repetitionRules } from "../quality/rules";
import { rulesPlan } from "../quality/sql";

/** Drops rows that repeat themselves. */
export const repetition = defineStep({
  key: "repetition",
  schema: z.strictObject(thresholdSchemas(repetitionRules.map((rule) => rule.name))).transform((thresholds) => ({ thresholds })),
  field: {
    doc: "**repetition**: drops rows whose text repeats itself, by the rules of Rae et al. 2021 (table A1): repeated lines and paragraphs, and how much of the text its commonest runs of 2 to 4 words and its repeated runs of 5 to 10 words make up. The first rule that fails is the receipt's reason. `quality: { preset: gopher }` has these rules too.\n\n```yaml\n- repetition: {}\n- repetition: { max_dup_line_frac: 0.5, max_top_2_gram_char_frac: off }\n```\n\nVery short texts fail the rules on the commonest run: two words are the whole of a text of two words.",
    snippet: "{}",
    fields: thresholdFields(repetitionRules),
  },
  snippets: [{ label: "repetition", insert: "repetition: {}", detail: "Drop rows whose text repeats itself" }],
  title: () => "repetition",
  plan: (context, config) => [rulesPlan(context, repetitionRules, config.thresholds)],
});
