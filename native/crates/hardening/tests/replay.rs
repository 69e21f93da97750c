//! Every kept seed, and a few thousand mutations of them: no panic, bounded time, bounded memory.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tillage_hardening::mutate::Mutations;
use tillage_hardening::{Entry, ENTRIES};

/// What one input may take, on a busy machine.
const SECONDS: u64 = 20;

/// Memory of the process that no input may drive it above.
const MOST_BYTES: u64 = 2 << 30;

fn seeds(entry: &Entry) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(entry.name);
    let listing = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut all: Vec<PathBuf> = listing.map(|e| e.unwrap().path()).collect();
    all.sort();
    assert!(!all.is_empty(), "{} has no seed", dir.display());
    all.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Reads an input; what it must not do is told with enough to do it again.
fn read(entry: &Entry, data: &[u8], what: &str) {
    let begun = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(|| (entry.read)(data)));
    let took = begun.elapsed();
    if done.is_err() || took > Duration::from_secs(SECONDS) {
        let kept = std::env::temp_dir().join(format!("tillage-{}.input", entry.name));
        std::fs::write(&kept, data).unwrap();
        panic!("{}: {what} panicked or took {took:?}; the input is kept as {}", entry.name, kept.display());
    }
}

/// The most memory that this process has held, where the system tells it.
fn peak() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

fn replay(name: &str, mutations: usize) {
    let entry = ENTRIES.iter().find(|e| e.name == name).unwrap();
    let seeds = seeds(entry);
    for (path, data) in &seeds {
        read(entry, data, &path.display().to_string());
    }
    let mut stream = Mutations::new(7);
    for i in 0..mutations {
        let (path, data) = &seeds[i % seeds.len()];
        read(entry, &stream.of(data), &format!("mutation {i} of {}", path.display()));
    }
    assert!(peak() < MOST_BYTES, "{name}: {} MB were held", peak() >> 20);
}

macro_rules! replays {
    ($($name:ident: $mutations:expr,)*) => { $(#[test] fn $name() { replay(stringify!($name), $mutations); })* };
}

replays! {
    safetensors: 1000,
    config: 3000,
    adapter: 1500,
    tokenizer: 1500,
    template: 3000,
    messages: 2000,
    rows: 1500,
    checkpoint: 250,
    export: 700,
}

#[test]
fn every_entry_has_seeds_and_a_test() {
    let text = include_str!("replay.rs");
    for entry in ENTRIES {
        assert!(text.contains(&format!("    {}: ", entry.name)), "{} is not replayed", entry.name);
        seeds(&entry);
    }
}
