//! The engine's binary from outside: whole runs, interrupted runs, bad input, and the server.

mod bad_input;
mod common;
mod disk;
mod learns;
mod precision;
mod resume;
mod serve;
mod stopping;
