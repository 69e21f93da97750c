//! Texts that hold no keys have none found in them.
//!
//! Reads `shared/data` beside the project, or under the folder that TILLAGE_SHARED names; where it is
//! absent this test says so and checks nothing.

use std::fs;
use std::path::PathBuf;
use tillage::text::pii::{find, Kind};

#[test]
fn encyclopedia_maths_and_plays_hold_no_keys() {
    let shared = std::env::var_os("TILLAGE_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared")));
    let data = shared.join("data");
    if !data.is_dir() {
        println!("shared/data is not here: the precision of secrets was not measured");
        return;
    }
    for name in [
        "wikitext2_test.txt",
        "wikitext2_valid.txt",
        "gsm8k_train.jsonl",
        "gsm8k_test.jsonl",
        "tinyshakespeare.txt",
    ] {
        let text = fs::read_to_string(data.join(name)).unwrap();
        let found: Vec<&str> =
            find(&text, &[Kind::Secret]).into_iter().map(|finding| &text[finding.range]).collect();
        println!("{name}: {} bytes, {} secrets", text.len(), found.len());
        assert!(found.is_empty(), "{name}: {found:?}");
    }
}
