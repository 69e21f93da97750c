//! `bench`.

use crate::args::BenchArgs;
use crate::report;
use crate::watched::{watched, Progress};
use std::time::Duration;
use tillage_bench::{Settings, Source};
use tillage_protocol::bench::{BenchProgress, BenchResult, Measured};
use tillage_protocol::EngineError;

/// Measures. Progress goes to stderr, or as events to stdout with `json`; the last line there is the result.
pub fn bench(args: &BenchArgs, json: bool) -> Result<(), EngineError> {
    if args.device != "cpu" {
        return Err(EngineError::user(
            "no_device",
            format!("This engine does not compute on {}.", args.device),
            "Use cpu; `tillage-native devices` lists what there is.",
        ));
    }
    let settings = Settings {
        source: Source::of(&args.model_shape)?,
        rows: args.rows.clone(),
        dtype: args.dtype,
        batch_tokens: args.batch_tokens,
        repeats: args.repeats,
        prompt: args.prompt,
        new: args.new,
    };
    watched(json, "measured", |watch| tillage_bench::bench(&settings, watch), print)
}

impl Progress for BenchProgress {
    const PACE: Duration = Duration::ZERO;

    /// A log gets no line for every measurement.
    const LOGGED: bool = false;

    fn text(&self) -> String {
        format!("{} {} of {}", self.what, self.done, self.total)
    }

    fn complete(&self) -> bool {
        self.done == self.total
    }
}

fn print(r: &BenchResult) -> Result<(), EngineError> {
    let weights = if r.random_weights { ", random weights" } else { "" };
    let m = &r.machine;
    report::line(&format!(
        "{} ({} parameters{weights}), {}; {}, {} threads, {}",
        r.model,
        r.parameters,
        r.dtype.name(),
        m.device,
        m.threads,
        m.features.join(" ")
    ))?;
    report::line(&format!(
        "{} rows of {:.0} tokens in the mean, {} (tokenizer: {})",
        r.rows,
        r.row_tokens as f64 / r.rows.max(1) as f64,
        r.rows_file,
        r.tokenizer
    ))?;
    report::line("                              tokens/s   slowest   fastest  repeats")?;
    let line = |what: String, m: &Measured| {
        report::line(&format!(
            "{what:<28} {:>9.0} {:>9.0} {:>9.0} {:>8}",
            m.tokens_per_second, m.slowest, m.fastest, m.repeats
        ))
    };
    let t = &r.training;
    line(format!("LoRA r={}, steps of {}", t.rank, t.batch_tokens), &t.measured)?;
    for g in &r.generation {
        line(format!("generation, {} at once", g.batch), &g.measured)?;
    }
    let mb = |bytes: u64| bytes.div_ceil(1 << 20);
    let peak = r.peak_bytes.map_or("not told by this system".to_owned(), |b| format!("{} MB", mb(b)));
    report::line(&format!("peak memory {peak}; planned for training {} MB", mb(r.planned_bytes)))
}
