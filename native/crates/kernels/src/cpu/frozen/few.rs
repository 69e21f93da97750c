//! Products of few rows, as in decoding: bound by reading the weights, which are read once and straight from the store.

#![allow(clippy::needless_range_loop)]

use super::lanes::Lanes;
use crate::cpu::par::Disjoint;
use crate::matrix::coded::SIDE;
use crate::matrix::{from_bf16, CodedBf16, Int8, Matrix, Nf4, Store, NF4_BLOCK};
use std::cell::Cell;
use std::ops::Range;

/// Rows that are multiplied at once.
pub(super) const AT_ONCE: usize = 4;

/// Bytes that are fetched ahead of those that are multiplied: the processor itself looks no further than a page.
const AHEAD: usize = 2048;

thread_local! {
    /// A block of coded weights as it was.
    static DECODED: Cell<Vec<u16>> = const { Cell::new(Vec::new()) };
}

/// What the rows are multiplied with.
#[derive(Clone, Copy)]
pub(super) enum Weights<'a> {
    Held(&'a Matrix),
    /// Rows of so many numbers in f32.
    F32(&'a [f32], usize),
}

impl<'a> Weights<'a> {
    fn inputs(&self) -> usize {
        match self {
            Weights::Held(w) => w.inputs(),
            Weights::F32(_, inputs) => *inputs,
        }
    }

    pub fn outputs(&self) -> usize {
        match self {
            Weights::Held(w) => w.rows(),
            Weights::F32(w, inputs) => w.len() / inputs,
        }
    }

    /// Where some rows are, with the number of the first of them.
    fn places(&self, rows: Range<usize>) -> Vec<(usize, Place<'a>)> {
        match *self {
            Weights::F32(w, _) => vec![(rows.start, Place { rows, numbers: Numbers::F32(w) })],
            Weights::Held(w) => {
                let places = w.stores(rows).map(|(own, store)| {
                    let numbers = match store {
                        Store::F32(v) => Numbers::F32(v),
                        Store::Bf16(v) => Numbers::Bf16(v.as_slice()),
                        Store::Coded(v) => Numbers::Coded(v),
                        Store::Int8(v) => Numbers::Int8(v),
                        Store::Nf4(v) => Numbers::Nf4(v),
                    };
                    let first = w.locate(own.start).1;
                    (own.start, Place { rows: first..first + own.len(), numbers })
                });
                places.collect()
            }
        }
    }
}

/// A stored tensor's numbers.
#[derive(Clone, Copy)]
enum Numbers<'a> {
    F32(&'a [f32]),
    Bf16(&'a [u16]),
    Coded(&'a CodedBf16),
    Int8(&'a Int8),
    Nf4(&'a Nf4),
}

/// `y[rows, outputs] = scale * x wᵀ` for some of the outputs.
pub(super) struct Few<'a, T> {
    pub y: Disjoint<'a>,
    pub x: &'a [T],
    /// Numbers from one row of `x` to the next.
    pub stride: usize,
    pub rows: usize,
    pub w: Weights<'a>,
    pub scale: f32,
    pub accumulate: bool,
}

impl<T> Few<'_, T> {
    /// # Safety
    /// No other thread writes this output's numbers.
    #[inline(always)]
    unsafe fn put(&self, output: usize, row: usize, sum: f32) {
        let at = row * self.w.outputs() + output;
        // SAFETY: the caller's promise.
        let y = &mut unsafe { self.y.part(at..at + 1) }[0];
        *y = if self.accumulate { *y + self.scale * sum } else { self.scale * sum };
    }
}

/// In f32.
///
/// # Safety
/// The instruction set is there, and no other thread computes these outputs.
#[inline(always)]
pub(super) unsafe fn single<S: Lanes>(job: &Few<f32>, outputs: Range<usize>) {
    let inputs = job.w.inputs();
    // A row whose blocks do not begin where it does is decoded first.
    let mut whole = Vec::new();
    let mut decoded = DECODED.take();
    for (first_output, place) in job.w.places(outputs) {
        // No closures: their code would be compiled without the instructions.
        for part in place.parts() {
            // SAFETY: the caller's promise.
            let numbers = unsafe { part.numbers::<S>(place.numbers, inputs, &mut decoded) };
            for row in part.rows.clone() {
                let o = first_output + row - place.rows.start;
                for r in (0..job.rows).step_by(AT_ONCE) {
                    let x = &job.x[r * job.stride..];
                    // SAFETY: the caller's promise.
                    unsafe {
                        macro_rules! rows {
                            ($($count:literal),*) => {
                                match (job.rows - r).min(AT_ONCE) {
                                    $($count => {
                                        let row = row - part.begin;
                                        let sums = dots::<S, $count>(numbers, row, inputs, x, job.stride, &mut whole);
                                        sums.into_iter().enumerate().for_each(|(i, sum)| job.put(o, r + i, sum));
                                    })*
                                    _ => unreachable!("between one and AT_ONCE rows"),
                                }
                            };
                        }
                        rows!(1, 2, 3, 4);
                    }
                }
            }
        }
    }
    DECODED.set(decoded);
}

/// Rows of a stored tensor.
struct Place<'a> {
    rows: Range<usize>,
    numbers: Numbers<'a>,
}

/// Some of them, in numbers whose first row is `begin`.
struct Part {
    rows: Range<usize>,
    begin: usize,
}

impl Place<'_> {
    /// What is read in one go: coded numbers a block at a time, others all together.
    fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        let Range { start, end } = self.rows;
        let coded = matches!(self.numbers, Numbers::Coded(_));
        let blocks = if coded { start / SIDE..end.div_ceil(SIDE) } else { 0..1 };
        blocks.map(move |block| match coded {
            true => Part { rows: start.max(block * SIDE)..end.min((block + 1) * SIDE), begin: block * SIDE },
            false => Part { rows: start..end, begin: 0 },
        })
    }
}

impl Part {
    /// The numbers, coded ones as they were.
    ///
    /// # Safety
    /// The instruction set is there.
    #[inline(always)]
    unsafe fn numbers<'a, S: Lanes>(
        &self,
        numbers: Numbers<'a>,
        inputs: usize,
        decoded: &'a mut Vec<u16>,
    ) -> Numbers<'a> {
        let Numbers::Coded(v) = numbers else { return numbers };
        decoded.resize(SIDE * inputs, 0);
        // SAFETY: the caller's promise; there is room for the block.
        unsafe {
            super::coded::rows::<S>(
                v,
                self.begin..self.begin + SIDE,
                0..inputs,
                decoded.as_mut_ptr(),
                inputs,
            );
        }
        Numbers::Bf16(decoded)
    }
}

/// The dot products of a row of weights with `R` rows of `x`.
///
/// # Safety
/// The instruction set is there.
#[inline(always)]
unsafe fn dots<S: Lanes, const R: usize>(
    numbers: Numbers,
    row: usize,
    inputs: usize,
    x: &[f32],
    stride: usize,
    decoded: &mut Vec<f32>,
) -> [f32; R] {
    assert!(x.len() >= (R - 1) * stride + inputs, "rows are shorter than the weights'");
    let x = x.as_ptr();
    let span = row * inputs..(row + 1) * inputs;
    let whole = inputs - inputs % (2 * S::N);
    // Two sums of each row hide some of the additions' latency.
    macro_rules! sum {
        (|$i:ident| $vector:expr, $number:expr, $address:expr) => {{
            let mut sums = [[S::zero(); 2]; R];
            for first in (0..whole).step_by(2 * S::N) {
                let $i = first;
                S::fetch($address.wrapping_byte_add(AHEAD).cast());
                for half in 0..2 {
                    let $i = first + half * S::N;
                    let w = $vector;
                    for r in 0..R {
                        sums[r][half] = S::fma(S::load(x.add(r * stride + $i)), w, sums[r][half]);
                    }
                }
            }
            let mut out = [0.0; R];
            for r in 0..R {
                out[r] = S::sum(sums[r][0]) + S::sum(sums[r][1]);
                for $i in whole..inputs {
                    out[r] += *x.add(r * stride + $i) * $number;
                }
            }
            out
        }};
    }
    // SAFETY: vectors lie inside the rows.
    unsafe {
        match numbers {
            Numbers::F32(v) => {
                let w = v[span].as_ptr();
                sum!(|i| S::load(w.add(i)), *w.add(i), w.wrapping_add(i))
            }
            Numbers::Bf16(v) => {
                let w = v[span].as_ptr();
                sum!(|i| S::from_bf16(w.add(i)), from_bf16(*w.add(i)), w.wrapping_add(i))
            }
            Numbers::Coded(_) => unreachable!("decoded by blocks"),
            Numbers::Int8(v) => {
                let w = v.codes[span].as_ptr();
                let sums = sum!(|i| S::from_i8(w.add(i)), f32::from(*w.add(i)), w.wrapping_add(i));
                sums.map(|sum| sum * v.scales[row])
            }
            Numbers::Nf4(v) if inputs.is_multiple_of(NF4_BLOCK) => nf4::<S, R>(v, span, x, stride),
            Numbers::Nf4(v) => {
                decoded.resize(inputs, 0.0);
                super::decode::nf4::<S>(v, span.start, inputs, decoded.as_mut_ptr());
                let w = decoded.as_ptr();
                sum!(|i| S::load(w.add(i)), *w.add(i), w.wrapping_add(i))
            }
        }
    }
}

/// Of whole blocks: the levels' sum in each, times its scale.
#[inline(always)]
unsafe fn nf4<S: Lanes, const R: usize>(
    v: &Nf4,
    span: Range<usize>,
    x: *const f32,
    stride: usize,
) -> [f32; R] {
    let codes = v.codes[span.start / 2..span.end / 2].as_ptr();
    let mut sums = [S::zero(); R];
    for (n, block) in (span.start / NF4_BLOCK..span.end / NF4_BLOCK).enumerate() {
        let mut own = [S::zero(); R];
        // SAFETY: the instruction set is there.
        unsafe { S::fetch(codes.wrapping_add(n * NF4_BLOCK / 2 + AHEAD)) };
        for i in (n * NF4_BLOCK..(n + 1) * NF4_BLOCK).step_by(S::N) {
            // SAFETY: blocks lie inside the row and are whole vectors long.
            unsafe {
                let levels = S::from_nf4(codes.add(i / 2));
                for r in 0..R {
                    own[r] = S::fma(S::load(x.add(r * stride + i)), levels, own[r]);
                }
            }
        }
        for r in 0..R {
            // SAFETY: the instruction set is there.
            sums[r] = unsafe { S::fma(own[r], S::splat(v.scale(block)), sums[r]) };
        }
    }
    // SAFETY: as above.
    sums.map(|sum| unsafe { S::sum(sum) })
}

/// Over bf16 weights and `x` in bf16, by dot products of pairs.
///
/// # Safety
/// AVX-512 bf16 is there, and no other thread computes these outputs.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn pairs(job: &Few<u16>, outputs: Range<usize>) {
    let inputs = job.w.inputs();
    let mut decoded = DECODED.take();
    for (first_output, place) in job.w.places(outputs) {
        for part in place.parts() {
            // SAFETY: the caller's promise.
            let numbers = unsafe { part.numbers::<super::x86::Avx512>(place.numbers, inputs, &mut decoded) };
            let Numbers::Bf16(weights) = numbers else {
                unreachable!("all parts of a matrix are of one kind")
            };
            for row in part.rows.clone() {
                let o = first_output + row - place.rows.start;
                let w = &weights[(row - part.begin) * inputs..][..inputs];
                for r in (0..job.rows).step_by(AT_ONCE) {
                    let x = &job.x[r * job.stride..];
                    // SAFETY: the caller's promise.
                    unsafe {
                        macro_rules! rows {
                            ($($count:literal x $chains:literal),*) => {
                                match (job.rows - r).min(AT_ONCE) {
                                    $($count => {
                                        let sums = pair_dots::<$count, $chains>(w, x, job.stride);
                                        sums.into_iter().enumerate().for_each(|(i, sum)| job.put(o, r + i, sum));
                                    })*
                                    _ => unreachable!("between one and AT_ONCE rows"),
                                }
                            };
                        }
                        rows!(1 x 4, 2 x 2, 3 x 2, 4 x 2);
                    }
                }
            }
        }
    }
    DECODED.set(decoded);
}

/// The dot products of a row of weights with `R` rows, each in `C` sums.
///
/// # Safety
/// AVX-512 bf16 is there.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn pair_dots<const R: usize, const C: usize>(w: &[u16], x: &[u16], stride: usize) -> [f32; R] {
    use super::x86::bf16_dot;
    use std::arch::x86_64::*;
    assert!(x.len() >= (R - 1) * stride + w.len(), "rows are shorter than the weights'");
    let (n, w, x) = (w.len(), w.as_ptr(), x.as_ptr());
    // SAFETY: vectors lie inside the rows, the last by its mask.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); C]; R];
        let mut i = 0;
        while i + 32 * C <= n {
            for c in 0..C {
                _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(i + 32 * c).wrapping_byte_add(AHEAD).cast());
                let weights = _mm512_loadu_si512(w.add(i + 32 * c).cast());
                for r in 0..R {
                    let x = _mm512_loadu_si512(x.add(r * stride + i + 32 * c).cast());
                    sums[r][c] = bf16_dot(sums[r][c], x, weights);
                }
            }
            i += 32 * C;
        }
        while i < n {
            let mask = if n - i >= 32 { u32::MAX } else { (1u32 << (n - i)) - 1 };
            let weights = _mm512_maskz_loadu_epi16(mask, w.add(i).cast());
            for r in 0..R {
                let x = _mm512_maskz_loadu_epi16(mask, x.add(r * stride + i).cast());
                sums[r][0] = bf16_dot(sums[r][0], x, weights);
            }
            i += 32;
        }
        let mut out = [0.0; R];
        for r in 0..R {
            let mut sum = sums[r][0];
            for c in 1..C {
                sum = _mm512_add_ps(sum, sums[r][c]);
            }
            out[r] = _mm512_reduce_add_ps(sum);
        }
        out
    }
}
