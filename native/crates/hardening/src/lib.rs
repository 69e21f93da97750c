//! What reads files and messages that somebody else wrote, as functions of bytes.
//!
//! Each entry writes its bytes where the engine looks for such a file and reads them as the engine does. Nothing that stands in
//! them may make it panic, hang or take memory without bound, and what it refuses is never called a defect of the engine. The
//! fuzz targets (`native/fuzz`) and the tests of this crate, which replay every kept seed, call the same entries.

mod export;
mod folders;
mod loaders;
pub mod made;
mod messages;
pub mod mutate;
mod rows;
mod run;
mod texts;

use tillage_protocol::{Blame, EngineError};

/// An entry and the name of its folder of seeds.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Name of the fuzz target, and of the folder under `native/fuzz/seeds`.
    pub name: &'static str,
    /// Reads the bytes; panics when the engine does something that no input may make it do.
    pub read: fn(&[u8]),
}

/// All entries.
pub const ENTRIES: [Entry; 9] = [
    Entry { name: "safetensors", read: loaders::safetensors },
    Entry { name: "config", read: loaders::config },
    Entry { name: "adapter", read: loaders::adapter },
    Entry { name: "tokenizer", read: texts::tokenizer },
    Entry { name: "template", read: texts::template },
    Entry { name: "messages", read: messages::messages },
    Entry { name: "rows", read: rows::rows },
    Entry { name: "checkpoint", read: run::checkpoint },
    Entry { name: "export", read: export::export },
];

/// Runs an entry by its name.
///
/// # Panics
/// When there is no such entry, and when the engine does what no input may make it do.
pub fn read(name: &str, data: &[u8]) {
    let entry = ENTRIES.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("no entry {name}"));
    (entry.read)(data);
}

/// Lets the engine's own guards catch panics of libraries; a fuzzer's hook would end the process at once.
pub fn let_guards_catch() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|info| eprintln!("{info}"))));
}

/// The value, or nothing where the engine refused; a refusal must say whose fault it is, and never its own.
pub(crate) fn told<T>(result: Result<T, EngineError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(e) => {
            assert!(e.blame != Blame::Internal, "bad input is called a defect of the engine: {e:?}");
            assert!(!e.code.is_empty() && !e.message.is_empty() && !e.remedy.is_empty(), "{e:?}");
            None
        }
    }
}

/// Parts of an input, which zero bytes separate; text never holds one.
pub(crate) fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut all = data.splitn(N, |b| *b == 0);
    std::array::from_fn(|_| all.next().unwrap_or_default())
}
