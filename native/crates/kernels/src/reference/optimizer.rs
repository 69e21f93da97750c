//! AdamW, one number at a time.

use crate::AdamWStep;

/// One step on `value` with its moments.
pub fn adamw(value: &mut [f64], grad: &[f64], first: &mut [f64], second: &mut [f64], s: &AdamWStep) {
    for i in 0..value.len() {
        let g = grad[i] * f64::from(s.grad_scale);
        value[i] -= s.lr * s.weight_decay * value[i];
        first[i] = s.beta1 * first[i] + (1.0 - s.beta1) * g;
        second[i] = s.beta2 * second[i] + (1.0 - s.beta2) * g * g;
        let m = first[i] / (1.0 - s.beta1.powi(s.step as i32));
        let v = second[i] / (1.0 - s.beta2.powi(s.step as i32));
        value[i] -= s.lr * m / (v.sqrt() + s.eps);
    }
}

/// L2 norm of all numbers together.
pub fn grad_norm(grads: &[&[f64]]) -> f64 {
    grads.iter().flat_map(|g| g.iter()).map(|x| x * x).sum::<f64>().sqrt()
}
