//! Rows of a head in the orders in which the tiles read them.

use super::super::Head;
use super::{SIDE, TILE};
use crate::cpu::frozen::{Avx512, Lanes};
use std::arch::x86_64::*;

/// A cache line: 32 numbers of bf16, or 16 of f32.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Line(pub [u32; 16]);

/// Parts of one buffer behind one another, each of so many lines, that keep what was in them.
pub(super) fn parts<const N: usize>(room: &mut Vec<Line>, lines: [usize; N]) -> [*mut Line; N] {
    let all = lines.iter().sum();
    if room.len() < all {
        // What was there is not needed: no copy of it to a new place.
        *room = Vec::new();
        room.resize(all, Line([0; 16]));
    }
    let mut rest = &mut room[..];
    lines.map(|count| {
        let (own, after) = std::mem::take(&mut rest).split_at_mut(count);
        rest = after;
        own.as_mut_ptr()
    })
}

/// Lines from one row of so many to the next: odd, so that the rows of a tile lie in different sets of the cache.
pub(super) fn stride(lines: usize) -> usize {
    lines | 1
}

/// Rounds `count` rows of a head from `first` on, and makes them 32 by rows of 0. Their numbers are 0 up to a line's end.
///
/// # Safety
/// AVX-512 bf16 is there, and so are 32 rows at `to`, `stride` lines apart.
#[inline(always)]
pub(super) unsafe fn round(head: &Head, first: usize, count: usize, to: *mut Line, stride: usize) {
    for r in 0..SIDE {
        for at in (0..head.dim).step_by(32) {
            // SAFETY: the caller's promise; numbers beyond the head's are masked.
            unsafe {
                let to = to.add(r * stride + at / 32);
                if r >= count {
                    to.write(Line([0; 16]));
                    continue;
                }
                let row = &head.row(first + r)[at..];
                let mask = u32::MAX >> (32 - row.len().min(32));
                let low = _mm512_maskz_loadu_ps(mask as u16, row.as_ptr());
                let high = _mm512_maskz_loadu_ps((mask >> 16) as u16, row.as_ptr().wrapping_add(16));
                let halves = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                _mm512_store_si512(to.cast(), halves);
            }
        }
    }
}

/// 32 rows become lanes: for each 16 of them a run of `deep` tiles, whose rows are pairs of a row's numbers.
///
/// # Safety
/// AVX-512 is there, the rows too, and room for both runs at `to`.
#[inline(always)]
pub(super) unsafe fn turn(rows: *const Line, stride: usize, deep: usize, to: *mut Line) {
    for half in 0..2 {
        let own = std::array::from_fn::<_, 16, _>(|r| rows.wrapping_add((16 * half + r) * stride).cast());
        // SAFETY: the caller's promise; a line has 16 pairs.
        unsafe { Avx512::transpose(&own, 16 * deep, to.add(half * deep * TILE).cast(), 16) };
    }
}

/// 32 rows become the contraction: a tile for each 16 columns, whose rows are pairs of rows.
///
/// # Safety
/// As [`turn`], with room for `2 * deep` tiles.
#[inline(always)]
pub(super) unsafe fn interleave(rows: *const Line, stride: usize, deep: usize, to: *mut Line) {
    for pair in 0..16 {
        for line in 0..deep {
            // SAFETY: the caller's promise.
            unsafe {
                let at = rows.add(2 * pair * stride + line);
                // A vector's 64-bit parts in the order in which the instructions below take them.
                let order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
                let even = _mm512_permutexvar_epi64(order, _mm512_load_si512(at.cast()));
                let odd = _mm512_permutexvar_epi64(order, _mm512_load_si512(at.add(stride).cast()));
                let to = to.add(2 * line * TILE + pair);
                _mm512_store_si512(to.cast(), _mm512_unpacklo_epi16(even, odd));
                _mm512_store_si512(to.add(TILE).cast(), _mm512_unpackhi_epi16(even, odd));
            }
        }
    }
}

/// 32 rows become columns: line `block` of row c of `to` is their column c. `tiles` has room for `2 * deep` tiles.
///
/// # Safety
/// As [`interleave`], with `32 * deep` rows at `to`, so many lines apart.
#[inline(always)]
pub(super) unsafe fn columns(
    (rows, stride): (*const Line, usize),
    deep: usize,
    tiles: *mut Line,
    (to, apart): (*mut Line, usize),
    block: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        interleave(rows, stride, deep, tiles);
        for tile in 0..2 * deep {
            let own = std::array::from_fn::<_, 16, _>(|r| tiles.add(tile * TILE + r).cast_const().cast());
            Avx512::transpose(&own, 16, to.add(16 * tile * apart + block).cast(), 16 * apart);
        }
    }
}

/// Writes sixteen numbers, or as many as fit; whole lines past the caches when that is wished.
///
/// # Safety
/// AVX-512 is there.
#[inline(always)]
pub(super) unsafe fn put(to: &mut [f32], numbers: __m512, past: bool) {
    // SAFETY: the caller's promise; numbers beyond the slice are masked.
    unsafe {
        if past && to.len() >= 16 && to.as_ptr().addr().is_multiple_of(64) {
            _mm512_stream_ps(to.as_mut_ptr(), numbers);
        } else {
            _mm512_mask_storeu_ps(to.as_mut_ptr(), u16::MAX >> (16 - to.len().min(16)), numbers);
        }
    }
}

/// Writes the transpose of `numbers[.., 32]`, times a factor for each column, as rows of `dim` numbers: `row` says where a column goes, for
/// `count` of them.
///
/// # Safety
/// AVX-512 is there, and so are the numbers, up to a multiple of 16 of `dim`.
#[inline(always)]
pub(super) unsafe fn write_columns<'a>(
    numbers: *const f32,
    factors: &[f32; SIDE],
    dim: usize,
    count: usize,
    past: bool,
    row: impl Fn(usize) -> &'a mut [f32],
) {
    let mut turned = [Line([0; 16]); 16];
    for half in 0..count.div_ceil(16) {
        for first in (0..dim).step_by(16) {
            // SAFETY: the caller's promise.
            unsafe {
                let own = std::array::from_fn::<_, 16, _>(|r| {
                    numbers.wrapping_add((first + r) * SIDE + 16 * half).cast::<u32>()
                });
                Avx512::transpose(&own, 16, turned.as_mut_ptr().cast(), 16);
                for (lane, line) in turned.iter().enumerate().take(count - 16 * half) {
                    let factor = _mm512_set1_ps(factors[16 * half + lane]);
                    let scaled = _mm512_mul_ps(_mm512_load_ps(line.0.as_ptr().cast()), factor);
                    put(&mut row(16 * half + lane)[first..], scaled, past);
                }
            }
        }
    }
}
