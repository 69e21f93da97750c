//! Files and messages that somebody made to do harm, through the binary: an error that names them, and no panic, hang or abort.

use crate::common::*;
use serde_json::{json, Value};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// What the server says to bytes on its stdin, and the code of its exit.
fn serve(stdin: &[u8]) -> (String, String, i32) {
    let mut child = binary().arg("serve").stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let bytes = stdin.to_vec();
    let writer = std::thread::spawn(move || drop(pipe.write_all(&bytes)));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&out.stdout), text(&out.stderr), out.status.code().unwrap_or(-1))
}

fn framed(text: &str) -> String {
    format!("Content-Length: {}\r\n\r\n{text}", text.len())
}

#[test]
fn the_server_goes_on_behind_a_bad_request_and_ends_at_what_is_no_message() {
    let good =
        json!({"jsonrpc": "2.0", "id": 8, "method": "initialize", "params": {"protocol": 1}}).to_string();
    // No method, but somebody waits for an answer.
    let (out, err, code) =
        serve(format!("{}{}", framed(r#"{"id": 7, "params": 3}"#), framed(&good)).as_bytes());
    assert!(out.contains("\"id\":7") && out.contains("is no request"), "{out}");
    // Answered, or taken back by the end of stdin, whichever comes first.
    assert!(out.contains("\"id\":8"), "{out}");
    assert_eq!((err.as_str(), code), ("", 0));

    let deep = "[".repeat(100_000);
    for bad in [
        "Content-Length: 1000000000000000\r\n\r\n{}".to_owned(),
        "Content-Length: -1\r\n\r\n{}".into(),
        "no header at all\r\n\r\n".into(),
        framed("{\"id\": 1, "),
        framed(&deep),
        format!("{}{}", framed("\u{0}\u{1}"), framed(&good)),
    ] {
        let (_, err, code) = serve(bad.as_bytes());
        assert!(err.contains("A message could not be read"), "{bad:.60}: {err}");
        assert_eq!(code, 1, "{bad:.60}");
    }
}

#[test]
fn a_model_that_would_break_the_engine_is_refused_by_name() {
    let w = Workspace::new();
    let run = w.pretrain("pre", &json!({"train": {"max_steps": 1}}));
    train(&run);
    let model = run.join("model");
    let config: Value = serde_json::from_slice(&std::fs::read(model.join("config.json")).unwrap()).unwrap();
    let ask = |what: &str, file: &str| {
        let prompts = w.path().join("prompts.jsonl");
        std::fs::write(&prompts, r#"{"id": "a", "prompt": "The alder"}"#).unwrap();
        let (model, prompts) = (model.to_str().unwrap(), prompts.to_str().unwrap());
        let (exit, error) = failure(&["generate", "--model", model, "--prompts", prompts]);
        assert_eq!((exit, &error["blame"]), (1, &json!("user")), "{what}: {error}");
        let named = Path::new(error["file"].as_str().unwrap_or_default());
        assert!(named.ends_with(file), "{what}: {error}");
        assert!(!error["remedy"].as_str().unwrap().is_empty());
    };
    for (field, value) in [
        ("num_hidden_layers", json!(1_000_000_000_000_000u64)),
        ("hidden_size", json!(u64::MAX)),
        ("vocab_size", json!(1u64 << 60)),
        ("num_attention_heads", json!(0)),
        ("num_attention_heads", json!(1u64 << 50)),
        ("head_dim", json!(0)),
        ("head_dim", json!(1u64 << 50)),
        ("rms_norm_eps", json!(-1)),
        ("rms_norm_eps", json!(1e300)),
        ("initializer_range", json!(-0.1)),
        ("max_position_embeddings", json!(1u64 << 62)),
        ("rope_parameters", json!({"rope_theta": -10000.0, "rope_type": "default"})),
        ("rope_parameters", json!({"rope_theta": 0.0, "rope_type": "default"})),
        ("rope_parameters", json!({"rope_theta": 1e4, "rope_type": "linear", "factor": 0.0})),
        ("rope_parameters", json!({"rope_theta": 1e4, "rope_type": "longrope", "short_factor": [0.0]})),
    ] {
        let mut changed = config.clone();
        changed[field] = value.clone();
        std::fs::write(model.join("config.json"), changed.to_string()).unwrap();
        ask(&format!("{field} {value}"), "config.json");
    }
    std::fs::write(model.join("config.json"), config.to_string()).unwrap();
    let tokenizer = std::fs::read_to_string(model.join("tokenizer.json")).unwrap();
    let rules: Vec<Value> =
        (0..40).map(|_| json!({"type": "Replace", "pattern": {"String": "e"}, "content": "ee"})).collect();
    let mut bomb: Value = serde_json::from_str(&tokenizer).unwrap();
    bomb["normalizer"] = json!({"type": "Sequence", "normalizers": rules});
    for (what, text) in [
        ("nothing", String::new()),
        ("half of it", tokenizer[..tokenizer.len() / 2].to_owned()),
        ("deep nesting", "[".repeat(100_000)),
        ("rules that multiply", bomb.to_string()),
    ] {
        std::fs::write(model.join("tokenizer.json"), text).unwrap();
        ask(what, "tokenizer.json");
    }
    std::fs::write(model.join("tokenizer.json"), tokenizer).unwrap();
    let weights = std::fs::read(model.join("model.safetensors")).unwrap();
    let header = |length: u64, rest: &[u8]| [&length.to_le_bytes()[..], rest].concat();
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("a header of 10^18 bytes", header(1 << 60, b"{}")),
        ("a tensor of 10^15 numbers", {
            let text =
                r#"{"a":{"dtype":"F32","shape":[1000000000000000],"data_offsets":[0,4000000000000000]}}"#;
            header(text.len() as u64, text.as_bytes())
        }),
        ("a shape that overflows", {
            let text = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#;
            header(text.len() as u64, text.as_bytes())
        }),
        ("cut short", weights[..weights.len() - 1].to_vec()),
    ] {
        std::fs::write(model.join("model.safetensors"), bytes).unwrap();
        ask(what, "model.safetensors");
    }
}

/// A sparse file takes no room on the disk; what it announces must not be taken in memory.
#[test]
#[cfg(target_os = "linux")]
fn a_sparse_file_of_a_terabyte_is_refused_without_reading_it() {
    let w = Workspace::new();
    let run = w.pretrain("pre", &json!({"train": {"max_steps": 1}}));
    train(&run);
    let path = run.join("model/model.safetensors");
    let text = r#"{"a":{"dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000]}}"#;
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&(text.len() as u64).to_le_bytes()).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    if file.set_len(8 + text.len() as u64 + 1_000_000_000_000).is_err() {
        eprintln!("skipped: this disk takes no sparse file of a terabyte");
        return;
    }
    let prompts = w.path().join("prompts.jsonl");
    std::fs::write(&prompts, r#"{"id": "a", "prompt": "The alder"}"#).unwrap();
    let model = run.join("model");
    let (exit, error) =
        failure(&["generate", "--model", model.to_str().unwrap(), "--prompts", prompts.to_str().unwrap()]);
    assert_eq!((exit, &error["code"]), (1, &json!("unused_tensor")), "{error}");
}

/// A chat template that builds too much, or does not end, is told from both ends of the binary.
#[test]
fn a_hostile_chat_template_is_an_error() {
    let w = Workspace::new();
    let run = w.pretrain("pre", &json!({"train": {"max_steps": 1}}));
    train(&run);
    let model = run.join("model");
    let row = w.path().join("row.json");
    std::fs::write(
        &row,
        r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
    )
    .unwrap();
    for (template, code) in [
        ("{% set ns = namespace(x='ab') %}{% for i in range(999) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "template_too_large"),
        ("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "template_endless"),
        ("{{ 'a' * 1000000000 }}", "bad_chat_template"),
    ] {
        std::fs::write(model.join("chat_template.jinja"), template).unwrap();
        let (model, row) = (model.to_str().unwrap(), row.to_str().unwrap());
        let (exit, error) = failure(&["tokens", "--model", model, "--row", row, "--template", "chat"]);
        assert_eq!((exit, &error["code"]), (1, &json!(code)), "{error}");
    }
}
