//! What an MLP does between its projections: gated (Shazeer 2020) or plain.
#![allow(unsafe_code)]

use super::par::{self, Disjoint};
use super::simd::{sigmoid, vectorised};
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

macro_rules! with_curve {
    ($kind:expr, $run:ident($($argument:expr),*)) => {
        match $kind {
            Activation::Silu => $run::<Silu>($($argument),*),
            Activation::GeluTanh => $run::<GeluTanh>($($argument),*),
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
