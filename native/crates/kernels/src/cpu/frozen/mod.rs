//! Products with frozen matrices, whatever form their numbers are held in ([`Matrix`]).
//!
//! Many rows: blocks of weights are decoded and packed into panels in a buffer of each thread, and multiplied by kernels
//! that keep their sums in registers; threads share the product's columns. Few rows: the weights are read once, straight
//! from the store; threads share its rows. Either way a number of the result is summed in the same order for any number of
//! threads. The kernels are written once over a set of vector operations and compiled for each instruction set
//! ([`Isa`]); pairs of bf16 have kernels of their own.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(super) mod amx;
mod coded;
mod decode;
mod few;
mod gradient;
// Elsewhere only its sizes are asked for.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
mod halves;
mod isa;
mod lanes;
mod low_rank;
mod narrow;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
mod plain;
mod product;
mod tile;
#[cfg(target_arch = "x86_64")]
mod tiles;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use gradient::{rounded_backward_weight, rounded_backward_weight_on, rounded_gradient_bytes};
pub use isa::Isa;
pub use low_rank::{
    low_rank_backward_input, low_rank_backward_weights, low_rank_linear, low_rank_receive, LowRank,
    LowRankPart, Upstream,
};
pub(crate) use narrow::to_halves;
#[cfg(target_arch = "x86_64")]
pub(super) use {lanes::Lanes, tiles::kernel, x86::Avx512};

use super::par::{self, Disjoint};
use crate::matrix::{self, Arithmetic, Matrix, FEW_ROWS};
use few::{single as single_few, Few, Weights};
use narrow::narrow;
use pack::{Buffers, Over};
use product::{Job, Operand};
use std::cell::{Cell, RefCell};
use std::ops::Range;

/// Numbers of the contraction that are multiplied in one go, so that the operand's copy in bf16 stays small.
const SPAN: usize = 2048;
/// The same on tiles, whose operand is rounded once for all lanes.
#[cfg(target_arch = "x86_64")]
const TILES_SPAN: usize = 8192;

thread_local! {
    static BUFFERS: RefCell<Box<Buffers>> = RefCell::new(Buffers::boxed());
    /// The operand in bf16, or rounded to it; kept between products.
    static PAIRS: Cell<Vec<u16>> = const { Cell::new(Vec::new()) };
    static ROUNDED: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// The operand on tiles.
#[cfg(target_arch = "x86_64")]
static HALVES: super::par::Spare<halves::Halves> = super::par::Spare::new();

/// Bytes that products of up to so many rows, with sums over up to `deep` numbers, take beyond their operands.
pub fn frozen_scratch_bytes(rows: usize, deep: usize) -> usize {
    let threads = rayon::current_num_threads();
    #[cfg(target_arch = "x86_64")]
    if Isa::best() == Isa::Amx {
        return halves::Halves::bytes_of(rows, &[deep.min(TILES_SPAN)]) + threads * tiles::BYTES_OF_A_THREAD;
    }
    let each = if Isa::best().pairs() { 2 } else { 4 };
    rows * deep.min(SPAN) * each + threads * std::mem::size_of::<Buffers>()
}

/// `y[rows, w.rows] = scale * x[rows, w.inputs] wᵀ`, added to `y` when `accumulate`.
///
/// # Panics
/// When the shapes do not fit.
pub fn frozen_linear(y: &mut [f32], x: &[f32], w: &Matrix, rows: usize, scale: f32, accumulate: bool) {
    frozen_linear_on(Isa::best(), y, x, w, rows, scale, accumulate);
}

/// `dx[rows, w.inputs] = scale * dy[rows, w.rows] w`, added to `dx` when `accumulate`.
///
/// # Panics
/// When the shapes do not fit.
pub fn frozen_backward_input(
    dx: &mut [f32],
    dy: &[f32],
    w: &Matrix,
    rows: usize,
    scale: f32,
    accumulate: bool,
) {
    frozen_backward_input_on(Isa::best(), dx, dy, w, rows, scale, accumulate);
}

/// `y[t] = table[tokens[t]]`.
///
/// # Panics
/// When a token has no row, or `y` does not hold as many rows as there are tokens.
pub fn frozen_embedding(y: &mut [f32], table: &Matrix, tokens: &[u32]) {
    assert_eq!(y.len(), tokens.len() * table.inputs(), "a row for each token");
    for (y, &token) in y.chunks_exact_mut(table.inputs()).zip(tokens) {
        table.read(token as usize..token as usize + 1, y);
    }
}

/// [`frozen_linear`] with chosen instructions.
///
/// # Panics
/// When the shapes do not fit or the machine lacks the instructions.
#[doc(hidden)]
pub fn frozen_linear_on(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    w: &Matrix,
    rows: usize,
    scale: f32,
    accumulate: bool,
) {
    check(isa, [y.len(), x.len()], [w.rows(), w.inputs()], rows);
    if rows == 0 {
        return;
    }
    if rows > FEW_ROWS {
        return product(isa, y, x, (w, Over::Inputs), rows, scale, accumulate);
    }
    let inputs = w.inputs();
    // Some 64k weights for each thread at least.
    let grain = (65_536 / inputs.max(1)).max(1);
    let halves = w.arithmetic() == Arithmetic::Bf16 && w.locate(0).0.is_bf16();
    if halves && isa.pairs() {
        let mut own = PAIRS.take();
        own.resize(x.len(), 0);
        narrow(isa, x, &mut own);
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Amx && tiles::few::fits(w, rows) {
            tiles::few::linear(y, &own, w, rows, scale, accumulate);
            PAIRS.set(own);
            return;
        }
        let job = Few {
            y: Disjoint::new(y),
            x: &own[..],
            stride: inputs,
            rows,
            w: Weights::Held(w),
            scale,
            accumulate,
        };
        // SAFETY: the instructions are there, and ranges of outputs do not overlap.
        par::ranges(w.rows(), grain, |range| unsafe { few_pairs(&job, range) });
        PAIRS.set(own);
        return;
    }
    let mut own = ROUNDED.take();
    let x = if halves {
        own.clear();
        own.extend(x.iter().map(|&x| matrix::round(x)));
        &own[..]
    } else {
        x
    };
    let job = Few { y: Disjoint::new(y), x, stride: inputs, rows, w: Weights::Held(w), scale, accumulate };
    // SAFETY: as above.
    par::ranges(w.rows(), grain, |range| unsafe { few_single(isa, &job, range) });
    ROUNDED.set(own);
}

/// [`frozen_linear`] over at most [`FEW_ROWS`] rows and weights in f32, `w[outs, ins]`.
pub(super) fn few_linear(y: &mut [f32], x: &[f32], w: &[f32], rows: usize, scale: f32, accumulate: bool) {
    let inputs = x.len() / rows;
    let w = Weights::F32(w, inputs);
    let job = Few { y: Disjoint::new(y), x, stride: inputs, rows, w, scale, accumulate };
    let grain = (65_536 / inputs.max(1)).max(1);
    // SAFETY: the machine has its own instructions, and ranges of outputs do not overlap.
    par::ranges(w.outputs(), grain, |range| unsafe { few_single(Isa::best(), &job, range) });
}

/// [`frozen_backward_input`] with chosen instructions.
///
/// # Panics
/// As [`frozen_linear_on`].
#[doc(hidden)]
pub fn frozen_backward_input_on(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    w: &Matrix,
    rows: usize,
    scale: f32,
    accumulate: bool,
) {
    check(isa, [dx.len(), dy.len()], [w.inputs(), w.rows()], rows);
    if rows > 0 {
        product(isa, dx, dy, (w, Over::Outputs), rows, scale, accumulate);
    }
}

fn check(isa: Isa, lens: [usize; 2], widths: [usize; 2], rows: usize) {
    assert!(isa == Isa::best() || Isa::available().contains(&isa), "the machine lacks {isa:?}");
    assert!(lens[0] == rows * widths[0] && lens[1] == rows * widths[1], "shapes of a product do not fit");
}

/// A product of many rows, span by span.
fn product(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    (w, over): (&Matrix, Over),
    rows: usize,
    scale: f32,
    accumulate: bool,
) {
    let (width, deep) = match over {
        Over::Inputs => (w.rows(), w.inputs()),
        Over::Outputs => (w.inputs(), w.rows()),
    };
    #[cfg(target_arch = "x86_64")]
    if w.arithmetic() == Arithmetic::Bf16 && isa == Isa::Amx {
        return HALVES.with(|halves| {
            product_of_tiles(halves, y, x, (w, over), rows, scale, accumulate);
        });
    }
    let (mut halves, mut rounded) = (PAIRS.take(), ROUNDED.take());
    for start in (0..deep).step_by(SPAN) {
        let span = start..deep.min(start + SPAN);
        let accumulate = accumulate || start > 0;
        let y = Disjoint::new(&mut *y);
        // Ranges of lanes end at whole vectors of sixteen, which is also a cache line.
        let lanes = |range: Range<usize>| range.start * 16..width.min(range.end * 16);
        let grain = (100_000 / (16 * rows * span.len())).max(1);
        let numbers = span.len();
        let each = |f: &(dyn Fn(Range<usize>, &mut Buffers) + Sync)| {
            par::ranges(width.div_ceil(16), grain, |range| {
                BUFFERS.with(|b| f(lanes(range), &mut b.borrow_mut()));
            });
        };
        if w.arithmetic() == Arithmetic::Bf16 && isa.pairs() {
            // Tiles are whole: the rows and numbers that they lack are 0, or of rows that are not looked at.
            let stride = numbers.next_multiple_of(32);
            halves.resize(rows.next_multiple_of(pack::TALLEST) * stride, 0);
            let copies = Disjoint::new(&mut halves[..rows * stride]);
            par::ranges(rows, par::row_grain(numbers), |range| {
                for row in range {
                    // SAFETY: ranges of rows do not overlap.
                    let to = unsafe { copies.part(row * stride..(row + 1) * stride) };
                    narrow(isa, &x[row * deep + start..row * deep + span.end], &mut to[..numbers]);
                    to[numbers..].fill(0);
                }
            });
            let x = Operand::pairs(&halves, rows, stride / 2);
            let job = Job { y, width, x, rows, w, over, span, scale, accumulate };
            // SAFETY: the instructions are there, the copy is alive, and ranges of lanes do not overlap.
            each(&|lanes, b| unsafe { product_pairs(&job, lanes, b) });
            continue;
        }
        let x = if w.arithmetic() == Arithmetic::Bf16 {
            rounded.resize(rows * numbers, 0.0);
            for (to, from) in rounded.chunks_exact_mut(numbers).zip(x.chunks_exact(deep)) {
                to.iter_mut().zip(&from[span.clone()]).for_each(|(to, x)| *to = matrix::round(*x));
            }
            Operand::new(&rounded, 0, rows, numbers, numbers)
        } else {
            Operand::new(x, start, rows, numbers, deep)
        };
        let job = Job { y, width, x, rows, w, over, span, scale, accumulate };
        // SAFETY: as above.
        each(&|lanes, b| unsafe { product_single(isa, &job, lanes, b) });
    }
    PAIRS.set(halves);
    ROUNDED.set(rounded);
}

/// A product of many rows on tiles, span by span.
#[cfg(target_arch = "x86_64")]
fn product_of_tiles(
    halves: &mut halves::Halves,
    y: &mut [f32],
    x: &[f32],
    (w, over): (&Matrix, Over),
    rows: usize,
    scale: f32,
    accumulate: bool,
) {
    let tiles::Piece { deep, .. } = tiles::whole(w, over);
    let width = y.len() / rows;
    for first in (0..deep).step_by(TILES_SPAN) {
        let own = (deep - first).min(TILES_SPAN);
        halves.reserve(rows, &[own]);
        halves.put(Isa::Amx, 0, x, deep, first, own);
        let pieces = &[tiles::Piece { first, deep: own, ..tiles::whole(w, over) }];
        let accumulate = accumulate || first > 0;
        tiles::Product { x: halves, pieces, rows, width, lanes: 0..width, scale, accumulate }.run(y);
    }
}

/// Compiles a function of the vectors `$lanes` for each instruction set and calls the one that is asked for.
///
/// Its callers promise that the machine has the instructions.
macro_rules! for_each_isa {
    ($name:ident, $generic:ident, ($($arg:ident: $kind:ty),*)) => {
        unsafe fn $name(isa: Isa, $($arg: $kind),*) {
            unsafe fn baseline($($arg: $kind),*) {
                // SAFETY: the caller's promise.
                unsafe { $generic::<plain::Plain>($($arg),*) }
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            unsafe fn arm($($arg: $kind),*) {
                // SAFETY: as above.
                unsafe { $generic::<neon::Neon>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $kind),*) {
                // SAFETY: as above.
                unsafe { $generic::<x86::Avx2>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            unsafe fn avx512($($arg: $kind),*) {
                // SAFETY: as above.
                unsafe { $generic::<x86::Avx512>($($arg),*) }
            }
            // SAFETY: the caller's promise.
            unsafe {
                match isa {
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => arm($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => avx2($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 | Isa::Avx512Bf16 | Isa::Amx => avx512($($arg),*),
                    _ => baseline($($arg),*),
                }
            }
        }
    };
}

/// [`product::product`] in f32.
#[inline(always)]
unsafe fn single_product<S: lanes::Lanes>(job: &Job<f32>, range: Range<usize>, b: &mut Buffers) {
    // SAFETY: the caller's promise.
    unsafe { product::product::<pack::Single<S>>(job, range, b) }
}

for_each_isa!(product_single, single_product, (job: &Job<f32>, range: Range<usize>, b: &mut Buffers));
for_each_isa!(few_single, single_few, (job: &Few<f32>, range: Range<usize>));

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn product_pairs(job: &Job<u32>, range: Range<usize>, b: &mut Buffers) {
    // SAFETY: the caller's promise.
    unsafe { product::product::<pack::Pairs>(job, range, b) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn few_pairs(job: &Few<u16>, range: Range<usize>) {
    // SAFETY: the caller's promise.
    unsafe { few::pairs(job, range) }
}

#[cfg(not(target_arch = "x86_64"))]
unsafe fn product_pairs(_: &Job<u32>, _: Range<usize>, _: &mut Buffers) {
    unreachable!("only x86-64 has AVX-512")
}

#[cfg(not(target_arch = "x86_64"))]
unsafe fn few_pairs(_: &Few<u16>, _: Range<usize>) {
    unreachable!("only x86-64 has AVX-512")
}
