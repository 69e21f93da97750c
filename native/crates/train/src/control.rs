//! Asking a run to stop: a signal, the end of an attached parent, or a `stop` file in the run's folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// The file that stops a run.
pub const STOP_FILE: &str = "stop";

/// A flag that anyone may raise; the run looks at it between steps.
#[derive(Debug, Clone, Default)]
pub struct Control {
    flag: Arc<AtomicBool>,
}

impl Control {
    /// Asks for a stop after the step that is going on.
    pub fn stop(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }

    /// Whether a stop was asked for, by the flag or by the folder's stop file.
    pub fn stopping(&self, run_dir: &Path) -> bool {
        self.flag.load(Ordering::SeqCst) || stop_file(run_dir).exists()
    }
}

/// Where the stop file of a run is.
pub fn stop_file(run_dir: &Path) -> PathBuf {
    run_dir.join(STOP_FILE)
}
