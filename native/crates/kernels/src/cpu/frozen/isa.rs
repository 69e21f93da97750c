//! Which vector instructions the products are made of.

use std::sync::LazyLock;

/// A set of instructions with kernels of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// No more than the compiler's baseline: the reference of the others.
    Plain,
    /// Arm's Advanced SIMD.
    Neon,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL).
    Avx512,
    /// AVX-512 with its dot products of bf16.
    Avx512Bf16,
}

impl Isa {
    /// What this machine has, the fastest last.
    pub fn available() -> Vec<Isa> {
        let mut all = vec![Isa::Plain];
        #[cfg(target_arch = "aarch64")]
        all.push(Isa::Neon);
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            all.extend(avx2.then_some(Isa::Avx2));
            all.extend(avx512.then_some(Isa::Avx512));
            all.extend((avx512 && is_x86_feature_detected!("avx512bf16")).then_some(Isa::Avx512Bf16));
        }
        all
    }

    /// The fastest of this machine.
    pub fn best() -> Isa {
        static BEST: LazyLock<Isa> = LazyLock::new(|| Isa::available().last().copied().unwrap_or(Isa::Plain));
        *BEST
    }
}
