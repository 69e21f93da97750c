//! The backward pass, derived by hand. Only what leads to a trained tensor is computed.

use crate::attention::Context;
use crate::linear::slot;
use crate::model::Model;
use crate::norms;
use crate::weights::NormIds;
use crate::workspace::{Keep, LayerActs, Workspace};
use tillage_kernels::cpu;

impl Model {
    /// Adds the gradients of all trained tensors, from the gradient of the last residual stream in `ws.dx`.
    pub(crate) fn backward_layers(&mut self, tokens: &[u32], starts: &[usize], ws: &mut Workspace) {
        let layers_count = self.config().num_hidden_layers;
        // Something before the layers is trained.
        let whole = self.trains_words() || self.trains_prompt();
        let trained = (0..layers_count).find(|&n| self.trains(n, 0..usize::MAX));
        let Some(lowest) = (if whole { Some(0) } else { trained }) else { return };
        cpu::pooled(|| {
            let mut layers = std::mem::take(&mut ws.layers);
            for n in (lowest..layers_count).rev() {
                let acts = &mut layers[if ws.keep == Keep::Layers { n } else { 0 }];
                // The last layer's are still there.
                if ws.keep == Keep::Inputs && n + 1 < layers_count {
                    let Workspace { x, inputs, .. } = ws;
                    x.copy_from_slice(&inputs[n]);
                    self.layer(n, &mut Context::Pack(starts), ws, acts, true);
                }
                self.layer_backward(n, starts, ws, acts, n > lowest || whole);
            }
            ws.layers = layers;
        });
        self.prompt_backward(tokens, ws);
        if self.trains_words() {
            self.embed_backward(tokens, ws);
        }
    }

    fn embed_backward(&mut self, tokens: &[u32], ws: &mut Workspace) {
        let width = self.config().hidden_size;
        if let Some(d) = self.weights.positions.and_then(|p| self.weights.tensors[p].grad_mut()) {
            cpu::embedding_backward(d, &ws.dx, &ws.positions, width);
        }
        cpu::scale(&mut ws.dx, self.config().scales.embedding);
        let embedding = self.weights.embedding;
        if let Some(d) = self.weights.tensors[embedding].grad_mut() {
            cpu::embedding_backward(d, &ws.dx, tokens, width);
        }
    }

    pub(crate) fn trains_words(&self) -> bool {
        self.weights.tensors[self.weights.embedding].trained()
    }

    fn trains_prompt(&self) -> bool {
        self.prompt.as_ref().is_some_and(|p| p.enabled && p.tensor.trained())
    }

    /// Whether one of these projections of a layer has something trained.
    pub(crate) fn trains(&self, layer: usize, slots: std::ops::Range<usize>) -> bool {
        let ids = &self.weights.layers[layer].linears;
        let slots = slots.start..slots.end.min(ids.len());
        let base = ids[slots.clone()].iter().any(|l| self.weights.tensors[l.weight].trained());
        let adapter = self.adapter.as_ref().filter(|a| a.enabled).is_some_and(|adapter| {
            let mut found = adapter.slots[layer][slots].iter().flatten();
            found.any(|part| adapter.tensors[part.a].trained())
        });
        base || adapter
    }

    /// `below`: something before this layer is trained.
    fn layer_backward(
        &mut self,
        n: usize,
        starts: &[usize],
        ws: &mut Workspace,
        acts: &mut LayerActs,
        below: bool,
    ) {
        let ids = &self.weights.layers[n];
        let (after_attention, after_mlp) = (ids.after_attention, ids.after_mlp);
        let attention = below || self.trains(n, slot::QKV..slot::up(0));
        self.branch(after_mlp, ws, &acts.mlp_out, &acts.stats_mlp_out);
        if self.config().layers[n].experts {
            self.experts_backward(n, ws, acts, attention);
        } else {
            self.mlp_backward(n, ws, acts, attention);
        }
        if attention {
            let inputs = below || self.trains(n, slot::QKV..slot::OUTPUT);
            self.branch(after_attention, ws, &acts.attention_out, &acts.stats_attention_out);
            self.attention_backward(n, starts, ws, acts, [inputs, below]);
        }
    }

    /// `ws.branch` = the gradient of a block's output, from that of the residual stream behind it.
    fn branch(&mut self, norm: Option<NormIds>, ws: &mut Workspace, out: &[f32], stats: &[f32]) {
        let Model { config, weights, .. } = self;
        let Workspace { branch, dx, dnorm, .. } = ws;
        let joined = if norm.is_some() { &mut *dnorm } else { &mut *branch };
        joined.copy_from_slice(dx);
        cpu::scale(joined, config.scales.residual);
        if let Some(ids) = norm {
            branch.fill(0.0);
            norms::backward(config, &mut weights.tensors, &ids, branch, dnorm, out, stats);
        }
    }
}
