//! Intel's Advanced Matrix Extensions: products of tiles of 16 rows with 32 numbers of bf16.
//!
//! The compiler has no stable names for these instructions, and never uses their registers itself: they stand here as
//! assembly. The panels are those of pairs of bf16, which is how the hardware wants them.

use super::pack::{Buffers, Kernel, Over, Pairs, TALLEST};
use super::x86::Avx512;
use crate::matrix::Matrix;
use std::arch::asm;
use std::ops::Range;
use std::sync::LazyLock;

/// Whether the processor has the tiles and the system lets this process use them.
pub(super) fn available() -> bool {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        const BF16: u32 = 1 << 22;
        const TILE: u32 = 1 << 24;
        let leaves = std::arch::x86_64::__cpuid(0).eax;
        let has = |bits| std::arch::x86_64::__cpuid_count(7, 0).edx & bits == bits;
        leaves >= 7 && has(BF16 | TILE) && permitted()
    });
    *AVAILABLE
}

/// Asks Linux for the tiles' registers, which it gives a process on demand.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let result: i64;
    // SAFETY: the call reads and writes no memory; a system that does not know it returns an error.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack)
        );
    }
    result == 0
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// Makes all tiles 16 rows of 64 bytes, for the thread.
///
/// # Safety
/// The tiles are [`available`].
#[inline(always)]
pub(super) unsafe fn configure() {
    #[repr(align(64))]
    struct Shape([u8; 64]);
    let mut shape = Shape([0; 64]);
    shape.0[0] = 1;
    for tile in 0..8 {
        shape.0[16 + 2 * tile] = 64;
        shape.0[48 + tile] = 16;
    }
    // SAFETY: the shape is one that every such processor has.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shape, options(nostack, readonly)) }
}

/// Gives the thread's tiles back, so that the system need not keep them for it.
///
/// # Safety
/// As [`configure`].
#[inline(always)]
pub(super) unsafe fn release() {
    // SAFETY: no tile is in use.
    unsafe { asm!("tilerelease", options(nostack, nomem)) }
}

/// Products of tiles.
pub(super) struct Tiles;

impl Kernel for Tiles {
    type S = Avx512;
    type Unit = u32;
    const STEP: usize = 2;
    const TALL: usize = TALLEST;
    const GRAIN: usize = 16;

    #[inline(always)]
    unsafe fn pack(
        b: &mut Buffers,
        w: &Matrix,
        over: Over,
        lanes: Range<usize>,
        width: usize,
        deep: Range<usize>,
    ) {
        // SAFETY: the caller's promise; whoever has tiles has AVX-512 bf16.
        unsafe { Pairs::pack(b, w, over, lanes, width, deep) }
    }

    /// Reads whole tiles: the operand has rows up to a multiple of [`TALLEST`].
    #[inline(always)]
    unsafe fn tile<const NV: usize>(
        tile: *mut f32,
        (a, stride, _): (*const u32, usize, usize),
        panel: *const u32,
        units: usize,
    ) {
        for first in (0..NV).step_by(2) {
            // SAFETY: the caller's promise.
            unsafe {
                let (panel, tile) = (panel.add(first * 16), tile.add(first * 16));
                if first + 1 < NV {
                    two_wide(tile, (a, stride), panel, NV * 64, units / 16);
                } else {
                    one_wide(tile, (a, stride), panel, NV * 64, units / 16);
                }
            }
        }
    }
}

/// 32 rows by 32 lanes; rows of the tile and of the panel are `width` bytes, each step is 16 pairs deep.
///
/// # Safety
/// The thread's tiles are configured, and all rows are there.
#[inline(always)]
unsafe fn two_wide(
    tile: *mut f32,
    (a, stride): (*const u32, usize),
    panel: *const u32,
    width: usize,
    steps: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a} + {stride}]",
            "tileloadd tmm6, [{w} + {width}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{w} + {width} + 64]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{below} + {stride}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 64",
            "add {below}, 64",
            "add {w}, {step}",
            "dec {n}",
            "jnz 2b",
            "tilestored [{y} + {width}], tmm0",
            "tilestored [{y} + {width} + 64], tmm1",
            "tilestored [{y2} + {width}], tmm2",
            "tilestored [{y2} + {width} + 64], tmm3",
            a = inout(reg) a => _,
            below = inout(reg) a.add(16 * stride) => _,
            w = inout(reg) panel => _,
            n = inout(reg) steps => _,
            stride = in(reg) stride * 4,
            width = in(reg) width,
            step = in(reg) width * 16,
            y = in(reg) tile,
            y2 = in(reg) tile.byte_add(16 * width),
            options(nostack)
        );
    }
}

/// As [`two_wide`], 16 lanes.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn one_wide(
    tile: *mut f32,
    (a, stride): (*const u32, usize),
    panel: *const u32,
    width: usize,
    steps: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm2",
            "2:",
            "tileloadd tmm4, [{a} + {stride}]",
            "tileloadd tmm6, [{w} + {width}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{below} + {stride}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "add {a}, 64",
            "add {below}, 64",
            "add {w}, {step}",
            "dec {n}",
            "jnz 2b",
            "tilestored [{y} + {width}], tmm0",
            "tilestored [{y2} + {width}], tmm2",
            a = inout(reg) a => _,
            below = inout(reg) a.add(16 * stride) => _,
            w = inout(reg) panel => _,
            n = inout(reg) steps => _,
            stride = in(reg) stride * 4,
            width = in(reg) width,
            step = in(reg) width * 16,
            y = in(reg) tile,
            y2 = in(reg) tile.byte_add(16 * width),
            options(nostack)
        );
    }
}
