//! The learning rate of each step.

use tillage_protocol::course::DecayShape;
use tillage_protocol::run::{Schedule, TrainConfig};

/// Learning rate of a step of a run with `total` steps.
///
/// `step` counts from 0; warm-up rises linearly from 0, so that step 0 of a run with warm-up runs at 0, as in transformers'
/// `get_*_schedule_with_warmup`. Linear and cosine (half a wave) fall to `min_lr` of the peak at `total`; WSD (MiniCPM: Hu et al.
/// 2024) stays at the peak until the last `decay_share` of all steps.
pub fn learning_rate(config: &TrainConfig, step: u64, total: u64) -> f64 {
    let (peak, warmup) = (config.lr, config.warmup_steps);
    if step < warmup {
        return peak * step as f64 / warmup as f64;
    }
    let since = |begin: u64| {
        let share = step.saturating_sub(begin) as f64 / total.saturating_sub(begin).max(1) as f64;
        share.min(1.0)
    };
    let left = match config.schedule {
        Schedule::Constant => return peak,
        Schedule::Linear => 1.0 - since(warmup),
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * since(warmup)).cos()),
        Schedule::Wsd => {
            let decay = (config.decay_share * total as f64).round() as u64;
            // A warm-up longer than what is left of the run goes first.
            let share = since(total.saturating_sub(decay).max(warmup));
            match config.decay_shape {
                DecayShape::Linear => 1.0 - share,
                DecayShape::Sqrt => 1.0 - share.sqrt(),
            }
        }
    };
    peak * (config.min_lr + (1.0 - config.min_lr) * left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: serde_json::Value) -> TrainConfig {
        let mut all = serde_json::json!({"epochs": 1, "batch_tokens": 16, "context": 16, "lr": 2.0, "seed": 1,
            "warmup_steps": 4});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn rates<const N: usize>(config: &TrainConfig, total: u64, steps: [u64; N]) -> [f64; N] {
        steps.map(|s| learning_rate(config, s, total))
    }

    #[track_caller]
    fn near<const N: usize>(ours: [f64; N], exact: [f64; N]) {
        for (a, b) in ours.iter().zip(exact) {
            assert!((a - b).abs() < 1e-12, "{ours:?} instead of {exact:?}");
        }
    }

    #[test]
    fn warm_up_rises_and_the_schedules_fall() {
        let of = |schedule| config(serde_json::json!({ "schedule": schedule }));
        assert_eq!(rates(&of("cosine"), 12, [0, 1, 4]), [0.0, 0.5, 2.0]);
        near(rates(&of("cosine"), 12, [8, 12]), [1.0, 0.0]);
        near(rates(&of("linear"), 12, [10, 12]), [0.5, 0.0]);
        assert_eq!(rates(&of("constant"), 12, [4, 11]), [2.0, 2.0]);
    }

    #[test]
    fn they_fall_to_the_least_rate() {
        let of =
            |schedule| config(serde_json::json!({"schedule": schedule, "min_lr": 0.1, "decay_share": 0.5}));
        near(rates(&of("cosine"), 12, [1, 4, 8, 12]), [0.5, 2.0, 2.0 * 0.55, 0.2]);
        near(rates(&of("linear"), 12, [10, 12]), [2.0 * (0.1 + 0.9 * 0.25), 0.2]);
        near(rates(&of("wsd"), 12, [6, 12]), [2.0, 0.2]);
        assert_eq!(rates(&of("constant"), 12, [12]), [2.0]);
    }

    #[test]
    fn warm_up_stable_decay() {
        let of = |share: f64, shape| {
            config(serde_json::json!({"schedule": "wsd", "decay_share": share, "decay_shape": shape}))
        };
        // The last 8 of 40 steps.
        near(rates(&of(0.2, "linear"), 40, [2, 4, 20, 32, 33, 38, 40]), [1.0, 2.0, 2.0, 2.0, 1.75, 0.5, 0.0]);
        let fall = |n: f64| 2.0 * (1.0 - (n / 8.0).sqrt());
        near(rates(&of(0.2, "sqrt"), 40, [32, 34, 39]), [2.0, 1.0, fall(7.0)]);
        // Without a decay it stays where it is; with nothing but decay it begins behind the warm-up.
        near(rates(&of(0.0, "sqrt"), 40, [39]), [2.0]);
        near(rates(&of(1.0, "linear"), 40, [2, 4, 22]), [1.0, 2.0, 1.0]);
        // By default 1 - sqrt, over a tenth.
        near(rates(&config(serde_json::json!({"schedule": "wsd"})), 40, [36, 37]), [2.0, 1.0]);
    }
}
