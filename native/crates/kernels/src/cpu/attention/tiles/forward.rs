//! Attention of one head on itself.

use super::super::{Head, Place};
use super::blocks::{columns, parts, round, stride, turn, write_columns, Line};
use super::vectors::{exp, pairs, tanh};
use super::{mask, multiply, seen, whole, ROOM, SIDE, TILE};
use crate::cpu::frozen::amx;
use crate::cpu::par::Disjoint;
use crate::AttentionShape;
use std::arch::x86_64::*;

/// What one head needs.
pub(super) struct Room {
    /// Keys, a row each.
    k: *mut Line,
    /// Values, turned: a row for each of a head's numbers.
    v: *mut Line,
    /// Rounded rows, and tiles on the way to other orders.
    rows: *mut Line,
    tiles: *mut Line,
    /// Queries as lanes.
    q: *mut Line,
    /// Scores in f32, `[keys, 32]`, and probabilities as two runs of tiles.
    scores: *mut Line,
    p: *mut Line,
    /// The output, turned: `[head_dim, 32]`.
    out: *mut Line,
}

impl Room {
    fn sizes(n: usize, dim: usize) -> [usize; 8] {
        let (blocks, deep) = (n.div_ceil(SIDE), dim.div_ceil(SIDE));
        let tiles = 2 * deep * TILE;
        [
            blocks * SIDE * stride(deep),
            deep * SIDE * stride(blocks),
            SIDE * stride(deep),
            tiles,
            tiles,
            2 * blocks * SIDE,
            2 * blocks * TILE,
            2 * deep * SIDE,
        ]
    }

    pub fn lines(n: usize, dim: usize) -> usize {
        Self::sizes(n, dim).iter().sum()
    }

    fn of(room: &mut Vec<Line>, n: usize, dim: usize) -> Room {
        let [k, v, rows, tiles, q, scores, p, out] = parts(room, Self::sizes(n, dim));
        Room { k, v, rows, tiles, q, scores, p, out }
    }
}

/// As [`super::super::forward_head`], of `n` tokens without earlier ones.
///
/// # Panics
/// Without the tiles.
pub(in super::super) fn forward_head(
    place: &Place,
    lse: (&Disjoint, usize, usize),
    heads: [Head; 3],
    n: usize,
    shape: &AttentionShape,
) {
    assert!(super::available());
    ROOM.with_borrow_mut(|room| {
        let room = Room::of(room, n, shape.head_dim);
        // SAFETY: the instructions are there, and the room is for so many tokens.
        unsafe { head(&room, place, lse, heads, n, shape) }
    });
}

/// # Safety
/// The tiles and AVX-512 bf16 are there; the room is for `n` tokens.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn head(
    room: &Room,
    place: &Place,
    lse: (&Disjoint, usize, usize),
    [q, k, v]: [Head; 3],
    n: usize,
    shape: &AttentionShape,
) {
    let (blocks, deep) = (n.div_ceil(SIDE), shape.head_dim.div_ceil(SIDE));
    let (wide, long) = (stride(deep), stride(blocks));
    // SAFETY: the caller's promise; the room's parts have the sizes of `Room::sizes`.
    unsafe {
        amx::configure();
        for block in 0..blocks {
            let (first, count) = (block * SIDE, SIDE.min(n - block * SIDE));
            round(&k, first, count, room.k.add(first * wide), wide);
            round(&v, first, count, room.rows, wide);
            columns((room.rows, wide), deep, room.tiles, (room.v, long), block);
        }
        for block in 0..blocks {
            let (first, count) = (block * SIDE, SIDE.min(n - block * SIDE));
            round(&q, first, count, room.rows, wide);
            turn(room.rows, wide, deep, room.q);
            let (begin, last) = seen(shape, block);
            for keys in begin..=last {
                let scores = room.scores.add(2 * SIDE * (keys - begin)).cast();
                let rows = (room.k.add(keys * SIDE * wide).cast_const(), wide);
                multiply(scores, SIDE, rows, (room.q, deep * TILE), deep, false);
            }
            let steps = last + 1 - begin;
            let mut factors = [0.0; SIDE];
            for half in 0..2 {
                let [top, sum] = softmax(room, (block, half), (begin, last), shape);
                for lane in 0..16usize.min(count.saturating_sub(16 * half)) {
                    let query = 16 * half + lane;
                    factors[query] = 1.0 / sum[lane];
                    let at = lse.1 + (first + query) * lse.2;
                    lse.0.part(at..at + 1)[0] = top[lane] + sum[lane].ln();
                }
            }
            for part in 0..deep {
                let rows = (room.v.add(part * SIDE * long + begin).cast_const(), long);
                let out = room.out.add(2 * SIDE * part).cast();
                multiply(out, SIDE, rows, (room.p, steps * TILE), steps, false);
            }
            write_columns(room.out.cast(), &factors, q.dim, count, place.past, |row| {
                let at = place.start + (first + row) * place.stride;
                place.out.part(at..at + q.dim)
            });
        }
        amx::release();
        if place.past {
            _mm_sfence();
        }
    }
}

/// The probabilities of one half of a block of queries, times their sum, as tiles; returns each query's largest score and the sum.
///
/// # Safety
/// As [`head`].
#[inline(always)]
unsafe fn softmax(
    room: &Room,
    (block, half): (usize, usize),
    (begin, last): (usize, usize),
    shape: &AttentionShape,
) -> [[f32; 16]; 2] {
    let query = block * SIDE + 16 * half;
    let steps = last + 1 - begin;
    let scores = room.scores.cast::<f32>();
    // SAFETY: the caller's promise.
    unsafe {
        let at = |key: usize| scores.add((key - begin * SIDE) * SIDE + 16 * half);
        let (mut scale, cap) = (_mm512_set1_ps(shape.scale), _mm512_set1_ps(shape.softcap));
        let mut top = _mm512_set1_ps(f32::NEG_INFINITY);
        for keys in begin..=last {
            let whole = whole(shape, block, keys);
            for key in keys * SIDE..(keys + 1) * SIDE {
                let mut score = _mm512_load_ps(at(key));
                if shape.softcap > 0.0 {
                    score = _mm512_mul_ps(cap, tanh(_mm512_div_ps(_mm512_mul_ps(score, scale), cap)));
                    _mm512_store_ps(at(key), score);
                }
                let mask = if whole { u16::MAX } else { mask(shape, query, key) };
                top = _mm512_mask_max_ps(top, mask, top, score);
            }
        }
        if shape.softcap > 0.0 {
            scale = _mm512_set1_ps(1.0);
        }
        top = _mm512_mul_ps(top, scale);
        let mut sum = _mm512_setzero_ps();
        for keys in begin..=last {
            let whole = whole(shape, block, keys);
            for pair in 0..16 {
                let key = keys * SIDE + 2 * pair;
                let mut p = [_mm512_setzero_ps(); 2];
                for (odd, p) in p.iter_mut().enumerate() {
                    let mask = if whole { u16::MAX } else { mask(shape, query, key + odd) };
                    let own = exp(_mm512_fmsub_ps(_mm512_load_ps(at(key + odd)), scale, top));
                    *p = _mm512_maskz_mov_ps(mask, own);
                    sum = _mm512_add_ps(sum, *p);
                }
                let to = room.p.add((half * steps + keys - begin) * TILE + pair);
                _mm512_store_si512(to.cast(), pairs(p[0], p[1]));
            }
        }
        let mut result = [[0.0; 16]; 2];
        _mm512_storeu_ps(result[0].as_mut_ptr(), top);
        _mm512_storeu_ps(result[1].as_mut_ptr(), sum);
        result
    }
}
