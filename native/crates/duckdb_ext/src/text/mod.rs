//! The algorithms: plain functions over `&str`, without DuckDB and without unsafe code.

pub mod english;
pub mod hash;
pub mod language;
pub mod minhash;
pub mod normalize;
pub mod pii;
pub mod quality;
pub mod search;
pub mod shingle;
pub mod sketch;
pub mod spans;
pub mod tokens;
pub mod toxicity;
pub mod words;
