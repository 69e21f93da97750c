/** What each key of a run file means, for completion and hover. */
import type { KeyDocs } from "../yaml-complete";

const template = { doc: "How a row becomes text: `plain` joins prompt and completion as they are, `chat` uses the model's own chat template, `prompt: \"… {prompt} …\"` is a form. The same one is used for watch prompts and evaluation.", values: ["plain", "chat"], keys: { prompt: { doc: "A text with `{prompt}` in it; the completion follows." } } };

export const runDocs: KeyDocs = {
  tillage: { doc: "Version of this format: 1.", values: ["1"] },
  objective: { doc: "What is minimised: `pretrain` counts every token of a text, `sft` those of the answers (see `loss_on`).", values: ["pretrain", "sft"] },
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
    doc: "How an adapter's run holds the frozen weights. `bf16`: half the memory, and faster where the processor multiplies bf16. `int8`, `nf4`: the layers' projections in 8 bits, or in 4 as in QLoRA (Dettmers et al. 2023); embedding and output projection in bf16. The adapter, the activations and all sums stay f32. Full training needs `f32`, the default.",
    values: ["f32", "bf16", "int8", "nf4"],
  },
  adapter: {
    doc: "LoRA (Hu et al. 2021). Without it all weights are trained.",
    keys: {
      r: { doc: "Rank: the width of the adapter. More learns more and costs more.", values: ["16"] },
      alpha: { doc: "The adapter is scaled by alpha / r.", values: ["32"] },
      dropout: { doc: "Only 0 for now.", values: ["0"] },
      targets: { doc: "Modules that get an adapter, such as `[q_proj, v_proj]`; `[all-linear]` by default.", values: ["[all-linear]"] },
      rslora: { doc: "Scale by alpha / √r instead (Kalajdzievski 2023). Default false.", values: ["true", "false"] },
    },
  },
  data: {
    doc: "A recipe, which is built when it is stale; or Parquet files of a dataset that was built elsewhere.",
    keys: { train: { doc: "Parquet files of the training rows." }, valid: { doc: "Parquet files of the validation rows." } },
  },
  template,
  loss_on: { doc: "Which tokens of a row count: `all`, those of the `completion`, or those of the `assistant`'s turns. Default: all for pretrain, completion for sft.", values: ["all", "completion", "assistant"] },
  train: {
    doc: "The optimiser (AdamW), its schedule, and the rhythm of the run.",
    keys: {
      epochs: { doc: "How often each row is seen. Default 1." },
      max_steps: { doc: "Ends the run before `epochs` are over." },
      batch_tokens: { doc: "Tokens of one packed batch. Default 4096." },
      context: { doc: "Longest row, tokens; longer ones are cut, and the preflight counts them." },
      grad_accumulation: { doc: "Batches of one step. Default 1." },
      lr: { doc: "Peak learning rate." },
      schedule: { doc: "How the learning rate falls after the warm-up. Default cosine.", values: ["constant", "linear", "cosine"] },
      warmup_steps: { doc: "Steps in which the learning rate rises to its peak. Default 0." },
      weight_decay: { doc: "Decoupled weight decay. Default 0." },
      beta1: { doc: "Decay of the first moment. Default 0.9." },
      beta2: { doc: "Decay of the second moment. Default 0.999." },
      adam_eps: { doc: "Epsilon of AdamW. Default 1e-8." },
      clip_norm: { doc: "Gradients are clipped to this L2 norm; 0 turns it off. Default 1." },
      checkpoint_every: { doc: "Steps between checkpoints; 0 keeps only the last. Default 0." },
      validate_every: { doc: "Steps between validations; 0 validates only at the end. Default 0." },
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
