//! AdamW and the gradient's norm, over all tensors at once.

use super::simd::vectorised;
use crate::AdamWStep;
use rayon::prelude::*;

/// Numbers that one task takes; fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 16_384;

/// A tensor with its gradient and its two moments; all four are equally long.
#[derive(Debug)]
pub struct AdamWTensor<'a> {
    /// The weights; they are changed.
    pub value: &'a mut [f32],
    /// The gradient, before `grad_scale`.
    pub grad: &'a [f32],
    /// First moment: the running mean of the gradients; it is changed.
    pub first: &'a mut [f32],
    /// Second moment: the running mean of their squares; it is changed.
    pub second: &'a mut [f32],
}

/// One AdamW step on every tensor, as `torch.optim.AdamW` computes it.
pub fn adamw(tensors: &mut [AdamWTensor<'_>], s: &AdamWStep) {
    let correction1 = 1.0 - s.beta1.powi(s.step as i32);
    let correction2 = 1.0 - s.beta2.powi(s.step as i32);
    let step_size = (s.lr / correction1) as f32;
    let root = correction2.sqrt() as f32;
    let shrink = (1.0 - s.lr * s.weight_decay) as f32;
    let (b2, eps) = (s.beta2 as f32, s.eps as f32);
    let (blend1, blend2) = ((1.0 - s.beta1) as f32, (1.0 - s.beta2) as f32);
    let scale = s.grad_scale;
    let blocks: Vec<_> = tensors
        .iter_mut()
        .flat_map(|t| {
            assert!(
                t.grad.len() == t.value.len()
                    && t.first.len() == t.value.len()
                    && t.second.len() == t.value.len()
            );
            let moments = t.first.chunks_mut(BLOCK).zip(t.second.chunks_mut(BLOCK));
            t.value.chunks_mut(BLOCK).zip(t.grad.chunks(BLOCK)).zip(moments)
        })
        .collect();
    blocks.into_par_iter().with_min_len(4).for_each(|((value, grad), (first, second))| {
        vectorised(
            #[inline(always)]
            || {
                for (((p, g), m), v) in value.iter_mut().zip(grad).zip(first).zip(second) {
                    let g = *g * scale;
                    *m += blend1 * (g - *m);
                    *v = b2 * *v + blend2 * g * g;
                    *p = *p * shrink - step_size * (*m / (v.sqrt() / root + eps));
                }
            },
        );
    });
}

/// L2 norm of all gradients together, summed in f64.
pub fn grad_norm<'a>(grads: impl IntoIterator<Item = &'a [f32]>) -> f64 {
    let blocks: Vec<&[f32]> = grads.into_iter().flat_map(|g| g.chunks(BLOCK)).collect();
    let sums: Vec<f64> = blocks
        .par_iter()
        .with_min_len(4)
        .map(|block| {
            vectorised(
                #[inline(always)]
                || {
                    let mut lanes = [0.0f64; 8];
                    for chunk in block.chunks(8) {
                        for (lane, &x) in lanes.iter_mut().zip(chunk) {
                            *lane += f64::from(x) * f64::from(x);
                        }
                    }
                    lanes.iter().sum::<f64>()
                },
            )
        })
        .collect();
    sums.iter().sum::<f64>().sqrt()
}
