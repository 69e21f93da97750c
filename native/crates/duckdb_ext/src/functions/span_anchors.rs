//! `till_span_anchors(text VARCHAR, n INTEGER) -> UBIGINT[]`: hashes that texts with a run of `n` equal
//! words have in common; empty for a text of fewer words. How to use it: [`crate::text::spans`].

use super::ngram_size;
use crate::api::{Function, Text};
use crate::text::spans::Spans;

pub fn function() -> Function {
    Function::new::<(Text, i32), Vec<u64>, Spans, _>("till_span_anchors", |spans, (text, n)| {
        Ok(spans.anchors(text, ngram_size(n)?))
    })
}
