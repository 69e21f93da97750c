//! LoRA (Hu et al. 2021), rsLoRA (Kalajdzievski 2023) and DoRA (Liu et al. 2024) on the projections of the layers.

use crate::spec::DecoderSpec;
use crate::weights::{stream, Tensor, Weights};
use rand_distr::{Distribution, Uniform};
use std::sync::OnceLock;
use tillage_protocol::{EngineError, LoraConfig};

/// Prefix of a module's name in PEFT's files.
pub(crate) const PEFT_PREFIX: &str = "base_model.model.";

/// Places of one module's tensors in [`Adapter::tensors`].
#[derive(Debug)]
pub(crate) struct LoraSlot {
    pub a: usize,
    pub b: usize,
    /// DoRA's magnitudes `[out]`.
    pub magnitude: Option<usize>,
    /// DoRA: 1 / ‖W + s B A‖ of each output row; computed when first needed after a change of the parameters.
    pub inverse_norm: OnceLock<Vec<f32>>,
}

/// An adapter on some of the projections.
#[derive(Debug)]
pub(crate) struct Adapter {
    pub config: LoraConfig,
    pub dora: bool,
    pub tensors: Vec<Tensor>,
    /// `[layers][7]`
    pub slots: Vec<[Option<LoraSlot>; 7]>,
    pub enabled: bool,
}

impl Adapter {
    /// Factor on B A x.
    pub fn scale(&self) -> f32 {
        let r = self.config.r as f64;
        (self.config.alpha / if self.config.rslora { r.sqrt() } else { r }) as f32
    }

    /// Forgets what was derived from the parameters.
    pub fn parameters_changed(&mut self) {
        for slot in self.slots.iter_mut().flatten().flatten() {
            slot.inverse_norm = OnceLock::new();
        }
    }

    /// A new adapter: A uniform in ±1/sqrt(in) (kaiming_uniform with a = √5, as PEFT), B zero.
    pub fn new(config: &LoraConfig, spec: &DecoderSpec, seed: u64) -> Result<Adapter, EngineError> {
        check(config)?;
        let mut adapter = Adapter::empty(config.clone(), spec, false);
        let mut unmatched: Vec<&String> = config.targets.iter().filter(|t| *t != "all-linear").collect();
        for (n, layer) in spec.layers.iter().enumerate() {
            for (slot, linear) in layer.linears.iter().enumerate() {
                let matches = |t: &str| {
                    t == "all-linear" || linear.module == t || linear.module.ends_with(&format!(".{t}"))
                };
                unmatched.retain(|t| !matches(t));
                if !config.targets.iter().any(|t| matches(t)) {
                    continue;
                }
                let bound = 1.0 / (linear.inputs as f32).sqrt();
                let uniform = Uniform::new(-bound, bound).expect("a positive range");
                let mut rng = stream(seed, (n * 7 + slot) as u64);
                let a = (0..config.r * linear.inputs).map(|_| uniform.sample(&mut rng)).collect();
                let b = vec![0.0; linear.outputs * config.r];
                adapter.push(n, slot, &linear.module, (linear.inputs, a), (linear.outputs, b), None);
            }
        }
        if let Some(target) = unmatched.first() {
            let known: Vec<&str> =
                spec.layers[0].linears.iter().filter_map(|l| l.module.rsplit('.').next()).collect();
            return Err(EngineError::user(
                "unknown_target",
                format!("The adapter targets {target}, which is no projection of this model."),
                format!("Choose among {}, or all-linear.", known.join(", ")),
            ));
        }
        Ok(adapter)
    }

    pub fn empty(config: LoraConfig, spec: &DecoderSpec, dora: bool) -> Adapter {
        let slots = spec.layers.iter().map(|_| std::array::from_fn(|_| None)).collect();
        Adapter { config, dora, tensors: Vec::new(), slots, enabled: true }
    }

    /// Adds a module's tensors: A `[r, in]`, B `[out, r]`, magnitudes `[out]`.
    pub fn push(
        &mut self,
        layer: usize,
        slot: usize,
        module: &str,
        a: (usize, Vec<f32>),
        b: (usize, Vec<f32>),
        magnitude: Option<Vec<f32>>,
    ) {
        let r = self.config.r;
        let mut add = |suffix: &str, shape: Vec<usize>, value: Vec<f32>| {
            self.tensors.push(Tensor {
                name: format!("{PEFT_PREFIX}{module}.{suffix}"),
                shape,
                value,
                grad: Vec::new(),
            });
            self.tensors.len() - 1
        };
        let outputs = b.0;
        let a = add("lora_A.weight", vec![r, a.0], a.1);
        let b = add("lora_B.weight", vec![outputs, r], b.1);
        let magnitude = magnitude.map(|m| add("lora_magnitude_vector", vec![outputs], m));
        self.slots[layer][slot] = Some(LoraSlot { a, b, magnitude, inverse_norm: OnceLock::new() });
    }

    /// Adds s B A to the weights (with DoRA's magnitudes), after which the adapter is no longer needed.
    pub fn merge_into(&self, weights: &mut Weights) {
        for (ids, slots) in weights.layers.clone().iter().zip(&self.slots) {
            for (ids, slot) in ids.linears.iter().zip(slots) {
                let Some(slot) = slot else { continue };
                let target = &mut weights.tensors[ids.weight];
                let rows = target.shape[0];
                add_product(
                    &mut target.value,
                    &self.tensors[slot.a].value,
                    &self.tensors[slot.b].value,
                    rows,
                    self.config.r,
                    self.scale(),
                );
                if let Some(m) = slot.magnitude {
                    let inverse = inverse_row_norms(&target.value, rows);
                    let factors = self.tensors[m].value.iter().zip(inverse).map(|(m, i)| m * i);
                    let width = target.value.len() / rows;
                    for (row, factor) in target.value.chunks_exact_mut(width).zip(factors) {
                        row.iter_mut().for_each(|x| *x *= factor);
                    }
                }
            }
        }
    }
}

/// Refuses settings that cannot work.
pub(crate) fn check(config: &LoraConfig) -> Result<(), EngineError> {
    let wrong =
        |message: &str| Err(EngineError::user("bad_adapter", message, "Correct the adapter's settings."));
    if config.r == 0 {
        return wrong("The adapter's rank r must be at least 1.");
    }
    if !config.alpha.is_finite() || !(0.0..1.0).contains(&config.dropout) {
        return wrong("The adapter's alpha must be a number and its dropout at least 0 and below 1.");
    }
    if config.targets.is_empty() {
        return wrong("The adapter has no targets.");
    }
    Ok(())
}

/// `w[out, in] += scale * b[out, r] a[r, in]`
pub(crate) fn add_product(w: &mut [f32], a: &[f32], b: &[f32], outputs: usize, r: usize, scale: f32) {
    use tillage_kernels::cpu::{matmul, View, ViewMut};
    let inputs = w.len() / outputs;
    matmul(
        ViewMut::new(w, outputs, inputs),
        View::new(b, outputs, r),
        View::new(a, r, inputs),
        scale,
        true,
        true,
    );
}

/// 1 / L2 norm of each row.
pub(crate) fn inverse_row_norms(w: &[f32], rows: usize) -> Vec<f32> {
    let norm = |row: &[f32]| row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    w.chunks_exact(w.len() / rows).map(|row| (1.0 / norm(row)) as f32).collect()
}
