//! One projection with its bias and adapter.

use crate::adapter::{add_product, inverse_row_norms, Adapter};
use crate::weights::{LinearIds, Tensor};
use tillage_kernels::cpu;

/// Places of the projections of a layer in [`crate::spec::LayerSpec::linears`].
pub(crate) mod slot {
    pub const Q: usize = 0;
    pub const K: usize = 1;
    pub const V: usize = 2;
    pub const O: usize = 3;
    pub const GATE: usize = 4;
    pub const UP: usize = 5;
    pub const DOWN: usize = 6;
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

/// An adapter's tensors for one projection.
struct Lora<'a> {
    a: &'a [f32],
    b: &'a [f32],
    scale: f32,
    r: usize,
    /// DoRA's factor on each output.
    factors: Option<Vec<f32>>,
}

fn lora<'a>(adapter: Option<&'a Adapter>, tensors: &[Tensor], at: &Place) -> Option<Lora<'a>> {
    let adapter = adapter.filter(|a| a.enabled)?;
    let slot = adapter.slots[at.layer][at.slot].as_ref()?;
    let (a, b) = (&adapter.tensors[slot.a].value, &adapter.tensors[slot.b].value);
    let factors = slot.magnitude.map(|m| {
        let inverse = slot.inverse_norm.get_or_init(|| {
            let weight = &tensors[at.ids.weight];
            let mut whole = weight.value.clone();
            add_product(&mut whole, a, b, weight.shape[0], adapter.config.r, adapter.scale());
            inverse_row_norms(&whole, weight.shape[0])
        });
        adapter.tensors[m].value.iter().zip(inverse).map(|(m, i)| m * i).collect()
    });
    Some(Lora { a, b, scale: adapter.scale(), r: adapter.config.r, factors })
}

/// `y[rows, out] = W x + bias`, with the adapter: W x + s B (A dropout(x)), DoRA's factor on the sum of both.
///
/// `hidden` receives A x, which the backward pass needs.
pub(crate) fn forward(
    y: &mut [f32],
    x: &[f32],
    tensors: &[Tensor],
    adapter: Option<&Adapter>,
    at: &Place,
    hidden: &mut Vec<f32>,
    scratch: &mut Vec<f32>,
) {
    let rows = at.rows;
    cpu::linear(y, x, &tensors[at.ids.weight].value, rows, 1.0, false);
    if let Some(lora) = lora(adapter, tensors, at) {
        hidden.resize(rows * lora.r, 0.0);
        cpu::linear(hidden, dropped(x, at, scratch), lora.a, rows, 1.0, false);
        cpu::linear(y, hidden, lora.b, rows, lora.scale, true);
        if let Some(factors) = &lora.factors {
            cpu::scale_rows(y, factors);
        }
    }
    if let Some(bias) = at.ids.bias {
        cpu::add_bias(y, &tensors[bias].value);
    }
}

fn dropped<'a>(x: &'a [f32], at: &Place, scratch: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(dropout) = at.dropout else { return x };
    scratch.resize(x.len(), 0.0);
    cpu::dropout(scratch, x, dropout.probability, dropout.key);
    scratch
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
    let lora = lora(adapter, tensors, at);
    let factors = lora.as_ref().and_then(|l| l.factors.as_deref());
    let dy = scaled(dy, factors, &mut s.dy);
    cpu::linear_backward_input(dx, dy, &tensors[at.ids.weight].value, rows, 1.0, accumulate);
    let Some(lora) = lora else { return };
    s.dhidden.resize(rows * lora.r, 0.0);
    cpu::linear_backward_input(&mut s.dhidden, dy, lora.b, rows, lora.scale, false);
    match at.dropout {
        None => cpu::linear_backward_input(dx, &s.dhidden, lora.a, rows, 1.0, true),
        Some(dropout) => {
            s.y.resize(dx.len(), 0.0);
            cpu::linear_backward_input(&mut s.y, &s.dhidden, lora.a, rows, 1.0, false);
            s.dropped.resize(dx.len(), 0.0);
            cpu::dropout(&mut s.dropped, &s.y, dropout.probability, dropout.key);
            cpu::add(dx, &s.dropped);
        }
    }
}

fn scaled<'a>(dy: &'a [f32], factors: Option<&[f32]>, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(factors) = factors else { return dy };
    buffer.clear();
    buffer.extend_from_slice(dy);
    cpu::scale_rows(buffer, factors);
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
    let current = lora(adapter.as_deref(), tensors, at);
    let factors = current.and_then(|l| l.factors);
    let dy_scaled = scaled(dy, factors.as_deref(), &mut s.dy);
    if let Some(dw) = tensors[at.ids.weight].grad_mut() {
        cpu::linear_backward_weight(dw, dy_scaled, x, rows, 1.0);
    }
    let Some(adapter) = adapter.filter(|a| a.enabled) else { return };
    let (scale, r) = (adapter.scale(), adapter.config.r);
    let Some(slot) = &adapter.slots[at.layer][at.slot] else { return };
    let (a, b, magnitude) = (slot.a, slot.b, slot.magnitude);
    if adapter.tensors[a].grad.is_empty() {
        return;
    }
    s.dhidden.resize(rows * r, 0.0);
    cpu::linear_backward_input(&mut s.dhidden, dy_scaled, &adapter.tensors[b].value, rows, scale, false);
    cpu::linear_backward_weight(&mut adapter.tensors[b].grad, dy_scaled, hidden, rows, scale);
    cpu::linear_backward_weight(
        &mut adapter.tensors[a].grad,
        &s.dhidden,
        dropped(x, at, &mut s.dropped),
        rows,
        1.0,
    );
    if let Some(m) = magnitude {
        // The output before the factors is computed again rather than kept for every layer.
        s.y.resize(dy.len(), 0.0);
        cpu::linear(&mut s.y, x, &tensors[at.ids.weight].value, rows, 1.0, false);
        cpu::linear(&mut s.y, hidden, &adapter.tensors[b].value, rows, scale, true);
        let inverse = slot.inverse_norm.get().expect("the forward pass computed the norms");
        let outputs = inverse.len();
        let dm = &mut adapter.tensors[m].grad;
        for (dy, y) in dy.chunks_exact(outputs).zip(s.y.chunks_exact(outputs)) {
            for o in 0..outputs {
                dm[o] += dy[o] * y[o] * inverse[o];
            }
        }
    }
}
