//! Arm's Advanced SIMD, which every 64-bit Arm has.

use super::lanes::Lanes;
use crate::matrix::NF4_LEVELS;
use std::arch::aarch64::*;

pub(super) struct Neon;

impl Lanes for Neon {
    type V = float32x4_t;
    const N: usize = 4;
    const WIDE: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        // SAFETY: every aarch64 has the instruction.
        unsafe { vdupq_n_f32(0.0) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: as above.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self::V {
        // SAFETY: as above; the pointer by the caller's promise.
        unsafe { vld1q_f32(at) }
    }
    #[inline(always)]
    unsafe fn store(at: *mut f32, v: Self::V) {
        // SAFETY: as above.
        unsafe { vst1q_f32(at, v) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: as above.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: as above.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: as above.
        unsafe { vaddvq_f32(v) }
    }
    #[inline(always)]
    unsafe fn from_bf16(at: *const u16) -> Self::V {
        // SAFETY: as above.
        unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(at))) }
    }
    #[inline(always)]
    unsafe fn from_i8(at: *const i8) -> Self::V {
        // SAFETY: as above; four bytes are read as one number.
        unsafe {
            let bytes = vreinterpret_s8_u32(vdup_n_u32(at.cast::<u32>().read_unaligned()));
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))))
        }
    }
    #[inline(always)]
    unsafe fn from_nf4(at: *const u8) -> Self::V {
        let level = |code: u8| NF4_LEVELS[usize::from(code & 15)];
        // SAFETY: two bytes by the caller's promise; the array is as long as the vector.
        unsafe {
            let (first, second) = (*at, *at.add(1));
            vld1q_f32([level(first >> 4), level(first), level(second >> 4), level(second)].as_ptr())
        }
    }
}
