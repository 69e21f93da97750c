//! `rollouts.jsonl`: the answers that the policy drew, appended step by step and cut back when a run goes on from a checkpoint.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tillage_protocol::evidence::Rollout;
use tillage_protocol::EngineError;

/// The file in the run's folder.
const FILE: &str = "rollouts.jsonl";

/// The file, open for appending.
#[derive(Debug)]
pub struct Rollouts {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Rollouts {
    /// Opens the file of a run that goes on behind its first `keep` bytes: what an attempt wrote behind them is drawn again.
    ///
    /// # Errors
    /// The machine's; `rollouts_missing` when there are not as many bytes.
    pub fn open(run_dir: &Path, keep: u64) -> Result<Self, EngineError> {
        let path = run_dir.join(FILE);
        let io = |e: &std::io::Error| EngineError::io(e, &path);
        let options = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = options().map_err(|e| io(&e))?;
        let len = file.metadata().map_err(|e| io(&e))?.len();
        if len < keep {
            return Err(EngineError::user(
                "rollouts_missing",
                format!("{FILE} has {len} bytes, and had {keep} when the checkpoint was written."),
                "Put the file back as it was, or start the run again.",
            )
            .with_file(&path));
        }
        file.set_len(keep).map_err(|e| io(&e))?;
        Ok(Self { path, file, len: keep })
    }

    /// Bytes of whole lines.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Appends the answers of a step. When the disk is full, nothing of them stays behind.
    ///
    /// # Errors
    /// The machine's, `disk_full` among them.
    pub fn append(&mut self, rollouts: &[Rollout]) -> Result<(), EngineError> {
        let mut lines = Vec::new();
        for rollout in rollouts {
            serde_json::to_writer(&mut lines, rollout)
                .map_err(|e| EngineError::internal("rollout", e.to_string()))?;
            lines.push(b'\n');
        }
        let written = self.file.seek(SeekFrom::Start(self.len)).and_then(|_| self.file.write_all(&lines));
        if let Err(e) = written {
            let _ = self.file.set_len(self.len);
            return Err(EngineError::io(&e, &self.path));
        }
        self.len += lines.len() as u64;
        Ok(())
    }

    /// Flushes the file to the disk.
    ///
    /// # Errors
    /// The machine's.
    pub fn sync(&self) -> Result<(), EngineError> {
        self.file.sync_data().map_err(|e| EngineError::io(&e, &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_checkpointed_is_cut_and_a_shorter_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let one = |step| Rollout {
            step,
            row_id: "a".into(),
            place: 0,
            text: "\n\"ü\"".into(),
            reward: 1.0,
            rewards: [("exact".to_owned(), 1.0)].into(),
            advantage: 0.5,
            tokens: 3,
            ended: true,
        };
        let mut file = Rollouts::open(dir.path(), 0).unwrap();
        file.append(&[one(1), one(1)]).unwrap();
        let keep = file.len();
        file.append(&[one(2)]).unwrap();
        drop(file);
        let mut file = Rollouts::open(dir.path(), keep).unwrap();
        file.append(&[one(3)]).unwrap();
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        let steps: Vec<u64> =
            text.lines().map(|l| serde_json::from_str::<Rollout>(l).unwrap().step).collect();
        assert_eq!(steps, [1, 1, 3]);
        assert_eq!(Rollouts::open(dir.path(), 10 * keep).unwrap_err().code, "rollouts_missing");
    }
}
