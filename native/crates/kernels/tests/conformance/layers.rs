use crate::support::{close, derivative, single, weigh, Numbers};
use tillage_kernels::cpu::{self, RopeTable, RopeVariant};
use tillage_kernels::reference;

#[test]
fn rms_norm_and_its_gradient() {
    let eps = 1e-5;
    for (rows, width) in [(1, 5), (3, 64), (200, 96)] {
        let mut n = Numbers::new(rows as u64);
        let (x, w, dy) = (n.many(rows * width), n.many(width), n.many(rows * width));
        let (dx, dw) = reference::rms_norm_backward(&dy, &x, &w, eps);
        if rows < 10 {
            derivative(|x| weigh(&reference::rms_norm(x, &w, eps), &dy), &x, &dx);
            derivative(|w| weigh(&reference::rms_norm(&x, w, eps), &dy), &w, &dw);
        }
        let (xs, ws, dys) = (single(&x), single(&w), single(&dy));
        let (mut y, mut inverse) = (vec![f32::NAN; x.len()], vec![f32::NAN; rows]);
        cpu::rms_norm(&mut y, &mut inverse, &xs, &ws, eps as f32);
        close(&y, &reference::rms_norm(&x, &w, eps), 1e-6);
        // Gradients are added to what is there.
        let (mut ours_dx, mut ours_dw) = (vec![1.0; x.len()], vec![1.0; width]);
        cpu::rms_norm_backward(Some(&mut ours_dx), Some(&mut ours_dw), &dys, &xs, &ws, &inverse);
        let plus_one = |v: &[f64]| v.iter().map(|g| g + 1.0).collect::<Vec<f64>>();
        close(&ours_dx, &plus_one(&dx), 3e-6);
        close(&ours_dw, &plus_one(&dw), 3e-6);
    }
}

#[test]
fn swiglu_and_its_gradient() {
    let mut n = Numbers::new(5);
    let scaled = |v: Vec<f64>| v.iter().map(|x| x * 6.0).collect::<Vec<f64>>();
    let (gate, up, d) = (scaled(n.many(70_001)), n.many(70_001), n.many(70_001));
    let (dgate, dup) = reference::swiglu_backward(&d, &gate, &up);
    derivative(|g| weigh(&reference::swiglu(g, &up[..50]), &d[..50]), &gate[..50], &dgate[..50]);
    derivative(|u| weigh(&reference::swiglu(&gate[..50], u), &d[..50]), &up[..50], &dup[..50]);
    let (mut g, mut u, mut act) = (single(&gate), single(&up), vec![f32::NAN; gate.len()]);
    let expected = reference::swiglu(&gate, &up);
    cpu::swiglu(&mut act, &g, &u);
    close(&act, &expected, 1e-6);
    let mut in_place = single(&d);
    cpu::swiglu_backward(&mut in_place, &mut g, &mut u);
    close(&in_place, &expected, 1e-6);
    close(&g, &dgate, 1e-6);
    close(&u, &dup, 1e-6);
}

#[test]
fn rope_rotates_and_back() {
    let (heads, dim, theta) = (3, 16, 10_000.0f64);
    let positions = [0u32, 1, 2, 0, 1, 700];
    let frequencies: Vec<f64> = (0..dim / 2).map(|i| theta.powf(-2.0 * i as f64 / dim as f64)).collect();
    let mut table = RopeTable::new(dim, theta, RopeVariant::Default);
    table.grow(10);
    table.grow(701);
    let x = Numbers::new(6).many(positions.len() * heads * dim);
    let expected: Vec<f64> = x
        .chunks(dim)
        .enumerate()
        .flat_map(|(i, head)| reference::rope(head, f64::from(positions[i / heads]), &frequencies, 1.0))
        .collect();
    let mut ours = single(&x);
    cpu::rope(&mut ours, &positions, &table, false);
    // The angle itself is computed in f32: position 700 costs some digits.
    close(&ours, &expected, 6e-5);
    cpu::rope(&mut ours, &positions, &table, true);
    close(&ours, &x, 1e-6);
    // The rotation's gradient is the rotation back.
    let d = Numbers::new(7).many(dim);
    let back = reference::rope(&d, 3.0, &frequencies, -1.0);
    derivative(|x| weigh(&reference::rope(x, 3.0, &frequencies, 1.0), &d), &x[..dim], &back);
}

#[test]
fn embedding_and_its_gradient() {
    let (vocab, width) = (7, 40);
    let tokens = [3u32, 0, 3, 6, 3, 1];
    let mut n = Numbers::new(8);
    let (table, dy) = (n.many(vocab * width), n.many(tokens.len() * width));
    let mut y = vec![f32::NAN; tokens.len() * width];
    cpu::embedding(&mut y, &single(&table), &tokens, width);
    close(&y, &reference::embedding(&table, &tokens, width), 0.0);
    let d = reference::embedding_backward(&dy, &tokens, vocab, width);
    derivative(|t| weigh(&reference::embedding(t, &tokens, width), &dy), &table, &d);
    let mut ours = vec![0.0; vocab * width];
    cpu::embedding_backward(&mut ours, &single(&dy), &tokens, width);
    close(&ours, &d, 1e-6);
}

#[test]
fn rows_are_gathered_and_scattered() {
    let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let mut y = vec![0.0; 6];
    cpu::gather_rows(&mut y, &x, &[3, 1], 3);
    assert_eq!(y, [9.0, 10.0, 11.0, 3.0, 4.0, 5.0]);
    let mut back = vec![1.0; 12];
    cpu::scatter_add_rows(&mut back, &y, &[0, 3], 3);
    assert_eq!(back, [10.0, 11.0, 12.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 5.0, 6.0]);
}

#[test]
fn biases_and_factors_go_along_rows() {
    let mut y = vec![1.0, 2.0, 3.0, 4.0];
    cpu::add_bias(&mut y, &[10.0, 20.0]);
    assert_eq!(y, [11.0, 22.0, 13.0, 24.0]);
    cpu::scale_rows(&mut y, &[2.0, 0.5]);
    assert_eq!(y, [22.0, 11.0, 26.0, 12.0]);
    let mut d = vec![1.0, 0.0];
    cpu::bias_backward(&mut d, &y);
    assert_eq!(d, [49.0, 23.0]);
    cpu::add(&mut d, &[1.0, 2.0]);
    assert_eq!(d, [50.0, 25.0]);
}

#[test]
fn dropout_keeps_the_mean_and_repeats_its_mask() {
    let x = vec![1.0f32; 100_000];
    let drop = |key| {
        let mut y = vec![0.0; x.len()];
        cpu::dropout(&mut y, &x, 0.3, key);
        y
    };
    let y = drop(9);
    let dropped = y.iter().filter(|&&v| v == 0.0).count() as f64 / x.len() as f64;
    assert!((dropped - 0.3).abs() < 0.005, "{dropped}");
    assert!(y.iter().all(|&v| v == 0.0 || v == 1.0 / 0.7), "kept numbers are scaled up");
    assert_eq!(y, drop(9));
    // Different keys drop independently: both drop about 9 %.
    let both =
        y.iter().zip(drop(10)).filter(|(a, b)| **a == 0.0 && *b == 0.0).count() as f64 / x.len() as f64;
    assert!((both - 0.09).abs() < 0.005, "{both}");
}
