//! The engine's binary from outside: whole runs, interrupted runs, bad input, and the server.

mod adapters;
mod attribute;
mod bad_input;
mod bench;
mod common;
mod disk;
mod ends;
mod forks;
mod hero;
mod hostile;
mod learns;
mod long_prompts;
mod memory;
mod policy;
mod precision;
mod prefer;
mod prompts;
mod recompute;
mod resume;
mod rounds;
mod score;
mod sequence;
mod serve;
mod stopping;
mod tokens;
mod weights;
