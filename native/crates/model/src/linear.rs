//! One projection with its bias and adapters.

use crate::adapter::{add_product, inverse_row_norms, Adapter, LoraPart};
use crate::mix::Adding;
use crate::weights::{LinearIds, Tensor};
use tillage_kernels::cpu::{self, View, ViewMut};

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

/// `y[rows, out] = W x + bias`, with the adapter: W x + s B (A dropout(x)), DoRA's factor on the sum of both.
///
/// `hidden` receives A x of each part behind one another, which the backward pass needs.
pub(crate) fn forward(
    y: &mut [f32],
    x: &[f32],
    tensors: &[Tensor],
    adding: Adding,
    at: &Place,
    hidden: &mut Vec<f32>,
    scratch: &mut Vec<f32>,
) {
    tensors[at.ids.weight].linear(y, x, at.rows, 1.0, false);
    match adding {
        Adding::One(adapter) => add(y, x, tensors, (adapter, 1.0), at, hidden, scratch),
        Adding::Routed(routed) => routed.add(y, x, tensors, at, hidden, scratch),
    }
    if let Some(bias) = at.ids.bias {
        cpu::add_bias(y, &tensors[bias].value);
    }
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
    let rows = at.rows;
    let parts = parts(adapter, tensors, at);
    if !parts.is_empty() {
        let width = y.len() / rows;
        let inputs = x.len() / rows;
        let x = dropped(x, at, scratch);
        hidden.resize(parts.iter().map(|p| rows * p.part.r).sum(), 0.0);
        let mut rest = &mut hidden[..];
        for lora in &parts {
            let (r, outputs) = (lora.part.r, &lora.part.outputs);
            let (own, after) = rest.split_at_mut(rows * r);
            rest = after;
            cpu::linear(own, x, lora.a, rows, 1.0, false);
            debug_assert_eq!(lora.a.len(), r * inputs);
            cpu::matmul(
                ViewMut::columns(y, rows, width, outputs.clone()),
                View::new(own, rows, r),
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
    /// d(A x), `[rows, r]`.
    dhidden: Vec<f32>,
    /// DoRA: dy times the factors, and y before them.
    dy: Vec<f32>,
    y: Vec<f32>,
    pub dropped: Vec<f32>,
}

impl Scratch {
    pub fn bytes(&self) -> usize {
        4 * (self.dhidden.capacity() + self.dy.capacity() + self.y.capacity() + self.dropped.capacity())
    }
}

/// Gradient with respect to the input, added to `dx` when `accumulate`.
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
    let parts = parts(adapter, tensors, at);
    let dy = scaled(dy, rows, &parts, &mut s.dy);
    let width = dy.len() / rows;
    tensors[at.ids.weight].backward_input(dx, dy, rows, 1.0, accumulate);
    for lora in &parts {
        let (r, outputs) = (lora.part.r, &lora.part.outputs);
        s.dhidden.resize(rows * r, 0.0);
        cpu::matmul(
            ViewMut::new(&mut s.dhidden, rows, r),
            View::strided(&dy[outputs.start..], rows, outputs.len(), width),
            View::new(lora.b, outputs.len(), r),
            lora.part.scale,
            false,
            true,
        );
        match at.dropout {
            None => cpu::linear_backward_input(dx, &s.dhidden, lora.a, rows, 1.0, true),
            Some(dropout) => {
                s.y.resize(dx.len(), 0.0);
                cpu::linear_backward_input(&mut s.y, &s.dhidden, lora.a, rows, 1.0, false);
                s.dropped.resize(dx.len(), 0.0);
                cpu::dropout(&mut s.dropped, &s.y, dropout.probability, dropout.key);
                cpu::add(dx, &s.dropped, 1.0);
            }
        }
    }
}

/// dy with DoRA's factors on the parts that have them.
fn scaled<'a>(dy: &'a [f32], rows: usize, parts: &[Lora], buffer: &'a mut Vec<f32>) -> &'a [f32] {
    if parts.iter().all(|p| p.factors.is_none()) {
        return dy;
    }
    buffer.clear();
    buffer.extend_from_slice(dy);
    for lora in parts {
        if let Some(factors) = &lora.factors {
            scale_columns(buffer, dy.len() / rows, lora.part.outputs.start, factors);
        }
    }
    buffer
}

/// Adds the gradients of the projection's trained tensors. `x` is its input, `hidden` what [`forward`] left.
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
    let dy_scaled = scaled(dy, rows, &parts(adapter.as_deref(), tensors, at), &mut s.dy);
    if let Some(dw) = tensors[at.ids.weight].grad_mut() {
        cpu::linear_backward_weight(dw, dy_scaled, x, rows, 1.0);
    }
    let Some(adapter) = adapter.filter(|a| a.enabled) else { return };
    let Adapter { tensors: own, slots, .. } = adapter;
    let mut hidden = hidden;
    for part in &slots[at.layer][at.slot] {
        if !own[part.a].trained() {
            return;
        }
        let (ax, after) = hidden.split_at(rows * part.r);
        hidden = after;
        part_backward_weights(
            [dy, dy_scaled, x, ax],
            tensors,
            own,
            part,
            at,
            [&mut s.dhidden, &mut s.y, &mut s.dropped],
        );
    }
}

fn part_backward_weights(
    [dy, dy_scaled, x, ax]: [&[f32]; 4],
    tensors: &[Tensor],
    own: &mut [Tensor],
    part: &LoraPart,
    at: &Place,
    [dhidden, y, scratch]: [&mut Vec<f32>; 3],
) {
    let (rows, r, outputs) = (at.rows, part.r, &part.outputs);
    let width = dy.len() / rows;
    let dy_part = View::strided(&dy_scaled[outputs.start..], rows, outputs.len(), width);
    dhidden.resize(rows * r, 0.0);
    let b = View::new(&own[part.b].value, outputs.len(), r);
    cpu::matmul(ViewMut::new(dhidden, rows, r), dy_part, b, part.scale, false, true);
    let db = ViewMut::new(&mut own[part.b].grad, outputs.len(), r);
    cpu::matmul(db, dy_part.t(), View::new(ax, rows, r), part.scale, true, true);
    cpu::linear_backward_weight(&mut own[part.a].grad, dhidden, dropped(x, at, scratch), rows, 1.0);
    if let Some(m) = part.magnitude {
        // The output before the factors is computed again rather than kept for every layer.
        let weight = tensors[at.ids.weight].read(outputs.clone());
        y.resize(rows * outputs.len(), 0.0);
        cpu::linear(y, x, &weight, rows, 1.0, false);
        cpu::linear(y, ax, &own[part.b].value, rows, part.scale, true);
        let inverse = part.inverse_norm.get().expect("the forward pass computed the norms");
        let dm = &mut own[m].grad;
        for (dy, y) in dy.chunks_exact(width).zip(y.chunks_exact(outputs.len())) {
            for (o, dy) in dy[outputs.clone()].iter().enumerate() {
                dm[o] += dy * y[o] * inverse[o];
            }
        }
    }
}
