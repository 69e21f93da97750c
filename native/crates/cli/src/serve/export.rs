//! `export`.

use super::handlers::{number, tell, Handlers};
use super::Cancel;
use lsp_server::RequestId;
use serde_json::Value;
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
            tell(&self.notify, "export/progress", &note, cancel)
        })
    }
}
