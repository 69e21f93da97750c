//! What is timed: a training step, and greedy generation.

use std::time::Instant;
use tillage_kernels::cpu::{adamw, grad_norm, AdamWTensor};
use tillage_kernels::{clip_factor, AdamWStep};
use tillage_model::{LoraConfig, Model, Packed, Trainable};
use tillage_protocol::EngineError;

/// Rank of the adapter that is trained.
pub const RANK: usize = 16;

/// Gives a model a new LoRA of rank [`RANK`] on all linear layers, alpha twice the rank and without dropout, to be trained alone.
///
/// # Errors
/// As [`Model::attach_lora`].
pub fn attach(model: &mut Model) -> Result<(), EngineError> {
    let lora = LoraConfig::plain(RANK);
    model.attach_lora(&lora, 2)?;
    model.set_trainable(Trainable::Adapter);
    Ok(())
}

/// What a step took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Mean loss of the labelled tokens before the update, nats.
    pub loss: f64,
    /// Forward and backward pass, seconds.
    pub pass: f64,
    /// The passes, clipping and the update, seconds.
    pub seconds: f64,
}

/// Trains with AdamW as a run does; holds the moments of what is trained.
#[derive(Debug)]
pub struct Training {
    lr: f64,
    weight_decay: f64,
    moments: Vec<(Vec<f32>, Vec<f32>)>,
    step: u64,
}

impl Training {
    /// Moments of zero for whatever the model trains now; this must not change between steps.
    pub fn new(model: &mut Model, lr: f64, weight_decay: f64) -> Self {
        let sizes: Vec<usize> = model.parameters_mut().iter().map(|p| p.value.len()).collect();
        let moments = sizes.iter().map(|n| (vec![0.0; *n], vec![0.0; *n])).collect();
        Self { lr, weight_decay, moments, step: 0 }
    }

    /// One step on a pack: both passes, the gradient clipped to a norm of 1, the update.
    ///
    /// # Errors
    /// As [`Model::forward_backward`].
    pub fn step(&mut self, model: &mut Model, pack: &Packed) -> Result<Step, EngineError> {
        self.step += 1;
        let begun = Instant::now();
        model.zero_grad();
        let loss = model.forward_backward(pack)?.mean();
        let pass = begun.elapsed();
        let mut parameters = model.parameters_mut();
        let norm = grad_norm(parameters.iter().map(|p| &*p.grad));
        let settings = AdamWStep {
            lr: self.lr,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: self.weight_decay,
            step: self.step,
            grad_scale: clip_factor(norm, 1.0),
        };
        let mut tensors: Vec<AdamWTensor> = parameters
            .iter_mut()
            .zip(&mut self.moments)
            .map(|(p, (first, second))| AdamWTensor { value: p.value, grad: p.grad, first, second })
            .collect();
        adamw(&mut tensors, &settings);
        Ok(Step { loss, pass: pass.as_secs_f64(), seconds: begun.elapsed().as_secs_f64() })
    }
}

/// Answers all prompts together over caches, the likeliest token each time and `new` of them whatever they are; the adapter counts.
/// Returns the seconds of the prompts and of the new tokens.
pub fn generate(model: &Model, prompts: &[&[u32]], new: usize) -> (f64, f64) {
    let mut caches: Vec<_> = prompts.iter().map(|p| model.new_cache(p.len() + new)).collect();
    let vocab = model.config().vocab_size;
    let best = |row: &[f32]| (0..vocab).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or_default() as u32;
    let begun = Instant::now();
    let mut logits = model.decode_batch(prompts, &mut caches);
    let read = begun.elapsed();
    for _ in 0..new {
        let chosen: Vec<[u32; 1]> = logits.chunks_exact(vocab).map(|row| [best(row)]).collect();
        let tokens: Vec<&[u32]> = chosen.iter().map(|token| &token[..]).collect();
        logits = model.decode_batch(&tokens, &mut caches);
    }
    (read.as_secs_f64(), (begun.elapsed() - read).as_secs_f64())
}
