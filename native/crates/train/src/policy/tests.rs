//! An update's gradient, from answers that are made up: the formulas' loss of the model's own numbers, however it is split.

use super::draw::{texts, Known};
use super::learn::learn;
use super::{nothing, Settings};
use crate::testing::adapt;
use serde_json::json;
use tillage_model::objective::{policy, ppo, Average, Generated, PolicyLoss, PpoLoss, Valued};
use tillage_model::{Model, ModelConfig};
use tillage_protocol::run::{Objective, PolicyAverage, PolicyConfig, PpoConfig};

#[test]
fn every_setting_reaches_the_loss() {
    let more = PpoConfig {
        gamma: 0.9,
        lambda: 0.8,
        kl: 0.3,
        cut_penalty: 2.0,
        value_clip: 0.4,
        value_weight: 0.6,
        ..PpoConfig::default()
    };
    let config = PolicyConfig {
        group: 5,
        max_new: 7,
        temperature: 0.7,
        beta: 0.05,
        epochs: Some(3),
        minibatches: Some(2),
        epsilon: Some(0.15),
        ppo: Some(more),
        ..nothing()
    };
    let grpo = Settings::of(Objective::Grpo, &config);
    let loss = PolicyLoss {
        average: Average::Tokens,
        clip: 0.15,
        sequence_ratio: false,
        beta: 0.05,
        correct_divergence: false,
    };
    let average = PolicyConfig { average: PolicyAverage::Tokens, ..config.clone() };
    assert_eq!(Settings::of(Objective::Grpo, &average).loss, loss);
    assert_eq!((grpo.group, grpo.max_new, grpo.temperature), (5, 7, 0.7));
    assert_eq!((grpo.epochs, grpo.minibatches, grpo.leave_one_out, grpo.ppo), (3, 2, false, None));
    assert!(grpo.needs_reference() && Settings::of(Objective::Rloo, &config).leave_one_out);
    let found = Settings::of(Objective::Ppo, &config).ppo.unwrap();
    assert_eq!(found.loss, PpoLoss { clip: 0.15, value_clip: 0.4, value_weight: 0.6 });
    assert_eq!((found.gamma, found.lambda, found.kl, found.cut_penalty), (0.9, 0.8, 0.3, 2.0));
    // TRL's clip where nobody says otherwise.
    assert_eq!(Settings::of(Objective::Grpo, &nothing()).loss.clip, 0.2);
}

fn model() -> Model {
    let config = json!({
        "model_type": "llama", "hidden_act": "silu", "vocab_size": 31, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "initializer_range": 0.3,
    });
    let mut model = Model::init(ModelConfig::from_json(&config.to_string()).unwrap(), 5);
    adapt(&mut model, |model| model.attach_values(4).unwrap());
    model
}

/// Answers of different lengths, of which the model has moved away from where they were drawn.
fn known(settings: &Settings, model: &Model) -> Vec<Known> {
    let mut all: Vec<Known> = [(4, 3), (6, 5), (3, 1), (5, 4)]
        .into_iter()
        .enumerate()
        .map(|(i, (prompt, new))| Known {
            tokens: (0..prompt + new).map(|t| ((t * t * 5 + t * 3 + i * 7) % 31) as u32).collect(),
            prompt,
            ..Known::default()
        })
        .collect();
    let (losses, values) = model.token_losses_and_values(&texts(settings, all.iter()).pack).unwrap();
    let mut at = 0;
    for (i, one) in all.iter_mut().enumerate() {
        let tokens = one.tokens.len() - one.prompt;
        let off = |t: usize, by: f64| by * ((t * 37 + i * 11) % 13) as f64 / 6.0 - by;
        for t in 0..tokens {
            let now = -f64::from(losses[at]);
            one.old.push(now + off(t, 0.3));
            one.reference.push(now + off(t + 5, 0.5));
            // Old values to both sides of the new one, within the clip and beyond, and returns to the same side and the other.
            let value = f64::from(values[at]);
            let side = if (t + i) % 2 == 0 { 1.0 } else { -0.7 };
            one.value.push(value + off(t + 2, 0.9));
            one.returns.push(value + side * off(t + 2, 0.9));
            at += 1;
        }
        one.advantage = match settings.has_values() {
            true => (0..tokens).map(|t| off(t + 7, 1.5)).collect(),
            false => vec![[1.5, -0.7, 0.4, -1.1][i]],
        };
    }
    all
}

/// The update's loss, by the formulas on what the model says now.
fn formula(settings: &Settings, model: &Model, known: &[Known]) -> f64 {
    let texts = texts(settings, known.iter());
    let (losses, values) = model.token_losses_and_values(&texts.pack).unwrap();
    let now: Vec<Vec<f64>> = texts.split(&losses).into_iter().map(|[_, c]| c).collect();
    let mut values = values.into_iter().map(f64::from);
    let value: Vec<Vec<f64>> = now.iter().map(|n| values.by_ref().take(n.len()).collect()).collect();
    let field = |of: fn(&Known) -> &Vec<f64>| known.iter().map(|k| of(k).clone()).collect::<Vec<_>>();
    let (old, advantage) = (field(|k| &k.old), field(|k| &k.advantage));
    match &settings.ppo {
        Some(kind) => {
            let (old_value, returns) = (field(|k| &k.value), field(|k| &k.returns));
            let all = Valued::all([&now, &old, &value, &old_value, &advantage, &returns]);
            ppo(&all, &kind.loss, now.iter().map(Vec::len).sum()).loss
        }
        None => {
            let reference = field(|k| &k.reference);
            let each = (0..now.len()).map(|i| Generated {
                policy: &now[i],
                old: &old[i],
                reference: &reference[i],
                advantage: advantage[i][0],
            });
            policy(&each.collect::<Vec<_>>(), &settings.loss).0
        }
    }
}

/// Loss and gradients of an update in chunks.
fn learned(
    settings: &Settings,
    model: &mut Model,
    known: &[Known],
    chunks: &[&[usize]],
) -> (f64, Vec<Vec<f32>>) {
    model.zero_grad();
    let tokens = known.iter().map(|one| one.tokens.len() - one.prompt).sum();
    let mut sum = 0.0;
    for chunk in chunks {
        let chunk: Vec<&Known> = chunk.iter().map(|i| &known[*i]).collect();
        sum += learn(settings, model, &chunk, known.len(), tokens).unwrap().sum;
    }
    let loss = sum / (known.len() as f64 / settings.group as f64);
    (loss, model.parameters_mut().into_iter().map(|p| p.grad.to_vec()).collect())
}

/// Moves one trained tensor.
fn shift(model: &mut Model, which: usize, direction: &[f64], by: f64) {
    let p = model.parameters_mut().remove(which);
    p.value.iter_mut().zip(direction).for_each(|(v, d)| *v += (by * d) as f32);
}

#[test]
fn an_update_has_the_formulas_loss_and_its_slopes_however_it_is_split() {
    let of = |objective, average| {
        let ppo = PpoConfig { value_clip: 0.3, value_weight: 0.7, ..PpoConfig::default() };
        let config = PolicyConfig {
            group: 2,
            max_new: 6,
            temperature: 0.8,
            beta: if objective == Objective::Ppo { 0.0 } else { 0.3 },
            average,
            epochs: Some(2),
            ppo: Some(ppo),
            ..nothing()
        };
        Settings::of(objective, &config)
    };
    for settings in [
        of(Objective::Grpo, PolicyAverage::Completions),
        of(Objective::Grpo, PolicyAverage::Tokens),
        of(Objective::Grpo, PolicyAverage::Longest),
        of(Objective::Rloo, PolicyAverage::default()),
        of(Objective::Ppo, PolicyAverage::default()),
    ] {
        let mut model = model();
        let known = known(&settings, &model);
        let wanted = formula(&settings, &model, &known);
        let (loss, grads) = learned(&settings, &mut model, &known, &[&[0, 1, 2, 3]]);
        assert!((loss - wanted).abs() < 1e-6, "{settings:?}: {loss} instead of {wanted}");
        let (split, parts) = learned(&settings, &mut model, &known, &[&[2], &[0, 3], &[1]]);
        assert!((split - wanted).abs() < 1e-6, "{settings:?}: {split} instead of {wanted}");
        for (a, b) in grads.iter().flatten().zip(parts.iter().flatten()) {
            assert!((a - b).abs() < 1e-5, "{settings:?}: {a} and {b}");
        }
        for (which, grad) in grads.iter().enumerate() {
            let norm = grad.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            if norm == 0.0 {
                continue;
            }
            let direction: Vec<f64> = grad.iter().map(|g| f64::from(*g) / norm).collect();
            let mut at = |step: f64| {
                shift(&mut model, which, &direction, step);
                let loss = formula(&settings, &model, &known);
                shift(&mut model, which, &direction, -step);
                loss
            };
            let slope = (at(2e-3) - at(-2e-3)) / 4e-3;
            assert!((slope - norm).abs() <= 1e-2 * norm + 1e-3, "{settings:?} {which}: {slope}, {norm}");
        }
        let head = grads.last().unwrap();
        assert_eq!(head.iter().any(|g| *g != 0.0), settings.has_values());
    }
}
