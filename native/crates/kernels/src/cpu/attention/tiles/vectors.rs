//! Functions of sixteen numbers.

use crate::cpu::simd;
use std::arch::x86_64::*;

/// e^x with a relative error below 2e-7, for x up to 88; 0 far below.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, e^r by a polynomial of degree 7 (Taylor).
///
/// # Safety
/// AVX-512 is there.
#[inline(always)]
pub(super) unsafe fn exp(x: __m512) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        let n = _mm512_roundscale_ps::<0x08>(_mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E)));
        let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693_359_4), x);
        let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.121_944_4e-4), r);
        let mut p = _mm512_set1_ps(1.0 / 5040.0);
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0 / 720.0));
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0 / 120.0));
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0 / 24.0));
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0 / 6.0));
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5));
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0));
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0));
        _mm512_scalef_ps(p, n)
    }
}

/// tanh x, as [`simd::tanh`].
///
/// # Safety
/// AVX-512 is there.
#[inline(always)]
pub(super) unsafe fn tanh(x: __m512) -> __m512 {
    let mut numbers = [0.0f32; 16];
    // SAFETY: the caller's promise.
    unsafe {
        _mm512_storeu_ps(numbers.as_mut_ptr(), x);
        numbers.iter_mut().for_each(|x| *x = simd::tanh(*x));
        _mm512_loadu_ps(numbers.as_ptr())
    }
}

/// Two rows of sixteen numbers rounded to bf16, in pairs: the first in the lower halves.
///
/// # Safety
/// AVX-512 bf16 is there.
#[inline(always)]
pub(super) unsafe fn pairs(even: __m512, odd: __m512) -> __m512i {
    // SAFETY: the caller's promise; vectors of the same 256 bits.
    unsafe {
        let even = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(even));
        let odd = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(odd));
        _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(odd)))
    }
}

/// a · b of equally long rows.
///
/// # Safety
/// AVX-512 is there.
#[inline(always)]
pub(super) unsafe fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    // SAFETY: the caller's promise; numbers beyond the rows are masked.
    unsafe {
        let mut sum = _mm512_setzero_ps();
        for at in (0..a.len()).step_by(16) {
            let mask = u16::MAX >> (16 - (a.len() - at).min(16));
            let a = _mm512_maskz_loadu_ps(mask, a.as_ptr().add(at));
            sum = _mm512_fmadd_ps(a, _mm512_maskz_loadu_ps(mask, b.as_ptr().add(at)), sum);
        }
        _mm512_reduce_add_ps(sum)
    }
}

/// A row of 32 numbers rounded to bf16.
///
/// # Safety
/// As [`pairs`].
#[inline(always)]
pub(super) unsafe fn halves([low, high]: [__m512; 2]) -> __m512i {
    // SAFETY: the caller's promise; vectors of the same 512 bits.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
}
