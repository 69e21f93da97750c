//! Speed of a training step and of generation on random weights:
//! `cargo run --release -p tillage-model --example step_speed -- [SHAPE] [examples] [tokens] [steps] [full|lora] [DTYPE]`,
//! SHAPE: tiny5m, demo, smollm2-135m, qwen2.5-0.5b with random weights, or a model folder; DTYPE: f32, bf16, int8, nf4;
//! with `full`, bf16 is mixed precision.
//!
//! With `paced` in the place of `steps`, each line on standard input asks for one measurement (`step`, or
//! `decode PROMPT NEW`), and its seconds come back as one line of JSON: so another program can take turns with this one.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;
use tillage_kernels::cpu::{adamw, grad_norm, AdamWTensor};
use tillage_kernels::{clip_factor, AdamWStep};
use tillage_model::{LoraConfig, Model, ModelConfig, Packed, Trainable};
use tillage_protocol::run::{Dtype, InitShape};

fn shape(name: &str) -> Option<(usize, InitShape)> {
    let (vocab, h, i, layers, heads, kv) = match name {
        "demo" => (600, 192, 512, 4, 6, 6),
        "tiny5m" => (4096, 256, 512, 6, 8, 8),
        "smollm2-135m" => (49152, 576, 1536, 30, 9, 3),
        "qwen2.5-0.5b" => (151_936, 896, 4864, 24, 14, 2),
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

/// A model, the batch it learns from, and AdamW's moments.
struct Bench {
    model: Model,
    texts: Vec<Vec<u32>>,
    batch: Packed,
    moments: Vec<(Vec<f32>, Vec<f32>)>,
    step: u64,
}

impl Bench {
    fn new(name: &str, examples: usize, tokens: usize, mode: &str, dtype: Dtype) -> Bench {
        let held = if mode == "full" { Dtype::F32 } else { dtype };
        let load = if mode == "answer" { Model::load_to_answer } else { Model::load_as };
        let mut model = match shape(name) {
            Some((vocab, shape)) => {
                let config = ModelConfig::from_init(&shape, vocab, None, None, None).expect("a valid shape");
                let mut model = Model::init(config, 1);
                model.freeze(held);
                model
            }
            None => load(Path::new(name), held).expect("a shape's name or a model folder"),
        };
        let vocab = model.config().vocab_size;
        if mode == "lora" {
            let targets = vec!["all-linear".to_owned()];
            model
                .attach_lora(
                    &LoraConfig {
                        r: 16,
                        alpha: 32.0,
                        dropout: 0.0,
                        targets,
                        rslora: false,
                        dora: false,
                        lora_plus: None,
                    },
                    2,
                )
                .expect("a valid adapter");
            model.set_trainable(Trainable::Adapter);
        } else if mode == "full" {
            model.set_mixed(dtype == Dtype::Bf16);
            model.set_trainable(Trainable::Full);
        }
        let texts: Vec<Vec<u32>> = (0..examples)
            .map(|e| (0..tokens).map(|t| ((e * 7919 + t * 104_729 + t * t) % vocab) as u32).collect())
            .collect();
        let batch = Packed::texts(texts.iter().map(Vec::as_slice));
        let sizes: Vec<usize> = model.parameters_mut().iter().map(|p| p.value.len()).collect();
        let moments = sizes.iter().map(|&n| (vec![0.0; n], vec![0.0; n])).collect();
        Bench { model, texts, batch, moments, step: 0 }
    }

    /// One step. Returns the mean loss, the seconds of both passes, and those of the whole step.
    fn step(&mut self) -> (f64, f64, f64) {
        self.step += 1;
        let start = Instant::now();
        self.model.zero_grad();
        let loss = self.model.forward_backward(&self.batch).expect("a valid batch");
        let pass = start.elapsed();
        let mut parameters = self.model.parameters_mut();
        let norm = grad_norm(parameters.iter().map(|p| &*p.grad));
        let settings = AdamWStep {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            step: self.step,
            grad_scale: clip_factor(norm, 1.0),
        };
        let mut tensors: Vec<AdamWTensor> = parameters
            .iter_mut()
            .zip(&mut self.moments)
            .map(|(p, (first, second))| AdamWTensor { value: p.value, grad: p.grad, first, second })
            .collect();
        adamw(&mut tensors, &settings);
        (loss.mean(), pass.as_secs_f64(), start.elapsed().as_secs_f64())
    }

    /// Greedy generation of all texts together, with caches. Returns the seconds of the prompts and of the new tokens.
    fn decode(&self, prompt: usize, new: usize) -> (f64, f64) {
        let mut caches: Vec<_> = self.texts.iter().map(|_| self.model.new_cache(prompt + new)).collect();
        let start = Instant::now();
        let prompts: Vec<&[u32]> = self.texts.iter().map(|text| &text[..prompt]).collect();
        let mut logits = self.model.decode_batch(&prompts, &mut caches);
        let prefill = start.elapsed();
        let vocab = self.model.config().vocab_size;
        let best =
            |row: &[f32]| (0..vocab).max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("a vocabulary") as u32;
        for _ in 0..new {
            let chosen: Vec<[u32; 1]> = logits.chunks_exact(vocab).map(|row| [best(row)]).collect();
            let tokens: Vec<&[u32]> = chosen.iter().map(|token| &token[..]).collect();
            logits = self.model.decode_batch(&tokens, &mut caches);
        }
        (prefill.as_secs_f64(), (start.elapsed() - prefill).as_secs_f64())
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| args.get(i).map_or(default, |a| a.parse().expect("a number"));
    let name = args.first().map_or("tiny5m", String::as_str);
    let (examples, tokens) = (number(1, 16), number(2, 256));
    let dtype = args.get(5).map_or("f32", String::as_str);
    let dtype = Dtype::ALL.into_iter().find(|d| d.name() == dtype).expect("f32, bf16, int8 or nf4");
    let mode = args.get(4).map_or("full", String::as_str);
    let mut bench = Bench::new(name, examples, tokens, mode, dtype);
    if args.get(3).is_some_and(|a| a == "paced") {
        return paced(&mut bench);
    }
    if mode == "answer" {
        return answer(&bench);
    }
    let steps = number(3, 5);
    let mut measured = Vec::new();
    for step in 1..=steps + 2 {
        let (loss, pass, whole) = bench.step();
        println!(
            "step {step}: loss {loss:.4}, pass {:.1} ms, optimiser {:.1} ms",
            pass * 1e3,
            (whole - pass) * 1e3
        );
        measured.push(whole);
    }
    let mut measured = measured.split_off(2);
    measured.sort_by(f64::total_cmp);
    let median = measured[measured.len() / 2];
    println!(
        "{name}: {} parameters, {} threads, {:.0} tokens/s (median of {steps} steps)",
        bench.model.parameter_count(),
        rayon::current_num_threads(),
        (examples * tokens) as f64 / median
    );
    println!(
        "planned {} MiB, held {} MiB",
        bench.model.plan_bytes(examples * tokens) >> 20,
        bench.model.held_bytes() >> 20
    );
    answer(&bench);
}

fn answer(bench: &Bench) {
    bench.decode(32, 8);
    let (prefill, rest) = bench.decode(32, 128);
    let tokens = (128 * bench.texts.len()) as f64;
    println!("prompts of 32: {:.2} ms, then {:.0} tokens/s", prefill * 1e3, tokens / rest);
}

/// Measures what each line of standard input asks for.
fn paced(bench: &mut Bench) {
    println!(
        r#"{{"parameters":{},"threads":{}}}"#,
        bench.model.parameter_count(),
        rayon::current_num_threads()
    );
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("text on standard input");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["step"] => {
                let (loss, pass, seconds) = bench.step();
                println!(r#"{{"seconds":{seconds},"pass":{pass},"loss":{loss}}}"#);
            }
            ["decode", prompt, new] => {
                let (prompt, new) = (prompt.parse().expect("a number"), new.parse().expect("a number"));
                let (prefill, seconds) = bench.decode(prompt, new);
                println!(r#"{{"prefill":{prefill},"seconds":{seconds}}}"#);
            }
            _ => panic!("unknown request {line:?}: ask for `step` or `decode PROMPT NEW`"),
        }
        std::io::stdout().flush().expect("an open standard output");
    }
}
