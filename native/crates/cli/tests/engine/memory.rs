//! Memory that runs out in the middle of a run.

#![cfg(target_os = "linux")]

use crate::common::*;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// From some step on the process gets no new memory, as on a machine that others have filled.
#[test]
fn a_run_without_memory_says_so_and_goes_on_from_its_last_checkpoint() {
    let w = Workspace::new();
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("no prlimit here: memory could not be taken away");
        return;
    }
    let patch = json!({"train": {"epochs": 60, "checkpoint_every": 50}});
    let (straight, run) = (w.pretrain("straight", &patch), w.pretrain("run", &patch));
    train(&straight);
    let child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
    wait_until("a checkpoint", || run.join("checkpoints/step-000050").exists());
    let limit = Command::new("prlimit").args(["--pid", &child.id().to_string(), "--as=1"]).status().unwrap();
    assert!(limit.success());
    let out = child.wait_with_output().unwrap();
    assert!(!out.status.success());
    let said = String::from_utf8_lossy(&out.stderr);
    // What the panel recognises in the engine's log.
    assert!(said.contains("memory allocation of ") && said.contains(" bytes failed"), "{said}");
    let last = std::fs::read_dir(run.join("checkpoints")).unwrap().map(|e| e.unwrap().file_name()).max();
    assert!(last.is_some_and(|name| name >= *"step-000050"));
    train(&run);
    let weights = |run: &Path| std::fs::read(run.join("model/model.safetensors")).unwrap();
    assert_eq!(weights(&straight), weights(&run), "bit for bit");
    assert_clean(&run);
}
