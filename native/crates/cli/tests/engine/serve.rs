//! The server on stdio: every request settles.

use crate::common::*;
use lsp_server::{Message, Notification, Request, RequestId, Response};
use serde_json::{json, Value};
use std::io::BufReader;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    notes: Vec<Notification>,
}

impl Client {
    pub fn start() -> Self {
        let mut child = binary().arg("serve").stdin(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout, notes: Vec::new() }
    }

    fn send(&mut self, message: Message) {
        message.write(self.stdin.as_mut().unwrap()).unwrap();
    }

    fn request(&mut self, id: i32, method: &str, params: Value) {
        self.send(Message::Request(Request { id: id.into(), method: method.into(), params }));
    }

    /// The next answer; notifications on the way are kept.
    fn answer(&mut self) -> Response {
        loop {
            match Message::read(&mut self.stdout).unwrap().expect("the server goes on") {
                Message::Response(r) => return r,
                Message::Notification(n) => self.notes.push(n),
                Message::Request(r) => panic!("{r:?}"),
            }
        }
    }

    pub fn call(&mut self, id: i32, method: &str, params: Value) -> Result<Value, Value> {
        self.request(id, method, params);
        let r = self.answer();
        assert_eq!(r.id, RequestId::from(id));
        match r.error {
            None => Ok(r.result.unwrap_or_default()),
            Some(error) => Err(error.data.unwrap()),
        }
    }

    fn cancel(&mut self, id: i32) {
        self.send(Message::Notification(Notification {
            method: "$/cancelRequest".into(),
            params: json!({"id": id}),
        }));
    }
}

fn generate(model: &str, prompts: usize, max_new: usize) -> Value {
    let prompts: Vec<Value> =
        (0..prompts).map(|i| json!({"id": format!("p{i}"), "prompt": "The alder"})).collect();
    json!({"model": {"base": model}, "template": {"kind": "plain"}, "prompts": prompts, "max_new": max_new})
}

#[test]
fn every_request_settles() {
    let w = Workspace::new();
    let run = w.pretrain("pre", &json!({"train": {"epochs": 20}}));
    train(&run);
    let model = run.join("model").to_str().unwrap().to_owned();
    let mut c = Client::start();
    let hello = c.call(1, "initialize", json!({"protocol": 1})).unwrap();
    assert_eq!(hello["devices"], json!(["cpu"]));
    assert_eq!(hello["dtypes"], json!(["f32", "bf16", "int8", "nf4"]));
    assert_eq!(c.call(2, "initialize", json!({"protocol": 99})).unwrap_err()["code"], "protocol_version");

    let answer = c.call(3, "generate", generate(&model, 2, 10)).unwrap();
    let whole = answer["generations"][0]["text"].as_str().unwrap().to_owned();
    assert!(!whole.is_empty());
    let streamed: String = c
        .notes
        .iter()
        .filter(|n| n.method == "generate/token" && n.params["id"] == "p0" && n.params["request"] == 3)
        .map(|n| n.params["text"].as_str().unwrap())
        .collect();
    assert_eq!(streamed, whole);

    assert_eq!(c.call(4, "generate", generate("/no/such/model", 1, 5)).unwrap_err()["blame"], "user");
    let mut long = generate(&model, 2, 10);
    long["prompts"][1]["prompt"] = json!("The alder stands. ".repeat(100));
    let error = c.call(44, "generate", long).unwrap_err();
    assert_eq!((&error["code"], &error["blame"]), (&json!("prompt_too_long"), &json!("user")));
    assert!(error["message"].as_str().unwrap().contains("\"p1\""), "{error}");
    assert!(c.notes.iter().all(|n| n.params["request"] != 44), "nothing is generated before");
    assert_eq!(c.call(5, "generate", json!({"prompts": 3})).unwrap_err()["code"], "bad_params");
    assert_eq!(c.call(6, "fly", Value::Null).unwrap_err()["code"], "unknown_method");
    let tokens = c
        .call(
            7,
            "tokens",
            json!({"model": model, "row": {"prompt": "The alder", "completion": " stands"},
            "template": {"kind": "chat"}, "loss_on": "completion", "context": 64}),
        )
        .unwrap();
    let trained: String = tokens["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|t| t["trained"] == true)
        .map(|t| t["text"].as_str().unwrap())
        .collect();
    assert_eq!(trained, " stands<|im_end|>");
    assert_eq!(c.call(8, "inspect", json!({"model": model})).unwrap()["chat_template"], true);
    let spec: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    let mut spec = spec;
    spec["data"]["train"] = json!([w.path().join("docs.parquet")]);
    assert_eq!(c.call(9, "preflight", spec).unwrap()["train_rows"], 48);

    // Each precision is a model of its own: the tokens' probabilities differ.
    let logprobs = |c: &mut Client, id: i32, dtype: &str| {
        let mut params = generate(&model, 1, 5);
        params["model"]["dtype"] = json!(dtype);
        c.call(id, "generate", params).unwrap()["generations"][0]["logprobs"].clone()
    };
    let (exact, nf4) = (logprobs(&mut c, 20, "f32"), logprobs(&mut c, 21, "nf4"));
    assert_ne!(exact, nf4);
    assert_eq!(logprobs(&mut c, 22, "f32"), exact);

    // Scores go to a file; progress is told on the way.
    let score = |out: &str, rows: &str| json!({"model": {"base": model}, "rows": w.path().join(rows), "out": w.path().join(out), "template": {"kind": "plain"}});
    let scored = c.call(30, "score", score("scores.parquet", "docs.parquet")).unwrap();
    assert_eq!((&scored["rows"], &scored["worst"].as_array().unwrap().len()), (&json!(48), &20));
    assert!(w.path().join("scores.parquet").is_file());
    let told = c.notes.iter().rfind(|n| n.method == "score/progress").unwrap();
    assert_eq!((&told.params["request"], &told.params["progress"]["rows"]), (&json!(30), &json!(48)));
    assert_eq!(c.call(31, "score", score("x.parquet", "no.parquet")).unwrap_err()["code"], "file_not_found");
    let many: String =
        (0..20_000).map(|i| format!("{}\n", json!({"text": format!("The elm {i}")}))).collect();
    std::fs::write(w.path().join("many.jsonl"), many).unwrap();
    c.request(32, "score", score("y.parquet", "many.jsonl"));
    c.cancel(32);
    assert_eq!(c.answer().error.unwrap().code, -32800);
    assert!(!w.path().join("y.parquet").exists());

    // Cancelled while it runs, and while it waits; what is quick does not wait.
    c.request(10, "generate", generate(&model, 2000, 50));
    c.request(11, "generate", generate(&model, 2000, 50));
    assert_eq!(c.call(12, "inspect", json!({"model": model})).unwrap()["layers"], 2);
    c.cancel(11);
    c.cancel(10);
    for id in [10, 11] {
        let r = c.answer();
        assert_eq!(r.id, RequestId::from(id));
        assert_eq!(r.error.unwrap().code, -32800);
    }
    c.cancel(999);

    // A model that changed on the disk is read again.
    let before = c.call(12, "generate", generate(&model, 1, 5)).unwrap()["model_hash"].clone();
    let random = run.join("checkpoints/step-000000/model.safetensors");
    std::fs::copy(random, run.join("model/model.safetensors")).unwrap();
    assert_ne!(c.call(13, "generate", generate(&model, 1, 5)).unwrap()["model_hash"], before);

    assert_eq!(c.call(14, "shutdown", Value::Null), Ok(Value::Null));
    c.send(Message::Notification(Notification { method: "exit".into(), params: Value::Null }));
    assert!(c.child.wait().unwrap().success());
}

#[test]
fn the_end_of_stdin_ends_the_server_in_the_middle_of_an_answer() {
    let w = Workspace::new();
    let run = w.pretrain("pre", &json!({}));
    train(&run);
    let mut c = Client::start();
    c.request(1, "generate", generate(run.join("model").to_str().unwrap(), 100_000, 50));
    c.stdin.take();
    let r = c.answer();
    assert_eq!(r.error.unwrap().code, -32800);
    assert!(c.child.wait().unwrap().success());
}
