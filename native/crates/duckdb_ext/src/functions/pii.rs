//! `till_pii(text VARCHAR) -> STRUCT(kind VARCHAR, start_char BIGINT, end_char BIGINT, value VARCHAR)[]`:
//! what personal data a text holds, and where, in characters from 0 with an exclusive end.

use crate::api::{Function, Text};
use crate::sql_struct;
use crate::text::pii::{find, Kind};

struct Row {
    kind: &'static str,
    start_char: i64,
    end_char: i64,
    value: String,
}

sql_struct!(Row { kind: &'static str, start_char: i64, end_char: i64, value: String });

fn rows(text: &str) -> Vec<Row> {
    let (mut byte, mut character) = (0, 0);
    find(text, &Kind::ALL)
        .into_iter()
        .map(|finding| {
            let value = &text[finding.range.clone()];
            let start = character + text[byte..finding.range.start].chars().count() as i64;
            let end = start + value.chars().count() as i64;
            (byte, character) = (finding.range.end, end);
            Row { kind: finding.kind.name(), start_char: start, end_char: end, value: value.to_owned() }
        })
        .collect()
}

pub fn function() -> Function {
    Function::new::<(Text,), Vec<Row>, (), _>("till_pii", |_, (text,)| Ok(rows(text)))
}
