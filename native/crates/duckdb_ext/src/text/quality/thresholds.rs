//! Default thresholds of the presets, in the order in which the reference evaluates them.
//!
//! `thresholds.json` beside the crate's manifest is this table for programs in other languages; a
//! test fails when it is stale (`UPDATE_THRESHOLDS=1 cargo test` rewrites it).

use super::Signals;

/// How a signal fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// It must not be below the threshold.
    Below,
    /// It must not be above the threshold.
    Above,
}

/// A text leaves when `field` is below or above `default`.
#[derive(Debug)]
pub struct Threshold {
    /// Name of the preset in a recipe.
    pub preset: &'static str,
    /// Name of the preset's filter that it belongs to.
    pub filter: &'static str,
    /// Reason on the receipt, and the key by which a recipe overrides the default.
    pub name: &'static str,
    /// Field of the struct that `till_quality` gives.
    pub field: &'static str,
    /// On which side a text fails.
    pub op: Op,
    /// The threshold where a recipe sets no other.
    pub default: f64,
    /// What is wrong with a text that fails, for people.
    pub doc: &'static str,
    /// Where the threshold comes from: paper and section.
    pub source: &'static str,
    value: fn(&Signals) -> f64,
}

impl Threshold {
    /// Whether a text with these signals leaves by this rule.
    pub fn fails(&self, signals: &Signals) -> bool {
        let value = (self.value)(signals);
        match self.op {
            Op::Below => value < self.default,
            Op::Above => value > self.default,
        }
    }
}

/// The first rule of a filter that a text fails.
pub fn first_failure(filter: &str, signals: &Signals) -> Option<&'static Threshold> {
    THRESHOLDS
        .iter()
        .filter(|threshold| threshold.filter == filter)
        .find(|threshold| threshold.fails(signals))
}

const GOPHER_RULES: &str = "Rae et al. 2021, section A1.1";
const GOPHER_TABLE: &str = "Rae et al. 2021, table A1";
const C4: &str = "Raffel et al. 2020, section 2.2; datatrove 0.10";
const FINEWEB: &str = "Penedo et al. 2024, section 3.6; datatrove 0.10";

macro_rules! thresholds {
    ($($preset:literal $filter:literal { $($name:literal $field:ident $([$index:literal] = $column:literal)? $op:ident $default:literal, $doc:literal, $source:expr;)* })*) => {
        /// Every default threshold, each filter's in order.
        pub const THRESHOLDS: &[Threshold] = &[$($(Threshold {
            preset: $preset,
            filter: $filter,
            name: $name,
            field: column!($field $($column)?),
            op: Op::$op,
            default: $default,
            doc: $doc,
            source: $source,
            value: |signals| signals.$field $([$index])? as f64,
        }),*),*];
    };
}

/// The SQL name of a signal: its field's, or that of one element of an array.
macro_rules! column {
    ($field:ident $column:literal) => {
        $column
    };
    ($field:ident) => {
        stringify!($field)
    };
}

thresholds! {
    "gopher" "gopher_quality" {
        "min_words" n_words Below 50.0, "too few words", GOPHER_RULES;
        "max_words" n_words Above 100_000.0, "too many words", GOPHER_RULES;
        "min_mean_word_length" mean_word_length Below 3.0, "words too short on average", GOPHER_RULES;
        "max_mean_word_length" mean_word_length Above 10.0, "words too long on average", GOPHER_RULES;
        "max_hash_word_ratio" hash_word_ratio Above 0.1, "too many # signs a word", GOPHER_RULES;
        "max_ellipsis_word_ratio" ellipsis_word_ratio Above 0.1, "too many ellipses a word", GOPHER_RULES;
        "max_bullet_line_frac" bullet_line_frac Above 0.9, "too many lines begin with a bullet", GOPHER_RULES;
        "max_ellipsis_line_frac" ellipsis_line_frac Above 0.3, "too many lines end with an ellipsis", GOPHER_RULES;
        "min_alpha_word_frac" alpha_word_frac Below 0.8, "too few words have a letter", GOPHER_RULES;
        "min_stop_words" stop_words Below 2.0, "too few English stop words", GOPHER_RULES;
    }
    "gopher" "gopher_repetition" {
        "max_dup_para_frac" dup_para_frac Above 0.3, "too many repeated paragraphs", GOPHER_TABLE;
        "max_dup_para_char_frac" dup_para_char_frac Above 0.2, "too much text in repeated paragraphs", GOPHER_TABLE;
        "max_dup_line_frac" dup_line_frac Above 0.3, "too many repeated lines", GOPHER_TABLE;
        "max_dup_line_char_frac" dup_line_char_frac Above 0.2, "too much text in repeated lines", GOPHER_TABLE;
        "max_top_2_gram_char_frac" top_ngram_char_frac [0] = "top_2_gram_char_frac" Above 0.2, "one word pair makes up too much of the text", GOPHER_TABLE;
        "max_top_3_gram_char_frac" top_ngram_char_frac [1] = "top_3_gram_char_frac" Above 0.18, "one word triple makes up too much of the text", GOPHER_TABLE;
        "max_top_4_gram_char_frac" top_ngram_char_frac [2] = "top_4_gram_char_frac" Above 0.16, "one run of 4 words makes up too much of the text", GOPHER_TABLE;
        "max_dup_5_gram_char_frac" dup_ngram_char_frac [0] = "dup_5_gram_char_frac" Above 0.15, "too much text in repeated runs of 5 words", GOPHER_TABLE;
        "max_dup_6_gram_char_frac" dup_ngram_char_frac [1] = "dup_6_gram_char_frac" Above 0.14, "too much text in repeated runs of 6 words", GOPHER_TABLE;
        "max_dup_7_gram_char_frac" dup_ngram_char_frac [2] = "dup_7_gram_char_frac" Above 0.13, "too much text in repeated runs of 7 words", GOPHER_TABLE;
        "max_dup_8_gram_char_frac" dup_ngram_char_frac [3] = "dup_8_gram_char_frac" Above 0.12, "too much text in repeated runs of 8 words", GOPHER_TABLE;
        "max_dup_9_gram_char_frac" dup_ngram_char_frac [4] = "dup_9_gram_char_frac" Above 0.11, "too much text in repeated runs of 9 words", GOPHER_TABLE;
        "max_dup_10_gram_char_frac" dup_ngram_char_frac [5] = "dup_10_gram_char_frac" Above 0.10, "too much text in repeated runs of 10 words", GOPHER_TABLE;
    }
    "c4" "c4" {
        "max_lorem_ipsum_lines" c4_lorem_ipsum_lines Above 0.0, "a line says lorem ipsum", C4;
        "max_curly_bracket_lines" c4_curly_bracket_lines Above 0.0, "a line has a curly bracket", C4;
        "min_sentences" c4_sentences Below 5.0, "too few sentences in the lines that stay", C4;
    }
    "fineweb" "fineweb" {
        "min_line_punct_frac" line_punct_frac Below 0.12, "too few lines end a sentence", FINEWEB;
        "max_short_line_frac" short_line_frac Above 0.67, "too many short lines", FINEWEB;
        "max_line_char_dup_frac" line_char_dup_frac Above 0.01, "too much text in repeated lines", FINEWEB;
        "max_newline_word_ratio" newline_word_ratio Above 0.3, "too many line breaks a word", FINEWEB;
    }
}

/// The table as JSON: an array with one object a line.
pub fn to_json() -> String {
    let rows: Vec<String> = THRESHOLDS
        .iter()
        .map(|threshold| {
            let Threshold { preset, filter, name, field, op, default, doc, source, .. } = threshold;
            let op = if *op == Op::Below { "<" } else { ">" };
            format!(
                r#"  {{"preset": "{preset}", "filter": "{filter}", "name": "{name}", "field": "{field}", "op": "{op}", "default": {default}, "doc": "{doc}", "source": "{source}"}}"#
            )
        })
        .collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}
