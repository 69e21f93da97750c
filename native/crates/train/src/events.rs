//! `events.jsonl`: appended line by line, and cut back when a run goes on from a checkpoint.

use crate::files;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tillage_protocol::{EngineError, Event};

/// The time now, RFC 3339, UTC.
pub fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// The log, open for appending.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
    len: u64,
    /// Also write every line to stdout.
    mirror: bool,
}

impl EventLog {
    /// Opens the log of a run; a torn last line, which a kill leaves, is removed.
    ///
    /// # Errors
    /// The machine's, when the file cannot be opened or written.
    pub fn open(run_dir: &Path, mirror: bool) -> Result<Self, EngineError> {
        let path = run_dir.join("events.jsonl");
        let io = |e: &std::io::Error| EngineError::io(e, &path);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| io(&e))?;
        let text = std::fs::read(&path).map_err(|e| io(&e))?;
        let len = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at as u64 + 1);
        file.set_len(len).map_err(|e| io(&e))?;
        Ok(Self { path, file, len, mirror })
    }

    /// Bytes of whole lines.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no whole line.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends one event. When the disk is full, no half line stays behind.
    ///
    /// # Errors
    /// The machine's, `disk_full` among them.
    pub fn append(&mut self, event: &Event) -> Result<(), EngineError> {
        let mut line =
            serde_json::to_vec(event).map_err(|e| EngineError::internal("event", e.to_string()))?;
        line.push(b'\n');
        let written = self.file.seek(SeekFrom::Start(self.len)).and_then(|_| self.file.write_all(&line));
        if let Err(e) = written {
            let _ = self.file.set_len(self.len);
            return Err(EngineError::io(&e, &self.path));
        }
        self.len += line.len() as u64;
        if self.mirror {
            // A reader that went away must not end the run.
            let _ = std::io::stdout().write_all(&line);
        }
        Ok(())
    }

    /// Flushes the file to the disk.
    ///
    /// # Errors
    /// The machine's.
    pub fn sync(&self) -> Result<(), EngineError> {
        self.file.sync_data().map_err(|e| EngineError::io(&e, &self.path))
    }

    /// Takes the log back to a checkpoint: of the lines behind `keep` bytes only those stay that tell how an attempt began or
    /// ended, so that a reader sees each step once. The file is replaced in one go.
    ///
    /// # Errors
    /// The machine's; the old file stays then.
    pub fn rewind(&mut self, keep: u64) -> Result<(), EngineError> {
        self.replace(keep, None)
    }

    /// As [`Self::rewind`], with the line that announces the checkpoint right behind what is kept.
    ///
    /// # Errors
    /// As [`Self::rewind`].
    pub fn rewind_to(&mut self, keep: u64, checkpoint: &Event) -> Result<(), EngineError> {
        self.replace(keep, Some(checkpoint))
    }

    fn replace(&mut self, keep: u64, checkpoint: Option<&Event>) -> Result<(), EngineError> {
        let io = |e: &std::io::Error| EngineError::io(e, &self.path);
        let text = std::fs::read(&self.path).map_err(|e| io(&e))?;
        let keep = (keep as usize).min(self.len as usize);
        let mut out = text[..keep].to_vec();
        if let Some(event) = checkpoint {
            serde_json::to_writer(&mut out, event)
                .map_err(|e| EngineError::internal("event", e.to_string()))?;
            out.push(b'\n');
        }
        for line in text[keep..self.len as usize].split_inclusive(|b| *b == b'\n') {
            let attempt = matches!(
                serde_json::from_slice(line),
                Ok(Event::Started { .. } | Event::Finished { .. } | Event::Failed { .. })
            );
            if attempt {
                out.extend_from_slice(line);
            }
        }
        if out == text[..self.len as usize] {
            return Ok(());
        }
        files::write_atomic(&self.path, |f| f.write_all(&out).map_err(|e| EngineError::io(&e, &self.path)))?;
        self.file = File::options()
            .read(true)
            .write(true)
            .open(&self.path)
            .map_err(|e| EngineError::io(&e, &self.path))?;
        self.len = out.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validation(step: u64) -> Event {
        Event::Validation { step, loss: 1.0, tokens: 2, metrics: Default::default() }
    }

    fn steps(dir: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(dir.join("events.jsonl")).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    #[test]
    fn a_torn_line_is_removed_and_repeated_steps_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = EventLog::open(dir.path(), false).unwrap();
        log.append(&validation(1)).unwrap();
        let keep = log.len();
        log.append(&validation(2)).unwrap();
        let failed =
            Event::Failed { time: now(), step: 2, error: EngineError::internal("x", "y"), checkpoint: None };
        log.append(&failed).unwrap();
        drop(log);
        let path = dir.path().join("events.jsonl");
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"type\":\"step\",\"st");
        std::fs::write(&path, text).unwrap();

        let mut log = EventLog::open(dir.path(), false).unwrap();
        assert_eq!(steps(dir.path()).len(), 3);
        log.rewind(keep).unwrap();
        log.append(&validation(2)).unwrap();
        let kinds: Vec<String> =
            steps(dir.path()).iter().map(|v| v["type"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kinds, ["validation", "failed", "validation"]);
    }
}
