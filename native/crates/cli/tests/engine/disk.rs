//! A disk that is full when a checkpoint is due.

#![cfg(target_os = "linux")]

use crate::common::*;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};

fn assert_disk_full(run: &Path) {
    let log = events(run);
    let failed = log.last().unwrap();
    assert_eq!(failed["type"], "failed", "{failed}");
    assert_eq!(failed["error"]["code"], "disk_full", "{failed}");
    assert_eq!(failed["error"]["blame"], "environment");
    let good = failed["checkpoint"].as_str().expect("the last good checkpoint is named");
    assert!(run.join(good).join("trainer/state.json").is_file());
}

/// `/dev/full` answers every write as a full disk does; here it stands in for the rows' losses, which are written first.
#[test]
fn a_full_disk_fails_the_run_and_keeps_its_last_checkpoint() {
    let w = Workspace::new();
    let run = w.pretrain("run", &json!({"train": {"epochs": 120, "checkpoint_every": 100}}));
    let straight = w.pretrain("straight", &json!({"train": {"epochs": 120, "checkpoint_every": 100}}));
    train(&straight);
    let mut child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
    wait_until("a checkpoint", || run.join("checkpoints/step-000100").exists());
    std::os::unix::fs::symlink("/dev/full", run.join(".tmp-row_loss.parquet")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert_disk_full(&run);
    assert_clean(&run);
    // With room again, the run goes on to the same end.
    train(&run);
    let weights = |run: &Path| std::fs::read(run.join("model/model.safetensors")).unwrap();
    assert_eq!(weights(&straight), weights(&run));
}

/// A real small disk (tmpfs in a mount namespace of its own), where the machine lets us have one.
#[test]
fn a_small_disk_fills_up_in_the_middle_of_a_checkpoint() {
    let w = Workspace::new();
    let probe = Command::new("unshare")
        .args(["-rm", "sh", "-c", "mount -t tmpfs none \"$1\"", "sh"])
        .arg(w.path())
        .stderr(Stdio::null())
        .status();
    if !probe.is_ok_and(|s| s.success()) {
        eprintln!("no mount namespaces here: /dev/full in the other test is the only full disk");
        return;
    }
    let run = w.pretrain("run", &json!({"train": {"epochs": 400, "checkpoint_every": 5}}));
    let out = w.path().join("out");
    std::fs::create_dir(&out).unwrap();
    // The run's folder is copied onto a disk that takes two checkpoints (a tiny one has some 0.6 MB) and not three.
    let script = "set -e; mount -t tmpfs -o size=1500k none \"$1\"; cp \"$1\"-spec \"$1\"/run.json; \
        set +e; \"$2\" train \"$1\"; code=$?; cp -r \"$1\"/. \"$3\"; exit $code";
    std::fs::rename(run.join("run.json"), w.path().join("run-spec")).unwrap();
    let status = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, "sh"])
        .args([run.as_os_str(), env!("CARGO_BIN_EXE_tillage-native").as_ref(), out.as_os_str()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
    assert_disk_full(&out);
    assert_clean(&out);
    train(&out);
}
