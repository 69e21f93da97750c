//! `till_matches(text VARCHAR, pattern VARCHAR, case_sensitive BOOLEAN) -> BOOLEAN`: search by
//! regular expression.

use crate::api::{Function, Text};
use crate::text::search::Searcher;

pub fn function() -> Function {
    Function::new::<(Text, Text, bool), bool, Searcher, _>(
        "till_matches",
        |searcher, (text, pattern, case)| searcher.matches(text, pattern, case),
    )
}
