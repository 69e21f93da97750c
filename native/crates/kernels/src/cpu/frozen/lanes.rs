//! One instruction set's vectors of f32, as the kernels need them.
//!
//! Methods are `#[inline(always)]`, so that they become part of a function compiled for the instruction set.

use crate::matrix::coded::{decode_pair, SIDE};

/// The operations.
///
/// # Safety
/// Every method needs the instruction set to be there, and every pointer to be valid for `N` numbers of its type, of
/// any alignment.
pub(in crate::cpu) trait Lanes {
    type V: Copy;
    /// Numbers of a vector.
    const N: usize;
    /// Vectors that stand beside one another in a tile of the product.
    const WIDE: usize;

    unsafe fn zero() -> Self::V;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(at: *const f32) -> Self::V;
    unsafe fn store(at: *mut f32, v: Self::V);
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a b + c.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn sum(v: Self::V) -> f32;
    unsafe fn from_bf16(at: *const u16) -> Self::V;
    unsafe fn from_i8(at: *const i8) -> Self::V;
    /// The levels of `N` codes, which lie in `N / 2` bytes.
    unsafe fn from_nf4(at: *const u8) -> Self::V;

    /// Fetches the memory at an address, which need not be there. Where the processor is not asked, nothing happens.
    #[inline(always)]
    unsafe fn fetch(_at: *const u8) {}

    /// Two rows of a tile of coded bf16, but for the numbers that are kept apart: see [`crate::matrix::CodedBf16`].
    #[inline(always)]
    unsafe fn coded_pair(
        signs: &[u8; 2 * SIDE],
        codes: &[u8; SIDE],
        base: u8,
        even: &mut [u16; SIDE],
        odd: &mut [u16; SIDE],
    ) {
        decode_pair(signs, codes, base, even, odd);
    }

    /// Puts `N` rows of `units` numbers of 32 bits side by side: `to[u * stride + row] = rows[row][u]`.
    #[inline(always)]
    unsafe fn transpose(rows: &[*const u32], units: usize, to: *mut u32, stride: usize) {
        for u in 0..units {
            for (lane, row) in rows.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { to.add(u * stride + lane).write(row.add(u).read_unaligned()) };
            }
        }
    }
}
