//! Measures what the engine does on this machine: training steps of a LoRA, generation, memory.
//!
//! Each round measures a training step and each kind of generation once, so that a machine that is slower for a while is so for all of
//! them; medians of the rounds count. Two rounds before them are not counted: the first passes allocate buffers, and pages of weights
//! are read from the disk.

mod rows;
mod shape;
mod step;

pub use shape::{Source, NAMES};
pub use step::{attach, generate, Step, Training, RANK};

use rows::Rows;
use std::path::PathBuf;
use std::time::Instant;
use tillage_protocol::bench::{
    BenchMachine, BenchProgress, BenchResult, GenerationSpeed, Measured, TrainingSpeed,
};
use tillage_protocol::run::Dtype;
use tillage_protocol::EngineError;
use tillage_text::pack::plan_epoch;

/// Rounds that are not counted.
const WARM_UP: usize = 2;

/// Sequences that are generated at once.
const BATCHES: [usize; 2] = [1, 8];

/// What is measured, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The model.
    pub source: Source,
    /// Parquet, JSONL or CSV whose rows are learned from; their tokens are the prompts too.
    pub rows: PathBuf,
    /// How the frozen weights are held.
    pub dtype: Dtype,
    /// Tokens of a training step at most, 2 or more; a longer row is cut to the model's context, or to this.
    pub batch_tokens: usize,
    /// Rounds that count, 1 or more.
    pub repeats: usize,
    /// Tokens of a prompt, 1 or more.
    pub prompt: usize,
    /// New tokens of each sequence, 1 or more; with the prompt they fit the model's context.
    pub new: usize,
}

/// Measures. `watch` hears how far it is, and says whether to go on.
///
/// # Errors
/// User errors of folder and file; `bad_setting`; `cancelled` when `watch` says so.
pub fn bench(
    settings: &Settings,
    watch: &mut dyn FnMut(&BenchProgress) -> bool,
) -> Result<BenchResult, EngineError> {
    check(settings)?;
    let begun = Instant::now();
    let total = (WARM_UP + settings.repeats) as u64;
    let mut tell = |what: &str, done: u64| {
        let on = watch(&BenchProgress { what: what.to_owned(), done, total });
        if on {
            Ok(())
        } else {
            Err(EngineError::user("cancelled", "The measurement was cancelled.", "Start it again."))
        }
    };
    tell("loading", 0)?;
    let mut model = settings.source.model(settings.dtype)?;
    let window = model.config().max_position_embeddings;
    if settings.prompt + settings.new > window {
        return Err(bad(format!(
            "A prompt of {} and {} new tokens do not fit the model's {window}.",
            settings.prompt, settings.new
        )));
    }
    let rows = Rows::read(&settings.rows, &settings.source, window.min(settings.batch_tokens))?;
    let parameters = model.parameter_count() as u64;
    let lengths: Vec<usize> = rows.examples.iter().map(|e| e.tokens.len()).collect();
    let batches = plan_epoch(&lengths, settings.batch_tokens, 0, 0);
    attach(&mut model)?;
    let planned = lengths.iter().sum::<usize>().min(settings.batch_tokens);
    let planned_bytes = model.plan_bytes(planned) as u64;
    let mut training = Training::new(&mut model, 1e-4, 0.0);
    let prompts = BATCHES.map(|count| rows.prompts(count, settings.prompt));
    let fresh = forget_peak();
    let mut steps = Vec::new();
    let mut answers = BATCHES.map(|_| Vec::new());
    let mut learned = 0;
    for round in 0..WARM_UP + settings.repeats {
        let what = if round < WARM_UP { "warming up" } else { "measuring" };
        tell(what, round as u64)?;
        let batch = &batches[round % batches.len()];
        let pack = rows.pack(batch);
        let seconds = training.step(&mut model, &pack)?.seconds;
        if round >= WARM_UP {
            steps.push((pack.tokens.len(), seconds));
            learned += batch.len() as u64;
        }
        for (prompts, answers) in prompts.iter().zip(&mut answers) {
            tell(what, round as u64)?;
            let seconds = generate(&model, &texts(prompts), settings.new);
            if round >= WARM_UP {
                answers.push(seconds);
            }
        }
    }
    tell("measuring", total)?;
    let shape = (settings.prompt, settings.new);
    let generation = BATCHES.into_iter().zip(answers).map(|(batch, seconds)| speed(batch, shape, &seconds));
    Ok(BenchResult {
        engine: env!("CARGO_PKG_VERSION").into(),
        model: match &settings.source {
            Source::Shape(name) => (*name).to_owned(),
            Source::Folder(path) => path.display().to_string(),
        },
        random_weights: matches!(settings.source, Source::Shape(_)),
        parameters,
        dtype: settings.dtype,
        machine: BenchMachine {
            device: "cpu".into(),
            threads: rayon::current_num_threads(),
            features: features(),
        },
        rows_file: settings.rows.display().to_string(),
        rows: rows.examples.len() as u64,
        row_tokens: rows.tokens() as u64,
        tokenizer: rows.tokenizer.to_owned(),
        training: TrainingSpeed {
            measured: measured(&steps),
            rank: RANK,
            trainable: model.trainable_count() as u64,
            batch_tokens: settings.batch_tokens,
            rows: learned,
        },
        generation: generation.collect(),
        peak_bytes: if fresh { peak() } else { None },
        planned_bytes,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn texts(prompts: &[Vec<u32>]) -> Vec<&[u32]> {
    prompts.iter().map(Vec::as_slice).collect()
}

/// Of `batch` answers at once, from the seconds of their prompts and of their new tokens in each round.
fn speed(batch: usize, (prompt, new): (usize, usize), seconds: &[(f64, f64)]) -> GenerationSpeed {
    let read: Vec<(usize, f64)> = seconds.iter().map(|(read, _)| (batch * prompt, *read)).collect();
    let told: Vec<(usize, f64)> = seconds.iter().map(|(_, told)| (batch * new, *told)).collect();
    GenerationSpeed {
        batch,
        prompt,
        new,
        measured: measured(&told),
        prompt_tokens_per_second: measured(&read).tokens_per_second,
    }
}

/// Of measurements, each with its tokens and seconds.
fn measured(each: &[(usize, f64)]) -> Measured {
    let mut speeds: Vec<f64> = each.iter().map(|(tokens, s)| *tokens as f64 / s.max(1e-9)).collect();
    speeds.sort_by(f64::total_cmp);
    let middle = speeds.len() / 2;
    let median = if speeds.len().is_multiple_of(2) {
        (speeds[middle - 1] + speeds[middle]) / 2.0
    } else {
        speeds[middle]
    };
    Measured {
        tokens_per_second: median,
        slowest: speeds[0],
        fastest: speeds[speeds.len() - 1],
        repeats: each.len() as u64,
        tokens: each.iter().map(|(tokens, _)| *tokens as u64).sum(),
        seconds: each.iter().map(|(_, seconds)| seconds).sum(),
    }
}

/// Makes the system count the peak from now on, so that loading is not in it. Linux alone does.
fn forget_peak() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Largest resident memory, bytes.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// What the CPU can do of what the kernels choose by.
fn features() -> Vec<String> {
    let mut known: Vec<(&str, bool)> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        known.extend([
            ("avx2", has!("avx2")),
            ("fma", has!("fma")),
            ("avx512f", has!("avx512f")),
            ("avx512vnni", has!("avx512vnni")),
            ("avx512bf16", has!("avx512bf16")),
        ]);
        let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = flags.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        known.push(("amx_bf16", flags.split_whitespace().any(|flag| flag == "amx_bf16")));
    }
    #[cfg(target_arch = "aarch64")]
    {
        use std::arch::is_aarch64_feature_detected as has;
        known.extend([("neon", has!("neon")), ("bf16", has!("bf16"))]);
    }
    known.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned()).collect()
}

fn check(settings: &Settings) -> Result<(), EngineError> {
    for (name, count) in [("repeats", settings.repeats), ("prompt", settings.prompt), ("new", settings.new)] {
        if count == 0 {
            return Err(bad(format!("`{name}` is 0, and must be 1 or more.")));
        }
    }
    if settings.batch_tokens < 2 {
        return Err(bad(format!("A step of {} tokens learns nothing.", settings.batch_tokens)));
    }
    Ok(())
}

fn bad(what: String) -> EngineError {
    EngineError::user("bad_setting", what, "Change the command's settings.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_speeds() {
        let found = measured(&[(100, 1.0), (300, 1.0), (400, 2.0)]);
        assert_eq!((found.tokens_per_second, found.slowest, found.fastest), (200.0, 100.0, 300.0));
        assert_eq!((found.repeats, found.tokens, found.seconds), (3, 800, 4.0));
        assert_eq!(measured(&[(100, 1.0), (300, 1.0)]).tokens_per_second, 200.0);
    }

    #[test]
    fn all_answers_of_a_batch_count() {
        let found = speed(8, (4, 5), &[(0.5, 2.0), (0.25, 4.0), (1.0, 1.0)]);
        assert_eq!((found.batch, found.prompt, found.new), (8, 4, 5));
        assert_eq!(found.prompt_tokens_per_second, 64.0);
        assert_eq!((found.measured.tokens_per_second, found.measured.tokens), (20.0, 120));
    }
}
