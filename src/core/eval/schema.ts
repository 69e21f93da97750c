/** `*.eval.yaml`: prompts, and what a right answer contains. */
import { z } from "zod";
import { templateSchema } from "../run/schema";
import { parseYamlFile } from "../yaml-file";
import type { YamlFile } from "../yaml-file";

const texts = z.union([z.string().min(1).transform((text) => [text]), z.array(z.string().min(1)).min(1)]);

function isRegex(text: string): boolean {
  try {
    new RegExp(text, "iu");
    return true;
  } catch {
    return false;
  }
}

export const graderSchema = z.strictObject({
  /** Every one of these must be in the answer; case and white space are folded. */
  contains: texts.optional(),
  /** None of these may be in the answer. */
  lacks: texts.optional(),
  /** The whole answer, after trimming. */
  exact: z.string().optional(),
  /** A regular expression, case-insensitive. */
  regex: z.string().refine(isRegex, "it is not a regular expression").optional(),
}).refine((grader) => Object.keys(grader).length > 0, "it needs at least one of contains, lacks, exact, regex");
export type Grader = z.infer<typeof graderSchema>;

export const evalFileSchema = z.strictObject({
  tillage: z.literal(1),
  title: z.string().optional(),
  /** Overrides the template that each model was trained with. */
  template: templateSchema.optional(),
  max_new_tokens: z.number().int().positive().default(64),
  temperature: z.number().nonnegative().default(0),
  seed: z.number().int().nonnegative().default(1),
  prompts: z.array(z.strictObject({
    id: z.string().min(1),
    prompt: z.string().min(1),
    expect: graderSchema,
    /** Facts for the reader: what a right answer says. */
    answer: z.string().optional(),
    tags: z.array(z.string()).default([]),
  })).min(1),
}).superRefine((file, context) => {
  const seen = new Set<string>();
  file.prompts.forEach((prompt, index) => {
    if (seen.has(prompt.id)) context.addIssue({ code: "custom", path: ["prompts", index, "id"], message: `the id ${prompt.id} is used twice` });
    seen.add(prompt.id);
  });
});
export type EvalFile = z.infer<typeof evalFileSchema>;

/** Parses an eval file's text; problems carry file, line and offsets. */
export function parseEvalFile(text: string, file: string): YamlFile<EvalFile> {
  return parseYamlFile(text, file, evalFileSchema, "eval file");
}
