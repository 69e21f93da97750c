//! Buffers of a forward and backward pass, kept between steps.

use crate::config::{ModelConfig, RopeConfig, RopeScaling};
use crate::linear;
use tillage_kernels::cpu::{attention_scratch_bytes, RopeTable, RopeVariant};
use tillage_kernels::AttentionShape;

/// Bytes that one chunk of logits may take.
const LOGITS_BYTES: usize = 16 << 20;

/// What a layer keeps for its backward pass; sizes are per token.
#[derive(Debug, Default)]
pub(crate) struct LayerActs {
    /// Residual stream before attention and before the MLP, `[tokens, hidden]`.
    pub x_in: Vec<f32>,
    pub x_mid: Vec<f32>,
    /// Inverse root mean squares, `[tokens]`.
    pub inv_in: Vec<f32>,
    pub inv_mid: Vec<f32>,
    pub q: Vec<f32>,
    pub k: Vec<f32>,
    pub v: Vec<f32>,
    pub attended: Vec<f32>,
    /// Log-sum-exp of each query of each head.
    pub lse: Vec<f32>,
    pub gate: Vec<f32>,
    pub up: Vec<f32>,
    /// A x of each projection's adapter.
    pub lora: [Vec<f32>; 7],
}

/// Buffers of one pass over a batch.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub layers: Vec<LayerActs>,
    /// Residual stream, and its gradient.
    pub x: Vec<f32>,
    pub dx: Vec<f32>,
    pub norm: Vec<f32>,
    pub dnorm: Vec<f32>,
    /// Output of a projection into the residual stream.
    pub out: Vec<f32>,
    /// SwiGLU's activation, and its gradient.
    pub act: Vec<f32>,
    pub dattended: Vec<f32>,
    pub dq: Vec<f32>,
    pub dk: Vec<f32>,
    pub dv: Vec<f32>,
    pub linear: linear::Scratch,
    pub head: HeadBuffers,
    pub positions: Vec<u32>,
    pub rope: RopeTable,
}

/// Buffers of the loss, for one chunk of labelled positions.
#[derive(Debug, Default)]
pub(crate) struct HeadBuffers {
    pub x: Vec<f32>,
    pub dx: Vec<f32>,
    pub norm: Vec<f32>,
    pub dnorm: Vec<f32>,
    pub inverse: Vec<f32>,
    pub logits: Vec<f32>,
    pub nll: Vec<f32>,
}

impl Workspace {
    pub fn new(config: &ModelConfig) -> Workspace {
        Workspace {
            layers: Vec::new(),
            x: Vec::new(),
            dx: Vec::new(),
            norm: Vec::new(),
            dnorm: Vec::new(),
            out: Vec::new(),
            act: Vec::new(),
            dattended: Vec::new(),
            dq: Vec::new(),
            dk: Vec::new(),
            dv: Vec::new(),
            linear: linear::Scratch::default(),
            head: HeadBuffers::default(),
            positions: Vec::new(),
            rope: rope_table(&config.rope, config.head_dim),
        }
    }

    /// Sizes every buffer for a batch. A pass without a backward pass reuses one layer's buffers for all layers.
    pub fn resize(&mut self, config: &ModelConfig, tokens: usize, backward: bool) {
        let w = Widths::of(config);
        self.layers.resize_with(
            if backward { config.num_hidden_layers } else { 1 }.max(self.layers.len()),
            LayerActs::default,
        );
        let used = if backward { config.num_hidden_layers } else { 1 };
        for layer in &mut self.layers[..used] {
            for (buffer, width) in [
                (&mut layer.x_in, w.hidden),
                (&mut layer.x_mid, w.hidden),
                (&mut layer.inv_in, 1),
                (&mut layer.inv_mid, 1),
                (&mut layer.q, w.q),
                (&mut layer.k, w.kv),
                (&mut layer.v, w.kv),
                (&mut layer.attended, w.q),
                (&mut layer.lse, w.heads),
                (&mut layer.gate, w.mlp),
                (&mut layer.up, w.mlp),
            ] {
                fit(buffer, tokens * width);
            }
        }
        for (buffer, width) in [
            (&mut self.x, w.hidden),
            (&mut self.norm, w.hidden),
            (&mut self.out, w.hidden),
            (&mut self.act, w.mlp),
        ] {
            fit(buffer, tokens * width);
        }
        if backward {
            for (buffer, width) in [
                (&mut self.dx, w.hidden),
                (&mut self.dnorm, w.hidden),
                (&mut self.dattended, w.q),
                (&mut self.dq, w.q),
                (&mut self.dk, w.kv),
                (&mut self.dv, w.kv),
            ] {
                fit(buffer, tokens * width);
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let layer = |l: &LayerActs| {
            let lora: usize = l.lora.iter().map(Vec::capacity).sum();
            let rest = [
                &l.x_in,
                &l.x_mid,
                &l.inv_in,
                &l.inv_mid,
                &l.q,
                &l.k,
                &l.v,
                &l.attended,
                &l.lse,
                &l.gate,
                &l.up,
            ];
            lora + rest.iter().map(|b| b.capacity()).sum::<usize>()
        };
        let shared = [
            &self.x,
            &self.dx,
            &self.norm,
            &self.dnorm,
            &self.out,
            &self.act,
            &self.dattended,
            &self.dq,
            &self.dk,
            &self.dv,
        ];
        let head = [
            &self.head.x,
            &self.head.dx,
            &self.head.norm,
            &self.head.dnorm,
            &self.head.inverse,
            &self.head.logits,
            &self.head.nll,
        ];
        let numbers = self.layers.iter().map(layer).sum::<usize>()
            + shared.iter().chain(&head).map(|b| b.capacity()).sum::<usize>()
            + self.positions.capacity();
        numbers * 4 + self.linear.bytes() + self.rope.bytes()
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
    kv: usize,
    heads: usize,
    mlp: usize,
}

impl Widths {
    fn of(config: &ModelConfig) -> Widths {
        Widths {
            hidden: config.hidden_size,
            q: config.num_attention_heads * config.head_dim,
            kv: config.num_key_value_heads * config.head_dim,
            heads: config.num_attention_heads,
            mlp: config.intermediate_size,
        }
    }
}

/// Labelled positions whose logits are held at once.
pub(crate) fn head_chunk(config: &ModelConfig) -> usize {
    (LOGITS_BYTES / 4 / config.vocab_size).clamp(16, 1024)
}

/// Bytes of a training pass over `tokens` tokens, all of them one example in the worst case; `ranks` is the adapter's
/// rank times the projections that have one, and whether it is DoRA or has dropout.
pub(crate) fn plan(config: &ModelConfig, tokens: usize, ranks: usize, extra: bool) -> usize {
    let w = Widths::of(config);
    let layer = 2 * w.hidden + 2 + 2 * w.q + 2 * w.kv + w.heads + 2 * w.mlp;
    let shared = 5 * w.hidden + w.mlp + 2 * w.q + 2 * w.kv + 1;
    let chunk = head_chunk(config).min(tokens);
    let head = chunk * (4 * w.hidden + 2 + config.vocab_size);
    let widest = w.hidden.max(w.mlp).max(w.q);
    let adapter = ranks + if ranks > 0 { 64 } else { 0 } + if extra { 3 * widest } else { 0 };
    let rope = config.head_dim * tokens;
    4 * (tokens * (config.num_hidden_layers * layer + shared + adapter) + head + rope)
        + attention_scratch_bytes(tokens)
}

pub(crate) fn attention_shape(config: &ModelConfig) -> AttentionShape {
    AttentionShape {
        heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        head_dim: config.head_dim,
        scale: (1.0 / (config.head_dim as f64).sqrt()) as f32,
    }
}

fn rope_table(rope: &RopeConfig, head_dim: usize) -> RopeTable {
    let variant = match rope.scaling {
        RopeScaling::Default => RopeVariant::Default,
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            RopeVariant::Llama3 {
                factor: factor as f32,
                low: low_freq_factor as f32,
                high: high_freq_factor as f32,
                original: original_context as f32,
            }
        }
    };
    RopeTable::new(head_dim, rope.theta, variant)
}
