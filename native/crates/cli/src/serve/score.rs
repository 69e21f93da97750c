//! `score`.

use super::cache;
use super::handlers::{number, tell, Handlers};
use super::Cancel;
use crate::adapters;
use lsp_server::RequestId;
use serde_json::Value;
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
        let given = adapters::given(&params.model)?;
        let loaded = self.models.get(&params.model, &given)?;
        let parts: Vec<(String, f64)> = given.iter().map(|a| (cache::key(&a.path), a.weight)).collect();
        let parts: Vec<(&str, f64)> = parts.iter().map(|(key, weight)| (key.as_str(), *weight)).collect();
        let mix = loaded.model.mix(&parts)?;
        let adapter = adapters::hash_of(&given, |path| loaded.adapter_hash(path))?;
        let hashes = (loaded.model_hash.clone(), adapter);
        tillage_score::score(
            (&loaded.model, Some(&mix)),
            &Arc::clone(&loaded.tokenizer),
            hashes,
            params,
            &mut |progress| {
                let note = ScoreNotification { request, progress: progress.clone() };
                tell(&self.notify, "score/progress", &note, cancel)
            },
        )
    }
}
