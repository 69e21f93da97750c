//! Numbers in 8 bits, block by block, and AdamW with moments kept so (Dettmers et al. 2022, "8-bit Optimizers via Block-wise
//! Quantization"): each block is divided by its largest magnitude, and each number becomes the index of the nearest of 256 values.

use super::simd::vectorised;
use crate::AdamWStep;
use rayon::prelude::*;
use std::sync::LazyLock;

/// Numbers that share one largest magnitude, as in bitsandbytes.
pub const BLOCK: usize = 256;

/// Blocks that one task takes; fixed, and nothing is added across blocks, so threads do not matter.
const TASK: usize = 64;

/// The 256 values of the dynamic tree code: seven decades below 1, each finer than the one below it, and 0 and 1.
#[derive(Debug)]
pub struct DynamicCode {
    values: [f32; 256],
    /// Half-way to the next value; nothing lies above the last.
    middles: [f32; 256],
    /// Code of the smallest number that begins with these 16 bits.
    first: Box<[u8; 1 << 16]>,
}

static SIGNED: LazyLock<DynamicCode> = LazyLock::new(|| DynamicCode::new(true));
static UNSIGNED: LazyLock<DynamicCode> = LazyLock::new(|| DynamicCode::new(false));

impl DynamicCode {
    /// For numbers of either sign, -1 to 1.
    pub fn signed() -> &'static DynamicCode {
        &SIGNED
    }

    /// For numbers of 0 to 1, with twice the steps.
    pub fn unsigned() -> &'static DynamicCode {
        &UNSIGNED
    }

    /// Ascending.
    pub fn values(&self) -> &[f32; 256] {
        &self.values
    }

    fn new(signed: bool) -> DynamicCode {
        let mut values = vec![0.0f32, 1.0];
        for decade in 0..7 {
            let steps = 1usize << if signed { decade } else { decade + 1 };
            let scale = 10f64.powi(decade - 6) as f32;
            // The ends of equal steps from 0.1 to 1; a value is the middle of a step. In f32, counted from the nearer
            // end, as torch.linspace does, so that the values are those of bitsandbytes.
            let width = 0.9f32 / steps as f32;
            let end = |i: usize| {
                if i < steps.div_ceil(2) {
                    width.mul_add(i as f32, 0.1)
                } else {
                    (-width).mul_add((steps - i) as f32, 1.0)
                }
            };
            for i in 0..steps {
                let value = scale * ((end(i) + end(i + 1)) / 2.0);
                values.push(value);
                if signed {
                    values.push(-value);
                }
            }
        }
        values.sort_by(f32::total_cmp);
        let values: [f32; 256] = values.try_into().expect("the decades have 254 values in all");
        let mut middles = [f32::INFINITY; 256];
        for (middle, pair) in middles.iter_mut().zip(values.windows(2)) {
            *middle = (pair[0] + pair[1]) / 2.0;
        }
        let first: Vec<u8> = (0..=u16::MAX)
            .map(|high| {
                let ends = [0, 0xffff].map(|low| f32::from_bits(u32::from(high) << 16 | low));
                let least = ends[0].min(ends[1]);
                middles.partition_point(|m| *m < least).min(255) as u8
            })
            .collect();
        let first = first.into_boxed_slice().try_into().expect("there are 65,536 beginnings");
        DynamicCode { values, middles, first }
    }

    /// The code of the value nearest to `x`, the lower one half-way.
    #[inline(always)]
    pub fn nearest(&self, x: f32) -> u8 {
        // Numbers with the same first 16 bits have at most one middle between them (tested for every such prefix).
        let code = self.first[(x.to_bits() >> 16) as usize];
        code + u8::from(self.middles[code as usize] < x)
    }
}

/// Numbers in 8 bits: a code each, and the largest magnitude of each block.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocks {
    /// A place in the code's values for each number.
    pub codes: Vec<u8>,
    /// Largest magnitude of each block of [`BLOCK`] numbers, which the code's values are multiplied by.
    pub largest: Vec<f32>,
}

impl Blocks {
    /// `n` zeros of a code.
    pub fn zeros(n: usize, code: &DynamicCode) -> Blocks {
        Blocks { codes: vec![code.nearest(0.0); n], largest: vec![0.0; n.div_ceil(BLOCK)] }
    }

    /// The nearest that a code has to some numbers.
    pub fn of(numbers: &[f32], code: &DynamicCode) -> Blocks {
        let mut this = Blocks::zeros(numbers.len(), code);
        for ((x, codes), largest) in
            numbers.chunks(BLOCK).zip(this.codes.chunks_mut(BLOCK)).zip(&mut this.largest)
        {
            *largest = write(x, codes, code);
        }
        this
    }

    /// The numbers again, as near as the code has them.
    pub fn numbers(&self, code: &DynamicCode) -> Vec<f32> {
        let blocks = self.codes.chunks(BLOCK).zip(&self.largest);
        blocks.flat_map(|(codes, l)| codes.iter().map(move |c| code.values[*c as usize] * l)).collect()
    }
}

/// Codes one block; returns its largest magnitude.
#[inline(always)]
fn write(x: &[f32], codes: &mut [u8], code: &DynamicCode) -> f32 {
    let mut largest = 0.0f32;
    for v in x {
        largest = if v.abs() > largest { v.abs() } else { largest };
    }
    // A block of zeros is divided by something that is not zero.
    let divisor = if largest > 0.0 { largest } else { 1.0 };
    for (c, v) in codes.iter_mut().zip(x) {
        *c = code.nearest(v / divisor);
    }
    largest
}

/// A tensor with its gradient and its two moments; all are equally long.
#[derive(Debug)]
pub struct AdamW8bitTensor<'a> {
    /// The weights; they are changed.
    pub value: &'a mut [f32],
    /// The gradient, before `grad_scale`.
    pub grad: &'a [f32],
    /// First moment, in [`DynamicCode::signed`]; it is changed.
    pub first: &'a mut Blocks,
    /// Second moment, in [`DynamicCode::unsigned`]; it is changed.
    pub second: &'a mut Blocks,
}

/// One AdamW step on every tensor. The weights see the new moments before they are rounded to 8 bits.
pub fn adamw_8bit(tensors: &mut [AdamW8bitTensor<'_>], s: &AdamWStep) {
    let (signed, unsigned) = (DynamicCode::signed(), DynamicCode::unsigned());
    let step_size = (s.lr / (1.0 - s.beta1.powi(s.step as i32))) as f32;
    let root = (1.0 - s.beta2.powi(s.step as i32)).sqrt() as f32;
    let shrink = (1.0 - s.lr * s.weight_decay) as f32;
    let (b2, eps, scale) = (s.beta2 as f32, s.eps as f32, s.grad_scale);
    let (blend1, blend2) = ((1.0 - s.beta1) as f32, (1.0 - s.beta2) as f32);
    let tasks: Vec<_> = tensors
        .iter_mut()
        .flat_map(|t| {
            let n = t.value.len();
            assert!(t.grad.len() == n && t.first.codes.len() == n && t.second.codes.len() == n);
            let values = t.value.chunks_mut(TASK * BLOCK).zip(t.grad.chunks(TASK * BLOCK));
            let first = t.first.codes.chunks_mut(TASK * BLOCK).zip(t.first.largest.chunks_mut(TASK));
            let second = t.second.codes.chunks_mut(TASK * BLOCK).zip(t.second.largest.chunks_mut(TASK));
            values.zip(first.zip(second))
        })
        .collect();
    tasks.into_par_iter().for_each(|((value, grad), ((first, first_max), (second, second_max)))| {
        let values = value.chunks_mut(BLOCK).zip(grad.chunks(BLOCK));
        let first = first.chunks_mut(BLOCK).zip(first_max);
        let second = second.chunks_mut(BLOCK).zip(second_max);
        for (((value, grad), (first, first_max)), (second, second_max)) in values.zip(first).zip(second) {
            vectorised(
                #[inline(always)]
                || {
                    let (mut m, mut v) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
                    let n = value.len();
                    let (m, v) = (&mut m[..n], &mut v[..n]);
                    // One thing at a time, so that the arithmetic is vectorised whatever the look-ups are.
                    for ((m, v), (a, b)) in m.iter_mut().zip(v.iter_mut()).zip(first.iter().zip(&*second)) {
                        *m = signed.values[*a as usize] * *first_max;
                        *v = unsigned.values[*b as usize] * *second_max;
                    }
                    for (((p, g), m), v) in value.iter_mut().zip(grad).zip(&mut *m).zip(&mut *v) {
                        let g = *g * scale;
                        *m += blend1 * (g - *m);
                        *v = b2 * *v + blend2 * g * g;
                        *p = *p * shrink - step_size * (*m / (v.sqrt() / root + eps));
                    }
                    *first_max = write(m, first, signed);
                    *second_max = write(v, second, unsigned);
                },
            );
        }
    });
}

// There is no unsafe code here, and the table alone takes Miri more than half an hour.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_value_is_found_for_every_beginning_of_a_number() {
        for code in [DynamicCode::signed(), DynamicCode::unsigned()] {
            for high in 0..=u16::MAX {
                for low in [0, 1, 0x4000, 0x7fff, 0x8000, 0xc000, 0xfffe, 0xffff] {
                    let x = f32::from_bits(u32::from(high) << 16 | low);
                    if x.abs() > 1.0 || x.is_nan() {
                        continue;
                    }
                    let found = code.middles.partition_point(|m| *m < x) as u8;
                    assert_eq!(code.nearest(x), found, "{x:e}");
                }
                let ends = [0, 0xffff].map(|low| f32::from_bits(u32::from(high) << 16 | low));
                let (low, up) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
                if up.abs() <= 1.0 && low.abs() <= 1.0 {
                    let within = code.middles.iter().filter(|m| **m >= low && **m < up).count();
                    assert!(within <= 1, "{within} between {low:e} and {up:e}");
                }
            }
        }
    }
}
