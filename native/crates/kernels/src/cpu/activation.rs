//! What an MLP does between its projections: gated (Shazeer 2020) or plain.
#![allow(unsafe_code)]

use super::par::{self, Disjoint};
use super::simd::{exp, sigmoid, vectorised};
use crate::Activation;

/// sqrt(2 / pi) and the cubic term of GELU's tanh approximation.
const GELU: (f32, f32) = (0.797_884_6, 0.044_715);

/// A function of one number: its value and its slope.
trait Curve: Sync {
    fn at(x: f32) -> (f32, f32);
}

struct Silu;
impl Curve for Silu {
    #[inline(always)]
    fn at(x: f32) -> (f32, f32) {
        let s = sigmoid(x);
        (x * s, s + x * s * (1.0 - s))
    }
}

struct GeluTanh;
impl Curve for GeluTanh {
    /// (1 + tanh u) / 2 is sigmoid 2u.
    #[inline(always)]
    fn at(x: f32) -> (f32, f32) {
        let (root, cubic) = GELU;
        let s = sigmoid(2.0 * root * (x + cubic * x * x * x));
        (x * s, s + x * s * (1.0 - s) * 2.0 * root * (1.0 + 3.0 * cubic * x * x))
    }
}

/// 1 / sqrt(2 π) and 1 / sqrt(2).
const NORMAL: (f32, f32) = (0.398_942_3, std::f32::consts::FRAC_1_SQRT_2);

/// e^(z²) erfc(z) / t as a polynomial in t - 1/2, the constant first, where t = 2 / (2 + z).
///
/// To take e^(-z²) out of erfc keeps the relative error of its tail small (Cody 1969). The coefficients are a fit of least relative
/// error for z in [0, 9.6], which is 5e-8 in exact arithmetic.
const TAIL: [f32; 9] = [
    0.510_791_37,
    0.687_160_98,
    0.558_939_4,
    0.145_74,
    -0.171_871_4,
    -0.102_978_41,
    0.095_335_71,
    0.048_175_584,
    -0.058_931_376,
];

/// Of the standard normal distribution at `x`: what lies below, and the density; both with a relative error below 1e-6.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    // x² needs more digits than it has: an error in the exponent is one of the result, times the exponent. The upper half of
    // x's digits has an exact square.
    let high = f32::from_bits(x.to_bits() & 0xffff_f000);
    let bell = exp(-0.5 * high * high) * exp(-0.5 * (x - high) * (x + high));
    let t = 2.0 / (2.0 + x.abs() * NORMAL.1);
    let mut p = TAIL[8];
    let mut i = 8;
    while i > 0 {
        i -= 1;
        p = p * (t - 0.5) + TAIL[i];
    }
    // Φ(-|x|) = erfc(|x| / √2) / 2.
    let tail = 0.5 * bell * t * p;
    (if x < 0.0 { tail } else { 1.0 - tail }, NORMAL.0 * bell)
}

struct Gelu;
impl Curve for Gelu {
    #[inline(always)]
    fn at(x: f32) -> (f32, f32) {
        let (below, density) = normal(x);
        (x * below, below + x * density)
    }
}

macro_rules! with_curve {
    ($kind:expr, $run:ident($($argument:expr),*)) => {
        match $kind {
            Activation::Silu => $run::<Silu>($($argument),*),
            Activation::GeluTanh => $run::<GeluTanh>($($argument),*),
            Activation::Gelu => $run::<Gelu>($($argument),*),
        }
    };
}

/// `act[tokens, width] = f(gate) * up`, where each token's row of `gate_up` holds the gate and then the other half.
pub fn gated(act: &mut [f32], gate_up: &[f32], width: usize, kind: Activation) {
    assert!(gate_up.len() == 2 * act.len() && act.len().is_multiple_of(width));
    with_curve!(kind, gated_with(act, gate_up, width));
}

fn gated_with<C: Curve>(act: &mut [f32], gate_up: &[f32], width: usize) {
    let tokens = act.len() / width;
    let act = Disjoint::new(act);
    par::ranges(tokens, par::row_grain(width), |range| {
        // SAFETY: ranges of tokens do not overlap.
        let act = unsafe { act.part(range.start * width..range.end * width) };
        let gate_up = &gate_up[2 * range.start * width..2 * range.end * width];
        vectorised(
            #[inline(always)]
            || {
                for (act, row) in act.chunks_exact_mut(width).zip(gate_up.chunks_exact(2 * width)) {
                    let (gate, up) = row.split_at(width);
                    for i in 0..width {
                        act[i] = C::at(gate[i]).0 * up[i];
                    }
                }
            },
        );
    });
}

/// Gradient of [`gated`], in place: `gate_up` holds its gradient afterwards, and `act`, which holds the gradient of the
/// activation, holds the activation itself.
pub fn gated_backward(act: &mut [f32], gate_up: &mut [f32], width: usize, kind: Activation) {
    assert!(gate_up.len() == 2 * act.len() && act.len().is_multiple_of(width));
    with_curve!(kind, gated_backward_with(act, gate_up, width));
}

fn gated_backward_with<C: Curve>(act: &mut [f32], gate_up: &mut [f32], width: usize) {
    let tokens = act.len() / width;
    let (act, gate_up) = (Disjoint::new(act), Disjoint::new(gate_up));
    par::ranges(tokens, par::row_grain(width), |range| {
        // SAFETY: ranges of tokens do not overlap.
        let (act, gate_up) = unsafe {
            (
                act.part(range.start * width..range.end * width),
                gate_up.part(2 * range.start * width..2 * range.end * width),
            )
        };
        vectorised(
            #[inline(always)]
            || {
                for (act, row) in act.chunks_exact_mut(width).zip(gate_up.chunks_exact_mut(2 * width)) {
                    let (gate, up) = row.split_at_mut(width);
                    for i in 0..width {
                        let (value, slope) = C::at(gate[i]);
                        let (d, u) = (act[i], up[i]);
                        act[i] = value * u;
                        up[i] = d * value;
                        gate[i] = d * u * slope;
                    }
                }
            },
        );
    });
}

/// `act = f(x)`.
pub fn activate(act: &mut [f32], x: &[f32], kind: Activation) {
    assert!(act.len() == x.len());
    with_curve!(kind, activate_with(act, x));
}

fn activate_with<C: Curve>(act: &mut [f32], x: &[f32]) {
    let act = Disjoint::new(act);
    par::ranges(x.len(), par::row_grain(1), |range| {
        // SAFETY: ranges do not overlap.
        let act = unsafe { act.part(range.clone()) };
        vectorised(
            #[inline(always)]
            || {
                for (a, &x) in act.iter_mut().zip(&x[range]) {
                    *a = C::at(x).0;
                }
            },
        );
    });
}

/// Gradient of [`activate`], in place: `x` holds its gradient afterwards, and `act`, which holds the gradient of the
/// activation, holds the activation itself.
pub fn activate_backward(act: &mut [f32], x: &mut [f32], kind: Activation) {
    assert!(act.len() == x.len());
    with_curve!(kind, activate_backward_with(act, x));
}

fn activate_backward_with<C: Curve>(act: &mut [f32], x: &mut [f32]) {
    let n = x.len();
    let (act, x) = (Disjoint::new(act), Disjoint::new(x));
    par::ranges(n, par::row_grain(1), |range| {
        // SAFETY: ranges do not overlap.
        let (act, x) = unsafe { (act.part(range.clone()), x.part(range)) };
        vectorised(
            #[inline(always)]
            || {
                for (a, x) in act.iter_mut().zip(x) {
                    let (value, slope) = C::at(*x);
                    *x = *a * slope;
                    *a = value;
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_is_pytorchs_far_into_its_tail() {
        // torch.nn.functional.gelu and its gradient, in double precision.
        for (x, value, slope) in [
            (-12.5_f32, -4.6657053735972615e-35, -5.831668554480321e-34),
            (-9.0_f32, -1.0157295653584581e-18, -9.138937373906637e-18),
            (-6.3_f32, -9.375826543599228e-10, -5.90007329884892e-09),
            (-4.0_f32, -0.0001266849673324799, -0.0005036496612264224),
            (-2.2_f32, -0.03058758147123223, -0.06414065194417909),
            (-1.0_f32, -0.15865525393145707, -0.08331547058768632),
            (-0.75_f32, -0.16997051428265114, 0.0007742782607649268),
            (-0.1_f32, -0.04601721689885652, 0.4204769067981741),
            (-1e-4_f32, -4.999600931429796e-05, 0.4999202115462013),
            (1e-6_f32, 5.000003976798997e-07, 0.5000007978845589),
            (0.3_f32, 0.18537343538671314, 0.7323277755109192),
            (0.8413_f32, 0.6729643400588486, 1.0355056963467966),
            (1.7_f32, 1.6242387664929818, 1.1153179647908622),
            (3.3_f32, 3.298404652398412, 1.0052010540867045),
            (5.5_f32, 5.499999895557407, 1.00000057334724),
            (9.0_f32, 9.0, 1.0),
        ] {
            let (found, slant) = vectorised(|| Gelu::at(x));
            let apart = (f64::from(found) - value).abs() / f64::abs(value).max(1e-38);
            assert!(apart < 1e-6, "{x}: {found} instead of {value}");
            assert!(
                (f64::from(slant) - slope).abs() < 1e-6 * f64::abs(slope).max(0.1),
                "{x}: {slant}, {slope}"
            );
        }
        assert_eq!(Gelu::at(0.0), (0.0, 0.5));
        assert!(Gelu::at(-40.0).0.abs() < 1e-35 && Gelu::at(40.0) == (40.0, 1.0));
    }

    #[test]
    fn the_normal_distribution_has_its_density_as_slope() {
        let mut worst = 0.0f64;
        for i in -5_000..5_000 {
            let x = i as f32 * 1e-3;
            let (h, wide) = (1.0f32 / 64.0, f64::from(x));
            // Below and above, to the fourth order.
            let at = |by: f32| f64::from(normal(x + by).0);
            let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * f64::from(h));
            let density = (-0.5 * wide * wide).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!((f64::from(normal(x).1) / density - 1.0).abs() < 1e-6, "{x}");
            worst = worst.max((slope - density).abs());
        }
        assert!(worst < 2e-5, "{worst}");
    }
}
