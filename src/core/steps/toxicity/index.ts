import { z } from "zod";
import { oneOrMore } from "../../recipe/field";
import { defineStep } from "../definition";
import { toxicityPlan } from "./sql";

/** The languages of the lexicon that is built in (`native/crates/duckdb_ext/src/text/toxicity`). */
export const lexiconLanguages = ["ar", "cs", "da", "de", "en", "eo", "es", "fa", "fi", "fil", "fr", "hi", "hu", "it", "ja", "kab", "ko", "nl", "no", "pl", "pt", "ru", "sv", "th", "tlh", "tr", "zh"] as const;

/** Drops or flags rows with profanity. */
export const toxicity = defineStep({
  key: "toxicity",
  schema: z
    .strictObject({
      lexicon: z.enum(["builtin"]).default("builtin"),
      languages: oneOrMore(z.enum(lexiconLanguages)).default(["en"]),
      max_ratio: z.number().min(0).max(1).optional(),
      max_hits: z.int().min(0).optional(),
      action: z.enum(["drop", "flag"]).default("drop"),
    })
    .transform(({ max_ratio, max_hits, ...rest }) => ({ ...rest, max_hits, max_ratio: max_ratio ?? (max_hits === undefined ? 0.02 : undefined) })),
  field: {
    doc: [
      "**toxicity**: drops rows with more profanity than allowed, by a lexicon of 27 languages: the List of Dirty, Naughty, Obscene, and Otherwise Bad Words (CC BY 4.0), by which C4 drops pages. Whole words, whatever their case; words in disguise such as `sh1t` and `f*ck` are found too. The receipt has the share of the words and the terms found.",
      "",
      "A lexicon knows no context: `sex` in a text on biology is a hit, and hatred in polite words is none.",
      "",
      "```yaml\n- toxicity: { max_ratio: 0.02 }\n- toxicity: { languages: [en, de], max_hits: 0 }     # as C4: any term\n```",
    ].join("\n"),
    snippet: "{ max_ratio: ${1:0.02} }",
    fields: {
      lexicon: { doc: "`builtin`, the lexicon that comes with Tillage.", values: ["builtin"] },
      languages: { doc: "Languages whose terms are looked for; default `[en]`. Terms of one language are harmless words of another: name only those that the texts are in.", snippet: "[${1:en}]", items: { doc: "language of the lexicon", values: lexiconLanguages } },
      max_ratio: { doc: "Rows leave whose share of words in terms of the lexicon is above this. Default 0.02, unless `max_hits` is given.", snippet: "${1:0.02}" },
      max_hits: { doc: "Rows leave that have more terms than this; 0 drops every row with one.", snippet: "${1:0}" },
      action: { doc: "`drop` drops the row, `flag` writes a receipt and changes nothing. Default `drop`.", values: ["drop", "flag"] },
    },
  },
  snippets: [{ label: "toxicity", insert: "toxicity: { max_ratio: ${1:0.02} }", detail: "Drop rows with profanity" }],
  title: (config) => (config.action === "flag" ? "toxicity flag" : "toxicity"),
  plan: toxicityPlan,
});
