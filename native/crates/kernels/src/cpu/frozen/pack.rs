//! Blocks of weights in the order in which a tile's product reads them.
//!
//! A panel holds, for each unit of the contraction, the weights of a tile's lanes side by side. In Y = X Wᵀ the lanes
//! are rows of W and the contraction runs along them; in dX = dY W it is the other way round.

use super::decode::decode;
use super::lanes::Lanes;
use super::tile;
use crate::matrix::{round, Arithmetic, Matrix, Store};
use std::marker::PhantomData;
use std::ops::Range;

/// Which side of the weights a product sums over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Y = X Wᵀ.
    Inputs,
    /// dX = dY W.
    Outputs,
}

/// Units of the contraction that a panel holds.
const DEEP: usize = 256;
/// Numbers of a row that are packed at once, at most: pairs of them.
const LONG: usize = 2 * DEEP;
/// Lanes of the widest panel.
const WIDEST: usize = 64;
/// Rows of the tallest tile.
pub(super) const TALLEST: usize = 32;

/// What a thread needs for itself.
#[repr(align(64))]
pub(super) struct Buffers {
    pub panel: [u32; DEEP * WIDEST],
    pub tile: [f32; TALLEST * WIDEST],
    /// A vector's lanes of weights as they come, at most sixteen rows or two.
    rows: [f32; 16 * LONG],
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    halves: [u16; 16 * LONG],
    zeros: [u32; DEEP],
}

impl Buffers {
    pub fn boxed() -> Box<Buffers> {
        Box::new(Buffers {
            panel: [0; DEEP * WIDEST],
            tile: [0.0; TALLEST * WIDEST],
            rows: [0.0; 16 * LONG],
            halves: [0; 16 * LONG],
            zeros: [0; DEEP],
        })
    }
}

/// A way to multiply a tile.
///
/// # Safety
/// Every method needs the instruction set of `S`, and of the kernel.
pub(super) trait Kernel {
    type S: Lanes;
    /// A lane's part of a panel's row, 32 bits: one number, or two of bf16.
    type Unit: Copy;
    /// Numbers of the contraction in a unit.
    const STEP: usize;
    /// Numbers of the contraction that a panel holds.
    const DEEP: usize = DEEP * Self::STEP;
    /// Rows of a tile.
    const TALL: usize = tile::TALL;
    /// Units are multiplied in multiples of this; operand and panel are 0 up to there.
    const GRAIN: usize = 1;

    /// Fills a panel of `width` lanes with the weights of `lanes` (no more than `width`) and `deep` (no more than
    /// [`Kernel::DEEP`]); what is beyond them is 0.
    unsafe fn pack(
        b: &mut Buffers,
        w: &Matrix,
        over: Over,
        lanes: Range<usize>,
        width: usize,
        deep: Range<usize>,
    );

    /// See [`tile::f32_tile`].
    unsafe fn tile<const NV: usize>(
        tile: *mut f32,
        a: (*const Self::Unit, usize, usize),
        panel: *const u32,
        units: usize,
    );
}

/// Products of f32.
pub(super) struct Single<S>(PhantomData<S>);

/// Columns of a row as they are multiplied: rounded to bf16 where the matrix says so.
///
/// # Safety
/// As [`decode`].
#[inline(always)]
unsafe fn operand<S: Lanes>(w: &Matrix, store: &Store, row: usize, cols: Range<usize>, to: *mut f32) {
    let n = cols.len();
    // SAFETY: the caller's promise.
    unsafe { decode::<S>(store, w.inputs(), row, cols, to) };
    if w.arithmetic() == Arithmetic::Bf16 && !store.is_bf16() {
        // SAFETY: as many numbers were written.
        unsafe { std::slice::from_raw_parts_mut(to, n) }.iter_mut().for_each(|x| *x = round(*x));
    }
}

impl<S: Lanes> Kernel for Single<S> {
    type S = S;
    type Unit = f32;
    const STEP: usize = 1;

    #[inline(always)]
    unsafe fn pack(
        b: &mut Buffers,
        w: &Matrix,
        over: Over,
        lanes: Range<usize>,
        width: usize,
        deep: Range<usize>,
    ) {
        let panel = b.panel.as_mut_ptr();
        match over {
            Over::Inputs => {
                for first in (0..width).step_by(S::N) {
                    let mut rows = [b.zeros.as_ptr(); 16];
                    for (lane, o) in (lanes.start + first..lanes.end).take(S::N).enumerate() {
                        let (store, row) = w.locate(o);
                        let to = b.rows[lane * LONG..(lane + 1) * LONG].as_mut_ptr();
                        // SAFETY: a row of the buffer holds `LONG` numbers.
                        unsafe { operand::<S>(w, store, row, deep.clone(), to) };
                        rows[lane] = to.cast::<u32>();
                    }
                    // SAFETY: each row has `deep.len()` numbers, and the panel that many rows of `width`.
                    unsafe { S::transpose(&rows[..S::N], deep.len(), panel.add(first), width) };
                }
            }
            Over::Outputs => {
                for (u, o) in deep.enumerate() {
                    let (store, row) = w.locate(o);
                    let to = b.panel[u * width..(u + 1) * width].as_mut_ptr().cast::<f32>();
                    // SAFETY: there are no more lanes than `width`.
                    unsafe {
                        operand::<S>(w, store, row, lanes.clone(), to);
                        to.add(lanes.len()).write_bytes(0, width - lanes.len());
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<const NV: usize>(
        tile: *mut f32,
        a: (*const f32, usize, usize),
        panel: *const u32,
        units: usize,
    ) {
        // SAFETY: the caller's promise; numbers of 32 bits.
        unsafe { tile::f32_tile::<S, NV>(tile, a, panel.cast(), units) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use pairs::{narrow, Pairs};

#[cfg(target_arch = "x86_64")]
mod pairs {
    use super::*;
    use crate::cpu::frozen::coded::columns;
    use crate::cpu::frozen::x86::Avx512;
    use std::arch::x86_64::*;

    /// Products of pairs of bf16.
    pub struct Pairs;

    /// Where some columns of a row are as bf16: in the store, or converted in `halves`.
    ///
    /// # Safety
    /// AVX-512 bf16 is there; `rows` and `halves` are valid for that many numbers.
    #[inline(always)]
    unsafe fn row(w: &Matrix, o: usize, cols: Range<usize>, rows: *mut f32, halves: *mut u16) -> *const u16 {
        let (store, row) = w.locate(o);
        if let Store::Bf16(v) = store {
            let first = row * w.inputs() + cols.start;
            return v.as_slice()[first..first + cols.len()].as_ptr();
        }
        if let Store::Coded(v) = store {
            // SAFETY: the caller's promise.
            unsafe { columns::<Avx512, LONG>(v, row, cols, halves) };
            return halves;
        }
        let n = cols.len();
        // SAFETY: the caller's promise.
        unsafe {
            decode::<Avx512>(store, w.inputs(), row, cols, rows);
            narrow(rows, n, halves);
        }
        halves
    }

    /// Rounds `n` numbers to bf16.
    ///
    /// # Safety
    /// AVX-512 bf16 is there, and the pointers are valid for that many numbers.
    #[inline(always)]
    pub(in crate::cpu::frozen) unsafe fn narrow(from: *const f32, n: usize, to: *mut u16) {
        let whole = n - n % 16;
        // SAFETY: the caller's promise.
        unsafe {
            for i in (0..whole).step_by(16) {
                let half = _mm512_cvtneps_pbh(_mm512_loadu_ps(from.add(i)));
                _mm256_storeu_si256(to.add(i).cast(), std::mem::transmute::<__m256bh, __m256i>(half));
            }
            for i in whole..n {
                to.add(i).write_unaligned(crate::matrix::to_bf16(*from.add(i)));
            }
        }
    }

    impl Kernel for Pairs {
        type S = Avx512;
        type Unit = u32;
        const STEP: usize = 2;

        #[inline(always)]
        unsafe fn pack(
            b: &mut Buffers,
            w: &Matrix,
            over: Over,
            lanes: Range<usize>,
            width: usize,
            deep: Range<usize>,
        ) {
            let panel = b.panel.as_mut_ptr();
            let (from, halves) = (b.rows.as_mut_ptr(), b.halves.as_mut_ptr());
            match over {
                Over::Inputs => {
                    let pairs = deep.len() / 2;
                    for first in (0..width).step_by(16) {
                        let mut rows = [b.zeros.as_ptr(); 16];
                        for (lane, o) in (lanes.start + first..lanes.end).take(16).enumerate() {
                            // SAFETY: the buffers have sixteen rows of `LONG` numbers.
                            rows[lane] = unsafe {
                                row(w, o, deep.clone(), from.add(lane * LONG), halves.add(lane * LONG)).cast()
                            };
                        }
                        // SAFETY: each row has that many pairs, and the panel that many rows of `width`; where a last
                        // number stands alone, the panel has one row more and the row one number more.
                        unsafe {
                            Avx512::transpose(&rows, pairs, panel.add(first), width);
                            if deep.len() % 2 == 1 {
                                for (lane, row) in rows.iter().enumerate() {
                                    let alone = row.add(pairs).cast::<u16>().read_unaligned();
                                    panel.add(pairs * width + first + lane).write(u32::from(alone));
                                }
                            }
                        }
                    }
                }
                Over::Outputs => {
                    for (p, o) in deep.clone().step_by(2).enumerate() {
                        // SAFETY: the buffers have sixteen rows of `LONG` numbers, and there are at most `LONG` lanes.
                        unsafe {
                            let even = row(w, o, lanes.clone(), from, halves);
                            let odd = if o + 1 < deep.end {
                                row(w, o + 1, lanes.clone(), from.add(LONG), halves.add(LONG))
                            } else {
                                b.zeros.as_ptr().cast()
                            };
                            interleave(even, odd, lanes.len(), panel.add(p * width), width);
                        }
                    }
                }
            }
        }

        #[inline(always)]
        unsafe fn tile<const NV: usize>(
            tile: *mut f32,
            a: (*const u32, usize, usize),
            panel: *const u32,
            units: usize,
        ) {
            // SAFETY: the caller's promise.
            unsafe { tile::bf16_tile::<NV>(tile, a, panel, units) }
        }
    }

    /// `to[i]` = the pair of `even[i]` and `odd[i]`; 0 from `n` to `width`.
    ///
    /// # Safety
    /// AVX-512 is there; the sources are valid for `n` numbers and `to` for `width`.
    #[inline(always)]
    unsafe fn interleave(even: *const u16, odd: *const u16, n: usize, to: *mut u32, width: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            for i in (0..width).step_by(16) {
                let left = n.saturating_sub(i).min(16);
                let mask = ((1u32 << left) - 1) as u16;
                let even = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, even.add(i).cast()));
                let odd = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, odd.add(i).cast()));
                let pair = _mm512_or_si512(even, _mm512_slli_epi32::<16>(odd));
                _mm512_storeu_si512(to.add(i).cast(), pair);
            }
        }
    }
}
