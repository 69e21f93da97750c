//! The algorithms: plain functions over `&str`, without DuckDB and without unsafe code.

pub mod hash;
pub mod minhash;
pub mod normalize;
pub mod search;
pub mod shingle;
pub mod words;
