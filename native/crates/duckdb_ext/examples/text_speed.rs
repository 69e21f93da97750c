//! Documents and megabytes a second of each text function, on one thread, without DuckDB.
//!
//! usage: cargo run --release -p tillage-duckdb-ext --example text_speed -- CORPUS.jsonl [NAME]
//! CORPUS.jsonl has an object with a `text` a line; NAME leaves out the functions whose names lack it.
//! Each figure is the best of five passes over all texts.

use std::hint::black_box;
use std::time::{Duration, Instant};
use tillage::text::quality::{c4, Analyzer};
use tillage::text::shingle::Shingler;
use tillage::text::spans::Spans;
use tillage::text::toxicity::Lexicon;
use tillage::text::words::Words;
use tillage::text::{hash, language, minhash, normalize, pii};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("usage: text_speed CORPUS.jsonl [NAME]");
    let only = arguments.next().unwrap_or_default();
    let texts: Vec<String> = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{file}: {error}"))
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("one JSON object a line");
            row["text"].as_str().expect("a text in every row").to_owned()
        })
        .collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    println!(
        "{} texts, {:.1} MB, {} bytes each",
        texts.len(),
        bytes as f64 / 1e6,
        bytes / texts.len().max(1)
    );
    println!("{:<22} {:>10} {:>8}", "function", "docs/s", "MB/s");
    let measure = |name: &str, pass: &mut dyn FnMut(&str)| {
        if !name.contains(&only) {
            return;
        }
        let best = (0..5)
            .map(|_| {
                let start = Instant::now();
                texts.iter().for_each(|text| pass(text));
                start.elapsed()
            })
            .min()
            .unwrap_or(Duration::MAX)
            .as_secs_f64();
        println!("{name:<22} {:>10.0} {:>8.1}", texts.len() as f64 / best, bytes as f64 / 1e6 / best);
    };

    let (mut analyzer, mut words, mut shingler) =
        (Analyzer::default(), Words::default(), Shingler::default());
    let (mut hashes, mut spans) = (Vec::new(), Spans::default());
    measure("till_quality", &mut |text| {
        black_box(analyzer.signals(text));
    });
    measure("till_c4_clean", &mut |text| drop(black_box(c4::clean(text))));
    for permutations in [64, 128] {
        let mut family = minhash::Permutations::default();
        family.prepare(permutations, 1);
        measure(&format!("till_minhash {permutations}"), &mut |text| {
            shingler.shingles(text, 5, &mut hashes);
            black_box(family.signature(&hashes));
        });
    }
    measure("till_ngrams 13", &mut |text| {
        shingler.ngrams(text, 13, &mut hashes);
        black_box(&hashes);
    });
    measure("till_words", &mut |text| {
        words.read(text);
        black_box(words.len());
    });
    measure("till_normalize", &mut |text| drop(black_box(normalize::normalize(text))));
    measure("till_hash128", &mut |text| drop(black_box(hash::hash128(text))));
    measure("till_language", &mut |text| {
        black_box(language::detect(text));
    });
    measure("till_pii", &mut |text| drop(black_box(pii::find(text, &pii::Kind::ALL))));
    for kind in pii::Kind::ALL {
        measure(&format!("till_pii {}", kind.name()), &mut |text| drop(black_box(pii::find(text, &[kind]))));
    }
    for languages in ["en", "all"] {
        let lexicon = Lexicon::of(languages).expect("languages of the lexicon");
        measure(&format!("till_toxicity {languages}"), &mut |text| {
            black_box(lexicon.find(text, &mut words));
        });
    }
    measure("till_span_anchors 50", &mut |text| drop(black_box(spans.anchors(text, 50))));
}
