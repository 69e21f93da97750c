import { z } from "zod";
import { defineStep } from "../definition";
import { dedupPlan } from "./sql";

const keep = z.enum(["longest", "first"]);
const near = z.strictObject({
  threshold: z.number().min(0.1).max(1).default(0.8),
  permutations: z.int().min(16).max(1024).default(128),
  ngram: z.int().min(1).max(32).default(5),
});

const spans = z.strictObject({ min_tokens: z.int().min(5).max(1000).default(50) });

/** Drops exact or near duplicates, or cuts repeated passages. */
export const dedup = defineStep({
  key: "dedup",
  schema: z
    .strictObject({ exact: z.enum(["exact", "normalized"]).optional(), near: near.optional(), spans: spans.optional(), keep: keep.optional(), action: z.enum(["drop", "weight"]).optional() })
    .transform((value, context) => {
      const { exact, near: nearConfig, spans: spansConfig, action = "drop" } = value;
      if (action === "weight" && value.keep !== undefined) {
        context.addIssue({ code: "custom", path: ["keep"], message: "is for dropping: with action: weight every row stays" });
        return z.NEVER;
      }
      if (spansConfig !== undefined && exact === undefined && nearConfig === undefined) {
        if (value.keep === undefined && value.action === undefined) return { spans: spansConfig };
        context.addIssue({ code: "custom", path: [value.keep === undefined ? "action" : "keep"], message: "is for whole rows: of a repeated passage the first place stays" });
        return z.NEVER;
      }
      if (exact !== undefined && nearConfig === undefined && spansConfig === undefined) return { exact, keep: value.keep ?? ("first" as const), action };
      if (nearConfig !== undefined && exact === undefined && spansConfig === undefined) return { near: nearConfig, keep: value.keep ?? ("longest" as const), action };
      context.addIssue({ code: "custom", message: "should have one of exact, near and spans: write a step for each" });
      return z.NEVER;
    }),
  field: {
    doc: [
      "**dedup**: keeps one row of each group of duplicates, or lets the rows of a group be seen as often as one together (`action: weight`).",
      "",
      "`exact: normalized` compares texts after Unicode NFKC, lower case, and folding of white space and punctuation; `exact: exact` compares them letter by letter.",
      "",
      "`near` finds texts whose sets of word n-grams have at least the Jaccard similarity given: candidates by MinHash and locality-sensitive hashing (Broder 1997; Leskovec et al., Mining of Massive Datasets, chapter 3), each checked exactly, groups by connected components.",
      "",
      "`spans` cuts passages of at least `min_tokens` words that stand earlier in the corpus, out of rows with a single text (Lee et al. 2022).",
      "",
      "```yaml\n- dedup: { exact: normalized }\n- dedup: { near: { threshold: 0.8, permutations: 128, ngram: 5 }, keep: longest }\n- dedup: { near: {}, action: weight }\n- dedup: { spans: { min_tokens: 50 } }\n```",
    ].join("\n"),
    snippet: "{ exact: ${1|normalized,exact|} }",
    fields: {
      exact: { doc: "`normalized` (NFKC, lower case, folded white space and punctuation) or `exact` (letter by letter).", values: ["normalized", "exact"] },
      near: {
        doc: "Near duplicates by MinHash; every key has a default: `near: {}`.",
        snippet: "{ threshold: ${1:0.8}, permutations: ${2:128}, ngram: ${3:5} }",
        fields: {
          threshold: { doc: "Jaccard similarity of the sets of word n-grams from which two texts are duplicates; default 0.8.", snippet: "${1:0.8}" },
          permutations: { doc: "Hash functions of the MinHash signature; more find more of the pairs near the threshold. Default 128.", snippet: "${1:128}" },
          ngram: { doc: "Words of an n-gram; default 5.", snippet: "${1:5}" },
        },
      },
      spans: {
        doc: "Passages that stand more than once; every key has a default: `spans: {}`. Only rows with a single text are changed.",
        snippet: "{ min_tokens: ${1:50} }",
        fields: { min_tokens: { doc: "Words from which a run is a passage; default 50, as Lee et al. 2022 take tokens.", snippet: "${1:50}" } },
      },
      keep: { doc: "Which row of a group stays: the `longest` (default for near) or the `first` (default for exact).", values: ["longest", "first"] },
      action: { doc: "What happens to a group of k rows: all but one leave (`drop`, the default), or all stay and each has its weight divided by k (`weight`, see the step of that name).", values: ["drop", "weight"] },
    },
  },
  snippets: [
    { label: "dedup exact", insert: "dedup: { exact: ${1|normalized,exact|} }", detail: "Keep one row of each group of equal texts" },
    { label: "dedup near", insert: "dedup: { near: { threshold: ${1:0.8}, permutations: ${2:128}, ngram: ${3:5} }, keep: ${4|longest,first|} }", detail: "Keep one row of each group of near duplicates (MinHash)" },
    { label: "dedup weight", insert: "dedup: { near: { threshold: ${1:0.8} }, action: weight }", detail: "Down-weight duplicates: a group of them counts as one row" },
    { label: "dedup spans", insert: "dedup: { spans: { min_tokens: ${1:50} } }", detail: "Cut passages that stand earlier in the corpus" },
  ],
  title: (config) => ("spans" in config ? "dedup spans" : "near" in config ? "dedup near" : "dedup exact"),
  plan: dedupPlan,
});
