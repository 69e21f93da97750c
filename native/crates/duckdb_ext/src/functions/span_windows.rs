//! `till_span_windows(text VARCHAR, n INTEGER, anchors UBIGINT[]) -> STRUCT(hash UBIGINT, start INTEGER)[]`:
//! the runs of `n` words that have one of the anchors, with the number of their first word from 0.

use super::ngram_size;
use crate::api::{Function, Text};
use crate::sql_struct;
use crate::text::spans::{Spans, Window};

sql_struct!(Window { hash: u64, start: i32 });

pub fn function() -> Function {
    Function::new::<(Text, i32, Vec<u64>), Vec<Window>, Spans, _>(
        "till_span_windows",
        |spans, (text, n, anchors)| Ok(spans.windows(text, ngram_size(n)?, anchors)),
    )
}
