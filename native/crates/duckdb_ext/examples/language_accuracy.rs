//! Accuracy of `till_language` by length of text and by language, and texts a second beside whichlang and whatlang.
//!
//! usage: cargo run --release -p tillage-duckdb-ext --example language_accuracy -- TEXTS.jsonl
//! TEXTS.jsonl has `{"lang", "text"}` a line, as bench/language/udhr.mjs writes it. Each text is cut at white space
//! into as many pieces of about a length as it has; a piece counts as right when the language is.

use std::collections::BTreeMap;
use std::time::Instant;
use tillage::text::language::detect;

const LENGTHS: [usize; 5] = [20, 50, 100, 200, 500];

/// Pieces of at least `length` characters that end before white space, or anywhere in scripts without it.
fn pieces(text: &str, length: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut count) = (0, 0);
    for (index, character) in text.char_indices() {
        count += 1;
        if count >= length && (character.is_whitespace() || count >= length + 15) {
            let end = index + character.len_utf8();
            pieces.push(text[start..end].trim());
            (start, count) = (end, 0);
        }
    }
    pieces
}

fn main() {
    let file = std::env::args().nth(1).expect("usage: language_accuracy TEXTS.jsonl");
    let rows: Vec<(String, String)> = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{file}: {error}"))
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("one JSON object a line");
            let field = |name: &str| row[name].as_str().expect("lang and text in every row").to_owned();
            (field("lang"), field("text"))
        })
        .collect();
    println!("{} languages; share of the pieces that are right, mean over languages", rows.len());
    println!(
        "{:>6} {:>7} | {:>9} {:>9} {:>10} | {:>12} {:>12}",
        "chars", "pieces", "all", "sure>=.65", "wrong&sure", "en", "texts/s"
    );
    let mut by_language: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut mistakes: BTreeMap<(String, String), usize> = BTreeMap::new();
    for length in LENGTHS {
        let (mut all, mut sure, mut wrong_sure, mut english, mut total) = (0.0, 0.0, 0.0, 0.0, 0);
        let start = Instant::now();
        for (lang, text) in &rows {
            let pieces = pieces(text, length);
            let (mut right, mut sure_right, mut sure_wrong) = (0, 0, 0);
            for piece in &pieces {
                let found = detect(piece);
                let is_right = found.lang == Some(lang);
                right += usize::from(is_right);
                sure_right += usize::from(is_right && found.confidence >= 0.65);
                sure_wrong += usize::from(!is_right && found.confidence >= 0.65);
                if !is_right && length == 100 {
                    *mistakes.entry((lang.clone(), found.lang.unwrap_or("none").to_owned())).or_default() +=
                        1;
                }
            }
            let share = |part: usize| part as f64 / pieces.len().max(1) as f64;
            by_language.entry(lang).or_default().push(share(right));
            all += share(right);
            sure += share(sure_right);
            wrong_sure += share(sure_wrong);
            english = if lang == "en" { share(right) } else { english };
            total += pieces.len();
        }
        let rate = total as f64 / start.elapsed().as_secs_f64();
        let mean = |sum: f64| 100.0 * sum / rows.len() as f64;
        println!(
            "{length:>6} {total:>7} | {:>8.1}% {:>8.1}% {:>9.1}% | {:>11.1}% {rate:>12.0}",
            mean(all),
            mean(sure),
            mean(wrong_sure),
            100.0 * english
        );
    }
    let (pieces, start): (Vec<&str>, _) =
        (rows.iter().flat_map(|(_, text)| pieces(text, 200)).collect(), Instant::now());
    let rate = |start: Instant| pieces.len() as f64 / start.elapsed().as_secs_f64();
    pieces.iter().for_each(|piece| {
        std::hint::black_box(detect(piece).lang);
    });
    let ours = rate(start);
    let start = Instant::now();
    pieces.iter().for_each(|piece| {
        std::hint::black_box(whichlang::detect_language(piece).three_letter_code());
    });
    let linear = rate(start);
    let start = Instant::now();
    pieces.iter().for_each(|piece| {
        std::hint::black_box(whatlang::detect(piece).map(|info| info.lang().code()));
    });
    println!(
        "\ntexts/s at 200 characters: till_language {ours:.0}, whichlang {linear:.0}, whatlang {:.0}",
        rate(start)
    );
    println!("\nby language, % right at {LENGTHS:?} characters");
    for (lang, shares) in by_language {
        let shares: Vec<String> = shares.iter().map(|share| format!("{:>4.0}", 100.0 * share)).collect();
        println!("{lang} {}", shares.join(" "));
    }
    let mut mistakes: Vec<_> = mistakes.into_iter().collect();
    mistakes.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    println!("\ncommonest mistakes at 100 characters: {:?}", &mistakes[..mistakes.len().min(15)]);
}
