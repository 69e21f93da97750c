//! The rows that are learned from, as tokens.

use crate::shape::{shape, Source as Measured};
use std::path::Path;
use std::sync::Arc;
use tillage_model::Packed;
use tillage_protocol::run::{LossOn, Template};
use tillage_protocol::EngineError;
use tillage_score::content::Content;
use tillage_score::source::Source;
use tillage_text::{bpe, Clock, Example, RowEncoder, RowText, Tokenizer};

/// Rows that are taken at most, from the beginning of the file.
const MOST: usize = 2048;

/// Vocabulary at most of the tokenizer that is trained where a shape has none.
const VOCABULARY: usize = 8192;

/// A file's rows.
#[derive(Debug)]
pub struct Rows {
    /// Those of two tokens or more, in the order of the file.
    pub examples: Vec<Example>,
    /// See [`tillage_protocol::bench::BenchResult::tokenizer`].
    pub tokenizer: &'static str,
}

impl Rows {
    /// Reads a file's first rows: texts, prompts with completions, conversations, and of pairs the chosen answer. Plain rows end with
    /// the tokenizer's end; a conversation takes the model's template, where it has one, and is otherwise its turns joined.
    ///
    /// # Errors
    /// User errors of the file and the folder; `no_rows` when no row has two tokens.
    pub fn read(path: &Path, model: &Measured, context: usize) -> Result<Rows, EngineError> {
        let texts: Vec<RowText> = Source::open(path)?
            .block(MOST)?
            .into_iter()
            .map(|row| match row.content {
                Content::Text(text) => text,
                Content::Pair([chosen, _]) => chosen,
                Content::Choices { prompt, choices, answer } => RowText::PromptCompletion {
                    prompt,
                    completion: choices.into_iter().nth(answer.unwrap_or(0)).unwrap_or_default(),
                },
            })
            .collect();
        let (tokenizer, from) = match model {
            Measured::Folder(dir) => (Tokenizer::load(dir)?, "model"),
            Measured::Shape(name) => {
                let parts: Vec<&str> = texts.iter().flat_map(RowText::parts).collect();
                let (known, _) = shape(name);
                (bpe::train(&parts, VOCABULARY.min(known), context)?, "trained")
            }
        };
        let tokenizer = Arc::new(tokenizer);
        let template = match tokenizer.chat_template() {
            Some(_) if texts.iter().any(|t| matches!(t, RowText::Messages { .. })) => Template::Chat,
            _ => Template::Plain,
        };
        let encoder = RowEncoder::new(tokenizer, template, LossOn::All, context, Clock::freeze())?;
        let mut examples = Vec::with_capacity(texts.len());
        for text in &texts {
            let (example, _) = encoder.encode(text)?;
            if example.label_tokens() > 0 {
                examples.push(example);
            }
        }
        if examples.is_empty() {
            return Err(EngineError::user(
                "no_rows",
                format!("{} has no row of two tokens.", path.display()),
                "Name a file with longer rows.",
            )
            .with_file(path));
        }
        Ok(Rows { examples, tokenizer: from })
    }

    /// Tokens of all rows after cutting.
    pub fn tokens(&self) -> usize {
        self.examples.iter().map(|e| e.tokens.len()).sum()
    }

    /// Some rows laid end to end.
    pub fn pack(&self, rows: &[usize]) -> Packed {
        let rows = rows.iter().map(|row| &self.examples[*row]);
        Packed::marked(rows.map(|e| (&e.tokens[..], e.trained.iter().copied())))
    }

    /// `count` prompts of `length` tokens each: the rows' tokens one after the other, so that short rows do as well.
    pub fn prompts(&self, count: usize, length: usize) -> Vec<Vec<u32>> {
        let mut all = self.examples.iter().flat_map(|e| &e.tokens).copied().cycle();
        (0..count).map(|_| all.by_ref().take(length).collect()).collect()
    }
}
