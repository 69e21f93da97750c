import { z } from "zod";
import type { FieldDoc } from "../../recipe/field";
import { describeRule, qualityPresets, qualityRuleNames, qualityRules } from "./rules";
import { defineStep } from "../definition";
import { qualityPlan } from "./sql";

const presets = ["gopher", "fineweb"] as const;

const threshold = z.union([z.number(), z.literal("off")], { error: "should be a number, or off" }).optional();
const thresholds = Object.fromEntries(qualityRuleNames.map((name) => [name, threshold])) as Record<string, typeof threshold>;

function thresholdFields(): Record<string, FieldDoc> {
  const fields: Record<string, FieldDoc> = {};
  for (const preset of qualityPresets) {
    for (const rule of qualityRules(preset)) {
      fields[rule.name] = { doc: `${describeRule(rule)}. Source: ${rule.source}. Write \`off\` to leave the rule out.`, snippet: `\${1:${rule.default}}` };
    }
  }
  return fields;
}

/** Drops rows that fail one of a preset's rules. */
export const quality = defineStep({
  key: "quality",
  schema: z
    .strictObject({ preset: z.enum(presets).default("gopher"), ...thresholds })
    .superRefine(({ preset, ...overrides }, context) => {
      const known = new Set(qualityRules(preset).map((rule) => rule.name));
      for (const name of Object.keys(overrides)) {
        if (!known.has(name)) context.addIssue({ code: "custom", path: [name], message: `is no rule of the preset ${preset}` });
      }
    })
    .transform(({ preset, ...overrides }) => ({ preset, thresholds: overrides })),
  field: {
    doc: "**quality**: drops rows that fail a rule of the preset; the first rule that fails is the receipt's reason. `gopher` is the quality and repetition rules of Rae et al. 2021 (tables A1 and A2); `fineweb` those of Penedo et al. 2024.\n\n```yaml\n- quality: { preset: gopher, min_words: 20 }\n```\n\nThe rules were made for web documents: for short question–answer pairs use `only: [texts]` below the step.",
    snippet: "{ preset: ${1|gopher,fineweb|} }",
    fields: {
      preset: { doc: "`gopher` (default) or `fineweb`.", values: presets },
      ...thresholdFields(),
    },
  },
  snippets: [{ label: "quality", insert: "quality: { preset: ${1|gopher,fineweb|} }", detail: "Drop rows that fail the quality rules" }],
  title: (config) => `quality ${config.preset}`,
  plan: qualityPlan,
});
