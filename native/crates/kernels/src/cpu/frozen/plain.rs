//! Vectors that are arrays.

use super::lanes::Lanes;
use crate::matrix::{from_bf16, NF4_LEVELS};

pub(super) struct Plain;

const N: usize = 4;

impl Lanes for Plain {
    type V = [f32; N];
    const N: usize = N;
    const WIDE: usize = 2;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        [0.0; N]
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self::V {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[f32; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(at: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[f32; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
    #[inline(always)]
    unsafe fn from_bf16(at: *const u16) -> Self::V {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| from_bf16(unsafe { at.add(i).read_unaligned() }))
    }
    #[inline(always)]
    unsafe fn from_i8(at: *const i8) -> Self::V {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| f32::from(unsafe { *at.add(i) }))
    }
    #[inline(always)]
    unsafe fn from_nf4(at: *const u8) -> Self::V {
        std::array::from_fn(|i| {
            // SAFETY: the caller's promise.
            let byte = unsafe { *at.add(i / 2) };
            NF4_LEVELS[usize::from(if i % 2 == 0 { byte >> 4 } else { byte & 15 })]
        })
    }
}
