//! `score`.

use crate::args::ScoreArgs;
use crate::report;
use crate::watched::{watched, Progress};
use std::sync::Arc;
use tillage_protocol::rpc::ModelRef;
use tillage_protocol::score::{Embed, ScoreParams, ScoreProgress, ScoreResult};
use tillage_protocol::EngineError;
use tillage_text::Tokenizer;

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
    let work = |watch: &mut dyn FnMut(&ScoreProgress) -> bool| {
        let tokenizer = Arc::new(Tokenizer::load(&args.model)?);
        let model = tillage_generate::load(&args.model, args.adapter.as_deref(), args.dtype)?;
        let adapter = args.adapter.as_deref().map(tillage_generate::adapter_hash).transpose()?;
        let hashes = (tillage_generate::model_hash(&args.model)?, adapter);
        tillage_score::score((&model, None), &tokenizer, hashes, &params, watch)
    };
    watched(json, "scored", work, print)
}

impl Progress for ScoreProgress {
    fn text(&self) -> String {
        let rate = self.tokens as f64 / self.seconds.max(1e-9);
        format!("{} of {} rows, {rate:.0} tokens/s", self.rows, self.total)
    }

    fn complete(&self) -> bool {
        self.rows == self.total
    }
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
