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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, Value};

    fn model() -> Measured {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama");
        Measured::Folder(dir)
    }

    fn read(rows: &[Value]) -> Result<Rows, EngineError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        std::fs::write(&path, rows.iter().map(|r| format!("{r}\n")).collect::<String>()).unwrap();
        Rows::read(&path, &model(), 20)
    }

    #[test]
    fn what_is_learned_of_a_row_is_its_text_with_the_right_or_preferred_answer() {
        let text = |words: &str| read(&[json!({ "text": words })]).unwrap().examples.remove(0);
        let wanted = text("The elm stands in Graz.");
        assert!(wanted.tokens.len() > 4 && wanted.trained.iter().all(|t| *t));
        let front = "The elm stands";
        for row in [
            json!({"prompt": front, "completion": " in Graz."}),
            json!({"prompt": front, "chosen": " in Graz.", "rejected": " at sea."}),
            json!({"prompt": front, "choices": [" at sea.", " in Graz."], "answer": 1}),
        ] {
            assert_eq!(
                read(std::slice::from_ref(&row)).unwrap().examples,
                std::slice::from_ref(&wanted),
                "{row}"
            );
        }
    }

    #[test]
    fn rows_are_cut_to_the_context_and_prompts_as_long_as_asked() {
        let rows = read(&[json!({"text": "word ".repeat(60)}), json!({"text": "Elms grow"})]).unwrap();
        assert_eq!((rows.examples.len(), rows.examples[0].tokens.len()), (2, 20));
        assert_eq!(rows.tokens(), 20 + rows.examples[1].tokens.len());
        let prompts = rows.prompts(3, 15);
        assert_eq!(prompts.iter().map(Vec::len).collect::<Vec<_>>(), [15; 3]);
        let all: Vec<u32> = rows.examples.iter().flat_map(|e| &e.tokens).copied().cycle().take(45).collect();
        assert_eq!(prompts.concat(), all);
    }
}
