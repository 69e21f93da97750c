//! Products of many rows on Intel's tiles.
//!
//! A thread takes lanes in groups whose packed weights stay in its second cache, and runs all rows over each group. The
//! contraction goes in blocks whose rows of the operand stay in the first cache; sums wait in a buffer between blocks and
//! are taken up from there, so they are the same as in one go, and are written to the result once.

pub(super) mod few;
pub(in crate::cpu) mod kernel;
mod pack;

use super::amx;
use super::halves::{lines, Halves, LINE};
use super::pack::Over;
use crate::cpu::par::{self, Disjoint};
use kernel::{Operands, Sums, TILE};
pub(super) use pack::{Piece, Source};
use std::cell::RefCell;
use std::ops::Range;

/// Tiles of the contraction in a block, at most.
const DEEP: usize = 20;
/// Lanes of a group, at most.
const GROUP: usize = 256;
/// Bytes of a result that are written past the caches: a core's second cache.
const PAST_THE_CACHES: usize = 2 << 20;
/// Tiles of a panel.
const PANEL: usize = 896;
/// Tiles of the contraction in a panel, at most: so that a group has 128 lanes, and weights are read 256 bytes at a time.
const LONG: usize = PANEL / 8;

/// What a thread needs for itself.
#[repr(align(64))]
struct Buffers {
    panel: [u32; PANEL * TILE / 4],
    sums: [f32; 32 * GROUP],
    rooms: pack::Rooms,
}

/// Bytes that each thread needs for itself.
pub(super) const BYTES_OF_A_THREAD: usize = std::mem::size_of::<Buffers>();

thread_local! {
    static BUFFERS: RefCell<Box<Buffers>> = RefCell::new(Box::new(Buffers {
        panel: [0; PANEL * TILE / 4],
        sums: [0.0; 32 * GROUP],
        rooms: pack::Rooms::new(),
    }));
}

/// `y[rows, width] = scale * x [w of all pieces]`, added to `y` when `accumulate`. The operand's rows hold the pieces'
/// numbers behind one another, each from a line on.
pub(super) struct Product<'a> {
    pub x: &'a Halves,
    pub pieces: &'a [Piece<'a>],
    pub rows: usize,
    pub width: usize,
    pub lanes: Range<usize>,
    pub scale: f32,
    pub accumulate: bool,
}

impl Product<'_> {
    /// # Panics
    /// When the shapes do not fit, or the machine has no tiles.
    pub fn run(&self, y: &mut [f32]) {
        let steps: usize = self.pieces.iter().map(|p| lines(p.deep)).sum();
        assert!(amx::available() && y.len() == self.rows * self.width && self.lanes.end <= self.width);
        assert!(self.rows == self.x.rows() && steps * LINE <= self.x.stride());
        let y = Disjoint::new(y);
        let (lanes, rows) = (self.lanes.len(), self.rows);
        let each = |lanes: Range<usize>, rows: Range<usize>| {
            if lanes.is_empty() || rows.is_empty() {
                return;
            }
            BUFFERS.with(|b| {
                // SAFETY: the instructions are there, shapes were checked, and no two ranges overlap.
                unsafe { self.part(&y, lanes, rows, steps, &mut b.borrow_mut()) }
            });
        };
        // Some million multiplications for each thread at least. Few lanes: rows are shared instead.
        let enough = |each: usize| (1_000_000 / (each * steps * LINE).max(1)).max(1);
        if lanes >= 64 * rayon::current_num_threads() || rows <= 32 {
            let part = |r: Range<usize>| {
                self.lanes.start + 32 * r.start..self.lanes.end.min(self.lanes.start + 32 * r.end)
            };
            par::ranges(lanes.div_ceil(32), enough(32 * rows), |range| each(part(range), 0..rows));
        } else {
            let part = |r: Range<usize>| 32 * r.start..rows.min(32 * r.end);
            par::ranges(rows.div_ceil(32), enough(32 * lanes), |range| each(self.lanes.clone(), part(range)));
        }
    }

    /// Some lanes of some rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    unsafe fn part(
        &self,
        y: &Disjoint,
        lanes: Range<usize>,
        rows: Range<usize>,
        steps: usize,
        b: &mut Buffers,
    ) {
        let long = steps.div_ceil(steps.div_ceil(LONG));
        let wide = (PANEL / long / 2 * 32).min(GROUP);
        // A large result is not in the caches when the next operation comes to it: it need not be read into them to be written.
        let past = self.rows * self.width * 4 >= PAST_THE_CACHES;
        // SAFETY: the caller's promise.
        unsafe { amx::configure() };
        for first in lanes.clone().step_by(wide) {
            let group = first..lanes.end.min(first + wide);
            for start in (0..steps).step_by(long) {
                let part = start..steps.min(start + long);
                // SAFETY: the caller's promise; the group's tiles fit the panel.
                unsafe { self.pack(group.clone(), part.clone(), b) };
                for row in rows.clone().step_by(32) {
                    let count = (rows.end - row).min(32);
                    // SAFETY: as above; the operand has whole tiles of rows.
                    unsafe { self.multiply(group.len(), row, count > 16, part.clone(), b) };
                    for (r, sums) in b.sums.as_chunks::<GROUP>().0.iter().take(count).enumerate() {
                        let at = (row + r) * self.width + group.start;
                        // SAFETY: the caller's promise.
                        let y = unsafe { y.part(at..at + group.len()) };
                        if self.accumulate || start > 0 {
                            y.iter_mut().zip(sums).for_each(|(y, sum)| *y += self.scale * sum);
                        } else if past && y.as_ptr().addr().is_multiple_of(64) && y.len().is_multiple_of(16) {
                            // SAFETY: the caller's promise; whole lines, of which there are as many sums.
                            unsafe { stream(y, sums, self.scale) };
                        } else {
                            y.iter_mut().zip(sums).for_each(|(y, sum)| *y = self.scale * sum);
                        }
                    }
                }
            }
        }
        // SAFETY: the caller's promise.
        unsafe { amx::release() };
        if past {
            // What was written past the caches is to be there before another thread is told.
            std::arch::x86_64::_mm_sfence();
        }
    }

    /// Fills the panel with a part of the contraction.
    #[inline(always)]
    unsafe fn pack(&self, group: Range<usize>, part: Range<usize>, b: &mut Buffers) {
        let mut first = 0;
        for piece in self.pieces {
            let own = first..first + lines(piece.deep);
            first = own.end;
            let common = own.start.max(part.start)..own.end.min(part.end);
            if common.is_empty() {
                continue;
            }
            let deep = (common.start - own.start) * LINE..piece.deep.min((common.end - own.start) * LINE);
            let place = (common.start - part.start, part.len());
            // SAFETY: the caller's promise.
            unsafe { pack::pack(&mut b.panel, &mut b.rooms, *piece, (group.clone(), deep), place) };
        }
    }

    /// `b.sums` = up to 32 rows from `row` on with the panel of so many lanes, over a part of the contraction.
    #[inline(always)]
    unsafe fn multiply(&self, lanes: usize, row: usize, tall: bool, part: Range<usize>, b: &mut Buffers) {
        let (stride, steps) = (self.x.stride(), part.len());
        let deep = steps.div_ceil(steps.div_ceil(DEEP));
        for start in (0..steps).step_by(deep) {
            for lane in (0..lanes).step_by(32) {
                let panel = b.panel[(lane / 16 * steps + start) * TILE / 4..].as_ptr();
                // SAFETY: the caller's promise; the panel has a second tile where more than 16 lanes are left.
                unsafe {
                    let operands = Operands {
                        a: self.x.at().add(row * stride + (part.start + start) * LINE),
                        stride: 2 * stride,
                        w: [panel, panel.byte_add(if lanes - lane > 16 { steps * TILE } else { 0 })],
                        steps: deep.min(steps - start),
                    };
                    let sums = Sums { at: b.sums.as_mut_ptr().add(lane), stride: 4 * GROUP };
                    match (tall, lanes - lane > 16) {
                        (true, true) => kernel::two_by_two(sums, operands, start > 0),
                        (true, false) => kernel::two_by_one(sums, operands, start > 0),
                        (false, true) => kernel::one_by_two(sums, operands, start > 0),
                        (false, false) => kernel::one_by_one(sums, operands, start > 0),
                    }
                }
            }
        }
    }
}

/// `y = scale * sums`, past the caches.
///
/// # Safety
/// AVX-512 is there; `y` is whole lines, and there are as many sums.
#[inline(always)]
unsafe fn stream(y: &mut [f32], sums: &[f32], scale: f32) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's promise.
    unsafe {
        for at in (0..y.len()).step_by(16) {
            let sum = _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_loadu_ps(sums.as_ptr().add(at)));
            _mm512_stream_ps(y.as_mut_ptr().add(at), sum);
        }
    }
}

/// The whole of a matrix as a piece.
pub(super) fn whole(w: &crate::matrix::Matrix, over: Over) -> Piece<'_> {
    let deep = if over == Over::Inputs { w.inputs() } else { w.rows() };
    Piece { source: Source::Weights(w), over, first: 0, deep }
}
