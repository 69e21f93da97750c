//! Rotary position embedding (Su et al. 2021), in the half-split layout of Hugging Face's llama.
#![allow(unsafe_code)]

use super::par::{self, Disjoint};
use super::simd::vectorised;
use crate::Runs;

/// How frequencies are stretched.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeVariant {
    /// As in the paper: dimension i of d turns by θ^(-2i / d) a position.
    Default,
    /// Every wavelength `factor` times as long (Chen et al. 2023).
    Linear {
        /// 1 or more.
        factor: f32,
    },
    /// YaRN (Peng et al. 2023): wavelengths that turn more than `fast` times in `original` positions are kept, those
    /// that turn less than `slow` times are stretched by `factor`, with a ramp over the dimensions between.
    Yarn {
        /// How much longer the stretched wavelengths become.
        factor: f32,
        /// Turns above which a wavelength is kept (`beta_fast`).
        fast: f32,
        /// Turns below which a wavelength is stretched (`beta_slow`).
        slow: f32,
        /// Positions that the model was trained on before it was stretched.
        original: f32,
        /// Whole dimensions as the ramp's ends.
        truncate: bool,
    },
    /// LongRoPE (Ding et al. 2024): one factor for each frequency.
    Each {
        /// How many times as long each wavelength becomes, `[head_dim / 2]`.
        factors: Vec<f32>,
    },
    /// Llama 3.1: wavelengths above `original / low` are stretched by `factor`, those below `original / high` are kept,
    /// and between the two there is a linear blend in `original / wavelength`.
    Llama3 {
        /// How much longer the stretched wavelengths become.
        factor: f32,
        /// `low_freq_factor`: the stretched ones turn less often than this in the original context.
        low: f32,
        /// `high_freq_factor`: the kept ones turn more often than this in it.
        high: f32,
        /// Positions that the model was trained on before it was stretched.
        original: f32,
    },
}

/// Cosines and sines, `[positions, head_dim / 2]` each, grown as longer examples come.
#[derive(Debug, Clone)]
pub struct RopeTable {
    frequencies: Vec<f32>,
    /// Factor on cosines and sines, which some long-context variants have.
    amplitude: f32,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// A table without positions for the first `dims` numbers of each head. Frequencies are computed in f32, as
    /// transformers does.
    pub fn new(dims: usize, theta: f64, variant: &RopeVariant, amplitude: f32) -> RopeTable {
        let base = theta as f32;
        let frequencies = (0..dims / 2)
            .map(|i| {
                let f = 1.0 / base.powf((2 * i) as f32 / dims as f32);
                variant.stretched(i, f, dims, theta)
            })
            .collect();
        RopeTable { frequencies, amplitude, cos: Vec::new(), sin: Vec::new() }
    }

    /// Whether all its angles are numbers.
    pub fn is_finite(&self) -> bool {
        self.amplitude.is_finite() && self.frequencies.iter().all(|f| f.is_finite())
    }

    /// Makes sure that positions below `n` are there.
    pub fn grow(&mut self, n: usize) {
        let half = self.frequencies.len();
        for position in self.cos.len() / half.max(1)..n {
            for &f in &self.frequencies {
                let angle = position as f32 * f;
                self.cos.push(angle.cos() * self.amplitude);
                self.sin.push(angle.sin() * self.amplitude);
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        (self.cos.capacity() + self.sin.capacity() + self.frequencies.len()) * 4
    }
}

impl RopeVariant {
    /// The frequency of the pair `i` of `dims / 2`.
    fn stretched(&self, i: usize, f: f32, dims: usize, theta: f64) -> f32 {
        match self {
            RopeVariant::Default => f,
            RopeVariant::Linear { factor } => f / factor,
            RopeVariant::Each { factors } => f / factors[i],
            &RopeVariant::Llama3 { factor, low, high, original } => {
                let wavelength = 2.0 * std::f32::consts::PI / f;
                if wavelength > original / low {
                    f / factor
                } else if wavelength < original / high {
                    f
                } else {
                    let smooth = (original / wavelength - low) / (high - low);
                    (1.0 - smooth) * f / factor + smooth * f
                }
            }
            &RopeVariant::Yarn { factor, fast, slow, original, truncate } => {
                // The dimension that turns `turns` times in the original context.
                let dimension = |turns: f32| {
                    let turns = f64::from(original) / (f64::from(turns) * 2.0 * std::f64::consts::PI);
                    dims as f64 * turns.ln() / (2.0 * theta.ln())
                };
                let (mut low, mut high) = (dimension(fast), dimension(slow));
                if truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, high) = (low.max(0.0), high.min(dims as f64 - 1.0));
                let high = if low == high { high + 0.001 } else { high };
                let ramp = (((i as f64 - low) / (high - low)) as f32).clamp(0.0, 1.0);
                f / factor * ramp + f * (1.0 - ramp)
            }
        }
    }
}

/// Rotates heads of `x` in place; `backward` rotates the other way, which is the gradient. Of each head the first
/// numbers turn, as many as the table was made for.
///
/// `runs`: where the heads lie; `positions`: `[tokens]`; the table must hold every position.
pub fn rope(x: &mut [f32], runs: Runs, positions: &[u32], table: &RopeTable, backward: bool) {
    let half = table.frequencies.len();
    let tokens = positions.len();
    assert!(runs.tokens == tokens && runs.fit(x.len()) && 2 * half <= runs.width);
    let sign = if backward { -1.0 } else { 1.0 };
    let x = Disjoint::new(x);
    par::ranges(tokens, par::row_grain(runs.per_token * runs.width), |range| {
        vectorised(
            #[inline(always)]
            || {
                for token in range {
                    let at = positions[token] as usize * half;
                    let (cos, sin) = (&table.cos[at..at + half], &table.sin[at..at + half]);
                    for head in 0..runs.per_token {
                        let at = runs.at(token * runs.per_token + head);
                        // SAFETY: ranges of tokens do not overlap.
                        let head = unsafe { x.part(at..at + 2 * half) };
                        let (a, b) = head.split_at_mut(half);
                        for i in 0..half {
                            let (c, s) = (cos[i], sin[i] * sign);
                            let (x, y) = (a[i], b[i]);
                            a[i] = x * c - y * s;
                            b[i] = y * c + x * s;
                        }
                    }
                }
            },
        );
    });
}
