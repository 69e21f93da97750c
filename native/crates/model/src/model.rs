//! The model and its public operations.

use crate::adapter::Adapter;
use crate::machine::Machine;
use crate::mix::Named;
use crate::peft::Tuned;
use crate::prompt::Prompt;
use crate::spec::DecoderSpec;
use crate::weights::{Tensor, Weights};
use crate::workspace::{Keep, Workspace};
use crate::{peft, store, ModelConfig, ParamMut, Trainable};
use std::path::Path;
use std::sync::Mutex;
use tillage_kernels::matrix::Arithmetic;
use tillage_protocol::run::Dtype;
use tillage_protocol::{EngineError, LoraConfig};

/// A decoder with its weights, at most one adapter or tuned prompt of its own, and others that are held by name.
#[derive(Debug)]
pub struct Model {
    pub(crate) config: ModelConfig,
    pub(crate) spec: DecoderSpec,
    pub(crate) weights: Weights,
    pub(crate) adapter: Option<Adapter>,
    /// A tuned prompt, in the place of an adapter.
    pub(crate) prompt: Option<Prompt>,
    /// Adapters that are held by name.
    pub(crate) library: Vec<Named>,
    pub(crate) trainable: Trainable,
    pub(crate) dtype: Dtype,
    /// See [`Model::set_mixed`].
    pub(crate) mixed: bool,
    pub(crate) dropout_key: u64,
    pub(crate) recompute: bool,
    /// Buffers of passes that are over, for the next ones.
    pub(crate) idle: Mutex<Vec<Workspace>>,
}

impl Model {
    fn new(config: ModelConfig, spec: DecoderSpec, weights: Weights) -> Model {
        Model {
            config,
            spec,
            weights,
            adapter: None,
            prompt: None,
            library: Vec::new(),
            trainable: Trainable::Nothing,
            dtype: Dtype::F32,
            mixed: false,
            dropout_key: 0,
            recompute: false,
            idle: Mutex::default(),
        }
    }

    /// Reads a Hugging Face model folder: `config.json` and `model.safetensors`, or its shards.
    ///
    /// # Errors
    /// `user`, naming the thing, the file and the remedy: an unknown `model_type`, a setting that is not supported, a
    /// damaged file, a tensor that is missing, misshapen or not part of the model.
    pub fn load(dir: &Path) -> Result<Model, EngineError> {
        Model::load_as(dir, Dtype::F32)
    }

    /// As [`Model::load`], with the weights in a precision: see [`crate::spec::TensorSpec::held`]. Products with weights
    /// of low precision round both operands to bf16 and add up in f32; all else is f32. Such weights are not trained.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_as(dir: &Path, dtype: Dtype) -> Result<Model, EngineError> {
        Model::load_from(dir, dtype, false)
    }

    /// As [`Model::load_as`], for a model that answers: where twice the memory is free, weights that are stored in bf16 and
    /// held in it come into memory instead of being mapped, since each token reads them all (see [`CodedBf16::resident`]).
    ///
    /// # Errors
    /// As [`Model::load`].
    ///
    /// [`CodedBf16::resident`]: tillage_kernels::matrix::CodedBf16::resident
    pub fn load_to_answer(dir: &Path, dtype: Dtype) -> Result<Model, EngineError> {
        let sizes = store::weight_files(dir)?.into_iter().flat_map(|f| f.metadata()).map(|m| m.len());
        let bytes: u64 = sizes.sum();
        Model::load_from(dir, dtype, 2 * bytes <= Machine::new().available())
    }

    fn load_from(dir: &Path, dtype: Dtype, resident: bool) -> Result<Model, EngineError> {
        let config = ModelConfig::from_dir(dir)?;
        let spec = DecoderSpec::of(&config);
        let tied = config.tie_word_embeddings.then_some(spec.embedding.name.as_str());
        let weights = Weights::new(&spec, store::load(dir, &spec.tensors(), tied, dtype, resident)?);
        Ok(Model { dtype, ..Model::new(config, spec, weights) })
    }

    /// Random weights, the same for the same config and seed: N(0, `initializer_range`), norms 1, biases 0; projections
    /// into the residual stream are divided by sqrt(2 layers) as in GPT-2.
    pub fn init(config: ModelConfig, seed: u64) -> Model {
        let spec = DecoderSpec::of(&config);
        let weights = Weights::random(&spec, &config, seed);
        Model::new(config, spec, weights)
    }

    /// Holds the weights in a precision from now on, as [`Model::load_as`] would. Nothing is trained afterwards. Weights
    /// that are in low precision already stay as they are.
    pub fn freeze(&mut self, dtype: Dtype) {
        self.set_trainable(Trainable::Nothing);
        self.set_mixed(false);
        self.weights.freeze(dtype);
        self.dtype = dtype;
    }

    /// Holds the layers' projections in a precision and leaves the rest in f32, as references of QLoRA are made.
    pub(crate) fn freeze_projections(&mut self, dtype: Dtype) {
        self.set_trainable(Trainable::Nothing);
        self.weights.freeze_projections(dtype);
        self.dtype = dtype;
    }

    /// Name and numbers of the first stored tensor of the first projection.
    pub(crate) fn first_projection(&self) -> Option<(String, Vec<f32>)> {
        let tensor = &self.weights.tensors[self.weights.layers.first()?.linears.first()?.weight];
        let (part, numbers) = tensor.files().next()?;
        Some((part.name.clone(), numbers().into_owned()))
    }

    /// How the weights are held.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Mixed precision: products with the projections round both operands to bf16 and add up in f32, forward and backward;
    /// the weights, their gradients and all else stay in f32 (Micikevicius et al. 2018; bf16 needs no scaling of the loss,
    /// Kalamkar et al. 2019). What is saved is in f32.
    pub fn set_mixed(&mut self, on: bool) {
        self.mixed = on;
        self.weights.set_mixed(on);
    }

    /// What products with weights of low precision multiply. In f32 the result is that of a model whose f32 weights have
    /// the rounded values, which is slower, and what references are made with.
    pub fn set_arithmetic(&mut self, arithmetic: Arithmetic) {
        self.weights.set_arithmetic(arithmetic);
    }

    /// Writes `model.safetensors` (f32, Hugging Face names) and `config.json`, each atomically; no adapter. Weights of low
    /// precision are written as the f32 numbers that they stand for.
    ///
    /// # Errors
    /// `environment` when the disk does not take them.
    pub fn save(&self, dir: &Path) -> Result<(), EngineError> {
        let files = self.weights.tensors.iter().flat_map(|t| t.files());
        let stored = files.map(|(part, value)| (part.name.as_str(), part.stored_shape(), value)).collect();
        store::write_lazily(&dir.join("model.safetensors"), stored)?;
        store::write_text(&dir.join("config.json"), &format!("{:#}\n", self.config.to_hf_json()))
    }

    /// The shape that it was loaded or made with.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Attaches a new LoRA adapter, replacing one that is there. B is zero, so the model's outputs do not change yet.
    ///
    /// # Errors
    /// `user` when a setting is impossible or a target names no projection.
    pub fn attach_lora(&mut self, spec: &LoraConfig, seed: u64) -> Result<(), EngineError> {
        let adapter = Adapter::new(spec, &self.spec, &self.weights, seed)?;
        self.replace_tuned(Some(adapter), None);
        Ok(())
    }

    /// Loads a PEFT adapter folder (LoRA, rsLoRA, DoRA or a tuned prompt), replacing an adapter that is there.
    ///
    /// # Errors
    /// `user`, naming the file: settings that are not supported, tensors that are missing, misshapen or of another model.
    pub fn load_adapter(&mut self, dir: &Path) -> Result<(), EngineError> {
        match peft::load(dir, &self.spec)? {
            Tuned::Lora(adapter) => self.replace_tuned(Some(adapter), None),
            Tuned::Prompt(prompt) => self.replace_tuned(None, Some(prompt)),
        }
        Ok(())
    }

    pub(crate) fn replace_tuned(&mut self, adapter: Option<Adapter>, prompt: Option<Prompt>) {
        (self.adapter, self.prompt) = (adapter, prompt);
        self.set_trainable(self.trainable);
    }

    /// Writes the adapter as a PEFT folder; `base_name` is what it says it belongs to.
    ///
    /// # Errors
    /// `internal` without an adapter, `environment` when the disk does not take it.
    pub fn save_adapter(&self, dir: &Path, base_name: &str) -> Result<(), EngineError> {
        if let Some(prompt) = &self.prompt {
            return crate::peft_prompt::save(prompt, &self.config, dir, base_name);
        }
        let adapter = self.adapter.as_ref().ok_or_else(no_adapter)?;
        peft::save(adapter, &self.spec, dir, base_name)
    }

    /// The gradients of the adapter's tensors by the names of PEFT's file.
    pub(crate) fn adapter_gradients(&mut self) -> Vec<(String, Vec<f32>)> {
        let fused = self.adapter.as_ref().is_some_and(|a| a.fused_experts);
        let entries = self.parameters_mut().into_iter();
        let entries = entries.map(|p| (p.name.to_owned(), p.shape.to_vec(), p.grad.to_vec())).collect();
        peft::as_saved(fused, entries).into_iter().map(|(name, _, grad)| (name, grad)).collect()
    }

    /// The settings of the attached adapter.
    pub fn adapter_config(&self) -> Option<&LoraConfig> {
        self.adapter.as_ref().map(|a| &a.config)
    }

    /// Whether it has an adapter of its own, or a tuned prompt.
    pub fn has_adapter(&self) -> bool {
        self.adapter.is_some() || self.prompt.is_some()
    }

    /// Switches the adapter; without it the model computes exactly what the base computes.
    pub fn set_adapter_enabled(&mut self, on: bool) {
        if let Some(adapter) = &mut self.adapter {
            adapter.enabled = on;
        }
        if let Some(prompt) = &mut self.prompt {
            prompt.enabled = on;
        }
    }

    /// Adds the adapter to the weights and drops it. A tuned prompt stays: no weights stand for it.
    pub fn merge_adapter(&mut self) {
        if let Some(adapter) = self.adapter.take() {
            adapter.merge_into(&mut self.weights);
            // DoRA's norms are those of the weights.
            for held in &mut self.library {
                if let Tuned::Lora(adapter) = &mut held.what {
                    adapter.parameters_changed();
                }
            }
        }
    }

    /// Chooses what is trained. Gradients of what is not are given back; those of what newly is are zero.
    pub fn set_trainable(&mut self, what: Trainable) {
        self.trainable = what;
        self.weights.tensors.iter_mut().for_each(|t| t.set_trainable(what == Trainable::Full));
        if let Some(adapter) = &mut self.adapter {
            adapter.tensors.iter_mut().for_each(|t| t.set_trainable(what == Trainable::Adapter));
        }
        if let Some(prompt) = &mut self.prompt {
            prompt.tensor.set_trainable(what == Trainable::Adapter);
        }
    }

    pub(crate) fn trainable(&self) -> Trainable {
        self.trainable
    }

    /// The trained tensors with their gradients, always in the same order. Values may be changed.
    pub fn parameters_mut(&mut self) -> Vec<ParamMut<'_>> {
        let adapter = self.adapter.as_mut().map(|a| {
            a.parameters_changed();
            a.tensors.iter_mut()
        });
        let prompt = self.prompt.iter_mut().map(|p| &mut p.tensor);
        let all = self.weights.tensors.iter_mut().chain(adapter.into_iter().flatten()).chain(prompt);
        all.flat_map(|t| t.parameters_mut()).collect()
    }

    /// Numbers in all weights, the adapter's included.
    pub fn parameter_count(&self) -> usize {
        self.tensors().map(Tensor::len).sum()
    }

    /// Numbers in the trained tensors.
    pub fn trainable_count(&self) -> usize {
        self.tensors().map(|t| t.grad.len()).sum()
    }

    /// All tensors, those of its own adapter or prompt included.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let adapter = self.adapter.iter().flat_map(|a| &a.tensors);
        self.weights.tensors.iter().chain(adapter).chain(self.prompt.iter().map(|p| &p.tensor))
    }

    /// The gradients of the trained tensors behind one another, in the order of [`Model::parameters_mut`], whose entries may be
    /// parts of one of these.
    pub fn gradients(&self) -> Vec<&[f32]> {
        self.tensors().map(|t| &t.grad[..]).filter(|grad| !grad.is_empty()).collect()
    }

    /// Sets all gradients to zero.
    pub fn zero_grad(&mut self) {
        let adapter = self.adapter.iter_mut().flat_map(|a| &mut a.tensors);
        let prompt = self.prompt.iter_mut().map(|p| &mut p.tensor);
        self.weights.tensors.iter_mut().chain(adapter).chain(prompt).for_each(|t| t.grad.fill(0.0));
    }

    /// Whether a training pass keeps only what goes into each layer and computes the layer's activations again on the way
    /// back (Chen et al. 2016): less memory, about a third more time, the same bits.
    pub fn set_recompute(&mut self, on: bool) {
        self.recompute = on;
    }

    /// What a training pass keeps.
    pub(crate) fn keeping(&self) -> Keep {
        if self.recompute {
            Keep::Inputs
        } else {
            Keep::Layers
        }
    }

    /// From now on the adapter drops nothing while it is trained.
    pub fn without_dropout(&mut self) {
        self.adapter.iter_mut().for_each(|a| a.config.dropout = 0.0);
    }

    /// Keys the masks of LoRA dropout: give each forward and backward pass another number, and a resumed run the same.
    pub fn set_dropout_key(&mut self, key: u64) {
        self.dropout_key = key;
    }

    pub(crate) fn workspace(&self) -> Workspace {
        let idle = self.idle.lock().unwrap_or_else(|e| e.into_inner()).pop();
        idle.unwrap_or_else(|| Workspace::new(&self.config))
    }

    pub(crate) fn give_back(&self, mut ws: Workspace) {
        ws.routes = None;
        self.idle.lock().unwrap_or_else(|e| e.into_inner()).push(ws);
    }
}

pub(crate) fn no_adapter() -> EngineError {
    EngineError::internal(
        "no_adapter",
        "An adapter should be trained or saved, but none is attached and switched on.",
    )
}
