//! The models that are measured.

use std::path::{Path, PathBuf};
use tillage_model::{Model, ModelConfig};
use tillage_protocol::run::{Dtype, InitShape};
use tillage_protocol::EngineError;

/// Shapes with random weights, by name. What a pass costs does not depend on the weights' values.
pub const NAMES: [&str; 4] = ["demo", "tiny5m", "smollm2-135m", "qwen2.5-0.5b"];

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Random weights of a known shape, one of [`NAMES`].
    Shape(&'static str),
    /// A Hugging Face model folder.
    Folder(PathBuf),
}

impl Source {
    /// A shape's name, or a model folder.
    ///
    /// # Errors
    /// `unknown_shape` when it is neither.
    pub fn of(text: &str) -> Result<Source, EngineError> {
        if let Some(name) = NAMES.into_iter().find(|name| *name == text) {
            return Ok(Source::Shape(name));
        }
        if Path::new(text).is_dir() {
            return Ok(Source::Folder(text.into()));
        }
        Err(EngineError::user(
            "unknown_shape",
            format!("{text} is no model folder and no shape that is known."),
            format!("Name a folder, or one of {}.", NAMES.join(", ")),
        ))
    }

    /// The model to be trained, its frozen weights held in a precision.
    ///
    /// # Errors
    /// User errors of the folder.
    pub fn model(&self, dtype: Dtype) -> Result<Model, EngineError> {
        self.model_by(dtype, Model::load_as)
    }

    /// The model, loaded to answer only: see [`Model::load_to_answer`].
    ///
    /// # Errors
    /// User errors of the folder.
    pub fn model_to_answer(&self, dtype: Dtype) -> Result<Model, EngineError> {
        self.model_by(dtype, Model::load_to_answer)
    }

    fn model_by(
        &self,
        dtype: Dtype,
        load: impl Fn(&Path, Dtype) -> Result<Model, EngineError>,
    ) -> Result<Model, EngineError> {
        let name = match self {
            Source::Folder(path) => return load(path, dtype),
            Source::Shape(name) => name,
        };
        let (vocab, shape) = shape(name);
        let mut model = Model::init(ModelConfig::from_init(&shape, vocab, None, None, None)?, 1);
        model.freeze(dtype);
        Ok(model)
    }
}

/// Vocabulary and shape of a name.
pub(crate) fn shape(name: &str) -> (usize, InitShape) {
    let (vocab, h, i, layers, heads, kv) = match name {
        "demo" => (600, 192, 512, 4, 6, 6),
        "tiny5m" => (4096, 256, 512, 6, 8, 8),
        "qwen2.5-0.5b" => (151_936, 896, 4864, 24, 14, 2),
        _ => (49_152, 576, 1536, 30, 9, 3),
    };
    let shape = InitShape {
        hidden_size: h,
        intermediate_size: i,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: kv,
        max_position_embeddings: 2048,
        tie_word_embeddings: true,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.02,
    };
    (vocab, shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_have_the_parameters_that_their_names_say() {
        for (name, parameters) in [("smollm2-135m", 134_515_008), ("qwen2.5-0.5b", 494_005_120)] {
            let (vocab, shape) = shape(name);
            let config = ModelConfig::from_init(&shape, vocab, None, None, None).unwrap();
            let tensors = tillage_model::spec::DecoderSpec::of(&config).tensors();
            let numbers: usize = tensors.iter().map(|t| t.shape.iter().product::<usize>()).sum();
            assert_eq!(numbers, parameters, "{name}");
        }
        assert_eq!(Source::of("no-such-shape").unwrap_err().code, "unknown_shape");
    }
}
