//! One projection with its bias and adapters.

use crate::adapter::{add_product, inverse_row_norms, Adapter, LoraPart};
use crate::mix::Adding;
use crate::weights::{LinearIds, Tensor};
use tillage_kernels::cpu::{self, LowRank, LowRankPart, Upstream, View, ViewMut};
use tillage_kernels::matrix::{Arithmetic, Matrix, FEW_ROWS};

/// Places of the projections of a layer in [`crate::spec::LayerSpec::linears`].
pub(crate) mod slot {
    pub const QKV: usize = 0;
    pub const OUTPUT: usize = 1;

    /// The projection into the MLP, or into an expert.
    pub const fn up(expert: usize) -> usize {
        2 + 2 * expert
    }

    /// The projection out of it.
    pub const fn down(expert: usize) -> usize {
        3 + 2 * expert
    }
}

/// Dropout before an adapter's A: probability and the key of the mask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    pub probability: f32,
    pub key: u64,
}

/// Which projection, and whether its adapter counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Tokens that pass through it.
    pub rows: usize,
    pub layer: usize,
    pub slot: usize,
    pub ids: LinearIds,
    pub dropout: Option<Dropout>,
}

/// An adapter's tensors for one part of a projection.
struct Lora<'a> {
    part: &'a LoraPart,
    a: &'a [f32],
    b: &'a [f32],
    /// DoRA's factor on each output.
    factors: Option<Vec<f32>>,
}

/// The parts of a projection that the adapter, if it is on, adds to.
fn parts<'a>(adapter: Option<&'a Adapter>, tensors: &[Tensor], at: &Place) -> Vec<Lora<'a>> {
    let Some(adapter) = adapter.filter(|a| a.enabled) else { return Vec::new() };
    let weight = &tensors[at.ids.weight];
    adapter.slots[at.layer][at.slot]
        .iter()
        .map(|part| {
            let (a, b) = (&adapter.tensors[part.a].value[..], &adapter.tensors[part.b].value[..]);
            let factors = part.magnitude.map(|m| {
                let inverse = part.inverse_norm.get_or_init(|| {
                    let rows = &part.outputs;
                    let mut whole = weight.read(rows.clone()).into_owned();
                    add_product(&mut whole, a, b, rows.len(), part.r, part.scale);
                    inverse_row_norms(&whole, rows.len())
                });
                adapter.tensors[m].value.iter().zip(inverse).map(|(m, i)| m * i).collect()
            });
            Lora { part, a, b, factors }
        })
        .collect()
}

/// The frozen matrix and the adapters on it where their products are one: in bf16, over many rows, without DoRA, which
/// needs the sum's own values.
fn joined<'a>(parts: &[Lora], tensors: &'a [Tensor], at: &Place) -> Option<(&'a Matrix, LowRank)> {
    let w = tensors[at.ids.weight].frozen.as_ref()?;
    let fits = at.rows > FEW_ROWS && w.arithmetic() == Arithmetic::Bf16;
    if !fits || parts.is_empty() || parts.iter().any(|p| p.factors.is_some()) {
        return None;
    }
    let own = parts.iter().map(|Lora { part, a, b, .. }| LowRankPart {
        outputs: part.outputs.clone(),
        a,
        b,
        scale: part.scale,
    });
    Some((w, LowRank::new(w.inputs(), w.rows(), &own.collect::<Vec<_>>())))
}

/// `y[rows, out] = W x + bias`, with the adapter: W x + s B (A dropout(x)), DoRA's factor on the sum of both.
///
/// `hidden` receives A x, `[rows, ranks of all parts]`, which the backward pass needs.
pub(crate) fn forward(
    y: &mut [f32],
    x: &[f32],
    tensors: &[Tensor],
    adding: Adding,
    at: &Place,
    hidden: &mut Vec<f32>,
    scratch: &mut Vec<f32>,
) {
    match adding {
        Adding::One(adapter) => adapted(y, x, tensors, adapter, at, hidden, scratch),
        Adding::Routed(routed) => match routed.alone() {
            Some(adapter) => adapted(y, x, tensors, Some(adapter), at, hidden, scratch),
            None => {
                tensors[at.ids.weight].linear(y, x, at.rows, 1.0, false);
                routed.add(y, x, tensors, at, hidden, scratch);
            }
        },
    }
    if let Some(bias) = at.ids.bias {
        cpu::add_bias(y, &tensors[bias].value);
    }
}

/// `y = W x` with one adapter on all rows.
fn adapted(
    y: &mut [f32],
    x: &[f32],
    tensors: &[Tensor],
    adapter: Option<&Adapter>,
    at: &Place,
    hidden: &mut Vec<f32>,
    scratch: &mut Vec<f32>,
) {
    let parts = parts(adapter, tensors, at);
    if let Some((w, low)) = joined(&parts, tensors, at) {
        hidden.resize(at.rows * low.ranks(), 0.0);
        let dropped = at.dropout.is_some().then(|| dropped(x, at, scratch));
        return cpu::low_rank_linear(y, hidden, x, dropped, (w, &low), at.rows);
    }
    tensors[at.ids.weight].linear(y, x, at.rows, 1.0, false);
    add_parts(y, dropped(x, at, scratch), &parts, 1.0, at.rows, hidden);
}

/// `y += factor` times what the adapter makes of `x`; DoRA's factors on the sum, for a factor of 1 alone.
pub(crate) fn add(
    y: &mut [f32],
    x: &[f32],
    tensors: &[Tensor],
    (adapter, factor): (Option<&Adapter>, f32),
    at: &Place,
    hidden: &mut Vec<f32>,
    scratch: &mut Vec<f32>,
) {
    let parts = parts(adapter, tensors, at);
    add_parts(y, dropped(x, at, scratch), &parts, factor, at.rows, hidden);
}

/// `y += factor s B A x`, part by part, with DoRA's factors on the sum; `hidden` receives A x.
fn add_parts(y: &mut [f32], x: &[f32], parts: &[Lora], factor: f32, rows: usize, hidden: &mut Vec<f32>) {
    let ranks: usize = parts.iter().map(|p| p.part.r).sum();
    hidden.resize(rows * ranks, 0.0);
    let (width, inputs) = (y.len() / rows, x.len() / rows);
    let mut first = 0;
    for lora in parts {
        let (r, outputs) = (lora.part.r, &lora.part.outputs);
        let own = first..first + r;
        first = own.end;
        if ranks == r {
            cpu::linear(hidden, x, lora.a, rows, 1.0, false);
        } else {
            let to = ViewMut::columns(hidden, rows, ranks, own.clone());
            cpu::matmul(to, View::new(x, rows, inputs), View::new(lora.a, r, inputs).t(), 1.0, false, true);
        }
        cpu::matmul(
            ViewMut::columns(y, rows, width, outputs.clone()),
            View::strided(&hidden[own.start..], rows, r, ranks),
            View::new(lora.b, outputs.len(), r).t(),
            lora.part.scale * factor,
            true,
            true,
        );
        if let Some(factors) = &lora.factors {
            scale_columns(y, width, outputs.start, factors);
        }
    }
}

fn dropped<'a>(x: &'a [f32], at: &Place, scratch: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(dropout) = at.dropout else { return x };
    scratch.resize(x.len(), 0.0);
    cpu::dropout(scratch, x, dropout.probability, dropout.key);
    scratch
}

/// Multiplies columns of `y[.., width]` from `first` on by their factors.
fn scale_columns(y: &mut [f32], width: usize, first: usize, factors: &[f32]) {
    for row in y.chunks_exact_mut(width) {
        for (y, f) in row[first..first + factors.len()].iter_mut().zip(factors) {
            *y *= f;
        }
    }
}

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
    if let Some(dw) = tensors[at.ids.weight].grad_mut() {
        cpu::linear_backward_weight(dw, dy_scaled, x, rows, 1.0);
    }
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
