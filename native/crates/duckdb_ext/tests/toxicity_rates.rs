//! How often the lexicon strikes in texts that were made to provoke, and in others.
//!
//! Reads `shared/data` beside the project, or under the folder that TILLAGE_SHARED names; where it is
//! absent this test says so and checks nothing.

use std::fs;
use std::path::PathBuf;
use tillage::text::toxicity::Lexicon;
use tillage::text::words::Words;

#[test]
fn encyclopedia_and_maths_have_few_hits() {
    let shared = std::env::var_os("TILLAGE_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared")));
    let data = shared.join("data");
    if !data.is_dir() {
        println!("shared/data is not here: the rates of the lexicon were not measured");
        return;
    }
    let lexicon = Lexicon::of("en").unwrap();
    for (name, most) in [
        ("wikitext2_test.txt", 3.0),
        ("wikitext2_valid.txt", 3.0),
        ("gsm8k_train.jsonl", 0.5),
        ("tinyshakespeare.txt", 4.0),
    ] {
        let text = fs::read_to_string(data.join(name)).unwrap();
        let found = lexicon.find(&text, &mut Words::default());
        let rate = found.hits as f64 / found.words as f64 * 1e4;
        println!(
            "{name}: {} hits in {} words, {rate:.2} in 10,000: {:?}",
            found.hits, found.words, found.terms
        );
        assert!(rate <= most, "{name}: {rate}");
    }
}
