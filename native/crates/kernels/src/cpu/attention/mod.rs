//! Causal attention over packed examples, in blocks of queries.
//!
//! Scores exist for one block of queries and one head at a time; the backward pass computes them again from the saved
//! log-sum-exp of each query (Dao et al. 2022), so memory grows with the longest example, not with its square.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod tiles;

use super::matmul::{matmul, View, ViewMut};
use super::par::Disjoint;
use super::simd::{dot, exp, exp_sum, max, tanh, vectorised};
use crate::AttentionShape;
use rayon::prelude::*;
use std::cell::RefCell;

/// Queries in one block.
const BLOCK: usize = 64;

thread_local! {
    /// Two blocks of scores, kept between calls.
    static SCORES: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Scratch that the threads hold together after examples of up to `longest` tokens.
pub fn attention_scratch_bytes(longest: usize, shape: &AttentionShape) -> usize {
    #[cfg(target_arch = "x86_64")]
    if on_tiles(shape) {
        return rayon::current_num_threads() * tiles::bytes_of_a_thread(longest, shape.head_dim);
    }
    let _ = shape;
    rayon::current_num_threads() * 2 * BLOCK * longest * 4
}

/// Whether whole examples are computed on Intel's tiles.
#[cfg(target_arch = "x86_64")]
fn on_tiles(shape: &AttentionShape) -> bool {
    shape.rounded && tiles::available()
}

/// The numbers of one head among several in a token-major matrix.
#[derive(Clone, Copy)]
struct Head<'a> {
    data: &'a [f32],
    /// Numbers from one token to the next.
    stride: usize,
    /// Where the head's numbers of the first token begin.
    start: usize,
    dim: usize,
}

impl<'a> Head<'a> {
    fn rows(&self, from: usize, count: usize) -> View<'a> {
        View::strided(&self.data[self.start + from * self.stride..], count, self.dim, self.stride)
    }

    fn row(&self, at: usize) -> &'a [f32] {
        let at = self.start + at * self.stride;
        &self.data[at..at + self.dim]
    }
}

/// Attention of every example of a pack on itself.
///
/// `qkv`: `[tokens, (heads + 2 kv_heads) * head_dim]`; `out`: `[tokens, heads * head_dim]`; `lse`: `[tokens, heads]`,
/// receives the log of each softmax's denominator; `starts`: `[examples + 1]`.
pub fn attention(out: &mut [f32], lse: &mut [f32], qkv: &[f32], starts: &[usize], shape: &AttentionShape) {
    let (qw, kw, width) = (shape.q_width(), shape.kv_width(), shape.qkv_width());
    let tokens = starts.last().copied().unwrap_or(0);
    assert!(qkv.len() == tokens * width && out.len() == tokens * qw && lse.len() == tokens * shape.heads);
    let past = 4 * out.len() >= PAST_THE_CACHES;
    let (out, lse) = (Disjoint::new(out), Disjoint::new(lse));
    let tasks = (starts.len() - 1) * shape.heads;
    (0..tasks).into_par_iter().with_max_len(1).for_each(|task| {
        let (example, head) = (task / shape.heads, task % shape.heads);
        let (from, to) = (starts[example], starts[example + 1]);
        let kv = qw + head / shape.group() * shape.head_dim;
        let view =
            |offset| Head { data: qkv, stride: width, start: from * width + offset, dim: shape.head_dim };
        let heads = [view(head * shape.head_dim), view(kv), view(kv + kw)];
        let place = Place { out: &out, start: from * qw + head * shape.head_dim, stride: qw, past };
        let lse = (&lse, from * shape.heads + head, shape.heads);
        #[cfg(target_arch = "x86_64")]
        if on_tiles(shape) {
            return tiles::forward_head(&place, lse, heads, to - from, shape);
        }
        forward_head(&place, Some(lse), heads, to - from, 0, shape);
    });
}

/// Attention of new tokens on a sequence whose keys and values, theirs included, are in a cache.
///
/// `qkv`: as for [`attention`], of the new tokens; `out`: `[new, heads * head_dim]`; `k`, `v`: at least
/// `[past + new, kv_heads * head_dim]`.
pub fn attention_cached(
    out: &mut [f32],
    qkv: &[f32],
    k: &[f32],
    v: &[f32],
    past: usize,
    shape: &AttentionShape,
) {
    let (qw, kw, width) = (shape.q_width(), shape.kv_width(), shape.qkv_width());
    let new = qkv.len() / width;
    assert!(out.len() == new * qw && k.len() >= (past + new) * kw && v.len() >= (past + new) * kw);
    let out = Disjoint::new(out);
    let run = |head: usize| {
        let kv = head / shape.group() * shape.head_dim;
        let view = |data, stride, start| Head { data, stride, start, dim: shape.head_dim };
        let heads = [view(qkv, width, head * shape.head_dim), view(k, kw, kv), view(v, kw, kv)];
        let place = Place { out: &out, start: head * shape.head_dim, stride: qw, past: false };
        forward_head(&place, None, heads, new, past, shape);
    };
    if new * (past + new) * qw < 20_000 {
        (0..shape.heads).for_each(run);
    } else {
        (0..shape.heads).into_par_iter().with_max_len(1).for_each(run);
    }
}

/// Where a head's output goes.
struct Place<'a, 'b> {
    out: &'a Disjoint<'b>,
    start: usize,
    stride: usize,
    /// The whole result is so large that it is better written past the caches, which tiles do.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    past: bool,
}

/// Bytes of a result that is written past the caches: a core's second cache.
const PAST_THE_CACHES: usize = 2 << 20;

/// One head: query `i` of `n` sees keys up to `past + i`.
fn forward_head(
    place: &Place,
    lse: Option<(&Disjoint, usize, usize)>,
    [q, k, v]: [Head; 3],
    n: usize,
    past: usize,
    shape: &AttentionShape,
) {
    SCORES.with_borrow_mut(|[scores, _]| {
        for first in (0..n).step_by(BLOCK) {
            let rows = BLOCK.min(n - first);
            let begin = shape.first_key(past + first);
            let keys = past + first + rows - begin;
            scores.resize(scores.len().max(rows * keys), 0.0);
            let s = &mut scores[..rows * keys];
            let block = k.rows(begin, keys).t();
            matmul(ViewMut::new(s, rows, keys), q.rows(first, rows), block, 1.0, false, false);
            vectorised(
                #[inline(always)]
                || {
                    for (i, row) in s.chunks_exact_mut(keys).enumerate() {
                        let [before, seen, after] = split(row, past + first + i, begin, shape);
                        let mut scale = shape.scale;
                        if shape.softcap > 0.0 {
                            for x in seen.iter_mut() {
                                *x = shape.softcap * tanh(*x * scale / shape.softcap);
                            }
                            scale = 1.0;
                        }
                        let top = max(seen) * scale;
                        let sum = exp_sum(seen, scale, top);
                        let factor = 1.0 / sum;
                        for x in seen.iter_mut() {
                            *x *= factor;
                        }
                        before.fill(0.0);
                        after.fill(0.0);
                        if let Some((lse, start, stride)) = lse {
                            let at = start + (first + i) * stride;
                            // SAFETY: this query of this head belongs to this task alone.
                            let place = unsafe { lse.part(at..at + 1) };
                            place[0] = top + sum.ln();
                        }
                    }
                },
            );
            // SAFETY: these tokens of this head belong to this task alone.
            let out = unsafe {
                ViewMut::shared(place.out, place.start + first * place.stride, rows, q.dim, place.stride)
            };
            matmul(out, View::new(s, rows, keys), v.rows(begin, keys), 1.0, false, false);
        }
    });
}

/// A query's scores over the keys from `begin` on: those before its window, those that it sees, those after it.
#[inline(always)]
fn split<'a>(row: &'a mut [f32], at: usize, begin: usize, shape: &AttentionShape) -> [&'a mut [f32]; 3] {
    let (row, after) = row.split_at_mut(at + 1 - begin);
    let (before, seen) = row.split_at_mut(shape.first_key(at) - begin);
    [before, seen, after]
}

/// What the backward pass needs of the forward pass.
#[derive(Debug, Clone, Copy)]
pub struct Saved<'a> {
    /// Queries, keys and values of each token, as [`attention`] read them, `[tokens, (heads + 2 kv_heads) * head_dim]`.
    pub qkv: &'a [f32],
    /// What [`attention`] gave, `[tokens, heads * head_dim]`.
    pub out: &'a [f32],
    /// Log of each softmax's denominator, `[tokens, heads]`: with it scores become probabilities again.
    pub lse: &'a [f32],
}

/// Gradient of [`attention`]; `dqkv` is overwritten.
///
/// dV = Pᵀ dO, dP = dO Vᵀ, dS = P (dP - rowsum(dO O)) scale, dQ = dS K, dK = dSᵀ Q; a soft cap multiplies dS by
/// 1 - tanh².
pub fn attention_backward(
    dqkv: &mut [f32],
    dout: &[f32],
    saved: Saved,
    starts: &[usize],
    shape: &AttentionShape,
) {
    let (qw, kw, width) = (shape.q_width(), shape.kv_width(), shape.qkv_width());
    assert!(dqkv.len() == saved.qkv.len() && dout.len() == saved.out.len());
    let past = 4 * dqkv.len() >= PAST_THE_CACHES;
    let d = Disjoint::new(dqkv);
    let tasks = (starts.len() - 1) * shape.kv_heads;
    // One task owns a key/value head with all its query heads, so that their sums need no other thread.
    (0..tasks).into_par_iter().with_max_len(1).for_each(|task| {
        let (example, kv_head) = (task / shape.kv_heads, task % shape.kv_heads);
        let (from, n) = (starts[example], starts[example + 1] - starts[example]);
        let view =
            |data, stride, offset| Head { data, stride, start: from * stride + offset, dim: shape.head_dim };
        let kv = qw + kv_head * shape.head_dim;
        let place = |offset| Place { out: &d, start: from * width + offset, stride: width, past };
        let heads = (0..shape.group()).map(|nth| {
            let head = kv_head * shape.group() + nth;
            let at = head * shape.head_dim;
            BackwardHead {
                q: view(saved.qkv, width, at),
                k: view(saved.qkv, width, kv),
                v: view(saved.qkv, width, kv + kw),
                out: view(saved.out, qw, at),
                dout: view(dout, qw, at),
                lse: (saved.lse, from * shape.heads + head, shape.heads),
                dq: place(at),
                dk: place(kv),
                dv: place(kv + kw),
                accumulate: nth > 0,
                shape,
            }
        });
        #[cfg(target_arch = "x86_64")]
        if on_tiles(shape) {
            return tiles::backward_group(&heads.collect::<Vec<_>>(), n);
        }
        heads.for_each(|head| head.run(n));
    });
}

struct BackwardHead<'a, 'b> {
    q: Head<'a>,
    k: Head<'a>,
    v: Head<'a>,
    out: Head<'a>,
    dout: Head<'a>,
    /// Values, place of the first, distance between two.
    lse: (&'a [f32], usize, usize),
    dq: Place<'a, 'b>,
    dk: Place<'a, 'b>,
    dv: Place<'a, 'b>,
    /// Keys and values already hold another head's gradient.
    accumulate: bool,
    shape: &'a AttentionShape,
}

impl BackwardHead<'_, '_> {
    fn run(&self, n: usize) {
        let dim = self.q.dim;
        // With a window no block covers every key: all of them add to zeros.
        let windowed = self.shape.window > 0 && self.shape.window < n;
        if windowed && !self.accumulate {
            for place in [&self.dk, &self.dv] {
                for token in 0..n {
                    let at = place.start + token * place.stride;
                    // SAFETY: these tokens of this head belong to this task alone.
                    unsafe { place.out.part(at..at + dim) }.fill(0.0);
                }
            }
        }
        SCORES.with_borrow_mut(|[p, ds]| {
            // Last block first: it covers every key, so it can overwrite what the others add to.
            for first in (0..n).step_by(BLOCK).rev() {
                let rows = BLOCK.min(n - first);
                let begin = self.shape.first_key(first);
                let keys = first + rows - begin;
                p.resize(p.len().max(rows * keys), 0.0);
                ds.resize(ds.len().max(rows * keys), 0.0);
                let (p, ds) = (&mut p[..rows * keys], &mut ds[..rows * keys]);
                let (q, k, dout) =
                    (self.q.rows(first, rows), self.k.rows(begin, keys), self.dout.rows(first, rows));
                matmul(ViewMut::new(p, rows, keys), q, k.t(), 1.0, false, false);
                matmul(ViewMut::new(ds, rows, keys), dout, self.v.rows(begin, keys).t(), 1.0, false, false);
                vectorised(
                    #[inline(always)]
                    || self.score_gradients(p, ds, keys, first, begin),
                );
                let add = self.accumulate || windowed || keys < n;
                // SAFETY: these tokens of these heads belong to this task alone, in all three.
                unsafe {
                    let at = |place: &Place| place.start + begin * place.stride;
                    let dv = ViewMut::shared(self.dv.out, at(&self.dv), keys, dim, self.dv.stride);
                    matmul(dv, View::new(p, rows, keys).t(), dout, 1.0, add, false);
                    let dk = ViewMut::shared(self.dk.out, at(&self.dk), keys, dim, self.dk.stride);
                    matmul(dk, View::new(ds, rows, keys).t(), q, 1.0, add, false);
                    let dq = ViewMut::shared(
                        self.dq.out,
                        self.dq.start + first * self.dq.stride,
                        rows,
                        dim,
                        self.dq.stride,
                    );
                    matmul(dq, View::new(ds, rows, keys), k, 1.0, false, false);
                }
            }
        });
    }

    /// Turns scores into probabilities and the gradients of probabilities into those of scores.
    #[inline(always)]
    fn score_gradients(&self, p: &mut [f32], ds: &mut [f32], keys: usize, first: usize, begin: usize) {
        let AttentionShape { scale, softcap, .. } = *self.shape;
        for (i, (p, ds)) in p.chunks_exact_mut(keys).zip(ds.chunks_exact_mut(keys)).enumerate() {
            let at = first + i;
            let common = dot(self.dout.row(at), self.out.row(at));
            let (values, start, stride) = self.lse;
            let lse = values[start + at * stride];
            let [p_before, p, p_after] = split(p, at, begin, self.shape);
            let [ds_before, ds, ds_after] = split(ds, at, begin, self.shape);
            if softcap > 0.0 {
                for (d, p) in ds.iter_mut().zip(p.iter_mut()) {
                    let t = tanh(*p * scale / softcap);
                    *p = exp(softcap * t - lse);
                    *d = *p * (*d - common) * scale * (1.0 - t * t);
                }
            } else {
                exp_sum(p, scale, lse);
                for (d, p) in ds.iter_mut().zip(p.iter()) {
                    *d = p * (*d - common) * scale;
                }
            }
            for unseen in [p_before, p_after, ds_before, ds_after] {
                unseen.fill(0.0);
            }
        }
    }
}
