//! Agreement with datatrove's own Gopher, C4 and FineWeb filters, text by text.
//!
//! The reference verdicts (1,216 texts, datatrove 0.10.1 with its default settings) stand beside the
//! project in `shared/fixtures/quality`, or under the folder that TILLAGE_SHARED names. Where they
//! are absent this test says so and checks nothing; the signals themselves are always tested by the
//! unit tests of `text::quality`.

use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tillage::text::quality::c4::clean;
use tillage::text::quality::{first_failure, Analyzer, Signals};

/// datatrove's names for the rules of [`tillage::text::quality::THRESHOLDS`].
const REASONS: [(&str, &str); 30] = [
    ("gopher_short_doc", "min_words"),
    ("gopher_long_doc", "max_words"),
    ("gopher_below_avg_threshold", "min_mean_word_length"),
    ("gopher_above_avg_threshold", "max_mean_word_length"),
    ("gopher_too_many_hashes", "max_hash_word_ratio"),
    ("gopher_too_many_ellipsis", "max_ellipsis_word_ratio"),
    ("gopher_too_many_bullets", "max_bullet_line_frac"),
    ("gopher_too_many_end_ellipsis", "max_ellipsis_line_frac"),
    ("gopher_below_alpha_threshold", "min_alpha_word_frac"),
    ("gopher_enough_stop_words", "min_stop_words"),
    ("dup_para_frac", "max_dup_para_frac"),
    ("dup_para_char_frac", "max_dup_para_char_frac"),
    ("dup_line_frac", "max_dup_line_frac"),
    ("dup_line_char_frac", "max_dup_line_char_frac"),
    ("top_2_gram", "max_top_2_gram_char_frac"),
    ("top_3_gram", "max_top_3_gram_char_frac"),
    ("top_4_gram", "max_top_4_gram_char_frac"),
    ("duplicated_5_n_grams", "max_dup_5_gram_char_frac"),
    ("duplicated_6_n_grams", "max_dup_6_gram_char_frac"),
    ("duplicated_7_n_grams", "max_dup_7_gram_char_frac"),
    ("duplicated_8_n_grams", "max_dup_8_gram_char_frac"),
    ("duplicated_9_n_grams", "max_dup_9_gram_char_frac"),
    ("duplicated_10_n_grams", "max_dup_10_gram_char_frac"),
    ("lorem_ipsum", "max_lorem_ipsum_lines"),
    ("curly_bracket", "max_curly_bracket_lines"),
    ("too_few_sentences", "min_sentences"),
    ("line_punct_ratio", "min_line_punct_frac"),
    ("short_line_ratio", "max_short_line_frac"),
    ("char_dup_ratio", "max_line_char_dup_frac"),
    ("list_ratio", "max_newline_word_ratio"),
];

fn fixtures() -> Option<PathBuf> {
    let shared = std::env::var_os("TILLAGE_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared")));
    Some(shared.join("fixtures/quality")).filter(|folder| folder.is_dir())
}

fn rows(path: PathBuf) -> Vec<serde_json::Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn verdicts_agree_with_datatrove() {
    let Some(folder) = fixtures() else {
        println!("shared/fixtures/quality is not here: agreement with datatrove was not measured");
        return;
    };
    let documents = rows(folder.join("docs.jsonl"));
    let verdicts = rows(folder.join("verdicts.jsonl"));
    let mut analyzer = Analyzer::default();
    let signals: Vec<Signals> =
        documents.iter().map(|row| analyzer.signals(row["text"].as_str().unwrap())).collect();
    for filter in ["gopher_quality", "gopher_repetition", "c4", "fineweb"] {
        let (mut verdict, mut reason) = (0, 0);
        let mut differences: BTreeMap<String, usize> = BTreeMap::new();
        for ((document, signals), expected) in documents.iter().zip(&signals).zip(&verdicts) {
            assert_eq!(document["id"], expected["id"]);
            let expected = expected[filter].as_str().unwrap();
            let ours = first_failure(filter, signals).map_or("keep", |threshold| threshold.name);
            let theirs =
                REASONS.iter().find(|(name, _)| *name == expected).map_or(expected, |(_, name)| name);
            verdict += usize::from((ours == "keep") == (theirs == "keep"));
            reason += usize::from(ours == theirs);
            if ours != theirs {
                *differences.entry(format!("theirs {theirs}, ours {ours}")).or_default() += 1;
            }
        }
        let of = documents.len();
        println!(
            "{filter}: same verdict {verdict}/{of} ({:.2} %), same reason {reason}/{of}; {differences:?}",
            100.0 * verdict as f64 / of as f64
        );
        assert!(verdict as f64 >= 0.99 * of as f64, "{filter}: {verdict} of {of} verdicts agree");
    }
}

#[test]
fn cleaned_texts_agree_with_datatrove() {
    let Some(folder) = fixtures() else {
        println!("shared/fixtures/quality is not here: agreement with datatrove was not measured");
        return;
    };
    let (mut kept, mut changed, mut same) = (0, 0, 0);
    for (document, expected) in
        rows(folder.join("docs.jsonl")).iter().zip(&rows(folder.join("verdicts.jsonl")))
    {
        // The reference leaves the text of what it drops alone.
        if expected["c4"] != "keep" {
            continue;
        }
        let cleaned = clean(document["text"].as_str().unwrap());
        let sha1: String = Sha1::digest(&cleaned).iter().map(|byte| format!("{byte:02x}")).collect();
        kept += 1;
        changed += usize::from(expected["c4_changed"] == true);
        same += usize::from(expected["c4_text_sha1"] == sha1);
        if expected["c4_text_sha1"] != sha1 {
            println!("{}: {cleaned:?}", document["id"]);
        }
    }
    println!("C4's line removal: {same} of {kept} texts are equal, {changed} of them changed by it");
    assert!(changed > 500 && same as f64 >= 0.99 * kept as f64, "{same} of {kept} cleaned texts agree");
}
