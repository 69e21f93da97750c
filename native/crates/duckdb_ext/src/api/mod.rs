//! DuckDB's stable C API (v1.2.0, ABI `C_STRUCT`), reduced to what scalar functions need.
//!
//! A SQL function is an ordinary Rust function over typed arguments; [`scalar::Function::new`]
//! wraps it. The wrapper upholds four rules for every function, so that none has to:
//! - NULL in any argument gives NULL out (in every child of a struct, too);
//! - an `Err` becomes a SQL error that begins with the function's name;
//! - a panic becomes a SQL error: one that crossed into DuckDB would abort the process;
//! - a chunk that fails leaves nothing behind: scratch state lives for one call.
//!
//! Interruption: the stable C API gives a scalar function no way to ask whether its query was
//! interrupted. DuckDB looks between chunks (2,048 rows), so the functions keep the time of a row
//! linear in the length of its text.
#![allow(unsafe_code)] // the C API is reached through raw pointers; each block says why it is sound

mod argument;
mod entry;
mod ffi;
pub mod scalar;
mod types;
mod value;
mod vector;

pub use argument::{Argument, Parameters, Text};
pub use scalar::Function;
pub use types::Type;
pub use value::Value;
pub use vector::Vector;
