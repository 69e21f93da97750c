//! The backward pass of a projection.

use super::{dropped, joined, parts, scale_columns, Dropout, Place};
use crate::adapter::{Adapter, LoraPart};
use crate::weights::Tensor;
use tillage_kernels::cpu::{self, LowRank, Upstream, View, ViewMut};

/// Buffers of the backward pass of one projection.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// d(A x) of each part behind one another, `[rows, r]` each.
    dhidden: Vec<f32>,
    /// The same and dy where the products with adapter and weights are one.
    upstream: Upstream,
    /// The adapters in such products.
    low: Option<LowRank>,
    /// DoRA: dy times the factors, and y before them.
    dy: Vec<f32>,
    y: Vec<f32>,
    pub dropped: Vec<f32>,
}

impl Scratch {
    pub fn bytes(&self) -> usize {
        let numbers =
            self.dhidden.capacity() + self.dy.capacity() + self.y.capacity() + self.dropped.capacity();
        4 * numbers + self.upstream.bytes()
    }
}

/// Takes the gradient of a projection's output, for [`backward_input`] and [`backward_weights`] of the same projection,
/// which come next in any order: d(A x) = s dy B, dy times DoRA's factors.
pub(crate) fn receive(
    dy: &[f32],
    tensors: &[Tensor],
    adapter: Option<&Adapter>,
    at: &Place,
    s: &mut Scratch,
) {
    let rows = at.rows;
    let parts = parts(adapter, tensors, at);
    s.low = joined(&parts, tensors, at).map(|(_, low)| low);
    if let Some(low) = &s.low {
        return cpu::low_rank_receive(&mut s.upstream, dy, low, rows);
    }
    let width = dy.len() / rows;
    if parts.iter().any(|p| p.factors.is_some()) {
        s.dy.clear();
        s.dy.extend_from_slice(dy);
        for lora in &parts {
            if let Some(factors) = &lora.factors {
                scale_columns(&mut s.dy, width, lora.part.outputs.start, factors);
            }
        }
    } else {
        s.dy.clear();
    }
    let Scratch { dhidden, dy: own, .. } = s;
    let dy = if own.is_empty() { dy } else { own };
    dhidden.resize(parts.iter().map(|p| rows * p.part.r).sum(), 0.0);
    let mut rest = &mut dhidden[..];
    for lora in &parts {
        let (r, outputs) = (lora.part.r, &lora.part.outputs);
        let (own, after) = rest.split_at_mut(rows * r);
        rest = after;
        cpu::matmul(
            ViewMut::new(own, rows, r),
            View::strided(&dy[outputs.start..], rows, outputs.len(), width),
            View::new(lora.b, outputs.len(), r),
            lora.part.scale,
            false,
            true,
        );
    }
}

/// Gradient with respect to the input, added to `dx` when `accumulate`; `dy` was [`receive`]d.
///
/// dx = Wᵀ dy + s Aᵀ Bᵀ dy.
pub(crate) fn backward_input(
    dx: &mut [f32],
    dy: &[f32],
    tensors: &[Tensor],
    adapter: Option<&Adapter>,
    at: &Place,
    s: &mut Scratch,
    accumulate: bool,
) {
    let rows = at.rows;
    if let (Some(low), Some(w)) = (&s.low, &tensors[at.ids.weight].frozen) {
        let apart = at.dropout.is_some().then(|| {
            s.y.resize(dx.len(), 0.0);
            &mut s.y[..]
        });
        cpu::low_rank_backward_input(dx, apart, dy, &s.upstream, (w, low), rows, accumulate);
        if let Some(dropout) = at.dropout {
            add_dropped(dx, &s.y, dropout, &mut s.dropped);
        }
        return;
    }
    let parts = parts(adapter, tensors, at);
    let dy = if s.dy.is_empty() { dy } else { &s.dy };
    tensors[at.ids.weight].backward_input(dx, dy, rows, 1.0, accumulate);
    let mut rest = &s.dhidden[..];
    for lora in &parts {
        let (own, after) = rest.split_at(rows * lora.part.r);
        rest = after;
        match at.dropout {
            None => cpu::linear_backward_input(dx, own, lora.a, rows, 1.0, true),
            Some(dropout) => {
                s.y.resize(dx.len(), 0.0);
                cpu::linear_backward_input(&mut s.y, own, lora.a, rows, 1.0, false);
                add_dropped(dx, &s.y, dropout, &mut s.dropped);
            }
        }
    }
}

/// `dx += d` under the mask that the forward pass had.
fn add_dropped(dx: &mut [f32], d: &[f32], dropout: Dropout, scratch: &mut Vec<f32>) {
    scratch.resize(d.len(), 0.0);
    cpu::dropout(scratch, d, dropout.probability, dropout.key);
    cpu::add(dx, scratch, 1.0);
}

/// Adds the gradients of the projection's trained tensors. `x` is its input, `hidden` what [`forward`] left; `dy` was
/// [`receive`]d.
///
/// dW = dyᵀ x; dB = s dyᵀ (A x); dA = s (dy B)ᵀ x; DoRA: dm = Σ dy (W x + s B A x) / ‖W + s B A‖, dy scaled by the factors.
pub(crate) fn backward_weights(
    dy: &[f32],
    x: &[f32],
    hidden: &[f32],
    tensors: &mut [Tensor],
    adapter: Option<&mut Adapter>,
    at: &Place,
    s: &mut Scratch,
) {
    if let Some(dbias) = at.ids.bias.and_then(|b| tensors[b].grad_mut()) {
        cpu::bias_backward(dbias, dy);
    }
    let rows = at.rows;
    let dy_scaled = if s.dy.is_empty() { dy } else { &s.dy };
    tensors[at.ids.weight].backward_weight(dy_scaled, x, rows, 1.0);
    let Some(adapter) = adapter.filter(|a| a.enabled) else { return };
    let Adapter { tensors: own, slots, .. } = adapter;
    let parts = &slots[at.layer][at.slot];
    if parts.first().is_none_or(|part| !own[part.a].trained()) {
        return;
    }
    if let Some(low) = &s.low {
        let x = dropped(x, at, &mut s.dropped);
        let mut taken: Vec<[Vec<f32>; 2]> =
            parts.iter().map(|p| [p.a, p.b].map(|t| std::mem::take(&mut own[t].grad))).collect();
        let mut gradients: Vec<_> = taken.iter_mut().map(|[a, b]| (&mut a[..], &mut b[..])).collect();
        cpu::low_rank_backward_weights(&mut gradients, (x, hidden), dy, &s.upstream, low, rows);
        for (part, [a, b]) in parts.iter().zip(taken) {
            (own[part.a].grad, own[part.b].grad) = (a, b);
        }
        return;
    }
    let ranks = hidden.len() / rows;
    let (mut first, mut rest) = (0, &s.dhidden[..]);
    for part in parts {
        let (dhidden, after) = rest.split_at(rows * part.r);
        rest = after;
        let ax = View::strided(&hidden[first..], rows, part.r, ranks);
        first += part.r;
        part_backward_weights(
            [dy, dy_scaled, x, dhidden],
            ax,
            tensors,
            own,
            part,
            at,
            [&mut s.y, &mut s.dropped],
        );
    }
}

fn part_backward_weights(
    [dy, dy_scaled, x, dhidden]: [&[f32]; 4],
    ax: View,
    tensors: &[Tensor],
    own: &mut [Tensor],
    part: &LoraPart,
    at: &Place,
    [y, scratch]: [&mut Vec<f32>; 2],
) {
    let (rows, r, outputs) = (at.rows, part.r, &part.outputs);
    let width = dy.len() / rows;
    let dy_part = View::strided(&dy_scaled[outputs.start..], rows, outputs.len(), width);
    let db = ViewMut::new(&mut own[part.b].grad, outputs.len(), r);
    cpu::matmul(db, dy_part.t(), ax, part.scale, true, true);
    cpu::linear_backward_weight(&mut own[part.a].grad, dhidden, dropped(x, at, scratch), rows, 1.0);
    if let Some(m) = part.magnitude {
        // The output before the factors is computed again rather than kept for every layer.
        let weight = tensors[at.ids.weight].read(outputs.clone());
        y.resize(rows * outputs.len(), 0.0);
        cpu::linear(y, x, &weight, rows, 1.0, false);
        let b = View::new(&own[part.b].value, outputs.len(), r);
        cpu::matmul(ViewMut::new(y, rows, outputs.len()), ax, b.t(), part.scale, true, true);
        let inverse = part.inverse_norm.get().expect("the forward pass computed the norms");
        let dm = &mut own[m].grad;
        for (dy, y) in dy.chunks_exact(width).zip(y.chunks_exact(outputs.len())) {
            for (o, dy) in dy[outputs.clone()].iter().enumerate() {
                dm[o] += dy * y[o] * inverse[o];
            }
        }
    }
}
