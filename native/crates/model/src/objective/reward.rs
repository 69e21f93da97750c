//! Scores of pairs (Bradley and Terry 1952; Ouyang et al. 2022, eq. 1).

use super::{log_sigmoid, sigmoid, Weighed};

/// The mean of -log σ(chosen - rejected): of the scores the first half is of chosen answers, the second of rejected ones, in
/// the same order. `weights` is what the pairs weigh, empty where all weigh the same; `each` is without. `completion` holds the slopes
/// in the scores.
pub fn bradley_terry(scores: &[f64], weights: &[f64]) -> Weighed {
    let n = scores.len() / 2;
    let weight = |i: usize| weights.get(i).copied().unwrap_or(1.0);
    let whole: f64 = (0..n).map(weight).sum();
    let mut out = Weighed { completion: vec![0.0; 2 * n], ..Weighed::default() };
    for i in 0..n {
        let gap = scores[i] - scores[i + n];
        out.each.push(-log_sigmoid(gap));
        let slope = -sigmoid(-gap) * weight(i) / whole;
        (out.completion[i], out.completion[i + n]) = (slope, -slope);
    }
    out.loss = out.each.iter().enumerate().map(|(i, loss)| weight(i) * loss).sum::<f64>() / whole;
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_derivatives() {
        let scores = [0.3, -1.0, 0.1, 2.0];
        let plain = bradley_terry(&scores, &[]);
        assert!((plain.loss - (plain.each[0] + plain.each[1]) / 2.0).abs() < 1e-15);
        let found = bradley_terry(&scores, &[0.5, 1.0]);
        let twice = bradley_terry(&[0.3, -1.0, -1.0, 0.1, 2.0, 2.0], &[]);
        assert!((found.loss - twice.loss).abs() < 1e-15 && found.each == plain.each);
        for i in 0..4 {
            let moved = |by: f64| {
                let mut s = scores;
                s[i] += by;
                bradley_terry(&s, &[0.5, 1.0]).loss
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - found.completion[i]).abs() < 1e-9, "{i}: {slope}");
        }
    }
}
