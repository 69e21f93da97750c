//! `till_quality(text VARCHAR) -> STRUCT(...)`: every quality and repetition signal in one pass.

use crate::api::{Function, Text, Type, Value, Vector};
use crate::text::quality::{Analyzer, Signals};

/// Signals as SQL shows them: the arrays of n-gram fractions become a field each.
struct Row(Signals);

macro_rules! fields {
    ($($name:literal $field:ident $([$index:literal])? : $kind:ty),* $(,)?) => {
        impl Value for Row {
            fn sql_type() -> Type {
                Type::Struct(vec![$(($name, <$kind as Value>::sql_type())),*])
            }
            #[allow(unused_assignments)] // the last increment
            fn write(&self, column: &Vector, row: usize) -> Result<(), String> {
                let mut child = 0;
                $(
                    self.0.$field $([$index])?.write(&column.struct_child(child), row)?;
                    child += 1;
                )*
                Ok(())
            }
            #[allow(unused_assignments)]
            fn write_null(column: &Vector, row: usize) {
                column.set_null(row);
                let mut child = 0;
                $(
                    <$kind as Value>::write_null(&column.struct_child(child), row);
                    child += 1;
                )*
            }
        }
    };
}

fields! {
    "n_words" n_words: i64,
    "mean_word_length" mean_word_length: f64,
    "hash_word_ratio" hash_word_ratio: f64,
    "ellipsis_word_ratio" ellipsis_word_ratio: f64,
    "symbol_word_ratio" symbol_word_ratio: f64,
    "bullet_line_frac" bullet_line_frac: f64,
    "ellipsis_line_frac" ellipsis_line_frac: f64,
    "alpha_word_frac" alpha_word_frac: f64,
    "stop_words" stop_words: i32,
    "dup_line_frac" dup_line_frac: f64,
    "dup_para_frac" dup_para_frac: f64,
    "dup_line_char_frac" dup_line_char_frac: f64,
    "dup_para_char_frac" dup_para_char_frac: f64,
    "top_2_gram_char_frac" top_ngram_char_frac[0]: f64,
    "top_3_gram_char_frac" top_ngram_char_frac[1]: f64,
    "top_4_gram_char_frac" top_ngram_char_frac[2]: f64,
    "dup_5_gram_char_frac" dup_ngram_char_frac[0]: f64,
    "dup_6_gram_char_frac" dup_ngram_char_frac[1]: f64,
    "dup_7_gram_char_frac" dup_ngram_char_frac[2]: f64,
    "dup_8_gram_char_frac" dup_ngram_char_frac[3]: f64,
    "dup_9_gram_char_frac" dup_ngram_char_frac[4]: f64,
    "dup_10_gram_char_frac" dup_ngram_char_frac[5]: f64,
    "line_punct_frac" line_punct_frac: f64,
    "short_line_frac" short_line_frac: f64,
    "line_char_dup_frac" line_char_dup_frac: f64,
    "newline_word_ratio" newline_word_ratio: f64,
    "c4_sentences" c4_sentences: i64,
    "c4_lorem_ipsum_lines" c4_lorem_ipsum_lines: i64,
    "c4_curly_bracket_lines" c4_curly_bracket_lines: i64,
    "c4_removed_lines" c4_removed_lines: i64,
}

pub fn function() -> Function {
    Function::new::<(Text,), Row, Analyzer, _>("till_quality", |analyzer, (text,)| {
        Ok(Row(analyzer.signals(text)))
    })
}
