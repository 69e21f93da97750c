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
    /// Intel's tiles (AMX) for bf16, and the former for what they cannot do.
    Amx,
}

impl Isa {
    /// What this machine has.
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
            let pairs = avx512 && is_x86_feature_detected!("avx512bf16");
            all.extend(pairs.then_some(Isa::Avx512Bf16));
            all.extend((pairs && super::amx::available()).then_some(Isa::Amx));
        }
        all
    }

    /// The fastest of this machine: the last of its instructions, except that Intel's dot products of bf16 do half as
    /// much in a cycle as its products of f32 (measured: 106 and 215 GFLOP/s a core), AMD's twice as much. It is decided by
    /// the maker and not by a measurement, so that a machine always computes the same.
    pub fn best() -> Isa {
        static BEST: LazyLock<Isa> = LazyLock::new(|| match Isa::available().last() {
            Some(Isa::Avx512Bf16) if intel() => Isa::Avx512,
            best => best.copied().unwrap_or(Isa::Plain),
        });
        *BEST
    }

    /// Whether it multiplies pairs of bf16.
    pub(in crate::cpu) fn pairs(self) -> bool {
        matches!(self, Isa::Avx512Bf16 | Isa::Amx)
    }
}

/// Whether Intel made the processor.
fn intel() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let maker = std::arch::x86_64::__cpuid(0);
        [maker.ebx, maker.edx, maker.ecx].map(u32::to_le_bytes).concat() == b"GenuineIntel"
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}
