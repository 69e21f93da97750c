//! Speed of a training step and of generation on random weights:
//! `cargo run --release --example step_speed -- [tiny5m|demo|smollm2-135m] [examples] [tokens] [steps] [full|lora]`.

use std::time::Instant;
use tillage_kernels::cpu::{adamw, grad_norm, AdamWTensor};
use tillage_kernels::{clip_factor, AdamWStep};
use tillage_model::{LoraConfig, Model, ModelConfig, Packed, Trainable};
use tillage_protocol::run::InitShape;

fn shape(name: &str) -> Option<(usize, InitShape)> {
    let (vocab, h, i, layers, heads, kv) = match name {
        "demo" => (1024, 192, 512, 4, 6, 3),
        "tiny5m" => (4096, 256, 512, 6, 8, 8),
        "smollm2-135m" => (49152, 576, 1536, 30, 9, 3),
        _ => return None,
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
    Some((vocab, shape))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| args.get(i).map_or(default, |a| a.parse().expect("a number"));
    let name = args.first().map_or("tiny5m", String::as_str);
    let (vocab, shape) = shape(name).expect("tiny5m, demo or smollm2-135m");
    let (examples, tokens, steps) = (number(1, 16), number(2, 256), number(3, 5));
    let lora = args.get(4).is_some_and(|a| a == "lora");
    let config = ModelConfig::from_init(&shape, vocab, None, None, None).expect("a valid shape");
    let mut model = Model::init(config, 1);
    if lora {
        let targets = vec!["all-linear".to_owned()];
        model
            .attach_lora(&LoraConfig { r: 16, alpha: 32.0, dropout: 0.0, targets, rslora: false }, 2)
            .expect("a valid adapter");
        model.set_trainable(Trainable::Adapter);
    } else {
        model.set_trainable(Trainable::Full);
    }
    let texts: Vec<Vec<u32>> = (0..examples)
        .map(|e| (0..tokens).map(|t| ((e * 7919 + t * 104_729 + t * t) % vocab) as u32).collect())
        .collect();
    let batch = Packed::texts(texts.iter().map(Vec::as_slice));
    let sizes: Vec<usize> = model.parameters_mut().iter().map(|p| p.value.len()).collect();
    let mut moments: Vec<_> = sizes.iter().map(|&n| (vec![0.0f32; n], vec![0.0f32; n])).collect();
    let mut times = Vec::new();
    for step in 1..=steps as u64 + 2 {
        let start = Instant::now();
        model.zero_grad();
        let loss = model.forward_backward(&batch).expect("a valid batch");
        let pass = start.elapsed();
        let mut parameters = model.parameters_mut();
        let norm = grad_norm(parameters.iter().map(|p| &*p.grad));
        let settings = AdamWStep {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            step,
            grad_scale: clip_factor(norm, 1.0),
        };
        let mut tensors: Vec<AdamWTensor> = parameters
            .iter_mut()
            .zip(&mut moments)
            .map(|(p, (first, second))| AdamWTensor { value: p.value, grad: p.grad, first, second })
            .collect();
        adamw(&mut tensors, &settings);
        let whole = start.elapsed();
        println!(
            "step {step}: loss {:.4}, pass {:.1} ms, optimiser {:.1} ms",
            loss.mean(),
            pass.as_secs_f64() * 1e3,
            (whole - pass).as_secs_f64() * 1e3
        );
        times.push(whole.as_secs_f64());
    }
    let mut measured = times.split_off(2);
    measured.sort_by(f64::total_cmp);
    let median = measured[measured.len() / 2];
    let count = model.parameter_count();
    println!(
        "{name}: {count} parameters, {} threads, {:.0} tokens/s (median of {steps} steps)",
        rayon::current_num_threads(),
        (examples * tokens) as f64 / median
    );
    println!(
        "planned {} MiB, held {} MiB",
        model.plan_bytes(examples * tokens) >> 20,
        model.held_bytes() >> 20
    );
    let mut cache = model.new_cache(192);
    let start = Instant::now();
    model.decode(&texts[0][..32], &mut cache);
    let prefill = start.elapsed();
    let start = Instant::now();
    for t in 0..128u32 {
        model.decode(&[t % 100], &mut cache);
    }
    println!(
        "prefill of 32: {:.2} ms, then {:.0} tokens/s",
        prefill.as_secs_f64() * 1e3,
        128.0 / start.elapsed().as_secs_f64()
    );
}
