//! A Modelfile for Ollama beside a GGUF file.

use serde_json::{json, Value};
use tillage_protocol::EngineError;
use tillage_text::{ChatTemplate, Clock, Tokenizer};

/// Layouts that are the same in Jinja and in Ollama's Go templates.
struct Layout {
    /// Around a system's, a user's and an assistant's message; the assistant's turn begins with its opening.
    system: (&'static str, &'static str),
    user: (&'static str, &'static str),
    assistant: (&'static str, &'static str),
}

const LAYOUTS: [Layout; 3] = [
    Layout {
        system: ("<|im_start|>system\n", "<|im_end|>\n"),
        user: ("<|im_start|>user\n", "<|im_end|>\n"),
        assistant: ("<|im_start|>assistant\n", "<|im_end|>\n"),
    },
    Layout {
        system: ("<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"),
        user: ("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
        assistant: ("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
    },
    Layout {
        system: ("<|system|>\n", "<|end|>\n"),
        user: ("<|user|>\n", "<|end|>\n"),
        assistant: ("<|assistant|>\n", "<|end|>\n"),
    },
];

impl Layout {
    fn of(&self, role: &str) -> (&'static str, &'static str) {
        match role {
            "system" => self.system,
            "user" => self.user,
            _ => self.assistant,
        }
    }

    fn render(&self, messages: &[Value]) -> String {
        let turn = |m: &Value| {
            let (open, close) = self.of(m["role"].as_str().unwrap_or_default());
            format!("{open}{}{close}", m["content"].as_str().unwrap_or_default())
        };
        messages.iter().map(turn).collect::<String>() + self.assistant.0
    }

    /// The same in Go's template language.
    fn go(&self) -> String {
        let turn = |condition: &str, (open, close): (&str, &str)| {
            format!("{{{{- if eq .Role \"{condition}\" }}}}{open}{{{{ .Content }}}}{close}{{{{ end }}}}")
        };
        format!(
            "{{{{- range .Messages }}}}{}{}{}{{{{- end }}}}{}",
            turn("system", self.system),
            turn("user", self.user),
            turn("assistant", self.assistant),
            self.assistant.0
        )
    }
}

/// The Modelfile's text. A template stands in it only where conversations come out the same as by the model's own, but for the
/// token that begins a text; otherwise Ollama reads the one in the GGUF file.
///
/// # Errors
/// Those of a chat template that cannot be read.
pub fn text(file: &str, tokenizer: &Tokenizer, context: usize) -> Result<String, EngineError> {
    let mut out = format!("FROM ./{file}\n");
    if let Some(layout) = layout(tokenizer)? {
        out.push_str(&format!("TEMPLATE \"\"\"{}\"\"\"\n", layout.go()));
    }
    for id in tokenizer.stop_ids() {
        let stop = tokenizer.decode(&[id], false)?;
        out.push_str(&format!("PARAMETER stop {}\n", json!(stop)));
    }
    out.push_str(&format!("PARAMETER num_ctx {context}\n"));
    Ok(out)
}

fn layout(tokenizer: &Tokenizer) -> Result<Option<&'static Layout>, EngineError> {
    let Some(source) = tokenizer.chat_template() else { return Ok(None) };
    let chat = ChatTemplate::new(source, tokenizer.special_tokens_map(), Clock::freeze())?;
    let says = |role: &str, content: &str| json!({"role": role, "content": content});
    let probes = [
        vec![says("user", "One?")],
        vec![says("system", "Be brief."), says("user", "One?")],
        vec![says("user", "One?"), says("assistant", "1"), says("user", "Two?")],
    ];
    let begin = tokenizer.special("bos_token").unwrap_or_default();
    let same = |layout: &Layout| {
        probes.iter().all(|messages| {
            let expected = layout.render(messages);
            let rendered = chat.render(messages, None, true).map(|r| r.text).unwrap_or_default();
            rendered == expected || rendered.strip_prefix(&begin) == Some(&expected)
        })
    };
    Ok(LAYOUTS.iter().find(|layout| same(layout)))
}
