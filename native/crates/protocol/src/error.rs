//! The one shape of an error, on the command line, over RPC and in `events.jsonl`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Whose fault an error is, and so who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The input: a file, a recipe, a setting.
    User,
    /// The machine: disk, memory, permissions, another process.
    Environment,
    /// A defect of Tillage.
    Internal,
}

/// What happened, whose fault it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// Who can mend it.
    pub blame: Blame,
    /// A stable word for programs, such as `missing_tensor`.
    pub code: String,
    /// What happened, in one sentence that names the thing.
    pub message: String,
    /// What to do next, in one sentence.
    pub remedy: String,
    /// The file that it is about, as a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// 1-based line in `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

impl EngineError {
    fn new(blame: Blame, code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            blame,
            code: code.into(),
            message: message.into(),
            remedy: remedy.into(),
            file: None,
            line: None,
        }
    }

    /// An error in the user's input.
    pub fn user(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Blame::User, code, message, remedy)
    }

    /// An error of the machine that the engine runs on.
    pub fn environment(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Blame::Environment, code, message, remedy)
    }

    /// A defect of the engine itself.
    pub fn internal(code: &str, message: impl Into<String>) -> Self {
        Self::new(
            Blame::Internal,
            code,
            message,
            "This is a defect in Tillage: please report it with the run's folder or the command that showed it.",
        )
    }

    /// The same error, about this file.
    pub fn with_file(mut self, path: impl AsRef<Path>) -> Self {
        self.file = Some(path.as_ref().display().to_string());
        self
    }

    /// The same error, about this line of its file, from 1.
    pub fn with_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// Turns an I/O error into the machine's or the user's error, by its kind.
    pub fn io(err: &std::io::Error, path: impl AsRef<Path>) -> Self {
        use std::io::ErrorKind as K;
        let shown = path.as_ref().display();
        let e = match err.kind() {
            K::NotFound => Self::user(
                "file_not_found",
                format!("{shown} does not exist."),
                "Check the path in the file that names it.",
            ),
            K::PermissionDenied => Self::environment(
                "permission_denied",
                format!("{shown} cannot be opened: permission denied."),
                "Change the file's permissions, or choose another folder.",
            ),
            K::StorageFull | K::QuotaExceeded => Self::environment(
                "disk_full",
                format!("No space is left on the disk that holds {shown}."),
                "Free some space, then resume the run: its last checkpoint is whole.",
            ),
            K::InvalidData => Self::user(
                "not_utf8",
                format!("{shown} is not UTF-8 text."),
                "Save the file as UTF-8, or name another one.",
            ),
            _ => Self::environment(
                "io",
                format!("{shown}: {err}."),
                "Check that the disk is there and healthy, then try again.",
            ),
        };
        e.with_file(path)
    }
}
