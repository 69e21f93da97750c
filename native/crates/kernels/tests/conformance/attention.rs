use crate::support::{close, derivative, single, weigh, Numbers};
use tillage_kernels::{cpu, reference, AttentionShape};

fn shape(heads: usize, kv_heads: usize, head_dim: usize) -> AttentionShape {
    AttentionShape { heads, kv_heads, head_dim, scale: (1.0 / (head_dim as f64).sqrt()) as f32 }
}

#[test]
fn reference_gradient_is_the_derivative() {
    let (s, starts) = (shape(4, 2, 3), [0, 3, 4, 9]);
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
    ] {
        let tokens = *starts.last().expect("offsets");
        let mut n = Numbers::new(tokens as u64);
        let [q, k, v, d] = [s.q_width(), s.kv_width(), s.kv_width(), s.q_width()].map(|w| n.many(tokens * w));
        // Larger queries make sharper softmaxes.
        let q: Vec<f64> = q.iter().map(|x| x * 4.0).collect();
        let (qs, ks, vs, ds) = (single(&q), single(&k), single(&v), single(&d));
        let (mut out, mut lse) = (vec![f32::NAN; q.len()], vec![f32::NAN; tokens * s.heads]);
        cpu::attention(&mut out, &mut lse, &qs, &ks, &vs, &starts, &s);
        close(&out, &reference::attention(&q, &k, &v, &starts, &s), 3e-6);
        let [mut dq, mut dk, mut dv] = [&q, &k, &v].map(|x| vec![f32::NAN; x.len()]);
        let saved = cpu::Saved { q: &qs, k: &ks, v: &vs, out: &out, lse: &lse };
        cpu::attention_backward([&mut dq, &mut dk, &mut dv], &ds, saved, &starts, &s);
        let expected = reference::attention_backward(&d, [&q, &k, &v], &starts, &s);
        for (ours, reference) in [dq, dk, dv].iter().zip(&expected) {
            close(ours, reference, 1e-5);
        }
    }
}

#[test]
fn cached_attention_continues_a_sequence() {
    let s = shape(4, 2, 8);
    let total = 150;
    let mut n = Numbers::new(3);
    let [q, k, v] = [s.q_width(), s.kv_width(), s.kv_width()].map(|w| n.many(total * w));
    let expected = reference::attention(&q, &k, &v, &[0, total], &s);
    let (qs, ks, vs) = (single(&q), single(&k), single(&v));
    for (past, new) in [(0, 150), (0, 1), (149, 1), (60, 70), (3, 2)] {
        let rows = past * s.q_width()..(past + new) * s.q_width();
        let mut out = vec![f32::NAN; new * s.q_width()];
        cpu::attention_cached(&mut out, &qs[rows.clone()], &ks, &vs, past, &s);
        close(&out, &expected[rows], 3e-6);
    }
}

#[test]
fn examples_do_not_see_each_other() {
    let s = shape(2, 1, 8);
    let mut n = Numbers::new(4);
    let [q, k, v] = [s.q_width(), s.kv_width(), s.kv_width()].map(|w| single(&n.many(100 * w)));
    let run = |k: &[f32]| {
        let (mut out, mut lse) = (vec![0.0; q.len()], vec![0.0; 200]);
        cpu::attention(&mut out, &mut lse, &q, k, &v, &[0, 40, 100], &s);
        out
    };
    let before = run(&k);
    let mut changed = k.clone();
    changed[..40 * s.kv_width()].iter_mut().for_each(|x| *x += 1.0);
    let after = run(&changed);
    assert_eq!(before[40 * s.q_width()..], after[40 * s.q_width()..]);
    assert_ne!(before[..40 * s.q_width()], after[..40 * s.q_width()]);
}
