//! Weights in the order in which the tiles read them: for 16 lanes at a time, tiles of 16 pairs of the contraction.

use super::super::coded;
use super::super::decode::decode;
use super::super::halves::{lines, Halves, LINE};
use super::super::lanes::Lanes;
use super::super::pack::{narrow, Over};
use super::super::x86::Avx512;
use super::GROUP;
use crate::matrix::{CodedBf16, Matrix, Store};
use std::arch::x86_64::*;
use std::ops::Range;

/// What the operand is multiplied with.
#[derive(Clone, Copy)]
pub(in super::super) enum Source<'a> {
    Weights(&'a Matrix),
    /// Another operand, of which the first so many columns are meant: for products over rows.
    Halves(&'a Halves, usize),
}

/// A part of the contraction: the weights of one source.
#[derive(Clone, Copy)]
pub(in super::super) struct Piece<'a> {
    pub source: Source<'a>,
    pub over: Over,
    /// Which of its numbers the contraction runs over.
    pub first: usize,
    pub deep: usize,
}

/// What packing needs besides the panel.
#[repr(align(64))]
pub(super) struct Rooms {
    /// Rows of weights as they come.
    rows: [f32; 16 * LONG],
    halves: [u16; 16 * LONG],
    zeros: [u16; LONG],
}

/// Numbers of a row that are packed at once, at most.
const LONG: usize = 512;
const _: () = assert!(GROUP <= LONG && LONG.is_multiple_of(LINE));

impl Rooms {
    pub fn new() -> Rooms {
        Rooms { rows: [0.0; 16 * LONG], halves: [0; 16 * LONG], zeros: [0; LONG] }
    }
}

/// Where some columns of a row are as bf16: in the store, or converted in the `n`th of the rooms.
///
/// # Safety
/// AVX-512 bf16 is there, and there are no more columns than a room has.
#[inline(always)]
unsafe fn row(source: Source, o: usize, cols: Range<usize>, rooms: &mut Rooms, n: usize) -> *const u16 {
    let w = match source {
        Source::Halves(halves, width) => {
            assert!(o < halves.rows() && cols.end <= width);
            // SAFETY: there is such a row, and it has these columns.
            return unsafe { halves.at().add(o * halves.stride() + cols.start) };
        }
        Source::Weights(w) => w,
    };
    let (store, row) = w.locate(o);
    if let Store::Bf16(v) = store {
        let first = row * w.inputs() + cols.start;
        return v.as_slice()[first..first + cols.len()].as_ptr();
    }
    let count = cols.len();
    if let Store::Coded(v) = store {
        let halves = &mut rooms.halves[n * LONG..][..count];
        // SAFETY: the caller's promise; as many numbers are there.
        unsafe { coded::columns::<Avx512, LONG>(v, row, cols, halves.as_mut_ptr()) };
        return halves.as_ptr();
    }
    let (rows, halves) = (&mut rooms.rows[n * LONG..][..count], &mut rooms.halves[n * LONG..][..count]);
    // SAFETY: the caller's promise; as many numbers are there.
    unsafe {
        decode::<Avx512>(store, w.inputs(), row, cols, rows.as_mut_ptr());
        narrow(rows.as_ptr(), count, halves.as_mut_ptr());
    }
    halves.as_ptr()
}

/// Packs the numbers `deep` of a piece for `lanes` (at most [`GROUP`]). `panel` has `steps` tiles for each 16 lanes; the piece's begin
/// at `step`. Numbers up to whole tiles are 0.
///
/// # Safety
/// AVX-512 bf16 is there.
#[inline(always)]
pub(super) unsafe fn pack(
    panel: &mut [u32],
    rooms: &mut Rooms,
    piece: Piece,
    (lanes, deep): (Range<usize>, Range<usize>),
    (step, steps): (usize, usize),
) {
    let deep = piece.first + deep.start..piece.first + deep.end;
    for (n, first) in lanes.clone().step_by(16).enumerate() {
        let to = &mut panel[(n * steps + step) * 256..][..lines(deep.len()) * 256];
        if piece.over == Over::Outputs {
            to[deep.len() / 2 * 16..].fill(0);
            continue;
        }
        for (to, start) in to.chunks_mut(LONG / 2 * 16).zip(deep.clone().step_by(LONG)) {
            let own = start..deep.end.min(start + LONG);
            // SAFETY: the caller's promise.
            unsafe { turn(to, rooms, piece.source, first..lanes.end.min(first + 16), own) };
        }
    }
    if piece.over == Over::Outputs {
        // SAFETY: the caller's promise; the panel has tiles for all lanes.
        unsafe { interleave(&mut panel[step * 256..], rooms, piece.source, lanes, deep, steps) };
    }
}

/// The coded weights of which 16 rows from this one on are half a block, and its number there.
#[inline(always)]
fn half_block(source: Source<'_>, o: usize) -> Option<(&CodedBf16, usize)> {
    let Source::Weights(w) = source else { return None };
    let (Store::Coded(v), row) = w.locate(o) else { return None };
    (row.is_multiple_of(16) && row + 16 <= v.rows()).then_some((v, row))
}

/// Rows of the source are lanes: 16 of them become columns.
#[inline(always)]
unsafe fn turn(to: &mut [u32], rooms: &mut Rooms, source: Source, lanes: Range<usize>, deep: Range<usize>) {
    let mut rows = [rooms.zeros.as_ptr().cast::<u32>(); 16];
    if let (Some((v, row)), 16) = (half_block(source, lanes.start), lanes.len()) {
        let to = rooms.halves.as_mut_ptr();
        // SAFETY: the caller's promise; each row has a room, and the rows are there.
        unsafe { coded::rows::<Avx512>(v, row..row + 16, deep.clone(), to, LONG) };
        rows = std::array::from_fn(|n| to.wrapping_add(n * LONG).cast_const().cast());
    } else {
        for (n, o) in lanes.enumerate() {
            // SAFETY: the caller's promise.
            rows[n] = unsafe { row(source, o, deep.clone(), rooms, n).cast() };
        }
    }
    let pairs = deep.len() / 2;
    // SAFETY: each row has that many pairs and the panel room for them; where a last number stands alone, the row has
    // one number more and the panel room for a pair.
    unsafe { Avx512::transpose(&rows, pairs, to.as_mut_ptr(), 16) };
    to[pairs * 16..].fill(0);
    if deep.len() % 2 == 1 {
        for (lane, row) in rows.iter().enumerate() {
            // SAFETY: as above.
            to[pairs * 16 + lane] = u32::from(unsafe { row.add(pairs).cast::<u16>().read_unaligned() });
        }
    }
}

/// Columns of the source are lanes: its rows are taken in pairs.
#[inline(always)]
unsafe fn interleave(
    panel: &mut [u32],
    rooms: &mut Rooms,
    source: Source,
    lanes: Range<usize>,
    deep: Range<usize>,
    steps: usize,
) {
    let n = lanes.len();
    assert!(panel.len() >= (n.div_ceil(16) - 1) * steps * 256 + deep.len().div_ceil(2) * 16);
    for (p, o) in deep.clone().step_by(2).enumerate() {
        // SAFETY: the caller's promise; the sources are valid for `n` numbers, and the panel was checked.
        unsafe {
            let even = row(source, o, lanes.clone(), rooms, 0);
            let odd = if o + 1 < deep.end {
                row(source, o + 1, lanes.clone(), rooms, 1)
            } else {
                rooms.zeros.as_ptr()
            };
            // A vector's 64-bit parts in the order in which the instructions below take them.
            let order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
            for i in (0..n).step_by(32) {
                let mask = u32::MAX >> (32 - (n - i).min(32));
                let [even, odd] = [even, odd].map(|at| {
                    _mm512_permutexvar_epi64(order, _mm512_maskz_loadu_epi16(mask, at.add(i).cast()))
                });
                let to = panel.as_mut_ptr().add(i / 16 * steps * 256 + p * 16);
                _mm512_storeu_si512(to.cast(), _mm512_unpacklo_epi16(even, odd));
                if i + 16 < n {
                    _mm512_storeu_si512(to.add(steps * 256).cast(), _mm512_unpackhi_epi16(even, odd));
                }
            }
        }
    }
}
