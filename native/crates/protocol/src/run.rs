//! `run.json`: one run, resolved. Written by the extension or the CLI from a `*.run.yaml`, read by the engine.

use crate::course::{DecayShape, EarlyStopping, Fork, OptimizerKind, Recompute, RowOrder};
pub use crate::objective::*;
pub use crate::origin::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which tokens of a row carry a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LossOn {
    /// Every token of the text, prompts and other turns among them.
    All,
    /// What follows the prompt; of a conversation the assistant's last turn.
    Completion,
    /// Every turn of the assistant, with what ends it.
    Assistant,
}

/// How the weights are held while they are frozen; full training has them in f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32 bits, nothing lost.
    #[default]
    F32,
    /// bfloat16 for matrices, 2 bytes a number; norms and biases are f32, as in all of these.
    Bf16,
    /// The layers' projections with 8 bits and one scale a row, embedding and output projection in bf16.
    Int8,
    /// The layers' projections as in QLoRA (Dettmers et al. 2023): 4 bits in blocks of 64, double quantisation;
    /// embedding and output projection in bf16.
    Nf4,
}

impl Dtype {
    /// Every precision there is.
    pub const ALL: [Dtype; 4] = [Dtype::F32, Dtype::Bf16, Dtype::Int8, Dtype::Nf4];

    /// As in run files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::Bf16 => "bf16",
            Dtype::Int8 => "int8",
            Dtype::Nf4 => "nf4",
        }
    }

    fn is_f32(&self) -> bool {
        *self == Dtype::F32
    }
}

/// How a row becomes text. The same template is used for training, watch prompts and evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Template {
    /// Prompt and completion are joined as they are.
    Plain,
    /// The model's own chat template; prompt and completion become a user and an assistant turn.
    Chat,
    /// The prompt is put into `prompt`, at `{prompt}`; the completion follows.
    Format {
        /// A text with `{prompt}` in it.
        prompt: String,
    },
}

/// LoRA as in Hu et al. 2021; `rslora` scales by alpha / sqrt(r) (Kalajdzievski 2023), `dora` learns the magnitudes of the
/// outputs apart from their directions (Liu et al. 2024).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank: the columns of B and the rows of A.
    pub r: usize,
    /// The change of a weight is alpha / r · B A.
    pub alpha: f64,
    /// Share of a projection's inputs that A does not see in a training step, 0 to below 1; 0 when absent.
    #[serde(default)]
    pub dropout: f64,
    /// Module names such as `q_proj`, or `all-linear`.
    pub targets: Vec<String>,
    /// Scales by alpha / √r instead.
    #[serde(default)]
    pub rslora: bool,
    /// Learns the magnitudes apart from the directions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dora: bool,
    /// LoRA+ (Hayou et al. 2024): B learns this many times faster than A. Absent: as fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora_plus: Option<f64>,
}

impl LoraConfig {
    /// LoRA of a rank on all projections and nothing more: alpha twice the rank, no dropout.
    pub fn plain(r: usize) -> LoraConfig {
        LoraConfig {
            r,
            alpha: 2.0 * r as f64,
            dropout: 0.0,
            targets: vec!["all-linear".to_owned()],
            rslora: false,
            dora: false,
            lora_plus: None,
        }
    }
}

/// Prompt tuning (Lester et al. 2021): trained embeddings before every text; the model's weights are frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptConfig {
    /// How many embeddings.
    pub tokens: usize,
    /// They begin as the embeddings of this text, repeated or cut to as many; absent: as those of tokens drawn at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The rows of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunData {
    /// Parquet shards with `_row_id` and the columns of one shape: `text`; `prompt`, `completion`; or `messages` (JSON text).
    /// Objectives on pairs read `chosen` and `rejected` (texts behind `prompt`, or messages as JSON), KTO reads `label` beside
    /// `prompt`, `completion` or `messages`. Beside messages a column `tools` (JSON text, or null) holds what tools are offered.
    pub train: Vec<PathBuf>,
    /// Shards of the same shape whose loss is told and never learned from; none when absent.
    #[serde(default)]
    pub valid: Vec<PathBuf>,
}

/// A prompt whose answer is written into the events while the model trains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchPrompt {
    /// Names the prompt in the events.
    pub id: String,
    /// The prompt, before the template.
    pub prompt: String,
}

/// How the learning rate goes, behind a warm-up that rises from 0 in a straight line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// It stays at `lr`.
    Constant,
    /// Straight down to `min_lr` at the last step.
    Linear,
    /// Down to `min_lr` at the last step in half a cosine wave.
    Cosine,
    /// Warm-up, stable, decay (MiniCPM: Hu et al. 2024): constant until the last `decay_share` of the steps.
    Wsd,
}

/// What becomes of a row that is longer than the context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Truncate {
    /// Its end is cut off.
    #[default]
    End,
    /// Its beginning is cut off, the token that begins a text included.
    Start,
    /// It is left out; of a pair both texts, where one is too long.
    Drop,
}

/// The optimiser, its schedule, and the rhythm of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// How often every row is seen; a part of the last epoch's batches where it is no whole number. Above 0.
    pub epochs: f64,
    /// Ends the run before `epochs` are over.
    #[serde(default)]
    pub max_steps: Option<u64>,
    /// Tokens of one packed batch, padding excluded since there is none.
    pub batch_tokens: usize,
    /// The longest row in tokens; longer rows are cut, and counted in a warning.
    pub context: usize,
    /// Where they are cut.
    #[serde(default, skip_serializing_if = "is_default")]
    pub truncate: Truncate,
    /// Batches of one step; their losses are averaged over the labels of all of them. 1 when absent.
    #[serde(default = "default_one")]
    pub grad_accumulation: usize,
    /// Largest learning rate.
    pub lr: f64,
    /// How it goes over the run.
    pub schedule: Schedule,
    /// Steps in which it rises from 0 to `lr`; none when absent.
    #[serde(default)]
    pub warmup_steps: u64,
    /// Where `linear`, `cosine` and `wsd` end, as a share of `lr`, 0 to 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_lr: f64,
    /// Share of all steps in which a `wsd` schedule falls, 0 to 1.
    #[serde(default = "default_decay_share", skip_serializing_if = "is_default_decay_share")]
    pub decay_share: f64,
    /// How it falls then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub decay_shape: DecayShape,
    /// Which optimiser takes the steps; AdamW when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optimizer: OptimizerKind,
    /// Every trained number shrinks in each step by this share of itself times the learning rate, apart from its gradient; 0 when
    /// absent.
    #[serde(default)]
    pub weight_decay: f64,
    /// How much of the first moment is kept in a step; 0.9 when absent.
    #[serde(default = "default_beta1")]
    pub beta1: f64,
    /// How much of the second moment is kept in a step; 0.999 when absent.
    #[serde(default = "default_beta2")]
    pub beta2: f64,
    /// Added to the root of the second moment; 1e-8 when absent.
    #[serde(default = "default_adam_eps")]
    pub adam_eps: f64,
    /// Gradients are clipped to this L2 norm; 0 turns clipping off.
    #[serde(default = "default_clip")]
    pub clip_norm: f64,
    /// Of all that is random: new weights, the order of the rows, dropout, answers that are drawn.
    pub seed: u64,
    /// In which order the training rows are seen; shuffled when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: RowOrder,
    /// Steps between checkpoints; 0 keeps only the last. A full run also keeps step 0.
    #[serde(default)]
    pub checkpoint_every: u64,
    /// Steps between validations; 0 validates only at the end.
    #[serde(default)]
    pub validate_every: u64,
    /// Steps between the watch prompts' answers; 0 never asks them.
    #[serde(default)]
    pub watch_every: u64,
    /// Ends the run when validation has stopped improving; its result is then the checkpoint with the lowest validation loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// The result is the checkpoint with the lowest validation loss instead of the last one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep_best: bool,
    /// Whether a layer's activations are computed again in the backward pass instead of being kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recompute: Recompute,
}

impl TrainConfig {
    /// Whether the checkpoint with the lowest validation loss is kept, and becomes the result.
    pub fn tracks_best(&self) -> bool {
        self.keep_best || self.early_stopping.is_some()
    }
}

// What is as it was before a setting existed is not written, so that the hash of an older run's settings stays what it was.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}
fn default_decay_share() -> f64 {
    0.1
}
fn is_default_decay_share(value: &f64) -> bool {
    *value == default_decay_share()
}

fn default_one() -> usize {
    1
}
fn default_beta1() -> f64 {
    0.9
}
fn default_beta2() -> f64 {
    0.999
}
fn default_adam_eps() -> f64 {
    1e-8
}
fn default_clip() -> f64 {
    1.0
}

/// `run.json`. All paths are absolute or relative to the run's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Version of this format: 1.
    pub version: u32,
    /// Names the run: its folder's name.
    pub id: String,
    /// The run file's stem, shown to people.
    pub name: String,
    /// The `*.run.yaml` that this run was made from.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// What is minimised.
    pub objective: Objective,
    /// Settings of an objective on preferences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<PreferenceConfig>,
    /// The teacher, for the objective `distill` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distill: Option<DistillConfig>,
    /// Answers and rewards, for the objectives `grpo`, `rloo` and `ppo` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyConfig>,
    /// What is trained.
    pub model: ModelSource,
    /// How the frozen weights of an adapter's run are held. Where all weights are trained, they are held in f32, and bf16 is
    /// mixed precision: products round their operands to it.
    // Left out where it is f32, so that the hash of a run from before this setting is the same.
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    pub dtype: Dtype,
    /// LoRA when present; full training when it and `prompt` are absent.
    #[serde(default)]
    pub adapter: Option<LoraConfig>,
    /// A tuned prompt in the place of an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptConfig>,
    /// Where the run begins when it is not at step 0 with the weights of `model`. Model, adapter, objective and optimiser are those
    /// of the other run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
    /// What is learned from.
    pub data: RunData,
    /// How rows become text.
    pub template: Template,
    /// Which tokens count; of pairs and judgements always the answer.
    pub loss_on: LossOn,
    /// A column of numbers, 0 or more: what each row weighs. The loss is the weighted mean, Σ w · Σ token losses / Σ w · tokens, and
    /// for pairs Σ w · loss / Σ w: a row of weight 2 counts as if it were there twice, and one of weight 0 is left out. Training and
    /// validation rows both have it. Absent: every row weighs the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// How it is trained.
    pub train: TrainConfig,
    /// Prompts that are asked while it trains; none when absent.
    #[serde(default)]
    pub watch: Vec<WatchPrompt>,
    /// New tokens of a watch prompt's answer.
    #[serde(default = "default_watch_new")]
    pub watch_max_new: usize,
    /// 0 = as many as the machine has cores.
    #[serde(default)]
    pub threads: usize,
    /// Guards that the user overrode, with the reasons given.
    #[serde(default)]
    pub overrides: std::collections::BTreeMap<String, String>,
}

impl RunSpec {
    /// Whether the model's weights are frozen: the run trains an adapter or a prompt.
    pub fn freezes(&self) -> bool {
        self.adapter.is_some() || self.prompt.is_some()
    }
}

fn default_watch_new() -> usize {
    64
}
