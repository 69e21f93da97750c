//! Products of up to sixteen rows with weights in bf16, straight from the store: the weights' rows are the rows of the
//! tiles, so that nothing is packed but the few rows of the operand, and reading the weights is what takes the time.

use super::super::amx;
use super::super::halves::LINE;
use super::super::lanes::Lanes;
use super::super::x86::Avx512;
use crate::cpu::par::{self, Disjoint};
use crate::matrix::coded::{Tiles, SIDE, TILE as TILE_BYTES};
use crate::matrix::{Matrix, Store};
use std::arch::asm;
use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T1};
use std::cell::RefCell;
use std::ops::Range;

/// Rows of the operand at most.
pub(in super::super) const ROWS: usize = 16;

thread_local! {
    /// The operand as tiles of 16 pairs by 16 rows.
    static PANEL: RefCell<Vec<Tile>> = const { RefCell::new(Vec::new()) };
    /// Rows of weights that do not fill a tile.
    static REST: RefCell<Vec<u16>> = const { RefCell::new(Vec::new()) };
}

/// A tile in memory.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Tile([[u32; 16]; 16]);

/// A tile of a coded block as it was.
#[repr(align(64))]
struct Square([[u16; SIDE]; SIDE]);

/// Bytes that are fetched ahead of the tile that is decoded.
const AHEAD: usize = 2 * TILE_BYTES;

/// Whether such products can be computed here.
pub(in super::super) fn fits(w: &Matrix, rows: usize) -> bool {
    amx::available() && w.locate(0).0.is_bf16() && rows <= ROWS && w.inputs().is_multiple_of(LINE)
}

/// `y[rows, w.rows] = scale * x wᵀ`, added to `y` when `accumulate`; `x` is in bf16, row by row.
///
/// # Panics
/// When the shapes do not fit, or the product does not ([`fits`]).
pub(in super::super) fn linear(
    y: &mut [f32],
    x: &[u16],
    w: &Matrix,
    rows: usize,
    scale: f32,
    accumulate: bool,
) {
    let (inputs, outputs) = (w.inputs(), w.rows());
    assert!(fits(w, rows) && x.len() == rows * inputs && y.len() == rows * outputs);
    PANEL.with_borrow_mut(|panel| {
        panel.clear();
        panel.resize(inputs / LINE, Tile([[0; 16]; 16]));
        for (row, x) in x.chunks_exact(inputs).enumerate() {
            for (tile, x) in panel.iter_mut().zip(x.chunks_exact(LINE)) {
                for (to, pair) in tile.0.iter_mut().zip(x.as_chunks::<2>().0) {
                    to[row] = u32::from(pair[0]) | u32::from(pair[1]) << 16;
                }
            }
        }
        let (y, panel) = (Disjoint::new(y), &panel[..]);
        let grain = (65_536 / inputs).div_ceil(32).max(1);
        par::ranges(outputs.div_ceil(32), grain, |range| {
            let own = 32 * range.start..outputs.min(32 * range.end);
            let put = |sums: &[Tile; 2], skipped: usize, first: usize, count: usize| {
                for row in 0..rows {
                    let at = row * outputs + first;
                    // SAFETY: no other thread has these outputs.
                    let y = unsafe { y.part(at..at + count) };
                    for (y, of) in y.iter_mut().zip(sums.iter().flat_map(|tile| &tile.0).skip(skipped)) {
                        let sum = scale * f32::from_bits(of[row]);
                        *y = if accumulate { *y + sum } else { sum };
                    }
                }
            };
            // SAFETY: there are tiles.
            unsafe { part(panel, w, own, put) };
        });
    });
}

/// Some of the outputs: `put` receives sums `[output][row]`, how many of the first outputs are not meant, which output comes
/// then, and how many are meant.
///
/// # Safety
/// There are tiles.
unsafe fn part(panel: &[Tile], w: &Matrix, own: Range<usize>, put: impl Fn(&[Tile; 2], usize, usize, usize)) {
    let inputs = w.inputs();
    let mut sums = [Tile([[0; 16]; 16]); 2];
    // SAFETY: the caller's promise.
    unsafe { amx::configure() };
    for (places, store) in w.stores(own) {
        let first = w.locate(places.start).1;
        let numbers = match store {
            Store::Bf16(numbers) => numbers,
            Store::Coded(v) => {
                let last = first + places.len();
                for block in first / SIDE..last.div_ceil(SIDE) {
                    // SAFETY: the caller's promise.
                    unsafe { coded(&mut sums, v.block(block), panel) };
                    let own = first.max(block * SIDE)..last.min((block + 1) * SIDE);
                    put(&sums, own.start - block * SIDE, places.start + own.start - first, own.len());
                }
                continue;
            }
            _ => unreachable!("all parts of a matrix are of one kind"),
        };
        let numbers = &numbers.as_slice()[first * inputs..(first + places.len()) * inputs];
        for (n, block) in numbers.chunks(32 * inputs).enumerate() {
            let count = block.len() / inputs;
            if count == 32 {
                // SAFETY: the caller's promise; 32 rows are there.
                unsafe { two(&mut sums, block.as_ptr(), inputs, panel) };
            } else {
                REST.with_borrow_mut(|rest| {
                    rest.clear();
                    rest.extend_from_slice(block);
                    rest.resize(32 * inputs, 0);
                    // SAFETY: as above.
                    unsafe { two(&mut sums, rest.as_ptr(), inputs, panel) };
                });
            }
            put(&sums, 0, places.start + 32 * n, count);
        }
    }
    // SAFETY: as above.
    unsafe { amx::release() };
}

/// 32 rows of weights with the operand: `sums[output][row]`. Meanwhile the rows behind them are fetched in the order in
/// which they lie, since the processor itself sees only that 32 places far from each other are read at once.
///
/// # Safety
/// The thread's tiles are configured, and the rows are there.
#[inline(always)]
unsafe fn two(sums: &mut [Tile; 2], w: *const u16, inputs: usize, panel: &[Tile]) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "2:",
            "tileloadd tmm6, [{x} + {line}]",
            "tileloadd tmm4, [{w} + {stride}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{below} + {stride}]",
            "tdpbf16ps tmm1, tmm5, tmm6",
            ".irp line, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
            "prefetcht1 [{next} + 64 * \\line]",
            ".endr",
            "add {next}, 2048",
            "add {w}, 64",
            "add {below}, 64",
            "add {x}, 1024",
            "dec {n}",
            "jnz 2b",
            "tilestored [{y} + {line}], tmm0",
            "tilestored [{y} + {line} + 1024], tmm1",
            w = inout(reg) w => _,
            below = inout(reg) w.add(16 * inputs) => _,
            x = inout(reg) panel.as_ptr() => _,
            n = inout(reg) panel.len() => _,
            next = inout(reg) w.wrapping_add(32 * inputs) => _,
            stride = in(reg) 2 * inputs,
            line = in(reg) 64usize,
            y = in(reg) sums.as_mut_ptr(),
            options(nostack)
        );
    }
}

/// The same of a coded block, whose tiles lie behind one another: each is decoded in the first cache.
///
/// # Safety
/// As [`two`]; AVX-512 is there.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn coded(sums: &mut [Tile; 2], block: Tiles, panel: &[Tile]) {
    let mut squares = [const { Square([[0; SIDE]; SIDE]) }; 2];
    let mut apart = block.apart(0..panel.len()).peekable();
    let mut decode = |n: usize, to: &mut Square| {
        let Some(bytes) = block.bytes.as_chunks::<TILE_BYTES>().0.get(n) else { return };
        let ahead = bytes.as_ptr().wrapping_add(AHEAD);
        for (pair, [even, odd]) in to.0.as_chunks_mut().0.iter_mut().enumerate() {
            let (signs, codes) = block.parts(pair, n);
            // An address that is not there is not fetched.
            _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(96 * pair).cast());
            if pair % 2 == 0 {
                _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(96 * pair + 64).cast());
            }
            // SAFETY: AVX-512 is there.
            unsafe { Avx512::coded_pair(signs, codes, block.base, even, odd) };
        }
        while let Some((row, col, bits)) = apart.next_if(|(_, col, _)| col / SIDE == n) {
            to.0[row][col % SIDE] = bits;
        }
    };
    // SAFETY: the caller's promise; no other code uses the tiles meanwhile.
    unsafe { asm!("tilezero tmm0", "tilezero tmm1", options(nostack, nomem)) };
    decode(0, &mut squares[0]);
    for (n, x) in panel.iter().enumerate() {
        // The next one is decoded first: a tile waits until what it reads has been written.
        decode(n + 1, &mut squares[(n + 1) % 2]);
        // SAFETY: as above; a square is two tiles of 16 rows of 64 bytes.
        unsafe {
            asm!(
                "tileloadd tmm6, [{x} + {line}]",
                "tileloadd tmm4, [{w} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{w} + {line} + 1024]",
                "tdpbf16ps tmm1, tmm5, tmm6",
                x = in(reg) x,
                w = in(reg) &squares[n % 2],
                line = in(reg) 64usize,
                options(nostack, readonly)
            );
        }
    }
    // SAFETY: as above.
    unsafe {
        asm!(
            "tilestored [{y} + {line}], tmm0",
            "tilestored [{y} + {line} + 1024], tmm1",
            y = in(reg) sums.as_mut_ptr(),
            line = in(reg) 64usize,
            options(nostack)
        );
    }
}
