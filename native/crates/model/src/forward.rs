//! The forward pass: over a pack of examples, or over new tokens of one sequence with a cache.

use crate::attention::Context;
use crate::linear::{Dropout, Place};
use crate::model::Model;
use crate::norms;
use crate::weights::{NormIds, Tensor};
use crate::workspace::{Keep, LayerActs, Workspace};
use tillage_kernels::cpu;

impl Model {
    /// Runs all layers; the residual stream of every token is in `ws.x` afterwards, before the last norm.
    ///
    /// What `keep` says stays in `ws` for the backward pass.
    pub(crate) fn run_layers(&self, tokens: &[u32], mut context: Context, ws: &mut Workspace, keep: Keep) {
        let config = self.config();
        ws.resize(config, tokens.len(), keep);
        ws.positions.clear();
        match &context {
            Context::Pack(starts) => {
                for example in starts.windows(2) {
                    ws.positions.extend(0..(example[1] - example[0]) as u32);
                }
            }
            Context::Caches(caches, starts) => {
                for (cache, new) in caches.iter().zip(starts.windows(2)) {
                    ws.positions.extend(cache.len as u32..(cache.len + new[1] - new[0]) as u32);
                }
            }
        }
        let longest = ws.positions.iter().max().map_or(0, |&p| p as usize + 1);
        ws.ropes.iter_mut().for_each(|table| table.grow(longest));
        cpu::pooled(|| {
            self.embed(tokens, ws);
            let mut layers = std::mem::take(&mut ws.layers);
            for n in 0..config.num_hidden_layers {
                let acts = &mut layers[if keep == Keep::Layers { n } else { 0 }];
                if keep == Keep::Inputs {
                    ws.inputs[n].copy_from_slice(&ws.x);
                }
                self.layer(n, &mut context, ws, acts, keep != Keep::Nothing);
            }
            ws.layers = layers;
        });
        if let Context::Caches(caches, starts) = context {
            let new = starts.windows(2).map(|w| w[1] - w[0]);
            caches.iter_mut().zip(new).for_each(|(cache, new)| cache.len += new);
        }
    }

    fn embed(&self, tokens: &[u32], ws: &mut Workspace) {
        let (config, tensors) = (self.config(), &self.weights.tensors);
        let width = config.hidden_size;
        let words = self.words(tokens);
        match &tensors[self.weights.embedding] {
            Tensor { frozen: Some(table), .. } => cpu::frozen_embedding(&mut ws.x, table, &words),
            Tensor { value, .. } => cpu::embedding(&mut ws.x, value, &words, width),
        }
        cpu::scale(&mut ws.x, config.scales.embedding);
        self.embed_prompts(tokens, ws);
        if let Some(positions) = self.weights.positions {
            cpu::embedding(&mut ws.out, &tensors[positions].value, &ws.positions, width);
            cpu::add(&mut ws.x, &ws.out, 1.0);
        }
    }

    /// One layer, from the residual stream in `ws.x` to that behind it.
    pub(crate) fn layer(
        &self,
        n: usize,
        context: &mut Context,
        ws: &mut Workspace,
        acts: &mut LayerActs,
        training: bool,
    ) {
        let ids = &self.weights.layers[n];
        acts.x_in.copy_from_slice(&ws.x);
        self.attention_forward(n, context, ws, acts, training);
        self.join(ids.after_attention, ws, &mut acts.attention_out, &mut acts.stats_attention_out);
        acts.x_mid.copy_from_slice(&ws.x);
        if self.config().layers[n].experts {
            self.experts_forward(n, ws, acts, training);
        } else {
            self.mlp_forward(n, ws, acts, training);
        }
        self.join(ids.after_mlp, ws, &mut acts.mlp_out, &mut acts.stats_mlp_out);
    }

    /// Adds a block's output in `ws.out` to the residual stream, through the norm that may stand behind the block.
    fn join(&self, norm: Option<NormIds>, ws: &mut Workspace, kept: &mut Vec<f32>, stats: &mut [f32]) {
        let config = self.config();
        if let Some(ids) = norm {
            std::mem::swap(kept, &mut ws.out);
            norms::forward(config, &self.weights.tensors, &ids, &mut ws.out, stats, kept);
        }
        cpu::add(&mut ws.x, &ws.out, config.scales.residual);
    }

    /// A projection of a layer; dropout only while training.
    pub(crate) fn place(&self, layer: usize, slot: usize, rows: usize, training: bool) -> Place {
        let probability = self.adapter.as_ref().map_or(0.0, |a| a.config.dropout as f32);
        Place {
            rows,
            layer,
            slot,
            ids: self.weights.layers[layer].linears[slot],
            dropout: (training && probability > 0.0).then(|| Dropout {
                probability,
                // Odd multiples keep the masks of different projections and steps apart.
                key: self.dropout_key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    ^ ((layer << 16 | slot) as u64 + 1).wrapping_mul(0xd134_2543_de82_ef95),
            }),
        }
    }
}
