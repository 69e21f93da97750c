//! `export`.

use super::handlers::{number, Handlers};
use super::Cancel;
use lsp_server::RequestId;
use serde_json::Value;
use std::sync::atomic::Ordering;
use tillage_protocol::export::{ExportNotification, ExportParams, ExportResult};
use tillage_protocol::EngineError;

impl<N: Fn(&str, Value)> Handlers<N> {
    pub(super) fn export(
        &mut self,
        id: &RequestId,
        params: &ExportParams,
        cancel: &Cancel,
    ) -> Result<ExportResult, EngineError> {
        let request = number(id)?;
        tillage_export::export(params, &mut |done, total| {
            let note = ExportNotification { request, done, total };
            (self.notify)("export/progress", serde_json::to_value(note).unwrap_or_default());
            !cancel.load(Ordering::SeqCst)
        })
    }
}
