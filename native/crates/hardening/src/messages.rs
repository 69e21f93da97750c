//! Messages of clients, and run files.

use crate::folders::{folders, tokenizer, Scratch};
use crate::run::write_rows;
use crate::told;
use serde_json::Value;
use std::path::Path;
use tillage_protocol::rpc::{AskedPrompt, GenerateParams, InspectParams, Row, TokensParams};
use tillage_protocol::run::{LossOn, ModelSource, Template, TokenizerSource};
use tillage_protocol::{export::ExportParams, score::ScoreParams, Event, RunSpec};
use tillage_text::{texts_of, Clock, RowEncoder};
use tillage_train::{preflight, spec};

/// JSON lines: each as a message's parameters, a row, an event, a run file; and all of it as framed JSON-RPC.
pub fn messages(data: &[u8]) {
    let mut reader = data;
    while let Ok(Some(text)) = tillage_protocol::frames::read(&mut reader) {
        let _ = serde_json::from_slice::<lsp_server::Message>(&text);
    }
    for line in data.split(|b| *b == b'\n').take(8) {
        let Ok(value) = serde_json::from_slice::<Value>(line) else { continue };
        let _ = serde_json::from_value::<GenerateParams>(value.clone());
        let _ = serde_json::from_value::<ScoreParams>(value.clone());
        let _ = serde_json::from_value::<ExportParams>(value.clone());
        let _ = serde_json::from_value::<TokensParams>(value.clone());
        let _ = serde_json::from_value::<InspectParams>(value.clone());
        let _ = serde_json::from_value::<AskedPrompt>(value.clone());
        let _ = serde_json::from_value::<Event>(value.clone());
        if let Ok(row) = serde_json::from_value::<Row>(value.clone()) {
            encode(&row);
        }
        if let Ok(run) = serde_json::from_value::<RunSpec>(value) {
            plan(run);
        }
    }
}

fn encode(row: &Row) {
    for (template, loss_on) in [(Template::Plain, LossOn::All), (Template::Chat, LossOn::Assistant)] {
        let encoder = RowEncoder::new(tokenizer(), template, loss_on, 16, Clock::Fixed(Default::default()));
        let Some(encoder) = told(encoder) else { continue };
        texts_of(row).0.iter().for_each(|text| {
            told(encoder.encode(text));
        });
    }
}

/// A run file that is checked, and foreseen where its model is tiny.
fn plan(mut run: RunSpec) {
    let scratch = Scratch::new();
    // By whoever started the run, and read back by the engine.
    let written = serde_json::to_vec(&run).expect("a run file can be written");
    scratch.write("run.json", &written);
    told(spec::load(scratch.path()));
    let rows = scratch.path().join("rows.parquet");
    write_rows(&rows);
    run.data.train = vec![rows.clone()];
    run.data.valid.truncate(1);
    run.data.valid.iter_mut().for_each(|file| file.clone_from(&rows));
    run.fork = None;
    // Its rewards may be programs.
    run.policy = None;
    match &mut run.model {
        ModelSource::Folder { path, adapter } => {
            path.clone_from(&folders().llama);
            *adapter = None;
        }
        ModelSource::Init { shape, tokenizer } => {
            let widths = [
                shape.hidden_size,
                shape.intermediate_size,
                shape.num_hidden_layers,
                shape.num_attention_heads,
            ];
            if widths.iter().any(|n| *n > 64) {
                return;
            }
            if let TokenizerSource::Folder { path } = tokenizer {
                path.clone_from(&folders().llama);
            }
        }
    }
    if let Some(distill) = &mut run.distill {
        distill.teacher.clone_from(&folders().llama);
        distill.adapter = None;
    }
    if run.adapter.as_ref().is_none_or(|a| a.r <= 64) && run.prompt.as_ref().is_none_or(|p| p.tokens <= 4096)
    {
        told(preflight(&run, Path::new("")));
    }
}
