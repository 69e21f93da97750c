//! `till_version() -> VARCHAR`: version of the extension.

use crate::api::Function;

pub fn function() -> Function {
    Function::new::<(), String, (), _>("till_version", |_, ()| Ok(env!("CARGO_PKG_VERSION").to_string()))
}
