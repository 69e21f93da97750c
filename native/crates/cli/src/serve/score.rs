//! `score`.

use super::handlers::{number, Handlers};
use super::Cancel;
use lsp_server::RequestId;
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use tillage_protocol::score::{ScoreNotification, ScoreParams, ScoreResult};
use tillage_protocol::EngineError;

impl<N: Fn(&str, Value)> Handlers<N> {
    pub(super) fn score(
        &mut self,
        id: &RequestId,
        params: &ScoreParams,
        cancel: &Cancel,
    ) -> Result<ScoreResult, EngineError> {
        let request = number(id)?;
        let loaded = self.models.get(&params.model)?;
        let hashes = (loaded.model_hash.clone(), loaded.adapter_hash());
        tillage_score::score(&loaded.model, &Arc::clone(&loaded.tokenizer), hashes, params, &mut |progress| {
            let note = ScoreNotification { request, progress: progress.clone() };
            (self.notify)("score/progress", serde_json::to_value(note).unwrap_or_default());
            !cancel.load(Ordering::SeqCst)
        })
    }
}
