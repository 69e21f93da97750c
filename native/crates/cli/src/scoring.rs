//! `score`.

use crate::args::ScoreArgs;
use crate::report;
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tillage_protocol::rpc::ModelRef;
use tillage_protocol::score::{Embed, ScoreParams, ScoreProgress, ScoreResult};
use tillage_protocol::EngineError;
use tillage_text::Tokenizer;

/// Time between two signs of progress.
const PACE: Duration = Duration::from_millis(500);

/// Scores a file. Progress goes to stderr, or as events to stdout with `json`; the last line there is the result.
pub fn score(args: &ScoreArgs, json: bool) -> Result<(), EngineError> {
    let embed = match (args.embed, args.normalize) {
        (false, _) => Embed::None,
        (true, false) => Embed::Mean,
        (true, true) => Embed::Normalized,
    };
    let model = ModelRef {
        base: args.model.clone(),
        adapter: args.adapter.clone(),
        adapters: Vec::new(),
        dtype: args.dtype,
    };
    let params = ScoreParams {
        model,
        rows: args.rows.clone(),
        out: args.out.clone(),
        template: args.template.clone(),
        loss_on: args.loss_on.map(Into::into),
        context: args.context,
        batch_tokens: args.batch_tokens,
        embed,
    };
    let stopped = stop_flag()?;
    let tokenizer = Arc::new(Tokenizer::load(&args.model)?);
    let model = tillage_generate::load(&args.model, args.adapter.as_deref(), args.dtype)?;
    let adapter = args.adapter.as_deref().map(tillage_generate::adapter_hash).transpose()?;
    let hashes = (tillage_generate::model_hash(&args.model)?, adapter);
    let mut last = Instant::now();
    let mut lost = None;
    let mut watch = |progress: &ScoreProgress| {
        if last.elapsed() >= PACE || progress.rows == progress.total {
            last = Instant::now();
            lost = tell(progress, json).err();
        }
        lost.is_none() && !stopped.load(Ordering::SeqCst)
    };
    let scored = tillage_score::score((&model, None), &tokenizer, hashes, &params, &mut watch);
    if !json && std::io::stderr().is_terminal() {
        // A closed stderr has no line to end.
        let _ = writeln!(std::io::stderr());
    }
    if let Some(error) = lost {
        return Err(error);
    }
    let result = scored?;
    if json {
        return report::object(&json!({"type": "scored", "result": result}));
    }
    print(&result)
}

/// Raised by SIGINT and SIGTERM.
pub fn stop_flag() -> Result<Arc<AtomicBool>, EngineError> {
    let stopped = Arc::new(AtomicBool::new(false));
    let on_signal = Arc::clone(&stopped);
    ctrlc::set_handler(move || on_signal.store(true, Ordering::SeqCst)).map_err(|e| {
        EngineError::environment(
            "signals",
            format!("Signals cannot be caught: {e}."),
            "Start it from another shell.",
        )
    })?;
    Ok(stopped)
}

fn tell(progress: &ScoreProgress, json: bool) -> Result<(), EngineError> {
    if json {
        return report::object(&json!({"type": "progress", "progress": progress}));
    }
    let rate = progress.tokens as f64 / progress.seconds.max(1e-9);
    let text = format!("{} of {} rows, {rate:.0} tokens/s", progress.rows, progress.total);
    let mut stderr = std::io::stderr();
    // Nobody needs to see how far it is.
    let _ = if stderr.is_terminal() { write!(stderr, "\r{text}  ") } else { writeln!(stderr, "{text}") };
    Ok(())
}

fn print(r: &ScoreResult) -> Result<(), EngineError> {
    report::line(&format!("{} rows, {} labelled tokens of {}", r.rows, r.labels, r.tokens))?;
    if let (Some(loss), Some(perplexity)) = (r.loss, r.perplexity) {
        report::line(&format!("loss {loss:.4}, perplexity {perplexity:.4}"))?;
    }
    if let Some(pairs) = &r.pairs {
        report::line(&format!(
            "chosen preferred {:.1} %, margin {:.4}",
            100.0 * pairs.accuracy,
            pairs.margin
        ))?;
    }
    if let Some(c) = &r.choices {
        let percent = |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.1} %", 100.0 * s));
        let [plain, token, byte] = [c.accuracy, c.accuracy_per_token, c.accuracy_per_byte].map(percent);
        report::line(&format!("{} answered, right {plain}, per token {token}, per byte {byte}", c.answered))?;
    }
    if r.cut_rows > 0 {
        report::line(&format!("{} rows cut by {} tokens", r.cut_rows, r.cut_tokens))?;
    }
    if r.unlabelled_rows > 0 {
        report::line(&format!("{} rows without a label", r.unlabelled_rows))?;
    }
    for row in r.worst.iter().take(5) {
        report::line(&format!("  {:.4}  {}", row.loss, row.row_id))?;
    }
    report::line(&format!("{:.0} tokens/s", r.tokens as f64 / r.seconds.max(1e-9)))
}
