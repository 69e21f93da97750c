//! Prompts and completions as one pack, with the way from token losses to sequences and back.

use crate::{Packed, IGNORE};

/// Texts laid end to end, each a prompt with its completion.
#[derive(Debug, Clone, PartialEq)]
pub struct Texts {
    /// What a pass computes on; labels of the completions, and of the prompts where that was asked for.
    pub pack: Packed,
    /// For each text, for each labelled position, whether its token belongs to the completion.
    completion: Vec<Vec<bool>>,
}

impl Default for Texts {
    fn default() -> Self {
        Texts { pack: Packed { starts: vec![0], ..Packed::default() }, completion: Vec::new() }
    }
}

impl Texts {
    /// Adds a text; `completion` tells of each token but the first whether it belongs to the completion. The prompt's tokens
    /// are labels too where `prompts`.
    ///
    /// # Panics
    /// When there is no token, or `completion` is not one shorter than `tokens`.
    pub fn push(&mut self, tokens: &[u32], completion: &[bool], prompts: bool) {
        assert_eq!(tokens.len(), completion.len() + 1, "a mark for each token but the first");
        let label = |(token, flag): (&u32, &bool)| if *flag || prompts { i64::from(*token) } else { IGNORE };
        self.pack.tokens.extend(tokens);
        self.pack.labels.extend(tokens[1..].iter().zip(completion).map(label));
        self.pack.labels.push(IGNORE);
        self.pack.starts.push(self.pack.tokens.len());
        self.completion.push(completion.iter().copied().filter(|flag| *flag || prompts).collect());
    }

    /// The log-probabilities of each text's prompt tokens and of its completion's, from the losses of all labels.
    ///
    /// # Panics
    /// When there are fewer losses than labels.
    pub fn split(&self, losses: &[f32]) -> Vec<[Vec<f64>; 2]> {
        let mut losses = losses.iter();
        let text = |flags: &Vec<bool>| {
            let mut parts = [Vec::new(), Vec::new()];
            for flag in flags {
                parts[usize::from(*flag)].push(-f64::from(*losses.next().expect("a loss for each label")));
            }
            parts
        };
        self.completion.iter().map(text).collect()
    }

    /// Log-probabilities of the completions, summed.
    pub fn sums(&self, losses: &[f32]) -> Vec<f64> {
        self.split(losses).into_iter().map(|[_, completion]| completion.iter().sum()).collect()
    }

    /// Slopes of the labels' losses, from those of the texts' log-probabilities; an empty `prompt` stands for zeros.
    pub fn slopes(&self, completion: &[f64], prompt: &[f64]) -> Vec<f32> {
        let text = |(i, flags): (usize, &Vec<bool>)| {
            let prompt = prompt.get(i).copied().unwrap_or(0.0);
            flags
                .iter()
                .map(move |flag| if *flag { -completion[i] } else { -prompt } as f32)
                .collect::<Vec<_>>()
        };
        self.completion.iter().enumerate().flat_map(text).collect()
    }

    /// Slopes of the labels' losses, from those of each completion token's log-probability.
    pub fn token_slopes(&self, completion: &[Vec<f64>]) -> Vec<f32> {
        let text = |(flags, slopes): (&Vec<bool>, &Vec<f64>)| {
            let mut slopes = slopes.iter();
            flags
                .iter()
                .map(|flag| if *flag { -slopes.next().copied().unwrap_or(0.0) as f32 } else { 0.0 })
                .collect::<Vec<_>>()
        };
        self.completion.iter().zip(completion).flat_map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_labels_only_where_they_are_asked_for() {
        let mut texts = Texts::default();
        texts.push(&[5, 6, 7, 8], &[false, true, true], false);
        texts.push(&[9, 3, 2], &[false, true], true);
        assert_eq!(texts.pack.labels, [IGNORE, 7, 8, IGNORE, 3, 2, IGNORE]);
        assert_eq!(texts.pack.starts, [0, 4, 7]);
        let losses = [0.5, 0.25, 1.0, 2.0];
        assert_eq!(texts.sums(&losses), [-0.75, -2.0]);
        assert_eq!(texts.split(&losses)[1], [vec![-1.0], vec![-2.0]]);
        assert_eq!(texts.slopes(&[3.0, 4.0], &[0.0, 7.0]), [-3.0, -3.0, -7.0, -4.0]);
        assert_eq!(texts.token_slopes(&[vec![1.0, 2.0], vec![3.0]]), [-1.0, -2.0, 0.0, -3.0]);
    }
}
