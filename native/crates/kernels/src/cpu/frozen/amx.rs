//! Intel's Advanced Matrix Extensions: products of tiles of 16 rows with 32 numbers of bf16.
//!
//! The compiler has no stable names for these instructions, and never uses their registers itself: they stand here, and in
//! [`super::tiles`], as assembly.

use std::arch::asm;
use std::sync::LazyLock;

/// Whether the processor has the tiles and the system lets this process use them.
pub(in crate::cpu) fn available() -> bool {
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
pub(in crate::cpu) unsafe fn configure() {
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
pub(in crate::cpu) unsafe fn release() {
    // SAFETY: no tile is in use.
    unsafe { asm!("tilerelease", options(nostack, nomem)) }
}
