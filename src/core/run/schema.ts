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
  dropout: z.number().min(0).lt(1).default(0),
  targets: z.array(z.string()).min(1).default(["all-linear"]),
  rslora: z.boolean().default(false),
  dora: z.boolean().default(false),
  lora_plus: positive.optional(),
});

/** Prompt tuning: trained embeddings before every text. */
const promptSchema = z.strictObject({ tokens: count, text: z.string().min(1).optional() });

const share = z.number().min(0).max(1);

const trainFields = z.strictObject({
  epochs: positive.default(1),
  max_steps: count.optional(),
  batch_tokens: count.default(4096),
  context: count,
  truncate: z.enum(["end", "start", "drop"]).default("end"),
  grad_accumulation: count.default(1),
  lr: positive,
  schedule: z.enum(["constant", "linear", "cosine", "wsd"]).default("cosine"),
  warmup_steps: steps.default(0),
  min_lr: share.default(0),
  decay_share: share.optional(),
  decay_shape: z.enum(["sqrt", "linear"]).optional(),
  optimizer: z.enum(["adamw", "adamw_8bit", "muon"]).default("adamw"),
  weight_decay: z.number().nonnegative().default(0),
  beta1: z.number().min(0).max(1).default(0.9),
  beta2: z.number().min(0).max(1).default(0.999),
  adam_eps: positive.default(1e-8),
  clip_norm: z.number().nonnegative().default(1),
  checkpoint_every: steps.default(0),
  validate_every: steps.default(0),
  early_stopping: z.strictObject({ patience: count, min_delta: z.number().nonnegative().default(0) }).optional(),
  keep_best: z.boolean().default(false),
  recompute: z.enum(["auto", "always", "never"]).default("auto"),
  /** Absent: as the recipe's curriculum says, and shuffled where there is none. */
  order: z.enum(["shuffled", "stored"]).optional(),
});

/** Objectives that learn from rewards of the model's own answers. */
export const POLICIES = ["grpo", "rloo", "ppo"] as const;

/** Objectives that learn from chosen and rejected answers, or from answers judged good or bad. */
export const PREFERENCES = ["dpo", "ipo", "hinge", "apo_zero", "simpo", "cpo", "orpo", "kto", "reward"] as const;

const preferenceSchema = z.strictObject({
  beta: positive.optional(),
  label_smoothing: z.number().min(0).lt(0.5).optional(),
  gamma: z.number().nonnegative().optional(),
  alpha: z.number().nonnegative().optional(),
  desirable_weight: positive.optional(),
  undesirable_weight: positive.optional(),
});

const weight = z.number().default(1);
/** When an answer of the model's own is rewarded; the row's completion is the answer that is wanted. */
const rewardSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("exact"), weight }),
  z.strictObject({ kind: z.literal("contains"), weight }),
  z.strictObject({ kind: z.literal("numeric"), weight }),
  z.strictObject({ kind: z.literal("regex"), pattern: z.string().min(1), weight }),
  /** A JSON Schema, or the file that holds it. */
  z.strictObject({ kind: z.literal("json_schema"), schema: z.union([z.string().min(1), z.record(z.string(), z.json())]), weight }),
  z.strictObject({ kind: z.literal("length"), target: count, weight }),
  /** The result of a run with the objective `reward`. */
  z.strictObject({ kind: z.literal("reward_model"), model: z.string().min(1), mean: z.number().default(0), std: positive.default(1), squash: z.enum(["none", "sigmoid", "tanh"]).default("none"), weight }),
  /** A program and its arguments; it runs in the run file's folder, and no shell sees them. */
  z.strictObject({ kind: z.literal("command"), command: z.tuple([z.string().min(1)], z.string()), timeout: positive.default(60), weight }),
]);

const ppoSchema = z.strictObject({
  gamma: share.default(1),
  lambda: share.default(0.95),
  kl: z.number().nonnegative().default(0.05),
  value_clip: positive.default(0.2),
  value_weight: z.number().nonnegative().default(0.1),
  cut_penalty: z.number().nonnegative().default(0),
  keep_value_head: z.boolean().default(false),
});

const policySchema = z.strictObject({
  rewards: z.array(rewardSchema).min(1),
  group: count.default(8),
  max_new: count.default(128),
  temperature: positive.default(1),
  beta: z.number().nonnegative().default(0),
  average: z.enum(["tokens", "completions", "longest"]).default("tokens"),
  epochs: count.optional(),
  minibatches: count.optional(),
  epsilon: z.number().positive().lt(1).optional(),
  ppo: ppoSchema.optional(),
});

const sequenceSchema = z.strictObject({ max_new: count.default(128), temperature: z.number().nonnegative().default(0) });

type TrainFields = z.infer<typeof trainFields>;

/** What one setting says of another; each is reported at the setting that has to change. */
const TRAIN_RULES: { at: keyof TrainFields; broken: (train: TrainFields) => boolean; message: string }[] = [
  { at: "early_stopping", broken: (train) => train.early_stopping !== undefined && train.validate_every === 0, message: "it needs validations on the way: set `validate_every`" },
  { at: "keep_best", broken: (train) => train.keep_best && train.validate_every === 0, message: "it needs validations on the way: set `validate_every`" },
  { at: "min_lr", broken: (train) => train.min_lr > 0 && train.schedule === "constant", message: "a constant learning rate does not fall" },
  { at: "decay_share", broken: (train) => train.decay_share !== undefined && train.schedule !== "wsd", message: "only `schedule: wsd` has a decay phase" },
  { at: "decay_shape", broken: (train) => train.decay_shape !== undefined && train.schedule !== "wsd", message: "only `schedule: wsd` has a decay phase" },
];

const trainSchema = trainFields.superRefine((train, context) => {
  for (const rule of TRAIN_RULES) if (rule.broken(train)) context.addIssue({ code: "custom", path: [rule.at], message: rule.message });
});

/** `NAME@STEP`: a checkpoint of the newest run of a run file that has it, or of the run with that id. */
export const FORK = /^([^@]+)@(\d+)$/u;

const runFields = z.strictObject({
  tillage: z.literal(1),
  objective: z.enum(["pretrain", "sft", "distill", ...POLICIES, ...PREFERENCES]),
  /** Settings of an objective on preferences. */
  preference: preferenceSchema.optional(),
  /** Answers and rewards of the objectives `grpo`, `rloo` and `ppo`. */
  policy: policySchema.optional(),
  /** The teacher of the objective `distill`, named as a model is. */
  distill: z.strictObject({ teacher: z.string().min(1), temperature: positive.default(1), alpha: z.number().min(0).max(1).default(1), sequence: z.union([z.boolean(), sequenceSchema]).default(false) }).optional(),
  /** A model folder, `run:NAME` (the result of another run file), `run:NAME@STEP` (one of its checkpoints), or `{ init: … }` for random weights. */
  model: z.union([z.string().min(1), z.strictObject({ init: initSchema })]),
  /** How the frozen weights of an adapter's run are held; full training needs f32. */
  dtype: z.enum(["f32", "bf16", "int8", "nf4"]).default("f32"),
  adapter: adapterSchema.optional(),
  /** A tuned prompt in the place of an adapter. */
  prompt: promptSchema.optional(),
  /** `NAME@STEP`: goes on behind a checkpoint of another run, with its optimiser states and its place in the data. */
  fork: z.string().regex(FORK, "it must be NAME@STEP, such as pretrain@200").optional(),
  /** A recipe, or Parquet files of a dataset that was built elsewhere. */
  data: z.union([z.string().min(1), z.strictObject({ train: z.array(z.string()).min(1), valid: z.array(z.string()).default([]) })]),
  template: templateSchema.default("plain"),
  loss_on: z.enum(["all", "completion", "assistant"]).optional(),
  /** A column of numbers: what each row weighs. */
  weight: z.string().min(1).optional(),
  train: trainSchema,
  /** Prompts whose answers are recorded while the model trains. */
  watch: z.strictObject({ eval: z.string(), every: count, max_new_tokens: count.default(64) }).optional(),
  /** Guards that shall not block this run, each with the reason. */
  guards: z.strictObject({ override: z.record(z.string(), z.string().min(1)) }).optional(),
  threads: steps.default(0),
  seed: z.number().int().nonnegative().default(17),
});

type RunFields = z.infer<typeof runFields>;

/** What one part of a run file says of another; each is reported at the part that has to change. */
const RUN_RULES: { at: string[]; broken: (run: RunFields) => boolean; message: string }[] = [
  { at: ["train", "optimizer"], broken: (run) => run.train.optimizer === "muon" && (run.adapter ?? run.prompt) !== undefined, message: "muon is for full training; an adapter is trained by adamw" },
  { at: ["prompt"], broken: (run) => run.prompt !== undefined && run.adapter !== undefined, message: "a run trains an adapter or a prompt" },
  { at: ["prompt"], broken: (run) => run.prompt !== undefined && run.objective !== "pretrain" && run.objective !== "sft", message: "a prompt is tuned by the objectives pretrain and sft" },
  { at: ["prompt"], broken: (run) => run.prompt !== undefined && typeof run.model !== "string", message: "a model with random weights is trained in full" },
  { at: ["prompt", "tokens"], broken: (run) => run.prompt !== undefined && run.prompt.tokens + 2 > run.train.context, message: "they must leave room in `context` for a text" },
  { at: ["policy", "group"], broken: (run) => run.policy?.group === 1 && run.objective !== "ppo", message: "answers are held against each other: 2 or more" },
  { at: ["policy", "average"], broken: (run) => run.policy !== undefined && run.policy.average !== "tokens" && run.objective !== "grpo", message: "only `objective: grpo` uses it" },
  { at: ["policy", "ppo"], broken: (run) => run.policy?.ppo !== undefined && run.objective !== "ppo", message: "only `objective: ppo` uses it" },
  { at: ["weight"], broken: (run) => run.weight !== undefined && ["kto", "grpo", "rloo", "ppo"].includes(run.objective), message: "this objective's loss is no mean over rows that could be weighed" },
];

export const runFileSchema = runFields.superRefine((run, context) => {
  for (const rule of RUN_RULES) if (rule.broken(run)) context.addIssue({ code: "custom", path: rule.at, message: rule.message });
});
export type RunFile = z.infer<typeof runFileSchema>;

/** Parses a run file's text; problems carry file, line and offsets. */
export function parseRunFile(text: string, file: string): YamlFile<RunFile> {
  return parseYamlFile(text, file, runFileSchema, "run file");
}
