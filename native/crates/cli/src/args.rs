//! The command line's grammar.

use crate::parity::ParityArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use tillage_protocol::attribute::{RankBy, DIMS, TOP};
use tillage_protocol::export::{ExportFormat, Quantize};
use tillage_protocol::rpc::AdapterRef;
use tillage_protocol::run::{Dtype, LossOn, Template, Truncate};
use tillage_protocol::score::BATCH_TOKENS;

/// Train, ask and inspect small language models on this machine.
#[derive(Debug, Parser)]
#[command(name = "tillage-native", version)]
pub struct Cli {
    /// Answers and errors as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Threads to compute with; all of the machine's cores when absent.
    #[arg(long, global = true)]
    pub threads: Option<usize>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train the run of a folder with a run.json; resumes from its last checkpoint.
    Train(TrainArgs),
    /// Say what a run would need, measured; nothing is written.
    Preflight {
        /// Folder with a run.json.
        run_dir: PathBuf,
    },
    /// Answer prompts.
    Generate(GenerateArgs),
    /// Score the rows of a file: losses, log-probabilities, choices, embeddings.
    Score(ScoreArgs),
    /// Rank a run's training rows by their influence on what the model says.
    Attribute(AttributeArgs),
    /// Measure training, generation and memory on this machine.
    Bench(BenchArgs),
    /// Write a model for other programs: PEFT, Hugging Face or GGUF.
    Export(ExportArgs),
    /// Show a row as tokens with its label mask.
    Tokens(TokensArgs),
    /// Describe a model folder.
    Inspect {
        /// Model folder.
        #[arg(long)]
        model: PathBuf,
    },
    /// Compare with a reference made elsewhere.
    Parity(ParityArgs),
    /// List what this machine can compute on.
    Devices,
    /// Print the protocol as JSON Schema.
    Schema,
    /// Serve JSON-RPC on stdin and stdout.
    Serve,
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Folder with a run.json.
    pub run_dir: PathBuf,
    /// Stop, with a checkpoint, when stdin ends.
    #[arg(long)]
    pub attached: bool,
}

#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Model folder.
    #[arg(long)]
    pub model: PathBuf,
    /// PEFT adapter: [NAME=]FOLDER[:WEIGHT]. Several are mixed: their changes are added up, each times its weight.
    #[arg(long, value_parser = crate::adapters::parse)]
    pub adapter: Vec<AdapterRef>,
    /// How the weights are held: f32, bf16, int8 or nf4.
    #[arg(long, default_value = "f32", value_parser = dtype)]
    pub dtype: Dtype,
    /// JSONL file of objects with `id` and `prompt`, and `adapters` where a prompt has its own: {"NAME": WEIGHT}, {} for none.
    #[arg(long)]
    pub prompts: PathBuf,
    /// 0 takes the most likely token each time.
    #[arg(long, default_value_t = 0.0)]
    pub temperature: f64,
    /// New tokens at most.
    #[arg(long, default_value_t = 256)]
    pub max_new: usize,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Prompts that are answered together.
    #[arg(long, default_value_t = tillage_generate::WIDTH)]
    pub batch: usize,
    /// plain, chat, or format:TEXT with {prompt} in it (\n is a line break).
    #[arg(long, default_value = "plain", value_parser = template)]
    pub template: Template,
}

#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// Model folder.
    #[arg(long)]
    pub model: PathBuf,
    /// PEFT adapter folder.
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// How the weights are held: f32, bf16, int8 or nf4.
    #[arg(long, default_value = "f32", value_parser = dtype)]
    pub dtype: Dtype,
    /// Parquet or JSONL file with text; prompt and completion; messages; chosen and rejected; or prompt and choices.
    #[arg(long)]
    pub rows: PathBuf,
    /// Parquet or JSONL file for the scores.
    #[arg(long)]
    pub out: PathBuf,
    /// plain, chat, or format:TEXT with {prompt} in it (\n is a line break).
    #[arg(long, default_value = "plain", value_parser = template)]
    pub template: Template,
    /// What the loss counts; by default all of a text, the completion of a prompt, the assistant's turns of messages.
    #[arg(long, value_enum)]
    pub loss_on: Option<LossOnArg>,
    /// Tokens of a row at most; the model's own limit when absent.
    #[arg(long)]
    pub context: Option<usize>,
    /// Tokens computed at once.
    #[arg(long, default_value_t = BATCH_TOKENS)]
    pub batch_tokens: usize,
    /// Adds the mean of each text's last hidden states.
    #[arg(long)]
    pub embed: bool,
    /// Divides embeddings by their length.
    #[arg(long, requires = "embed")]
    pub normalize: bool,
}

#[derive(Debug, Args)]
pub struct AttributeArgs {
    /// Folder of a run that has a checkpoint.
    #[arg(long)]
    pub run: PathBuf,
    /// JSONL file of outputs: text; prompt and completion; messages; or the row_id of a training row. `id` names them.
    #[arg(long)]
    pub outputs: PathBuf,
    /// Rows of each list.
    #[arg(long, default_value_t = TOP)]
    pub top: usize,
    /// What rows are ranked by: cosine, whatever a row's length; or dot, what a step on the row changes.
    #[arg(long, value_enum, default_value = "cosine")]
    pub by: RankByArg,
    /// Numbers that gradients are projected to, a power of two; the rows' are kept in the run's folder, 4 bytes a number.
    #[arg(long, default_value_t = DIMS)]
    pub dims: usize,
    /// Of the projection.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Looks at the newest checkpoint alone.
    #[arg(long)]
    pub only_last: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RankByArg {
    Cosine,
    Dot,
}

impl From<RankByArg> for RankBy {
    fn from(arg: RankByArg) -> Self {
        match arg {
            RankByArg::Cosine => RankBy::Cosine,
            RankByArg::Dot => RankBy::Dot,
        }
    }
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// demo, tiny5m, smollm2-135m or qwen2.5-0.5b with random weights, or a model folder.
    #[arg(long)]
    pub model_shape: String,
    /// Parquet or JSONL file of rows, as for `score`.
    #[arg(long)]
    pub rows: PathBuf,
    /// How the frozen weights are held: f32, bf16, int8 or nf4.
    #[arg(long, default_value = "f32", value_parser = dtype)]
    pub dtype: Dtype,
    /// Where to compute.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Tokens of a training step at most; longer rows are cut.
    #[arg(long, default_value_t = 1024)]
    pub batch_tokens: usize,
    /// Rounds that are counted, behind two that are not.
    #[arg(long, default_value_t = 5)]
    pub repeats: usize,
    /// Tokens of a prompt.
    #[arg(long, default_value_t = 32)]
    pub prompt: usize,
    /// New tokens of a generation.
    #[arg(long, default_value_t = 64)]
    pub new: usize,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Model folder.
    #[arg(long)]
    pub model: PathBuf,
    /// PEFT adapter folder.
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// peft, merged or gguf.
    #[arg(long, value_parser = export_format)]
    pub to: ExportFormat,
    /// f32, f16, bf16, q8_0 or q4_0; f16 when absent. For gguf only.
    #[arg(long, value_parser = quantize)]
    pub quantize: Option<Quantize>,
    /// A new folder, or for gguf a new .gguf file.
    #[arg(long)]
    pub out: PathBuf,
    /// What a PEFT adapter says it belongs to, or the name in a GGUF file.
    #[arg(long)]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct TokensArgs {
    /// Model folder.
    #[arg(long)]
    pub model: PathBuf,
    /// JSON file with one row: {"text"}, {"prompt", "completion"}, {"messages"}, a pair of "chosen" and "rejected" answers, or an
    /// answer with its "label"; beside messages the "tools" that are offered.
    #[arg(long)]
    pub row: PathBuf,
    /// plain, chat, or format:TEXT with {prompt} in it (\n is a line break).
    #[arg(long, default_value = "plain", value_parser = template)]
    pub template: Template,
    #[arg(long, value_enum, default_value = "all")]
    pub loss_on: LossOnArg,
    #[arg(long, default_value_t = 1024)]
    pub context: usize,
    /// Where a longer row is cut: end, start, or drop.
    #[arg(long, default_value = "end", value_parser = truncate)]
    pub truncate: Truncate,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LossOnArg {
    All,
    Completion,
    Assistant,
}

impl From<LossOnArg> for LossOn {
    fn from(arg: LossOnArg) -> Self {
        match arg {
            LossOnArg::All => LossOn::All,
            LossOnArg::Completion => LossOn::Completion,
            LossOnArg::Assistant => LossOn::Assistant,
        }
    }
}

/// A precision by its name.
pub fn dtype(text: &str) -> Result<Dtype, String> {
    let known = Dtype::ALL.into_iter().find(|d| d.name() == text);
    known.ok_or_else(|| format!("use {}", Dtype::ALL.map(Dtype::name).join(", ")))
}

fn export_format(text: &str) -> Result<ExportFormat, String> {
    let known = ExportFormat::ALL.into_iter().find(|f| f.name() == text);
    known.ok_or_else(|| format!("use {}", ExportFormat::ALL.map(ExportFormat::name).join(", ")))
}

fn quantize(text: &str) -> Result<Quantize, String> {
    let known = Quantize::ALL.into_iter().find(|q| q.name() == text);
    known.ok_or_else(|| format!("use {}", Quantize::ALL.map(Quantize::name).join(", ")))
}

fn truncate(text: &str) -> Result<Truncate, String> {
    match text {
        "end" => Ok(Truncate::End),
        "start" => Ok(Truncate::Start),
        "drop" => Ok(Truncate::Drop),
        _ => Err("use end, start or drop".into()),
    }
}

fn template(text: &str) -> Result<Template, String> {
    match text {
        "plain" => Ok(Template::Plain),
        "chat" => Ok(Template::Chat),
        _ => text
            .strip_prefix("format:")
            .map(|prompt| Template::Format { prompt: prompt.replace("\\n", "\n") })
            .ok_or_else(|| "use plain, chat, or format:TEXT".to_owned()),
    }
}
