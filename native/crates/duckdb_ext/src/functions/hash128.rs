//! `till_hash128(text VARCHAR) -> VARCHAR`: XXH3-128 as 32 hexadecimal digits.

use crate::api::{Function, Text};
use crate::text::hash::hash128;

pub fn function() -> Function {
    Function::new::<(Text,), String, (), _>("till_hash128", |_, (text,)| Ok(hash128(text)))
}
