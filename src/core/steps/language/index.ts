import { z } from "zod";
import { oneOrMore } from "../../recipe/field";
import { defineStep } from "../definition";
import { languagePlan } from "./sql";

/** Keeps rows in the wanted languages. */
export const language = defineStep({
  key: "language",
  schema: z.strictObject({
    keep: oneOrMore(z.string().regex(/^[a-z]{2}$/, "should be a two-letter ISO 639-1 code such as en")),
    min_confidence: z.number().min(0).max(1).default(0.65),
  }),
  field: {
    doc: "**language**: keeps the rows whose text is in one of the languages, with at least the confidence given. Rows with no letters have no language and leave.\n\n```yaml\n- language: { keep: [en], min_confidence: 0.65 }\n```",
    snippet: "{ keep: [${1:en}], min_confidence: ${2:0.65} }",
    fields: {
      keep: { doc: "ISO 639-1 codes of the languages that stay, such as `[en, de]`.", snippet: "[${1:en}]", items: { doc: "ISO 639-1 code", values: ["en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "zh", "ja", "ko", "ar", "hi", "tr"] } },
      min_confidence: { doc: "Rows whose language is less certain than this leave. 0 to 1; default 0.65, as fastText-based web pipelines use.", snippet: "${1:0.65}" },
    },
  },
  snippets: [{ label: "language", insert: "language: { keep: [${1:en}], min_confidence: ${2:0.65} }", detail: "Keep the rows in these languages" }],
  title: () => "language",
  plan: languagePlan,
});
