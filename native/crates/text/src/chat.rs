//! Chat templates: the Jinja dialect that transformers renders, with the spans between `{% generation %}` markers.
//!
//! Behaviour copied from transformers 5 (`chat_template_utils.py`): trim_blocks and lstrip_blocks, loop controls, `raise_exception`,
//! `strftime_now`, `tojson` without HTML or ASCII escapes, keys with null dropped, `reasoning_content` also given as `thinking`.

use crate::meter::{self, Code};
use crate::{chat_builtins, folding};
use minijinja::machinery;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{context, AutoEscape, Environment, ErrorKind, Value};
use std::ops::Range;
use tillage_protocol::EngineError;

/// Instructions that one rendering may take; a conversation of a thousand turns needs about a million.
const FUEL: u64 = 20_000_000;
const NAME: &str = "chat_template";

/// What `strftime_now` sees.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's local time.
    System,
    /// A fixed time, so that a resumed run renders what the first attempt rendered.
    Fixed(chrono::NaiveDateTime),
}

impl Clock {
    /// The time now, for good.
    pub fn freeze() -> Self {
        Self::Fixed(chrono::Local::now().naive_local())
    }

    pub(crate) fn now(self) -> chrono::NaiveDateTime {
        match self {
            Self::System => chrono::Local::now().naive_local(),
            Self::Fixed(at) => at,
        }
    }
}

/// A rendered conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What the model reads.
    pub text: String,
    /// Byte ranges of what the model is to write, from the generation markers; `None` when the template has none.
    pub spans: Option<Vec<Range<usize>>>,
}

self_cell::self_cell!(
    /// A template's source, and the metered instructions that point into it.
    struct Compiled {
        owner: String,
        #[covariant]
        dependent: Code,
    }
    impl {Debug}
);

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    env: Environment<'static>,
    compiled: Compiled,
    special: Vec<(String, String)>,
    marked: bool,
}

impl ChatTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    /// `bad_chat_template` with the template's line.
    pub fn new(source: &str, special: Vec<(String, String)>, clock: Clock) -> Result<Self, EngineError> {
        let mut env = Environment::new();
        env.set_fuel(Some(FUEL));
        meter::install(&mut env);
        chat_builtins::install(&mut env, clock);
        // Jinja2 reads every kind of line end as \n.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let (source, marked) = replace_generation_tags(&source);
        let compiled = Compiled::try_new(source, |source| compile(source))?;
        Ok(Self { env, compiled, special, marked })
    }

    /// Whether the template marks what the model is to write.
    pub fn has_generation_markers(&self) -> bool {
        self.marked
    }

    /// Renders a conversation.
    ///
    /// # Errors
    /// `template_refused` when the template raises (roles that do not alternate and the like), `template_endless` when it
    /// takes more steps than any conversation needs, `template_too_large` when it builds more, `template_failed` for everything else it trips over.
    pub fn render(
        &self,
        messages: &[serde_json::Value],
        tools: Option<&serde_json::Value>,
        add_generation_prompt: bool,
    ) -> Result<Rendered, EngineError> {
        let bytes = |v: &serde_json::Value| serde_json::to_string(v).map_or(0, |text| text.len());
        meter::begin(messages.iter().chain(tools).map(bytes).sum());
        let messages: Vec<serde_json::Value> = messages.iter().map(prepare_message).collect();
        let (open, close) = free_marks(&messages)?;
        let globals = Value::from_pairs(self.special.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let ctx = context! {
            messages => Value::from(Serde(messages)),
            tools => Value::from(Serde(tools)),
            documents => (),
            add_generation_prompt => add_generation_prompt,
            tillage_marks => format!("{open}{close}"),
            ..globals
        };
        let (code, blocks) = self.compiled.borrow_dependent();
        let mut text = String::new();
        let mut out = machinery::make_string_output(&mut text);
        let rendered = machinery::eval(&self.env, code, ctx, blocks, &mut out, AutoEscape::None);
        rendered.map_err(|e| explain(&e))?;
        Ok(if self.marked { split_marks(&text, open, close) } else { Rendered { text, spans: None } })
    }
}

/// A template's source as metered instructions.
fn compile(source: &str) -> Result<Code<'_>, EngineError> {
    let bad = |why: String| {
        EngineError::user(
            "bad_chat_template",
            format!("The chat template cannot be read: {why}."),
            "Mend the template, or use a `format` template in the run file.",
        )
    };
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    let syntax = syntax.map_err(|e| EngineError::internal("template_syntax", e.to_string()))?;
    let parsed = machinery::parse(source, NAME, syntax).map_err(|e| {
        let mut error = bad(e.to_string());
        error.line = e.line().map(|line| line as u64);
        error
    })?;
    if folding::explodes(&parsed) {
        return Err(bad("a constant in it is too large".into()));
    }
    Ok(meter::compile(NAME, source, &parsed))
}

/// Drops null keys, and copies `reasoning_content` to `thinking`, as transformers does.
fn prepare_message(message: &serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Object(map) = message else { return message.clone() };
    let mut out: serde_json::Map<_, _> =
        map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    if let Some(reasoning) = out.get("reasoning_content").cloned() {
        out.entry("thinking").or_insert(reasoning);
    }
    serde_json::Value::Object(out)
}

/// Two noncharacters that occur nowhere in the messages; they mark spans inside the rendered text.
fn free_marks(messages: &[serde_json::Value]) -> Result<(char, char), EngineError> {
    fn visit(value: &serde_json::Value, seen: &mut u32) {
        match value {
            serde_json::Value::String(s) => {
                for c in s.chars().filter(|c| ('\u{FDD0}'..='\u{FDEF}').contains(c)) {
                    *seen |= 1 << (c as u32 - 0xFDD0);
                }
            }
            serde_json::Value::Array(list) => list.iter().for_each(|v| visit(v, seen)),
            serde_json::Value::Object(map) => map.values().for_each(|v| visit(v, seen)),
            _ => {}
        }
    }
    let mut seen = 0u32;
    messages.iter().for_each(|m| visit(m, &mut seen));
    let mut free = (0..32).filter(|i| seen & (1 << i) == 0).filter_map(|i| char::from_u32(0xFDD0 + i));
    free.next().zip(free.next()).ok_or_else(|| {
        EngineError::user(
            "noncharacters",
            "A row holds the Unicode noncharacters U+FDD0 to U+FDEF, which are not text.",
            "Filter such rows out in the recipe.",
        )
    })
}

/// Takes the marks out of the text and returns where they were.
fn split_marks(marked: &str, open: char, close: char) -> Rendered {
    let mut text = String::with_capacity(marked.len());
    let mut spans = Vec::new();
    let mut start = None;
    for c in marked.chars() {
        if c == open {
            start = Some(text.len());
        } else if c == close {
            if let Some(from) = start.take() {
                spans.push(from..text.len());
            }
        } else {
            text.push(c);
        }
    }
    Rendered { text, spans: Some(spans) }
}

/// `{% generation %}` is a tag of transformers alone; a filter block with the same white-space control does the marking.
fn replace_generation_tags(source: &str) -> (String, bool) {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut found = false;
    while let Some(at) = rest.find("{%") {
        let Some(end) = rest[at + 2..].find("%}").map(|e| at + 2 + e + 2) else { break };
        out.push_str(&rest[..at]);
        let tag = &rest[at..end];
        let inner = &tag[2..tag.len() - 2];
        let (left, inner) = strip_control(inner, true);
        let (right, word) = strip_control(inner, false);
        match word.trim() {
            "generation" => {
                found = true;
                out.push_str(&format!("{{%{left} filter tillage_span(tillage_marks) {right}%}}"));
                rest = &rest[end..];
            }
            "endgeneration" => {
                out.push_str(&format!("{{%{left} endfilter {right}%}}"));
                rest = &rest[end..];
            }
            // The tag may hold "%}" in a string: go on right behind its opening.
            _ => {
                out.push_str("{%");
                rest = &rest[at + 2..];
            }
        }
    }
    out.push_str(rest);
    (out, found)
}

/// Splits the white-space control sign off one end of a tag's inside.
fn strip_control(inner: &str, front: bool) -> (&str, &str) {
    let signs = |c: char| c == '-' || c == '+';
    if front && inner.starts_with(signs) {
        inner.split_at(1)
    } else if !front && inner.ends_with(signs) {
        let (rest, sign) = inner.split_at(inner.len() - 1);
        (sign, rest)
    } else {
        ("", inner)
    }
}

fn explain(error: &minijinja::Error) -> EngineError {
    let line = error.line().map(|line| line as u64);
    let mut out = if let Some(message) = chat_builtins::raised(error) {
        EngineError::user(
            "template_refused",
            format!("The chat template refuses this conversation: {message}"),
            "Change the conversation's roles and order to what the model's template takes.",
        )
    } else if meter::is_too_much(error) {
        EngineError::user(
            "template_too_large",
            "The chat template builds more than any conversation needs.",
            "Use another chat template: this one would fill the memory.",
        )
    } else if error.kind() == ErrorKind::OutOfFuel {
        EngineError::user(
            "template_endless",
            "The chat template does not come to an end.",
            "Use another chat template: this one loops without end.",
        )
    } else {
        EngineError::user(
            "template_failed",
            format!("The chat template failed: {error}."),
            "Check that the rows have the keys which the template reads, or use a `format` template.",
        )
    };
    out.line = line;
    out
}
