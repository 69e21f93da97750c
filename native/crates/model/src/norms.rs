//! Norms of the residual stream and of the blocks' outputs.

use crate::config::{ModelConfig, NormKind};
use crate::weights::{NormIds, Tensor};
use tillage_kernels::{cpu, Runs};

/// Numbers that a norm keeps of each row.
pub(crate) fn stats_width(config: &ModelConfig) -> usize {
    if config.norm == NormKind::Layer {
        2
    } else {
        1
    }
}

/// What the stored weight lacks.
pub(crate) fn offset(config: &ModelConfig) -> f32 {
    if config.norm == NormKind::RmsPlusOne {
        1.0
    } else {
        0.0
    }
}

/// `y = norm(x)`, row by row; `stats` receives what the backward pass needs.
pub(crate) fn forward(
    config: &ModelConfig,
    tensors: &[Tensor],
    ids: &NormIds,
    y: &mut [f32],
    stats: &mut [f32],
    x: &[f32],
) {
    let (w, eps) = (&tensors[ids.weight].value, config.norm_eps as f32);
    match ids.bias {
        Some(bias) => cpu::layer_norm(y, stats, x, w, &tensors[bias].value, eps),
        None => {
            let rows = Runs::rows(stats.len(), w.len());
            cpu::rms_norm((y, rows), stats, (x, rows), w, offset(config), eps);
        }
    }
}

/// Adds the gradient of [`forward`] to `dx` and to the weight's where it is trained.
pub(crate) fn backward(
    config: &ModelConfig,
    tensors: &mut [Tensor],
    ids: &NormIds,
    dx: &mut [f32],
    dy: &[f32],
    x: &[f32],
    stats: &[f32],
) {
    match ids.bias {
        Some(bias) => {
            let [weight, bias] =
                tensors.get_disjoint_mut([ids.weight, bias]).expect("two tensors of one norm");
            let Tensor { value, grad, .. } = weight;
            let dw = (!grad.is_empty()).then_some(&mut grad[..]);
            cpu::layer_norm_backward(dx, [dw, bias.grad_mut()], dy, x, value, stats);
        }
        None => {
            let Tensor { value, grad, .. } = &mut tensors[ids.weight];
            let dw = (!grad.is_empty()).then_some(&mut grad[..]);
            let rows = Runs::rows(stats.len(), value.len());
            let place = (dx, rows);
            cpu::rms_norm_backward(place, dw, dy, (x, rows), value, offset(config), stats, true);
        }
    }
}
