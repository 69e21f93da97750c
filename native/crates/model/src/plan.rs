//! Memory, known before it is taken.

use crate::adapter::{Adapter, LoraPart};
use crate::model::Model;
use crate::workspace::{self, Workspace};
use tillage_protocol::run::Dtype;

impl Model {
    /// Bytes of such a cache.
    pub fn cache_bytes(&self, capacity: usize) -> usize {
        8 * self.config.kv_width() * capacity * self.config.num_hidden_layers
    }

    /// Bytes that weights, gradients and a training pass over a batch take; the optimiser's states are not included.
    pub fn plan_bytes(&self, tokens_in_batch: usize) -> usize {
        let (ranks, extra) = self
            .adapter
            .as_ref()
            .map_or((0, false), |a| (self.ranks(a), a.config.dora || a.config.dropout > 0.0));
        let layers = self.config.num_hidden_layers;
        let (kept, ranks) =
            if self.recompute { ([1, layers], ranks.div_ceil(layers)) } else { ([layers, 0], ranks) };
        self.weight_bytes() + self.decoded_bytes() + self.plan_pass(tokens_in_batch, kept, ranks, extra)
    }

    /// Bytes that weights and a pass without gradients take.
    pub fn plan_scoring_bytes(&self, tokens_in_batch: usize) -> usize {
        let ranks = self.adapter.as_ref().map_or(0, |a| self.ranks(a));
        self.weight_bytes() + self.decoded_bytes() + self.plan_pass(tokens_in_batch, [1, 0], ranks, false)
    }

    fn plan_pass(&self, tokens: usize, layers: [usize; 2], ranks: usize, extra: bool) -> usize {
        workspace::plan(&self.config, tokens, layers, ranks, [extra, self.dtype != Dtype::F32, self.mixed])
    }

    /// DoRA reads whole projections as f32 to measure their rows.
    fn decoded_bytes(&self) -> usize {
        let dora = self.adapter.as_ref().is_some_and(|a| a.config.dora);
        let widest = self.spec.layers.iter().flat_map(|l| &l.linears).map(|l| l.inputs * l.outputs()).max();
        if dora && self.dtype != Dtype::F32 {
            4 * widest.unwrap_or(0)
        } else {
            0
        }
    }

    /// An adapter's ranks that a token passes through, over all layers.
    fn ranks(&self, adapter: &Adapter) -> usize {
        let sum = |slots: &[Vec<LoraPart>]| slots.iter().flatten().map(|part| part.r).sum::<usize>();
        let layers = adapter.slots.iter().zip(&self.config.layers);
        layers
            .map(|(slots, layer)| match self.config.experts.filter(|_| layer.experts) {
                None => sum(slots),
                Some(experts) => {
                    sum(&slots[..2]) + (sum(&slots[2..]) * experts.per_token).div_ceil(experts.count)
                }
            })
            .sum()
    }

    /// Bytes that weights, gradients and idle buffers hold now.
    pub fn held_bytes(&self) -> usize {
        let idle = self.idle.lock().unwrap_or_else(|e| e.into_inner());
        self.weight_bytes() + idle.iter().map(Workspace::bytes).sum::<usize>()
    }

    /// Bytes of all weights and gradients, those of adapters included.
    fn weight_bytes(&self) -> usize {
        let held = self.library.iter().flat_map(|n| n.what.tensors());
        self.tensors().chain(held).map(|t| t.bytes() + 4 * t.grad.len()).sum()
    }
}
