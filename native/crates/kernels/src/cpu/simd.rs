//! Vectorised building blocks.

use std::sync::LazyLock;

static ARCH: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);

/// Runs `op` compiled for the machine's best vector instructions. Everything `op` calls must be `#[inline(always)]`.
#[inline(always)]
pub(crate) fn vectorised<R>(op: impl FnOnce() -> R) -> R {
    ARCH.dispatch(op)
}

/// Partial sums kept by reductions, whatever the machine's vector width.
pub(crate) const LANES: usize = 16;

/// e^x with a relative error below 2e-7, for x in [-87, 88]; values outside are clamped.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, e^r by a polynomial of degree 7 (Taylor), 2^n through the exponent's bits.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding 1.5 x 2^23 leaves the nearest whole number in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r * r + r + 1.0;
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh x with a relative error below 5e-7: through the exponential, near 0 by its series to x⁹.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let far = 1.0 - 2.0 / (1.0 + exp(2.0 * x));
    let s = x * x;
    let near = x * (1.0 + s * (-1.0 / 3.0 + s * (2.0 / 15.0 + s * (-17.0 / 315.0 + s * (62.0 / 2835.0)))));
    if s < 0.0625 {
        near
    } else {
        far
    }
}

#[inline(always)]
fn fold(lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    let mut lanes = lanes;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Sum of `f(i)` over the chunks of equally long slices.
macro_rules! reduce {
    ($n:expr, |$i:ident| $term:expr) => {{
        let n = $n;
        let mut lanes = [0.0f32; LANES];
        let whole = n - n % LANES;
        let mut start = 0;
        while start < whole {
            for lane in 0..LANES {
                let $i = start + lane;
                lanes[lane] += $term;
            }
            start += LANES;
        }
        for $i in whole..n {
            lanes[$i - whole] += $term;
        }
        fold(lanes)
    }};
}

/// a · b.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let b = &b[..a.len()];
    reduce!(a.len(), |i| a[i] * b[i])
}

/// Sum of all numbers.
#[inline(always)]
pub(crate) fn sum(a: &[f32]) -> f32 {
    reduce!(a.len(), |i| a[i])
}

/// Sum over i of a b c.
#[inline(always)]
pub(crate) fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let (b, c) = (&b[..a.len()], &c[..a.len()]);
    reduce!(a.len(), |i| a[i] * b[i] * c[i])
}

/// Largest value; -infinity for none.
#[inline(always)]
pub(crate) fn max(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = a.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = if x > *lane { x } else { *lane };
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// Replaces each value by e^(scale x value - shift) and returns their sum.
#[inline(always)]
pub(crate) fn exp_sum(a: &mut [f32], scale: f32, shift: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (chunks, rest) = a.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] * scale - shift);
            lanes[lane] += chunk[lane];
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *x = exp(*x * scale - shift);
        *lane += *x;
    }
    fold(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_f64() {
        let mut worst = 0.0f64;
        for i in -86_999..88_000 {
            let x = i as f32 * 1e-3;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(vectorised(|| exp(x))) - exact).abs() / exact);
        }
        assert!(worst < 2e-7, "{worst}");
    }

    #[test]
    fn tanh_is_close_to_f64() {
        let mut worst = 0.0f64;
        for i in (-30_000..30_000).filter(|&i| i != 0) {
            let x = i as f32 * 3e-4;
            let exact = f64::from(x).tanh();
            worst = worst.max(((f64::from(vectorised(|| tanh(x))) - exact) / exact).abs());
        }
        assert!(worst < 5e-7, "{worst}");
    }

    #[test]
    fn reductions_take_every_length() {
        for n in 0..70 {
            let a: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
            let exact: f64 = a.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            assert!((f64::from(dot(&a, &a)) - exact).abs() < 1e-5);
            let largest = a.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(max(&a), largest);
        }
    }
}
