//! Tillage's DuckDB extension.
