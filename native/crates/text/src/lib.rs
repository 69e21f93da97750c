//! Text and tokens: tokenizer folders, byte-level BPE training, chat templates, label masks and packing.
//!
//! A row becomes an [`Example`] (tokens and the mask of those that carry a label) through a [`RowEncoder`];
//! examples become token-budget batches through [`pack::plan_epoch`].

pub mod bpe;
pub mod chat;
mod chat_builtins;
pub mod encode;
mod folding;
mod growth;
mod meter;
pub mod pack;
pub mod row;
mod template_check;
pub mod tokenizer;

pub use chat::{ChatTemplate, Clock, Rendered};
pub use encode::{Example, RowEncoder};
pub use row::{texts_of, RowText};
pub use tokenizer::Tokenizer;
