//! Products with a frozen matrix and its adapters, on every instruction set that this machine has.

use crate::support::{close, single, Numbers};
use std::ops::Range;
use tillage_kernels::cpu::{self, Isa, LowRank, LowRankPart, Upstream};
use tillage_kernels::matrix::{from_bf16, to_bf16, Matrix};
use tillage_kernels::reference;

/// Adapters of some outputs: rank and scale.
type Parts = Vec<(Range<usize>, usize, f32)>;

struct Case {
    rows: usize,
    w: Matrix,
    parts: Parts,
    a: Vec<Vec<f32>>,
    b: Vec<Vec<f32>>,
    x: Vec<f64>,
    dy: Vec<f64>,
}

fn rounded(x: &[f64]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(from_bf16(to_bf16(v as f32)))).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

impl Case {
    fn new(rows: usize, inputs: usize, outputs: usize, parts: Parts, form: &str) -> Case {
        let mut n = Numbers::new((rows * inputs + outputs) as u64);
        let value = single(&n.many(inputs * outputs));
        let w = if form == "nf4" { Matrix::nf4(&value, inputs) } else { Matrix::bf16(&value, inputs) };
        let a = parts.iter().map(|(_, r, _)| single(&n.many(r * inputs))).collect();
        let b = parts.iter().map(|(own, r, _)| single(&n.many(r * own.len()))).collect();
        Case { rows, w, parts, a, b, x: n.many(rows * inputs), dy: n.many(rows * outputs) }
    }

    fn low(&self) -> LowRank {
        let parts: Vec<LowRankPart> = self
            .parts
            .iter()
            .zip(self.a.iter().zip(&self.b))
            .map(|((outputs, _, scale), (a, b))| LowRankPart {
                outputs: outputs.clone(),
                a,
                b,
                scale: *scale,
            })
            .collect();
        LowRank::new(self.w.inputs(), self.w.rows(), &parts)
    }

    /// Columns of `m[rows, width]`.
    fn columns(&self, m: &[f64], own: &Range<usize>) -> Vec<f64> {
        m.chunks_exact(m.len() / self.rows).flat_map(|row| row[own.clone()].to_vec()).collect()
    }

    /// Rounded A, and s B, of a part.
    fn factors(&self, part: usize) -> (Vec<f64>, Vec<f64>) {
        let scaled: Vec<f32> = self.b[part].iter().map(|b| self.parts[part].2 * b).collect();
        (rounded(&wide(&self.a[part])), rounded(&wide(&scaled)))
    }

    fn weights(&self) -> Vec<f64> {
        rounded(&wide(&self.w.to_f32(0..self.w.rows())))
    }

    /// Adds columns of a part to those of the whole, `[rows, width]`.
    fn add(&self, whole: &mut [f64], own: &Range<usize>, part: &[f64]) {
        let width = whole.len() / self.rows;
        for (row, part) in whole.chunks_exact_mut(width).zip(part.chunks_exact(own.len())) {
            row[own.clone()].iter_mut().zip(part).for_each(|(w, p)| *w += p);
        }
    }
}

/// Few and many lanes, widths and ranks that are no multiples of a tile, parts that leave outputs without an adapter,
/// a contraction that is longer than a panel.
fn cases() -> Vec<Case> {
    let all = |outputs: usize| 0..outputs;
    [
        (9, 32, 64, vec![(all(64), 16, 0.5)]),
        (33, 50, 70, vec![(0..40, 4, 2.0), (40..61, 7, 1.0)]),
        (70, 300, 130, vec![(0..64, 16, 1.0), (64..96, 16, 1.0), (96..130, 16, 1.0)]),
        (40, 4000, 96, vec![(10..96, 8, 0.25)]),
        (17, 96, 4000, vec![(0..1000, 8, 0.25), (3000..4000, 3, 1.0)]),
    ]
    .into_iter()
    .flat_map(|(rows, ins, outs, parts)| {
        ["bf16", "nf4"].map(|form| Case::new(rows, ins, outs, parts.clone(), form))
    })
    .collect()
}

#[test]
fn outputs_with_adapters() {
    for isa in Isa::available() {
        for c in cases() {
            let low = c.low().on(isa);
            for dropped in [false, true] {
                let into: Vec<f64> =
                    if dropped { c.x.iter().map(|x| -0.5 * x).collect() } else { c.x.clone() };
                let mut y = reference::linear(&rounded(&c.x), &c.weights(), c.rows);
                let mut hidden = vec![f32::NAN; c.rows * low.ranks()];
                let mut out = vec![f32::NAN; y.len()];
                let single_into = single(&into);
                cpu::low_rank_linear(
                    &mut out,
                    &mut hidden,
                    &single(&c.x),
                    dropped.then_some(&single_into[..]),
                    (&c.w, &low),
                    c.rows,
                );
                let mut first = 0;
                for (part, (own, r, _)) in c.parts.iter().enumerate() {
                    let (a, b) = c.factors(part);
                    let ax = c.columns(&wide(&hidden), &(first..first + r));
                    first += r;
                    close(&single(&ax), &reference::linear(&rounded(&into), &a, c.rows), 2e-6);
                    c.add(&mut y, own, &reference::linear(&rounded(&ax), &b, c.rows));
                }
                close(&out, &y, 2e-6);
            }
        }
    }
}

#[test]
fn gradients_with_adapters() {
    for isa in Isa::available() {
        for c in cases() {
            let (low, mut up) = (c.low().on(isa), Upstream::default());
            let (x, dy) = (single(&c.x), single(&c.dy));
            let inputs = c.w.inputs();
            let mut hidden = vec![0.0; c.rows * low.ranks()];
            let mut y = vec![0.0; dy.len()];
            cpu::low_rank_linear(&mut y, &mut hidden, &x, None, (&c.w, &low), c.rows);
            cpu::low_rank_receive(&mut up, &dy, &low, c.rows);

            let zero = vec![0.0; c.x.len()];
            let (base, _) = reference::linear_backward(&rounded(&c.dy), &zero, &c.weights(), c.rows);
            let mut through_adapter = vec![0.0; base.len()];
            let mut gradients: Vec<(Vec<f32>, Vec<f32>)> =
                c.a.iter().zip(&c.b).map(|(a, b)| (vec![1.0; a.len()], vec![1.0; b.len()])).collect();
            let mut places: Vec<_> = gradients.iter_mut().map(|(a, b)| (&mut a[..], &mut b[..])).collect();
            cpu::low_rank_backward_weights(&mut places, (&x, &hidden), &dy, &up, &low, c.rows);
            let mut first = 0;
            for (part, (own, r, scale)) in c.parts.iter().enumerate() {
                let (a, b) = c.factors(part);
                let dy = c.columns(&rounded(&c.dy), own);
                let ax = rounded(&c.columns(&wide(&hidden), &(first..first + r)));
                first += r;
                let (dax, db) = reference::linear_backward(&dy, &ax, &b, c.rows);
                let (dx, da) = reference::linear_backward(&rounded(&dax), &rounded(&c.x), &a, c.rows);
                through_adapter.iter_mut().zip(dx).for_each(|(to, d)| *to += d);
                // d(A x) is computed in f32 and rounded: a last digit of it may fall the other way.
                close(&gradients[part].0, &da.iter().map(|d| d + 1.0).collect::<Vec<_>>(), 2e-4);
                let db: Vec<f64> = db.iter().map(|d| f64::from(*scale) * d + 1.0).collect();
                close(&gradients[part].1, &db, 4e-6);
            }

            let mut dx = vec![1.0; c.rows * inputs];
            cpu::low_rank_backward_input(&mut dx, None, &dy, &up, (&c.w, &low), c.rows, true);
            let sum: Vec<f64> = base.iter().zip(&through_adapter).map(|(b, a)| 1.0 + b + a).collect();
            close(&dx, &sum, 2e-4);
            let mut apart = vec![f32::NAN; dx.len()];
            cpu::low_rank_backward_input(&mut dx, Some(&mut apart), &dy, &up, (&c.w, &low), c.rows, false);
            close(&dx, &base, 2e-6);
            close(&apart, &through_adapter, 2e-4);
            let (mut added, mut apart) = (vec![1.0; dx.len()], vec![f32::NAN; dx.len()]);
            cpu::low_rank_backward_input(&mut added, Some(&mut apart), &dy, &up, (&c.w, &low), c.rows, true);
            close(&added, &base.iter().map(|b| 1.0 + b).collect::<Vec<_>>(), 2e-6);
            close(&apart, &through_adapter, 2e-4);
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits_with_adapters() {
    let c = Case::new(70, 320, 700, vec![(0..300, 16, 1.0), (300..700, 8, 0.5)], "bf16");
    let (low, x, dy) = (c.low(), single(&c.x), single(&c.dy));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let mut up = Upstream::default();
            let (mut y, mut hidden) = (vec![0.0; dy.len()], vec![0.0; 70 * low.ranks()]);
            cpu::low_rank_linear(&mut y, &mut hidden, &x, None, (&c.w, &low), 70);
            cpu::low_rank_receive(&mut up, &dy, &low, 70);
            let mut dx = vec![0.0; x.len()];
            cpu::low_rank_backward_input(&mut dx, None, &dy, &up, (&c.w, &low), 70, false);
            let mut gradients: Vec<(Vec<f32>, Vec<f32>)> =
                c.a.iter().zip(&c.b).map(|(a, b)| (vec![0.0; a.len()], vec![0.0; b.len()])).collect();
            let mut places: Vec<_> = gradients.iter_mut().map(|(a, b)| (&mut a[..], &mut b[..])).collect();
            cpu::low_rank_backward_weights(&mut places, (&x, &hidden), &dy, &up, &low, 70);
            (y, hidden, dx, gradients)
        })
    };
    let first = run(1);
    for threads in [1, 2, 3] {
        assert!(run(threads) == first, "{threads} threads");
    }
}
