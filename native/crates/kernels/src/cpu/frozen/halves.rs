//! The other operand of a product, rounded to bf16 once.

use super::{narrow, Isa};
use crate::cpu::par::{self, Disjoint};

/// Numbers of bf16 in a cache line, and in a row of a tile.
pub(super) const LINE: usize = 32;

/// A cache line of bf16, so that rows begin at one.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
struct Line([u16; LINE]);

/// Rows of f32 rounded to bf16. A row may hold several operands side by side, each from a multiple of [`LINE`] on; what
/// is between them is 0.
#[derive(Debug, Default)]
pub struct Halves {
    lines: Vec<Line>,
    rows: usize,
    /// Lines of a row.
    stride: usize,
}

/// Lines that some numbers take.
pub(super) fn lines(numbers: usize) -> usize {
    numbers.div_ceil(LINE)
}

/// Lines from one row to the next: odd, so that the rows of a tile lie in different sets of the cache.
fn stride(used: usize) -> usize {
    used | 1
}

impl Halves {
    /// Bytes of rows that hold operands of these widths.
    pub(super) fn bytes_of(rows: usize, widths: &[usize]) -> usize {
        rows.next_multiple_of(LINE) * stride(widths.iter().map(|&w| lines(w)).sum()) * 2 * LINE
    }

    /// Makes room for rows of operands of these widths. Rows up to a multiple of [`LINE`] can be read; those beyond `rows`
    /// hold any numbers.
    pub(super) fn reserve(&mut self, rows: usize, widths: &[usize]) {
        let used = widths.iter().map(|&w| lines(w)).sum();
        (self.rows, self.stride) = (rows, stride(used));
        let needed = rows.next_multiple_of(LINE) * self.stride;
        if self.lines.len() < needed {
            // What was there is not needed: no copy of it to a new place.
            self.lines = Vec::new();
            self.lines.reserve_exact(needed);
            self.lines.resize(needed, Line([0; LINE]));
        }
    }

    /// Puts columns `first..first + width` of `x[rows, deep]` at a line of every row.
    ///
    /// # Panics
    /// When `x` has no such numbers or the rows no such lines.
    pub(super) fn put(&mut self, isa: Isa, line: usize, x: &[f32], deep: usize, first: usize, width: usize) {
        let rows = self.rows;
        assert!(first + width <= deep && x.len() == rows * deep, "the operand's shape does not fit");
        assert!(line + lines(width) <= self.stride, "the row has no such lines");
        let stride = self.stride;
        let copies = Disjoint::new(&mut self.lines[..]);
        par::ranges(rows, par::row_grain(width), |range| {
            for row in range {
                let at = row * stride + line;
                // SAFETY: ranges of rows do not overlap.
                let to = unsafe { copies.part(at..at + lines(width)) };
                // SAFETY: a line is nothing but its numbers.
                let to =
                    unsafe { std::slice::from_raw_parts_mut(to.as_mut_ptr().cast::<u16>(), to.len() * LINE) };
                narrow(isa, &x[row * deep + first..row * deep + first + width], &mut to[..width]);
                to[width..].fill(0);
            }
        });
    }

    /// As [`Halves::put`] of the transpose of columns of `x[numbers, width]`: row r receives column `first + r`.
    ///
    /// # Panics
    /// As [`Halves::put`], and without AVX-512 for bf16.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn put_turned(&mut self, x: &[f32], width: usize, first: usize) {
        let (numbers, rows, stride) = (x.len() / width, self.rows, self.stride);
        assert!(x.len() == numbers * width && first + rows <= width, "the operand's shape does not fit");
        assert!(lines(numbers) <= stride, "the row has no such lines");
        assert!(Isa::best().pairs(), "the machine lacks the instructions");
        let copies = Disjoint::new(&mut self.lines[..]);
        par::ranges(rows.div_ceil(16), par::row_grain(16 * numbers), |range| {
            for row in range.map(|n| 16 * n) {
                let count = (rows - row).min(16);
                // SAFETY: ranges of rows do not overlap.
                let to = unsafe { copies.part(row * stride..(row + count - 1) * stride + lines(numbers)) };
                // SAFETY: the instructions are there; the lines and the columns were checked.
                unsafe { turn(to, stride, count, x, width, first + row) };
            }
        });
    }

    /// Rows that were put.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers from one row to the next.
    pub(super) fn stride(&self) -> usize {
        self.stride * LINE
    }

    /// The first row.
    pub(super) fn at(&self) -> *const u16 {
        self.lines.as_ptr().cast()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.lines.capacity() * std::mem::size_of::<Line>()
    }
}

/// Line `l` of row `r` of `to` = numbers `32 l..` of column `first + r` of `x[.., width]`, for `count` (at most 16) columns.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn turn(to: &mut [Line], stride: usize, count: usize, x: &[f32], width: usize, first: usize) {
    use super::{lanes::Lanes, x86::Avx512};
    use std::arch::x86_64::*;
    let zeros = [0u32; 16];
    let mut turned = [0.0f32; 16 * LINE];
    for (line, x) in x.chunks(LINE * width).enumerate() {
        let mut rows = [zeros.as_ptr(); LINE];
        for (at, x) in rows.iter_mut().zip(x.chunks_exact(width)) {
            *at = x[first..first + count].as_ptr().cast();
        }
        // SAFETY: every row has `count` numbers, the result room for as many rows of a line; `to` was checked.
        unsafe {
            let at = turned.as_mut_ptr().cast::<u32>();
            Avx512::transpose(&rows[..16], count, at, LINE);
            Avx512::transpose(&rows[16..], count, at.add(16), LINE);
            for (c, numbers) in turned.as_chunks::<LINE>().0.iter().take(count).enumerate() {
                let (low, high) =
                    (_mm512_loadu_ps(numbers.as_ptr()), _mm512_loadu_ps(numbers.as_ptr().add(16)));
                let halves = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                _mm512_store_si512(to[c * stride + line].0.as_mut_ptr().cast(), halves);
            }
        }
    }
}
