//! Scores of pairs (Bradley and Terry 1952; Ouyang et al. 2022, eq. 1).

use super::{log_sigmoid, sigmoid, Weighed};

/// The mean of -log σ(chosen - rejected): of the scores the first half is of chosen answers, the second of rejected ones, in
/// the same order. `completion` holds the slopes in the scores.
pub fn bradley_terry(scores: &[f64]) -> Weighed {
    let n = scores.len() / 2;
    let mut out = Weighed { completion: vec![0.0; 2 * n], ..Weighed::default() };
    for i in 0..n {
        let gap = scores[i] - scores[i + n];
        out.each.push(-log_sigmoid(gap));
        let slope = -sigmoid(-gap) / n as f64;
        (out.completion[i], out.completion[i + n]) = (slope, -slope);
    }
    out.loss = out.each.iter().sum::<f64>() / n as f64;
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_derivatives() {
        let scores = [0.3, -1.0, 0.1, 2.0];
        let found = bradley_terry(&scores);
        assert!((found.loss - (found.each[0] + found.each[1]) / 2.0).abs() < 1e-15);
        for i in 0..4 {
            let moved = |by: f64| {
                let mut s = scores;
                s[i] += by;
                bradley_terry(&s).loss
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - found.completion[i]).abs() < 1e-9, "{i}: {slope}");
        }
    }
}
