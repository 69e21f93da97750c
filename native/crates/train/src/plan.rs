//! Which rows each step sees.
//!
//! The plan is a function of the row lengths and the run's settings, so a resumed run needs to know its step alone.

use tillage_protocol::course::RowOrder;
use tillage_protocol::run::TrainConfig;
use tillage_text::pack::{plan_epoch, plan_in_order};

/// The steps of a run.
#[derive(Debug)]
pub struct Plan {
    lengths: Vec<usize>,
    capacity: usize,
    seed: u64,
    order: RowOrder,
    accumulation: usize,
    /// Batches taken of each epoch; the last may be a part.
    batches: Vec<usize>,
    /// First step of each epoch.
    first_step: Vec<u64>,
    total: u64,
    first: u64,
    current: Option<(u64, Vec<Vec<usize>>)>,
}

/// One optimiser step.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStep {
    /// Epochs that are over after this step.
    pub epoch: f64,
    /// Epoch and batch where it begins.
    pub position: (u64, u64),
    /// Its batches, as row numbers.
    pub batches: Vec<Vec<usize>>,
}

impl Plan {
    /// The steps behind `first`, where epoch 0 begins: 0, but for a run that was forked and saw other rows before.
    pub fn new(lengths: Vec<usize>, config: &TrainConfig, first: u64) -> Self {
        let epochs = config.epochs.ceil() as u64;
        let mut this = Self {
            lengths,
            capacity: config.batch_tokens,
            seed: config.seed,
            order: config.order,
            accumulation: config.grad_accumulation,
            batches: Vec::new(),
            first_step: Vec::new(),
            total: first,
            first,
            current: None,
        };
        let limit = config.max_steps.unwrap_or(u64::MAX);
        for epoch in 0..epochs {
            if this.total >= limit {
                break;
            }
            let all = this.pack(epoch).len();
            let share = (config.epochs - epoch as f64).min(1.0);
            let taken = ((all as f64 * share).ceil() as usize).min(all);
            this.first_step.push(this.total);
            this.batches.push(taken);
            this.total = this.total.saturating_add(taken.div_ceil(this.accumulation) as u64);
        }
        this.total = this.total.min(limit);
        this
    }

    /// Steps of the whole run.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The step with which epoch 0 begins.
    pub fn first(&self) -> u64 {
        self.first
    }

    fn pack(&self, epoch: u64) -> Vec<Vec<usize>> {
        match self.order {
            RowOrder::Shuffled => plan_epoch(&self.lengths, self.capacity, self.seed, epoch),
            RowOrder::Stored => plan_in_order(&self.lengths, self.capacity),
        }
    }

    /// The step with this number, from 0; `None` at the end of the run, and before the plan's first step.
    pub fn step(&mut self, step: u64) -> Option<PlannedStep> {
        if step >= self.total || step < self.first {
            return None;
        }
        let epoch = self.first_step.partition_point(|first| *first <= step) as u64 - 1;
        if self.current.as_ref().is_none_or(|(e, _)| *e != epoch) {
            self.current = Some((epoch, self.pack(epoch)));
        }
        let (_, batches) = self.current.as_ref()?;
        let taken = self.batches[epoch as usize];
        let from =
            ((step - self.first_step[epoch as usize]) as usize).saturating_mul(self.accumulation).min(taken);
        let to = from.saturating_add(self.accumulation).min(taken);
        Some(PlannedStep {
            epoch: epoch as f64 + to as f64 / batches.len() as f64,
            position: (epoch, from as u64),
            batches: batches[from..to].to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> TrainConfig {
        let mut value: serde_json::Value = serde_json::from_str(
            r#"{"epochs":1,"batch_tokens":100,"context":64,"lr":0.1,"schedule":"constant","seed":4}"#,
        )
        .unwrap();
        let more: serde_json::Value = serde_json::from_str(json).unwrap();
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_epoch_sees_every_row_once() {
        let mut plan = Plan::new((1..=40).collect(), &config(r#"{"epochs":3,"grad_accumulation":2}"#), 0);
        let mut seen = vec![0; 40];
        for step in 0..plan.total() {
            let planned = plan.step(step).unwrap();
            planned.batches.concat().iter().for_each(|row| seen[*row] += 1);
        }
        assert_eq!(seen, vec![3; 40]);
        assert_eq!(plan.step(plan.total()), None);
        let last = plan.step(plan.total() - 1).unwrap();
        assert_eq!(last.epoch, 3.0);
    }

    #[test]
    fn any_step_can_be_found_without_the_ones_before() {
        let config = config(r#"{"epochs":2.5}"#);
        let mut straight = Plan::new((1..=40).collect(), &config, 0);
        let steps: Vec<_> = (0..straight.total()).map(|s| straight.step(s).unwrap()).collect();
        for (s, step) in steps.iter().enumerate().rev() {
            assert_eq!(Plan::new((1..=40).collect(), &config, 0).step(s as u64).as_ref(), Some(step));
        }
        assert!((steps.last().unwrap().epoch - 2.5).abs() < 0.2);
    }

    #[test]
    fn the_order_is_another_in_each_epoch_and_for_each_seed() {
        let order = |seed: u64, epoch: u64| {
            let mut plan =
                Plan::new((1..=40).collect(), &config(&format!(r#"{{"epochs":2,"seed":{seed}}}"#)), 0);
            let steps: Vec<_> = (0..plan.total()).map(|s| plan.step(s).unwrap()).collect();
            let of_epoch = steps.into_iter().filter(|s| s.position.0 == epoch);
            of_epoch.flat_map(|s| s.batches.concat()).collect::<Vec<_>>()
        };
        assert_eq!(order(4, 0), order(4, 0));
        assert_ne!(order(4, 0), order(4, 1));
        assert_ne!(order(4, 0), order(5, 0));
    }

    #[test]
    fn rows_are_seen_as_they_are_stored_in_every_epoch_where_the_run_asks_for_it() {
        let config = config(r#"{"epochs":2.5,"order":"stored","grad_accumulation":2}"#);
        let mut plan = Plan::new((1..=40).collect(), &config, 0);
        let steps: Vec<_> = (0..plan.total()).map(|s| plan.step(s).unwrap()).collect();
        let seen: Vec<usize> = steps.iter().flat_map(|s| s.batches.concat()).collect();
        assert_eq!(seen[..80], [(0..40).collect::<Vec<_>>(), (0..40).collect()].concat());
        assert!(seen[80..].iter().copied().eq(0..seen.len() - 80) && seen.len() > 90);
        for (s, step) in steps.iter().enumerate().rev() {
            assert_eq!(Plan::new((1..=40).collect(), &config, 0).step(s as u64).as_ref(), Some(step));
        }
    }

    #[test]
    fn a_run_that_shuffles_is_written_as_before_there_was_an_order() {
        let written = |json: &str| serde_json::to_value(config(json)).unwrap();
        assert_eq!(written("{}").get("order"), None);
        assert_eq!(written(r#"{"order":"shuffled"}"#).get("order"), None);
        assert_eq!(written(r#"{"order":"stored"}"#)["order"], "stored");
    }

    #[test]
    fn max_steps_ends_the_run() {
        assert_eq!(Plan::new(vec![60; 10], &config(r#"{"epochs":9,"max_steps":7}"#), 0).total(), 7);
    }

    #[test]
    fn a_plan_behind_a_step_is_the_same_plan_moved() {
        let config = config(r#"{"epochs":2,"grad_accumulation":3}"#);
        let mut plan = Plan::new((1..=40).collect(), &config, 0);
        let mut moved = Plan::new((1..=40).collect(), &config, 100);
        assert_eq!((moved.total(), moved.step(99)), (plan.total() + 100, None));
        for step in (0..=plan.total()).rev() {
            assert_eq!(moved.step(step + 100), plan.step(step));
        }
        let limited = self::config(r#"{"epochs":9,"max_steps":103}"#);
        assert_eq!(Plan::new(vec![60; 10], &limited, 100).total(), 103);
    }
}
