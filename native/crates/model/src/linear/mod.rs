//! One projection with its bias and adapters.

mod backward;

pub(crate) use backward::{backward_input, backward_weights, receive, Scratch};

use crate::adapter::{add_product, inverse_row_norms, Adapter, LoraPart};
use crate::mix::Adding;
use crate::weights::{LinearIds, Tensor};
use tillage_kernels::cpu::{self, LowRank, LowRankPart, View, ViewMut};
use tillage_kernels::matrix::{Arithmetic, Matrix, FEW_ROWS};

/// Places of the projections of a layer in [`crate::spec::LayerSpec::linears`].
pub(crate) mod slot {
    /// Queries, keys and values.
    pub const QKV: usize = 0;
    /// The attention's output projection.
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
    /// Share of the inputs that is dropped.
    pub probability: f32,
    /// The same key gives the same mask.
    pub key: u64,
}

/// Which projection, and whether its adapter counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Tokens that pass through it.
    pub rows: usize,
    /// Number of the layer.
    pub layer: usize,
    /// See [`slot`].
    pub slot: usize,
    /// Places of its tensors.
    pub ids: LinearIds,
    /// Dropout before the adapter, in a training step that has some.
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
