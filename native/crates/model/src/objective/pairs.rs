//! A chosen answer against a rejected one.

use super::{log_sigmoid, sigmoid, Weighed};

/// A loss of pairs. `beta` is how far the policy may move from the reference, or the temperature where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PairLoss {
    /// -log σ(β h), h the difference of the log-ratios to the reference (Rafailov et al. 2023, eq. 7); with `smoothing` ε the
    /// unbiased loss under labels of which a share ε is flipped (Chowdhury et al. 2024).
    Dpo {
        /// Factor on h.
        beta: f64,
        /// ε, from 0 to below 0.5.
        smoothing: f64,
    },
    /// (h - 1 / 2β)², the log-ratios divided by their completions' lengths as TRL has it (Azar et al. 2023, eq. 17).
    Ipo {
        /// What the difference of the log-ratios is drawn to is 1 / 2β.
        beta: f64,
    },
    /// max(0, 1 - β h) (Zhao et al. 2023).
    Hinge {
        /// Factor on h.
        beta: f64,
    },
    /// 1 - σ(β r chosen) + σ(β r rejected), r the log-ratio (D'Oosterlinck et al. 2024, eq. 7).
    ApoZero {
        /// Factor on each log-ratio.
        beta: f64,
    },
    /// -log σ(β (mean chosen - mean rejected) - γ), means over tokens and no reference (Meng et al. 2024, eq. 6).
    SimPo {
        /// Factor on the difference of the means.
        beta: f64,
        /// γ, the margin.
        gamma: f64,
    },
    /// -log σ(β (chosen - rejected)) plus α times the chosen completions' loss (Xu et al. 2024).
    Cpo {
        /// Factor on the difference of the log-probabilities.
        beta: f64,
        /// α, the weight of the chosen completions' own loss.
        alpha: f64,
    },
    /// The chosen texts' loss, prompts included, minus β log σ of the log odds ratio (Hong et al. 2024, eq. 6 and 7).
    Orpo {
        /// Weight of the odds ratio's term.
        beta: f64,
    },
}

impl PairLoss {
    /// Whether the prompts' own log-probabilities are needed.
    pub fn needs_prompts(&self) -> bool {
        matches!(self, PairLoss::Orpo { .. })
    }

    /// An answer's implicit reward, from its log-probability, that under the reference and its tokens: β times the log-ratio
    /// (Rafailov et al. 2023, eq. 5), or β times the log-probability where there is no reference; of the means over tokens
    /// where the loss has means. As TRL reports it.
    pub fn reward(&self, logp: f64, reference: f64, tokens: usize) -> f64 {
        match self {
            PairLoss::Dpo { beta, .. } | PairLoss::Hinge { beta } | PairLoss::ApoZero { beta } => {
                beta * (logp - reference)
            }
            PairLoss::Ipo { beta } => beta * (logp - reference) / tokens as f64,
            PairLoss::SimPo { beta, .. } | PairLoss::Orpo { beta } => beta * logp / tokens as f64,
            PairLoss::Cpo { beta, .. } => beta * logp,
        }
    }

    /// Whether log-probabilities under a reference are needed.
    pub fn needs_reference(&self) -> bool {
        !matches!(self, PairLoss::SimPo { .. } | PairLoss::Cpo { .. } | PairLoss::Orpo { .. })
    }
}

/// Pairs: of every slice the first half is chosen, the second rejected, in the same order.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a> {
    /// Log-probability of each completion, summed over its tokens.
    pub completion: &'a [f64],
    /// Tokens of each completion.
    pub tokens: &'a [usize],
    /// Log-probability of each prompt and its tokens; used by ORPO alone.
    pub prompt: &'a [(f64, usize)],
    /// As `completion`, under the reference; empty for losses without one.
    pub reference: &'a [f64],
    /// What each pair weighs, `[pairs]`; empty where all weigh the same.
    pub weights: &'a [f64],
}

impl Pairs<'_> {
    /// What a pair weighs.
    fn weight(&self, i: usize) -> f64 {
        self.weights.get(i).copied().unwrap_or(1.0)
    }

    /// What they weigh together.
    fn whole(&self) -> f64 {
        (0..self.completion.len() / 2).map(|i| self.weight(i)).sum()
    }

    /// The mean loss over the pairs, each with its weight; `each` is without.
    pub fn loss(&self, kind: PairLoss) -> Weighed {
        let n = self.completion.len() / 2;
        let whole = self.whole();
        let mut out = Weighed { completion: vec![0.0; 2 * n], ..Weighed::default() };
        for i in 0..n {
            // Loss of the pair, and its slopes in the chosen and the rejected completion's log-probability.
            let (loss, slopes) = self.pair(kind, i, i + n);
            let weight = self.weight(i);
            out.loss += weight * loss / whole;
            out.each.push(loss);
            out.completion[i] += weight * slopes[0] / whole;
            out.completion[i + n] += weight * slopes[1] / whole;
        }
        match kind {
            PairLoss::Cpo { alpha, .. } => self.add_likelihood(&mut out, alpha, false),
            PairLoss::Orpo { .. } => self.add_likelihood(&mut out, 1.0, true),
            _ => {}
        }
        out
    }

    fn pair(&self, kind: PairLoss, c: usize, r: usize) -> (f64, [f64; 2]) {
        let ratio = |i: usize| self.completion[i] - self.reference[i];
        let length = |i: usize| self.tokens[i] as f64;
        let mean = |i: usize| self.completion[i] / length(i);
        match kind {
            PairLoss::Dpo { beta, smoothing } => {
                let x = beta * (ratio(c) - ratio(r));
                let scale = 1.0 / (1.0 - 2.0 * smoothing);
                let loss = (-(1.0 - smoothing) * log_sigmoid(x) + smoothing * log_sigmoid(-x)) * scale;
                let slope = (-(1.0 - smoothing) * sigmoid(-x) - smoothing * sigmoid(x)) * scale * beta;
                (loss, [slope, -slope])
            }
            PairLoss::Ipo { beta } => {
                let d = ratio(c) / length(c) - ratio(r) / length(r) - 1.0 / (2.0 * beta);
                (d * d, [2.0 * d / length(c), -2.0 * d / length(r)])
            }
            PairLoss::Hinge { beta } => {
                let gap = 1.0 - beta * (ratio(c) - ratio(r));
                let slope = if gap > 0.0 { -beta } else { 0.0 };
                (gap.max(0.0), [slope, -slope])
            }
            PairLoss::ApoZero { beta } => {
                let (x, y) = (sigmoid(beta * ratio(c)), sigmoid(beta * ratio(r)));
                (1.0 - x + y, [-beta * x * (1.0 - x), beta * y * (1.0 - y)])
            }
            PairLoss::SimPo { beta, gamma } => {
                let x = beta * (mean(c) - mean(r)) - gamma;
                let slope = -beta * sigmoid(-x);
                (-log_sigmoid(x), [slope / length(c), -slope / length(r)])
            }
            PairLoss::Cpo { beta, .. } => {
                let x = beta * (self.completion[c] - self.completion[r]);
                let slope = -beta * sigmoid(-x);
                (-log_sigmoid(x), [slope, -slope])
            }
            PairLoss::Orpo { beta } => {
                // log odds p / (1 - p), whose slope in log p is 1 / (1 - p).
                let (pc, pr) = (mean(c).exp(), mean(r).exp());
                let x = mean(c) - mean(r) - ((-pc).ln_1p() - (-pr).ln_1p());
                let slope = -beta * sigmoid(-x);
                let odds = |p: f64, i: usize| slope / (1.0 - p) / length(i);
                (-beta * log_sigmoid(x), [odds(pc, c), -odds(pr, r)])
            }
        }
    }

    /// Adds `alpha` times the mean loss of the chosen tokens, the prompts' among them when `prompts`.
    fn add_likelihood(&self, out: &mut Weighed, alpha: f64, prompts: bool) {
        let n = self.completion.len() / 2;
        let prompt = |i: usize| if prompts { self.prompt[i] } else { (0.0, 0) };
        let chosen: Vec<(f64, usize)> =
            (0..n).map(|i| (self.completion[i] + prompt(i).0, self.tokens[i] + prompt(i).1)).collect();
        if prompts {
            out.prompt = vec![0.0; 2 * n];
        }
        let tokens: f64 =
            chosen.iter().enumerate().map(|(i, (_, tokens))| self.weight(i) * *tokens as f64).sum();
        let (slope, whole) = (-alpha / tokens, self.whole());
        for (i, (logp, _)) in chosen.iter().enumerate() {
            out.loss += slope * self.weight(i) * logp;
            out.each[i] += slope * logp * whole;
            out.completion[i] += slope * self.weight(i);
            if prompts {
                out.prompt[i] += slope * self.weight(i);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [PairLoss; 8] = [
        PairLoss::Dpo { beta: 0.1, smoothing: 0.0 },
        PairLoss::Dpo { beta: 0.3, smoothing: 0.1 },
        PairLoss::Ipo { beta: 0.1 },
        PairLoss::Hinge { beta: 0.1 },
        PairLoss::ApoZero { beta: 0.1 },
        PairLoss::SimPo { beta: 2.0, gamma: 0.5 },
        PairLoss::Cpo { beta: 0.1, alpha: 0.7 },
        PairLoss::Orpo { beta: 0.2 },
    ];

    #[test]
    fn losses_are_those_of_pytorch() {
        // TRL's formulas in PyTorch, in double precision; CPO's and ORPO's with the mean over all chosen tokens.
        let wanted = [
            0.5438686999436521,
            0.19873117717486552,
            20.32969135802469,
            0.675,
            0.919015563421922,
            1.0179342149781259,
            2.692881291918895,
            2.847083463083208,
        ];
        for (kind, wanted) in ALL.into_iter().zip(wanted) {
            let found = Pairs {
                completion: &[-30.0, -12.5, -28.0, -14.0],
                tokens: &[10, 5, 9, 6],
                prompt: &[(-8.0, 3), (-9.0, 4), (-8.0, 3), (-9.0, 4)],
                reference: &[-31.0, -15.0, -26.0, -13.0],
                weights: &[],
            }
            .loss(kind);
            assert!((found.loss - wanted).abs() < 1e-12, "{kind:?}: {} instead of {wanted}", found.loss);
        }
    }

    #[test]
    fn the_loss_is_the_mean_of_the_pairs_shares() {
        let (completion, reference) = ([-30.0, -12.5, -28.0, -14.0], [-31.0, -15.0, -26.0, -13.0]);
        let prompt = [(-8.0, 3), (-9.0, 4), (-8.0, 3), (-9.0, 4)];
        for kind in ALL {
            let pairs = Pairs {
                completion: &completion,
                tokens: &[10, 5, 9, 6],
                prompt: &prompt,
                reference: &reference,
                weights: &[],
            };
            let found = pairs.loss(kind);
            assert!((found.each.iter().sum::<f64>() / 2.0 - found.loss).abs() < 1e-12, "{kind:?}");
            assert_ne!(found.each[0], found.each[1], "{kind:?}");
        }
    }

    #[test]
    fn a_pair_of_weight_2_is_two_pairs_and_one_of_weight_1_is_itself() {
        let at = |pairs: &[usize], weights: &[f64], kind: PairLoss| {
            let all = [(-30.0, -28.0), (-12.5, -14.0)];
            let of = |both: [f64; 2], i: usize| both[i];
            let side = |s: usize| pairs.iter().map(move |p| if s == 0 { all[*p].0 } else { all[*p].1 });
            let completion: Vec<f64> = side(0).chain(side(1)).collect();
            let twice = |chosen: [f64; 2], rejected: [f64; 2]| -> Vec<f64> {
                let chosen = pairs.iter().map(|p| of(chosen, *p));
                chosen.chain(pairs.iter().map(|p| of(rejected, *p))).collect()
            };
            let reference = twice([-31.0, -15.0], [-26.0, -13.0]);
            let tokens: Vec<usize> = twice([10.0, 5.0], [9.0, 6.0]).into_iter().map(|t| t as usize).collect();
            let prompt: Vec<(f64, usize)> = twice([-8.0, -9.0], [-8.0, -9.0])
                .into_iter()
                .zip(twice([3.0, 4.0], [3.0, 4.0]))
                .map(|(p, t)| (p, t as usize))
                .collect();
            Pairs {
                completion: &completion,
                tokens: &tokens,
                prompt: &prompt,
                reference: &reference,
                weights,
            }
            .loss(kind)
        };
        for kind in ALL {
            let (heavy, twice) = (at(&[0, 1], &[1.0, 2.0], kind), at(&[0, 1, 1], &[], kind));
            assert!((heavy.loss - twice.loss).abs() < 1e-12, "{kind:?}");
            assert!((heavy.completion[1] - 2.0 * twice.completion[1]).abs() < 1e-12, "{kind:?}");
            assert!((heavy.completion[3] - 2.0 * twice.completion[4]).abs() < 1e-12, "{kind:?}");
            assert!((heavy.each[1] - twice.each[1]).abs() < 1e-9, "{kind:?}");
            assert_eq!(at(&[0, 1], &[1.0, 1.0], kind), at(&[0, 1], &[], kind), "{kind:?}");
        }
    }

    #[test]
    fn slopes_are_derivatives() {
        let (completion, reference) = ([-30.0, -12.5, -28.0, -14.0], [-31.0, -15.0, -26.0, -13.0]);
        let (tokens, prompt) = ([10, 5, 9, 6], [(-8.0, 3), (-9.0, 4), (-8.0, 3), (-9.0, 4)]);
        for kind in ALL {
            let at = |completion: &[f64], prompt: &[(f64, usize)]| {
                Pairs { completion, tokens: &tokens, prompt, reference: &reference, weights: &[0.5, 3.0] }
                    .loss(kind)
            };
            let found = at(&completion, &prompt);
            let h = 1e-6;
            for i in 0..4 {
                let moved = |by: f64| {
                    let mut c = completion;
                    c[i] += by;
                    at(&c, &prompt).loss
                };
                let slope = (moved(h) - moved(-h)) / (2.0 * h);
                assert!((slope - found.completion[i]).abs() < 1e-7, "{kind:?} {i}: {slope}");
                let moved = |by: f64| {
                    let mut p = prompt;
                    p[i].0 += by;
                    at(&completion, &p).loss
                };
                let slope = (moved(h) - moved(-h)) / (2.0 * h);
                let ours = found.prompt.get(i).copied().unwrap_or(0.0);
                assert!((slope - ours).abs() < 1e-7, "{kind:?} prompt {i}: {slope}");
            }
        }
    }

    #[test]
    fn an_implicit_reward_is_that_of_its_loss() {
        // Log-probability -30 over 10 tokens, -31 under the reference.
        for (kind, wanted) in [
            (PairLoss::Dpo { beta: 0.3, smoothing: 0.1 }, 0.3),
            (PairLoss::Ipo { beta: 0.3 }, 0.03),
            (PairLoss::Hinge { beta: 0.3 }, 0.3),
            (PairLoss::ApoZero { beta: 0.3 }, 0.3),
            (PairLoss::SimPo { beta: 2.0, gamma: 0.5 }, -6.0),
            (PairLoss::Cpo { beta: 0.1, alpha: 0.7 }, -3.0),
            (PairLoss::Orpo { beta: 0.2 }, -0.6),
        ] {
            assert!((kind.reward(-30.0, -31.0, 10) - wanted).abs() < 1e-12, "{kind:?}");
        }
    }
}
