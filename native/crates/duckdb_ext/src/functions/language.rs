//! `till_language(text VARCHAR) -> STRUCT(lang VARCHAR, confidence DOUBLE)`.

use crate::api::{Function, Text};
use crate::sql_struct;
use crate::text::language::{detect, Language};

sql_struct!(Language { lang: Option<&'static str>, confidence: f64 });

pub fn function() -> Function {
    Function::new::<(Text,), Language, (), _>("till_language", |_, (text,)| Ok(detect(text)))
}
