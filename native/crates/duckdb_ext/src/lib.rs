//! Tillage's DuckDB extension: text functions for curating corpora, called from SQL.
//!
//! Three layers, each of which knows only the one above it in this list:
//! - [`text`]: the algorithms. Plain, safe Rust over `&str`; no DuckDB.
//! - [`api`]: the binding to DuckDB's stable C API. The only unsafe code of the crate.
//! - [`functions`]: one file a SQL function, and the registry that lists them.
//!
//! The library is built as `tillage` because DuckDB derives the name of the init symbol
//! (`tillage_init_c_api`) from the stem of the file, `tillage.duckdb_extension`.

pub mod api;
pub mod functions;
pub mod text;
