//! The innermost products: up to 32 rows with up to 32 lanes, all sums in the registers of tiles.
//!
//! Sums are tiles 0 to 3 (rows 0..16 and 16..32, lanes 0..16 and 16..32 in each), the operand 4 and 5, the panel 6 and 7.
//! The compiler never uses these registers, so they keep their content between pieces of assembly.

use std::arch::asm;

/// Bytes of a tile: 16 rows of 64.
pub(super) const TILE: usize = 1024;

/// Where a block's sums are: the first, and bytes from one row to the next.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Sums {
    pub at: *mut f32,
    pub stride: usize,
}

/// Both operands of a block.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Operands {
    /// The first row of the operand, and bytes from one row to the next.
    pub a: *const u16,
    pub stride: usize,
    /// Tiles of the panel behind one another, for lanes 0..16 and 16..32.
    pub w: [*const u32; 2],
    /// Tiles of the contraction.
    pub steps: usize,
}

macro_rules! block {
    ($name:ident, [$($zero:literal),*], [$($load:literal),*], [$($step:literal),*], [$($store:literal),*]) => {
        /// One block: `sums (+)= operand x panel`.
        ///
        /// # Safety
        /// The thread's tiles are configured, and all rows of the tiles that this block has are there.
        #[inline(always)]
        pub(in crate::cpu) unsafe fn $name(sums: Sums, o: Operands, add: bool) {
            // SAFETY: the caller's promise.
            unsafe {
                let below = sums.at.byte_add(16 * sums.stride);
                if add {
                    asm!($($load,)* y = in(reg) sums.at, below = in(reg) below, stride = in(reg) sums.stride,
                        options(nostack, readonly, preserves_flags));
                } else {
                    asm!($($zero,)* options(nostack, nomem, preserves_flags));
                }
                asm!(
                    "2:",
                    $($step,)*
                    "add {a}, 64",
                    "add {lower}, 64",
                    "add {w}, 1024",
                    "add {right}, 1024",
                    "dec {n}",
                    "jnz 2b",
                    a = inout(reg) o.a => _,
                    lower = inout(reg) o.a.byte_add(16 * o.stride) => _,
                    w = inout(reg) o.w[0] => _,
                    right = inout(reg) o.w[1] => _,
                    n = inout(reg) o.steps => _,
                    stride = in(reg) o.stride,
                    line = in(reg) 64usize,
                    options(nostack, readonly)
                );
                asm!($($store,)* y = in(reg) sums.at, below = in(reg) below, stride = in(reg) sums.stride,
                    options(nostack, preserves_flags));
            }
        }
    };
}

block!(
    two_by_two,
    ["tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3"],
    [
        "tileloadd tmm0, [{y} + {stride}]",
        "tileloadd tmm1, [{y} + {stride} + 64]",
        "tileloadd tmm2, [{below} + {stride}]",
        "tileloadd tmm3, [{below} + {stride} + 64]"
    ],
    [
        "tileloadd tmm6, [{w} + {line}]",
        "tileloadd tmm4, [{a} + {stride}]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm7, [{right} + {line}]",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tileloadd tmm5, [{lower} + {stride}]",
        "tdpbf16ps tmm2, tmm5, tmm6",
        "tdpbf16ps tmm3, tmm5, tmm7"
    ],
    [
        "tilestored [{y} + {stride}], tmm0",
        "tilestored [{y} + {stride} + 64], tmm1",
        "tilestored [{below} + {stride}], tmm2",
        "tilestored [{below} + {stride} + 64], tmm3"
    ]
);

block!(
    one_by_two,
    ["tilezero tmm0", "tilezero tmm1"],
    ["tileloadd tmm0, [{y} + {stride}]", "tileloadd tmm1, [{y} + {stride} + 64]", "/* {below} */"],
    [
        "tileloadd tmm6, [{w} + {line}]",
        "tileloadd tmm4, [{a} + {stride}]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm7, [{right} + {line}]",
        "tdpbf16ps tmm1, tmm4, tmm7"
    ],
    ["tilestored [{y} + {stride}], tmm0", "tilestored [{y} + {stride} + 64], tmm1", "/* {below} */"]
);

block!(
    two_by_one,
    ["tilezero tmm0", "tilezero tmm2"],
    ["tileloadd tmm0, [{y} + {stride}]", "tileloadd tmm2, [{below} + {stride}]"],
    [
        "tileloadd tmm6, [{w} + {line}]",
        "tileloadd tmm4, [{a} + {stride}]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm5, [{lower} + {stride}]",
        "tdpbf16ps tmm2, tmm5, tmm6"
    ],
    ["tilestored [{y} + {stride}], tmm0", "tilestored [{below} + {stride}], tmm2"]
);

block!(
    one_by_one,
    ["tilezero tmm0"],
    ["tileloadd tmm0, [{y} + {stride}]", "/* {below} */"],
    ["tileloadd tmm6, [{w} + {line}]", "tileloadd tmm4, [{a} + {stride}]", "tdpbf16ps tmm0, tmm4, tmm6"],
    ["tilestored [{y} + {stride}], tmm0", "/* {below} */"]
);
