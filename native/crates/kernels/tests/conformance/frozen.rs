//! Products with frozen matrices: every instruction set that this machine has, every form of the weights.

use crate::support::{close, single, Numbers};
use tillage_kernels::cpu::{self, Isa};
use tillage_kernels::matrix::{from_bf16, to_bf16, Arithmetic, Matrix, Store, FEW_ROWS};
use tillage_kernels::reference;

const FORMS: [&str; 4] = ["f32", "bf16", "int8", "nf4"];

fn held(form: &str, value: &[f32], inputs: usize) -> Matrix {
    match form {
        "f32" => Matrix::new(Store::F32(value.to_vec()), inputs),
        "bf16" => Matrix::bf16(value, inputs),
        "int8" => Matrix::int8(value, inputs),
        _ => Matrix::nf4(value, inputs),
    }
}

fn rounded(x: &[f64]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(from_bf16(to_bf16(v as f32)))).collect()
}

/// Rows, inputs, outputs: few rows and many, widths that are no multiples of a vector, a panel, a block of NF4.
fn shapes() -> Vec<(usize, usize, usize)> {
    let mut all: Vec<(usize, usize, usize)> =
        (1..=17).map(|rows| (rows, 95 + 2 * rows, 64 + 3 * rows)).collect();
    all.extend((1..=9).map(|rows| (rows, 128, 70)));
    all.extend([
        (1, 7, 5),
        (5, 1, 1),
        (13, 64, 64),
        (33, 17, 129),
        (70, 300, 130),
        (10, 2100, 33),
        (11, 33, 2100),
    ]);
    all
}

/// What a product multiplies, given what the form makes of the numbers.
fn operands(m: &Matrix, form: &str, few: bool, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let w: Vec<f64> = m.to_f32(0..m.rows()).into_iter().map(f64::from).collect();
    match m.arithmetic() {
        Arithmetic::Bf16 if !few || form == "bf16" => (rounded(x), rounded(&w)),
        // Quantised weights meet few rows as they are; f32 and NF4 likewise.
        _ => (x.to_vec(), w),
    }
}

fn each(mut check: impl FnMut(Isa, &str, Matrix, usize, &mut Numbers)) {
    for isa in Isa::available() {
        for form in FORMS {
            for arithmetic in [Arithmetic::F32, Arithmetic::Bf16] {
                for (rows, ins, outs) in shapes() {
                    let mut n = Numbers::new((rows * ins + outs) as u64);
                    let mut w = held(form, &single(&n.many(ins * outs)), ins);
                    w.set_arithmetic(arithmetic);
                    check(isa, form, w, rows, &mut n);
                }
            }
        }
    }
}

#[test]
fn outputs_on_every_path() {
    each(|isa, form, w, rows, n| {
        let (ins, outs) = (w.inputs(), w.rows());
        let x = n.many(rows * ins);
        let (multiplied, weights) = operands(&w, form, rows <= FEW_ROWS, &x);
        let expected = reference::linear(&multiplied, &weights, rows);
        let mut y = vec![f32::NAN; rows * outs];
        cpu::frozen_linear_on(isa, &mut y, &single(&x), &w, rows, 1.0, false);
        close(&y, &expected, 2e-6);
        cpu::frozen_linear_on(isa, &mut y, &single(&x), &w, rows, 0.5, true);
        close(&y, &expected.iter().map(|v| v * 1.5).collect::<Vec<_>>(), 2e-6);
    });
}

#[test]
fn gradients_of_inputs_on_every_path() {
    each(|isa, form, w, rows, n| {
        let (ins, outs) = (w.inputs(), w.rows());
        let dy = n.many(rows * outs);
        let (multiplied, weights) = operands(&w, form, false, &dy);
        let x = vec![0.0; rows * ins];
        let (expected, _) = reference::linear_backward(&multiplied, &x, &weights, rows);
        let mut dx = vec![f32::NAN; rows * ins];
        cpu::frozen_backward_input_on(isa, &mut dx, &single(&dy), &w, rows, 2.0, false);
        close(&dx, &expected.iter().map(|v| v * 2.0).collect::<Vec<_>>(), 2e-6);
        cpu::frozen_backward_input_on(isa, &mut dx, &single(&dy), &w, rows, 1.0, true);
        close(&dx, &expected.iter().map(|v| v * 3.0).collect::<Vec<_>>(), 2e-6);
    });
}

#[test]
fn rounding_does_to_a_product_what_bf16_should() {
    // Not the same operands as above, but the unrounded ones: bf16 keeps 8 bits, so each product is off by up to 2⁻⁸,
    // and sums of a hundred random ones far less than that of the largest.
    let mut n = Numbers::new(5);
    let (x, value) = (n.many(12 * 200), n.many(200 * 96));
    let exact = reference::linear(&x, &value, 12);
    let w = Matrix::bf16(&single(&value), 200);
    for isa in Isa::available() {
        let mut y = vec![0.0; 12 * 96];
        cpu::frozen_linear_on(isa, &mut y, &single(&x), &w, 12, 1.0, false);
        close(&y, &exact, 4e-3);
        let off = y.iter().zip(&exact).map(|(y, e)| (f64::from(*y) - e).abs()).fold(0.0, f64::max);
        assert!(off > 1e-4, "{isa:?} does not round: {off:e}");
    }
}

#[test]
fn parts_that_lie_apart_are_one_matrix() {
    let mut n = Numbers::new(77);
    let (rows, ins) = (11, 192);
    let parts: Vec<Vec<f32>> = [40, 9, 64].iter().map(|outs| single(&n.many(outs * ins))).collect();
    let (x, dy) = (single(&n.many(rows * ins)), single(&n.many(rows * 113)));
    for form in FORMS {
        let mut apart = held(form, &parts[0], ins);
        parts[1..].iter().for_each(|p| apart.append(held(form, p, ins)));
        assert_eq!((apart.rows(), apart.inputs()), (113, ins));
        let value: Vec<f32> = parts
            .iter()
            .flat_map(|p| {
                let m = held(form, p, ins);
                m.to_f32(0..m.rows())
            })
            .collect();
        assert_eq!(apart.to_f32(0..113), value);
        assert_eq!(apart.to_f32(38..50), value[38 * ins..50 * ins]);
        let mut whole = Matrix::new(Store::F32(value), ins);
        whole.set_arithmetic(apart.arithmetic());
        for isa in Isa::available() {
            for rows in [3, rows] {
                if rows <= FEW_ROWS && form != "f32" {
                    whole.set_arithmetic(Arithmetic::F32);
                    apart.set_arithmetic(Arithmetic::F32);
                }
                let (mut a, mut b) = (vec![0.0; rows * 113], vec![0.0; rows * 113]);
                cpu::frozen_linear_on(isa, &mut a, &x[..rows * ins], &apart, rows, 1.0, false);
                cpu::frozen_linear_on(isa, &mut b, &x[..rows * ins], &whole, rows, 1.0, false);
                close(&a, &b.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), 1e-6);
            }
            let (mut a, mut b) = (vec![0.0; rows * ins], vec![0.0; rows * ins]);
            cpu::frozen_backward_input_on(isa, &mut a, &dy, &apart, rows, 1.0, false);
            cpu::frozen_backward_input_on(isa, &mut b, &dy, &whole, rows, 1.0, false);
            assert_eq!(a, b, "{isa:?} {form}");
        }
    }
}

#[test]
fn rows_of_a_table() {
    let mut n = Numbers::new(3);
    let value = single(&n.many(50 * 24));
    for form in FORMS {
        let table = held(form, &value, 24);
        let mut y = vec![0.0; 3 * 24];
        cpu::frozen_embedding(&mut y, &table, &[49, 0, 7]);
        let rows: Vec<f32> = [49, 0, 7].iter().flat_map(|&t| table.to_f32(t..t + 1)).collect();
        assert_eq!(y, rows);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let mut n = Numbers::new(8);
    let (x, value) = (single(&n.many(40 * 320)), single(&n.many(700 * 320)));
    let dy = single(&n.many(40 * 700));
    for form in FORMS {
        let w = held(form, &value, 320);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| {
                let mut all = Vec::new();
                for rows in [2, 40] {
                    let mut y = vec![0.0; rows * 700];
                    cpu::frozen_linear(&mut y, &x[..rows * 320], &w, rows, 1.0, false);
                    all.extend(y);
                }
                let mut dx = vec![0.0; 40 * 320];
                cpu::frozen_backward_input(&mut dx, &dy, &w, 40, 1.0, false);
                all.extend(dx);
                all
            })
        };
        let first = run(1);
        for threads in [1, 2, 3] {
            assert!(run(threads) == first, "{form} with {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "do not fit")]
fn shapes_of_frozen_products_are_checked() {
    let w = Matrix::bf16(&[0.0; 12], 4);
    cpu::frozen_linear(&mut [0.0; 6], &[0.0; 6], &w, 2, 1.0, false);
}
