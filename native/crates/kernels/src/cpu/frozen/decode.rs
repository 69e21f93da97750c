//! Weights as f32, some columns of a row at a time.

use super::lanes::Lanes;
use crate::matrix::{from_bf16, Nf4, Store, NF4_BLOCK};
use std::ops::Range;

/// Columns of a stored tensor's row, into `out[cols.len()]`.
///
/// # Safety
/// The instruction set of `S` is there, `out` is valid for that many numbers, and the row has the columns.
#[inline(always)]
pub(super) unsafe fn decode<S: Lanes>(
    store: &Store,
    inputs: usize,
    row: usize,
    cols: Range<usize>,
    out: *mut f32,
) {
    let (first, n) = (row * inputs + cols.start, cols.len());
    let whole = n - n % S::N;
    // SAFETY: slices are cut to the columns, vectors lie inside them, and `out` is as long by the caller's promise.
    unsafe {
        match store {
            Store::F32(v) => std::ptr::copy_nonoverlapping(v[first..first + n].as_ptr(), out, n),
            Store::Bf16(v) => {
                let from = &v.as_slice()[first..first + n];
                for i in (0..whole).step_by(S::N) {
                    S::store(out.add(i), S::from_bf16(from.as_ptr().add(i)));
                }
                for (i, &x) in from.iter().enumerate().skip(whole) {
                    *out.add(i) = from_bf16(x);
                }
            }
            Store::Coded(v) => {
                const LONG: usize = 256;
                let mut halves = [0; LONG];
                for start in (0..n).step_by(LONG) {
                    let count = (n - start).min(LONG);
                    let own = cols.start + start..cols.start + start + count;
                    super::coded::columns::<S, LONG>(v, row, own, halves.as_mut_ptr());
                    let whole = count - count % S::N;
                    for i in (0..whole).step_by(S::N) {
                        S::store(out.add(start + i), S::from_bf16(halves.as_ptr().add(i)));
                    }
                    for (i, &x) in halves[..count].iter().enumerate().skip(whole) {
                        *out.add(start + i) = from_bf16(x);
                    }
                }
            }
            Store::Int8(v) => {
                let (from, scale) = (&v.codes[first..first + n], v.scales[row]);
                for i in (0..whole).step_by(S::N) {
                    S::store(out.add(i), S::mul(S::from_i8(from.as_ptr().add(i)), S::splat(scale)));
                }
                for (i, &x) in from.iter().enumerate().skip(whole) {
                    *out.add(i) = f32::from(x) * scale;
                }
            }
            Store::Nf4(v) => nf4::<S>(v, first, n, out),
        }
    }
}

/// `n` numbers from `first` on; rows need not begin with a block.
///
/// # Safety
/// As [`decode`].
#[inline(always)]
pub(super) unsafe fn nf4<S: Lanes>(v: &Nf4, first: usize, n: usize, out: *mut f32) {
    let end = first + n;
    assert!(end <= v.len, "no such numbers");
    let mut at = first;
    while at < end {
        let block = at / NF4_BLOCK;
        let stop = end.min((block + 1) * NF4_BLOCK);
        let scale = v.scale(block);
        // SAFETY: `at..stop` lies inside the matrix, and a vector is read where it begins with a whole byte and ends inside.
        unsafe {
            if at % 2 == 1 {
                *out.add(at - first) = v.at(at);
                at += 1;
            }
            while at + S::N <= stop {
                let levels = S::from_nf4(v.codes.as_ptr().add(at / 2));
                S::store(out.add(at - first), S::mul(levels, S::splat(scale)));
                at += S::N;
            }
            while at < stop {
                *out.add(at - first) = v.at(at);
                at += 1;
            }
        }
    }
}
