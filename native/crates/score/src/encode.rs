//! Rows as texts of tokens, with the labels that are scored.

use crate::content::{Content, Shape};
use crate::source::SourceRow;
use std::sync::Arc;
use tillage_model::Packed;
use tillage_protocol::run::{LossOn, Template};
use tillage_protocol::EngineError;
use tillage_text::{Clock, Example, RowEncoder, RowText, Tokenizer};

/// A text to run the model over.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub tokens: Vec<u32>,
    /// For each token whether the loss counts it, and whether it belongs to the answer.
    pub marks: Vec<(bool, bool)>,
    /// Tokens of a tuned prompt at the front; the first token of the text is a label then, as in training.
    pub prompt: usize,
    /// Tokens that were cut.
    pub cut: usize,
    /// Whether an answer can be told from the rest.
    pub answered: bool,
}

impl Item {
    /// Tokens of the text itself.
    pub fn own(&self) -> usize {
        self.tokens.len() - self.prompt
    }

    /// Labelled tokens; the first of all tokens is never one.
    pub fn labels(&self) -> usize {
        self.marks.iter().skip(1).filter(|(loss, answer)| *loss || *answer).count()
    }

    fn of(example: Example) -> Item {
        let marks = example.trained.iter().map(|&t| (t, t)).collect();
        Item { tokens: example.tokens, marks, prompt: 0, cut: example.cut, answered: true }
    }

    /// The text behind a tuned prompt, which carries no label.
    fn behind(mut self, prompt: &[u32]) -> Item {
        self.tokens.splice(..0, prompt.iter().copied());
        self.marks.splice(..0, prompt.iter().map(|_| (false, false)));
        self.prompt = prompt.len();
        self
    }
}

/// Turns the rows of a file into texts.
#[derive(Debug)]
pub struct Encoder {
    /// By the rule for the loss.
    loss: RowEncoder,
    /// By the rule for the answer.
    answer: RowEncoder,
    shape: Shape,
    /// The tuned prompt that stands before every text.
    prompt: Vec<u32>,
}

impl Encoder {
    /// `context` counts the tuned prompt, which is empty where there is none.
    ///
    /// # Errors
    /// As [`RowEncoder::new`]; `no_completion` when the loss should count completions and rows are texts.
    pub fn new(
        tokenizer: &Arc<Tokenizer>,
        template: &Template,
        loss_on: Option<LossOn>,
        (context, prompt): (usize, Vec<u32>),
        shape: Shape,
    ) -> Result<Encoder, EngineError> {
        let context = context - prompt.len();
        // Both encoders see the same time, or they could render two different texts.
        let clock = Clock::freeze();
        let with = |rule| RowEncoder::new(Arc::clone(tokenizer), template.clone(), rule, context, clock);
        let rule = match shape {
            Shape::Text => loss_on.unwrap_or(LossOn::All),
            Shape::PromptCompletion => loss_on.unwrap_or(LossOn::Completion),
            Shape::Messages => loss_on.unwrap_or(LossOn::Assistant),
            Shape::Pair | Shape::PairOfMessages | Shape::Choices => LossOn::Completion,
        };
        Ok(Encoder { loss: with(rule)?, answer: with(LossOn::Completion)?, shape, prompt })
    }

    /// The texts of a row: one, the chosen and the rejected one, or one for each choice.
    ///
    /// # Errors
    /// The row's, with its name.
    pub fn items(&self, row: &SourceRow) -> Result<Vec<Item>, EngineError> {
        let items: Result<Vec<Item>, EngineError> = match &row.content {
            Content::Text(text) => self.text(text).map(|item| vec![item]),
            Content::Pair(texts) => {
                texts.iter().map(|text| Ok(Item::of(self.answer.encode(text)?.0))).collect()
            }
            Content::Choices { prompt, choices, .. } => {
                choices.iter().map(|choice| self.choice(prompt, choice)).collect()
            }
        };
        let items = items.map_err(|mut e| {
            e.message = format!("Row {}: {}", row.id, e.message);
            e
        })?;
        Ok(items.into_iter().map(|item| item.behind(&self.prompt)).collect())
    }

    fn text(&self, text: &RowText) -> Result<Item, EngineError> {
        let mut item = Item::of(self.loss.encode(text)?.0);
        item.answered = self.shape != Shape::Text;
        let answer = match (self.shape, self.answer.encode(text)) {
            (Shape::Text, _) => None,
            (_, Ok((example, _))) => Some(example.trained),
            // A template that rewrites earlier turns: the loss was asked of all tokens, and the answer stays unknown.
            (_, Err(e)) if e.code == "no_assistant_mask" => None,
            (_, Err(e)) => return Err(e),
        };
        item.answered = answer.is_some();
        for (at, mark) in item.marks.iter_mut().enumerate() {
            mark.1 = answer.as_ref().is_some_and(|a| a[at]);
        }
        Ok(item)
    }

    fn choice(&self, prompt: &str, choice: &str) -> Result<Item, EngineError> {
        let item = Item::of(self.answer.continuation(prompt, choice)?);
        if item.labels() == 0 && self.prompt.is_empty() {
            return Err(EngineError::user(
                "unscorable_choice",
                format!("the choice {choice:?} is a single token with nothing before it, which has no probability."),
                "Give the row a prompt.",
            ));
        }
        Ok(item)
    }
}

/// Lays texts end to end.
pub fn pack<'a>(items: impl IntoIterator<Item = &'a Item>) -> Packed {
    let marks = |item: &'a Item| item.marks.iter().map(|(first, second)| *first || *second);
    Packed::marked(items.into_iter().map(|item| (&item.tokens[..], marks(item))))
}
