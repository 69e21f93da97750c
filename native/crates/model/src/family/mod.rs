//! The model families: what each declares in `config.json` differently from llama, and what it calls its tensors.

mod differences;
mod names;

pub(crate) use names::Names;

use crate::config::{unsupported, Fields, ModelConfig};
use tillage_kernels::Activation;
use tillage_protocol::EngineError;

/// One family of decoders.
pub(crate) struct Family {
    /// As in `config.json`.
    pub model_type: &'static str,
    /// What it calls its tensors.
    pub names: &'static Names,
    /// Its own names of fields, by llama's.
    pub fields: &'static [(&'static str, &'static str)],
    /// What transformers takes where the field is absent.
    pub eps: f64,
    /// What transformers takes where the field is absent.
    pub activation: Activation,
    /// Whether transformers ties the output projection where the field is absent.
    pub tied: bool,
    /// Width of the MLP over `hidden_size` where it is not given; 0 where it has to be.
    pub intermediate_factor: usize,
    /// What else it declares otherwise than llama; its errors are those of the fields that it reads.
    pub differences: fn(&Fields, &mut ModelConfig) -> Result<(), EngineError>,
}

const LLAMA: Family = Family {
    model_type: "llama",
    names: &names::LLAMA,
    fields: &[],
    eps: 1e-6,
    activation: Activation::Silu,
    tied: false,
    intermediate_factor: 0,
    differences: differences::llama,
};

const FAMILIES: &[Family] = &[
    LLAMA,
    Family { model_type: "mistral", differences: differences::mistral, ..LLAMA },
    Family { model_type: "qwen2", differences: differences::qwen2, ..LLAMA },
    Family { model_type: "qwen3", names: &names::QWEN3, differences: differences::qwen3, ..LLAMA },
    Family {
        model_type: "gemma2",
        names: &names::GEMMA,
        fields: &[("hidden_act", "hidden_activation")],
        activation: Activation::GeluTanh,
        tied: true,
        differences: differences::gemma2,
        ..LLAMA
    },
    Family {
        model_type: "gemma3_text",
        names: &names::GEMMA,
        fields: &[("hidden_act", "hidden_activation")],
        activation: Activation::GeluTanh,
        tied: true,
        differences: differences::gemma3,
        ..LLAMA
    },
    Family { model_type: "phi3", names: &names::PHI3, eps: 1e-5, differences: differences::phi3, ..LLAMA },
    Family { model_type: "olmo2", names: &names::OLMO2, eps: 1e-5, differences: differences::olmo2, ..LLAMA },
    Family { model_type: "smollm3", tied: true, differences: differences::smollm3, ..LLAMA },
    Family { model_type: "granite", differences: differences::granite, ..LLAMA },
    Family {
        model_type: "gpt2",
        names: &names::GPT2,
        fields: &[
            ("hidden_size", "n_embd"),
            ("num_hidden_layers", "n_layer"),
            ("num_attention_heads", "n_head"),
            ("max_position_embeddings", "n_positions"),
            ("intermediate_size", "n_inner"),
            ("rms_norm_eps", "layer_norm_epsilon"),
            ("hidden_act", "activation_function"),
        ],
        eps: 1e-5,
        activation: Activation::GeluTanh,
        tied: true,
        intermediate_factor: 4,
        differences: differences::gpt2,
    },
    Family {
        model_type: "mixtral",
        names: &names::MIXTRAL,
        eps: 1e-5,
        differences: differences::mixtral,
        ..LLAMA
    },
    Family { model_type: "qwen3_moe", names: &names::QWEN3, differences: differences::qwen3_moe, ..LLAMA },
];

impl Family {
    /// This family's name of a field.
    pub fn field(&self, llama: &'static str) -> &'static str {
        self.fields.iter().find(|(known, _)| *known == llama).map_or(llama, |(_, own)| own)
    }
}

/// The `model_type`s that [`crate::Model::load`] accepts.
pub fn supported() -> Vec<&'static str> {
    FAMILIES.iter().map(|f| f.model_type).collect()
}

/// The family of a `model_type`.
///
/// # Errors
/// `unknown_model_type` (user), which names it and those that are supported.
pub(crate) fn of(model_type: &str) -> Result<&'static Family, EngineError> {
    FAMILIES.iter().find(|f| f.model_type == model_type).ok_or_else(|| {
        EngineError::user(
            "unknown_model_type",
            format!(
                "config.json has model_type \"{model_type}\", which is not supported; supported: {}.",
                supported().join(", ")
            ),
            "Choose a model of a supported family.",
        )
    })
}

/// The activation that a field names.
pub(crate) fn activation(fields: &Fields, name: &str, absent: Activation) -> Result<Activation, EngineError> {
    match fields.optional_text(name).or(fields.optional_text("hidden_act")) {
        None => Ok(absent),
        Some("silu" | "swish") => Ok(Activation::Silu),
        Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Activation::GeluTanh),
        Some("gelu") => Ok(Activation::Gelu),
        Some(other) => Err(unsupported(format!("{name} \"{other}\""))),
    }
}
