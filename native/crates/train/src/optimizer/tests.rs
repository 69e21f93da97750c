use super::*;
use tillage_kernels::cpu::Blocks;
use tillage_kernels::reference;
use tillage_model::Trainable;

const KINDS: [OptimizerKind; 3] = [OptimizerKind::AdamW, OptimizerKind::AdamW8bit, OptimizerKind::Muon];

/// 600 x 8 numbers of the embedding are enough for 8 bits; nothing else is.
fn model() -> Model {
    let shape = serde_json::json!({"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 16});
    let shape = serde_json::from_value(shape).unwrap();
    let mut model = Model::init(ModelConfig::from_init(&shape, 600, None, None, None).unwrap(), 3);
    model.set_trainable(Trainable::Full);
    model
}

/// Settings of which no two are the same and none is a default.
fn config() -> TrainConfig {
    serde_json::from_value(serde_json::json!({"epochs": 1, "batch_tokens": 16, "context": 16, "lr": 0.1,
        "schedule": "constant", "seed": 1, "beta1": 0.7, "beta2": 0.9, "adam_eps": 0.05, "weight_decay": 0.3,
        "clip_norm": 0.6}))
    .unwrap()
}

fn set_gradients(model: &mut Model, step: usize) {
    for p in model.parameters_mut() {
        for (i, g) in p.grad.iter_mut().enumerate() {
            *g = ((i * 7 + step * 5) % 13) as f32 * 0.02 - 0.1;
        }
    }
}

fn wide(v: &[f32]) -> Vec<f64> {
    v.iter().map(|x| f64::from(*x)).collect()
}

fn values(model: &mut Model) -> Vec<Vec<f32>> {
    model.parameters_mut().into_iter().map(|p| p.value.to_vec()).collect()
}

#[test]
fn a_step_follows_every_setting_of_the_run() {
    let (mut model, config) = (model(), config());
    let mut optimizer = Optimizer::new(&mut model, OptimizerKind::AdamW);
    let mut exact: Vec<[Vec<f64>; 3]> =
        values(&mut model).iter().map(|v| [wide(v), vec![0.0; v.len()], vec![0.0; v.len()]]).collect();
    for (step, lr) in [0.1, 0.05, 0.02].into_iter().enumerate() {
        set_gradients(&mut model, step);
        let norm = Optimizer::grad_norm(&mut model);
        assert!(norm > config.clip_norm, "{norm}");
        let s = AdamWStep {
            lr,
            beta1: 0.7,
            beta2: 0.9,
            eps: 0.05,
            weight_decay: 0.3,
            step: step as u64 + 1,
            grad_scale: (0.6 / (norm + 1e-6)) as f32,
        };
        for (p, [value, first, second]) in model.parameters_mut().iter().zip(&mut exact) {
            reference::adamw(value, &wide(p.grad), first, second, &s);
        }
        optimizer.apply(&mut model, &config, lr, norm);
    }
    for (ours, [exact, ..]) in values(&mut model).iter().zip(&exact) {
        for (a, b) in ours.iter().zip(exact) {
            assert!((f64::from(*a) - b).abs() < 1e-6, "{a} instead of {b}");
        }
    }
}

#[test]
fn muon_takes_the_layers_matrices_and_adamw_the_rest() {
    let (mut model, config) = (model(), config());
    let mut optimizer = Optimizer::new(&mut model, OptimizerKind::Muon);
    let mut exact: Vec<[Vec<f64>; 3]> =
        values(&mut model).iter().map(|v| [wide(v), vec![0.0; v.len()], vec![0.0; v.len()]]).collect();
    let mut turned = Vec::new();
    for step in 0..3 {
        set_gradients(&mut model, step);
        let norm = Optimizer::grad_norm(&mut model);
        let grad_scale = (0.6 / (norm + 1e-6)) as f32;
        turned.clear();
        for (p, [value, first, second]) in model.parameters_mut().iter().zip(&mut exact) {
            if p.name.contains("_proj") {
                turned.push(p.name.to_owned());
                let s = MuonStep { lr: 0.02, momentum: 0.95, weight_decay: 0.3, grad_scale };
                reference::muon(value, &wide(p.grad), first, (p.shape[0], p.shape[1]), &s);
            } else {
                let s = AdamWStep {
                    lr: 0.02,
                    beta1: 0.7,
                    beta2: 0.9,
                    eps: 0.05,
                    weight_decay: 0.3,
                    step: step as u64 + 1,
                    grad_scale,
                };
                reference::adamw(value, &wide(p.grad), first, second, &s);
            }
        }
        optimizer.apply(&mut model, &config, 0.02, norm);
    }
    assert_eq!(turned.len(), 7, "{turned:?}");
    for (ours, [exact, ..]) in values(&mut model).iter().zip(&exact) {
        for (a, b) in ours.iter().zip(exact) {
            assert!((f64::from(*a) - b).abs() < 1e-4, "{a} instead of {b}");
        }
    }
}

#[test]
fn only_large_tensors_have_8_bit_states() {
    let mut model = model();
    let optimizer = Optimizer::new(&mut model, OptimizerKind::AdamW8bit);
    let small = |s: &Slot| matches!(s.states, States::AdamW8bit { .. });
    let names: Vec<&str> = optimizer.slots.iter().filter(|s| small(s)).map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["model.embed_tokens.weight"]);
}

#[test]
fn the_plan_counts_what_the_states_take() {
    for kind in KINDS {
        let mut model = model();
        let optimizer = Optimizer::new(&mut model, kind);
        let floats = |v: &Vec<f32>| 4 * v.len() as u64;
        let blocks = |b: &Blocks| b.codes.len() as u64 + floats(&b.largest);
        let held: u64 = optimizer
            .slots
            .iter()
            .map(|s| match &s.states {
                States::AdamW { first, second } => floats(first) + floats(second),
                States::AdamW8bit { first, second } => blocks(first) + blocks(second),
                States::Muon { momentum, .. } => floats(momentum),
            })
            .sum();
        let config = model.config().clone();
        let parameters = model.parameters_mut();
        let planned = planned_bytes(kind, &config, parameters.iter().map(|p| (p.name, p.shape)));
        // The widest matrix is 12 x 8: twice itself, and twice its shorter side's square.
        let scratch = if kind == OptimizerKind::Muon { 4 * (2 * 96 + 2 * 64) } else { 0 };
        assert_eq!(planned, held + scratch, "{kind:?}");
    }
}

#[test]
fn saved_states_go_on_as_those_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("optimizer.safetensors");
    for kind in KINDS {
        let (mut straight, config) = (model(), config());
        let mut optimizer = Optimizer::new(&mut straight, kind);
        for step in 0..3 {
            set_gradients(&mut straight, step);
            optimizer.apply(&mut straight, &config, 0.1, 1.0);
        }
        optimizer.save(&path).unwrap();
        let mut resumed = model();
        for (p, v) in resumed.parameters_mut().into_iter().zip(values(&mut straight)) {
            p.value.copy_from_slice(&v);
        }
        let mut loaded = Optimizer::new(&mut resumed, kind);
        loaded.load(&path, 3).unwrap();
        for (a, b) in optimizer.slots.iter().zip(&loaded.slots) {
            assert_eq!(a.states, b.states, "{kind:?} {}", a.name);
        }
        for (model, optimizer) in [(&mut straight, &mut optimizer), (&mut resumed, &mut loaded)] {
            set_gradients(model, 3);
            optimizer.apply(model, &config, 0.1, 1.0);
        }
        assert_eq!(values(&mut straight), values(&mut resumed), "{kind:?}: bit for bit");
        for other in KINDS.into_iter().filter(|other| *other != kind) {
            let error = Optimizer::new(&mut model(), other).load(&path, 3).unwrap_err();
            assert_eq!(error.code, "bad_checkpoint", "{other:?} from {kind:?}");
        }
        std::fs::write(&path, b"broken").unwrap();
        assert_eq!(loaded.load(&path, 3).unwrap_err().code, "bad_checkpoint");
    }
}

#[test]
fn an_adapters_b_learns_faster_by_the_ratio() {
    for kind in [OptimizerKind::AdamW, OptimizerKind::AdamW8bit] {
        let lora = serde_json::json!({"r": 2, "alpha": 4, "targets": ["all-linear"]});
        let mut model = model();
        model.attach_lora(&serde_json::from_value(lora).unwrap(), 5).unwrap();
        model.set_trainable(Trainable::Adapter);
        let config = TrainConfig { weight_decay: 0.0, ..config() };
        let before = values(&mut model);
        let moved = |model: &mut Model, ratio: f64| {
            let mut optimizer = Optimizer::new(model, kind).with_b_ratio(ratio);
            set_gradients(model, 1);
            optimizer.apply(model, &config, 0.01, 1.0);
            let names: Vec<String> = model.parameters_mut().iter().map(|p| p.name.to_owned()).collect();
            let after = values(model);
            for (p, value) in model.parameters_mut().into_iter().zip(&before) {
                p.value.copy_from_slice(value);
            }
            let apart = |(a, b): (&Vec<f32>, &Vec<f32>)| -> Vec<f64> {
                a.iter().zip(b).map(|(a, b)| f64::from(a - b)).collect()
            };
            (names, after.iter().zip(&before).map(apart).collect::<Vec<_>>())
        };
        let ((names, plain), (_, fast)) = (moved(&mut model, 1.0), moved(&mut model, 8.0));
        let mut seen = [0, 0];
        for ((name, plain), fast) in names.iter().zip(&plain).zip(&fast) {
            let b = name.contains("lora_B");
            seen[usize::from(b)] += 1;
            let wanted = if b { 8.0 } else { 1.0 };
            let sum = |x: &[f64]| x.iter().map(|v| v.abs()).sum::<f64>();
            assert!((sum(fast) / sum(plain) - wanted).abs() < 1e-3, "{name}: {} {}", sum(fast), sum(plain));
        }
        assert!(seen[0] == seen[1] && seen[0] > 0);
    }
}
