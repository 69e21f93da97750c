//! AdamW over a model's trained tensors, and its states on disk.

use safetensors::tensor::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use tillage_kernels::cpu::{adamw, grad_norm, AdamWTensor};
use tillage_kernels::{clip_factor, AdamWStep};
use tillage_model::Model;
use tillage_protocol::run::TrainConfig;
use tillage_protocol::EngineError;

/// First and second moments of one tensor.
#[derive(Debug)]
struct Moments {
    name: String,
    shape: Vec<usize>,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// The optimiser's states, in the order of the model's parameters.
#[derive(Debug)]
pub struct Optimizer {
    moments: Vec<Moments>,
    /// Steps taken.
    step: u64,
}

impl Optimizer {
    /// Zero states for what the model trains.
    pub fn new(model: &mut Model) -> Self {
        let moments = model
            .parameters_mut()
            .iter()
            .map(|p| Moments {
                name: p.name.to_owned(),
                shape: p.shape.to_vec(),
                first: vec![0.0; p.value.len()],
                second: vec![0.0; p.value.len()],
            })
            .collect();
        Self { moments, step: 0 }
    }

    /// L2 norm of the model's gradients.
    pub fn grad_norm(model: &mut Model) -> f64 {
        grad_norm(model.parameters_mut().iter().map(|p| &*p.grad))
    }

    /// One step with the gradients that the model holds, clipped as the run says; `norm` is their L2 norm.
    pub fn apply(&mut self, model: &mut Model, config: &TrainConfig, lr: f64, norm: f64) {
        self.step += 1;
        let step = AdamWStep {
            lr,
            beta1: config.beta1,
            beta2: config.beta2,
            eps: config.adam_eps,
            weight_decay: config.weight_decay,
            step: self.step,
            grad_scale: clip_factor(norm, config.clip_norm),
        };
        let mut parameters = model.parameters_mut();
        let mut tensors: Vec<AdamWTensor<'_>> = parameters
            .iter_mut()
            .zip(&mut self.moments)
            .map(|(p, m)| AdamWTensor {
                value: p.value,
                grad: p.grad,
                first: &mut m.first,
                second: &mut m.second,
            })
            .collect();
        adamw(&mut tensors, &step);
    }

    /// Writes the states as safetensors: `first.<name>` and `second.<name>`.
    pub fn save(&self, path: &Path) -> Result<(), EngineError> {
        let views = self.moments.iter().flat_map(|m| {
            [("first", &m.first), ("second", &m.second)]
                .map(|(kind, values)| (format!("{kind}.{}", m.name), Floats { shape: &m.shape, values }))
        });
        let metadata = HashMap::from([("step".to_owned(), self.step.to_string())]);
        safetensors::serialize_to_file(views, Some(metadata), path).map_err(|e| match e {
            safetensors::SafeTensorError::IoError(io) => EngineError::io(&io, path),
            other => EngineError::internal("optimizer_write", other.to_string()),
        })
    }

    /// Reads the states back.
    ///
    /// # Errors
    /// `bad_checkpoint` when the file is broken or belongs to another model.
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
        for m in &mut self.moments {
            for (kind, values) in [("first", &mut m.first), ("second", &mut m.second)] {
                let name = format!("{kind}.{}", m.name);
                let view = file.tensor(&name).map_err(|e| bad(e.to_string()))?;
                if view.dtype() != Dtype::F32 || view.shape() != m.shape {
                    return Err(bad(format!("{name} has the shape {:?}, not {:?}", view.shape(), m.shape)));
                }
                for (value, raw) in values.iter_mut().zip(view.data().chunks_exact(4)) {
                    *value = f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]);
                }
            }
        }
        self.step = step;
        Ok(())
    }
}

/// Numbers of a tensor, turned into bytes when they are written.
struct Floats<'a> {
    shape: &'a [usize],
    values: &'a [f32],
}

impl View for Floats<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into()
    }
    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}
