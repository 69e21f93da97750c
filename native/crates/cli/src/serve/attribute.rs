//! `attribute`.

use super::handlers::{number, tell, Handlers};
use super::Cancel;
use lsp_server::RequestId;
use serde_json::Value;
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
            tell(&self.notify, "attribute/progress", &note, cancel)
        })
    }
}
