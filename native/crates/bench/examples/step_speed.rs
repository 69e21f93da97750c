//! Speed of a training step and of generation on random weights:
//! `cargo run --release -p tillage-bench --example step_speed -- [SHAPE] [examples] [tokens] [steps] [full|lora] [DTYPE]`,
//! SHAPE: tiny5m, demo, smollm2-135m, qwen2.5-0.5b with random weights, or a model folder; DTYPE: f32, bf16, int8, nf4;
//! with `full`, bf16 is mixed precision.
//!
//! With `paced` in the place of `steps`, each line on standard input asks for one measurement (`step`, or
//! `decode PROMPT NEW`), and its seconds come back as one line of JSON: so another program can take turns with this one.

use std::io::{BufRead, Write};
use tillage_bench::{Source, Step, Training};
use tillage_kernels::aligned::Aligned;
use tillage_model::{Model, Packed, Trainable};
use tillage_protocol::run::Dtype;

// As the engine's own program has it.
#[global_allocator]
static MEMORY: Aligned = Aligned;

/// A model, the batch it learns from, and what trains it.
struct Bench {
    model: Model,
    texts: Vec<Vec<u32>>,
    batch: Packed,
    training: Training,
}

impl Bench {
    fn new(name: &str, examples: usize, tokens: usize, mode: &str, dtype: Dtype) -> Bench {
        let held = if mode == "full" { Dtype::F32 } else { dtype };
        let source = Source::of(name).expect("a shape's name or a model folder");
        let model = if mode == "answer" { source.model_to_answer(held) } else { source.model(held) };
        let mut model = model.expect("a valid model");
        let vocab = model.config().vocab_size;
        if mode == "lora" {
            tillage_bench::attach(&mut model).expect("a valid adapter");
        } else if mode == "full" {
            model.set_mixed(dtype == Dtype::Bf16);
            model.set_trainable(Trainable::Full);
        }
        let texts: Vec<Vec<u32>> = (0..examples)
            .map(|e| (0..tokens).map(|t| ((e * 7919 + t * 104_729 + t * t) % vocab) as u32).collect())
            .collect();
        let batch = Packed::texts(texts.iter().map(Vec::as_slice));
        let training = Training::new(&mut model, 1e-3, 0.01);
        Bench { model, texts, batch, training }
    }

    fn step(&mut self) -> Step {
        self.training.step(&mut self.model, &self.batch).expect("a valid batch")
    }

    /// Greedy generation of all texts together. Returns the seconds of the prompts and of the new tokens.
    fn decode(&self, prompt: usize, new: usize) -> (f64, f64) {
        let prompts: Vec<&[u32]> = self.texts.iter().map(|text| &text[..prompt]).collect();
        tillage_bench::generate(&self.model, &prompts, new)
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
        let Step { loss, pass, seconds: whole } = bench.step();
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
                let Step { loss, pass, seconds } = bench.step();
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
