use crate::support::{close, derivative, single, weigh, Numbers};
use tillage_kernels::{cpu, reference, AttentionShape};

fn shape(heads: usize, kv_heads: usize, head_dim: usize) -> AttentionShape {
    let scale = (1.0 / (head_dim as f64).sqrt()) as f32;
    AttentionShape { heads, kv_heads, head_dim, scale, window: 0, softcap: 0.0, rounded: false }
}

/// Each token's queries, keys and values behind one another.
fn fused(parts: [&[f64]; 3], s: &AttentionShape) -> Vec<f64> {
    let widths = [s.q_width(), s.kv_width(), s.kv_width()];
    let tokens = parts[0].len() / widths[0];
    (0..tokens)
        .flat_map(|t| parts.iter().zip(widths).flat_map(move |(p, w)| p[t * w..(t + 1) * w].iter().copied()))
        .collect()
}

#[test]
fn reference_gradient_is_the_derivative() {
    for s in [
        shape(4, 2, 3),
        AttentionShape { window: 3, ..shape(4, 2, 3) },
        AttentionShape { softcap: 0.7, window: 4, ..shape(4, 2, 3) },
    ] {
        check_derivative(s);
    }
}

fn check_derivative(s: AttentionShape) {
    let starts = [0, 3, 4, 9];
    let mut n = Numbers::new(1);
    let [q, k, v, d] = [9 * 12, 9 * 6, 9 * 6, 9 * 12].map(|len| n.many(len));
    let [dq, dk, dv] = reference::attention_backward(&d, [&q, &k, &v], &starts, &s);
    derivative(|q| weigh(&reference::attention(q, &k, &v, &starts, &s), &d), &q, &dq);
    derivative(|k| weigh(&reference::attention(&q, k, &v, &starts, &s), &d), &k, &dk);
    derivative(|v| weigh(&reference::attention(&q, &k, v, &starts, &s), &d), &v, &dv);
}

#[test]
fn packed_attention_and_its_gradient() {
    // Lengths around the block of 64 queries, an empty example, one token, and a long one.
    for (s, starts) in [
        (shape(4, 2, 8), vec![0, 1, 1, 65, 129, 200]),
        (shape(3, 1, 16), vec![0, 64, 128, 260]),
        (shape(2, 2, 24), vec![0, 37]),
        (shape(6, 3, 2), vec![0, 5, 140]),
        // Windows below, at and above a block, and caps.
        (AttentionShape { window: 1, ..shape(2, 1, 8) }, vec![0, 3, 140]),
        (AttentionShape { window: 16, ..shape(4, 2, 8) }, vec![0, 10, 300]),
        (AttentionShape { window: 64, softcap: 2.0, ..shape(4, 2, 8) }, vec![0, 64, 300]),
        (AttentionShape { window: 100, ..shape(4, 2, 8) }, vec![0, 99, 199, 300]),
        (AttentionShape { softcap: 50.0, ..shape(4, 1, 8) }, vec![0, 130]),
    ] {
        let tokens = *starts.last().expect("offsets");
        let mut n = Numbers::new(tokens as u64);
        let [q, k, v, d] = [s.q_width(), s.kv_width(), s.kv_width(), s.q_width()].map(|w| n.many(tokens * w));
        // Larger queries make sharper softmaxes.
        let q: Vec<f64> = q.iter().map(|x| x * 4.0).collect();
        let (qkv, ds) = (single(&fused([&q, &k, &v], &s)), single(&d));
        let (mut out, mut lse) = (vec![f32::NAN; q.len()], vec![f32::NAN; tokens * s.heads]);
        cpu::attention(&mut out, &mut lse, &qkv, &starts, &s);
        close(&out, &reference::attention(&q, &k, &v, &starts, &s), 3e-6);
        let mut dqkv = vec![f32::NAN; qkv.len()];
        let saved = cpu::Saved { qkv: &qkv, out: &out, lse: &lse };
        cpu::attention_backward(&mut dqkv, &ds, saved, &starts, &s);
        let [dq, dk, dv] = reference::attention_backward(&d, [&q, &k, &v], &starts, &s);
        close(&dqkv, &fused([&dq, &dk, &dv], &s), 1e-5);
    }
}

/// Queries, keys and values that bf16 holds exactly: what is left is the rounding of probabilities and of gradients.
#[test]
fn rounded_attention_and_its_gradient() {
    let rounded = |s| AttentionShape { rounded: true, ..s };
    for (s, starts) in [
        // Lengths around the block of 32, an empty example, and heads that fill no tile, one and several.
        (shape(4, 2, 8), vec![0, 1, 1, 32, 65, 128, 200]),
        (shape(3, 1, 16), vec![0, 31, 64, 260]),
        (shape(2, 2, 20), vec![0, 37]),
        (shape(6, 3, 2), vec![0, 5, 140]),
        (shape(2, 1, 32), vec![0, 33, 97]),
        (shape(4, 2, 64), vec![0, 96, 150]),
        (shape(2, 1, 80), vec![0, 70]),
        (shape(3, 3, 128), vec![0, 40]),
        // Windows below, at and above a block, and caps.
        (AttentionShape { window: 1, ..shape(2, 1, 8) }, vec![0, 3, 140]),
        (AttentionShape { window: 16, ..shape(4, 2, 8) }, vec![0, 10, 300]),
        (AttentionShape { window: 17, ..shape(4, 2, 40) }, vec![0, 31, 120]),
        (AttentionShape { window: 32, softcap: 2.0, ..shape(4, 2, 8) }, vec![0, 64, 300]),
        (AttentionShape { window: 100, ..shape(4, 2, 8) }, vec![0, 99, 199, 300]),
        (AttentionShape { softcap: 50.0, ..shape(4, 1, 8) }, vec![0, 130]),
    ]
    .map(|(s, starts)| (rounded(s), starts))
    {
        let tokens = *starts.last().expect("offsets");
        let mut n = Numbers::new(tokens as u64);
        let mut held = |w: usize| -> Vec<f64> {
            let exactly = |x: &f64| f64::from(f32::from_bits((*x as f32).to_bits() & 0xffff_0000));
            n.many(tokens * w).iter().map(exactly).collect()
        };
        let [q, k, v, d] = [s.q_width(), s.kv_width(), s.kv_width(), s.q_width()].map(&mut held);
        let q: Vec<f64> = q.iter().map(|x| x * 4.0).collect();
        let (qkv, ds) = (single(&fused([&q, &k, &v], &s)), single(&d));
        let (mut out, mut lse) = (vec![f32::NAN; q.len()], vec![f32::NAN; tokens * s.heads]);
        cpu::attention(&mut out, &mut lse, &qkv, &starts, &s);
        close(&out, &reference::attention(&q, &k, &v, &starts, &s), 4e-3);
        let mut exact = vec![f32::NAN; lse.len()];
        cpu::attention(
            &mut vec![0.0; q.len()],
            &mut exact,
            &qkv,
            &starts,
            &AttentionShape { rounded: false, ..s },
        );
        close(&lse, &exact.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), 1e-5);
        let mut dqkv = vec![f32::NAN; qkv.len()];
        let saved = cpu::Saved { qkv: &qkv, out: &out, lse: &lse };
        cpu::attention_backward(&mut dqkv, &ds, saved, &starts, &s);
        let [dq, dk, dv] = reference::attention_backward(&d, [&q, &k, &v], &starts, &s);
        close(&dqkv, &fused([&dq, &dk, &dv], &s), 6e-3);
    }
}

#[test]
fn cached_attention_continues_a_sequence() {
    for s in [shape(4, 2, 8), AttentionShape { window: 20, softcap: 3.0, ..shape(4, 2, 8) }] {
        check_cached(s);
    }
}

fn check_cached(s: AttentionShape) {
    let total = 150;
    let mut n = Numbers::new(3);
    let [q, k, v] = [s.q_width(), s.kv_width(), s.kv_width()].map(|w| n.many(total * w));
    let expected = reference::attention(&q, &k, &v, &[0, total], &s);
    let (qkv, ks, vs) = (single(&fused([&q, &k, &v], &s)), single(&k), single(&v));
    for (past, new) in [(0, 150), (0, 1), (149, 1), (60, 70), (3, 2)] {
        let rows = |width| past * width..(past + new) * width;
        let mut out = vec![f32::NAN; new * s.q_width()];
        cpu::attention_cached(&mut out, &qkv[rows(s.qkv_width())], &ks, &vs, past, &s);
        close(&out, &expected[rows(s.q_width())], 3e-6);
    }
}

#[test]
fn examples_do_not_see_each_other() {
    let s = shape(2, 1, 8);
    let mut n = Numbers::new(4);
    let [q, k, v] = [s.q_width(), s.kv_width(), s.kv_width()].map(|w| n.many(100 * w));
    let run = |k: &[f64]| {
        let (mut out, mut lse) = (vec![0.0; q.len()], vec![0.0; 200]);
        cpu::attention(&mut out, &mut lse, &single(&fused([&q, k, &v], &s)), &[0, 40, 100], &s);
        out
    };
    let before = run(&k);
    let mut changed = k.clone();
    changed[..40 * s.kv_width()].iter_mut().for_each(|x| *x += 1.0);
    let after = run(&changed);
    assert_eq!(before[40 * s.q_width()..], after[40 * s.q_width()..]);
    assert_ne!(before[..40 * s.q_width()], after[..40 * s.q_width()]);
}
