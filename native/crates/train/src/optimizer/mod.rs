//! The optimisers over a model's trained tensors, and their states on disk.

mod factors;
mod states;
#[cfg(test)]
mod tests;

pub use factors::factors;
use safetensors::tensor::SafeTensors;
use states::States;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use tillage_kernels::cpu::{
    adamw, adamw_8bit, grad_norm, muon, muon_scratch_bytes, AdamW8bitTensor, AdamWTensor, MuonScratch,
};
use tillage_kernels::{clip_factor, AdamWStep, MuonStep};
use tillage_model::spec::DecoderSpec;
use tillage_model::{Model, ModelConfig};
use tillage_protocol::course::OptimizerKind;
use tillage_protocol::run::TrainConfig;
use tillage_protocol::EngineError;

/// Muon's momentum: Jordan's, and torch's default.
const MUON_MOMENTUM: f64 = 0.95;

/// One trained tensor's name, shape and states.
#[derive(Debug)]
struct Slot {
    name: String,
    shape: Vec<usize>,
    states: States,
}

/// The optimiser's states, in the order of the model's parameters.
#[derive(Debug)]
pub struct Optimizer {
    slots: Vec<Slot>,
    /// Steps taken.
    step: u64,
    scratch: MuonScratch,
    /// How many times faster an adapter's B learns than all else.
    b_ratio: f64,
}

impl Optimizer {
    /// Zero states for what the model trains.
    pub fn new(model: &mut Model, kind: OptimizerKind) -> Self {
        let hidden = hidden_matrices(model.config());
        let slots = model
            .parameters_mut()
            .iter()
            .map(|p| Slot {
                name: p.name.to_owned(),
                shape: p.shape.to_vec(),
                states: States::new(kind, p.shape, hidden.contains(p.name)),
            })
            .collect();
        Self { slots, step: 0, scratch: MuonScratch::default(), b_ratio: 1.0 }
    }

    /// LoRA+ (Hayou et al. 2024): the learning rate of an adapter's B is this many times that of all else.
    pub fn with_b_ratio(mut self, ratio: f64) -> Self {
        self.b_ratio = ratio;
        self
    }

    /// L2 norm of the model's gradients.
    pub fn grad_norm(model: &mut Model) -> f64 {
        grad_norm(model.parameters_mut().iter().map(|p| &*p.grad))
    }

    /// One step with the gradients that the model holds, clipped as the run says; `norm` is their L2 norm.
    pub fn apply(&mut self, model: &mut Model, config: &TrainConfig, lr: f64, norm: f64) {
        self.step += 1;
        let grad_scale = clip_factor(norm, config.clip_norm);
        let adam = AdamWStep {
            lr,
            beta1: config.beta1,
            beta2: config.beta2,
            eps: config.adam_eps,
            weight_decay: config.weight_decay,
            step: self.step,
            grad_scale,
        };
        let turn = MuonStep { lr, momentum: MUON_MOMENTUM, weight_decay: config.weight_decay, grad_scale };
        let fast = AdamWStep { lr: lr * self.b_ratio, ..adam };
        let (mut wide, mut narrow) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for (p, slot) in model.parameters_mut().into_iter().zip(&mut self.slots) {
            let group = usize::from(slot.name.contains("lora_B"));
            match &mut slot.states {
                States::AdamW { first, second } => {
                    wide[group].push(AdamWTensor { value: p.value, grad: p.grad, first, second });
                }
                States::AdamW8bit { first, second } => {
                    narrow[group].push(AdamW8bitTensor { value: p.value, grad: p.grad, first, second });
                }
                // One after another: the products inside take all threads.
                States::Muon { momentum, shape } => {
                    muon(p.value, p.grad, momentum, *shape, &turn, &mut self.scratch);
                }
            }
        }
        for ((wide, narrow), step) in wide.iter_mut().zip(&mut narrow).zip([&adam, &fast]) {
            adamw(wide, step);
            adamw_8bit(narrow, step);
        }
    }

    /// Writes the states as safetensors: `<kind>.<name>`, where a kind is `first`, `second`, `momentum` and so on.
    pub fn save(&self, path: &Path) -> Result<(), EngineError> {
        let views = self.slots.iter().flat_map(|s| s.states.stored(&s.name, &s.shape));
        let metadata = HashMap::from([("step".to_owned(), self.step.to_string())]);
        safetensors::serialize_to_file(views, Some(metadata), path).map_err(|e| match e {
            safetensors::SafeTensorError::IoError(io) => EngineError::io(&io, path),
            other => EngineError::internal("optimizer_write", other.to_string()),
        })
    }

    /// Reads the states back. How many updates they have seen stands in the file; it is `step` where a run updates once a step.
    ///
    /// # Errors
    /// `bad_checkpoint` when the file is broken or belongs to another model or optimiser.
    pub fn load(&mut self, path: &Path, step: u64) -> Result<(), EngineError> {
        let bad = |why: String| {
            EngineError::user(
                "bad_checkpoint",
                format!("The checkpoint's optimiser states cannot be used: {why}."),
                "Delete this checkpoint's folder and resume from the one before.",
            )
            .with_file(path)
        };
        let bytes = std::fs::read(path).map_err(|e| EngineError::io(&e, path))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
        for slot in &mut self.slots {
            slot.states.read(&file, &slot.name, &slot.shape).map_err(bad)?;
        }
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
        let told = header.metadata().as_ref().and_then(|m| m.get("step"));
        self.step = told.and_then(|updates| updates.parse().ok()).unwrap_or(step);
        Ok(())
    }
}

/// Bytes that states and scratch of an optimiser take for tensors with these names and shapes.
pub fn planned_bytes<'a>(
    kind: OptimizerKind,
    config: &ModelConfig,
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
) -> u64 {
    let hidden = hidden_matrices(config);
    let (mut states, mut scratch) = (0, 0);
    for (name, shape) in tensors {
        states += States::bytes(kind, shape, hidden.contains(name));
        if let (OptimizerKind::Muon, true, &[rows, cols]) = (kind, hidden.contains(name), shape) {
            scratch = scratch.max(muon_scratch_bytes(rows, cols) as u64);
        }
    }
    states + scratch
}

/// Names of the layers' matrices: what Muon is for. Embeddings, the head, norms, biases and routers are not among them.
fn hidden_matrices(config: &ModelConfig) -> HashSet<String> {
    let layers = DecoderSpec::of(config).layers;
    let parts = layers.iter().flat_map(|layer| &layer.linears).flat_map(|linear| &linear.parts);
    parts.map(|part| format!("{}.weight", part.module)).collect()
}
