//! Functions and filters that transformers gives to chat templates.

use crate::chat::Clock;
use crate::meter::charge;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};
use std::fmt::Write;

/// Marks an error that the template itself raised.
#[derive(Debug)]
struct Raised(String);

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Raised {}

/// The message of `raise_exception`, if that is what ended the rendering.
pub fn raised(error: &Error) -> Option<String> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = source {
        if let Some(r) = e.downcast_ref::<Raised>() {
            return Some(r.0.clone());
        }
        source = e.source();
    }
    None
}

/// Gives an environment what transformers gives to templates; `strftime_now` reads `clock`.
pub fn install(env: &mut Environment<'static>, clock: Clock) {
    env.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
    });
    env.add_function("strftime_now", move |format: String| -> Result<String, Error> {
        let mut out = String::new();
        write!(out, "{}", clock.now().format(&format)).map_err(|_| {
            Error::new(ErrorKind::InvalidOperation, format!("unknown time format {format:?}"))
        })?;
        Ok(out)
    });
    // In Python None cannot be iterated; templates ask this of `tools`.
    env.add_test("iterable", |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Undefined
        )
    });
    env.add_filter("tillage_span", |text: String, marks: String| {
        let mut marks = marks.chars();
        let (open, close) = (marks.next().unwrap_or_default(), marks.next().unwrap_or_default());
        format!("{open}{text}{close}")
    });
    env.add_filter("tojson", |value: &Value, kwargs: Kwargs| -> Result<String, Error> {
        let indent: Option<Value> = kwargs.get("indent")?;
        let ascii: Option<bool> = kwargs.get("ensure_ascii")?;
        let sort: Option<bool> = kwargs.get("sort_keys")?;
        let separators: Option<Vec<String>> = kwargs.get("separators")?;
        kwargs.assert_all_used()?;
        let indent = match indent {
            Some(v) if !v.is_none() && !v.is_undefined() => Some(usize::try_from(v)?),
            _ => None,
        };
        let (item, key) = match separators.as_deref() {
            Some([item, key]) => (item.clone(), key.clone()),
            _ => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
        };
        let style = Style { indent, item, key, ascii: ascii.unwrap_or(false), sort: sort.unwrap_or(false) };
        let mut out = String::new();
        style.write(value, 0, &mut out)?;
        Ok(out)
    });
}

/// Python's `json.dumps` with its arguments.
struct Style {
    indent: Option<usize>,
    item: String,
    key: String,
    ascii: bool,
    sort: bool,
}

impl Style {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        charge(8 + value.as_str().map_or(0, str::len))?;
        match value.kind() {
            ValueKind::Undefined | ValueKind::None => out.push_str("null"),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.group(('[', ']'), items.len(), depth, out, |i, out| {
                    self.write(&items[i], depth + 1, out)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort {
                    keys.sort();
                }
                self.group(('{', '}'), keys.len(), depth, out, |i, out| {
                    let key = keys[i].to_string();
                    charge(key.len() + self.key.len())?;
                    self.string(&key, out);
                    out.push_str(&self.key);
                    self.write(&value.get_item(&keys[i])?, depth + 1, out)
                })?;
            }
            ValueKind::String => self.string(value.as_str().unwrap_or_default(), out),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => {
                let json = serde_json::to_string(value)
                    .map_err(|e| Error::new(ErrorKind::InvalidOperation, "not JSON").with_source(e))?;
                out.push_str(&json);
            }
            kind => return Err(Error::new(ErrorKind::InvalidOperation, format!("{kind} is not JSON"))),
        }
        Ok(())
    }

    fn group(
        &self,
        (open, close): (char, char),
        len: usize,
        depth: usize,
        out: &mut String,
        mut item: impl FnMut(usize, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        for i in 0..len {
            if i > 0 {
                charge(self.item.len())?;
                out.push_str(&self.item);
            }
            self.line_break(depth + 1, out)?;
            item(i, out)?;
        }
        if len > 0 {
            self.line_break(depth, out)?;
        }
        out.push(close);
        Ok(())
    }

    fn line_break(&self, depth: usize, out: &mut String) -> Result<(), Error> {
        if let Some(width) = self.indent {
            let spaces = width.saturating_mul(depth);
            charge(spaces)?;
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', spaces));
        }
        Ok(())
    }

    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
                c if self.ascii && !c.is_ascii() => {
                    let mut units = [0u16; 2];
                    for unit in c.encode_utf16(&mut units) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}
