//! AVX2 and AVX-512.

use super::lanes::Lanes;
use crate::matrix::coded::SIDE;
use crate::matrix::NF4_LEVELS;
use std::arch::x86_64::*;

pub(super) struct Avx2;

impl Lanes for Avx2 {
    type V = __m256;
    const N: usize = 8;
    const WIDE: usize = 2;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm256_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm256_loadu_ps(at) }
    }
    #[inline(always)]
    unsafe fn store(at: *mut f32, v: Self::V) {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm256_storeu_ps(at, v) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe {
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        }
    }
    #[inline(always)]
    unsafe fn from_bf16(at: *const u16) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe {
            let half = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(half))
        }
    }
    #[inline(always)]
    unsafe fn from_i8(at: *const i8) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast()))) }
    }
    #[inline(always)]
    unsafe fn from_nf4(at: *const u8) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe {
            // Each byte in the low half of 64 bits; then its high nibble goes to the lower 32 bits and the byte itself to
            // the upper ones, of which the permutation looks at the low bits only.
            let bytes = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(at.cast::<i32>().read_unaligned()));
            let codes = _mm256_or_si256(_mm256_srli_epi64::<4>(bytes), _mm256_slli_epi64::<32>(bytes));
            let low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(NF4_LEVELS.as_ptr()), codes);
            let high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(NF4_LEVELS.as_ptr().add(8)), codes);
            _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(codes)))
        }
    }

    #[inline(always)]
    unsafe fn fetch(at: *const u8) {
        // SAFETY: the instructions are there, as the trait asks of callers; it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
}

pub(in crate::cpu) struct Avx512;

impl Lanes for Avx512 {
    type V = __m512;
    const N: usize = 16;
    const WIDE: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm512_loadu_ps(at) }
    }
    #[inline(always)]
    unsafe fn store(at: *mut f32, v: Self::V) {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm512_storeu_ps(at, v) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm512_reduce_add_ps(v) }
    }
    #[inline(always)]
    unsafe fn from_bf16(at: *const u16) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe {
            let half = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(half))
        }
    }
    #[inline(always)]
    unsafe fn from_i8(at: *const i8) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast()))) }
    }
    #[inline(always)]
    unsafe fn from_nf4(at: *const u8) -> Self::V {
        // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
        unsafe {
            // As for AVX2; the permutation of sixteen looks at four bits.
            let bytes = _mm512_cvtepu8_epi64(_mm_loadl_epi64(at.cast()));
            let codes = _mm512_or_si512(_mm512_srli_epi64::<4>(bytes), _mm512_slli_epi64::<32>(bytes));
            _mm512_permutexvar_ps(codes, _mm512_loadu_ps(NF4_LEVELS.as_ptr()))
        }
    }

    #[inline(always)]
    unsafe fn fetch(at: *const u8) {
        // SAFETY: the instructions are there, as the trait asks of callers; it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    #[inline(always)]
    unsafe fn coded_pair(
        signs: &[u8; 2 * SIDE],
        codes: &[u8; SIDE],
        base: u8,
        even: &mut [u16; SIDE],
        odd: &mut [u16; SIDE],
    ) {
        // SAFETY: the instructions are there as the trait asks of callers, and the arrays are whole vectors.
        unsafe {
            // What a code's exponent gives the upper byte of a number, and the lower one.
            let places = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let exponents = _mm_maskz_add_epi8(!1, places, _mm_set1_epi8(base as i8));
            let upper = _mm_and_si128(_mm_srli_epi16::<1>(exponents), _mm_set1_epi8(0x7f));
            let lower = _mm_and_si128(_mm_slli_epi16::<7>(exponents), _mm_set1_epi8(-128));
            let [upper, lower] = [upper, lower].map(|table| _mm512_broadcast_i32x4(table));
            let codes = _mm256_loadu_si256(codes.as_ptr().cast());
            let nibble = _mm256_set1_epi8(15);
            let first = _mm512_castsi256_si512(_mm256_and_si256(codes, nibble));
            let second = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
            let codes = _mm512_inserti64x4::<1>(first, second);
            let signs = _mm512_loadu_si512(signs.as_ptr().cast());
            // a | b & c
            let high = _mm512_ternarylogic_epi64::<0xf8>(
                _mm512_shuffle_epi8(upper, codes),
                signs,
                _mm512_set1_epi8(-128),
            );
            let low = _mm512_ternarylogic_epi64::<0xf8>(
                _mm512_shuffle_epi8(lower, codes),
                signs,
                _mm512_set1_epi8(0x7f),
            );
            _mm512_storeu_si512(even.as_mut_ptr().cast(), _mm512_unpacklo_epi8(low, high));
            _mm512_storeu_si512(odd.as_mut_ptr().cast(), _mm512_unpackhi_epi8(low, high));
        }
    }

    #[inline(always)]
    unsafe fn transpose(rows: &[*const u32], units: usize, to: *mut u32, stride: usize) {
        let whole = units - units % 16;
        for first in (0..whole).step_by(16) {
            // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
            unsafe {
                // Numbers of two rows side by side, then of four: u[4g + c] has columns 4l + c of rows 4g.. in part l.
                let mut u = [_mm512_setzero_si512(); 16];
                for g in (0..16).step_by(4) {
                    let a = _mm512_loadu_si512(rows[g].add(first).cast());
                    let b = _mm512_loadu_si512(rows[g + 1].add(first).cast());
                    let c = _mm512_loadu_si512(rows[g + 2].add(first).cast());
                    let d = _mm512_loadu_si512(rows[g + 3].add(first).cast());
                    let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
                    u[g] = _mm512_unpacklo_epi64(ab, cd);
                    u[g + 1] = _mm512_unpackhi_epi64(ab, cd);
                    let (ab, cd) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
                    u[g + 2] = _mm512_unpacklo_epi64(ab, cd);
                    u[g + 3] = _mm512_unpackhi_epi64(ab, cd);
                }
                for c in 0..4 {
                    let even = _mm512_shuffle_i32x4::<0x88>(u[c], u[4 + c]);
                    let odd = _mm512_shuffle_i32x4::<0xdd>(u[c], u[4 + c]);
                    let even_high = _mm512_shuffle_i32x4::<0x88>(u[8 + c], u[12 + c]);
                    let odd_high = _mm512_shuffle_i32x4::<0xdd>(u[8 + c], u[12 + c]);
                    for (column, v) in [
                        (c, _mm512_shuffle_i32x4::<0x88>(even, even_high)),
                        (c + 4, _mm512_shuffle_i32x4::<0x88>(odd, odd_high)),
                        (c + 8, _mm512_shuffle_i32x4::<0xdd>(even, even_high)),
                        (c + 12, _mm512_shuffle_i32x4::<0xdd>(odd, odd_high)),
                    ] {
                        _mm512_storeu_si512(to.add((first + column) * stride).cast(), v);
                    }
                }
            }
        }
        for u in whole..units {
            for (lane, row) in rows.iter().enumerate() {
                // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
                unsafe { to.add(u * stride + lane).write(row.add(u).read_unaligned()) };
            }
        }
    }
}

/// `sums + a b` over the pairs of bf16 in each 32 bits.
///
/// # Safety
/// AVX-512 bf16 is there.
#[inline(always)]
pub(super) unsafe fn bf16_dot(sums: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: vectors of the same 512 bits.
    // SAFETY: the instructions are there and the pointers valid, as the trait asks of callers.
    unsafe {
        _mm512_dpbf16_ps(
            sums,
            std::mem::transmute::<__m512i, __m512bh>(a),
            std::mem::transmute::<__m512i, __m512bh>(b),
        )
    }
}
