//! `attribute`.

use super::handlers::{number, Handlers};
use super::Cancel;
use lsp_server::RequestId;
use serde_json::Value;
use std::sync::atomic::Ordering;
use tillage_protocol::attribute::{AttributeNotification, AttributeParams, AttributeResult};
use tillage_protocol::EngineError;

impl<N: Fn(&str, Value)> Handlers<N> {
    pub(super) fn attribute(
        &mut self,
        id: &RequestId,
        params: &AttributeParams,
        cancel: &Cancel,
    ) -> Result<AttributeResult, EngineError> {
        let request = number(id)?;
        tillage_attribute::attribute(params, &mut |progress| {
            let note = AttributeNotification { request, progress: progress.clone() };
            (self.notify)("attribute/progress", serde_json::to_value(note).unwrap_or_default());
            !cancel.load(Ordering::SeqCst)
        })
    }
}
