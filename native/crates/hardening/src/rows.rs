//! Rows of data files.

use crate::folders::{folders, tokenizer, Scratch};
use crate::told;
use std::sync::Arc;
use tillage_model::Model;
use tillage_protocol::rpc::ModelRef;
use tillage_protocol::run::{Dtype, Template};
use tillage_protocol::score::{Embed, ScoreParams};
use tillage_train::data::{self, Rows};

/// A data file: JSON lines where it begins as an object, otherwise Parquet, as scoring and training read them.
pub fn rows(data: &[u8]) {
    let scratch = Scratch::new();
    let lines = data.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    let path = scratch.write(if lines { "rows.jsonl" } else { "rows.parquet" }, data);
    if !lines {
        for what in [Rows::Texts, Rows::Pairs, Rows::Judged, Rows::Prompts, Rows::Questions] {
            told(data::read(std::slice::from_ref(&path), what, None));
        }
        told(data::read(std::slice::from_ref(&path), Rows::Texts, Some("weight")));
    }
    let base = &folders().llama;
    let model = Model::load(base).expect("a good model");
    let params = ScoreParams {
        model: ModelRef { base: base.clone(), adapter: None, adapters: Vec::new(), dtype: Dtype::F32 },
        rows: path,
        out: scratch.path().join("out.jsonl"),
        template: Template::Plain,
        loss_on: None,
        context: None,
        batch_tokens: 64,
        embed: Embed::None,
    };
    // A few batches tell all that there is to know.
    let mut left = 20;
    let mut watch = |_: &_| {
        left -= 1;
        left > 0
    };
    told(tillage_score::score(
        (&model, None),
        &Arc::new(tokenizer()),
        ("a".into(), None),
        &params,
        &mut watch,
    ));
}
