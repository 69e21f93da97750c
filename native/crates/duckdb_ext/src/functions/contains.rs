//! `till_contains(text VARCHAR, needle VARCHAR, case_sensitive BOOLEAN) -> BOOLEAN`: literal search.

use crate::api::{Function, Text};
use crate::text::search::Searcher;

pub fn function() -> Function {
    Function::new::<(Text, Text, bool), bool, Searcher, _>(
        "till_contains",
        |searcher, (text, needle, case)| searcher.contains(text, needle, case),
    )
}
