//! One process a run: an operating-system lock on the folder's `lock` file, which a killed process cannot leave behind.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use tillage_protocol::EngineError;

/// Held while it lives.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// Takes the lock.
///
/// # Errors
/// `run_locked` (environment) naming the process that holds it.
pub fn acquire(run_dir: &Path) -> Result<RunLock, EngineError> {
    let path = run_dir.join("lock");
    let io = |e: &std::io::Error| EngineError::io(e, &path);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| io(&e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            let holder: Option<u64> =
                serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|v| v.get("pid")?.as_u64());
            let holder = holder.map_or("another process".to_owned(), |pid| format!("process {pid}"));
            return Err(EngineError::environment(
                "run_locked",
                format!("The run in {} is held by {holder}.", run_dir.display()),
                "Wait for it to end, or stop it first.",
            )
            .with_file(run_dir));
        }
        Err(TryLockError::Error(e)) => return Err(io(&e)),
    }
    let text = format!("{{\"pid\":{},\"started\":\"{}\"}}\n", std::process::id(), crate::events::now());
    file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(|e| io(&e))?;
    Ok(RunLock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = acquire(dir.path()).unwrap();
        let error = acquire(dir.path()).unwrap_err();
        assert_eq!(error.code, "run_locked");
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{}", error.message);
        drop(first);
        acquire(dir.path()).unwrap();
    }
}
