import { z } from "zod";
import { defineStep } from "../definition";
import { thresholdFields, thresholdSchemas } from "./fields";
import { qualityPresets, qualityRuleNames, qualityRules } from "./rules";
import { qualityPlan } from "./sql";

const presets = ["gopher", "c4", "fineweb"] as const;

/** Drops rows that fail one of a preset's rules; C4 also removes lines. */
export const quality = defineStep({
  key: "quality",
  schema: z
    .strictObject({ preset: z.enum(presets).default("gopher"), remove_lines: z.boolean().optional(), ...thresholdSchemas(qualityRuleNames) })
    .superRefine(({ preset, remove_lines, ...overrides }, context) => {
      const known = new Set(qualityRules(preset).map((rule) => rule.name));
      for (const name of Object.keys(overrides)) {
        if (!known.has(name)) context.addIssue({ code: "custom", path: [name], message: `is no rule of the preset ${preset}` });
      }
      if (remove_lines !== undefined && preset !== "c4") context.addIssue({ code: "custom", path: ["remove_lines"], message: `is for the preset c4: ${preset} removes no lines` });
    })
    .transform(({ preset, remove_lines, ...overrides }) => ({ preset, thresholds: overrides, removeLines: preset === "c4" && remove_lines !== false })),
  field: {
    doc: [
      "**quality**: drops rows that fail a rule of the preset; the first rule that fails is the receipt's reason. `gopher` is the quality and repetition rules of Rae et al. 2021 (tables A1 and A2); `c4` those of Raffel et al. 2020 (section 2.2), `fineweb` those of Penedo et al. 2024.",
      "",
      "`c4` also removes lines from the texts that stay: those that do not end with `.`, `?`, `!` or a quotation mark, those of fewer than three words or with a word of more than 1,000 characters, those that name javascript, and cookie and privacy notices; and marks of citations such as `[1]`. Only rows with a single text are changed, not prompts and completions.",
      "",
      "```yaml\n- quality: { preset: gopher, min_words: 20 }\n- quality: { preset: c4 }\n```",
      "",
      "The rules were made for web documents: for short question–answer pairs use `only: [texts]` below the step.",
    ].join("\n"),
    snippet: "{ preset: ${1|gopher,c4,fineweb|} }",
    fields: {
      preset: { doc: "`gopher` (default), `c4` or `fineweb`.", values: presets },
      remove_lines: { doc: "For `c4`: whether lines are removed from the texts that stay. Default `true`.", values: ["true", "false"] },
      ...thresholdFields(qualityPresets.flatMap(qualityRules)),
    },
  },
  snippets: [{ label: "quality", insert: "quality: { preset: ${1|gopher,c4,fineweb|} }", detail: "Drop rows that fail the quality rules" }],
  title: (config) => `quality ${config.preset}`,
  plan: qualityPlan,
});
