//! What the families call their tensors.

/// Module paths; those of a layer are relative to it.
pub(crate) struct Names {
    /// The tokens' vectors.
    pub embedding: &'static str,
    /// Learned positions.
    pub positions: &'static str,
    /// `{}` is the layer's number.
    pub layer: &'static str,
    /// The norm before the output projection.
    pub final_norm: &'static str,
    /// The norm of what goes into the attention.
    pub before_attention: &'static str,
    /// The norm of what the attention gives.
    pub after_attention: &'static str,
    /// The norm of what goes into the MLP.
    pub before_mlp: &'static str,
    /// The norm of what the MLP gives.
    pub after_mlp: &'static str,
    /// Queries, keys and values in this order: in one tensor or in three.
    pub qkv: &'static [&'static str],
    /// The attention's output projection.
    pub output: &'static str,
    /// Gate and up in this order: in one tensor or in two; or the one projection of an MLP without a gate.
    pub up: &'static [&'static str],
    /// The projection out of the MLP.
    pub down: &'static str,
    /// The experts' scores.
    pub router: &'static str,
    /// An expert's, relative to it.
    pub expert: &'static str,
    /// As `up`, of an expert.
    pub expert_up: &'static [&'static str],
    /// As `down`, of an expert.
    pub expert_down: &'static str,
    /// Matrices are stored `[in, out]`.
    pub transposed: bool,
}

pub(super) const LLAMA: Names = Names {
    embedding: "model.embed_tokens",
    positions: "",
    layer: "model.layers.{}",
    final_norm: "model.norm",
    before_attention: "input_layernorm",
    after_attention: "",
    before_mlp: "post_attention_layernorm",
    after_mlp: "",
    qkv: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    output: "self_attn.o_proj",
    up: &["mlp.gate_proj", "mlp.up_proj"],
    down: "mlp.down_proj",
    router: "",
    expert: "",
    expert_up: &[],
    expert_down: "",
    transposed: false,
};

/// With and without experts.
pub(super) const QWEN3: Names = Names {
    router: "mlp.gate",
    expert: "mlp.experts.{}",
    expert_up: &["gate_proj", "up_proj"],
    expert_down: "down_proj",
    ..LLAMA
};

pub(super) const MIXTRAL: Names = Names {
    router: "block_sparse_moe.gate",
    expert: "block_sparse_moe.experts.{}",
    expert_up: &["w1", "w3"],
    expert_down: "w2",
    ..LLAMA
};

pub(super) const GEMMA: Names = Names {
    after_attention: "post_attention_layernorm",
    before_mlp: "pre_feedforward_layernorm",
    after_mlp: "post_feedforward_layernorm",
    ..LLAMA
};

pub(super) const OLMO2: Names =
    Names { after_attention: "post_attention_layernorm", after_mlp: "post_feedforward_layernorm", ..LLAMA };

pub(super) const PHI3: Names = Names { qkv: &["self_attn.qkv_proj"], up: &["mlp.gate_up_proj"], ..LLAMA };

pub(super) const GPT2: Names = Names {
    embedding: "transformer.wte",
    positions: "transformer.wpe",
    layer: "transformer.h.{}",
    final_norm: "transformer.ln_f",
    before_attention: "ln_1",
    before_mlp: "ln_2",
    qkv: &["attn.c_attn"],
    output: "attn.c_proj",
    up: &["mlp.c_fc"],
    down: "mlp.c_proj",
    transposed: true,
    ..LLAMA
};
