//! Rotary position embedding (Su et al. 2021), in the half-split layout of Hugging Face's llama.
#![allow(unsafe_code)]

use super::par::{self, Disjoint};
use super::simd::vectorised;

/// How frequencies are stretched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeVariant {
    Default,
    /// Llama 3.1: wavelengths above `original / low` are stretched by `factor`, those below `original / high` are kept,
    /// and between the two there is a linear blend in `original / wavelength`.
    Llama3 {
        factor: f32,
        low: f32,
        high: f32,
        original: f32,
    },
}

/// Cosines and sines, `[positions, head_dim / 2]` each, grown as longer examples come.
#[derive(Debug, Clone)]
pub struct RopeTable {
    frequencies: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// A table without positions. Frequencies are computed in f32, as transformers does.
    pub fn new(head_dim: usize, theta: f64, variant: RopeVariant) -> RopeTable {
        let base = theta as f32;
        let frequencies = (0..head_dim / 2)
            .map(|i| {
                let f = 1.0 / base.powf((2 * i) as f32 / head_dim as f32);
                let RopeVariant::Llama3 { factor, low, high, original } = variant else { return f };
                let wavelength = 2.0 * std::f32::consts::PI / f;
                if wavelength > original / low {
                    f / factor
                } else if wavelength < original / high {
                    f
                } else {
                    let smooth = (original / wavelength - low) / (high - low);
                    (1.0 - smooth) * f / factor + smooth * f
                }
            })
            .collect();
        RopeTable { frequencies, cos: Vec::new(), sin: Vec::new() }
    }

    /// Makes sure that positions below `n` are there.
    pub fn grow(&mut self, n: usize) {
        let half = self.frequencies.len();
        for position in self.cos.len() / half.max(1)..n {
            for &f in &self.frequencies {
                let angle = position as f32 * f;
                self.cos.push(angle.cos());
                self.sin.push(angle.sin());
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        (self.cos.capacity() + self.sin.capacity() + self.frequencies.len()) * 4
    }
}

/// Rotates every head of `x` in place; `backward` rotates the other way, which is the gradient.
///
/// `x`: `[tokens, heads, head_dim]`; `positions`: `[tokens]`; the table must hold every position.
pub fn rope(x: &mut [f32], positions: &[u32], table: &RopeTable, backward: bool) {
    let half = table.frequencies.len();
    let tokens = positions.len();
    let width = x.len() / tokens.max(1);
    assert!(x.len() == tokens * width && width.is_multiple_of(2 * half));
    let sign = if backward { -1.0 } else { 1.0 };
    let x = Disjoint::new(x);
    par::ranges(tokens, par::row_grain(width), |range| {
        // SAFETY: ranges of tokens do not overlap.
        let x = unsafe { x.part(range.start * width..range.end * width) };
        vectorised(
            #[inline(always)]
            || {
                for (row, &position) in x.chunks_exact_mut(width).zip(&positions[range]) {
                    let at = position as usize * half;
                    let (cos, sin) = (&table.cos[at..at + half], &table.sin[at..at + half]);
                    for head in row.chunks_exact_mut(2 * half) {
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
