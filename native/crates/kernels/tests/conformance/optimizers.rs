use crate::support::{close, single, Numbers};
use tillage_kernels::cpu::{self, adamw_8bit, AdamW8bitTensor, Blocks, DynamicCode, MuonScratch, BLOCK_8BIT};
use tillage_kernels::{reference, AdamWStep, MuonStep};

/// The values by the words of the paper's appendix, in f64: in each of seven decades the middles of equal steps from 0.1 to 1,
/// twice as many in each decade as in the one below.
fn dynamic_values(signed: bool) -> Vec<f64> {
    let mut all = vec![0.0, 1.0];
    for decade in 0..7 {
        let steps = 2f64.powi(decade + i32::from(!signed));
        for i in 0..steps as i32 {
            let value = 10f64.powi(decade - 6) * (0.1 + 0.9 * (f64::from(i) + 0.5) / steps);
            all.push(value);
            if signed {
                all.push(-value);
            }
        }
    }
    all.sort_by(f64::total_cmp);
    all
}

#[test]
fn the_dynamic_code_has_the_papers_values() {
    for (code, signed) in [(DynamicCode::signed(), true), (DynamicCode::unsigned(), false)] {
        let exact = dynamic_values(signed);
        assert_eq!(exact.len(), 256);
        for (ours, exact) in code.values().iter().zip(&exact) {
            assert!((f64::from(*ours) - exact).abs() <= 3e-7 * exact.abs(), "{ours:e} instead of {exact:e}");
        }
    }
}

#[test]
fn numbers_come_back_as_the_nearest_values_of_their_block() {
    let mut n = Numbers::new(5);
    // Blocks of quite different sizes, one of zeros, one begun.
    let mut numbers: Vec<f64> = n.many(3 * BLOCK_8BIT + 70);
    for (i, x) in numbers.iter_mut().enumerate() {
        *x = f64::from((*x * [1.0, 1e-6, 0.0, 3e4][i / BLOCK_8BIT] * x.abs().powi(6)) as f32);
    }
    let code = DynamicCode::signed();
    let exact = dynamic_values(true);
    let back = Blocks::of(&single(&numbers), code).numbers(code);
    for (block, back) in numbers.chunks(BLOCK_8BIT).zip(back.chunks(BLOCK_8BIT)) {
        let largest = block.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        for (x, back) in block.iter().zip(back) {
            let best = exact.iter().map(|v| (v * largest - x).abs()).fold(f64::INFINITY, f64::min);
            let off = (f64::from(*back) - x).abs();
            assert!(off <= best + 1e-6 * x.abs() + 1e-12 * largest, "{x:e} became {back:e}");
        }
    }
}

#[test]
fn adamw_in_8_bits_steps_like_adamw_from_the_states_it_has() {
    let sizes = [1, 40_000, 77, 256];
    let mut n = Numbers::new(12);
    let (signed, unsigned) = (DynamicCode::signed(), DynamicCode::unsigned());
    let mut exact: Vec<Vec<f64>> = sizes.iter().map(|&s| n.many(s)).collect();
    let mut ours: Vec<(Vec<f32>, Blocks, Blocks)> = exact
        .iter()
        .map(|v| (single(v), Blocks::zeros(v.len(), signed), Blocks::zeros(v.len(), unsigned)))
        .collect();
    let wide = |v: Vec<f32>| v.into_iter().map(f64::from).collect::<Vec<f64>>();
    for step in 1..=6 {
        let grads: Vec<Vec<f64>> = sizes.iter().map(|&s| n.many(s)).collect();
        let singles: Vec<Vec<f32>> = grads.iter().map(|g| single(g)).collect();
        let s = AdamWStep {
            lr: 0.01 * step as f64,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-3,
            weight_decay: 0.1,
            step,
            grad_scale: 0.7,
        };
        let before: Vec<[Vec<f64>; 2]> =
            ours.iter().map(|(_, m, v)| [wide(m.numbers(signed)), wide(v.numbers(unsigned))]).collect();
        let mut tensors: Vec<AdamW8bitTensor> = ours
            .iter_mut()
            .zip(&singles)
            .map(|((value, first, second), grad)| AdamW8bitTensor { value, grad, first, second })
            .collect();
        adamw_8bit(&mut tensors, &s);
        for (((value, grad), [first, second]), (_, m, v)) in
            exact.iter_mut().zip(&grads).zip(before).zip(&ours)
        {
            let (mut first, mut second) = (first, second);
            reference::adamw(value, grad, &mut first, &mut second, &s);
            // What is kept of the new moments is as near as 8 bits allow: half a step of the finest decade, 0.9 / 64 / 2 of the
            // block's largest for either sign and half of it without one.
            close_by_block(&m.numbers(signed), &first, 0.9 / 128.0);
            close_by_block(&v.numbers(unsigned), &second, 0.9 / 256.0);
        }
    }
    for ((value, ..), exact) in ours.iter().zip(&exact) {
        close(value, exact, 3e-6);
    }
}

#[track_caller]
fn close_by_block(ours: &[f32], exact: &[f64], share: f64) {
    for (ours, exact) in ours.chunks(BLOCK_8BIT).zip(exact.chunks(BLOCK_8BIT)) {
        close(ours, exact, share * 1.001);
    }
}

#[test]
fn muon_steps_like_the_reference() {
    // Wide, tall, square, one row, and one that the product splits between threads.
    for (rows, cols) in [(3, 7), (9, 4), (5, 5), (1, 6), (48, 130)] {
        let mut n = Numbers::new((rows * 1000 + cols) as u64);
        let (mut exact, mut momentum) = (n.many(rows * cols), vec![0.0; rows * cols]);
        let (mut ours, mut own) = (single(&exact), single(&momentum));
        let mut scratch = MuonScratch::default();
        for step in 1..=4 {
            let grad = n.many(rows * cols);
            let s =
                MuonStep { lr: 0.02 * f64::from(step), momentum: 0.95, weight_decay: 0.1, grad_scale: 0.3 };
            cpu::muon(&mut ours, &single(&grad), &mut own, (rows, cols), &s, &mut scratch);
            reference::muon(&mut exact, &grad, &mut momentum, (rows, cols), &s);
        }
        close(&own, &momentum, 1e-6);
        close(&ours, &exact, 2e-5);
    }
}

#[test]
fn muons_steps_are_as_long_as_adamws() {
    for (rows, cols) in [(64, 64), (32, 200), (200, 32)] {
        let mut n = Numbers::new(3);
        let (mut value, mut momentum) = (vec![0.0; rows * cols], vec![0.0; rows * cols]);
        let s = MuonStep { lr: 0.01, momentum: 0.95, weight_decay: 0.0, grad_scale: 1.0 };
        cpu::muon(
            &mut value,
            &single(&n.many(rows * cols)),
            &mut momentum,
            (rows, cols),
            &s,
            &mut MuonScratch::default(),
        );
        let square: f64 = value.iter().map(|x| f64::from(*x).powi(2)).sum();
        let rms = (square / (rows * cols) as f64).sqrt();
        // Jordan's coefficients leave singular values between 0.7 and 1.2.
        assert!((0.2 * 0.7..0.2 * 1.2).contains(&(rms / 0.01)), "{rms} for {rows} x {cols}");
    }
}

#[test]
fn a_gradient_of_zeros_moves_nothing() {
    let (mut value, mut momentum) = (vec![0.5; 12], vec![0.0; 12]);
    let s = MuonStep { lr: 0.01, momentum: 0.95, weight_decay: 0.0, grad_scale: 1.0 };
    cpu::muon(&mut value, &[0.0; 12], &mut momentum, (3, 4), &s, &mut MuonScratch::default());
    assert_eq!(value, [0.5; 12]);
    let (mut first, mut second) =
        (Blocks::zeros(12, DynamicCode::signed()), Blocks::zeros(12, DynamicCode::unsigned()));
    let s = AdamWStep {
        lr: 0.1,
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        weight_decay: 0.0,
        step: 1,
        grad_scale: 1.0,
    };
    let tensor =
        AdamW8bitTensor { value: &mut value, grad: &[0.0; 12], first: &mut first, second: &mut second };
    adamw_8bit(&mut [tensor], &s);
    assert_eq!(value, [0.5; 12]);
}
