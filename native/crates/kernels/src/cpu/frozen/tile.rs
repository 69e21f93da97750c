//! The innermost products: six rows of the operand with a panel of packed weights, all sums in registers.

#![allow(clippy::needless_range_loop)]

use super::lanes::Lanes;

/// Rows of a tile.
pub(super) const TALL: usize = 6;

/// `tile[r][lane] = Σ over u of a[r][u] panel[u][lane]`, for `NV` vectors of lanes; a row of the tile and of the panel
/// is `NV` vectors long. Rows of the operand beyond `rows` repeat the last.
///
/// # Safety
/// The instruction set is there; `a` is valid for `rows` rows of `units` numbers, `stride` apart.
#[inline(always)]
pub(super) unsafe fn f32_tile<S: Lanes, const NV: usize>(
    tile: *mut f32,
    (a, stride, rows): (*const f32, usize, usize),
    panel: *const f32,
    units: usize,
) {
    // SAFETY: the caller's promise, and the sizes of tile and panel.
    unsafe {
        let a = [0, 1, 2, 3, 4, 5].map(|r: usize| a.add(r.min(rows - 1) * stride));
        let mut sums = [[S::zero(); NV]; TALL];
        for u in 0..units {
            let mut w = [S::zero(); NV];
            for v in 0..NV {
                w[v] = S::load(panel.add((u * NV + v) * S::N));
            }
            for r in 0..TALL {
                let x = S::splat(*a[r].add(u));
                for v in 0..NV {
                    sums[r][v] = S::fma(x, w[v], sums[r][v]);
                }
            }
        }
        for r in 0..TALL {
            for v in 0..NV {
                S::store(tile.add((r * NV + v) * S::N), sums[r][v]);
            }
        }
    }
}

/// As [`f32_tile`] over pairs of bf16, each in 32 bits.
///
/// # Safety
/// As there, with AVX-512 bf16.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn bf16_tile<const NV: usize>(
    tile: *mut f32,
    (a, stride, rows): (*const u32, usize, usize),
    panel: *const u32,
    pairs: usize,
) {
    use super::x86::bf16_dot;
    use std::arch::x86_64::*;
    // SAFETY: as above.
    unsafe {
        let a = [0, 1, 2, 3, 4, 5].map(|r: usize| a.add(r.min(rows - 1) * stride));
        let mut sums = [[_mm512_setzero_ps(); NV]; TALL];
        for p in 0..pairs {
            let mut w = [_mm512_setzero_si512(); NV];
            for v in 0..NV {
                w[v] = _mm512_loadu_si512(panel.add((p * NV + v) * 16).cast());
            }
            for r in 0..TALL {
                let x = _mm512_set1_epi32(a[r].add(p).read_unaligned() as i32);
                for v in 0..NV {
                    sums[r][v] = bf16_dot(sums[r][v], x, w[v]);
                }
            }
        }
        for r in 0..TALL {
            for v in 0..NV {
                _mm512_storeu_ps(tile.add((r * NV + v) * 16), sums[r][v]);
            }
        }
    }
}
