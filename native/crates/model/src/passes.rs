//! Forward and backward passes over packs, and decoding with caches.

use crate::attention::Context;
use crate::head::labelled;
use crate::mix::Routes;
use crate::model::{no_adapter, Model};
use crate::workspace::Keep;
use crate::{KvCache, Mix, Packed, StepLoss, Trainable};
use tillage_protocol::run::Dtype;
use tillage_protocol::EngineError;

impl Model {
    /// Computes a batch's loss and adds d(Σ weight x loss) / normaliser to the gradients of what is trained.
    ///
    /// # Errors
    /// As [`Packed::check`]; `internal` when the adapter should be trained but is absent or switched off.
    pub fn forward_backward(&mut self, batch: &Packed) -> Result<StepLoss, EngineError> {
        self.check_pack(batch)?;
        self.check_trainable()?;
        let mut ws = self.workspace();
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, self.keeping());
        let loss = self.loss(batch, &mut ws, true);
        if loss.tokens > 0 {
            self.backward_layers(&batch.tokens, &batch.starts, &mut ws);
        }
        self.give_back(ws);
        Ok(loss)
    }

    /// Computes a batch's loss, without dropout and without gradients.
    ///
    /// # Errors
    /// As [`Packed::check`].
    pub fn loss_only(&self, batch: &Packed) -> Result<StepLoss, EngineError> {
        self.check_pack(batch)?;
        let mut ws = self.workspace();
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, Keep::Nothing);
        let loss = self.loss_value(batch, &mut ws, &mut |_| {});
        self.give_back(ws);
        Ok(loss)
    }

    /// The loss of every labelled position, in order: its negative log-probability in nats.
    ///
    /// # Errors
    /// As [`Packed::check`].
    pub fn token_losses(&self, batch: &Packed) -> Result<Vec<f32>, EngineError> {
        self.check_pack(batch)?;
        let mut ws = self.workspace();
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, Keep::Nothing);
        let mut all = Vec::with_capacity(batch.labelled());
        self.loss_value(batch, &mut ws, &mut |nll| all.extend_from_slice(nll));
        self.give_back(ws);
        Ok(all)
    }

    /// Adds the gradients of any loss of the labelled positions' log-probabilities. `weigh` gets the losses of all
    /// labelled positions, in order, and gives the slope of its own loss in each; the batch's weights and normaliser do
    /// not count.
    ///
    /// # Errors
    /// As [`Model::forward_backward`].
    pub fn forward_backward_by(
        &mut self,
        batch: &Packed,
        weigh: &mut dyn FnMut(&[f32]) -> Vec<f32>,
    ) -> Result<StepLoss, EngineError> {
        self.check_pack(batch)?;
        self.check_trainable()?;
        let mut ws = self.workspace();
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, self.keeping());
        let mut all = Vec::with_capacity(batch.labelled());
        self.loss_value(batch, &mut ws, &mut |nll| all.extend_from_slice(nll));
        let mut targets = labelled(batch);
        for (label, slope) in targets.iter_mut().zip(weigh(&all)) {
            label.target.grad = slope;
        }
        let loss = self.loss_of(targets, batch, &mut ws, true);
        if loss.tokens > 0 {
            self.backward_layers(&batch.tokens, &batch.starts, &mut ws);
        }
        self.give_back(ws);
        Ok(loss)
    }

    /// Checks a pack, which may have the tuned prompt's tokens among its own.
    pub(crate) fn check_pack(&self, batch: &Packed) -> Result<(), EngineError> {
        batch.check_ids(self.known_ids(), self.config.vocab_size)
    }

    pub(crate) fn check_trainable(&self) -> Result<(), EngineError> {
        if self.trainable == Trainable::Full && self.dtype != Dtype::F32 {
            return Err(EngineError::user(
                "full_needs_f32",
                format!("Full training needs weights in f32, and these are held in {}.", self.dtype.name()),
                "Set `dtype` to f32, or train an adapter.",
            ));
        }
        let adapter = self.adapter.as_ref().is_some_and(|a| a.enabled);
        let prompt = self.prompt.as_ref().is_some_and(|p| p.enabled);
        if self.trainable == Trainable::Adapter && !(adapter || prompt) {
            return Err(no_adapter());
        }
        Ok(())
    }

    /// Logits at some positions of a pack, `[positions, vocab]`; its labels do not matter.
    ///
    /// # Panics
    /// When a token is outside the vocabulary or a position outside the pack.
    pub fn logits(&self, batch: &Packed, positions: &[usize]) -> Vec<f32> {
        self.logits_mixed(batch, positions, None)
    }

    /// As [`Model::logits`], each example with its mixture of the adapters that are held.
    ///
    /// # Panics
    /// As [`Model::logits`]; when there are not as many mixtures as examples.
    pub fn logits_mixed(&self, batch: &Packed, positions: &[usize], mixes: Option<&[&Mix]>) -> Vec<f32> {
        assert!(mixes.is_none_or(|m| m.len() == batch.examples()), "a mixture for each example");
        let mut ws = self.workspace();
        ws.routes = mixes.map(|mixes| Routes::new(&batch.starts, mixes));
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, Keep::Nothing);
        self.head_logits(positions, &mut ws);
        let logits = ws.head.logits.clone();
        self.give_back(ws);
        logits
    }

    /// An empty cache for sequences of up to `capacity` tokens.
    pub fn new_cache(&self, capacity: usize) -> KvCache {
        let width = self.config.kv_width() * capacity;
        let layers =
            (0..self.config.num_hidden_layers).map(|_| (vec![0.0; width], vec![0.0; width])).collect();
        KvCache { layers, len: 0, capacity }
    }

    /// Appends tokens (a prompt, or the one just sampled) to a cached sequence; returns the logits after the last, `[vocab]`.
    ///
    /// # Panics
    /// When there are no tokens, a token is outside the vocabulary, or the cache is full.
    pub fn decode(&self, tokens: &[u32], cache: &mut KvCache) -> Vec<f32> {
        self.decode_batch(&[tokens], std::slice::from_mut(cache))
    }

    /// Appends tokens to each of several cached sequences; returns the logits after the last of each,
    /// `[sequences, vocab]`. No sequence sees another.
    ///
    /// # Panics
    /// As [`Model::decode`]; when there are not as many caches as lists of tokens.
    pub fn decode_batch(&self, tokens: &[&[u32]], caches: &mut [KvCache]) -> Vec<f32> {
        self.decode_mixed(tokens, caches, None)
    }

    /// As [`Model::decode_batch`], each sequence with its mixture of the adapters that are held; the model's own adapter does
    /// not count then.
    ///
    /// # Panics
    /// As [`Model::decode_batch`]; when there are not as many mixtures as caches.
    pub fn decode_mixed(
        &self,
        tokens: &[&[u32]],
        caches: &mut [KvCache],
        mixes: Option<&[&Mix]>,
    ) -> Vec<f32> {
        assert!(mixes.is_none_or(|m| m.len() == caches.len()), "a mixture for each sequence");
        assert_eq!(tokens.len(), caches.len(), "a cache for each sequence");
        let mut starts = vec![0];
        for (new, cache) in tokens.iter().zip(caches.iter()) {
            let room = cache.len + new.len() <= cache.capacity;
            assert!(!new.is_empty() && room, "the cache has no room for these tokens");
            starts.push(starts[starts.len() - 1] + new.len());
        }
        let mut ws = self.workspace();
        ws.routes = mixes.map(|mixes| Routes::new(&starts, mixes));
        self.run_layers(&tokens.concat(), Context::Caches(caches, &starts), &mut ws, Keep::Nothing);
        let last: Vec<usize> = starts[1..].iter().map(|end| end - 1).collect();
        self.head_logits(&last, &mut ws);
        let logits = ws.head.logits.clone();
        self.give_back(ws);
        logits
    }
}
