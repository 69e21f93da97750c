//! The contract between the engine and everything that talks to it.
//!
//! The types here are the truth: `tillage-native schema` prints them as JSON Schema, from which
//! `src/protocol/native.gen.ts` is generated. A test fails when that file is stale.

pub mod attribute;
pub mod bench;
pub mod course;
pub mod error;
pub mod event;
pub mod evidence;
pub mod export;
pub mod frames;
pub mod guard;
pub mod objective;
pub mod origin;
pub mod rpc;
pub mod run;
pub mod schema;
pub mod score;

pub use error::{Blame, EngineError};
pub use event::Event;
pub use run::{LoraConfig, RunSpec};
