//! `tokens`: rows of every shape as the model sees them.

use crate::common::*;
use serde_json::{json, Value};

/// A chat template with tools and without generation markers.
const TEMPLATE: &str = "{%- if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}{%- for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content %}{{ m.content }}{% endif %}{% for c in m.tool_calls or [] %}[{{ c.function.name }} {{ c.function.arguments | tojson }}]{% endfor %}<|im_end|>\n{% endfor %}{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

struct Model {
    dir: tempfile::TempDir,
}

impl Model {
    /// The fixtures' tokenizer with that template; `tokens` needs no weights.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/text/bpe");
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        std::fs::write(dir.path().join("chat_template.jinja"), TEMPLATE).unwrap();
        Self { dir }
    }

    fn show(&self, row: &Value, args: &[&str]) -> Value {
        let file = self.dir.path().join("row.json");
        std::fs::write(&file, row.to_string()).unwrap();
        let common =
            ["tokens", "--model", self.dir.path().to_str().unwrap(), "--row", file.to_str().unwrap()];
        let out = engine(&[&common, args, &["--json"][..]].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }
}

fn trained(shown: &Value) -> String {
    let tokens = shown["tokens"].as_array().unwrap().iter();
    tokens.filter(|t| t["trained"] == true).map(|t| t["text"].as_str().unwrap()).collect()
}

#[test]
fn a_pair_is_shown_with_both_masks_and_where_they_part() {
    let model = Model::new();
    let pair = json!({"prompt": "Where is it?", "chosen": " Here it is.", "rejected": " Here, or there."});
    let shown = model.show(&pair, &["--template", "format:Q: {prompt}\\nA:", "--loss-on", "all"]);
    assert_eq!(
        (trained(&shown), trained(&shown["rejected"])),
        (" Here it is.<|im_end|>".into(), " Here, or there.<|im_end|>".into())
    );
    let at = shown["parts_at"].as_u64().unwrap() as usize;
    let id = |shown: &Value, i: usize| shown["tokens"][i]["id"].clone();
    assert!(
        (0..at).all(|i| id(&shown, i) == id(&shown["rejected"], i))
            && id(&shown, at) != id(&shown["rejected"], at)
    );
    assert!(shown["label"].is_null());

    let talk = |answer: &str| json!([{"role": "user", "content": "Where?"}, {"role": "assistant", "content": answer}]);
    let shown =
        model.show(&json!({"chosen": talk("Here."), "rejected": talk("No.")}), &["--template", "chat"]);
    assert_eq!(
        (trained(&shown), trained(&shown["rejected"])),
        ("Here.<|im_end|>".into(), "No.<|im_end|>".into())
    );

    let shown =
        model.show(&json!({"prompt": "A?", "completion": " B", "label": false}), &["--loss-on", "all"]);
    assert_eq!((trained(&shown), &shown["label"]), (" B<|im_end|>".into(), &json!(false)));
    assert!(shown["rejected"].is_null() && shown["parts_at"].is_null());
}

#[test]
fn tools_and_their_calls_reach_the_template_and_the_mask() {
    let model = Model::new();
    let tools = json!([{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"b": {"type": "number"}, "a": {"type": "number"}}}}}]);
    let messages = json!([
        {"role": "user", "content": "1 and 2?"},
        {"role": "assistant", "content": null, "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"b": 2, "a": 1}}}]},
        {"role": "tool", "name": "add", "content": "3"},
        {"role": "assistant", "content": "It is 3."}
    ]);
    let row = json!({"messages": messages, "tools": tools});
    let shown = model.show(&row, &["--template", "chat", "--loss-on", "assistant"]);
    assert_eq!(
        shown["text"],
        "<|im_start|>system\n{\"type\": \"function\", \"function\": {\"name\": \"add\", \"parameters\": {\"type\": \"object\", \"properties\": {\"b\": {\"type\": \"number\"}, \"a\": {\"type\": \"number\"}}}}}\n<|im_end|>\n<|im_start|>user\n1 and 2?<|im_end|>\n<|im_start|>assistant\n[add {\"b\": 2, \"a\": 1}]<|im_end|>\n<|im_start|>tool\n3<|im_end|>\n<|im_start|>assistant\nIt is 3.<|im_end|>\n"
    );
    assert_eq!(trained(&shown), "[add {\"b\": 2, \"a\": 1}]<|im_end|>It is 3.<|im_end|>");
    let last = model.show(&row, &["--template", "chat", "--loss-on", "completion"]);
    assert_eq!(trained(&last), "It is 3.<|im_end|>");
}

#[test]
fn a_long_row_is_cut_where_it_is_said() {
    let model = Model::new();
    let row = json!({"prompt": "One two three four five six seven?", "completion": " Eight."});
    let show = |truncate: &str| {
        model.show(&row, &["--context", "6", "--loss-on", "completion", "--truncate", truncate])
    };
    let whole = model.show(&row, &["--loss-on", "completion"]);
    let ids = |shown: &Value| {
        shown["tokens"].as_array().unwrap().iter().map(|t| t["id"].clone()).collect::<Vec<_>>()
    };
    let (all, end, start) = (ids(&whole), show("end"), show("start"));
    let cut = all.len() - 6;
    assert_eq!((ids(&end), ids(&start)), (all[..6].to_vec(), all[cut..].to_vec()));
    assert_eq!((&end["cut"], &start["cut"]), (&json!(cut), &json!(cut)));
    assert_eq!((trained(&end), trained(&start)), (String::new(), trained(&whole)));
}

/// Rows with tools, from Parquet through a run.
#[test]
fn a_run_reads_tools_and_leaves_long_rows_out_where_it_is_told_to() {
    let w = Workspace::new();
    let pre = w.pretrain("pre", &json!({"train": {"epochs": 1}}));
    train(&pre);
    let template = TEMPLATE.replace("<|im_start|>", "<").replace("<|im_end|>", ">");
    std::fs::write(pre.join("model/chat_template.jinja"), template).unwrap();
    let tools = r#"[{"f":1}]"#;
    let talk = |n: usize| {
        json!([{"role": "user", "content": "x".repeat(n)}, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}])
            .to_string()
    };
    let ids = vec!["short".to_owned(), "long".to_owned()];
    let messages = vec![talk(1), talk(60)];
    let plan = |name: &str, with: bool, truncate: &str| -> Value {
        let mut columns = vec![("_row_id", ids.clone()), ("messages", messages.clone())];
        if with {
            columns.push(("tools", vec![tools.to_owned(), "null".into()]));
        }
        parquet(&w.path().join(format!("{name}.parquet")), &columns);
        let run = w.tune(
            name,
            "pre",
            &json!({"template": {"kind": "chat"}, "loss_on": "assistant",
            "data": {"train": [format!("../{name}.parquet")]}, "train": {"truncate": truncate}}),
        );
        let out = engine(&["preflight", run.to_str().unwrap(), "--json"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let tokens = |plan: &Value| plan["train_tokens"].as_u64().unwrap();
    let (bare, with) = (plan("bare", false, "end"), plan("with", true, "end"));
    assert!(tokens(&with) > tokens(&bare) + 5, "{with} {bare}");
    assert!(bare["long_rows"] == 1 && bare["masked_rows"] == 1, "the answer is cut off: {bare}");
    assert_eq!(plan("start", false, "start")["masked_rows"], 0);
    let dropped = plan("drop", false, "drop");
    assert_eq!(
        (&dropped["long_rows"], &dropped["cut_tokens"], &dropped["masked_rows"]),
        (&json!(1), &json!(0), &json!(0))
    );
    assert_eq!(tokens(&dropped), tokens(&bare) - 64);
    let run = w.path().join("drop");
    train(&run);
    let log = events(&run);
    assert!(of_type(&log, "warning").iter().any(|e| e["code"] == "rows_dropped"), "{log:?}");
    assert!(of_type(&log, "step").iter().all(|e| e["rows"] == json!(["short"])));

    for (name, bad) in [("list", "{}"), ("objects", "[1]"), ("json", "[")] {
        let columns =
            [("_row_id", ids.clone()), ("messages", messages.clone()), ("tools", vec![bad.to_owned(); 2])];
        parquet(&w.path().join(format!("{name}.parquet")), &columns);
        let run = w.tune(
            name,
            "pre",
            &json!({"template": {"kind": "chat"}, "data": {"train": [format!("../{name}.parquet")]}}),
        );
        assert_eq!(failure(&["train", run.to_str().unwrap()]).1["code"], "bad_tools");
    }
}
