//! `till_redact(text VARCHAR, kinds VARCHAR) -> VARCHAR`: the text with personal data of the given
//! kinds replaced by `<EMAIL>`, `<PHONE>` and so on.

use crate::api::{Function, Text};
use crate::text::pii::{self, parse_kinds, Kind};

/// The list of kinds that was parsed last.
#[derive(Default)]
struct Parsed(Option<(String, Vec<Kind>)>);

fn redact(parsed: &mut Parsed, (text, list): (&str, &str)) -> Result<String, String> {
    let kinds = match &parsed.0 {
        Some((last, kinds)) if last == list => kinds,
        _ => &parsed.0.insert((list.to_owned(), parse_kinds(list)?)).1,
    };
    Ok(pii::redact(text, kinds).unwrap_or_else(|| text.to_owned()))
}

pub fn function() -> Function {
    Function::new::<(Text, Text), String, Parsed, _>("till_redact", redact)
}
