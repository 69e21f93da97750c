//! Speed of products with frozen matrices beside the f32 product, in turns:
//! `cargo run --release -p tillage-kernels --example products -- [CASE] [ROWS INPUTS OUTPUTS]...`, CASE being a part of a
//! case's name.

use std::time::Instant;
use tillage_kernels::cpu::{self, Isa};
use tillage_kernels::matrix::{Arithmetic, Matrix, Store};

/// A product to time, by its name.
type Case<'a> = (String, Box<dyn FnMut() + 'a>);

fn main() {
    let mut args = std::env::args().skip(1).peekable();
    let only = args.next_if(|a| a.parse::<usize>().is_err());
    let args: Vec<usize> = args.map(|a| a.parse().expect("a number")).collect();
    let shapes: Vec<[usize; 3]> = if args.is_empty() {
        vec![
            [1024, 576, 1536],
            [1024, 1536, 576],
            [1024, 896, 4864],
            [1024, 4864, 896],
            [85, 576, 49152],
            [8, 2048, 8192],
            [1, 2048, 8192],
        ]
    } else {
        args.as_chunks::<3>().0.to_vec()
    };
    for [rows, ins, outs] in shapes {
        println!("{rows} x {ins} x {outs}");
        let number = |i: usize| ((i * 2_654_435_761) % 2001) as f32 / 1000.0 - 1.0;
        let value: Vec<f32> = (0..ins * outs).map(number).collect();
        let (x, dy): (Vec<f32>, Vec<f32>) =
            ((0..rows * ins).map(number).collect(), (0..rows * outs).map(number).collect());
        let mut forms = vec![
            ("bf16", Matrix::bf16(&value, ins)),
            ("int8", Matrix::int8(&value, ins)),
            ("nf4", Matrix::nf4(&value, ins)),
            ("f32", Matrix::new(Store::F32(value.clone()), ins)),
        ];
        let mut exact = Matrix::nf4(&value, ins);
        exact.set_arithmetic(Arithmetic::F32);
        forms.push(("nf4 in f32", exact));
        let mut cases: Vec<Case> = Vec::new();
        let mut y = vec![0.0; rows * outs];
        let (xs, values) = (&x, &value);
        cases.push(("crate gemm f32, y".into(), {
            Box::new(move || cpu::linear(&mut y, xs, values, rows, 1.0, false))
        }));
        let mut dx = vec![0.0; rows * ins];
        let dys = &dy;
        cases.push(("crate gemm f32, dx".into(), {
            Box::new(move || cpu::linear_backward_input(&mut dx, dys, values, rows, 1.0, false))
        }));
        let isas: Vec<Isa> =
            Isa::available().into_iter().filter(|i| !matches!(i, Isa::Plain | Isa::Avx2)).collect();
        for (name, w) in &forms {
            for &isa in &isas {
                let mut y = vec![0.0; rows * outs];
                cases.push((format!("{name} {isa:?}, y"), {
                    Box::new(move || cpu::frozen_linear_on(isa, &mut y, xs, w, rows, 1.0, false))
                }));
                let mut dx = vec![0.0; rows * ins];
                cases.push((format!("{name} {isa:?}, dx"), {
                    Box::new(move || cpu::frozen_backward_input_on(isa, &mut dx, dys, w, rows, 1.0, false))
                }));
            }
        }
        if let Some(only) = &only {
            cases.retain(|(name, _)| name.contains(only.as_str()));
        }
        let mut times = vec![Vec::new(); cases.len()];
        for _ in 0..9 {
            for ((_, case), times) in cases.iter_mut().zip(&mut times) {
                let start = Instant::now();
                case();
                times.push(start.elapsed().as_secs_f64());
            }
        }
        for ((name, _), times) in cases.iter().zip(&mut times) {
            times.sort_by(f64::total_cmp);
            let gflop = 2e-9 * (rows * ins * outs) as f64;
            println!(
                "  {name:28} {:9.3} ms  {:7.1} GFLOP/s (best {:7.1})",
                times[4] * 1e3,
                gflop / times[4],
                gflop / times[0]
            );
        }
    }
}
