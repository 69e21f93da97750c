//! Products of many rows: blocks of weights are packed, and multiplied tile by tile.

use super::lanes::Lanes;
use super::pack::{Buffers, Kernel, Over};
use crate::cpu::par::Disjoint;
use crate::matrix::Matrix;
use std::ops::Range;

/// `y[rows, lanes] = scale * x w` over a span of the contraction.
pub(super) struct Job<'a, T> {
    pub y: Disjoint<'a>,
    /// Lanes of a row of `y`.
    pub width: usize,
    /// The operand's numbers of the span.
    pub x: Operand<T>,
    pub rows: usize,
    pub w: &'a Matrix,
    pub over: Over,
    pub span: Range<usize>,
    pub scale: f32,
    pub accumulate: bool,
}

/// Rows of units, `stride` apart.
pub(super) struct Operand<T> {
    at: *const T,
    stride: usize,
}

// SAFETY: it is read only, and lives as long as the slice that it was made of, which outlives the product.
unsafe impl<T: Sync> Sync for Operand<T> {}

impl<T> Operand<T> {
    /// # Panics
    /// When the slice does not hold `rows` rows of `units`.
    pub fn new(x: &[T], first: usize, rows: usize, units: usize, stride: usize) -> Self {
        assert!(rows > 0 && x.len() >= first + (rows - 1) * stride + units, "the operand is too short");
        Operand { at: x[first..].as_ptr(), stride }
    }
}

impl Operand<u32> {
    /// Rows of as many pairs of bf16, behind one another.
    ///
    /// # Panics
    /// As [`Operand::new`].
    pub fn pairs(x: &[u16], rows: usize, pairs: usize) -> Self {
        Operand { at: Operand::new(x, 0, rows, 2 * pairs, 2 * pairs).at.cast(), stride: pairs }
    }
}

/// Computes some lanes of the product.
///
/// # Safety
/// The kernel's instruction set is there, the operand is still alive, and no other thread computes these lanes.
#[inline(always)]
pub(super) unsafe fn product<K: Kernel>(job: &Job<K::Unit>, lanes: Range<usize>, b: &mut Buffers) {
    let n = K::S::N;
    let widest = n * K::S::WIDE;
    // Blocks of the contraction of about the same depth: even, so that pairs stay together.
    let blocks = job.span.len().div_ceil(K::DEEP);
    let deep = job.span.len().div_ceil(blocks).next_multiple_of(32);
    for first in lanes.clone().step_by(widest) {
        let own = first..lanes.end.min(first + widest);
        let vectors = own.len().div_ceil(n);
        for start in job.span.clone().step_by(deep) {
            let block = start..job.span.end.min(start + deep);
            let units = block.len().div_ceil(K::STEP);
            let padded = units.next_multiple_of(K::GRAIN);
            // SAFETY: the caller's promise; the block is no deeper than a panel, and the lanes no more than its widest.
            unsafe {
                K::pack(b, job.w, job.over, own.clone(), vectors * n, block);
                b.panel[units * vectors * n..padded * vectors * n].fill(0);
                let x = job.x.at.add((start - job.span.start) / K::STEP);
                for row in (0..job.rows).step_by(K::TALL) {
                    let count = K::TALL.min(job.rows - row);
                    let a = (x.add(row * job.x.stride), job.x.stride, count);
                    let (tile, panel) = (b.tile.as_mut_ptr(), b.panel.as_ptr());
                    match vectors {
                        1 => K::tile::<1>(tile, a, panel, padded),
                        2 => K::tile::<2>(tile, a, panel, padded),
                        3 => K::tile::<3>(tile, a, panel, padded),
                        _ => K::tile::<4>(tile, a, panel, padded),
                    }
                    let add = job.accumulate || start > job.span.start;
                    for (r, sums) in b.tile.chunks_exact(vectors * n).take(count).enumerate() {
                        let at = (row + r) * job.width;
                        let y = job.y.part(at + own.start..at + own.end);
                        if add {
                            y.iter_mut().zip(sums).for_each(|(y, sum)| *y += job.scale * sum);
                        } else {
                            y.iter_mut().zip(sums).for_each(|(y, sum)| *y = job.scale * sum);
                        }
                    }
                }
            }
        }
    }
}
