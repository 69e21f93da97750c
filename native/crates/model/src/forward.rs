//! The forward pass: over a pack of examples, or over new tokens of one sequence with a cache.

use crate::cache::KvCache;
use crate::linear::{self, slot, Dropout, Place};
use crate::model::Model;
use crate::workspace::{attention_shape, LayerActs, Workspace};
use tillage_kernels::cpu;

/// What attention looks at.
pub(crate) enum Context<'a> {
    /// Examples of a pack, each on itself: their offsets.
    Pack(&'a [usize]),
    /// One sequence whose earlier tokens are in the cache.
    Cache(&'a mut KvCache),
}

impl Model {
    /// Runs all layers; the residual stream of every token is in `ws.x` afterwards, before the last norm.
    ///
    /// With `keep`, every layer's activations stay in `ws.layers` for the backward pass.
    pub(crate) fn run_layers(&self, tokens: &[u32], mut context: Context, ws: &mut Workspace, keep: bool) {
        let config = self.config();
        ws.resize(config, tokens.len(), keep);
        ws.positions.clear();
        match &context {
            Context::Pack(starts) => {
                for example in starts.windows(2) {
                    ws.positions.extend(0..(example[1] - example[0]) as u32);
                }
            }
            Context::Cache(cache) => ws.positions.extend(cache.len as u32..(cache.len + tokens.len()) as u32),
        }
        ws.rope.grow(ws.positions.iter().max().map_or(0, |&p| p as usize + 1));
        cpu::embedding(
            &mut ws.x,
            &self.weights.tensors[self.weights.embedding].value,
            tokens,
            config.hidden_size,
        );
        let mut layers = std::mem::take(&mut ws.layers);
        for n in 0..config.num_hidden_layers {
            let acts = &mut layers[if keep { n } else { 0 }];
            self.layer(n, &mut context, ws, acts, keep);
        }
        ws.layers = layers;
        if let Context::Cache(cache) = context {
            cache.len += tokens.len();
        }
    }

    fn layer(&self, n: usize, context: &mut Context, ws: &mut Workspace, acts: &mut LayerActs, keep: bool) {
        let config = self.config();
        let tensors = &self.weights.tensors;
        let ids = &self.weights.layers[n];
        let eps = config.rms_norm_eps as f32;
        let rows = ws.positions.len();
        let places = self.places(n, rows, keep);
        let project =
            |slot: usize, y: &mut [f32], x: &[f32], hidden: &mut Vec<f32>, scratch: &mut Vec<f32>| {
                linear::forward(y, x, tensors, self.adapter.as_ref(), &places[slot], hidden, scratch);
            };

        acts.x_in.copy_from_slice(&ws.x);
        cpu::rms_norm(&mut ws.norm, &mut acts.inv_in, &acts.x_in, &tensors[ids.attention_norm].value, eps);
        let scratch = &mut ws.linear.dropped;
        project(slot::Q, &mut acts.q, &ws.norm, &mut acts.lora[slot::Q], scratch);
        project(slot::K, &mut acts.k, &ws.norm, &mut acts.lora[slot::K], scratch);
        project(slot::V, &mut acts.v, &ws.norm, &mut acts.lora[slot::V], scratch);
        cpu::rope(&mut acts.q, &ws.positions, &ws.rope, false);
        cpu::rope(&mut acts.k, &ws.positions, &ws.rope, false);
        let shape = attention_shape(config);
        match context {
            Context::Pack(starts) => {
                cpu::attention(&mut acts.attended, &mut acts.lse, &acts.q, &acts.k, &acts.v, starts, &shape)
            }
            Context::Cache(cache) => {
                let past = cache.len;
                let (keys, values) = &mut cache.layers[n];
                let (from, to) = (past * shape.kv_width(), (past + rows) * shape.kv_width());
                keys[from..to].copy_from_slice(&acts.k);
                values[from..to].copy_from_slice(&acts.v);
                cpu::attention_cached(&mut acts.attended, &acts.q, keys, values, past, &shape);
            }
        }
        project(slot::O, &mut ws.out, &acts.attended, &mut acts.lora[slot::O], scratch);
        cpu::add(&mut ws.x, &ws.out);

        acts.x_mid.copy_from_slice(&ws.x);
        cpu::rms_norm(&mut ws.norm, &mut acts.inv_mid, &acts.x_mid, &tensors[ids.mlp_norm].value, eps);
        project(slot::GATE, &mut acts.gate, &ws.norm, &mut acts.lora[slot::GATE], scratch);
        project(slot::UP, &mut acts.up, &ws.norm, &mut acts.lora[slot::UP], scratch);
        cpu::swiglu(&mut ws.act, &acts.gate, &acts.up);
        project(slot::DOWN, &mut ws.out, &ws.act, &mut acts.lora[slot::DOWN], scratch);
        cpu::add(&mut ws.x, &ws.out);
    }

    /// The projections of a layer; dropout only while training.
    pub(crate) fn places(&self, layer: usize, rows: usize, training: bool) -> [Place; 7] {
        let probability = self.adapter.as_ref().map_or(0.0, |a| a.config.dropout as f32);
        std::array::from_fn(|slot| Place {
            rows,
            layer,
            slot,
            ids: self.weights.layers[layer].linears[slot],
            dropout: (training && probability > 0.0).then(|| Dropout {
                probability,
                // Odd multiples keep the masks of different projections and steps apart.
                key: self.dropout_key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    ^ ((layer * 7 + slot + 1) as u64).wrapping_mul(0xd134_2543_de82_ef95),
            }),
        })
    }
}
