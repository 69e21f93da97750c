//! The registry: every SQL function of the extension, one file each.
//!
//! To add one, write its file (the algorithm belongs in [`crate::text`]) and add its line here.

use crate::api::Function;

mod c4_clean;
mod contains;
mod cut_words;
mod hash128;
mod jaccard;
mod language;
mod lsh_bands;
mod lsh_choose;
mod matches;
mod minhash;
mod ngrams;
mod normalize;
mod pii;
mod quality;
mod redact;
mod sketch;
mod span_anchors;
mod span_windows;
mod tokens;
mod toxicity;
mod version;
mod words;

/// All functions.
pub fn all() -> Vec<Function> {
    let mut functions = vec![
        c4_clean::function(),
        contains::function(),
        cut_words::function(),
        hash128::function(),
        jaccard::function(),
        language::function(),
        lsh_bands::function(),
        lsh_choose::function(),
        matches::function(),
        minhash::function(),
        ngrams::function(),
        normalize::function(),
        pii::function(),
        quality::function(),
        redact::function(),
        span_anchors::function(),
        span_windows::function(),
        tokens::function(),
        toxicity::function(),
        version::function(),
        words::function(),
        #[cfg(feature = "panic-for-tests")]
        Function::new::<(), i32, (), _>("till_panic_for_tests", |_, ()| panic!("asked to panic")),
    ];
    functions.extend(sketch::functions());
    functions
}

/// Checks an n-gram size that came from SQL.
fn ngram_size(n: i32) -> Result<usize, String> {
    usize::try_from(n)
        .ok()
        .filter(|size| (1..=1000).contains(size))
        .ok_or_else(|| format!("the n-gram size must be between 1 and 1000; got {n}"))
}
