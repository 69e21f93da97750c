//! Quantised weights: codes and numbers of one matrix, and a model whose projections went through NF4, as QLoRA has it.

use super::base::{losses, stats, GRADIENT, LOSS};
use super::golden::Golden;
use super::report::Report;
use super::Options;
use crate::{Model, Packed, Trainable};
use tillage_kernels::matrix::{dynamic_map, Arithmetic, Int8, Matrix, Nf4, NF4_BLOCK, NF4_LEVELS};
use tillage_protocol::run::Dtype;
use tillage_protocol::EngineError;

pub(super) fn check(golden: &mut Golden, options: &Options, report: &mut Report) -> Result<(), EngineError> {
    matrix(golden, report);
    for form in ["fp4.", "int8_dynamic64.", "int8_dynamic256."] {
        golden.use_prefix(form);
        report.skip(&format!("{form}*"), "a form that the engine does not hold weights in");
    }
    qlora(golden, options, report)
}

fn matrix(golden: &mut Golden, report: &mut Report) {
    let Some((shape, w)) = golden.floats("W") else { return };
    let inputs = shape[1];
    let mut ints = |name: &str, ours: Vec<i64>, report: &mut Report| {
        if let Some((_, reference)) = golden.ints(name) {
            report.exact("codes", name, &ours, &reference);
        }
    };
    let bytes = |codes: &[u8]| codes.iter().map(|&c| i64::from(c)).collect::<Vec<_>>();
    let (int8, nf4) = (Int8::quantise(&w, inputs), Nf4::quantise(&w));
    ints("int8_rowwise.codes", int8.codes.iter().map(|&c| i64::from(c)).collect(), report);
    ints("nf4.codes", bytes(&nf4.codes), report);
    ints("nf4_dq.codes", bytes(&nf4.codes), report);
    ints("nf4_dq.absmax_u8", bytes(&nf4.scales), report);
    let mut floats = |name: &str, ours: &[f32], tolerance: f64, report: &mut Report| {
        if let Some((_, reference)) = golden.floats(name) {
            report.tensor("quantised", name, ours, &reference, tolerance, tolerance);
        }
    };
    let largest = |numbers: &[f32]| numbers.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let rows: Vec<f32> = w.chunks(inputs).map(largest).collect();
    let blocks: Vec<f32> = w.chunks(64).map(largest).collect();
    floats("int8_rowwise.absmax", &rows, 0.0, report);
    floats("int8_rowwise.dequant", &Matrix::int8(&w, inputs).to_f32(0..shape[0]), 0.0, report);
    floats("nf4.absmax", &blocks, 0.0, report);
    let plain: Vec<f32> =
        (0..w.len()).map(|i| NF4_LEVELS[usize::from(nf4.code(i))] * blocks[i / 64]).collect();
    floats("nf4.dequant", &plain, 0.0, report);
    floats("nf4.code_table", &NF4_LEVELS, 0.0, report);
    floats("nf4_dq.code_table", &NF4_LEVELS, 0.0, report);
    floats("nf4_dq.state2_code", &dynamic_map(), 0.0, report);
    floats("int8_dynamic.code_table", &dynamic_map(), 0.0, report);
    // The mean of the blocks' scales is added up in another order by torch: one unit in the last place.
    const ULP: f64 = 2.4e-7;
    floats("nf4_dq.absmax_offset", &[nf4.offset], ULP, report);
    floats("nf4_dq.state2_absmax", &nf4.scale_scales, ULP, report);
    let scales: Vec<f32> = (0..blocks.len()).map(|b| nf4.scale(b)).collect();
    floats("nf4_dq.absmax_restored", &scales, ULP, report);
    floats("nf4_dq.dequant", &Matrix::nf4(&w, inputs).to_f32(0..shape[0]), ULP, report);
}

/// What the reference made of projections whose rows are no whole number of blocks. Blocks are counted through all rows;
/// bitsandbytes 0.50 on a CPU with AVX-512 however takes row x (width / 64, rounded down) + column / 64 as the number of a
/// number's block when it decodes, and so other scales than it encoded with. Recomputed here to compare all the rest.
fn uneven(model: &Model) -> Vec<(usize, Vec<f32>)> {
    let projections = model.weights.layers.iter().flat_map(|l| &l.linears).map(|l| l.weight);
    let width = |id: usize| model.weights.tensors[id].parts[0].shape[1];
    let uneven = projections.filter(|id| !width(*id).is_multiple_of(NF4_BLOCK));
    uneven
        .map(|id| {
            let width = width(id);
            let decoded = model.weights.tensors[id].stored().flat_map(|(_, value)| {
                let nf4 = Nf4::quantise(value);
                let block = move |i: usize| i / width * (width / NF4_BLOCK) + i % width / NF4_BLOCK;
                (0..value.len()).map(move |i| NF4_LEVELS[usize::from(nf4.code(i))] * nf4.scale(block(i)))
            });
            (id, decoded.collect())
        })
        .collect()
}

/// The layers' projections in NF4, everything else and all arithmetic in f32, as the reference was computed.
fn qlora(golden: &mut Golden, options: &Options, report: &mut Report) -> Result<(), EngineError> {
    let inputs = options.model.join("golden.safetensors");
    let Some(batch) = Golden::open(&inputs)?.batch() else {
        report.skip("qlora.*", "the model's own reference has no input_ids, attention_mask and labels");
        return Ok(());
    };
    let mut model = Model::load(&options.model)?;
    if let (Some((name, weight)), Some((_, reference))) =
        (model.first_projection(), golden.ints("qlora.q_proj0.codes"))
    {
        let codes: Vec<i64> = Nf4::quantise(&weight).codes.into_iter().map(i64::from).collect();
        report.exact("codes", &name, &codes, &reference);
    }
    let uneven = uneven(&model);
    model.freeze_projections(Dtype::Nf4);
    model.set_arithmetic(Arithmetic::F32);
    for (tensor, value) in uneven {
        let tensor = &mut model.weights.tensors[tensor];
        (tensor.frozen, tensor.value) = (None, value);
    }
    if let Some((name, weight)) = model.first_projection() {
        if let Some((_, reference)) = golden.floats("qlora.q_proj0.dequant") {
            report.tensor("quantised", &name, &weight, &reference, 2.4e-7, 2.4e-7);
        }
    }
    let json = golden.json["qlora"].clone();
    let row = Packed::texts([&batch.tokens[..batch.starts[1]]]);
    let all: Vec<usize> = (0..row.tokens.len()).collect();
    let mut logits = |name: &str, model: &Model, report: &mut Report| {
        if let Some((shape, reference)) = golden.floats(name) {
            report.logits(name, &model.logits(&row, &all), &reference[..all.len() * shape[2]]);
        }
    };
    logits("qlora.base_logits", &model, report);
    let number = |key: &str| json[key].as_f64().unwrap_or(f64::NAN);
    report.number("qlora_loss", "base", model.loss_only(&batch)?.mean(), number("base_loss"), LOSS, 0.0);
    let folder = options.adapter.clone().unwrap_or_else(|| options.model.join("adapter"));
    model.load_adapter(&folder)?;
    logits("qlora.lora_logits", &model, report);
    model.set_trainable(Trainable::Adapter);
    let loss = model.forward_backward(&batch)?;
    losses("qlora_loss", &loss, &serde_json::json!({"loss": json["lora_loss"]}), report);
    let grads = model.adapter_gradients();
    for name in golden.names("qlora.grad.") {
        let (_, reference) = golden.floats(&format!("qlora.grad.{name}")).unwrap_or_default();
        let ours = grads.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, g)| g);
        report.tensor("qlora_grads", &name, ours, &reference, GRADIENT, GRADIENT);
    }
    stats("qlora_grad_norms", &json["grad_stats"], &grads, report);
    Ok(())
}
