//! Inputs that the engine itself makes.

use crate::folders::{folders, Scratch};
use crate::run::{stopped, write_rows, FILES, RUN};
use serde_json::json;
use std::path::Path;
use tillage_model::Model;
use tillage_protocol::LoraConfig;

/// Entry, name and bytes of each.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let read = |path: &Path| std::fs::read(path).expect("a file that was written");
    let mut all = Vec::new();
    let weights = read(&folders().llama.join("model.safetensors"));
    all.push(("safetensors", "header".into(), header(&weights)));
    all.push(("safetensors", "whole".into(), weights));
    let index = br#"{"metadata":{},"weight_map":{"model.norm.weight":"a.safetensors"}}"#;
    all.push(("safetensors", "index".into(), index.to_vec()));
    for (name, base, dora) in [
        ("lora", &folders().llama, false),
        ("dora", &folders().llama, true),
        ("experts", &folders().experts, false),
    ] {
        let mut model = Model::load(base).expect("a good model");
        let targets = vec![if dora { "q_proj" } else { "all-linear" }.to_owned()];
        let lora = LoraConfig { targets, rslora: dora, dora, ..LoraConfig::plain(2) };
        model.attach_lora(&lora, 1).expect("good settings");
        let out = Scratch::new();
        model.save_adapter(out.path(), "base").expect("a folder that can be written");
        all.push(("adapter", name.into(), adapter(out.path())));
    }
    let mut model = Model::load(&folders().llama).expect("a good model");
    model.attach_prompt(3, None, 1).expect("good settings");
    let out = Scratch::new();
    model.save_adapter(out.path(), "base").expect("a folder that can be written");
    all.push(("adapter", "prompt".into(), adapter(out.path())));
    for (i, file) in FILES.iter().enumerate() {
        let mut bytes = vec![i as u8];
        bytes.extend(read(&stopped().join(file)));
        all.push(("checkpoint", format!("file-{i}"), bytes));
    }
    write_rows(&out.path().join("rows.parquet"));
    all.push(("rows", "text.parquet".into(), read(&out.path().join("rows.parquet"))));
    all.push(("rows", "row_loss.parquet".into(), read(&stopped().join("row_loss.parquet"))));
    let lines = [
        json!({"_row_id": "a", "text": "The cat."}).to_string(),
        json!({"prompt": "Q", "choices": ["a", "b"], "answer": 1}).to_string(),
        json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]})
            .to_string(),
        json!({"prompt": "Q", "chosen": "a", "rejected": "b"}).to_string(),
    ];
    all.extend(
        lines
            .iter()
            .enumerate()
            .map(|(i, line)| ("rows", format!("line-{i}.jsonl"), line.clone().into_bytes())),
    );
    all.push(("messages", "run".into(), RUN.replace('\n', "").into_bytes()));
    all.push(("messages", "rows".into(), lines.join("\n").into_bytes()));
    let request =
        json!({"jsonrpc": "2.0", "id": 1, "method": "inspect", "params": {"model": "m"}}).to_string();
    all.push((
        "messages",
        "frame".into(),
        format!("Content-Length: {}\r\n\r\n{request}", request.len()).into_bytes(),
    ));
    let params = json!({"model": {"base": "m"}, "template": {"kind": "plain"}, "prompts": [{"id": "a", "prompt": "b"}], "max_new": 4});
    all.push(("messages", "generate".into(), params.to_string().into_bytes()));
    let sft = r#"{"version":1,"id":"s","name":"s","objective":"sft","model":{"kind":"folder","path":"m"},"adapter":{"r":2,"alpha":4,"targets":["all-linear"]},"data":{"train":["a"],"valid":["b"]},"template":{"kind":"format","prompt":"{prompt}"},"loss_on":"all","train":{"epochs":1.5,"batch_tokens":64,"context":32,"lr":0.01,"schedule":"wsd","seed":1,"warmup_steps":1,"grad_accumulation":2,"validate_every":1,"early_stopping":{"patience":1},"truncate":"drop"}}"#;
    all.push(("messages", "sft".into(), sft.into()));
    let tuned =
        sft.replace(r#""adapter":{"r":2,"alpha":4,"targets":["all-linear"]}"#, r#""prompt":{"tokens":3}"#);
    all.push(("messages", "prompt".into(), tuned.into_bytes()));
    all
}

/// The header of a safetensors file.
fn header(file: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    file[8..8 + length].to_vec()
}

/// Config and header of an adapter's folder, as the entry takes them.
fn adapter(dir: &Path) -> Vec<u8> {
    let read = |name: &str| std::fs::read(dir.join(name)).expect("a file that was written");
    let mut out = read("adapter_config.json");
    out.push(0);
    out.extend(header(&read("adapter_model.safetensors")));
    out
}
