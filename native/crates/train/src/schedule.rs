//! The learning rate of each step.

use tillage_protocol::run::Schedule;

/// Learning rate of a step.
///
/// `step` counts from 0; warm-up rises linearly from 0, so that step 0 of a run with warm-up runs at 0, as in transformers'
/// `get_*_schedule_with_warmup`. Linear and cosine (half a wave) fall to 0 at `total`.
pub fn learning_rate(schedule: Schedule, peak: f64, step: u64, warmup: u64, total: u64) -> f64 {
    if step < warmup {
        return peak * step as f64 / warmup as f64;
    }
    let progress = (step - warmup) as f64 / total.saturating_sub(warmup).max(1) as f64;
    match schedule {
        Schedule::Constant => peak,
        Schedule::Linear => peak * (1.0 - progress).max(0.0),
        Schedule::Cosine => peak * (0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_and_the_schedules_fall() {
        let lr = |schedule, step| learning_rate(schedule, 2.0, step, 4, 12);
        assert_eq!([0, 1, 4].map(|s| lr(Schedule::Cosine, s)), [0.0, 0.5, 2.0]);
        assert!((lr(Schedule::Cosine, 8) - 1.0).abs() < 1e-12);
        assert!((lr(Schedule::Linear, 10) - 0.5).abs() < 1e-12);
        assert_eq!(lr(Schedule::Constant, 11), 2.0);
        assert!(lr(Schedule::Cosine, 12).abs() < 1e-12 && lr(Schedule::Linear, 12) == 0.0);
    }
}
