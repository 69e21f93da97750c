//! The attention block of a layer: QKV, norms of queries and keys, rotation, attention, output.

use crate::cache::KvCache;
use crate::config::{ModelConfig, QkNorm};
use crate::linear::{self, slot};
use crate::model::Model;
use crate::norms;
use crate::weights::{NormIds, Tensor};
use crate::workspace::{LayerActs, Workspace};
use rayon::prelude::*;
use tillage_kernels::{cpu, AttentionShape, Runs};

/// What attention looks at.
pub(crate) enum Context<'a> {
    /// Examples of a pack, each on itself: their offsets.
    Pack(&'a [usize]),
    /// Sequences whose earlier tokens are in their caches: the new tokens of each, by their offsets.
    Caches(&'a mut [KvCache], &'a [usize]),
}

/// The attention of one layer, with products in bf16 where those with its weights are.
pub(crate) fn shape(config: &ModelConfig, layer: usize, rounded: bool) -> AttentionShape {
    AttentionShape {
        heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        head_dim: config.head_dim,
        scale: config.scales.attention,
        window: config.layers[layer].window,
        softcap: config.attention_softcap,
        rounded,
    }
}

/// Where queries and keys lie: inside QKV, and behind one another in a buffer of their own.
struct QkPlaces {
    inside: Runs,
    apart: Runs,
    /// Where their numbers of the norm's statistics begin.
    stats: usize,
}

/// The runs that the norm of the queries (0) or of the keys (1) takes.
fn qk_places(config: &ModelConfig, tokens: usize, which: usize) -> QkPlaces {
    let (q, kv) = (config.q_width(), config.kv_width());
    let (start, width, heads) =
        if which == 0 { (0, q, config.num_attention_heads) } else { (q, kv, config.num_key_value_heads) };
    let (per_token, width) =
        if config.qk_norm == QkNorm::Head { (heads, config.head_dim) } else { (1, width) };
    let before = if which == 0 {
        0
    } else if config.qk_norm == QkNorm::Head {
        config.num_attention_heads
    } else {
        1
    };
    QkPlaces {
        inside: Runs { tokens, stride: q + 2 * kv, start, per_token, width },
        apart: Runs { tokens, stride: q + kv, start, per_token, width },
        stats: before * tokens,
    }
}

/// Numbers that the norms of queries and keys keep of each token.
pub(crate) fn qk_stats_width(config: &ModelConfig) -> usize {
    match config.qk_norm {
        QkNorm::None => 0,
        QkNorm::Head => config.num_attention_heads + config.num_key_value_heads,
        QkNorm::Whole => 2,
    }
}

/// All heads of queries and keys, which turn alike.
fn turning(config: &ModelConfig, tokens: usize) -> Runs {
    let per_token = config.num_attention_heads + config.num_key_value_heads;
    let stride = config.q_width() + 2 * config.kv_width();
    Runs { tokens, stride, start: 0, per_token, width: config.head_dim }
}

/// Copies the first `width` numbers of rows of `from_stride` to rows of `width`.
fn take_columns(to: &mut [f32], from: &[f32], width: usize, from_stride: usize) {
    for (to, from) in to.chunks_exact_mut(width).zip(from.chunks_exact(from_stride)) {
        to.copy_from_slice(&from[..width]);
    }
}

impl Model {
    /// `ws.out` = the block's output for `x`, before the norm that may follow it.
    pub(crate) fn attention_forward(
        &self,
        n: usize,
        context: &mut Context,
        ws: &mut Workspace,
        acts: &mut LayerActs,
        training: bool,
    ) {
        let config = self.config();
        let (tensors, ids) = (&self.weights.tensors, &self.weights.layers[n]);
        let rows = ws.positions.len();
        let LayerActs { x_in, stats_in, qkv, qk, stats_qk, attended, lse, lora, .. } = acts;
        let Workspace { norm, out, linear, positions, ropes, routes, .. } = ws;
        let adding = self.adding(routes, None);
        let input: &[f32] = match &ids.before_attention {
            Some(ids) => {
                norms::forward(config, tensors, ids, norm, stats_in, x_in);
                norm
            }
            None => x_in,
        };
        let place = self.place(n, slot::QKV, rows, training);
        let scratch = &mut linear.dropped;
        linear::forward(qkv, input, tensors, adding, &place, &mut lora[slot::QKV], scratch);
        if config.qk_norm != QkNorm::None {
            take_columns(qk, qkv, config.q_width() + config.kv_width(), turning(config, rows).stride);
            for (which, ids) in [ids.q_norm, ids.k_norm].into_iter().flatten().enumerate() {
                let QkPlaces { inside, apart, stats } = qk_places(config, rows, which);
                let stats = &mut stats_qk[stats..stats + apart.count()];
                let (w, eps) = (&tensors[ids.weight].value, config.norm_eps as f32);
                cpu::rms_norm((qkv, inside), stats, (qk, apart), w, norms::offset(config), eps);
            }
        }
        if let Some(rope) = config.layers[n].rope {
            cpu::rope(qkv, turning(config, rows), positions, &ropes[rope], false);
        }
        let shape = shape(config, n, tensors[ids.linears[slot::QKV].weight].rounds());
        match context {
            Context::Pack(starts) => cpu::attention(attended, lse, qkv, starts, &shape),
            Context::Caches(caches, starts) => attend_cached(n, caches, starts, qkv, attended, &shape),
        }
        let place = self.place(n, slot::OUTPUT, rows, training);
        let hidden = &mut lora[slot::OUTPUT];
        linear::forward(out, attended, tensors, adding, &place, hidden, &mut linear.dropped);
    }

    /// From the gradient of the block's output in `ws.branch` to that of its input, which is added to `ws.dx` when
    /// `below`; `inputs` when something before the attention itself needs a gradient.
    pub(crate) fn attention_backward(
        &mut self,
        n: usize,
        starts: &[usize],
        ws: &mut Workspace,
        acts: &mut LayerActs,
        [inputs, below]: [bool; 2],
    ) {
        let rows = ws.positions.len();
        let places = [slot::QKV, slot::OUTPUT].map(|s| self.place(n, s, rows, true));
        let trains_qkv = self.trains(n, slot::QKV..slot::OUTPUT);
        let rounded = self.weights.tensors[places[0].ids.weight].rounds();
        let shape = shape(self.config(), n, rounded);
        let Model { config, weights, adapter, .. } = self;
        let LayerActs { x_in, stats_in, qkv, qk, stats_qk, attended, lse, lora, .. } = acts;
        let Workspace { branch, dx, dattended, dqkv, dqk, norm, dnorm, linear, positions, ropes, .. } = ws;
        let (ids, tensors) = (&weights.layers[n], &mut weights.tensors[..]);
        let hidden = &lora[slot::OUTPUT];
        linear::receive(branch, tensors, adapter.as_ref(), &places[1], linear);
        linear::backward_weights(branch, attended, hidden, tensors, adapter.as_mut(), &places[1], linear);
        if !inputs {
            return;
        }
        linear::backward_input(dattended, branch, tensors, adapter.as_ref(), &places[1], linear, false);
        let saved = cpu::Saved { qkv, out: attended, lse };
        cpu::attention_backward(dqkv, dattended, saved, starts, &shape);
        if let Some(rope) = config.layers[n].rope {
            cpu::rope(dqkv, turning(config, rows), positions, &ropes[rope], true);
        }
        if config.qk_norm != QkNorm::None {
            dqk.clear();
            dqk.extend_from_slice(dqkv);
            for (which, ids) in [ids.q_norm, ids.k_norm].into_iter().flatten().enumerate() {
                qk_norm_backward(config, tensors, &ids, which, [dqkv, dqk], [qk, stats_qk], rows);
            }
        }
        linear::receive(dqkv, tensors, adapter.as_ref(), &places[0], linear);
        if trains_qkv {
            let input: &[f32] = match &ids.before_attention {
                Some(ids) => {
                    norms::forward(config, tensors, ids, norm, stats_in, x_in);
                    norm
                }
                None => x_in,
            };
            let hidden = &lora[slot::QKV];
            linear::backward_weights(dqkv, input, hidden, tensors, adapter.as_mut(), &places[0], linear);
        }
        if !below {
            return;
        }
        match &ids.before_attention {
            Some(ids) => {
                linear::backward_input(dnorm, dqkv, tensors, adapter.as_ref(), &places[0], linear, false);
                norms::backward(config, tensors, ids, dx, dnorm, x_in, stats_in);
            }
            None => linear::backward_input(dx, dqkv, tensors, adapter.as_ref(), &places[0], linear, true),
        }
    }
}

/// Adds the new tokens' keys and values to their caches, and lets each sequence look at its own.
fn attend_cached(
    n: usize,
    caches: &mut [KvCache],
    starts: &[usize],
    qkv: &[f32],
    mut attended: &mut [f32],
    shape: &AttentionShape,
) {
    let (q, kv, width) = (shape.q_width(), shape.kv_width(), shape.qkv_width());
    let mut sequences = Vec::with_capacity(caches.len());
    for (cache, span) in caches.iter_mut().zip(starts.windows(2)) {
        let own = &qkv[span[0] * width..span[1] * width];
        let (out, rest) = attended.split_at_mut((span[1] - span[0]) * q);
        attended = rest;
        sequences.push((cache, own, out));
    }
    let attend = |(cache, own, out): (&mut KvCache, &[f32], &mut [f32])| {
        let past = cache.len;
        let (keys, values) = &mut cache.layers[n];
        for (token, row) in own.chunks_exact(width).enumerate() {
            let at = (past + token) * kv;
            keys[at..at + kv].copy_from_slice(&row[q..q + kv]);
            values[at..at + kv].copy_from_slice(&row[q + kv..]);
        }
        cpu::attention_cached(out, own, keys, values, past, shape);
    };
    if sequences.len() == 1 {
        sequences.into_iter().for_each(attend);
    } else {
        sequences.into_par_iter().for_each(attend);
    }
}

/// Overwrites the gradient of the normed queries or keys in `dqkv` by that of what the norm took; `dqk` is a copy.
fn qk_norm_backward(
    config: &ModelConfig,
    tensors: &mut [Tensor],
    ids: &NormIds,
    which: usize,
    [dqkv, dqk]: [&mut Vec<f32>; 2],
    [qk, stats]: [&Vec<f32>; 2],
    rows: usize,
) {
    let QkPlaces { inside, apart, stats: first } = qk_places(config, rows, which);
    let Tensor { value, grad, .. } = &mut tensors[ids.weight];
    let dw = (!grad.is_empty()).then_some(&mut grad[..]);
    let stats = &stats[first..first + apart.count()];
    let offset = norms::offset(config);
    cpu::rms_norm_backward((dqkv, inside), dw, dqk, (qk, apart), value, offset, stats, false);
}
