//! What the process says at its end.

use serde::Serialize;
use std::io::Write;
use std::process::ExitCode;
use tillage_protocol::{Blame, EngineError};

/// Prints an error to stderr, as text or as one JSON object, and gives the exit code of its blame.
pub fn fail(error: &EngineError, json: bool) -> ExitCode {
    let text = if json {
        serde_json::to_string(error).unwrap_or_else(|_| error.message.clone())
    } else {
        let place = match (&error.file, error.line) {
            (Some(file), Some(line)) => format!("\n  in {file}, line {line}"),
            (Some(file), None) => format!("\n  in {file}"),
            _ => String::new(),
        };
        let whose = match error.blame {
            Blame::User => "error in the input",
            Blame::Environment => "error of the machine",
            Blame::Internal => "error inside Tillage",
        };
        format!("{whose}: {}{place}\n  {}", error.message, error.remedy)
    };
    // A closed stderr leaves the exit code as the only message.
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(match error.blame {
        Blame::User => 1,
        Blame::Environment => 2,
        Blame::Internal => 3,
    })
}

/// Prints a line to stdout.
///
/// # Errors
/// `stdout_closed` when nobody reads it.
pub fn line(text: &str) -> Result<(), EngineError> {
    writeln!(std::io::stdout(), "{text}").map_err(|e| {
        EngineError::environment(
            "stdout_closed",
            format!("The output cannot be written: {e}."),
            "Keep the reader open.",
        )
    })
}

/// Prints an object as one line of JSON.
///
/// # Errors
/// As [`line`].
pub fn object(value: &impl Serialize) -> Result<(), EngineError> {
    let text = serde_json::to_string(value).map_err(|e| EngineError::internal("json", e.to_string()))?;
    line(&text)
}
