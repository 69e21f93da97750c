//! Whole training runs: AdamW steps with clipping, compared step by step and at the end.

use super::golden::{pack, Golden};
use super::report::Report;
use super::Options;
use crate::{Model, Packed, Trainable};
use serde_json::Value;
use tillage_kernels::cpu::{adamw, grad_norm, AdamWTensor};
use tillage_kernels::{clip_factor, AdamWStep};
use tillage_protocol::EngineError;

/// Tolerances of a run: loss (absolute), gradient norm (relative), final tensors (relative L2, absolute).
struct Tolerance {
    loss: f64,
    norm: f64,
    l2: f64,
    max_abs: f64,
}

const LORA: Tolerance = Tolerance { loss: 1e-5, norm: 2e-6, l2: 2e-6, max_abs: 1e-5 };
const FULL: Tolerance = Tolerance { loss: 2e-5, norm: 3e-5, l2: 1e-5, max_abs: 3e-4 };

pub(super) fn check(golden: &mut Golden, options: &Options, report: &mut Report) -> Result<(), EngineError> {
    let Some(batches) = batches(golden) else {
        report.skip("trajectory", "the reference has no input_ids and labels");
        return Ok(());
    };
    for (kind, tolerance) in [("lora", LORA), ("full", FULL)] {
        let run = golden.json[kind].clone();
        if run.is_null() {
            continue;
        }
        let mut model = Model::load(&options.model)?;
        if kind == "lora" {
            let folder = options.adapter.clone().unwrap_or_else(|| options.model.join("adapter"));
            if !folder.is_dir() {
                report.skip("trajectory lora", "the adapter's folder is not there");
                golden.use_prefix("lora.final.");
                continue;
            }
            model.load_adapter(&folder)?;
            model.set_trainable(Trainable::Adapter);
        } else {
            model.set_trainable(Trainable::Full);
        }
        train(
            &format!("trajectory_{kind}"),
            &mut model,
            &batches,
            &golden.json["hyper"].clone(),
            &run,
            &tolerance,
            report,
        )?;
        finals(kind, &mut model, golden, &run, &tolerance, report);
    }
    Ok(())
}

fn batches(golden: &mut Golden) -> Option<Vec<Packed>> {
    let (shape, ids) = golden.ints("input_ids")?;
    let (_, labels) = golden.ints("labels")?;
    let (rows, width) = (*shape.get(1)?, *shape.get(2)?);
    let each = rows * width;
    let batch = |(ids, labels): (&[i64], &[i64])| pack(ids.chunks(width).zip(labels.chunks(width)));
    Some(ids.chunks(each).zip(labels.chunks(each)).map(batch).collect())
}

fn train(
    group: &str,
    model: &mut Model,
    batches: &[Packed],
    hyper: &Value,
    run: &Value,
    tolerance: &Tolerance,
    report: &mut Report,
) -> Result<(), EngineError> {
    let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
    let sizes: Vec<usize> = model.parameters_mut().iter().map(|p| p.value.len()).collect();
    let mut moments: Vec<(Vec<f32>, Vec<f32>)> =
        sizes.iter().map(|&n| (vec![0.0; n], vec![0.0; n])).collect();
    for (i, step) in run["history"].as_array().into_iter().flatten().enumerate() {
        model.zero_grad();
        let loss = model.forward_backward(&batches[i % batches.len()])?;
        let mut parameters = model.parameters_mut();
        let norm = grad_norm(parameters.iter().map(|p| &*p.grad));
        report.number(
            group,
            &format!("step {i} loss"),
            loss.mean(),
            number(&step["loss"]),
            tolerance.loss,
            0.0,
        );
        report.number(
            group,
            &format!("step {i} gradient norm"),
            norm,
            number(&step["grad_norm"]),
            0.0,
            tolerance.norm,
        );
        let settings = AdamWStep {
            lr: number(&step["lr"]),
            beta1: number(&hyper["betas"][0]),
            beta2: number(&hyper["betas"][1]),
            eps: number(&hyper["eps"]),
            weight_decay: number(&hyper["weight_decay"]),
            step: i as u64 + 1,
            grad_scale: clip_factor(norm, number(&hyper["clip_norm"])),
        };
        let mut tensors: Vec<AdamWTensor> = parameters
            .iter_mut()
            .zip(&mut moments)
            .map(|(p, (first, second))| AdamWTensor { value: p.value, grad: p.grad, first, second })
            .collect();
        adamw(&mut tensors, &settings);
    }
    Ok(())
}

fn finals(
    kind: &str,
    model: &mut Model,
    golden: &mut Golden,
    run: &Value,
    tolerance: &Tolerance,
    report: &mut Report,
) {
    let group = format!("trajectory_{kind}");
    let parameters = model.parameters_mut();
    let ours = |name: &str| {
        parameters
            .iter()
            .find(|p| p.name == name)
            .map_or((&[][..], 1), |p| (&*p.value, p.shape[p.shape.len() - 1]))
    };
    for name in golden.names(&format!("{kind}.final.")) {
        let (_, reference) = golden.floats(&format!("{kind}.final.{name}")).unwrap_or_default();
        report.weight(
            &group,
            &format!("final {name}"),
            ours(&name).0,
            &reference,
            tolerance.l2,
            tolerance.max_abs,
        );
    }
    for name in golden.names(&format!("{kind}.final_rows16.")) {
        let (_, reference) = golden.floats(&format!("{kind}.final_rows16.{name}")).unwrap_or_default();
        let (value, width) = ours(&name);
        let every16: Vec<f32> = value.chunks(width).step_by(16).flatten().copied().collect();
        report.weight(
            &group,
            &format!("final {name} (every 16th row)"),
            &every16,
            &reference,
            tolerance.l2,
            tolerance.max_abs,
        );
    }
    for (name, stats) in run["final_stats"].as_object().into_iter().flatten() {
        let norm = ours(name).0.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        let reference = stats["l2"].as_f64().unwrap_or(f64::NAN);
        report.number(&group, &format!("final {name} (norm)"), norm, reference, 0.0, tolerance.l2);
    }
}
