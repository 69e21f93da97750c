//! Ways to stop a run, all of which leave a checkpoint.

use crate::common::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

fn long_run(w: &Workspace, name: &str) -> PathBuf {
    w.pretrain(name, &json!({"train": {"epochs": 100_000, "max_steps": 50_000, "checkpoint_every": 0}}))
}

fn wait_for_steps(run: &Path) {
    wait_until("the tenth step", || {
        std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default().lines().count() > 12
    });
}

fn assert_stopped(run: &Path, mut child: Child) {
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let log = events(run);
    let end = log.last().unwrap();
    assert_eq!((end["type"].as_str(), end["outcome"].as_str()), (Some("finished"), Some("stopped")), "{end}");
    assert!(end.get("output").is_none() && !run.join("model").exists());
    let step = end["step"].as_u64().unwrap();
    assert_eq!(of_type(&log, "step").last().unwrap()["step"], step, "the step was finished");
    assert!(run.join(format!("checkpoints/step-{step:06}/trainer/state.json")).is_file());
    assert_clean(run);
}

#[test]
fn the_stop_file_stops_and_is_taken_away() {
    let w = Workspace::new();
    let run = long_run(&w, "run");
    let child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
    wait_for_steps(&run);
    std::fs::write(run.join("stop"), "").unwrap();
    assert_stopped(&run, child);
    assert!(!run.join("stop").exists());
}

#[cfg(unix)]
#[test]
fn sigterm_and_sigint_stop() {
    for signal in ["TERM", "INT"] {
        let w = Workspace::new();
        let run = long_run(&w, "run");
        let child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
        wait_for_steps(&run);
        let sent = std::process::Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        assert_stopped(&run, child);
    }
}

#[test]
fn the_end_of_stdin_stops_an_attached_run_only() {
    let w = Workspace::new();
    let run = long_run(&w, "attached");
    let mut child =
        binary().args(["train", run.to_str().unwrap(), "--attached"]).stdin(Stdio::piped()).spawn().unwrap();
    wait_for_steps(&run);
    drop(child.stdin.take());
    assert_stopped(&run, child);

    // Its stdin is empty from the start, and yet it goes on.
    let run = long_run(&w, "detached");
    let mut child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
    wait_for_steps(&run);
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_stopped_run_goes_on_to_the_same_end() {
    let w = Workspace::new();
    let straight = w.pretrain("straight", &json!({"train": {"epochs": 60, "checkpoint_every": 0}}));
    train(&straight);
    let stopped = w.pretrain("stopped", &json!({"train": {"epochs": 60, "checkpoint_every": 0}}));
    let child = binary().args(["train", stopped.to_str().unwrap()]).spawn().unwrap();
    wait_for_steps(&stopped);
    std::fs::write(stopped.join("stop"), "").unwrap();
    assert_stopped(&stopped, child);
    train(&stopped);
    let weights = |run: &Path| std::fs::read(run.join("model/model.safetensors")).unwrap();
    assert_eq!(weights(&straight), weights(&stopped));
    let log = events(&stopped);
    assert_eq!(of_type(&log, "started").len(), 2);
    assert_eq!(of_type(&log, "finished").len(), 2, "how the first attempt ended stays on record");
}

#[test]
fn a_second_process_is_told_who_holds_the_run() {
    let w = Workspace::new();
    let run = long_run(&w, "run");
    let mut child = binary().args(["train", run.to_str().unwrap()]).spawn().unwrap();
    wait_for_steps(&run);
    let (code, error) = failure(&["train", run.to_str().unwrap()]);
    assert_eq!((code, error["code"].as_str()), (2, Some("run_locked")));
    assert!(error["message"].as_str().unwrap().contains(&child.id().to_string()), "{error}");
    assert!(child.try_wait().unwrap().is_none(), "the first one is not disturbed");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(of_type(&events_loose(&run), "failed").is_empty(), "the second wrote nothing");
}

/// Events of a run that was killed: the last line may be torn.
fn events_loose(run: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}
