//! Finding the codes.

use super::{coded_bytes, Block, SIDE, SIGNS, TILE};
use rayon::prelude::*;

/// Of so many numbers at most one is kept apart: with more, little is gained.
const RARE: usize = 64;

/// What the numbers kept apart of a block are, and its base.
type Coding = (Vec<Block>, Vec<(u32, u16)>);

/// Writes the codes of numbers, given as little-endian bytes; `None` where rows are no whole tiles, the last block is so empty that
/// nothing is gained, or too
/// many numbers would be kept apart.
pub(super) fn encode(numbers: &[[u8; 2]], inputs: usize, out: &mut [u8]) -> Option<Coding> {
    let rows = numbers.len() / inputs;
    if !inputs.is_multiple_of(SIDE) || coded_bytes(rows, inputs) >= 2 * numbers.len() {
        return None;
    }
    let out = &mut out[..coded_bytes(rows, inputs)];
    let blocks = out.par_chunks_exact_mut(SIDE * inputs * 3 / 2).zip(numbers.par_chunks(SIDE * inputs));
    let coded: Vec<(u8, Vec<(u32, u16)>)> = blocks.map(|(to, from)| encode_block(from, inputs, to)).collect();
    let (mut blocks, mut apart) = (Vec::with_capacity(coded.len()), Vec::new());
    for (base, own) in coded {
        blocks.push(Block { base, apart: apart.len() });
        apart.extend(own);
    }
    (apart.len() * RARE <= numbers.len()).then_some((blocks, apart))
}

/// Up to 32 rows. Returns the base and what is kept apart.
fn encode_block(numbers: &[[u8; 2]], inputs: usize, out: &mut [u8]) -> (u8, Vec<(u32, u16)>) {
    let base = base(numbers);
    let mut apart = Vec::new();
    let rows = numbers.len() / inputs;
    for (tile, out) in out.as_chunks_mut::<TILE>().0.iter_mut().enumerate() {
        let (signs, codes) = out.split_at_mut(SIGNS);
        let pairs = signs.as_chunks_mut().0.iter_mut().zip(codes.as_chunks_mut().0);
        for (pair, (signs, codes)) in pairs.enumerate() {
            let row = |row: usize| {
                let mut own = [0; SIDE];
                if row < rows {
                    let from = &numbers[row * inputs + tile * SIDE..][..SIDE];
                    own.iter_mut().zip(from).for_each(|(to, x)| *to = u16::from_le_bytes(*x));
                }
                own
            };
            let own = [row(2 * pair), row(2 * pair + 1)];
            if !encode_pair(&own, base, signs, codes) {
                let first = (tile * SIGNS + 2 * pair * SIDE) as u32;
                let all = own.as_flattened().iter().enumerate();
                apart.extend(
                    all.filter(|(_, x)| code(**x, base).is_none()).map(|(i, x)| (first + i as u32, *x)),
                );
            }
        }
    }
    (base, apart)
}

/// A number's code.
#[inline(always)]
fn code(x: u16, base: u8) -> Option<u8> {
    let exponent = (x >> 7) as u8;
    let code = exponent.wrapping_sub(base);
    match exponent {
        0 => Some(0),
        _ => (1..16).contains(&code).then_some(code),
    }
}

/// The codes of two rows; whether all numbers have one.
#[inline(always)]
fn encode_pair(
    rows: &[[u16; SIDE]; 2],
    base: u8,
    signs: &mut [u8; 2 * SIDE],
    codes: &mut [u8; SIDE],
) -> bool {
    let mut all = [0; 2 * SIDE];
    let mut whole = true;
    for (i, (sign, to)) in signs.iter_mut().zip(&mut all).enumerate() {
        let x = rows[i / 8 % 2][i / 16 * 8 + i % 8];
        let code = code(x, base);
        whole &= code.is_some();
        *to = code.unwrap_or(0);
        *sign = if code.is_some() { (x >> 8 & 0x80 | x & 0x7f) as u8 } else { 0 };
    }
    for (i, to) in codes.iter_mut().enumerate() {
        *to = all[i] | all[SIDE + i] << 4;
    }
    whole
}

/// The base with which most of a block's numbers, as far as some of them show, have a code.
fn base(numbers: &[[u8; 2]]) -> u8 {
    let mut counts = [0usize; 256];
    for x in numbers.iter().step_by(7) {
        counts[usize::from(u16::from_le_bytes(*x) >> 7 & 0xff)] += 1;
    }
    // The exponent 0 has its code in any case.
    counts[0] = 0;
    let covered = |base: u8| counts[usize::from(base) + 1..][..15].iter().sum::<usize>();
    let most = (0..=240).map(covered).max().unwrap_or(0);
    // Of equally good ones that with one exponent above the largest that was seen; among those below there are always more.
    let mut best = (0..=240).filter(|&base| covered(base) == most);
    let lowest = best.next().unwrap_or(0);
    best.next().unwrap_or(lowest)
}
