//! Adapters on the experts of a layer as PEFT writes them since transformers 5: all experts in one tensor.
//!
//! For `experts` experts of rank r, A is `[experts * r, in]`, expert e in the rows e r and following; B is
//! `[out, r * experts]`, column i of expert e at i experts + e. Gate and up share an update.

use crate::adapter::{Adapter, PEFT_PREFIX};
use crate::linear::slot;
use crate::peft::Entry;
use crate::spec::{DecoderSpec, LayerSpec};
use crate::store::{self, Tensors};
use std::collections::BTreeMap;
use std::path::Path;
use tillage_protocol::EngineError;

/// Where transformers 5 has a layer's experts, whatever the hub's files call them.
fn module(layer: &LayerSpec) -> Option<String> {
    layer.router.as_ref()?;
    let (block, _) = layer.linears[slot::up(0)].parts[0].module.split_once(".experts.")?;
    Some(format!("{}.experts", block.replace("block_sparse_moe", "mlp")))
}

/// Takes the fused tensors, if there are any, into the adapter, an expert at a time.
pub(crate) fn load(
    adapter: &mut Adapter,
    spec: &DecoderSpec,
    tensors: &mut Tensors,
    path: &Path,
) -> Result<(), EngineError> {
    for (n, layer) in spec.layers.iter().enumerate() {
        let Some(module) = module(layer) else { continue };
        // The second parameter that PEFT wraps stands outside the first.
        for (place, name) in [("base_layer.", "gate_up_proj"), ("", "down_proj")] {
            let key = |suffix: &str| format!("{PEFT_PREFIX}{module}.{place}{suffix}.weight");
            let (a_key, b_key) = (key("lora_A"), key("lora_B"));
            let Some((a_shape, a)) = tensors.remove(&a_key) else { continue };
            let (b_shape, b) = tensors.remove(&b_key).ok_or_else(|| store::missing(&b_key, path))?;
            let which = usize::from(place.is_empty());
            let count = (layer.linears.len() - 2) / 2;
            let linear = &layer.linears[slot::up(0) + which];
            let r = a_shape.first().map_or(0, |rows| rows / count).max(1);
            if a_shape != [count * r, linear.inputs] {
                return Err(store::wrong_shape(&a_key, &a_shape, &[count * r, linear.inputs], path));
            }
            if b_shape != [linear.outputs(), count * r] {
                return Err(store::wrong_shape(&b_key, &b_shape, &[linear.outputs(), count * r], path));
            }
            adapter.fused_experts = true;
            for e in 0..count {
                let own = r * linear.inputs;
                let a = a[e * own..(e + 1) * own].to_vec();
                let column = |row: &[f32]| (0..r).map(|i| row[i * count + e]).collect::<Vec<_>>();
                let b = b.chunks_exact(count * r).flat_map(column).collect();
                let slot = slot::up(e) + which;
                let name = format!("{module}.{e}.{name}");
                adapter.push((n, slot), &name, 0..linear.outputs(), (linear.inputs, a), b, None);
            }
        }
    }
    Ok(())
}

/// The tensors of single experts put together, the others as they are.
pub(crate) fn fused(entries: Vec<Entry>) -> Vec<Entry> {
    let mut rest = Vec::new();
    let mut experts: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        match fused_name(&entry.0) {
            Some(name) => experts.entry(name).or_default().push(entry),
            None => rest.push(entry),
        }
    }
    // The adapter has them in the order of the experts.
    rest.extend(experts.into_iter().map(|(name, own)| {
        let (count, rows) = (own.len(), own[0].1[0]);
        if name.ends_with("lora_A.weight") {
            let shape = vec![count * rows, own[0].1[1]];
            return (name, shape, own.into_iter().flat_map(|(_, _, value)| value).collect());
        }
        let r = own[0].1[1];
        let mut value = Vec::with_capacity(count * rows * r);
        for row in 0..rows {
            for i in 0..r {
                value.extend(own.iter().map(|(_, _, b)| b[row * r + i]));
            }
        }
        (name, vec![rows, count * r], value)
    }));
    rest
}

/// `….experts.3.gate_up_proj.lora_A.weight` to `….experts.base_layer.lora_A.weight`.
fn fused_name(name: &str) -> Option<String> {
    let (block, rest) = name.split_once(".experts.")?;
    let (_, rest) = rest.split_once('.')?;
    let (projection, suffix) = rest.split_once('.')?;
    match projection {
        "gate_up_proj" => Some(format!("{block}.experts.base_layer.{suffix}")),
        "down_proj" => Some(format!("{block}.experts.{suffix}")),
        _ => None,
    }
}
