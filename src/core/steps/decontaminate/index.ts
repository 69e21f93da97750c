import { z } from "zod";
import { oneOrMore } from "../../recipe/field";
import { defineStep } from "../definition";
import { decontaminatePlan } from "./sql";

/** Drops rows that contain evaluation text. */
export const decontaminate = defineStep({
  key: "decontaminate",
  schema: z.strictObject({
    against: oneOrMore(z.string().min(1)),
    ngram: z.int().min(1).max(64).default(13),
  }),
  field: {
    doc: "**decontaminate**: drops the rows that share a word n-gram with an evaluation: the prompts of `*.eval.yaml` files, or the rows of data files (the prompt where they have one). 13-grams as in GPT-3's paper (Brown et al. 2020, appendix C). A prompt with fewer words than n is looked for as a whole.\n\n```yaml\n- decontaminate: { against: [evals/*.eval.yaml], ngram: 13 }\n```",
    snippet: "{ against: [${1:evals/*.eval.yaml}], ngram: ${2:13} }",
    fields: {
      against: { doc: "`*.eval.yaml` files and data files (.jsonl, .parquet, .csv), with globs, relative to the recipe.", snippet: "[${1:evals/*.eval.yaml}]", items: { doc: "path or glob" } },
      ngram: { doc: "Words of an n-gram; default 13.", snippet: "${1:13}" },
    },
  },
  snippets: [{ label: "decontaminate", insert: "decontaminate: { against: [${1:evals/*.eval.yaml}], ngram: ${2:13} }", detail: "Drop rows that contain evaluation text" }],
  title: () => "decontaminate",
  plan: decontaminatePlan,
  against: (config) => config.against,
});
