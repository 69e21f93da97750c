//! Buffers of a forward and backward pass, kept between steps.

use crate::attention::{self, qk_stats_width};
use crate::config::{ModelConfig, NormPlace, QkNorm};
use crate::experts::Routing;
use crate::linear;
use crate::mix::Routes;
use crate::norms::stats_width;
use tillage_kernels::cpu::{
    attention_scratch_bytes, frozen_scratch_bytes, rounded_gradient_bytes, RopeTable, Upstream,
};

/// What a forward pass leaves for a backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Keep {
    #[default]
    Nothing,
    /// Every layer's activations.
    Layers,
    /// What went into every layer, from which the backward pass computes the layer's activations again
    /// (Chen et al. 2016); they are the same bit for bit.
    Inputs,
}

/// Bytes that one chunk of logits may take.
const LOGITS_BYTES: usize = 64 << 20;

/// Declares a struct of `f32` buffers with a list of them all.
macro_rules! buffers {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $field:ident,)* } $(with { $($(#[$other_doc:meta])* $other:ident: $kind:ty,)* })?) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $($(#[$doc])* pub $field: Vec<f32>,)*
            $($($(#[$other_doc])* pub $other: $kind,)*)?
        }

        impl $name {
            fn numbers(&self) -> usize {
                0 $(+ self.$field.capacity())*
            }
        }
    };
}

buffers! {
    /// What a layer keeps for its backward pass; sizes are per token.
    LayerActs {
        /// Residual stream before attention and before the MLP, `[tokens, hidden]`.
        x_in,
        x_mid,
        /// What the norms before the blocks keep of each row.
        stats_in,
        stats_mid,
        /// Queries, keys and values as attention takes them.
        qkv,
        /// Queries and keys before their norms, and what the norms keep.
        qk,
        stats_qk,
        attended,
        /// Log-sum-exp of each query of each head.
        lse,
        /// The projection into the MLP.
        up,
        /// The blocks' outputs before the norms behind them, and what these keep.
        attention_out,
        stats_attention_out,
        mlp_out,
        stats_mlp_out,
        /// What each expert made of each of its tokens, `[tokens x experts of each, hidden]`.
        expert_out,
    } with {
        /// A x of each projection's adapter.
        lora: Vec<Vec<f32>>,
        routing: Routing,
    }
}

buffers! {
    /// Buffers of the loss, for one chunk of labelled positions.
    HeadBuffers {
        x,
        dx,
        norm,
        dnorm,
        stats,
        logits,
        /// The logits under a soft cap.
        capped,
        nll,
    }
}

buffers! {
    /// Buffers of one pass over a batch.
    Workspace {
        /// Residual stream, and its gradient.
        x,
        dx,
        norm,
        dnorm,
        /// Output of a block, and its gradient.
        out,
        branch,
        /// The MLP's activation, and its gradient.
        act,
        dattended,
        dqkv,
        /// The gradient of normed queries and keys.
        dqk,
        /// What goes to the experts, and its gradient.
        gathered,
        dgathered,
    } with {
        layers: Vec<LayerActs>,
        /// What went into each layer, `[tokens, hidden]`, where activations are computed again.
        inputs: Vec<Vec<f32>>,
        keep: Keep,
        linear: linear::Scratch,
        head: HeadBuffers,
        positions: Vec<u32>,
        ropes: Vec<RopeTable>,
        /// Which adapters add to which rows, where the pass says so.
        routes: Option<Routes>,
    }
}

impl Workspace {
    pub fn new(config: &ModelConfig) -> Workspace {
        Workspace { ropes: config.ropes.iter().map(|r| r.table()).collect(), ..Workspace::default() }
    }

    /// Sizes every buffer for a batch. Unless every layer's activations are kept, all layers share one layer's buffers.
    pub fn resize(&mut self, config: &ModelConfig, tokens: usize, keep: Keep) {
        let w = Widths::of(config);
        self.keep = keep;
        let backward = keep != Keep::Nothing;
        let used = if keep == Keep::Layers { config.num_hidden_layers } else { 1 };
        if keep == Keep::Inputs {
            self.inputs.resize_with(config.num_hidden_layers, Vec::new);
            self.inputs.iter_mut().for_each(|input| fit(input, tokens * w.hidden));
        }
        self.layers.resize_with(used.max(self.layers.len()), LayerActs::default);
        for layer in &mut self.layers[..used] {
            for (buffer, width) in w.layer(layer) {
                fit(buffer, tokens * width);
            }
            layer.lora.resize_with(w.linears, Vec::new);
        }
        for (buffer, width) in [
            (&mut self.x, w.hidden),
            (&mut self.norm, w.hidden),
            (&mut self.out, w.hidden),
            (&mut self.act, w.mlp),
            (&mut self.gathered, w.expert_out),
        ] {
            fit(buffer, tokens * width);
        }
        if backward {
            for (buffer, width) in [
                (&mut self.dx, w.hidden),
                (&mut self.dnorm, w.hidden),
                (&mut self.branch, w.hidden),
                (&mut self.dattended, w.q),
                (&mut self.dqkv, w.qkv),
                (&mut self.dgathered, w.expert_out),
            ] {
                fit(buffer, tokens * width);
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let lora = |l: &LayerActs| l.lora.iter().map(Vec::capacity).sum::<usize>();
        let layers = self.layers.iter().map(|l| l.numbers() + lora(l) + l.routing.numbers()).sum::<usize>();
        let inputs: usize = self.inputs.iter().map(Vec::capacity).sum();
        let numbers = layers + inputs + self.numbers() + self.head.numbers() + self.positions.capacity();
        numbers * 4 + self.linear.bytes() + self.ropes.iter().map(RopeTable::bytes).sum::<usize>()
    }
}

/// Exactly as long as asked, without giving memory back or growing by more than asked.
fn fit(buffer: &mut Vec<f32>, len: usize) {
    if buffer.capacity() < len {
        buffer.reserve_exact(len - buffer.len());
    }
    buffer.resize(len, 0.0);
}

/// Numbers per token of the kinds of buffers.
struct Widths {
    hidden: usize,
    q: usize,
    qkv: usize,
    /// Queries and keys before their norms.
    qk: usize,
    stats_qk: usize,
    heads: usize,
    /// The MLP's activation, and the projection into it.
    mlp: usize,
    up: usize,
    stats: usize,
    /// Blocks' outputs that are kept, and what their norms keep.
    out: usize,
    stats_out: usize,
    /// What the experts of a token take and give.
    expert_out: usize,
    routing: usize,
    linears: usize,
}

impl Widths {
    fn of(config: &ModelConfig) -> Widths {
        let (q, kv) = (config.q_width(), config.kv_width());
        let behind = config.norm_place != NormPlace::Before;
        let stats = stats_width(config);
        let dense = if config.layers.iter().any(|l| !l.experts) { config.intermediate_size } else { 0 };
        let sparse = config.experts.map_or(0, |e| e.per_token * e.intermediate_size);
        let mlp = dense.max(sparse);
        Widths {
            hidden: config.hidden_size,
            q,
            qkv: q + 2 * kv,
            qk: if config.qk_norm == QkNorm::None { 0 } else { q + kv },
            stats_qk: qk_stats_width(config),
            heads: config.num_attention_heads,
            mlp,
            up: if config.gated { 2 * mlp } else { mlp },
            stats,
            out: if behind { config.hidden_size } else { 0 },
            stats_out: if behind { stats } else { 0 },
            expert_out: config.experts.map_or(0, |e| e.per_token * config.hidden_size),
            routing: config.experts.as_ref().map_or(0, Routing::width),
            linears: 2 + 2 * config.experts.map_or(1, |e| e.count),
        }
    }

    /// A layer's buffers with their widths.
    fn layer<'a>(&self, layer: &'a mut LayerActs) -> [(&'a mut Vec<f32>, usize); 15] {
        [
            (&mut layer.x_in, self.hidden),
            (&mut layer.x_mid, self.hidden),
            (&mut layer.stats_in, self.stats),
            (&mut layer.stats_mid, self.stats),
            (&mut layer.qkv, self.qkv),
            (&mut layer.qk, self.qk),
            (&mut layer.stats_qk, self.stats_qk),
            (&mut layer.attended, self.q),
            (&mut layer.lse, self.heads),
            (&mut layer.up, self.up),
            (&mut layer.attention_out, self.out),
            (&mut layer.stats_attention_out, self.stats_out),
            (&mut layer.mlp_out, self.out),
            (&mut layer.stats_mlp_out, self.stats_out),
            (&mut layer.expert_out, self.expert_out),
        ]
    }
}

/// Labelled positions whose logits are held at once.
pub(crate) fn head_chunk(config: &ModelConfig) -> usize {
    (LOGITS_BYTES / 4 / config.vocab_size).clamp(16, 1024)
}

/// Bytes of a pass over `tokens` tokens, all of them one example in the worst case, that keeps the activations of `layers`
/// layers (one when nothing is trained) and the inputs of `inputs` layers; `ranks` is the adapter's ranks of all projections together, `extra` whether it is
/// DoRA or has dropout, `frozen` whether the weights are in low precision, `mixed` whether the products with f32 weights are.
pub(crate) fn plan(
    config: &ModelConfig,
    tokens: usize,
    [layers, inputs]: [usize; 2],
    ranks: usize,
    [extra, frozen, mixed]: [bool; 3],
) -> usize {
    let w = Widths::of(config);
    let layer: usize = w.layer(&mut LayerActs::default()).iter().map(|(_, width)| width).sum();
    let layer = layer + w.routing;
    let shared = 2 * w.expert_out + 6 * w.hidden + w.mlp + w.q + w.qkv + if w.qk > 0 { w.qkv } else { 0 } + 1;
    let chunk = head_chunk(config).min(tokens);
    let capped = if config.logits_softcap > 0.0 { 2 } else { 1 };
    let head = chunk * (4 * w.hidden + w.stats + 1 + capped * config.vocab_size);
    let widest = w.hidden.max(w.up).max(w.qkv);
    let adapter = ranks + if ranks > 0 { 64 } else { 0 } + if extra { 3 * widest } else { 0 };
    let rope: usize = config.ropes.iter().map(|r| r.dims * tokens).sum();
    4 * (tokens * (layers * layer + inputs * w.hidden + shared + adapter) + head + rope)
        + attention_scratch_bytes(tokens, &attention::shape(config, 0, frozen || mixed))
        + if mixed {
            rounded_gradient_bytes(tokens, widest, widest).max(rounded_gradient_bytes(
                chunk,
                w.hidden,
                config.vocab_size,
            ))
        } else {
            0
        }
        + if frozen || mixed {
            let upstream = if ranks > 0 { Upstream::bytes_of(tokens, widest, 64) } else { 0 };
            upstream
                + frozen_scratch_bytes(tokens, widest).max(frozen_scratch_bytes(chunk, config.vocab_size))
        } else {
            0
        }
}
