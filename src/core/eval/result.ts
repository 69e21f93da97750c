/** What an evaluation leaves behind: `.tillage/evals/<id>/result.json`. */
import { z } from "zod";

export const verdictSchema = z.object({
  pass: z.boolean(),
  /** Each condition with its outcome, such as `contains "1,060"`: no. */
  checks: z.array(z.object({ check: z.string(), pass: z.boolean() })),
});
export type Verdict = z.infer<typeof verdictSchema>;

export const evalCaseSchema = z.object({
  id: z.string(),
  prompt: z.string(),
  answer: z.string().nullish(),
  output: z.string(),
  verdict: verdictSchema,
  tokens: z.number().int(),
  ended: z.boolean(),
  seconds: z.number(),
  logprobs: z.array(z.number()),
});
export type EvalCase = z.infer<typeof evalCaseSchema>;

export const modelStampSchema = z.object({
  /** As the user named it: a folder, `run:tune`, `run:pretrain@0`. */
  ref: z.string(),
  /** Shown to people, such as `tune (step 320)`. */
  label: z.string(),
  base: z.string(),
  adapter: z.string().nullish(),
  modelHash: z.string(),
  adapterHash: z.string().nullish(),
});
export type ModelStamp = z.infer<typeof modelStampSchema>;

export const evalResultSchema = z.object({
  tillage: z.literal(1),
  id: z.string(),
  /** The eval file, relative to the workspace, and the SHA-256 of its text. */
  file: z.string(),
  fileHash: z.string(),
  model: modelStampSchema,
  template: z.unknown(),
  maxNewTokens: z.number().int(),
  temperature: z.number(),
  seed: z.number().int(),
  /** RFC 3339. */
  time: z.string(),
  cases: z.array(evalCaseSchema),
  correct: z.number().int(),
  of: z.number().int(),
});
export type EvalResult = z.infer<typeof evalResultSchema>;
