//! Which validation was the best, and whether it is time to end the run.

use crate::dataset::Dataset;
use serde::{Deserialize, Serialize};
use tillage_protocol::course::Best;
use tillage_protocol::run::TrainConfig;
use tillage_protocol::{EngineError, RunSpec};

/// What the validations so far say; part of a checkpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validations {
    lowest: Option<Loss>,
    /// The loss that patience counts from: lowest but for what `min_delta` does not take for an improvement.
    mark: Option<Loss>,
    /// Validations in a row without an improvement.
    stale: u64,
}

/// Of one validation. As text, since the shortest text of a number is read back to its last bit, which JSON's own parser does not promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Loss {
    step: u64,
    loss: String,
}

impl Loss {
    fn value(&self) -> f64 {
        // A number that is not one is no better than any.
        self.loss.parse().unwrap_or(f64::INFINITY)
    }
}

impl Validations {
    /// Takes a validation in. True when its loss is the lowest so far; of equal ones the earlier is the better.
    pub fn take(&mut self, step: u64, loss: f64, config: &TrainConfig) -> bool {
        let entry = Loss { step, loss: loss.to_string() };
        let min_delta = config.early_stopping.as_ref().map_or(0.0, |e| e.min_delta);
        if self.mark.as_ref().is_none_or(|mark| loss < mark.value() - min_delta) {
            self.mark = Some(entry.clone());
            self.stale = 0;
        } else {
            self.stale += 1;
        }
        let lowest = self.lowest.as_ref().is_none_or(|lowest| loss < lowest.value());
        if lowest {
            self.lowest = Some(entry);
        }
        lowest
    }

    /// The best so far.
    pub fn best(&self) -> Option<Best> {
        self.lowest.as_ref().map(|l| Best { step: l.step, loss: l.value() })
    }

    /// Whether early stopping ends the run.
    pub fn exhausted(&self, config: &TrainConfig) -> bool {
        config.early_stopping.as_ref().is_some_and(|e| self.stale >= e.patience)
    }

    /// Whether nothing was taken in.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A run that looks for its best checkpoint needs rows to look with.
///
/// # Errors
/// `no_validation` when no validation row has a token that the loss counts.
pub fn check_rows(spec: &RunSpec, valid: &Dataset) -> Result<(), EngineError> {
    if !spec.train.tracks_best() || valid.lengths().iter().any(|n| *n > 0) {
        return Ok(());
    }
    Err(EngineError::user(
        "no_validation",
        "The run looks for its lowest validation loss, but no validation row has a token that the loss counts.",
        "Add a `split` with validation rows to the recipe, or remove `early_stopping` and `keep_best`.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(early: serde_json::Value) -> TrainConfig {
        serde_json::from_value(serde_json::json!({"epochs": 1, "batch_tokens": 16, "context": 16, "lr": 0.1,
            "schedule": "constant", "seed": 1, "early_stopping": early}))
        .unwrap()
    }

    /// Takes losses in, at steps 10, 20 and so on; says which were the lowest, and after which the run would end.
    fn after(losses: &[f64], config: &TrainConfig) -> (Vec<u64>, Option<u64>, Validations) {
        let mut all = Validations::default();
        let (mut lowest, mut end) = (Vec::new(), None);
        for (i, loss) in losses.iter().enumerate() {
            let step = 10 * (i as u64 + 1);
            if all.take(step, *loss, config) {
                lowest.push(step);
            }
            if all.exhausted(config) && end.is_none() {
                end = Some(step);
            }
            // As a checkpoint would keep it.
            all = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
        }
        (lowest, end, all)
    }

    #[test]
    fn patience_counts_validations_in_a_row() {
        let config = config(serde_json::json!({"patience": 2}));
        let (lowest, end, all) = after(&[3.0, 2.0, 2.5, 1.9, 1.9, 1.95, 1.0], &config);
        assert_eq!((lowest, end), (vec![10, 20, 40, 70], Some(60)));
        assert_eq!(all.best(), Some(Best { step: 70, loss: 1.0 }));
    }

    #[test]
    fn a_small_step_down_is_the_best_but_no_improvement() {
        let config = config(serde_json::json!({"patience": 2, "min_delta": 0.1}));
        // Twice 0.08 is more than 0.1 below the mark, and begins the count again.
        let (lowest, end, _) = after(&[2.0, 1.92, 1.84, 1.80, 1.79], &config);
        assert_eq!((lowest, end), (vec![10, 20, 30, 40, 50], Some(50)));
    }

    #[test]
    fn without_early_stopping_nothing_ends() {
        assert_eq!(after(&[1.0, 2.0, 3.0, 4.0], &config(serde_json::Value::Null)).1, None);
    }

    #[test]
    fn a_loss_is_kept_to_its_last_bit() {
        let config = config(serde_json::Value::Null);
        let mut x = 1.0f64 / 3.0;
        for _ in 0..2000 {
            x = (x * 7.77).fract() + 1e-9;
            assert_eq!(after(&[x], &config).2.best().map(|b| b.loss.to_bits()), Some(x.to_bits()));
        }
    }
}
