use super::*;

fn signals(text: &str) -> Signals {
    Analyzer::default().signals(text)
}

fn near(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-12, "{actual} is not {expected}");
}

#[test]
fn counts_words_and_symbols() {
    let text = "The cat, and the dog ... have 3 # tags!";
    // Words: The cat , and the dog ... have 3 # tags !
    let signals = signals(text);
    assert_eq!(signals.n_words, 8);
    near(signals.mean_word_length, (3 + 3 + 3 + 3 + 3 + 4 + 1 + 4) as f64 / 8.0);
    near(signals.hash_word_ratio, 1.0 / 12.0);
    near(signals.ellipsis_word_ratio, 1.0 / 12.0);
    near(signals.alpha_word_frac, 7.0 / 12.0);
    assert_eq!(signals.stop_words, 3, "the, and, have; The is not one");
}

#[test]
fn counts_lines_and_paragraphs() {
    let signals = signals("- one\n• two\n  - three...\nfour …\n\nsame\n\nsame\n\nother");
    near(signals.bullet_line_frac, 3.0 / 10.0);
    near(signals.ellipsis_line_frac, 2.0 / 10.0);
    near(signals.dup_line_frac, 1.0 / 7.0);
    near(signals.dup_para_frac, 1.0 / 4.0);
    let characters = "- one\n• two\n  - three...\nfour …\n\nsame\n\nsame\n\nother".chars().count() as f64;
    near(signals.dup_line_char_frac, 4.0 / characters);
    near(signals.dup_para_char_frac, 4.0 / characters);
}

#[test]
fn counts_repeated_ngrams() {
    let signals_of_pair = signals("a b a b a c");
    // "a b" and "b a" occur twice each; the first counts: 3 characters, 2 times, of 11.
    near(signals_of_pair.top_ngram_char_frac[0], 6.0 / 11.0);
    let phrase = "we walk up the hill";
    let text = format!("{phrase} {phrase} {phrase}");
    let signals = signals(&text);
    // Second and third occurrence: 15 characters without spaces each.
    near(signals.dup_ngram_char_frac[0], 30.0 / text.len() as f64);
    // The ten words from the sixth on are the first ten again.
    near(signals.dup_ngram_char_frac[5], 30.0 / text.len() as f64);
}

#[test]
fn the_empty_text_has_zeros() {
    assert_eq!(signals(""), Signals::default());
    assert_eq!(signals(" \n ").n_words, 0);
    assert_eq!(signals("one").top_ngram_char_frac, [0.0; 3]);
}

#[test]
fn buffers_do_not_leak_from_text_to_text() {
    let mut analyzer = Analyzer::default();
    let long = "some words again and again and again\n".repeat(50);
    let first = analyzer.signals("a b c");
    analyzer.signals(&long);
    assert_eq!(analyzer.signals("a b c"), first);
}

#[test]
fn hostile_texts_take_linear_time() {
    let start = std::time::Instant::now();
    for piece in [":)", ")", "(", "a.", "...", "a-", "@a.b", "://", "\n", "- ", "…", "'s", "1km", "a b "] {
        signals(&piece.repeat(300_000));
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn a_word_with_a_letter_among_digits_counts_as_alphabetic() {
    near(signals("b12 3rd 42 #1").alpha_word_frac, 2.0 / 5.0);
}

#[test]
fn a_text_exactly_at_a_threshold_stays() {
    // 50 words of mean length 3 with just two stop words, and one of five lacks a letter.
    let signals = Signals {
        n_words: 50,
        mean_word_length: 3.0,
        alpha_word_frac: 0.8,
        stop_words: 2,
        hash_word_ratio: 0.1,
        ellipsis_word_ratio: 0.1,
        bullet_line_frac: 0.9,
        ellipsis_line_frac: 0.3,
        dup_line_frac: 0.3,
        dup_para_frac: 0.3,
        line_punct_frac: 0.12,
        short_line_frac: 0.67,
        ..Signals::default()
    };
    for filter in ["gopher_quality", "gopher_repetition", "fineweb"] {
        assert_eq!(first_failure(filter, &signals).map(|threshold| threshold.name), None, "{filter}");
    }
    let fails = |change: fn(&mut Signals), filter: &str| {
        let mut changed = signals.clone();
        change(&mut changed);
        first_failure(filter, &changed).map(|threshold| threshold.name)
    };
    assert_eq!(fails(|s| s.n_words = 49, "gopher_quality"), Some("min_words"));
    assert_eq!(fails(|s| s.stop_words = 1, "gopher_quality"), Some("min_stop_words"));
    assert_eq!(fails(|s| s.dup_line_frac = 0.301, "gopher_repetition"), Some("max_dup_line_frac"));
    assert_eq!(fails(|s| s.line_punct_frac = 0.119, "fineweb"), Some("min_line_punct_frac"));
}

#[test]
fn thresholds_json_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/thresholds.json");
    if std::env::var_os("UPDATE_THRESHOLDS").is_some() {
        std::fs::write(path, to_json()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), to_json(), "run UPDATE_THRESHOLDS=1 cargo test");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&to_json()).unwrap();
    assert_eq!(rows.len(), THRESHOLDS.len());
}
