//! Products with a frozen matrix and what an adapter of low rank adds to it: W + s B A (Hu et al. 2021), in bf16 like W.
//!
//! On tiles both are one product: the operand's rows are [x | A x], the weights [W | s B], so that the result is read and
//! written once.

use super::halves::Halves;
use super::pack::Over;
use super::{product, Isa};
use crate::cpu::par::{self, Disjoint};
use crate::matrix::{to_bf16, Bf16s, Matrix, Store};
use std::ops::Range;

/// The adapter of some outputs of a projection.
#[derive(Debug, Clone)]
pub struct LowRankPart<'a> {
    /// The outputs that it adds to; those of different parts may not overlap.
    pub outputs: Range<usize>,
    /// `[rank, inputs]`
    pub a: &'a [f32],
    /// `[outputs, rank]`
    pub b: &'a [f32],
    /// Factor on B A.
    pub scale: f32,
}

/// The adapters of a projection, rounded to bf16.
#[derive(Debug)]
pub struct LowRank {
    /// A of all parts below one another, `[ranks, inputs]`.
    a: Matrix,
    /// s B of all parts, each in its own rows and columns, `[outputs, ranks]`.
    b: Matrix,
    parts: Vec<Part>,
    /// The instructions that its products are computed with.
    isa: Isa,
}

#[derive(Debug)]
struct Part {
    outputs: Range<usize>,
    ranks: Range<usize>,
    scale: f32,
}

impl LowRank {
    /// The adapters of a projection from `inputs` to `outputs` numbers.
    ///
    /// # Panics
    /// When there are no parts or a part's numbers do not fit.
    pub fn new(inputs: usize, outputs: usize, parts: &[LowRankPart]) -> LowRank {
        let ranks: usize = parts.iter().map(|p| p.a.len() / inputs).sum();
        assert!(ranks > 0, "no adapter");
        let mut a = Vec::with_capacity(ranks * inputs);
        let mut b = vec![0; outputs * ranks];
        let mut own = Vec::with_capacity(parts.len());
        for part in parts {
            let first = a.len() / inputs;
            let rank = part.a.len() / inputs;
            assert!(
                part.a.len() == rank * inputs && part.b.len() == part.outputs.len() * rank,
                "an adapter's shapes do not fit"
            );
            a.extend(part.a.iter().map(|&x| to_bf16(x)));
            for (o, row) in part.outputs.clone().zip(part.b.chunks_exact(rank)) {
                for (to, x) in b[o * ranks + first..].iter_mut().zip(row) {
                    *to = to_bf16(part.scale * x);
                }
            }
            own.push(Part { outputs: part.outputs.clone(), ranks: first..first + rank, scale: part.scale });
        }
        let half = |value: Vec<u16>, inputs| Matrix::new(Store::Bf16(Bf16s::from(value)), inputs);
        LowRank { a: half(a, inputs), b: half(b, ranks), parts: own, isa: Isa::best() }
    }

    /// The same with chosen instructions; every product with it panics where the machine lacks them.
    #[doc(hidden)]
    pub fn on(self, isa: Isa) -> LowRank {
        LowRank { isa, ..self }
    }

    /// Ranks of all parts together.
    pub fn ranks(&self) -> usize {
        self.a.rows()
    }
}

/// What a backward pass computes of a projection's dy, for the gradients of both its input and its adapter.
#[derive(Debug, Default)]
pub struct Upstream {
    /// On tiles: dy and d(A x) side by side.
    halves: Halves,
    /// d(A x), `[rows, ranks]`.
    hidden: Vec<f32>,
}

impl Upstream {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.halves.bytes() + 4 * self.hidden.capacity()
    }

    /// Bytes for so many rows of `outputs` numbers with an adapter of `ranks`.
    pub fn bytes_of(rows: usize, outputs: usize, ranks: usize) -> usize {
        let halves = if Isa::best() == Isa::Amx { Halves::bytes_of(rows, &[outputs, ranks]) } else { 0 };
        halves + 4 * rows * ranks
    }
}

/// `hidden[rows, ranks] = x Aᵀ`, `y[rows, outputs] = x Wᵀ + s hidden Bᵀ`. Where dropout stands before A, `dropped` is what
/// it leaves of x.
///
/// # Panics
/// When the shapes do not fit.
pub fn low_rank_linear(
    y: &mut [f32],
    hidden: &mut [f32],
    x: &[f32],
    dropped: Option<&[f32]>,
    (w, low): (&Matrix, &LowRank),
    rows: usize,
) {
    let isa = low.isa;
    super::check(isa, [y.len(), x.len()], [w.rows(), w.inputs()], rows);
    assert!(hidden.len() == rows * low.ranks() && low.a.inputs() == w.inputs() && low.b.rows() == w.rows());
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        return super::HALVES.with(|halves| {
            on_tiles::linear(halves, y, hidden, [x, dropped.unwrap_or(x)], (w, low), rows);
        });
    }
    product(isa, hidden, dropped.unwrap_or(x), (&low.a, Over::Inputs), rows, 1.0, false);
    product(isa, y, x, (w, Over::Inputs), rows, 1.0, false);
    product(isa, y, hidden, (&low.b, Over::Inputs), rows, 1.0, true);
}

/// Takes the gradient of a projection's output: `d(A x) = s dy B`.
///
/// # Panics
/// When the shapes do not fit.
pub fn low_rank_receive(up: &mut Upstream, dy: &[f32], low: &LowRank, rows: usize) {
    let isa = low.isa;
    super::check(isa, [dy.len(), rows], [low.b.rows(), 1], rows);
    up.hidden.resize(rows * low.ranks(), 0.0);
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        return on_tiles::receive(up, dy, low, rows);
    }
    product(isa, &mut up.hidden, dy, (&low.b, Over::Outputs), rows, 1.0, false);
}

/// `dx = dy W + d(A x) A`, added to `dx` when `accumulate`. With `apart`, which dropout before A needs, the second term goes
/// there instead. `up` has received the same dy.
///
/// # Panics
/// When the shapes do not fit.
pub fn low_rank_backward_input(
    dx: &mut [f32],
    apart: Option<&mut [f32]>,
    dy: &[f32],
    up: &Upstream,
    (w, low): (&Matrix, &LowRank),
    rows: usize,
    accumulate: bool,
) {
    let isa = low.isa;
    super::check(isa, [dx.len(), dy.len()], [w.inputs(), w.rows()], rows);
    assert!(up.hidden.len() == rows * low.ranks(), "another gradient was received");
    if let Some(apart) = apart {
        product(isa, apart, &up.hidden, (&low.a, Over::Outputs), rows, 1.0, false);
        return product(isa, dx, dy, (w, Over::Outputs), rows, 1.0, accumulate);
    }
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        return on_tiles::backward_input(dx, up, (w, low), rows, accumulate);
    }
    product(isa, dx, dy, (w, Over::Outputs), rows, 1.0, accumulate);
    product(isa, dx, &up.hidden, (&low.a, Over::Outputs), rows, 1.0, true);
}

/// Gradients of an adapter: `dA += d(A x)ᵀ x`, `dB += s dyᵀ (A x)`, for each part a pair of them. `x` is what went into A,
/// `hidden` what [`low_rank_linear`] left, and `up` has received dy.
///
/// # Panics
/// When the shapes do not fit.
pub fn low_rank_backward_weights(
    gradients: &mut [(&mut [f32], &mut [f32])],
    (x, hidden): (&[f32], &[f32]),
    dy: &[f32],
    up: &Upstream,
    low: &LowRank,
    rows: usize,
) {
    let isa = low.isa;
    let (inputs, outputs, ranks) = (low.a.inputs(), low.b.rows(), low.ranks());
    super::check(isa, [x.len(), dy.len()], [inputs, outputs], rows);
    assert!(
        hidden.len() == rows * ranks && up.hidden.len() == rows * ranks && gradients.len() == low.parts.len()
    );
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        return super::HALVES.with(|halves| {
            on_tiles::backward_weights(halves, gradients, (x, hidden), up, low, rows);
        });
    }
    let rounded = [Matrix::bf16(x, inputs), Matrix::bf16(dy, outputs)];
    let mut turned = vec![0.0; rows * ranks];
    let mut products = [vec![0.0; ranks * inputs], vec![0.0; ranks * outputs]];
    for ((operand, w), to) in [&up.hidden[..], hidden].into_iter().zip(&rounded).zip(&mut products) {
        for (row, numbers) in operand.chunks_exact(ranks).enumerate() {
            numbers.iter().enumerate().for_each(|(r, x)| turned[r * rows + row] = *x);
        }
        product(isa, to, &turned, (w, Over::Outputs), ranks, 1.0, false);
    }
    for (part, (da, db)) in low.parts.iter().zip(gradients) {
        let own = &products[0][part.ranks.start * inputs..part.ranks.end * inputs];
        da.iter_mut().zip(own).for_each(|(d, x)| *d += x);
        add_turned(db, &products[1][part.ranks.start * outputs..], outputs, part);
    }
}

/// `db[output, rank] += s from[rank, output]`, of the part's outputs.
fn add_turned(db: &mut [f32], from: &[f32], outputs: usize, part: &Part) {
    let rank = part.ranks.len();
    let count = part.outputs.len();
    let db = Disjoint::new(db);
    par::ranges(count, par::row_grain(rank), |range| {
        // SAFETY: ranges of outputs do not overlap.
        let db = unsafe { db.part(range.start * rank..range.end * rank) };
        for (n, row) in db.chunks_exact_mut(rank).enumerate() {
            let o = part.outputs.start + range.start + n;
            row.iter_mut().enumerate().for_each(|(r, d)| *d += part.scale * from[r * outputs + o]);
        }
    });
}

#[cfg(target_arch = "x86_64")]
mod on_tiles {
    use super::*;
    use crate::cpu::frozen::halves::lines;
    use crate::cpu::frozen::tiles::{whole, Piece, Product, Source};

    const ISA: Isa = Isa::Amx;

    fn run(y: &mut [f32], x: &Halves, pieces: &[Piece], [rows, width]: [usize; 2], accumulate: bool) {
        Product { x, pieces, rows, width, lanes: 0..width, scale: 1.0, accumulate }.run(y);
    }

    pub fn linear(
        halves: &mut Halves,
        y: &mut [f32],
        hidden: &mut [f32],
        [x, dropped]: [&[f32]; 2],
        (w, low): (&Matrix, &LowRank),
        rows: usize,
    ) {
        let (inputs, ranks) = (w.inputs(), low.ranks());
        halves.reserve(rows, &[inputs, ranks]);
        halves.put(ISA, 0, dropped, inputs, 0, inputs);
        run(hidden, halves, &[whole(&low.a, Over::Inputs)], [rows, ranks], false);
        if !std::ptr::eq(x, dropped) {
            halves.put(ISA, 0, x, inputs, 0, inputs);
        }
        halves.put(ISA, lines(inputs), hidden, ranks, 0, ranks);
        let pieces = [whole(w, Over::Inputs), whole(&low.b, Over::Inputs)];
        run(y, halves, &pieces, [rows, w.rows()], false);
    }

    pub fn receive(up: &mut Upstream, dy: &[f32], low: &LowRank, rows: usize) {
        let (outputs, ranks) = (low.b.rows(), low.ranks());
        up.halves.reserve(rows, &[outputs, ranks]);
        up.halves.put(ISA, 0, dy, outputs, 0, outputs);
        run(&mut up.hidden, &up.halves, &[whole(&low.b, Over::Outputs)], [rows, ranks], false);
        up.halves.put(ISA, lines(outputs), &up.hidden, ranks, 0, ranks);
    }

    pub fn backward_input(
        dx: &mut [f32],
        up: &Upstream,
        (w, low): (&Matrix, &LowRank),
        rows: usize,
        accumulate: bool,
    ) {
        let pieces = [whole(w, Over::Outputs), whole(&low.a, Over::Outputs)];
        run(dx, &up.halves, &pieces, [rows, w.inputs()], accumulate);
    }

    pub fn backward_weights(
        halves: &mut Halves,
        gradients: &mut [(&mut [f32], &mut [f32])],
        (x, hidden): (&[f32], &[f32]),
        up: &Upstream,
        low: &LowRank,
        rows: usize,
    ) {
        let (inputs, outputs, ranks) = (low.a.inputs(), low.b.rows(), low.ranks());
        halves.reserve(rows, &[inputs]);
        halves.put(ISA, 0, x, inputs, 0, inputs);
        let mut turned = Halves::default();
        let mut product = vec![0.0; ranks * outputs];
        let over = |source| Piece { source, over: Over::Outputs, first: 0, deep: rows };
        for (part, (da, db)) in low.parts.iter().zip(gradients) {
            let rank = part.ranks.len();
            turned.reserve(rank, &[rows]);
            turned.put_turned(&up.hidden, ranks, part.ranks.start);
            run(da, &turned, &[over(Source::Halves(halves, inputs))], [rank, inputs], true);
            turned.put_turned(hidden, ranks, part.ranks.start);
            let own = &mut product[..rank * outputs];
            Product {
                x: &turned,
                pieces: &[over(Source::Halves(&up.halves, outputs))],
                rows: rank,
                width: outputs,
                lanes: part.outputs.clone(),
                scale: 1.0,
                accumulate: false,
            }
            .run(own);
            add_turned(db, own, outputs, part);
        }
    }
}
