import { z } from "zod";
import { defineStep } from "../definition";
import { dedupPlan } from "./sql";

const keep = z.enum(["longest", "first"]);
const near = z.strictObject({
  threshold: z.number().min(0.1).max(1).default(0.8),
  permutations: z.int().min(16).max(1024).default(128),
  ngram: z.int().min(1).max(32).default(5),
});

/** Drops exact or near duplicates. */
export const dedup = defineStep({
  key: "dedup",
  schema: z
    .strictObject({ exact: z.enum(["exact", "normalized"]).optional(), near: near.optional(), keep: keep.optional() })
    .transform((value, context) => {
      const { exact, near: nearConfig } = value;
      if (exact !== undefined && nearConfig === undefined) return { exact, keep: value.keep ?? ("first" as const) };
      if (nearConfig !== undefined && exact === undefined) return { near: nearConfig, keep: value.keep ?? ("longest" as const) };
      context.addIssue({ code: "custom", message: "should have either exact or near: write two steps for both" });
      return z.NEVER;
    }),
  field: {
    doc: [
      "**dedup**: keeps one row of each group of duplicates.",
      "",
      "`exact: normalized` compares texts after Unicode NFKC, lower case, and folding of white space and punctuation; `exact: exact` compares them letter by letter.",
      "",
      "`near` finds texts whose sets of word n-grams have at least the Jaccard similarity given: candidates by MinHash and locality-sensitive hashing (Broder 1997; Leskovec et al., Mining of Massive Datasets, chapter 3), each checked exactly, groups by connected components.",
      "",
      "```yaml\n- dedup: { exact: normalized }\n- dedup: { near: { threshold: 0.8, permutations: 128, ngram: 5 }, keep: longest }\n```",
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
      keep: { doc: "Which row of a group stays: the `longest` (default for near) or the `first` (default for exact).", values: ["longest", "first"] },
    },
  },
  snippets: [
    { label: "dedup exact", insert: "dedup: { exact: ${1|normalized,exact|} }", detail: "Keep one row of each group of equal texts" },
    { label: "dedup near", insert: "dedup: { near: { threshold: ${1:0.8}, permutations: ${2:128}, ngram: ${3:5} }, keep: ${4|longest,first|} }", detail: "Keep one row of each group of near duplicates (MinHash)" },
  ],
  title: (config) => ("near" in config ? "dedup near" : "dedup exact"),
  plan: dedupPlan,
});
