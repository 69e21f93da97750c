/** What each key of a run file means, for completion and hover. */
import type { KeyDocs } from "../yaml-complete";
import { POLICIES, PREFERENCES } from "./schema";

const template = { doc: "How a row becomes text: `plain` joins prompt and completion as they are, `chat` uses the model's own chat template, `prompt: \"… {prompt} …\"` is a form. The same one is used for watch prompts and evaluation.", values: ["plain", "chat"], keys: { prompt: { doc: "A text with `{prompt}` in it; the completion follows." } } };

export const runDocs: KeyDocs = {
  tillage: { doc: "Version of this format: 1.", values: ["1"] },
  objective: {
    doc: "What is minimised: `pretrain` counts every token of a text, `sft` those of the answers (see `loss_on`), `distill` those against a teacher's whole distribution (Hinton et al. 2015). `grpo` (Shao et al. 2024), `rloo` (Ahmadian et al. 2024) and `ppo` (Schulman et al. 2017; Ziegler et al. 2019) learn from rewards of the model's own answers. From pairs of a chosen and a rejected answer learn `dpo` (Rafailov et al. 2023), `ipo` (Azar et al. 2023), `hinge` (Zhao et al. 2023), `apo_zero` (D'Oosterlinck et al. 2024) and, without a reference, `simpo` (Meng et al. 2024), `cpo` (Xu et al. 2024), `orpo` (Hong et al. 2024); from single answers judged good or bad `kto` (Ethayarajh et al. 2024). `reward` trains a scalar head that scores chosen answers above rejected ones (Ouyang et al. 2022).",
    values: ["pretrain", "sft", "distill", ...POLICIES, ...PREFERENCES],
  },
  policy: {
    doc: "How the model's own answers are drawn and rewarded, for `grpo`, `rloo` and `ppo`. The answers stand in `rollouts.jsonl` in the run's folder. The dataset has prompt and completion; the completion is the answer that is wanted.",
    keys: {
      rewards: { doc: "A list of rewards, summed: `{ kind: exact }`, `{ kind: contains }`, `{ kind: numeric }` (the number behind `####`, or the last one, as in GSM8K), `{ kind: regex, pattern: … }`, `{ kind: json_schema, schema: … }` (inline, or a file), `{ kind: length, target: … }` in tokens, `{ kind: reward_model, model: run:NAME }` (with `mean`, `std` and `squash: sigmoid` or `tanh`), `{ kind: command, command: [program, …] }`: a program that gets a line of JSON with `prompt`, `answer` and `reference` on stdin and writes a number for each, within `timeout` seconds. Each has a `weight`, default 1." },
      group: { doc: "Answers of each prompt, held against each other. Default 8." },
      max_new: { doc: "Longest answer, tokens. Default 128." },
      temperature: { doc: "Temperature at which answers are drawn; log-probabilities are those at it. Default 1." },
      beta: { doc: "grpo, rloo: weight of the divergence from what the run began with. Default 0." },
      average: { doc: "grpo: how tokens become one loss: over all `tokens` (DAPO, Yu et al. 2025), over each of the `completions` first (Shao et al. 2024), or over the `longest` possible answer (Dr. GRPO, Liu et al. 2025). Default tokens.", values: ["tokens", "completions", "longest"] },
      epochs: { doc: "How often a round's answers are learned from; above 1 the ratio to the policy that drew them is clipped. Default 1, and 4 for ppo." },
      minibatches: { doc: "Parts, one update each, into which a round's answers are split in each epoch. Default 1." },
      epsilon: { doc: "The ratio is clipped to 1 ± this. Default 0.2." },
      ppo: {
        doc: "What `ppo` has beyond the others: a value head that is trained with the adapter, and a fine for leaving the reference.",
        keys: {
          gamma: { doc: "What a token's reward counts one token earlier, 0 to 1. Default 1." },
          lambda: { doc: "Generalised advantage estimation (Schulman et al. 2016): 0 trusts the values, 1 the rewards alone. Default 0.95." },
          kl: { doc: "What each token is fined for its log-ratio to what the run began with, in units of reward. Default 0.05." },
          value_clip: { doc: "A value is learned from no further than this from what it was when the answers were drawn. Default 0.2." },
          value_weight: { doc: "Weight of the values' loss. Default 0.1." },
          cut_penalty: { doc: "What an answer that did not come to an end loses of its reward. Default 0." },
          keep_value_head: { doc: "The result has the value head beside it, in value_head.safetensors. Default false.", values: ["true", "false"] },
        },
      },
    },
  },
  distill: {
    doc: "What the objective `distill` learns from: a larger model with the same tokenizer.",
    keys: {
      teacher: { doc: "The teacher: a model folder, `run:NAME` or `run:NAME@STEP`." },
      temperature: { doc: "Both distributions are softened by this before they are compared. Default 1." },
      alpha: { doc: "Weight of the divergence from the teacher, 0 to 1; the texts' own loss has the rest. Default 1." },
      sequence: {
        doc: "Learn the teacher's answers instead of its distribution (Kim and Rush 2016): it answers each `prompt` of the dataset once, and the student learns the answers as under `sft`. They stand in `teacher_answers.jsonl` in the run's folder. `true`, or its settings. The teacher's tokenizer may be another one then.",
        values: ["true"],
        keys: { max_new: { doc: "Longest answer, tokens. Default 128." }, temperature: { doc: "Temperature at which the teacher answers; 0 is greedy. Default 0." } },
      },
    },
  },
  preference: {
    doc: "Settings of an objective that learns preferences.",
    keys: {
      beta: { doc: "How strongly the model is held to what it was before, or the temperature where there is no reference. Default 0.1, and 2 for simpo." },
      label_smoothing: { doc: "dpo: the share of pairs that are thought to be labelled the wrong way round, below 0.5. Default 0." },
      gamma: { doc: "simpo: the margin between chosen and rejected, in units of beta times mean log-probability. Default 1." },
      alpha: { doc: "cpo: weight of the chosen answers' own loss. Default 1." },
      desirable_weight: { doc: "kto: weight of good answers. Default 1." },
      undesirable_weight: { doc: "kto: weight of bad answers. Default 1." },
    },
  },
  model: {
    doc: "Where the weights come from: a model folder, `run:NAME` (the result of another run file), `run:NAME@STEP` (one of its checkpoints), or `init` for random weights.",
    keys: {
      init: {
        doc: "A llama-shaped model with random weights.",
        keys: {
          hidden_size: { doc: "Width of the model." },
          intermediate_size: { doc: "Width inside each feed-forward block." },
          num_hidden_layers: { doc: "Number of blocks." },
          num_attention_heads: { doc: "Attention heads of a block; `hidden_size` is divided by it." },
          num_key_value_heads: { doc: "Heads of keys and values; fewer than attention heads is grouped-query attention." },
          max_position_embeddings: { doc: "Longest context, tokens." },
          tie_word_embeddings: { doc: "Whether input and output embeddings are the same matrix. Default true.", values: ["true", "false"] },
          rope_theta: { doc: "Base of the rotary position embedding. Default 10000." },
          rms_norm_eps: { doc: "Epsilon of RMSNorm. Default 1e-5." },
          initializer_range: { doc: "Standard deviation of the random weights. Default 0.02." },
          tokenizer: { doc: "`vocab_size: N` trains a BPE tokenizer of N entries on the training rows; a folder or `run:NAME` takes that model's tokenizer.", keys: { vocab_size: { doc: "Entries of the tokenizer, at least 300." } } },
        },
      },
    },
  },
  dtype: {
    doc: "The precision of products, and how an adapter's run holds the frozen weights. `bf16`: half the memory, and faster where the processor multiplies bf16. `int8`, `nf4`: the layers' projections in 8 bits, or in 4 as in QLoRA (Dettmers et al. 2023); embedding and output projection in bf16. The adapter, the activations and all sums stay f32. Where all weights are trained, `bf16` is mixed precision: products round their operands to bf16, and weights, gradients and all sums stay f32; `int8` and `nf4` are for adapters alone. Default `f32`.",
    values: ["f32", "bf16", "int8", "nf4"],
  },
  adapter: {
    doc: "LoRA (Hu et al. 2021). Without it and without `prompt` all weights are trained; where `model` is itself an adapter, the run goes on with that one and takes its settings over.",
    keys: {
      r: { doc: "Rank: the width of the adapter. More learns more and costs more.", values: ["16"] },
      alpha: { doc: "The adapter is scaled by alpha / r.", values: ["32"] },
      dropout: { doc: "Share of the adapter's inputs that is left out at random while training. Default 0.", values: ["0", "0.05"] },
      targets: { doc: "Modules that get an adapter, such as `[q_proj, v_proj]`; `[all-linear]` by default.", values: ["[all-linear]"] },
      rslora: { doc: "Scale by alpha / √r instead (Kalajdzievski 2023). Default false.", values: ["true", "false"] },
      lora_plus: { doc: "LoRA+ (Hayou et al. 2024): B learns this many times faster than A, such as 16. Default: as fast.", values: ["16"] },
      dora: { doc: "Learn the magnitudes of the outputs apart from their directions (DoRA, Liu et al. 2024). Default false.", values: ["true", "false"] },
    },
  },
  prompt: {
    doc: "Prompt tuning (Lester et al. 2021) in the place of an adapter: trained embeddings before every text, for `pretrain` and `sft`. They count in `context`, and are saved as PEFT saves them. A learning rate far above an adapter's is usual, such as 0.1.",
    keys: {
      tokens: { doc: "How many embeddings.", values: ["16", "32"] },
      text: { doc: "They begin as the embeddings of this text, repeated or cut to as many. Default: those of tokens drawn at random." },
    },
  },
  fork: { doc: "`NAME@STEP`: goes on behind a checkpoint of another run with its weights, optimiser states and place in the data, under this file's settings. Model, adapter, objective and optimiser must be that run's; steps and epochs count from its beginning. Other rows begin again at their first epoch. For the weights alone, use `model: run:NAME@STEP`." },
  data: {
    doc: "A recipe, which is built when it is stale; or Parquet files of a dataset that was built elsewhere.",
    keys: { train: { doc: "Parquet files of the training rows." }, valid: { doc: "Parquet files of the validation rows." } },
  },
  template,
  loss_on: { doc: "Which tokens of a row count: `all`, those of the `completion`, or those of the `assistant`'s turns. Default: all for pretrain, completion for sft.", values: ["all", "completion", "assistant"] },
  weight: { doc: "A column of numbers, 0 or more: what each row weighs. The loss is the weighted mean over labelled tokens, Σ w · Σ token losses / Σ w · tokens (over pairs for preferences): a row of weight 2 counts as if it were there twice, one of weight 0 is left out. Validation rows are weighed in the same way; losses of single rows are shown without. Not for kto, grpo and rloo. Default: every row weighs the same." },
  train: {
    doc: "The optimiser, its schedule, and the rhythm of the run.",
    keys: {
      epochs: { doc: "How often each row is seen. Default 1." },
      max_steps: { doc: "Ends the run before `epochs` are over." },
      batch_tokens: { doc: "Tokens of one packed batch. Default 4096." },
      context: { doc: "Longest row, tokens; longer ones are cut, and the preflight counts them." },
      truncate: { doc: "What becomes of longer rows: their `end` or their `start` is cut off (the token that begins a text included), or the row is left out (`drop`; of a pair both texts). Default end.", values: ["end", "start", "drop"] },
      grad_accumulation: { doc: "Batches of one step. Default 1." },
      lr: { doc: "Peak learning rate." },
      schedule: { doc: "How the learning rate falls after the warm-up. `wsd` (warm-up, stable, decay: Hu et al. 2024) stays at the peak until the last `decay_share` of the steps. Default cosine.", values: ["constant", "linear", "cosine", "wsd"] },
      warmup_steps: { doc: "Steps in which the learning rate rises to its peak. Default 0." },
      min_lr: { doc: "Where linear, cosine and wsd end, as a share of `lr`. Default 0.", values: ["0.1"] },
      decay_share: { doc: "Share of all steps in which a `wsd` schedule falls. Default 0.1.", values: ["0.1", "0.2"] },
      decay_shape: { doc: "How a `wsd` schedule falls: `sqrt` is 1 − √share (Hägele et al. 2024), `linear` straight down. Default sqrt.", values: ["sqrt", "linear"] },
      optimizer: { doc: "`adamw`; `adamw_8bit`, whose states take 2 bytes a number instead of 8 (Dettmers et al. 2022); `muon` (Jordan et al. 2024) for the matrices of full training, with AdamW for the rest. Default adamw.", values: ["adamw", "adamw_8bit", "muon"] },
      weight_decay: { doc: "Decoupled weight decay. Default 0." },
      beta1: { doc: "Decay of the first moment. Default 0.9." },
      beta2: { doc: "Decay of the second moment. Default 0.999." },
      adam_eps: { doc: "Epsilon of AdamW. Default 1e-8." },
      clip_norm: { doc: "Gradients are clipped to this L2 norm; 0 turns it off. Default 1." },
      order: { doc: "In which order the training rows are seen: `shuffled` anew in each epoch, or `stored`, as they stand in the dataset, in every epoch. By default `stored` where the recipe has a `curriculum`, otherwise `shuffled`.", values: ["shuffled", "stored"] },
      checkpoint_every: { doc: "Steps between checkpoints; 0 keeps only the last. Default 0." },
      validate_every: { doc: "Steps between validations; 0 validates only at the end. Default 0." },
      early_stopping: {
        doc: "Ends the run when validation has stopped improving; its result is then the checkpoint with the lowest validation loss. Needs validation rows and `validate_every`.",
        keys: {
          patience: { doc: "Validations in a row without an improvement that end the run.", values: ["3", "5"] },
          min_delta: { doc: "A validation is an improvement when its loss is lower by more than this, nats. Default 0." },
        },
      },
      recompute: { doc: "Whether a layer's activations are computed again in the backward pass instead of being kept: the same result in less memory, in about a third more time. `auto` does so where too little memory is free. Default auto.", values: ["auto", "always", "never"] },
      keep_best: { doc: "The result is the checkpoint with the lowest validation loss instead of the last one. Needs validation rows and `validate_every`. Default false.", values: ["true", "false"] },
    },
  },
  watch: {
    doc: "Prompts whose answers are recorded while the model trains.",
    keys: {
      eval: { doc: "An eval file; its prompts are asked." },
      every: { doc: "Steps between two askings." },
      max_new_tokens: { doc: "Longest answer, tokens. Default 64." },
    },
  },
  guards: {
    doc: "Checks of the dataset that block a run.",
    keys: { override: { doc: "Guards that shall not block this run, each with the reason: `leak: the question is meant to be there`.", keys: {} } },
  },
  threads: { doc: "Threads; 0 takes all cores. Default 0." },
  seed: { doc: "Seed of shuffling and of random weights. Default 17." },
};
