//! Memory that runs out in the middle of a run.

#![cfg(target_os = "linux")]

use crate::common::*;
use serde_json::json;
use std::process::Command;

/// From some step on the process gets no new memory, as on a machine that others have filled.
#[test]
fn a_run_without_memory_says_so_and_goes_on_from_its_last_checkpoint() {
    let w = Workspace::new();
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("no prlimit here: memory could not be taken away");
        return;
    }
    // Endless: what it has seen of its rows grows until some table needs more than the heap still has.
    let patch = json!({"train": {"epochs": 100_000, "max_steps": 400_000, "checkpoint_every": 50}});
    let run = w.pretrain("run", &patch);
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
    let last = last.unwrap().into_string().unwrap();
    assert!(last.as_str() >= "step-000050", "{last}");

    let mut child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
    let lines = || std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    wait_until("the resumed run's steps", || lines().matches("\"started\"").count() == 2);
    std::fs::write(run.join("stop"), "").unwrap();
    assert!(child.wait().unwrap().success());
    let log = events(&run);
    let from = of_type(&log, "started")[1]["step"].as_u64().unwrap();
    assert_eq!(format!("step-{from:06}"), last);
    assert_clean(&run);
}
