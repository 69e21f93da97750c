use crate::support::{adapt, adapted, batch, config, config_with, gradients, lora, model, model_of, VOCAB};
use serde_json::json;
use tillage_model::{Distillation, Model, Packed, Trainable, IGNORE};

/// As [`check_slopes`], of the batch's mean loss.
pub fn check_directions(model: &mut Model, batch: &Packed) -> usize {
    check_slopes(model, &mut |model| {
        let loss = model.forward_backward(batch).expect("a valid batch");
        loss.sum / f64::from(batch.normalizer.unwrap_or(loss.tokens as f32))
    })
}

/// Moves each trained tensor along its gradient and compares the change of the loss with the gradient's norm. `pass` adds
/// the gradients of its loss, and returns it.
pub fn check_slopes(model: &mut Model, pass: &mut dyn FnMut(&mut Model) -> f64) -> usize {
    let h = 4e-3;
    model.zero_grad();
    pass(model);
    let grads: Vec<(String, Vec<f32>)> =
        model.parameters_mut().into_iter().map(|p| (p.name.to_owned(), p.grad.to_vec())).collect();
    let mut nonzero = 0;
    for (which, (name, grad)) in grads.iter().enumerate() {
        let norm = grad.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
        if norm == 0.0 {
            continue;
        }
        nonzero += 1;
        let mut loss_at = |step: f64| {
            let shift = |model: &mut Model, by: f64| {
                let p = model.parameters_mut().remove(which);
                p.value.iter_mut().zip(grad).for_each(|(v, g)| *v += (by * f64::from(*g) / norm) as f32);
            };
            shift(model, step);
            let loss = pass(model);
            shift(model, -step);
            loss
        };
        // Fourth-order central difference: the loss is known to some 1e-7.
        let slope = (8.0 * (loss_at(h) - loss_at(-h)) - (loss_at(2.0 * h) - loss_at(-2.0 * h))) / (12.0 * h);
        assert!((slope - norm).abs() <= 2e-3 * norm + 2e-4, "{name}: slope {slope}, gradient {norm}");
    }
    nonzero
}

#[test]
fn distilled_gradients_are_derivatives() {
    let mut teacher = Model::init(config_with(json!({"num_hidden_layers": 1, "hidden_size": 24})), 11);
    teacher.set_trainable(Trainable::Nothing);
    for (temperature, alpha) in [(1.0, 1.0), (2.0, 0.6)] {
        let settings = Distillation { temperature, alpha };
        let mut model = adapted(&lora(&["all-linear"]));
        let tensors = model.parameters_mut().len();
        let checked = check_slopes(&mut model, &mut |model| {
            let found = model.distill(&batch(), &teacher, settings).expect("a valid batch");
            found.loss.sum / found.loss.tokens as f64
        });
        assert_eq!(checked, tensors);
        let with = model.distill(&batch(), &teacher, settings).expect("a valid batch");
        assert_eq!(model.distill_loss(&batch(), &teacher, settings).expect("a valid batch"), with);
    }
}

#[test]
fn losses_at_a_temperature_are_those_of_that_distribution() {
    let capped = json!({"model_type": "gemma2", "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 10,
        "attention_bias": false, "mlp_bias": false, "sliding_window": 8, "final_logit_softcapping": 3.0});
    for config in [config(), config_with(capped)] {
        let mut model = adapt(model_of(config), &lora(&["all-linear"]));
        let cool = Packed { temperature: Some(0.6), ..batch() };
        let places: Vec<usize> = (0..cool.labels.len()).filter(|at| cool.labels[*at] != IGNORE).collect();
        let logits = model.logits(&cool, &places);
        let losses = model.token_losses(&cool).expect("a valid batch");
        for ((row, at), loss) in logits.chunks_exact(VOCAB).zip(&places).zip(&losses) {
            let sum: f64 = row.iter().map(|x| (f64::from(*x) / 0.6).exp()).sum();
            let wanted = sum.ln() - f64::from(row[cool.labels[*at] as usize]) / 0.6;
            assert!((wanted - f64::from(*loss)).abs() < 1e-5, "{loss} instead of {wanted}");
        }
        let tensors = model.parameters_mut().len();
        assert_eq!(check_directions(&mut model, &cool), tensors);
        // A loss of the log-probabilities, as policies have it.
        let checked = check_slopes(&mut model, &mut |model| {
            let mut loss = 0.0;
            let slopes = &mut |losses: &[f32]| {
                loss = losses.iter().map(|l| f64::from(-l).exp()).sum();
                losses.iter().map(|l| -(-l).exp()).collect()
            };
            model.forward_backward_by(&cool, slopes).expect("a valid batch");
            loss
        });
        assert_eq!(checked, tensors);
        let plain = Packed { temperature: Some(1.0), ..batch() };
        assert_eq!(model.token_losses(&plain), model.token_losses(&batch()), "1 is none, bit for bit");
    }
}

#[test]
fn a_distillation_without_its_teacher_is_plain_training() {
    let teacher = Model::init(config_with(json!({"num_hidden_layers": 1})), 11);
    let settings = Distillation { temperature: 2.0, alpha: 0.0 };
    let mut model = adapted(&lora(&["all-linear"]));
    let plain = gradients(&mut model, &[&batch()]);
    model.zero_grad();
    let found = model.distill(&batch(), &teacher, settings).expect("a valid batch");
    assert!((found.nll - found.loss.sum).abs() < 1e-9 && found.divergence > 0.0);
    for (p, (name, grad)) in model.parameters_mut().iter().zip(&plain) {
        let apart = p.grad.iter().zip(grad).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-6, "{name}: {apart}");
    }
    let other = Model::init(config_with(json!({"vocab_size": 40})), 11);
    assert_eq!(model.distill(&batch(), &other, settings).unwrap_err().code, "vocab_mismatch");
}

#[test]
fn gradients_of_scores_are_derivatives() {
    let mut model = adapted(&lora(&["all-linear"]));
    model.attach_score(3).expect("an adapter");
    let tensors = model.parameters_mut().len();
    let weights = [1.0f32, -0.5, 2.0];
    let checked = check_slopes(&mut model, &mut |model| {
        let mut loss = 0.0;
        let slopes = &mut |scores: &[f32]| {
            loss = scores.iter().zip(weights).map(|(s, w)| f64::from(s * s * w)).sum();
            scores.iter().zip(weights).map(|(s, w)| 2.0 * s * w).collect()
        };
        model.forward_backward_scores(&batch(), slopes).expect("a valid batch");
        loss
    });
    assert_eq!(checked, tensors, "the head's too");
    // A text's score does not depend on the others, nor on its labels.
    let all = model.scores(&batch()).expect("a valid batch");
    let (from, to) = (batch().starts[1], batch().starts[2]);
    let alone = Packed::texts([&batch().tokens[from..to]]);
    assert!((model.scores(&alone).expect("a valid batch")[0] - all[1]).abs() < 1e-5);
}

#[test]
fn full_gradients_are_derivatives() {
    let mut model = model();
    model.set_trainable(Trainable::Full);
    let all = model.parameters_mut().len();
    assert_eq!(check_directions(&mut model, &batch()), all, "every tensor of the model has a gradient");
}

#[test]
fn weighted_gradients_are_derivatives() {
    let mut model = model();
    model.set_trainable(Trainable::Full);
    let weighted = Packed { weights: Some(vec![0.5, 1.0, -2.0]), normalizer: Some(3.0), ..batch() };
    check_directions(&mut model, &weighted);
    let loss = model.loss_only(&weighted).expect("a valid batch");
    let expected: f64 = loss.per_example.iter().zip([0.5, 1.0, -2.0]).map(|((sum, _), w)| sum * w).sum();
    assert!((loss.sum - expected).abs() < 1e-9);
}

#[test]
fn adapter_gradients_are_derivatives() {
    for targets in [
        &["all-linear"][..],
        &["q_proj", "v_proj"],
        &["layers.1.mlp.down_proj"],
        &["layers.2.self_attn.o_proj"],
        &["gate_proj"],
    ] {
        let mut model = adapted(&lora(targets));
        let tensors = model.parameters_mut().len();
        assert_eq!(check_directions(&mut model, &batch()), tensors, "{targets:?}");
    }
}

#[test]
fn dropout_gradients_are_derivatives_of_the_masked_loss() {
    let mut config = lora(&["all-linear"]);
    config.dropout = 0.25;
    let mut model = adapted(&config);
    model.set_dropout_key(5);
    check_directions(&mut model, &batch());
    let loss = |model: &mut Model| model.forward_backward(&batch()).expect("a valid batch").sum;
    let first = loss(&mut model);
    assert_eq!(first, loss(&mut model), "the same key gives the same masks");
    model.set_dropout_key(6);
    assert_ne!(first, loss(&mut model), "another key gives other masks");
    let model = adapted(&config);
    let plain = adapted(&lora(&["all-linear"])).loss_only(&batch()).expect("a valid batch");
    assert_eq!(model.loss_only(&batch()).expect("a valid batch"), plain, "scoring has no dropout");
}

#[test]
fn a_backward_pass_that_stops_early_gives_the_same_gradients() {
    // With B = 0 the adapters elsewhere change nothing, so the gradients of the common ones must be the same.
    let run = |targets: &[&str]| {
        let mut model = model();
        model.attach_lora(&lora(targets), 9).expect("a valid adapter");
        model.set_trainable(Trainable::Adapter);
        gradients(&mut model, &[&batch()])
    };
    let all = run(&["all-linear"]);
    for target in [
        "layers.2.mlp.down_proj",
        "layers.1.self_attn.k_proj",
        "layers.1.mlp.up_proj",
        "layers.2.self_attn.o_proj",
    ] {
        let few = run(&[target]);
        assert_eq!(few.len(), 2);
        for (name, grad) in &few {
            let same = all.iter().find(|(n, _)| n == name).expect("the tensor is in both");
            assert_eq!(*grad, same.1, "{name}");
        }
    }
}

#[test]
fn a_batch_without_labels_changes_nothing() {
    let mut model = model();
    model.set_trainable(Trainable::Full);
    let mut silent = batch();
    silent.labels.fill(tillage_model::IGNORE);
    let loss = model.forward_backward(&silent).expect("a valid batch");
    assert_eq!((loss.sum, loss.tokens), (0.0, 0));
    assert!(model.parameters_mut().iter().all(|p| p.grad.iter().all(|g| *g == 0.0)));
}

#[test]
fn steps_repeat_bit_for_bit() {
    let run = || {
        let mut model = adapted(&lora(&["all-linear"]));
        (gradients(&mut model, &[&batch(), &batch()]), model.loss_only(&batch()).expect("a valid batch"))
    };
    let first = run();
    for _ in 0..5 {
        assert!(run() == first);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_gradients() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let mut model = Model::init(wide(), 3);
            model.set_trainable(Trainable::Full);
            let texts: Vec<_> = (0..9).map(|i| crate::support::text(40 + 20 * i, i)).collect();
            let batch = Packed::texts(texts.iter().map(Vec::as_slice));
            let first = gradients(&mut model, &[&batch]);
            assert!(first == gradients(&mut model, &[&batch]), "repeated with {threads} threads");
            first
        })
    };
    let one = run(1);
    for threads in [2, 3, 5] {
        for ((name, a), (_, b)) in one.iter().zip(run(threads)) {
            assert!(a.iter().any(|g| *g != 0.0), "{name}");
            crate::support::close(&b, a, 1e-5);
        }
    }
}

/// Wide enough that products and norms are shared between threads.
fn wide() -> tillage_model::ModelConfig {
    crate::support::config_with(serde_json::json!({
        "hidden_size": 128, "intermediate_size": 300, "head_dim": 32, "max_position_embeddings": 256,
    }))
}
