use crate::support::{close, derivative, single, slopes, weigh, Numbers};
use tillage_kernels::cpu::{self, RopeTable, RopeVariant};
use tillage_kernels::{reference, Activation, Runs};

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
        let runs = Runs::rows(rows, width);
        cpu::rms_norm((&mut y, runs), &mut inverse, (&xs, runs), &ws, 0.0, eps as f32);
        close(&y, &reference::rms_norm(&x, &w, eps), 1e-6);
        // Gradients are added to what is there.
        let (mut ours_dx, mut ours_dw) = (vec![1.0; x.len()], vec![1.0; width]);
        let dx_to = (&mut ours_dx[..], runs);
        cpu::rms_norm_backward(dx_to, Some(&mut ours_dw), &dys, (&xs, runs), &ws, 0.0, &inverse, true);
        let plus_one = |v: &[f64]| v.iter().map(|g| g + 1.0).collect::<Vec<f64>>();
        close(&ours_dx, &plus_one(&dx), 3e-6);
        close(&ours_dw, &plus_one(&dw), 3e-6);
    }
}

#[test]
fn rms_norm_of_the_heads_inside_a_wider_row() {
    // Two heads of five numbers, three numbers into rows of fourteen; the weight is stored as its difference from 1.
    let (tokens, eps) = (40, 1e-6);
    let inside = Runs { tokens, stride: 14, start: 3, per_token: 2, width: 5 };
    let compact = Runs { tokens, stride: 10, start: 0, per_token: 2, width: 5 };
    let mut n = Numbers::new(12);
    let (x, w, dy) = (n.many(tokens * 10), n.many(5), n.many(tokens * 10));
    let whole: Vec<f64> = w.iter().map(|w| w + 1.0).collect();
    let (mut y, mut inverse) = (vec![7.0; tokens * 14], vec![f32::NAN; 2 * tokens]);
    cpu::rms_norm((&mut y, inside), &mut inverse, (&single(&x), compact), &single(&w), 1.0, eps as f32);
    let picked = |y: &[f32]| -> Vec<f32> { y.chunks(14).flat_map(|row| row[3..13].to_vec()).collect() };
    close(&picked(&y), &reference::rms_norm(&x, &whole, eps), 1e-6);
    assert!(
        y.chunks(14).all(|row| row[..3] == [7.0; 3] && row[13] == 7.0),
        "numbers beside the heads changed"
    );
    let (dx, dw) = reference::rms_norm_backward(&dy, &x, &whole, eps);
    let mut wide_dy = vec![0.0; tokens * 14];
    for (row, dy) in wide_dy.chunks_mut(14).zip(single(&dy).chunks(10)) {
        row[3..13].copy_from_slice(dy);
    }
    let (mut ours, mut ours_dw) = (vec![9.0; tokens * 14], vec![0.0; 5]);
    let place = (&mut ours[..], inside);
    let (xs, ws) = (single(&x), single(&w));
    cpu::rms_norm_backward(place, Some(&mut ours_dw), &wide_dy, (&xs, compact), &ws, 1.0, &inverse, false);
    close(&picked(&ours), &dx, 3e-6);
    close(&ours_dw, &dw, 3e-6);
}

#[test]
fn layer_norm_and_its_gradient() {
    let eps = 1e-5;
    for (rows, width) in [(3, 8), (150, 96)] {
        let mut n = Numbers::new(rows as u64 + 20);
        let (x, w, b, dy) = (n.many(rows * width), n.many(width), n.many(width), n.many(rows * width));
        let (xs, ws, bs, dys) = (single(&x), single(&w), single(&b), single(&dy));
        let (mut y, mut stats) = (vec![f32::NAN; x.len()], vec![f32::NAN; 2 * rows]);
        cpu::layer_norm(&mut y, &mut stats, &xs, &ws, &bs, eps as f32);
        close(&y, &reference::layer_norm(&x, &w, &b, eps), 2e-6);
        let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; width], vec![0.0; width]);
        cpu::layer_norm_backward(&mut dx, [Some(&mut dw), Some(&mut db)], &dys, &xs, &ws, &stats);
        slopes(|x| weigh(&reference::layer_norm(x, &w, &b, eps), &dy), &x, &dx);
        slopes(|w| weigh(&reference::layer_norm(&x, w, &b, eps), &dy), &w, &dw);
        slopes(|b| weigh(&reference::layer_norm(&x, &w, b, eps), &dy), &b, &db);
    }
}

#[test]
fn activations_and_their_gradients() {
    let (tokens, width) = (701, 50);
    for kind in [Activation::Silu, Activation::GeluTanh, Activation::Gelu] {
        let mut n = Numbers::new(5);
        let scaled = |v: Vec<f64>| v.iter().map(|x| x * 6.0).collect::<Vec<f64>>();
        let (gate_up, d) = (scaled(n.many(2 * tokens * width)), n.many(tokens * width));
        let gated = |gate_up: &[f64]| -> Vec<f64> {
            let row = |row: &[f64]| -> Vec<f64> {
                (0..width).map(|i| reference::activation(row[i], kind) * row[width + i]).collect()
            };
            gate_up.chunks(2 * width).flat_map(row).collect()
        };
        let (mut ours, mut act) = (single(&gate_up), vec![f32::NAN; d.len()]);
        cpu::gated(&mut act, &ours, width, kind);
        close(&act, &gated(&gate_up), 1e-6);
        let mut in_place = single(&d);
        cpu::gated_backward(&mut in_place, &mut ours, width, kind);
        close(&in_place, &gated(&gate_up), 1e-6);
        let first = 2 * width;
        slopes(|x| weigh(&gated(x), &d[..width]), &gate_up[..first], &ours[..first]);

        let plain = |x: &[f64]| -> Vec<f64> { x.iter().map(|&x| reference::activation(x, kind)).collect() };
        let x = &gate_up[..tokens * width];
        let (mut ours, mut act, mut in_place) = (single(x), vec![f32::NAN; x.len()], single(&d));
        cpu::activate(&mut act, &ours, kind);
        close(&act, &plain(x), 1e-6);
        cpu::activate_backward(&mut in_place, &mut ours, kind);
        close(&in_place, &plain(x), 1e-6);
        slopes(|x| weigh(&plain(x), &d[..60]), &x[..60], &ours[..60]);
    }
}

#[test]
fn soft_cap_and_its_gradient() {
    let mut n = Numbers::new(31);
    let (x, d): (Vec<f64>, Vec<f64>) = (n.many(200).iter().map(|x| x * 20.0).collect(), n.many(200));
    let capped = |x: &[f64]| x.iter().map(|x| 5.0 * (x / 5.0).tanh()).collect::<Vec<f64>>();
    let (mut y, mut dx) = (single(&x), single(&d));
    cpu::soft_cap(&mut y, 5.0);
    close(&y, &capped(&x), 1e-6);
    cpu::soft_cap_backward(&mut dx, &y, 5.0);
    slopes(|x| weigh(&capped(x), &d), &x, &dx);
}

#[test]
fn rope_rotates_and_back() {
    let (heads, dim, theta) = (3, 16, 10_000.0f64);
    let positions = [0u32, 1, 2, 0, 1, 700];
    let frequencies: Vec<f64> = (0..dim / 2).map(|i| theta.powf(-2.0 * i as f64 / dim as f64)).collect();
    let mut table = RopeTable::new(dim, theta, &RopeVariant::Default, 1.0);
    let runs = Runs { tokens: positions.len(), stride: heads * dim, start: 0, per_token: heads, width: dim };
    table.grow(10);
    table.grow(701);
    let x = Numbers::new(6).many(positions.len() * heads * dim);
    let expected: Vec<f64> = x
        .chunks(dim)
        .enumerate()
        .flat_map(|(i, head)| reference::rope(head, f64::from(positions[i / heads]), &frequencies, 1.0))
        .collect();
    let mut ours = single(&x);
    cpu::rope(&mut ours, runs, &positions, &table, false);
    // The angle itself is computed in f32: position 700 costs some digits.
    close(&ours, &expected, 6e-5);
    cpu::rope(&mut ours, runs, &positions, &table, true);
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
    cpu::add(&mut d, &[1.0, 2.0], 3.0);
    assert_eq!(d, [52.0, 29.0]);
    cpu::scale(&mut d, 0.5);
    assert_eq!(d, [26.0, 14.5]);
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
