//! Mixed precision to the bit: products of the backward pass too are of operands rounded to bf16, added up in f32. Where one row alone
//! has a gradient, a weight's is one product of two such numbers, of 8 significant bits each.

use crate::support::{config_with, gradients, model_of, text};
use serde_json::json;
use std::collections::BTreeMap;
use tillage_kernels::matrix::{from_bf16, to_bf16};
use tillage_model::{Model, Packed, Trainable, IGNORE};

const LAYERS: usize = 3;
const HIDDEN: usize = 36;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 10;

type Numbers = BTreeMap<String, Vec<f32>>;

/// A model all of whose weights are trained, with an output projection of its own: the embedding's gradient is no product.
fn trained(mixed: bool) -> Model {
    let mut model = model_of(config_with(json!({"tie_word_embeddings": false})));
    model.set_mixed(mixed);
    model.set_trainable(Trainable::Full);
    model
}

fn weights(model: &mut Model) -> Numbers {
    model.parameters_mut().into_iter().map(|p| (p.name.to_owned(), p.value.to_vec())).collect()
}

/// A text with a label at one place alone.
fn labelled(tokens: &[u32], at: usize) -> Packed {
    let mut pack = Packed::texts([tokens]);
    pack.labels.fill(IGNORE);
    pack.labels[at] = i64::from(tokens[at + 1]);
    pack
}

fn found(model: &mut Model, pack: &Packed) -> Numbers {
    gradients(model, &[pack]).into_iter().collect()
}

fn rounded(x: f32) -> f64 {
    f64::from(from_bf16(to_bf16(x)))
}

/// Bits from the first that is set to the last.
fn significant(x: f32) -> u32 {
    if x == 0.0 {
        return 0;
    }
    24 - (x.to_bits() & 0x7f_ffff | 0x80_0000).trailing_zeros()
}

fn layer(n: usize, name: &str) -> String {
    format!("model.layers.{n}.{name}")
}

#[test]
fn a_weights_gradient_from_one_row_is_a_product_of_two_numbers_of_8_bits() {
    let matrices = |n: usize, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| layer(n, &format!("{name}.weight"))).collect()
    };
    let every = ["self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"];
    let mut first: Vec<String> = (0..LAYERS).flat_map(|n| matrices(n, &every)).collect();
    first.push("lm_head.weight".into());
    // Where a token sees another one, its query has a gradient too.
    let last = matrices(LAYERS - 1, &["self_attn.q_proj"]);
    for (length, at, names) in [(2, 0, first), (3, 1, last)] {
        let pack = labelled(&text(length, 5), at);
        let (mixed, exact) = (found(&mut trained(true), &pack), found(&mut trained(false), &pack));
        for name in names {
            let bits = |all: &Numbers| all[&name].iter().map(|g| significant(*g)).max();
            let (mixed, exact) = (bits(&mixed), bits(&exact));
            assert!(mixed <= Some(16) && mixed > Some(8), "{name}: a number of {mixed:?} bits");
            assert!(exact > Some(20), "{name} in f32: {exact:?} bits");
        }
    }
}

/// The largest distance in units of what is added up.
fn distance(found: &[f32], wanted: &[f64], sizes: &[f64]) -> f64 {
    let each = found.iter().zip(wanted).zip(sizes).map(|((f, w), s)| (f64::from(*f) - w).abs() / s);
    each.fold(0.0, f64::max)
}

#[test]
fn a_gradient_comes_down_through_the_head_by_rounded_numbers() {
    let tokens = text(2, 5);
    let mut model = trained(true);
    let grads = found(&mut model, &labelled(&tokens, 0));
    let weights = weights(&mut model);
    let (head, norm) = (&weights["lm_head.weight"], &weights["model.norm.weight"]);
    let state = model.read(&Packed::texts([&tokens[..1]]), true, None).unwrap().pooled;
    let logits = model.logits(&Packed::texts([&tokens[..]]), &[0]);
    let whole: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
    let slopes: Vec<f64> = (0..logits.len())
        .map(|o| f64::from(logits[o]).exp() / whole - f64::from(u8::from(o == tokens[1] as usize)))
        .collect();
    // What the logits' gradients were rounded to stands in the head's own gradient.
    let widest = (0..HIDDEN).max_by(|a, b| state[*a].abs().total_cmp(&state[*b].abs())).unwrap();
    let dw = &grads["lm_head.weight"];
    let taken: Vec<f64> =
        dw.chunks_exact(HIDDEN).map(|row| f64::from(row[widest]) / rounded(state[widest])).collect();
    for (o, (taken, slope)) in taken.iter().zip(&slopes).enumerate() {
        assert_eq!(rounded(*taken as f32), *taken, "{o}");
        assert!((taken - slope).abs() <= slope.abs() * 1.0001 / 256.0, "{o}: {taken} for {slope}");
        for i in 0..HIDDEN {
            assert_eq!(f64::from(dw[o * HIDDEN + i]), taken * rounded(state[i]), "{o} {i}");
        }
    }
    // The norm's gradient is what came down times the state before its factor.
    let before = |i: usize| f64::from(state[i]) / f64::from(norm[i]);
    let down = |slopes: &[f64], of: fn(f32) -> f64| -> Vec<f64> {
        let sum =
            |i: usize| slopes.iter().enumerate().map(|(o, d)| d * of(head[o * HIDDEN + i])).sum::<f64>();
        (0..HIDDEN).map(|i| sum(i) * before(i)).collect()
    };
    let size =
        |i: usize| (0..taken.len()).map(|o| (taken[o] * f64::from(head[o * HIDDEN + i])).abs()).sum::<f64>();
    let sizes: Vec<f64> = (0..HIDDEN).map(|i| size(i) * before(i).abs()).collect();
    let off = |wanted: &[f64]| distance(&grads["model.norm.weight"], wanted, &sizes);
    assert!(off(&down(&taken, rounded)) < 1e-6, "{:e}", off(&down(&taken, rounded)));
    for (other, what) in [(down(&slopes, rounded), "slopes"), (down(&taken, f64::from), "weights")] {
        assert!(off(&other) > 1e-4, "{what} as they are would not be told apart: {:e}", off(&other));
    }
}

#[test]
fn a_gradient_comes_down_through_a_layer_by_rounded_numbers() {
    let mut model = trained(true);
    let grads = found(&mut model, &labelled(&text(2, 5), 0));
    let weights = weights(&mut model);
    // One token sees itself alone: the gradient of its value is that of what attention gives, from all heads that share it.
    // Biases tell the gradients of outputs before they are rounded.
    let tiles = cfg!(target_arch = "x86_64") && format!("{:?}", tillage_kernels::cpu::Isa::best()) == "Amx";
    for n in 0..LAYERS {
        let dy = &grads[&layer(n, "self_attn.o_proj.bias")];
        let w = &weights[&layer(n, "self_attn.o_proj.weight")];
        let width = HEADS * HEAD_DIM;
        let values = |of_dy: fn(f32) -> f64, of_w: fn(f32) -> f64, sign: fn(f64) -> f64| -> Vec<f64> {
            let column = |i: usize| -> f64 {
                let sum: f64 = (0..HIDDEN).map(|o| sign(of_dy(dy[o]) * of_w(w[o * width + i]))).sum();
                // On tiles attention takes rounded numbers too.
                if tiles {
                    rounded(sum as f32)
                } else {
                    sum
                }
            };
            let shared = HEADS / KV_HEADS;
            (0..KV_HEADS * HEAD_DIM)
                .map(|v| {
                    let head = |k: usize| (v / HEAD_DIM * shared + k) * HEAD_DIM + v % HEAD_DIM;
                    (0..shared).map(|k| column(head(k))).sum()
                })
                .collect()
        };
        let same = |x: f64| x;
        let sizes = values(f64::from, f64::from, f64::abs);
        let off = |wanted: &[f64]| distance(&grads[&layer(n, "self_attn.v_proj.bias")], wanted, &sizes);
        let wanted = off(&values(rounded, rounded, same));
        assert!(wanted < 1e-6, "layer {n}: {wanted:e}");
        for (other, what) in
            [(values(f64::from, rounded, same), "gradients"), (values(rounded, f64::from, same), "weights")]
        {
            assert!(off(&other) > 1e-4, "{what} as they are would not be told apart: {:e}", off(&other));
        }
    }
}
