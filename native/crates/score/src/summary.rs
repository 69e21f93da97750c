//! All rows together.

use crate::columns::{best, best_per_byte, best_per_token};
use crate::outcome::RowScore;
use crate::Hashes;
use tillage_protocol::score::{ChoiceSummary, PairSummary, ScoreResult, ScoredRow};

/// Rows that are named as the worst.
const WORST: usize = 20;

/// What the rows so far came to.
#[derive(Debug, Default)]
pub struct Summary {
    rows: u64,
    labels: u64,
    loss: f64,
    cut_rows: u64,
    cut_tokens: u64,
    unlabelled: u64,
    pairs: u64,
    preferred: u64,
    margin: f64,
    choices: u64,
    answered: u64,
    right: [u64; 3],
    worst: Vec<ScoredRow>,
}

impl Summary {
    /// Counts a row.
    pub fn add(&mut self, row: &RowScore) {
        self.rows += 1;
        self.labels += row.labels as u64;
        self.loss += row.loss_sum.unwrap_or(0.0);
        self.cut_rows += u64::from(row.cut > 0);
        self.cut_tokens += row.cut as u64;
        if let (Some((chosen, _)), Some((rejected, _))) = (row.chosen, row.rejected) {
            self.pairs += 1;
            self.preferred += u64::from(chosen > rejected);
            self.margin += chosen - rejected;
        }
        if row.choices.is_some() {
            self.choices += 1;
            if let Some(answer) = row.answer {
                self.answered += 1;
                let chosen = [best(row), best_per_token(row), best_per_byte(row)];
                self.right.iter_mut().zip(chosen).for_each(|(n, c)| *n += u64::from(c == answer));
            }
        }
        match row.loss() {
            Some(loss) => {
                self.note(ScoredRow { row_id: row.row_id.clone(), loss, labels: row.labels as u64 })
            }
            // Choices without an answer have no loss of their own to miss.
            None => self.unlabelled += u64::from(row.choices.is_none() || row.answer.is_some()),
        }
    }

    /// Keeps the largest losses, of equal ones the first seen.
    fn note(&mut self, row: ScoredRow) {
        let at = self.worst.partition_point(|w| w.loss >= row.loss);
        if at < WORST {
            self.worst.insert(at, row);
            self.worst.truncate(WORST);
        }
    }

    /// What all rows came to; `tokens` were computed in `seconds`.
    pub fn result(self, tokens: u64, seconds: f64, (model_hash, adapter_hash): Hashes) -> ScoreResult {
        let loss = (self.labels > 0).then(|| self.loss / self.labels as f64);
        let share = |n: u64| (self.answered > 0).then(|| n as f64 / self.answered as f64);
        ScoreResult {
            rows: self.rows,
            tokens,
            labels: self.labels,
            loss,
            perplexity: loss.map(f64::exp),
            cut_rows: self.cut_rows,
            cut_tokens: self.cut_tokens,
            unlabelled_rows: self.unlabelled,
            pairs: (self.pairs > 0).then(|| PairSummary {
                accuracy: self.preferred as f64 / self.pairs as f64,
                margin: self.margin / self.pairs as f64,
            }),
            choices: (self.choices > 0).then(|| ChoiceSummary {
                answered: self.answered,
                accuracy: share(self.right[0]),
                accuracy_per_token: share(self.right[1]),
                accuracy_per_byte: share(self.right[2]),
            }),
            worst: self.worst,
            seconds,
            model_hash,
            adapter_hash,
        }
    }
}
