//! What a student learns from a teacher, where the model or the batch is no plain one.

use crate::gradients::check_slopes;
use crate::support::{adapt, batch, config, config_with, lora, model_of};
use serde_json::json;
use tillage_model::{Distillation, Model, Packed};

#[test]
fn distilled_gradients_go_through_a_soft_cap() {
    // Both a student and a teacher whose logits are capped, at a cap that bends them a good deal.
    let capped = |more| {
        let mut all = json!({"model_type": "gemma2", "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 10,
            "attention_bias": false, "mlp_bias": false, "sliding_window": 8, "final_logit_softcapping": 2.0});
        all.as_object_mut().expect("an object").extend::<serde_json::Map<String, _>>(more);
        config_with(all)
    };
    let layers = json!({"num_hidden_layers": 1}).as_object().expect("an object").clone();
    let teacher = Model::init(capped(layers), 11);
    let settings = Distillation { temperature: 2.0, alpha: 0.6 };
    let mut model = adapt(model_of(capped(serde_json::Map::new())), &lora(&["all-linear"]));
    let tensors = model.parameters_mut().len();
    let checked = check_slopes(&mut model, &mut |model| {
        let found = model.distill(&batch(), &teacher, settings).expect("a valid batch");
        found.loss.sum / found.loss.tokens as f64
    });
    assert_eq!(checked, tensors);
}

#[test]
fn a_row_counts_in_a_distillation_as_its_weight_says() {
    let teacher = Model::init(config_with(json!({"num_hidden_layers": 1})), 11);
    let settings = Distillation { temperature: 2.0, alpha: 0.6 };
    let mut model = adapt(model_of(config()), &lora(&["q_proj", "down_proj"]));
    let weighed = Packed { weights: Some(vec![0.25, 1.0, 3.0]), normalizer: Some(5.0), ..batch() };
    let plain = model.distill(&batch(), &teacher, settings).expect("a valid batch").loss;
    let found = model.distill(&weighed, &teacher, settings).expect("a valid batch").loss;
    assert_eq!(found.per_example, plain.per_example, "a row's own loss is without its weight");
    let wanted = 0.25 * plain.per_example[0].0 + plain.per_example[1].0 + 3.0 * plain.per_example[2].0;
    assert!((found.sum - wanted).abs() < 1e-9, "{} instead of {wanted}", found.sum);
    let tensors = model.parameters_mut().len();
    let checked = check_slopes(&mut model, &mut |model| {
        model.distill(&weighed, &teacher, settings).expect("a valid batch").loss.sum / 5.0
    });
    assert_eq!(checked, tensors);
}
