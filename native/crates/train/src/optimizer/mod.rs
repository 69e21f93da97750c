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

#[cfg(test)]
mod tests {
    use super::*;
    use tillage_kernels::reference;
    use tillage_model::{ModelConfig, Trainable};

    fn model() -> Model {
        let shape = serde_json::json!({"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 16});
        let shape = serde_json::from_value(shape).unwrap();
        let mut model = Model::init(ModelConfig::from_init(&shape, 11, None, None, None).unwrap(), 3);
        model.set_trainable(Trainable::Full);
        model
    }

    /// Settings of which no two are the same and none is a default.
    fn config() -> TrainConfig {
        serde_json::from_value(serde_json::json!({"epochs": 1, "batch_tokens": 16, "context": 16, "lr": 0.1,
            "schedule": "constant", "seed": 1, "beta1": 0.7, "beta2": 0.9, "adam_eps": 0.05, "weight_decay": 0.3,
            "clip_norm": 0.6}))
        .unwrap()
    }

    fn set_gradients(model: &mut Model, step: usize) {
        for p in model.parameters_mut() {
            for (i, g) in p.grad.iter_mut().enumerate() {
                *g = ((i * 7 + step * 5) % 13) as f32 * 0.02 - 0.1;
            }
        }
    }

    fn values(model: &mut Model) -> Vec<Vec<f32>> {
        model.parameters_mut().into_iter().map(|p| p.value.to_vec()).collect()
    }

    #[test]
    fn a_step_follows_every_setting_of_the_run() {
        let (mut model, config) = (model(), config());
        let mut optimizer = Optimizer::new(&mut model);
        let wide = |v: &[f32]| v.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let mut exact: Vec<[Vec<f64>; 3]> =
            values(&mut model).iter().map(|v| [wide(v), vec![0.0; v.len()], vec![0.0; v.len()]]).collect();
        for (step, lr) in [0.1, 0.05, 0.02].into_iter().enumerate() {
            set_gradients(&mut model, step);
            let norm = Optimizer::grad_norm(&mut model);
            assert!(norm > config.clip_norm, "{norm}");
            let s = AdamWStep {
                lr,
                beta1: 0.7,
                beta2: 0.9,
                eps: 0.05,
                weight_decay: 0.3,
                step: step as u64 + 1,
                grad_scale: (0.6 / (norm + 1e-6)) as f32,
            };
            for (p, [value, first, second]) in model.parameters_mut().iter().zip(&mut exact) {
                reference::adamw(value, &wide(p.grad), first, second, &s);
            }
            optimizer.apply(&mut model, &config, lr, norm);
        }
        for (ours, [exact, ..]) in values(&mut model).iter().zip(&exact) {
            for (a, b) in ours.iter().zip(exact) {
                assert!((f64::from(*a) - b).abs() < 1e-6, "{a} instead of {b}");
            }
        }
    }

    #[test]
    fn saved_states_go_on_as_those_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("optimizer.safetensors");
        let (mut straight, config) = (model(), config());
        let mut optimizer = Optimizer::new(&mut straight);
        for step in 0..3 {
            set_gradients(&mut straight, step);
            optimizer.apply(&mut straight, &config, 0.1, 1.0);
        }
        optimizer.save(&path).unwrap();
        let mut resumed = model();
        for (p, v) in resumed.parameters_mut().into_iter().zip(values(&mut straight)) {
            p.value.copy_from_slice(&v);
        }
        let mut loaded = Optimizer::new(&mut resumed);
        loaded.load(&path, 3).unwrap();
        for (model, optimizer) in [(&mut straight, &mut optimizer), (&mut resumed, &mut loaded)] {
            set_gradients(model, 3);
            optimizer.apply(model, &config, 0.1, 1.0);
        }
        assert_eq!(values(&mut straight), values(&mut resumed), "bit for bit");
        std::fs::write(&path, b"broken").unwrap();
        assert_eq!(loaded.load(&path, 3).unwrap_err().code, "bad_checkpoint");
    }
}
