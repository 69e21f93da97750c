//! Attention on Intel's tiles: queries, keys, values and probabilities rounded to bf16, sums in f32.
//!
//! Scores stand with a key's numbers in a row and the queries in lanes, in blocks of 32 by 32: a softmax then runs down the rows and
//! needs no sum across lanes, and what it leaves is in the order in which the next product reads it. Blocks that no query sees are
//! left out.

mod backward;
mod blocks;
mod forward;
mod vectors;

pub(super) use backward::backward_group;
pub(super) use forward::forward_head;

use crate::cpu::frozen::{amx, kernel};
use crate::AttentionShape;
use blocks::Line;
use std::cell::RefCell;

/// Queries, or keys, of a block.
const SIDE: usize = 32;
/// Lines of a tile.
const TILE: usize = 16;

thread_local! {
    /// What a head needs meanwhile, kept between calls.
    static ROOM: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Whether the machine has the tiles.
pub(super) fn available() -> bool {
    amx::available() && crate::cpu::Isa::best().pairs()
}

/// Bytes that a thread needs for an example of so many tokens.
pub(super) fn bytes_of_a_thread(longest: usize, head_dim: usize) -> usize {
    64 * forward::Room::lines(longest, head_dim).max(backward::Room::lines(longest, head_dim))
}

/// What a block of queries sees: the first and the last block of keys.
fn seen(shape: &AttentionShape, block: usize) -> (usize, usize) {
    (shape.first_key(block * SIDE) / SIDE, block)
}

/// Which of 16 queries from `query` on see a key, as bits.
#[inline(always)]
fn mask(shape: &AttentionShape, query: usize, key: usize) -> u16 {
    let below = |bound: usize| u16::MAX >> 16usize.saturating_sub(bound.saturating_sub(query)).min(15);
    let from = if key >= query + 16 { 0 } else { u16::MAX << key.saturating_sub(query) };
    if shape.window == 0 {
        from
    } else if key + shape.window <= query {
        0
    } else {
        from & below(key + shape.window)
    }
}

/// Whether every query of a block sees every key of another.
fn whole(shape: &AttentionShape, block: usize, keys: usize) -> bool {
    let last = block * SIDE + SIDE - 1;
    keys < block && shape.first_key(last) <= keys * SIDE
}

/// `sums[32, 32] (+)= rows x panel`: 32 rows of an operand, `stride` lines apart, with two runs of `steps` tiles, `apart` lines apart.
///
/// # Safety
/// The thread's tiles are configured; rows, tiles and sums are there, whose rows are `width` numbers apart.
#[inline(always)]
unsafe fn multiply(
    sums: *mut f32,
    width: usize,
    (rows, stride): (*const Line, usize),
    (panel, apart): (*const Line, usize),
    steps: usize,
    add: bool,
) {
    let sums = kernel::Sums { at: sums, stride: 4 * width };
    // SAFETY: the caller's promise.
    unsafe {
        let w = [panel.cast(), panel.add(apart).cast()];
        kernel::two_by_two(sums, kernel::Operands { a: rows.cast(), stride: 64 * stride, w, steps }, add);
    }
}
