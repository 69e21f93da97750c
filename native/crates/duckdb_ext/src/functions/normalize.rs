//! `till_normalize(text VARCHAR) -> VARCHAR`: the normal form for exact deduplication.

use crate::api::{Function, Text};
use crate::text::normalize::normalize;

pub fn function() -> Function {
    Function::new::<(Text,), String, (), _>("till_normalize", |_, (text,)| Ok(normalize(text)))
}
