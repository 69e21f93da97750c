//! Rotations against those of transformers, which `bench/peers/rope_reference.py` has written down.

use serde_json::Value;
use tillage_kernels::cpu::{self, RopeTable};
use tillage_kernels::Runs;
use tillage_model::ModelConfig;

/// Cosines and sines at a position, the factor on both included, by turning (1, 0) of every pair.
fn turned(config: &ModelConfig, position: u32) -> [Vec<f32>; 2] {
    let rope = &config.ropes[0];
    let mut table = RopeTable::new(rope.dims, rope.theta, &rope.scaling, rope.amplitude);
    table.grow(position as usize + 1);
    let half = rope.dims / 2;
    let mut x = [vec![1.0; half], vec![0.0; half]].concat();
    let runs = Runs { tokens: 1, stride: rope.dims, start: 0, per_token: 1, width: rope.dims };
    cpu::rope(&mut x, runs, &[position], &table, false);
    let sines = x.split_off(half);
    [x, sines]
}

#[test]
fn every_way_to_stretch_positions_is_that_of_transformers() {
    let file: Value = serde_json::from_str(include_str!("../data/rope.json")).expect("JSON");
    let numbers = |row: &Value| -> Vec<f64> {
        row.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
    };
    let cases = file["cases"].as_array().expect("a list");
    assert!(cases.len() >= 16);
    for case in cases {
        let name = &case["name"];
        let config =
            ModelConfig::from_json(&case["config"].to_string()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert!(config.max_position_embeddings >= 256, "{name}: the positions are within the context");
        for (at, position) in file["positions"].as_array().expect("a list").iter().enumerate() {
            let position = position.as_u64().expect("a position") as u32;
            for (ours, which) in turned(&config, position).iter().zip(["cos", "sin"]) {
                let theirs = numbers(&case[which][at]);
                assert_eq!(ours.len(), theirs.len());
                for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
                    // A frequency's last digit, times the position; a small sine is that exact by itself.
                    let tolerance = 2e-7 * f64::from(position.max(1)) * b.abs().clamp(1e-4, 1.0);
                    let apart = (f64::from(*a) - b).abs();
                    assert!(
                        apart <= tolerance.max(2e-7 * b.abs()),
                        "{name}, position {position}, {which} {i}: {a}, {b}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_turns_by_the_length_of_the_text_is_held_to_the_length_that_needs_no_choice() {
    let file: Value = serde_json::from_str(include_str!("../data/rope.json")).expect("JSON");
    let of = |name: &str| {
        let case = file["cases"].as_array().expect("a list").iter().find(|c| c["name"] == name);
        ModelConfig::from_json(&case.expect("a case")["config"].to_string()).expect("a config")
    };
    assert_eq!(of("longrope of phi3").max_position_embeddings, 256);
    assert_eq!(of("dynamic").max_position_embeddings, 512);
}
