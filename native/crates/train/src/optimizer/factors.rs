//! What an optimiser's next step would multiply a gradient with, from its states on the disk.

use super::states::SMALLEST_8BIT;
use safetensors::tensor::{Dtype, SafeTensors};
use std::path::Path;
use tillage_kernels::cpu::{Blocks, DynamicCode};
use tillage_kernels::mapped::MappedFile;
use tillage_model::Model;
use tillage_protocol::course::OptimizerKind;
use tillage_protocol::run::TrainConfig;
use tillage_protocol::EngineError;

/// 1 / (√v̂ + ε) for each trained number, in the order of the model's parameters: what AdamW's step multiplies the mean gradient
/// with, but for the learning rate (Kingma and Ba 2015, algorithm 1). An adapter's B learns `b_ratio` times as fast.
///
/// `None` under Muon, whose steps are no product of each number with a factor.
///
/// # Errors
/// `bad_checkpoint` when the states are broken or of another model; the machine's.
pub fn factors(
    path: &Path,
    model: &mut Model,
    config: &TrainConfig,
    b_ratio: f64,
) -> Result<Option<Vec<f32>>, EngineError> {
    if config.optimizer == OptimizerKind::Muon {
        return Ok(None);
    }
    let bad = |why: String| {
        EngineError::user(
            "bad_checkpoint",
            format!("The checkpoint's optimiser states cannot be used: {why}."),
            "Delete this checkpoint's folder and ask again.",
        )
        .with_file(path)
    };
    let bytes = MappedFile::open(path).map_err(|e| EngineError::io(&e, path))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
    let told = header.metadata().as_ref().and_then(|m| m.get("step")?.parse::<f64>().ok());
    let updates = told.filter(|n| *n >= 1.0).ok_or_else(|| bad("they name no step".into()))?;
    let correction = 1.0 - config.beta2.powf(updates);
    let view = |name: &str, dtype: Dtype, shape: &[usize]| {
        let view = file.tensor(name).map_err(|e| bad(e.to_string()))?;
        if view.dtype() != dtype || view.shape() != shape {
            return Err(bad(format!("{name} is {:?} {:?}", view.dtype(), view.shape())));
        }
        Ok(view.data())
    };
    let mut all = Vec::with_capacity(model.trainable_count());
    for p in model.parameters_mut() {
        let (name, n) = (p.name, p.value.len());
        let second = if config.optimizer == OptimizerKind::AdamW8bit && n >= SMALLEST_8BIT {
            let code = DynamicCode::unsigned();
            let mut blocks = Blocks::zeros(n, code);
            blocks.codes.copy_from_slice(view(&format!("second8.{name}"), Dtype::U8, p.shape)?);
            let count = blocks.largest.len();
            let largest = view(&format!("second8_largest.{name}"), Dtype::F32, &[count])?;
            blocks.largest = floats(largest).collect();
            blocks.numbers(code)
        } else {
            floats(view(&format!("second.{name}"), Dtype::F32, p.shape)?).collect()
        };
        let ratio = if name.contains("lora_B") { b_ratio } else { 1.0 };
        let factor = |v: f32| (ratio / ((f64::from(v) / correction).sqrt() + config.adam_eps)) as f32;
        all.extend(second.into_iter().map(factor));
    }
    Ok(Some(all))
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
}
