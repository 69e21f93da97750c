//! Training: rows, steps, optimiser, checkpoints, and the run folder that holds all of it.
//!
//! The folder is the only shared state: `run.json` comes in, `events.jsonl`, `row_loss.parquet`, `checkpoints/` and the result
//! come out. A run that was stopped, killed or ran out of disk goes on from its last checkpoint, bit for bit.

mod attempt;
mod best;
pub mod checkpoint;
pub mod control;
mod course;
pub mod data;
mod dataset;
pub mod events;
pub mod examine;
pub mod files;
mod fork;
pub mod lock;
mod method;
mod metrics;
mod objective;
mod optimizer;
mod partners;
pub mod plan;
mod policy;
pub mod preflight;
mod prompt;
mod recompute;
mod reference;
#[cfg(test)]
mod refusals;
mod resume;
mod reward;
mod rollouts;
pub mod row_loss;
mod run;
pub mod schedule;
mod sequence;
#[cfg(test)]
mod settings;
mod setup;
pub mod spec;
mod step;
#[cfg(test)]
mod testing;
mod trainer;
mod weights;

pub use control::Control;
pub use examine::Examined;
pub use preflight::preflight;
pub use run::{train, Ended, Options};
