//! Work that says how far it is and can be taken back: `attribute`, `bench`, `score`.

use crate::report;
use serde::Serialize;
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tillage_protocol::EngineError;

/// How far work has come.
pub trait Progress: Serialize {
    /// Time between two that are told.
    const PACE: Duration = Duration::from_millis(500);

    /// Told to a log too; otherwise to a terminal only, and to whoever reads JSON.
    const LOGGED: bool = true;

    /// For a person, in one line.
    fn text(&self) -> String;

    /// All is done: this is told whenever it comes.
    fn complete(&self) -> bool;
}

/// Does the work, which hears from its callback whether to go on: not after SIGINT or SIGTERM, nor when nobody reads what is told.
/// Progress goes to stderr, or with `json` to stdout as events, `{"type": "progress", "progress": …}`. The result is the last event,
/// `{"type": FINISHED, "result": …}`, or what `print` makes of it.
///
/// # Errors
/// The work's own, and `stdout_closed` when progress or result cannot be written.
pub fn watched<P: Progress, R: Serialize>(
    json: bool,
    finished: &str,
    work: impl FnOnce(&mut dyn FnMut(&P) -> bool) -> Result<R, EngineError>,
    print: impl FnOnce(&R) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let stopped = stop_flag()?;
    let mut last = None::<Instant>;
    let mut lost = None;
    let ended = work(&mut |progress| {
        if progress.complete() || last.is_none_or(|at| at.elapsed() >= P::PACE) {
            last = Some(Instant::now());
            lost = tell(progress, json).err();
        }
        lost.is_none() && !stopped.load(Ordering::SeqCst)
    });
    if !json && std::io::stderr().is_terminal() {
        // A closed stderr has no line to end.
        let _ = writeln!(std::io::stderr());
    }
    if let Some(error) = lost {
        return Err(error);
    }
    let result = ended?;
    if json {
        return report::object(&json!({"type": finished, "result": result}));
    }
    print(&result)
}

fn tell<P: Progress>(progress: &P, json: bool) -> Result<(), EngineError> {
    if json {
        return report::object(&json!({"type": "progress", "progress": progress}));
    }
    let mut stderr = std::io::stderr();
    // Nobody needs to see how far it is.
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r{}  ", progress.text());
    } else if P::LOGGED {
        let _ = writeln!(stderr, "{}", progress.text());
    }
    Ok(())
}

/// Raised by SIGINT and SIGTERM.
///
/// # Errors
/// As [`on_signal`].
pub fn stop_flag() -> Result<Arc<AtomicBool>, EngineError> {
    let stopped = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stopped);
    on_signal(move || raised.store(true, Ordering::SeqCst))?;
    Ok(stopped)
}

/// Does something at SIGINT and SIGTERM, in place of ending the process.
///
/// # Errors
/// `signals` when the system lets nobody catch them.
pub fn on_signal(stop: impl FnMut() + Send + 'static) -> Result<(), EngineError> {
    ctrlc::set_handler(stop).map_err(|e| {
        EngineError::environment(
            "signals",
            format!("Signals cannot be caught: {e}."),
            "Start it from another shell.",
        )
    })
}
