//! Writes the seeds that the engine itself makes: a model's weights, adapters, a run's files, rows.
//! `cargo run --release -p tillage-hardening --example seeds`, in `native/`.

use std::path::Path;
use tillage_hardening::made;

fn main() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    for (entry, name, bytes) in made::seeds() {
        let dir = seeds.join(entry);
        std::fs::create_dir_all(&dir).expect("a folder that can be written");
        std::fs::write(dir.join(name), bytes).expect("a folder that can be written");
    }
}
