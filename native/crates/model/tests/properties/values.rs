//! A policy with a value head.

use crate::gradients::check_slopes;
use crate::support::{adapted, batch, lora};
use tillage_model::objective::{ppo, PpoLoss, Texts, Valued};

/// Two texts whose last tokens are answers.
fn texts() -> Texts {
    let mut texts = Texts::default();
    texts.push(&[3, 5, 7, 9, 2], &[false, true, true, true], false);
    texts.push(&[4, 6, 8], &[false, true], false);
    texts
}

#[test]
fn gradients_of_ppo_through_the_whole_model_are_derivatives() {
    let kind = PpoLoss { clip: 0.2, value_clip: 0.2, value_weight: 0.5 };
    let mut model = adapted(&lora(&["all-linear"]));
    model.attach_values(3).expect("an adapter");
    assert!(model.has_values());
    let tensors = model.parameters_mut().len();
    let texts = texts();
    // The answers were drawn by a policy, and valued by a head, that were a little different.
    let (losses, values) = model.token_losses_and_values(&texts.pack).expect("a valid pack");
    let of = |all: &[f32], by: [f64; 4]| -> Vec<Vec<f64>> {
        let all: Vec<f64> = all.iter().zip(by).map(|(x, by)| f64::from(*x) + by).collect();
        vec![all[..3].to_vec(), all[3..].to_vec()]
    };
    let minus: Vec<f32> = losses.iter().map(|l| -l).collect();
    let old = of(&minus, [0.05, -0.1, 0.5, -0.08]);
    let old_value = of(&values, [0.05, -0.05, 0.1, 0.6]);
    let returns = of(&values, [0.5, -0.4, 0.3, 0.9]);
    let advantage = [vec![1.0, -0.5, -0.8], vec![0.6]];
    let checked = check_slopes(&mut model, &mut |model| {
        let mut loss = 0.0;
        model
            .forward_backward_valued(&texts.pack, &mut |losses, values| {
                let now: Vec<Vec<f64>> = texts.split(losses).into_iter().map(|[_, c]| c).collect();
                let value = of(values, [0.0; 4]);
                let answers = Valued::all([&now, &old, &value, &old_value, &advantage, &returns]);
                let found = ppo(&answers, &kind, 4);
                loss = found.loss;
                let slopes = found.value.iter().flatten().map(|s| *s as f32).collect();
                (texts.token_slopes(&found.policy), slopes)
            })
            .expect("a valid pack");
        loss
    });
    assert_eq!(checked, tensors, "the adapter's tensors and the head");
}

#[test]
fn a_value_head_is_saved_apart_and_read_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut model = adapted(&lora(&["all-linear"]));
    model.attach_values(3).expect("an adapter");
    let (_, before) = model.token_losses_and_values(&batch()).expect("a valid pack");
    assert_eq!(before.len(), batch().labelled());
    let file = dir.path().join("value_head.safetensors");
    model.save_score(&file).expect("room on the disk");
    model.save_adapter(dir.path(), "base").expect("room on the disk");
    let config = std::fs::read_to_string(dir.path().join("adapter_config.json")).expect("a config");
    assert!(config.contains("CAUSAL_LM"), "the adapter is one for texts: {config}");
    model.load_adapter(dir.path()).expect("an adapter without a head");
    assert!(!model.has_score());
    assert_eq!(model.token_losses_and_values(&batch()).unwrap_err().code, "no_score");
    model.attach_values(4).expect("an adapter");
    assert_ne!(model.token_losses_and_values(&batch()).expect("a valid pack").1, before);
    model.load_score(&file).expect("a head");
    assert_eq!(model.token_losses_and_values(&batch()).expect("a valid pack").1, before);
}
