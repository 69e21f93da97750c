//! `till_c4_clean(text VARCHAR) -> VARCHAR`: the text without the lines that the C4 rules remove and
//! without marks of citations.

use crate::api::{Function, Text};
use crate::text::quality::c4::clean;

pub fn function() -> Function {
    Function::new::<(Text,), String, (), _>("till_c4_clean", |_, (text,)| Ok(clean(text)))
}
