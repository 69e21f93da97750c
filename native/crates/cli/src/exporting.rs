//! `export`.

use crate::args::ExportArgs;
use crate::{report, watched};
use std::sync::atomic::Ordering;
use tillage_protocol::export::ExportParams;
use tillage_protocol::EngineError;

pub fn export(args: &ExportArgs, json: bool) -> Result<(), EngineError> {
    let params = ExportParams {
        base: args.model.clone(),
        adapter: args.adapter.clone(),
        to: args.to,
        quantize: args.quantize,
        out: args.out.clone(),
        name: args.name.clone(),
    };
    let stopped = watched::stop_flag()?;
    let result = tillage_export::export(&params, &mut |_, _| !stopped.load(Ordering::SeqCst))?;
    if json {
        return report::object(&result);
    }
    for file in &result.files {
        report::line(&format!("{} ({} bytes)", file.path.display(), file.bytes))?;
    }
    result.notes.iter().try_for_each(|note| report::line(&format!("note: {note}")))
}
