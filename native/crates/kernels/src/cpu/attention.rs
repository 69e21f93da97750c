//! Causal attention over packed examples, in blocks of queries.
//!
//! Scores exist for one block of queries and one head at a time; the backward pass computes them again from the saved
//! log-sum-exp of each query (Dao et al. 2022), so memory grows with the longest example, not with its square.
#![allow(unsafe_code)]

use super::matmul::{matmul, View, ViewMut};
use super::par::Disjoint;
use super::simd::{dot, exp_sum, max, vectorised};
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
pub fn attention_scratch_bytes(longest: usize) -> usize {
    rayon::current_num_threads() * 2 * BLOCK * longest * 4
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
/// `q`, `out`: `[tokens, heads * head_dim]`; `k`, `v`: `[tokens, kv_heads * head_dim]`; `lse`: `[tokens, heads]`,
/// receives the log of each softmax's denominator; `starts`: `[examples + 1]`.
pub fn attention(
    out: &mut [f32],
    lse: &mut [f32],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    starts: &[usize],
    shape: &AttentionShape,
) {
    let (qw, kw) = (shape.q_width(), shape.kv_width());
    let tokens = starts.last().copied().unwrap_or(0);
    assert!(q.len() == tokens * qw && out.len() == q.len() && k.len() == tokens * kw && v.len() == k.len());
    assert!(lse.len() == tokens * shape.heads);
    let (out, lse) = (Disjoint::new(out), Disjoint::new(lse));
    let tasks = (starts.len() - 1) * shape.heads;
    (0..tasks).into_par_iter().with_max_len(1).for_each(|task| {
        let (example, head) = (task / shape.heads, task % shape.heads);
        let (from, to) = (starts[example], starts[example + 1]);
        let kv = head / shape.group() * shape.head_dim;
        let view =
            |data, stride, offset| Head { data, stride, start: from * stride + offset, dim: shape.head_dim };
        let heads = [view(q, qw, head * shape.head_dim), view(k, kw, kv), view(v, kw, kv)];
        let place = Place { out: &out, start: from * qw + head * shape.head_dim, stride: qw };
        forward_head(
            &place,
            Some((&lse, from * shape.heads + head, shape.heads)),
            heads,
            to - from,
            0,
            shape.scale,
        );
    });
}

/// Attention of new tokens on a sequence whose keys and values, theirs included, are in a cache.
///
/// `q`, `out`: `[new, heads * head_dim]`; `k`, `v`: at least `[past + new, kv_heads * head_dim]`.
pub fn attention_cached(
    out: &mut [f32],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    past: usize,
    shape: &AttentionShape,
) {
    let (qw, kw) = (shape.q_width(), shape.kv_width());
    let new = q.len() / qw;
    assert!(out.len() == q.len() && k.len() >= (past + new) * kw && v.len() >= (past + new) * kw);
    let out = Disjoint::new(out);
    let run = |head: usize| {
        let kv = head / shape.group() * shape.head_dim;
        let view = |data, stride, start| Head { data, stride, start, dim: shape.head_dim };
        let heads = [view(q, qw, head * shape.head_dim), view(k, kw, kv), view(v, kw, kv)];
        let place = Place { out: &out, start: head * shape.head_dim, stride: qw };
        forward_head(&place, None, heads, new, past, shape.scale);
    };
    if new * (past + new) * qw < 100_000 {
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
}

/// One head: query `i` of `n` sees keys `0..=past + i`.
fn forward_head(
    place: &Place,
    lse: Option<(&Disjoint, usize, usize)>,
    [q, k, v]: [Head; 3],
    n: usize,
    past: usize,
    scale: f32,
) {
    SCORES.with_borrow_mut(|[scores, _]| {
        for first in (0..n).step_by(BLOCK) {
            let rows = BLOCK.min(n - first);
            let keys = past + first + rows;
            scores.resize(scores.len().max(rows * keys), 0.0);
            let s = &mut scores[..rows * keys];
            matmul(ViewMut::new(s, rows, keys), q.rows(first, rows), k.rows(0, keys).t(), 1.0, false, false);
            vectorised(
                #[inline(always)]
                || {
                    for (i, row) in s.chunks_exact_mut(keys).enumerate() {
                        let (seen, unseen) = row.split_at_mut(past + first + i + 1);
                        let top = max(seen) * scale;
                        let sum = exp_sum(seen, scale, top);
                        let factor = 1.0 / sum;
                        for x in seen.iter_mut() {
                            *x *= factor;
                        }
                        unseen.fill(0.0);
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
            matmul(out, View::new(s, rows, keys), v.rows(0, keys), 1.0, false, false);
        }
    });
}

/// What the backward pass needs of the forward pass.
#[derive(Debug, Clone, Copy)]
pub struct Saved<'a> {
    pub q: &'a [f32],
    pub k: &'a [f32],
    pub v: &'a [f32],
    pub out: &'a [f32],
    pub lse: &'a [f32],
}

/// Gradient of [`attention`]; `dq`, `dk`, `dv` are overwritten.
///
/// dV = Pᵀ dO, dP = dO Vᵀ, dS = P (dP - rowsum(dO O)) scale, dQ = dS K, dK = dSᵀ Q.
pub fn attention_backward(
    [dq, dk, dv]: [&mut [f32]; 3],
    dout: &[f32],
    saved: Saved,
    starts: &[usize],
    shape: &AttentionShape,
) {
    let (qw, kw) = (shape.q_width(), shape.kv_width());
    assert!(
        dq.len() == saved.q.len()
            && dk.len() == saved.k.len()
            && dv.len() == saved.v.len()
            && dout.len() == dq.len()
    );
    let (dq, dk, dv) = (Disjoint::new(dq), Disjoint::new(dk), Disjoint::new(dv));
    let tasks = (starts.len() - 1) * shape.kv_heads;
    // One task owns a key/value head with all its query heads, so that their sums need no other thread.
    (0..tasks).into_par_iter().with_max_len(1).for_each(|task| {
        let (example, kv_head) = (task / shape.kv_heads, task % shape.kv_heads);
        let (from, n) = (starts[example], starts[example + 1] - starts[example]);
        let view =
            |data, stride, offset| Head { data, stride, start: from * stride + offset, dim: shape.head_dim };
        let kv = kv_head * shape.head_dim;
        for nth in 0..shape.group() {
            let head = kv_head * shape.group() + nth;
            let at = head * shape.head_dim;
            let work = BackwardHead {
                q: view(saved.q, qw, at),
                k: view(saved.k, kw, kv),
                v: view(saved.v, kw, kv),
                out: view(saved.out, qw, at),
                dout: view(dout, qw, at),
                lse: (saved.lse, from * shape.heads + head, shape.heads),
                dq: Place { out: &dq, start: from * qw + at, stride: qw },
                dk: Place { out: &dk, start: from * kw + kv, stride: kw },
                dv: Place { out: &dv, start: from * kw + kv, stride: kw },
                accumulate: nth > 0,
            };
            work.run(n, shape.scale);
        }
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
}

impl BackwardHead<'_, '_> {
    fn run(&self, n: usize, scale: f32) {
        let dim = self.q.dim;
        SCORES.with_borrow_mut(|[p, ds]| {
            // Last block first: it covers every key, so it can overwrite what the others add to.
            for first in (0..n).step_by(BLOCK).rev() {
                let rows = BLOCK.min(n - first);
                let keys = first + rows;
                p.resize(p.len().max(rows * keys), 0.0);
                ds.resize(ds.len().max(rows * keys), 0.0);
                let (p, ds) = (&mut p[..rows * keys], &mut ds[..rows * keys]);
                let (q, k, dout) =
                    (self.q.rows(first, rows), self.k.rows(0, keys), self.dout.rows(first, rows));
                matmul(ViewMut::new(p, rows, keys), q, k.t(), 1.0, false, false);
                matmul(ViewMut::new(ds, rows, keys), dout, self.v.rows(0, keys).t(), 1.0, false, false);
                vectorised(
                    #[inline(always)]
                    || self.score_gradients(p, ds, keys, first, scale),
                );
                let add = self.accumulate || keys < n;
                // SAFETY: these tokens of these heads belong to this task alone, in all three.
                unsafe {
                    let dv = ViewMut::shared(self.dv.out, self.dv.start, keys, dim, self.dv.stride);
                    matmul(dv, View::new(p, rows, keys).t(), dout, 1.0, add, false);
                    let dk = ViewMut::shared(self.dk.out, self.dk.start, keys, dim, self.dk.stride);
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
    fn score_gradients(&self, p: &mut [f32], ds: &mut [f32], keys: usize, first: usize, scale: f32) {
        for (i, (p, ds)) in p.chunks_exact_mut(keys).zip(ds.chunks_exact_mut(keys)).enumerate() {
            let at = first + i;
            let common = dot(self.dout.row(at), self.out.row(at));
            let (values, start, stride) = self.lse;
            let (p, unseen_p) = p.split_at_mut(at + 1);
            let (ds, unseen_ds) = ds.split_at_mut(at + 1);
            exp_sum(p, scale, values[start + at * stride]);
            for (d, p) in ds.iter_mut().zip(p.iter()) {
                *d = p * (*d - common) * scale;
            }
            unseen_p.fill(0.0);
            unseen_ds.fill(0.0);
        }
    }
}
