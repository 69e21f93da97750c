//! NF4 with double quantisation, as QLoRA has it (Dettmers et al. 2023) and bitsandbytes computes it.

use rayon::prelude::*;

/// Numbers that share a scale.
pub const NF4_BLOCK: usize = 64;
/// Scales that share a scale of their own.
const SCALES_BLOCK: usize = 256;

/// What the sixteen codes stand for (QLoRA, appendix E).
pub const NF4_LEVELS: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Codes of a matrix's numbers, in blocks of [`NF4_BLOCK`] that are counted through its rows, and the blocks' scales,
/// quantised to 8 bits in turn: number = level\[code\] x (map\[scale\] x `scale_scales`\[block / 256\] + `offset`).
#[derive(Debug, Clone)]
pub struct Nf4 {
    /// Two a byte, the first of them in the high half.
    pub codes: Vec<u8>,
    /// A place in [`dynamic_map`] for each block.
    pub scales: Vec<u8>,
    /// One for each 256 blocks: the largest distance of their scales from `offset`.
    pub scale_scales: Vec<f32>,
    /// Mean of all blocks' largest magnitudes.
    pub offset: f32,
    pub(crate) len: usize,
    map: Box<[f32; 256]>,
}

/// The 8-bit map of positive and negative numbers whose precision grows towards zero (Dettmers 2015), in the form of
/// bitsandbytes' `create_dynamic_map()`: seven decades, of which the k-th has 2^k steps between 0.1 and 1.
pub fn dynamic_map() -> [f32; 256] {
    let mut all = Vec::with_capacity(256);
    for decade in 0..7 {
        let steps = 1usize << decade;
        // torch.linspace in f32: counted from both ends, each number rounded once.
        let step = 0.9f32 / steps as f32;
        let at = |i: usize| {
            if i < steps.div_ceil(2) {
                step.mul_add(i as f32, 0.1)
            } else {
                (-step).mul_add((steps - i) as f32, 1.0)
            }
        };
        let power = 10f64.powi(decade - 6) as f32;
        for i in 0..steps {
            let value = power * ((at(i) + at(i + 1)) / 2.0);
            all.extend([value, -value]);
        }
    }
    all.extend([0.0, 1.0]);
    all.sort_by(f32::total_cmp);
    all.try_into().expect("2 * 127 + 2 values")
}

/// The place in the map of a number in [-1, 1], as bitsandbytes finds it: by a table of 65536 equal steps, which near the
/// middle between two values is not always the nearest.
fn place(map: &[f32; 256], x: f32) -> u8 {
    const HALF: f32 = 32767.5;
    let step = ((x + 1.0) * HALF + 0.5).floor();
    nearest(map, step / HALF - 1.0) as u8
}

/// The first of the nearest values in an ascending table.
fn nearest(table: &[f32], x: f32) -> usize {
    let above = table.partition_point(|&t| t < x).min(table.len() - 1);
    if above > 0 && (x - table[above - 1]).abs() <= (x - table[above]).abs() {
        above - 1
    } else {
        above
    }
}

impl Nf4 {
    /// Each number as the nearest level of its block's largest magnitude; the lower of two that are equally near.
    ///
    /// # Panics
    /// When there are no numbers.
    pub fn quantise(value: &[f32]) -> Nf4 {
        let blocks = value.par_chunks(NF4_BLOCK);
        let largest: Vec<f32> =
            blocks.clone().map(|b| b.iter().fold(0.0f32, |m, x| m.max(x.abs()))).collect();
        let mut codes = vec![0u8; value.len().div_ceil(2)];
        codes.par_chunks_mut(NF4_BLOCK / 2).zip(blocks).zip(&largest).for_each(
            |((codes, block), &largest)| {
                let inverse = if largest > 0.0 { 1.0 / largest } else { 0.0 };
                for (i, x) in block.iter().enumerate() {
                    let code = nearest(&NF4_LEVELS, x * inverse) as u8;
                    codes[i / 2] |= if i % 2 == 0 { code << 4 } else { code };
                }
            },
        );
        let mean = largest.iter().map(|&x| f64::from(x)).sum::<f64>() / largest.len() as f64;
        let (offset, map) = (mean as f32, Box::new(dynamic_map()));
        let mut scales = Vec::with_capacity(largest.len());
        let mut scale_scales = Vec::with_capacity(largest.len().div_ceil(SCALES_BLOCK));
        for block in largest.chunks(SCALES_BLOCK) {
            let most = block.iter().fold(0.0f32, |m, x| m.max((x - offset).abs()));
            let inverse = if most > 0.0 { 1.0 / most } else { 0.0 };
            scales.extend(block.iter().map(|x| place(&map, (x - offset) * inverse)));
            scale_scales.push(most);
        }
        Nf4 { codes, scales, scale_scales, offset, len: value.len(), map }
    }

    /// A block's scale.
    #[inline(always)]
    pub fn scale(&self, block: usize) -> f32 {
        self.map[self.scales[block] as usize] * self.scale_scales[block / SCALES_BLOCK] + self.offset
    }

    /// A number's code.
    #[inline(always)]
    pub fn code(&self, i: usize) -> u8 {
        let byte = self.codes[i / 2];
        if i.is_multiple_of(2) {
            byte >> 4
        } else {
            byte & 15
        }
    }

    /// One number.
    #[inline(always)]
    pub(crate) fn at(&self, i: usize) -> f32 {
        NF4_LEVELS[usize::from(self.code(i))] * self.scale(i / NF4_BLOCK)
    }

    pub(super) fn decode(&self, first: usize, out: &mut [f32]) {
        for (i, o) in out.iter_mut().enumerate() {
            *o = self.at(first + i);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.codes.len() + self.scales.len() + 4 * self.scale_scales.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_get_the_codes_that_bitsandbytes_gives_them() {
        // Of bitsandbytes 0.50.2 on a CPU; the nearest values would have the codes 97, 152 and 140.
        let map = dynamic_map();
        assert_eq!(map[96..98], [-0.009_718_75, -0.009_156_249]);
        assert_eq!((map[0], map[255], map[127]), (-0.992_968_74, 1.0, 0.0));
        for (x, code) in [(-0.009_431_284, 96), (0.006_624_994_3, 153), (0.000_769_700_2, 141), (1.0, 255)] {
            assert_eq!(place(&map, x), code, "{x}");
        }
    }

    #[test]
    fn numbers_get_the_nearest_level_of_their_block() {
        // A block of zeros, then one whose largest magnitude is 2; the last block is not full.
        let mut value = vec![0.0; 2 * NF4_BLOCK + 3];
        value[64..70].copy_from_slice(&[2.0, -2.0, 0.1, 0.0, -0.37, 1.45]);
        value[128] = -0.5;
        let nf4 = Nf4::quantise(&value);
        assert!((0..64).all(|i| nf4.code(i) == 7));
        assert_eq!((64..70).map(|i| nf4.code(i)).collect::<Vec<_>>(), [15, 0, 8, 7, 5, 14]);
        assert_eq!((nf4.code(128), nf4.code(130), nf4.codes.len(), nf4.scales.len()), (0, 7, 66, 3));
        // Scales 0, 2 and 0.5 come back within the coarsest step of their 8 bits.
        for (block, exact) in [0.0f32, 2.0, 0.5].into_iter().enumerate() {
            assert!((nf4.scale(block) - exact).abs() < 0.02, "{}", nf4.scale(block));
        }
    }
}
