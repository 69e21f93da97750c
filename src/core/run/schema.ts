/** `*.run.yaml`: what to train, on what, and how. Checked here; resolved to the engine's `run.json` by `src/app/resolve-run.ts`. */
import { z } from "zod";
import { parseYamlFile } from "../yaml-file";
import type { YamlFile } from "../yaml-file";

const positive = z.number().positive();
const count = z.number().int().positive();
const steps = z.number().int().nonnegative();

/** How a row becomes text; the same for training, watch prompts and evaluation. */
export const templateSchema = z.union([z.enum(["plain", "chat"]), z.strictObject({ prompt: z.string().refine((text) => text.includes("{prompt}"), "it must contain {prompt}") })]);
export type TemplateChoice = z.infer<typeof templateSchema>;

const initSchema = z.strictObject({
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count,
  max_position_embeddings: count,
  tie_word_embeddings: z.boolean().default(true),
  rope_theta: positive.default(10_000),
  rms_norm_eps: positive.default(1e-5),
  initializer_range: positive.default(0.02),
  /** A BPE tokenizer of this many entries is trained on the training rows; or the folder of a model whose tokenizer is taken. */
  tokenizer: z.union([z.strictObject({ vocab_size: z.number().int().min(300) }), z.string()]),
});

const adapterSchema = z.strictObject({
  r: count,
  alpha: positive,
  dropout: z.number().min(0).max(0).default(0),
  targets: z.array(z.string()).min(1).default(["all-linear"]),
  rslora: z.boolean().default(false),
});

const trainSchema = z.strictObject({
  epochs: positive.default(1),
  max_steps: count.optional(),
  batch_tokens: count.default(4096),
  context: count,
  grad_accumulation: count.default(1),
  lr: positive,
  schedule: z.enum(["constant", "linear", "cosine"]).default("cosine"),
  warmup_steps: steps.default(0),
  weight_decay: z.number().nonnegative().default(0),
  beta1: z.number().min(0).max(1).default(0.9),
  beta2: z.number().min(0).max(1).default(0.999),
  adam_eps: positive.default(1e-8),
  clip_norm: z.number().nonnegative().default(1),
  checkpoint_every: steps.default(0),
  validate_every: steps.default(0),
});

export const runFileSchema = z.strictObject({
  tillage: z.literal(1),
  objective: z.enum(["pretrain", "sft"]),
  /** A model folder, `run:NAME` (the result of another run file), `run:NAME@STEP` (one of its checkpoints), or `{ init: … }` for random weights. */
  model: z.union([z.string().min(1), z.strictObject({ init: initSchema })]),
  /** How the frozen weights of an adapter's run are held; full training needs f32. */
  dtype: z.enum(["f32", "bf16", "int8", "nf4"]).default("f32"),
  adapter: adapterSchema.optional(),
  /** A recipe, or Parquet files of a dataset that was built elsewhere. */
  data: z.union([z.string().min(1), z.strictObject({ train: z.array(z.string()).min(1), valid: z.array(z.string()).default([]) })]),
  template: templateSchema.default("plain"),
  loss_on: z.enum(["all", "completion", "assistant"]).optional(),
  train: trainSchema,
  /** Prompts whose answers are recorded while the model trains. */
  watch: z.strictObject({ eval: z.string(), every: count, max_new_tokens: count.default(64) }).optional(),
  /** Guards that shall not block this run, each with the reason. */
  guards: z.strictObject({ override: z.record(z.string(), z.string().min(1)) }).optional(),
  threads: steps.default(0),
  seed: z.number().int().nonnegative().default(17),
});
export type RunFile = z.infer<typeof runFileSchema>;

/** Parses a run file's text; problems carry file, line and offsets. */
export function parseRunFile(text: string, file: string): YamlFile<RunFile> {
  return parseYamlFile(text, file, runFileSchema, "run file");
}
