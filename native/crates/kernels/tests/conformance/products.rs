use crate::support::{close, derivative, single, weigh, Numbers};
use tillage_kernels::cpu::{self, Isa, View, ViewMut};
use tillage_kernels::matrix::{from_bf16, to_bf16};
use tillage_kernels::reference;

#[test]
fn projections_and_their_gradients() {
    // Few rows take another path than many; sizes are no multiples of vector widths.
    for (rows, ins, outs) in [(1, 7, 5), (2, 130, 70), (4, 64, 64), (5, 64, 64), (33, 17, 129), (130, 96, 40)]
    {
        let mut n = Numbers::new((rows * ins) as u64);
        let (x, w, dy) = (n.many(rows * ins), n.many(ins * outs), n.many(rows * outs));
        let expected = reference::linear(&x, &w, rows);
        let (dx, dw) = reference::linear_backward(&dy, &x, &w, rows);
        if rows < 2 {
            derivative(|x| weigh(&reference::linear(x, &w, rows), &dy), &x, &dx);
            derivative(|w| weigh(&reference::linear(&x, w, rows), &dy), &w, &dw);
        }
        let (xs, ws, dys) = (single(&x), single(&w), single(&dy));
        let mut y = vec![f32::NAN; rows * outs];
        cpu::linear(&mut y, &xs, &ws, rows, 1.0, false);
        close(&y, &expected, 1e-6);
        cpu::linear(&mut y, &xs, &ws, rows, 0.5, true);
        close(&y, &expected.iter().map(|v| v * 1.5).collect::<Vec<_>>(), 1e-6);
        let mut ours = vec![f32::NAN; rows * ins];
        cpu::linear_backward_input(&mut ours, &dys, &ws, rows, 2.0, false);
        cpu::linear_backward_input(&mut ours, &dys, &ws, rows, 1.0, true);
        close(&ours, &dx.iter().map(|v| v * 3.0).collect::<Vec<_>>(), 1e-6);
        let mut ours = vec![0.0; ins * outs];
        cpu::linear_backward_weight(&mut ours, &dys, &xs, rows, 2.0);
        cpu::linear_backward_weight(&mut ours, &dys, &xs, rows, 1.0);
        close(&ours, &dw.iter().map(|v| v * 3.0).collect::<Vec<_>>(), 2e-6);
    }
}

#[test]
fn gradients_of_weights_in_bf16() {
    let rounded = |x: &[f64]| x.iter().map(|&v| f64::from(from_bf16(to_bf16(v as f32)))).collect::<Vec<_>>();
    // Sizes below, at and beyond tiles; the last with more of dy than is turned at once.
    for (rows, ins, outs) in [(1, 7, 5), (9, 64, 64), (33, 17, 129), (130, 96, 40), (1030, 20, 4200)] {
        let mut n = Numbers::new((rows * ins) as u64);
        let (x, dy) = (n.many(rows * ins), n.many(rows * outs));
        let (_, dw) = reference::linear_backward(&rounded(&dy), &rounded(&x), &vec![0.0; ins * outs], rows);
        for isa in Isa::available() {
            let mut ours = vec![0.25; ins * outs];
            cpu::rounded_backward_weight_on(isa, &mut ours, &single(&dy), &single(&x), rows, 2.0);
            cpu::rounded_backward_weight_on(isa, &mut ours, &single(&dy), &single(&x), rows, 1.0);
            close(&ours, &dw.iter().map(|v| v * 3.0 + 0.25).collect::<Vec<_>>(), 2e-6);
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_gradients() {
    let mut n = Numbers::new(9);
    let (x, dy) = (single(&n.many(70 * 320)), single(&n.many(70 * 130)));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let mut dw = vec![0.5; 130 * 320];
        pool.install(|| cpu::rounded_backward_weight(&mut dw, &dy, &x, 70, 1.0));
        dw
    };
    let first = run(1);
    assert!([2, 3].into_iter().all(|threads| run(threads) == first));
}

#[test]
fn products_of_strided_matrices() {
    let data: Vec<f32> = (0..40).map(|i| i as f32).collect();
    // Columns 2 and 3 of a 4 x 10 matrix, transposed, times its columns 0 and 1.
    let a = View::strided(&data[2..], 4, 2, 10);
    let b = View::strided(&data, 4, 2, 10);
    let mut c = vec![0.0; 4];
    cpu::matmul(ViewMut::new(&mut c, 2, 2), a.t(), b, 1.0, false, false);
    let entry = |i: usize, j: usize| (0..4).map(|r| data[r * 10 + 2 + i] * data[r * 10 + j]).sum::<f32>();
    assert_eq!(c, [entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1)]);
}

#[test]
#[should_panic(expected = "do not fit")]
fn shapes_are_checked() {
    let mut c = [0.0; 4];
    cpu::matmul(
        ViewMut::new(&mut c, 2, 2),
        View::new(&[0.0; 6], 2, 3),
        View::new(&[0.0; 4], 2, 2),
        1.0,
        false,
        false,
    );
}

#[test]
fn results_repeat_bit_for_bit() {
    let mut n = Numbers::new(12);
    let (x, w) = (single(&n.many(300 * 200)), single(&n.many(200 * 500)));
    let run = || {
        let mut y = vec![0.0; 300 * 500];
        cpu::linear(&mut y, &x, &w, 300, 1.0, false);
        y
    };
    let first = run();
    for _ in 0..20 {
        assert!(run() == first);
    }
}
