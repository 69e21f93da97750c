//! Attention with the whole matrix of scores.

use crate::AttentionShape;

/// Probabilities of one query over its keys.
fn probabilities(
    q: &[f64],
    k: &[f64],
    token: usize,
    start: usize,
    head: usize,
    s: &AttentionShape,
) -> Vec<f64> {
    let (d, kv) = (s.head_dim, head / s.group());
    let query = &q[token * s.q_width() + head * d..][..d];
    let scores: Vec<f64> = (start..=token)
        .map(|j| {
            if j - start < s.first_key(token - start) {
                return f64::NEG_INFINITY;
            }
            let key = &k[j * s.kv_width() + kv * d..][..d];
            capped(f64::from(s.scale) * query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>(), s).0
        })
        .collect();
    super::softmax(&scores)
}

/// A score under the soft cap, and the cap's derivative.
fn capped(score: f64, s: &AttentionShape) -> (f64, f64) {
    if s.softcap == 0.0 {
        return (score, 1.0);
    }
    let t = (score / f64::from(s.softcap)).tanh();
    (f64::from(s.softcap) * t, 1.0 - t * t)
}

/// Attention of every example on itself; see [`crate::cpu::attention`].
pub fn attention(q: &[f64], k: &[f64], v: &[f64], starts: &[usize], s: &AttentionShape) -> Vec<f64> {
    let d = s.head_dim;
    let mut out = vec![0.0; q.len()];
    for example in starts.windows(2) {
        for token in example[0]..example[1] {
            for head in 0..s.heads {
                let p = probabilities(q, k, token, example[0], head, s);
                for (j, p) in p.iter().enumerate() {
                    let value = &v[(example[0] + j) * s.kv_width() + head / s.group() * d..][..d];
                    for i in 0..d {
                        out[token * s.q_width() + head * d + i] += p * value[i];
                    }
                }
            }
        }
    }
    out
}

/// Gradients of [`attention`] with respect to `q`, `k` and `v`.
pub fn attention_backward(
    dout: &[f64],
    [q, k, v]: [&[f64]; 3],
    starts: &[usize],
    s: &AttentionShape,
) -> [Vec<f64>; 3] {
    let d = s.head_dim;
    let [mut dq, mut dk, mut dv] = [q, k, v].map(|x| vec![0.0; x.len()]);
    for example in starts.windows(2) {
        for token in example[0]..example[1] {
            for head in 0..s.heads {
                let p = probabilities(q, k, token, example[0], head, s);
                let at_q = token * s.q_width() + head * d;
                let at_kv = |j: usize| (example[0] + j) * s.kv_width() + head / s.group() * d;
                let dp: Vec<f64> =
                    (0..p.len()).map(|j| (0..d).map(|i| dout[at_q + i] * v[at_kv(j) + i]).sum()).collect();
                let mean: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
                for j in 0..p.len() {
                    let dot: f64 = (0..d).map(|i| q[at_q + i] * k[at_kv(j) + i]).sum();
                    let slope = capped(f64::from(s.scale) * dot, s).1;
                    let ds = p[j] * (dp[j] - mean) * slope * f64::from(s.scale);
                    for i in 0..d {
                        dq[at_q + i] += ds * k[at_kv(j) + i];
                        dk[at_kv(j) + i] += ds * q[at_q + i];
                        dv[at_kv(j) + i] += p[j] * dout[at_q + i];
                    }
                }
            }
        }
    }
    [dq, dk, dv]
}
