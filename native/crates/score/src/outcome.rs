//! What is known of a row after the model has read it.

use crate::content::Content;
use crate::encode::Item;
use tillage_protocol::EngineError;

/// Losses of one text, summed: of what the loss counts, and of the answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Read {
    /// Nats over what the loss counts.
    pub loss: f64,
    /// Tokens that the loss counts.
    pub labels: usize,
    /// Nats over the answer.
    pub answer: f64,
    /// Tokens of the answer.
    pub answer_labels: usize,
    /// Mean of the last hidden states, `[hidden]`; empty where it was not asked for.
    pub pooled: Vec<f32>,
}

impl Read {
    /// Sums the losses of a text's labels, which come in the order of its positions.
    pub fn of(item: &Item, losses: &[f32], pooled: Vec<f32>) -> Read {
        let mut read = Read { pooled, ..Read::default() };
        let marks = item.marks.iter().skip(1).filter(|(loss, answer)| *loss || *answer);
        for (&(loss, answer), &nll) in marks.zip(losses) {
            let nll = f64::from(nll);
            if loss {
                (read.loss, read.labels) = (read.loss + nll, read.labels + 1);
            }
            if answer {
                (read.answer, read.answer_labels) = (read.answer + nll, read.answer_labels + 1);
            }
        }
        read
    }
}

/// A row's line in the output. Log-probabilities and losses are in nats.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowScore {
    /// The row's `_row_id`, or its number in the file from 1.
    pub row_id: String,
    /// Tokens of all the row's texts after cutting.
    pub tokens: i64,
    /// Tokens that were cut from them.
    pub cut: i64,
    /// Labelled tokens; of a pair its chosen answer's, of choices the right one's.
    pub labels: i64,
    /// Sum of their losses; absent where no token is labelled.
    pub loss_sum: Option<f64>,
    /// Log-probability of the answer, where it can be told from the rest.
    pub completion_logprob: Option<f64>,
    /// Log-probability and labelled tokens of a pair's chosen answer.
    pub chosen: Option<(f64, i64)>,
    /// The same of its rejected answer.
    pub rejected: Option<(f64, i64)>,
    /// Of a row with choices.
    pub choices: Option<Choices>,
    /// The right choice, from 0, where the row names it.
    pub answer: Option<i64>,
    /// The row's vector, `[hidden]`; empty where none was asked for.
    pub embedding: Vec<f32>,
}

impl RowScore {
    /// Mean over the labelled tokens.
    pub fn loss(&self) -> Option<f64> {
        self.loss_sum.map(|sum| sum / self.labels as f64)
    }

    /// Puts a row's line together from its texts.
    ///
    /// # Errors
    /// `not_finite` when a loss is no number, which is the model's fault.
    pub fn of(
        id: &str,
        content: &Content,
        items: &[Item],
        reads: Vec<Read>,
    ) -> Result<RowScore, EngineError> {
        let mut row = RowScore { row_id: id.to_owned(), ..RowScore::default() };
        row.tokens = items.iter().map(|i| i.own() as i64).sum();
        row.cut = items.iter().map(|i| i.cut as i64).sum();
        let logprob = |read: &Read| (-read.answer, read.answer_labels as i64);
        let counted = match content {
            Content::Text(_) => {
                let known = items[0].answered && reads[0].answer_labels > 0;
                row.completion_logprob = known.then_some(-reads[0].answer);
                Some(0)
            }
            Content::Pair(_) => {
                row.chosen = Some(logprob(&reads[0]));
                row.rejected = Some(logprob(&reads[1]));
                row.completion_logprob = Some(-reads[0].answer);
                Some(0)
            }
            Content::Choices { choices, answer, .. } => {
                row.choices = Some(Choices::of(choices, &reads));
                row.answer = answer.map(|a| a as i64);
                row.completion_logprob = answer.map(|a| -reads[a].answer);
                *answer
            }
        };
        if let Some(read) = counted.map(|at| &reads[at]).filter(|read| read.labels > 0) {
            row.labels = read.labels as i64;
            row.loss_sum = Some(read.loss);
        }
        if !reads.iter().all(|r| r.loss.is_finite() && r.answer.is_finite()) {
            return Err(EngineError::user(
                "not_finite",
                format!("Row {id}: the model's loss is no number."),
                "Check the model's weights: they lead to no probabilities.",
            ));
        }
        if let Some(read) = reads.into_iter().next() {
            row.embedding = read.pooled;
        }
        Ok(row)
    }
}

/// The choices of a row, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choices {
    /// Log-probability of each, summed over its tokens.
    pub logprobs: Vec<f64>,
    /// Labelled tokens of each.
    pub labels: Vec<i64>,
    /// Bytes of each choice's text without the white space that sets it off from the prompt.
    pub bytes: Vec<i64>,
}

impl Choices {
    fn of(texts: &[String], reads: &[Read]) -> Choices {
        Choices {
            logprobs: reads.iter().map(|r| -r.answer).collect(),
            labels: reads.iter().map(|r| r.answer_labels as i64).collect(),
            bytes: texts.iter().map(|t| t.trim_start().len().max(1) as i64).collect(),
        }
    }

    /// Log-probabilities divided by the choices' tokens.
    pub fn per_token(&self) -> Vec<f64> {
        self.logprobs.iter().zip(&self.labels).map(|(p, n)| p / *n as f64).collect()
    }

    /// Log-probabilities divided by the choices' bytes.
    pub fn per_byte(&self) -> Vec<f64> {
        self.logprobs.iter().zip(&self.bytes).map(|(p, n)| p / *n as f64).collect()
    }

    /// The likeliest; of equal ones the first.
    pub fn best(values: &[f64]) -> i64 {
        let mut best = 0;
        for (i, value) in values.iter().enumerate() {
            if *value > values[best] {
                best = i;
            }
        }
        best as i64
    }
}
