//! Several adapters on one base, through the binary and its server.

use crate::common::*;
use crate::serve::Client;
use serde_json::{json, Value};
use std::path::Path;

/// A pretrained model, and two adapters on it that answer differently.
fn tuned(w: &Workspace) -> [String; 3] {
    let pre = w.pretrain("pre", &json!({"train": {"epochs": 60, "lr": 0.01}}));
    train(&pre);
    let ids = (0..6).map(|i| format!("pair-{i}")).collect();
    let prompts = TREES.iter().map(|t| format!("Where is the {t}?")).collect();
    let answers = (0..6).map(|i| format!(" In {}.", TOWNS[(i + 1) % 6])).collect();
    let columns = [("_row_id", ids), ("prompt", prompts), ("completion", answers)];
    parquet(&w.path().join("other.parquet"), &columns);
    let settings = json!({"train": {"epochs": 80, "checkpoint_every": 0}});
    let one = w.tune("one", "pre", &settings);
    train(&one);
    let mut other = json!({"data": {"train": ["../other.parquet"]}});
    merge(&mut other, &settings);
    let two = w.tune("two", "pre", &other);
    train(&two);
    let name = |dir: &Path, what: &str| dir.join(what).to_str().unwrap().to_owned();
    [name(&pre, "model"), name(&one, "adapter"), name(&two, "adapter")]
}

const FORM: &str = "Q: {prompt}\nA:";

fn texts(result: &Value) -> Vec<String> {
    let all = result["generations"].as_array().unwrap();
    all.iter().map(|g| format!("{} {}", g["text"].as_str().unwrap(), g["logprobs"])).collect()
}

#[test]
fn prompts_of_one_batch_ask_different_adapters() {
    let w = Workspace::new();
    let [model, one, two] = tuned(&w);
    let ask = |prompts: &[Value], args: &[&str]| -> Value {
        let file = w.path().join("prompts.jsonl");
        let lines: String = prompts.iter().map(|p| format!("{p}\n")).collect();
        std::fs::write(&file, lines).unwrap();
        let form = format!("format:{FORM}");
        let common =
            ["generate", "--model", &model, "--prompts", file.to_str().unwrap(), "--template", &form];
        let out = engine(&[&common, args, &["--max-new", "12", "--json"][..]].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let prompt = |id: &str| json!({"id": id, "prompt": "Where is the elm?"});
    let with = |id: &str, adapters: Value| {
        let mut prompt = prompt(id);
        prompt["adapters"] = adapters;
        prompt
    };
    let (named_one, named_two) = (format!("one={one}"), format!("two={two}"));
    let base = ask(&[prompt("a")], &[]);
    assert!(base["adapter_hash"].is_null());
    let alone = ask(&[prompt("a")], &["--adapter", &one]);
    assert_eq!(alone["generations"][0]["text"], " In Graz.");
    let both = ["--adapter", &named_one, "--adapter", &named_two];
    let asked = [
        with("a", json!({"one": 1.0})),
        with("b", json!({})),
        with("c", json!({"two": 1.0})),
        with("d", json!({"one": 0.5, "two": 0.5})),
        prompt("e"),
    ];
    let mixed = ask(&asked, &both);
    let text = |i: usize| mixed["generations"][i]["text"].as_str().unwrap();
    assert_eq!((text(0), text(2)), (" In Graz.", " In Porto."));
    assert_eq!(text(1), base["generations"][0]["text"]);
    // Alone in its batch, an adapter's prompt gives the very numbers that the adapter alone gives; and the base's those of the base.
    assert_eq!(texts(&ask(&asked[..1], &both)), texts(&alone));
    assert_eq!(texts(&ask(&asked[1..2], &both)), texts(&base));
    // A prompt that names none has all that were given, with their weights.
    assert_eq!(
        texts(&ask(&asked[4..], &both)),
        texts(&ask(&[with("e", json!({"one": 1.0, "two": 1.0}))], &both))
    );
    let weighed = format!("{named_one}:0.5");
    assert_eq!(
        texts(&ask(&[prompt("d")], &["--adapter", &weighed])),
        texts(&ask(&[with("d", json!({"one": 0.5}))], &both))
    );
    let hash = mixed["adapter_hash"].as_str().unwrap();
    assert!(hash.starts_with("one=") && hash.contains("+two="), "{hash}");

    let file = w.path().join("prompts.jsonl");
    let refused = |prompt: Value, args: &[&str]| {
        std::fs::write(&file, format!("{prompt}\n")).unwrap();
        let common = ["generate", "--model", &model, "--prompts", file.to_str().unwrap()];
        failure(&[&common, args].concat()).1
    };
    let error = refused(with("a", json!({"three": 1.0})), &both);
    assert!(
        error["code"] == "unknown_adapter" && error["remedy"].as_str().unwrap().contains("one, two"),
        "{error}"
    );
    let error = refused(prompt("a"), &["--adapter", &one, "--adapter", &two]);
    assert_eq!(error["code"], "duplicate_adapter");
}

#[test]
fn the_server_holds_adapters_on_one_base() {
    let w = Workspace::new();
    let [model, one, two] = tuned(&w);
    let mut client = Client::start();
    client.call(1, "initialize", json!({"protocol": 1})).unwrap();
    let mut id = 1;
    let mut ask = |client: &mut Client, model: Value, adapters: &[Value]| {
        id += 1;
        let prompts: Vec<Value> = adapters
            .iter()
            .enumerate()
            .map(|(i, own)| {
                let mut prompt = json!({"id": i.to_string(), "prompt": "Where is the elm?"});
                if !own.is_null() {
                    prompt["adapters"] = own.clone();
                }
                prompt
            })
            .collect();
        let template = json!({"kind": "format", "prompt": FORM});
        client.call(
            id,
            "generate",
            json!({"model": model, "template": template, "prompts": prompts, "max_new": 12}),
        )
    };
    let text = |result: &Value, i: usize| result["generations"][i]["text"].as_str().unwrap().to_owned();
    let plain = ask(&mut client, json!({"base": model}), &[Value::Null]).unwrap();
    assert!(plain["adapter_hash"].is_null());
    let first = ask(&mut client, json!({"base": model, "adapter": one}), &[Value::Null]).unwrap();
    assert_eq!(text(&first, 0), " In Graz.");
    assert_eq!(first["adapter_hash"].as_str().unwrap().len(), 16);
    let list = json!([{"name": "one", "path": one}, {"name": "two", "path": two, "weight": 1.0}]);
    let all = json!({"base": model, "adapters": list});
    let mixed =
        ask(&mut client, all.clone(), &[json!({"two": 1.0}), json!({}), json!({"one": 1.0})]).unwrap();
    assert_eq!((text(&mixed, 0), text(&mixed, 2)), (" In Porto.".into(), " In Graz.".into()));
    assert_eq!(text(&mixed, 1), text(&plain, 0));
    // The base alone again, after all that: the same numbers.
    assert_eq!(texts(&ask(&mut client, json!({"base": model}), &[Value::Null]).unwrap()), texts(&plain));
    let error = ask(&mut client, all, &[json!({"none": 1.0})]).unwrap_err();
    assert_eq!(error["code"], "unknown_adapter");
    // A folder whose files change is read again.
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        std::fs::copy(Path::new(&two).join(file), Path::new(&one).join(file)).unwrap();
    }
    let changed = ask(&mut client, json!({"base": model, "adapter": one}), &[Value::Null]).unwrap();
    assert_eq!(text(&changed, 0), " In Porto.");
    client.call(99, "shutdown", Value::Null).unwrap();
}
