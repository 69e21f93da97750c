//! Rounding to bf16.

#[cfg(target_arch = "x86_64")]
use super::pack;
use super::Isa;
use crate::cpu::par::{self, Disjoint};
use crate::matrix;

/// Rounds numbers to bf16, into as many, on all threads: the smallest ones too, which the processor's own instruction takes
/// for 0.
///
/// # Panics
/// When there are not as many.
pub(crate) fn to_halves(to: &mut [u16], from: &[f32]) {
    assert_eq!(from.len(), to.len());
    let to = Disjoint::new(to);
    par::ranges(from.len().div_ceil(16), 1024, |range| {
        let own = 16 * range.start..from.len().min(16 * range.end);
        // SAFETY: ranges do not overlap.
        let to = unsafe { to.part(own.clone()) };
        to.iter_mut().zip(&from[own]).for_each(|(to, x)| *to = matrix::to_bf16(*x));
    });
}

/// Rounds numbers to bf16, into as many.
pub(super) fn narrow(isa: Isa, from: &[f32], to: &mut [u16]) {
    #[cfg(target_arch = "x86_64")]
    if isa.pairs() {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
        unsafe fn all(from: &[f32], to: &mut [u16]) {
            // SAFETY: the slices are equally long.
            unsafe { pack::narrow(from.as_ptr(), from.len(), to.as_mut_ptr()) }
        }
        assert_eq!(from.len(), to.len());
        // SAFETY: the instructions are there.
        return unsafe { all(from, to) };
    }
    for (to, x) in to.iter_mut().zip(from) {
        *to = matrix::to_bf16(*x);
    }
    let _ = isa;
}
