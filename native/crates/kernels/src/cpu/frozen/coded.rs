//! Coded bf16 as it was: see [`CodedBf16`].

use super::lanes::Lanes;
use crate::matrix::coded::SIDE;
use crate::matrix::CodedBf16;
use std::ops::Range;

/// Columns of a row, into `out[cols.len()]`.
///
/// # Safety
/// The instruction set of `S` is there, `out` is valid for that many numbers, and the row has the columns, of which there are at
/// most `LONG`.
#[inline(always)]
pub(super) unsafe fn columns<S: Lanes, const LONG: usize>(
    v: &CodedBf16,
    row: usize,
    cols: Range<usize>,
    out: *mut u16,
) {
    let mut both = [[0; LONG]; 2];
    let first = row / 2 * 2;
    assert!(cols.len() <= LONG);
    // SAFETY: the caller's promise; the rows are as long.
    unsafe {
        rows::<S>(v, first..first + 2, cols.clone(), both.as_mut_ptr().cast(), LONG);
        std::ptr::copy_nonoverlapping(both[row - first][..cols.len()].as_ptr(), out, cols.len());
    }
}

/// Columns of rows of one block, from one of even number to one of odd number; those behind the last are 0. Row by row, with `stride`
/// numbers from one to the next.
///
/// # Safety
/// The instruction set of `S` is there, `out` is valid for that many numbers, and the rows have the columns.
#[inline(always)]
pub(super) unsafe fn rows<S: Lanes>(
    v: &CodedBf16,
    rows: Range<usize>,
    cols: Range<usize>,
    out: *mut u16,
    stride: usize,
) {
    let block = v.block(rows.start / SIDE);
    let first = rows.start % SIDE;
    let own = first..first + rows.len();
    let tiles = cols.start / SIDE..cols.end.div_ceil(SIDE);
    for tile in tiles.clone() {
        let start = tile * SIDE;
        let common = start.max(cols.start)..(start + SIDE).min(cols.end);
        for pair in own.start / 2..own.end / 2 {
            let (signs, codes) = block.parts(pair, tile);
            // SAFETY: the caller's promise; what is written are rows and columns that are asked for.
            unsafe {
                let to = out.add((2 * pair - first) * stride + common.start - cols.start);
                if common.len() == SIDE {
                    let (even, odd) = (&mut *to.cast(), &mut *to.add(stride).cast());
                    S::coded_pair(signs, codes, block.base, even, odd);
                    continue;
                }
                let mut both = [[0; SIDE]; 2];
                let [even, odd] = &mut both;
                S::coded_pair(signs, codes, block.base, even, odd);
                for (n, row) in both.iter().enumerate() {
                    let from = row[common.start - start..].as_ptr();
                    std::ptr::copy_nonoverlapping(from, to.add(n * stride), common.len());
                }
            }
        }
    }
    for (row, col, bits) in block.apart(tiles) {
        if own.contains(&row) && cols.contains(&col) {
            // SAFETY: the caller's promise; row and column are asked for.
            unsafe { out.add((row - first) * stride + col - cols.start).write(bits) };
        }
    }
}
