//! The gradient of weights whose products are in bf16.

use super::halves::Halves;
use super::pack::Over;
use super::{check, product, Isa};
use crate::cpu::par::{self, Disjoint, Spare};
use crate::matrix::Matrix;

/// Numbers of the turned operand that are held at once, about.
const TURNED: usize = 4 << 20;

/// Both operands on tiles: x, and dy turned.
#[cfg(target_arch = "x86_64")]
static OPERANDS: Spare<[Halves; 2]> = Spare::new();

/// Outputs that are taken in one go, for products over so many rows: whole tiles.
fn block(outputs: usize, rows: usize) -> usize {
    outputs.min((TURNED / rows.max(1)).next_multiple_of(32))
}

/// Bytes that [`rounded_backward_weight`] takes beyond its operands and what [`super::frozen_scratch_bytes`] says.
pub fn rounded_gradient_bytes(rows: usize, inputs: usize, outputs: usize) -> usize {
    let own = block(outputs, rows);
    if Isa::best() == Isa::Amx {
        Halves::bytes_of(own, &[rows]) + Halves::bytes_of(rows, &[inputs])
    } else {
        4 * own * rows + 2 * rows * inputs
    }
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
        use super::tiles::{Piece, Product, Source};
        return OPERANDS.with(|[halves, turned]| {
            halves.reserve(rows, &[inputs]);
            halves.put(isa, 0, x, inputs, 0, inputs);
            let pieces = &[Piece {
                source: Source::Halves(halves, inputs),
                over: Over::Outputs,
                first: 0,
                deep: rows,
            }];
            for (n, dw) in dw.chunks_mut(own * inputs).enumerate() {
                let count = dw.len() / inputs;
                turned.reserve(count, &[rows]);
                turned.put_turned(dy, outputs, n * own);
                Product {
                    x: turned,
                    pieces,
                    rows: count,
                    width: inputs,
                    lanes: 0..inputs,
                    scale,
                    accumulate: true,
                }
                .run(dw);
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
