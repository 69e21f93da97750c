//! The gradient of attention, for the query heads that share keys and values.

use super::super::{BackwardHead, Place};
use super::blocks::{columns, interleave, parts, put, round, stride, turn, write_columns, Line};
use super::vectors::{dot, exp, halves, pairs, tanh};
use super::{mask, multiply, seen, whole, ROOM, SIDE, TILE};
use crate::cpu::frozen::amx;
use crate::AttentionShape;
use std::arch::x86_64::*;

/// What a group of heads needs.
pub(super) struct Room {
    /// Keys and values, a row each, and keys turned: a row for each of a head's numbers.
    k: *mut Line,
    v: *mut Line,
    k_columns: *mut Line,
    /// Rounded rows, and tiles on the way to other orders.
    rows: *mut Line,
    tiles: *mut Line,
    /// Queries and gradients of the output as lanes, and as the contraction.
    q: *mut Line,
    dout: *mut Line,
    q_rows: *mut Line,
    dout_rows: *mut Line,
    /// Scores and gradients of probabilities in f32, `[32, 32]`.
    scores: *mut Line,
    dp: *mut Line,
    /// Probabilities and gradients of scores, a key's in a row; the latter also as two runs of tiles.
    p: *mut Line,
    ds: *mut Line,
    ds_tiles: *mut Line,
    /// Gradients in f32: `[head_dim, 32]` of queries, turned; `[keys, head_dim]` of keys and of values.
    dq: *mut Line,
    dk: *mut Line,
    dv: *mut Line,
}

impl Room {
    fn sizes(n: usize, dim: usize) -> [usize; 17] {
        let (blocks, deep) = (n.div_ceil(SIDE), dim.div_ceil(SIDE));
        let (rows, tiles) = (blocks * SIDE * stride(deep), 2 * deep * TILE);
        let (square, sums) = (2 * SIDE, 2 * deep * SIDE * blocks);
        [
            rows,
            rows,
            deep * SIDE * stride(blocks),
            SIDE * stride(deep),
            tiles,
            tiles,
            tiles,
            tiles,
            tiles,
            square,
            square,
            SIDE,
            SIDE,
            2 * blocks * TILE,
            2 * deep * SIDE,
            sums,
            sums,
        ]
    }

    pub fn lines(n: usize, dim: usize) -> usize {
        Self::sizes(n, dim).iter().sum()
    }

    fn of(room: &mut Vec<Line>, n: usize, dim: usize) -> Room {
        let [k, v, k_columns, rows, tiles, q, dout, q_rows, dout_rows, scores, dp, p, ds, ds_tiles, dq, dk, dv] =
            parts(room, Self::sizes(n, dim));
        Room {
            k,
            v,
            k_columns,
            rows,
            tiles,
            q,
            dout,
            q_rows,
            dout_rows,
            scores,
            dp,
            p,
            ds,
            ds_tiles,
            dq,
            dk,
            dv,
        }
    }
}

/// Gradients of `n` tokens' queries of all these heads, and of the keys and values that they share.
///
/// # Panics
/// Without the tiles.
pub(in super::super) fn backward_group(heads: &[BackwardHead], n: usize) {
    assert!(super::available());
    let Some(any) = heads.first() else { return };
    ROOM.with_borrow_mut(|room| {
        let room = Room::of(room, n, any.q.dim);
        // SAFETY: the instructions are there, and the room is for so many tokens.
        unsafe { group(&room, heads, n) }
    });
}

/// # Safety
/// The tiles and AVX-512 bf16 are there; the room is for `n` tokens.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn group(room: &Room, heads: &[BackwardHead], n: usize) {
    let BackwardHead { k, v, dk, dv, shape, .. } = &heads[0];
    let (dim, blocks) = (k.dim, n.div_ceil(SIDE));
    let deep = dim.div_ceil(SIDE);
    let wide = stride(deep);
    // SAFETY: the caller's promise; the room's parts have the sizes of `Room::sizes`.
    unsafe {
        amx::configure();
        for block in 0..blocks {
            let (first, count) = (block * SIDE, SIDE.min(n - block * SIDE));
            let k_rows = room.k.add(first * wide);
            round(k, first, count, k_rows, wide);
            round(v, first, count, room.v.add(first * wide), wide);
            columns((k_rows, wide), deep, room.tiles, (room.k_columns, stride(blocks)), block);
        }
        for sums in [room.dk, room.dv] {
            sums.write_bytes(0, 2 * deep * SIDE * blocks);
        }
        for head in heads {
            for block in 0..blocks {
                queries(room, head, block, n, shape);
            }
        }
        amx::release();
        for (place, sums) in [(dk, room.dk), (dv, room.dv)] {
            for token in 0..n {
                let own = sums.cast::<f32>().add(token * deep * SIDE);
                for (n, to) in row(place, token, dim).chunks_mut(16).enumerate() {
                    put(to, _mm512_load_ps(own.add(16 * n)), place.past);
                }
            }
        }
        if dk.past {
            _mm_sfence();
        }
    }
}

/// A token's numbers of a head in a gradient.
///
/// # Safety
/// Nothing else has them.
#[inline(always)]
unsafe fn row<'a>(place: &Place<'_, 'a>, token: usize, dim: usize) -> &'a mut [f32] {
    let at = place.start + token * place.stride;
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(place.out.at(at + dim - 1).sub(dim - 1), dim) }
}

/// One block of queries of one head.
///
/// # Safety
/// As [`group`].
#[inline(always)]
unsafe fn queries(room: &Room, head: &BackwardHead, block: usize, n: usize, shape: &AttentionShape) {
    let (dim, first, count) = (head.q.dim, block * SIDE, SIDE.min(n - block * SIDE));
    let deep = dim.div_ceil(SIDE);
    let (wide, long, across) = (stride(deep), stride(n.div_ceil(SIDE)), deep * SIDE);
    let (mut lse, mut common) = ([0.0; SIDE], [0.0; SIDE]);
    for query in 0..count {
        let (values, start, stride) = head.lse;
        lse[query] = values[start + (first + query) * stride];
        // SAFETY: the caller's promise.
        common[query] = unsafe { dot(head.dout.row(first + query), head.out.row(first + query)) };
    }
    // SAFETY: the caller's promise.
    unsafe {
        for (from, lanes, contraction) in
            [(&head.q, room.q, room.q_rows), (&head.dout, room.dout, room.dout_rows)]
        {
            round(from, first, count, room.rows, wide);
            turn(room.rows, wide, deep, lanes);
            interleave(room.rows, wide, deep, contraction);
        }
        let (begin, last) = seen(shape, block);
        let steps = last + 1 - begin;
        for keys in begin..=last {
            let at = |rows: *mut Line| (rows.add(keys * SIDE * wide).cast_const(), wide);
            multiply(room.scores.cast(), SIDE, at(room.k), (room.q, deep * TILE), deep, false);
            multiply(room.dp.cast(), SIDE, at(room.v), (room.dout, deep * TILE), deep, false);
            score_gradients(room, (block, keys), [&lse, &common], (keys - begin, steps), shape);
            for part in 0..deep {
                let sums = |to: *mut Line| to.cast::<f32>().add(keys * SIDE * across + part * SIDE);
                let panel = |tiles: *mut Line| (tiles.add(2 * part * TILE).cast_const(), TILE);
                multiply(sums(room.dv), across, (room.p, 1), panel(room.dout_rows), 1, true);
                multiply(sums(room.dk), across, (room.ds, 1), panel(room.q_rows), 1, true);
            }
        }
        for part in 0..deep {
            let rows = (room.k_columns.add(part * SIDE * long + begin).cast_const(), long);
            let dq = room.dq.add(2 * SIDE * part).cast();
            multiply(dq, SIDE, rows, (room.ds_tiles, steps * TILE), steps, false);
        }
        let dq = &head.dq;
        let to = |query| row(dq, first + query, dim);
        write_columns(room.dq.cast(), &[1.0; SIDE], dim, count, dq.past, to);
    }
}

/// Probabilities and gradients of scores of one block, from its scores and the gradients of probabilities.
///
/// # Safety
/// As [`group`].
#[inline(always)]
unsafe fn score_gradients(
    room: &Room,
    (block, keys): (usize, usize),
    [lse, common]: [&[f32; SIDE]; 2],
    (step, steps): (usize, usize),
    shape: &AttentionShape,
) {
    let whole = whole(shape, block, keys);
    let (scores, gradients) = (room.scores.cast::<f32>(), room.dp.cast::<f32>());
    // SAFETY: the caller's promise.
    unsafe {
        let scale = _mm512_set1_ps(shape.scale);
        let (cap, one) = (_mm512_set1_ps(shape.softcap), _mm512_set1_ps(1.0));
        for pair in 0..16 {
            let zero = _mm512_setzero_ps();
            // [even or odd key][half of the queries]
            let (mut p, mut ds) = ([[zero; 2]; 2], [[zero; 2]; 2]);
            for (odd, half) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let at = (2 * pair + odd) * SIDE + 16 * half;
                let key = keys * SIDE + 2 * pair + odd;
                let mask = if whole { u16::MAX } else { mask(shape, block * SIDE + 16 * half, key) };
                let (lse, common) = (
                    _mm512_loadu_ps(lse[16 * half..].as_ptr()),
                    _mm512_loadu_ps(common[16 * half..].as_ptr()),
                );
                let score = _mm512_mul_ps(_mm512_load_ps(scores.add(at)), scale);
                let mut slope = scale;
                let shifted = if shape.softcap > 0.0 {
                    let t = tanh(_mm512_div_ps(score, cap));
                    slope = _mm512_mul_ps(scale, _mm512_fnmadd_ps(t, t, one));
                    _mm512_fmsub_ps(cap, t, lse)
                } else {
                    _mm512_sub_ps(score, lse)
                };
                let own = _mm512_maskz_mov_ps(mask, exp(shifted));
                let d = _mm512_sub_ps(_mm512_load_ps(gradients.add(at)), common);
                p[odd][half] = own;
                ds[odd][half] = _mm512_maskz_mul_ps(mask, _mm512_mul_ps(own, d), slope);
            }
            for odd in 0..2 {
                _mm512_store_si512(room.p.add(2 * pair + odd).cast(), halves(p[odd]));
                _mm512_store_si512(room.ds.add(2 * pair + odd).cast(), halves(ds[odd]));
            }
            let [even, odd] = ds;
            for (half, (even, odd)) in even.into_iter().zip(odd).enumerate() {
                let to = room.ds_tiles.add((half * steps + step) * TILE + pair);
                _mm512_store_si512(to.cast(), pairs(even, odd));
            }
        }
    }
}
