//! The gradient of weights whose products are in bf16.

#[cfg(target_arch = "x86_64")]
use super::halves::Halves;
use super::pack::Over;
use super::{check, product, Isa};
#[cfg(target_arch = "x86_64")]
use crate::cpu::par::Spare;
use crate::cpu::par::{self, Disjoint};
use crate::matrix::Matrix;

/// Numbers of the turned operand that are held at once, about.
const TURNED: usize = 4 << 20;

/// Both operands on tiles, one of them turned, and the turned gradient.
#[cfg(target_arch = "x86_64")]
static OPERANDS: Spare<([Halves; 2], Vec<f32>)> = Spare::new();

/// Outputs that are taken in one go, for products over so many rows: whole tiles.
fn block(outputs: usize, rows: usize) -> usize {
    outputs.min((TURNED / rows.max(1)).next_multiple_of(32))
}

/// Whether x is turned in the place of dy, since it is the narrower of the two: what comes out is the turned gradient, which is
/// small beside the operands.
#[cfg(target_arch = "x86_64")]
fn turns_x(inputs: usize, outputs: usize, rows: usize) -> bool {
    inputs < outputs && inputs <= rows
}

/// Bytes that [`rounded_backward_weight`] takes beyond its operands and what [`super::frozen_scratch_bytes`] says.
pub fn rounded_gradient_bytes(rows: usize, inputs: usize, outputs: usize) -> usize {
    let own = block(outputs, rows);
    #[cfg(target_arch = "x86_64")]
    if Isa::best() == Isa::Amx {
        return if turns_x(inputs, outputs, rows) {
            Halves::bytes_of(inputs, &[rows]) + Halves::bytes_of(rows, &[own]) + 4 * inputs * own
        } else {
            Halves::bytes_of(own, &[rows]) + Halves::bytes_of(rows, &[inputs])
        };
    }
    4 * own * rows + 2 * rows * inputs
}

/// `dw[outputs, inputs] += scale * dyᵀ x`, both rounded to bf16 and added up in f32.
///
/// # Panics
/// When the shapes do not fit.
pub fn rounded_backward_weight(dw: &mut [f32], dy: &[f32], x: &[f32], rows: usize, scale: f32) {
    rounded_backward_weight_on(Isa::best(), dw, dy, x, rows, scale);
}

/// [`rounded_backward_weight`] with chosen instructions.
///
/// # Panics
/// As there, and when the machine lacks the instructions.
#[doc(hidden)]
pub fn rounded_backward_weight_on(isa: Isa, dw: &mut [f32], dy: &[f32], x: &[f32], rows: usize, scale: f32) {
    if rows == 0 {
        return;
    }
    let (outputs, inputs) = (dy.len() / rows, x.len() / rows);
    check(isa, [dy.len(), x.len()], [outputs, inputs], rows);
    assert!(dw.len() == outputs * inputs, "shapes of a gradient do not fit");
    let own = block(outputs, rows);
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        return OPERANDS.with(|([halves, turned], gradient)| {
            if turns_x(inputs, outputs, rows) {
                turned.reserve(inputs, &[rows]);
                turned.put_turned(x, inputs, 0);
                for (n, dw) in dw.chunks_mut(own * inputs).enumerate() {
                    let count = dw.len() / inputs;
                    halves.reserve(rows, &[count]);
                    halves.put(isa, 0, dy, outputs, n * own, count);
                    gradient.resize(inputs * count, 0.0);
                    over_rows(gradient, turned, (halves, count), scale, false);
                    add_turned(dw, gradient, inputs);
                }
                return;
            }
            halves.reserve(rows, &[inputs]);
            halves.put(isa, 0, x, inputs, 0, inputs);
            for (n, dw) in dw.chunks_mut(own * inputs).enumerate() {
                turned.reserve(dw.len() / inputs, &[rows]);
                turned.put_turned(dy, outputs, n * own);
                over_rows(dw, turned, (halves, inputs), scale, true);
            }
        });
    }
    let x = Matrix::bf16(x, inputs);
    let mut turned = vec![0.0; own * rows];
    for (n, dw) in dw.chunks_mut(own * inputs).enumerate() {
        let count = dw.len() / inputs;
        turn(&mut turned[..count * rows], dy, outputs, n * own);
        product(isa, dw, &turned[..count * rows], (&x, Over::Outputs), count, scale, true);
    }
}

/// `y[a's rows, width] = scale * a b`, added to `y` when `accumulate`: `a` is turned, the contraction is over the rows of `b`.
#[cfg(target_arch = "x86_64")]
fn over_rows(y: &mut [f32], a: &Halves, (b, width): (&Halves, usize), scale: f32, accumulate: bool) {
    use super::tiles::{Piece, Product, Source};
    let pieces = &[Piece { source: Source::Halves(b, width), over: Over::Outputs, first: 0, deep: b.rows() }];
    Product { x: a, pieces, rows: a.rows(), width, lanes: 0..width, scale, accumulate }.run(y);
}

/// `to[columns, rows] += x[rows, columns]ᵀ`.
#[cfg(target_arch = "x86_64")]
fn add_turned(to: &mut [f32], x: &[f32], rows: usize) {
    /// Rows and columns that are turned at once: they stay in the first cache.
    const SIDE: usize = 32;
    let columns = x.len() / rows;
    let to = Disjoint::new(to);
    par::ranges(columns.div_ceil(SIDE), par::row_grain(SIDE * rows), |range| {
        for first in range.map(|n| SIDE * n) {
            let count = (columns - first).min(SIDE);
            // SAFETY: ranges of columns do not overlap.
            let to = unsafe { to.part(first * rows..(first + count) * rows) };
            for (start, block) in x.chunks(SIDE * columns).enumerate() {
                let mut turned = [[0.0f32; SIDE]; SIDE];
                for (r, row) in block.chunks_exact(columns).enumerate() {
                    for (turned, x) in turned.iter_mut().zip(&row[first..first + count]) {
                        turned[r] = *x;
                    }
                }
                let own = block.len() / columns;
                for (to, turned) in to.chunks_exact_mut(rows).zip(&turned) {
                    to[start * SIDE..][..own].iter_mut().zip(turned).for_each(|(to, x)| *to += x);
                }
            }
        }
    });
}

/// Row r of `to` = column `first + r` of `x[.., width]`.
fn turn(to: &mut [f32], x: &[f32], width: usize, first: usize) {
    let (rows, columns) = (x.len() / width, to.len() * width / x.len());
    let to = Disjoint::new(to);
    par::ranges(columns.div_ceil(16), par::row_grain(16 * rows), |range| {
        for start in range.map(|n| 16 * n) {
            let count = (columns - start).min(16);
            // SAFETY: ranges of columns do not overlap.
            let to = unsafe { to.part(start * rows..(start + count) * rows) };
            for (row, numbers) in x.chunks_exact(width).enumerate() {
                let numbers = &numbers[first + start..][..count];
                numbers.iter().enumerate().for_each(|(column, x)| to[column * rows + row] = *x);
            }
        }
    });
}
