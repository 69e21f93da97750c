//! LoRA (Hu et al. 2021), rsLoRA (Kalajdzievski 2023) and DoRA (Liu et al. 2024) on the projections of the layers.

use crate::spec::DecoderSpec;
use crate::weights::{stream, Tensor, Weights};
use rand_distr::{Distribution, Uniform};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;
use tillage_protocol::{EngineError, LoraConfig};

/// Prefix of a module's name in PEFT's files.
pub(crate) const PEFT_PREFIX: &str = "base_model.model.";

/// One module's low-rank update: of some outputs of a projection.
#[derive(Debug)]
pub(crate) struct LoraPart {
    /// The outputs that it adds to, among all of the projection.
    pub outputs: Range<usize>,
    /// Rank.
    pub r: usize,
    /// Factor on B A x.
    pub scale: f32,
    /// Place of A, `[r, in]`, in [`Adapter::tensors`].
    pub a: usize,
    /// Place of B, `[out, r]`.
    pub b: usize,
    /// DoRA's magnitudes `[out]`.
    pub magnitude: Option<usize>,
    /// DoRA: 1 / ‖W + s B A‖ of each output row; computed when first needed after a change of the parameters.
    pub inverse_norm: OnceLock<Vec<f32>>,
}

/// Ranks and alphas by the end of a module's path, as PEFT's `rank_pattern` and `alpha_pattern`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Patterns {
    /// Rank by the end of a module's path.
    pub rank: BTreeMap<String, usize>,
    /// Alpha by the end of a module's path.
    pub alpha: BTreeMap<String, f64>,
}

impl Patterns {
    fn find<T: Copy>(map: &BTreeMap<String, T>, module: &str) -> Option<T> {
        let matches = |key: &str| module == key || module.ends_with(&format!(".{key}"));
        map.iter().find(|(key, _)| matches(key)).map(|(_, value)| *value)
    }

    /// A module's rank.
    pub fn rank(&self, config: &LoraConfig, module: &str) -> usize {
        Self::find(&self.rank, module).unwrap_or(config.r)
    }

    /// A module's alpha.
    pub fn alpha(&self, config: &LoraConfig, module: &str) -> f64 {
        Self::find(&self.alpha, module).unwrap_or(config.alpha)
    }
}

/// An adapter on some of the projections.
#[derive(Debug)]
pub(crate) struct Adapter {
    /// As in `run.json`, whether it comes from there or from PEFT's file.
    pub config: LoraConfig,
    /// Ranks and alphas of modules that have their own.
    pub patterns: Patterns,
    /// PEFT keeps the updates of all experts of a layer in one tensor.
    pub fused_experts: bool,
    /// A, B and magnitudes of all modules, and a scalar head.
    pub tensors: Vec<Tensor>,
    /// Place of a reward model's scalar head among the tensors.
    pub score: Option<usize>,
    /// The head gives a policy's values: it is saved apart, since the adapter does not need it.
    pub score_apart: bool,
    /// `[layers][projections]`, in the order of the outputs.
    pub slots: Vec<Vec<Vec<LoraPart>>>,
    /// Passes leave it out while this is false: the base alone.
    pub enabled: bool,
}

impl Adapter {
    /// Forgets what was derived from the parameters.
    pub fn parameters_changed(&mut self) {
        for part in self.slots.iter_mut().flatten().flatten() {
            part.inverse_norm = OnceLock::new();
        }
    }

    /// A new adapter: A uniform in ±1/sqrt(in) (kaiming_uniform with a = √5, as PEFT), B zero; DoRA's magnitudes are the
    /// L2 norms of the weights' rows.
    ///
    /// # Errors
    /// `user` when a setting is impossible or a target names no projection.
    pub fn new(
        config: &LoraConfig,
        spec: &DecoderSpec,
        weights: &Weights,
        seed: u64,
    ) -> Result<Adapter, EngineError> {
        check(config)?;
        let mut adapter = Adapter::empty(config.clone(), spec);
        let mut unmatched: Vec<&String> = config.targets.iter().filter(|t| *t != "all-linear").collect();
        let mut id = 0;
        for (n, layer) in spec.layers.iter().enumerate() {
            for (slot, linear) in layer.linears.iter().enumerate() {
                let mut first = 0;
                for part in &linear.parts {
                    let outputs = first..first + part.outputs;
                    (first, id) = (outputs.end, id + 1);
                    let matches = |t: &str| {
                        t == "all-linear" || part.module == t || part.module.ends_with(&format!(".{t}"))
                    };
                    unmatched.retain(|t| !matches(t));
                    if !config.targets.iter().any(|t| matches(t)) {
                        continue;
                    }
                    let bound = 1.0 / (linear.inputs as f32).sqrt();
                    let uniform = Uniform::new(-bound, bound).expect("a positive range");
                    let mut rng = stream(seed, id - 1);
                    let a = (0..config.r * linear.inputs).map(|_| uniform.sample(&mut rng)).collect();
                    let b = vec![0.0; part.outputs * config.r];
                    let magnitude = config.dora.then(|| {
                        let weight = &weights.tensors[weights.layers[n].linears[slot].weight];
                        let own = weight.read(outputs.clone());
                        inverse_row_norms(&own, part.outputs)
                            .into_iter()
                            .map(|inverse| 1.0 / inverse)
                            .collect()
                    });
                    adapter.push((n, slot), &part.module, outputs, (linear.inputs, a), b, magnitude);
                }
            }
        }
        if let Some(target) = unmatched.first() {
            let parts = spec.layers[0].linears.iter().flat_map(|l| &l.parts);
            let mut known: Vec<&str> = parts.filter_map(|p| p.module.rsplit('.').next()).collect();
            known.sort_unstable();
            known.dedup();
            return Err(EngineError::user(
                "unknown_target",
                format!("The adapter targets {target}, which is no projection of this model."),
                format!("Choose among {}, or all-linear.", known.join(", ")),
            ));
        }
        Ok(adapter)
    }

    /// An adapter without a module yet.
    pub fn empty(config: LoraConfig, spec: &DecoderSpec) -> Adapter {
        let slots = spec.layers.iter().map(|l| l.linears.iter().map(|_| Vec::new()).collect()).collect();
        let patterns = Patterns::default();
        Adapter {
            config,
            patterns,
            fused_experts: false,
            tensors: Vec::new(),
            score: None,
            score_apart: false,
            slots,
            enabled: true,
        }
    }

    /// Adds a module's tensors: A `[r, in]`, B `[out, r]`, magnitudes `[out]`. Its rank follows from A.
    pub fn push(
        &mut self,
        (layer, slot): (usize, usize),
        module: &str,
        outputs: Range<usize>,
        (inputs, a): (usize, Vec<f32>),
        b: Vec<f32>,
        magnitude: Option<Vec<f32>>,
    ) {
        let r = a.len() / inputs;
        let mut add = |suffix: &str, shape: Vec<usize>, value: Vec<f32>| {
            self.tensors.push(Tensor::single(format!("{PEFT_PREFIX}{module}.{suffix}"), shape, value));
            self.tensors.len() - 1
        };
        let a = add("lora_A.weight", vec![r, inputs], a);
        let b = add("lora_B.weight", vec![outputs.len(), r], b);
        let magnitude = magnitude.map(|m| add("lora_magnitude_vector", vec![outputs.len()], m));
        let root = if self.config.rslora { (r as f64).sqrt() } else { r as f64 };
        let scale = (self.patterns.alpha(&self.config, module) / root) as f32;
        let inverse_norm = OnceLock::new();
        self.slots[layer][slot].push(LoraPart { outputs, r, scale, a, b, magnitude, inverse_norm });
    }

    /// Adds s B A to the weights (with DoRA's magnitudes), after which the adapter is no longer needed. Weights of low
    /// precision become f32 first: the sum is that of what they stood for.
    pub fn merge_into(&self, weights: &mut Weights) {
        for (ids, slots) in weights.layers.iter().zip(&self.slots) {
            for (ids, parts) in ids.linears.iter().zip(slots) {
                if parts.is_empty() {
                    continue;
                }
                let target = &mut weights.tensors[ids.weight];
                target.thaw();
                let width = target.value.len() / target.rows();
                for part in parts {
                    let rows = part.outputs.len();
                    let own = &mut target.value[part.outputs.start * width..part.outputs.end * width];
                    let (a, b) = (&self.tensors[part.a].value, &self.tensors[part.b].value);
                    add_product(own, a, b, rows, part.r, part.scale);
                    if let Some(m) = part.magnitude {
                        let inverse = inverse_row_norms(own, rows);
                        let factors = self.tensors[m].value.iter().zip(inverse).map(|(m, i)| m * i);
                        for (row, factor) in own.chunks_exact_mut(width).zip(factors) {
                            row.iter_mut().for_each(|x| *x *= factor);
                        }
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
    if !(config.alpha as f32).is_finite() || !(0.0..1.0).contains(&config.dropout) {
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
