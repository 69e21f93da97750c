//! bf16 in 12 bits a number, without loss.
//!
//! The exponents of a model's weights take few of their 256 values: fifteen that lie behind one another, and 0, hold nearly all
//! of them, and what a number takes falls by a quarter (that exponents carry few bits: DFloat11, Zhang et al. 2025; ZipNN,
//! Hershcovitch et al. 2024; with codes of one length here, which vectors decode). Numbers outside are kept apart.

mod encode;

use super::bf16::from_bf16;
use super::Bf16s;
use crate::mapped::MappedFile;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Rows of a block, and columns of one of its tiles.
pub(crate) const SIDE: usize = 32;
/// Bytes of a tile's signs and fractions; then come those of its codes.
const SIGNS: usize = SIDE * SIDE;
/// Bytes of a tile.
pub(crate) const TILE: usize = SIGNS * 3 / 2;

/// Numbers of rows, in blocks of 32 rows, each of which holds its tiles of 32 columns behind one another, so that a product
/// reads memory in one go. Of a tile, 64 bytes of signs and fractions are two rows of 32, eight of the one and eight of the
/// other in turns; their codes are 32 bytes, the first half of the numbers in the low nibbles. A code is 0 for the exponent 0,
/// otherwise the exponent less the block's base.
#[derive(Debug, Clone)]
pub struct CodedBf16 {
    memory: Arc<MappedFile>,
    bytes: Range<usize>,
    inputs: usize,
    rows: usize,
    blocks: Vec<Block>,
    /// Place in the block, tile by tile and row by row, and bits; those of all blocks behind one another.
    apart: Vec<(u32, u16)>,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    base: u8,
    /// Its first number that is kept apart.
    apart: usize,
}

/// A block as products read it.
#[derive(Clone, Copy)]
pub(crate) struct Tiles<'a> {
    pub base: u8,
    /// Tiles of [`TILE`] bytes.
    pub bytes: &'a [u8],
    /// Where they belong, tile by tile, and what the numbers are that have no code.
    apart: &'a [(u32, u16)],
}

impl CodedBf16 {
    /// Whether products over coded numbers are faster here than over numbers as they are: they are where tiles decode one
    /// block while the next one is fetched (measured: 1.5 times as fast, and 0.9 times with AVX-512 alone).
    pub fn pays() -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            use crate::cpu::Isa;
            Isa::best() == Isa::Amx
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Puts matrices of bf16 into memory of their own, made of huge pages where the system has them: coded if `code`, and as
    /// they are otherwise or where codes do not fit them. Given are each matrix' little-endian bytes and its columns.
    ///
    /// # Errors
    /// No memory.
    ///
    /// # Panics
    /// When bytes do not fill whole rows.
    pub fn resident(matrices: &[(&[u8], usize)], code: bool) -> io::Result<Vec<super::Store>> {
        let mut ends = Vec::with_capacity(matrices.len());
        let mut len = 0;
        for (bytes, inputs) in matrices {
            assert!(bytes.len().is_multiple_of(2 * inputs), "the numbers do not fill whole rows");
            len += bytes.len().max(coded_bytes(bytes.len() / 2 / inputs, *inputs)).next_multiple_of(64);
            ends.push(len);
        }
        let (memory, codings) = MappedFile::made(len, |mut room| {
            let mut codings = Vec::with_capacity(matrices.len());
            let mut first = 0;
            for ((bytes, inputs), end) in matrices.iter().zip(&ends) {
                let (own, rest) = room.split_at_mut(end - first);
                (room, first) = (rest, *end);
                let coding = if code { encode::encode(bytes.as_chunks().0, *inputs, own) } else { None };
                if coding.is_none() {
                    own[..bytes.len()].copy_from_slice(bytes);
                }
                codings.push(coding);
            }
            Ok(codings)
        })?;
        let memory = Arc::new(memory);
        let starts = std::iter::once(0).chain(ends);
        let stores = matrices.iter().zip(codings).zip(starts).map(|(((bytes, inputs), coding), start)| {
            let rows = bytes.len() / 2 / inputs;
            let Some((blocks, apart)) = coding else {
                return super::Store::Bf16(Bf16s::mapped(&memory, start..start + bytes.len()));
            };
            let own = start..start + coded_bytes(rows, *inputs);
            super::Store::Coded(CodedBf16 {
                memory: Arc::clone(&memory),
                bytes: own,
                inputs: *inputs,
                rows,
                blocks,
                apart,
            })
        });
        Ok(stores.collect())
    }

    pub(super) fn numbers(&self) -> usize {
        self.rows * self.inputs
    }

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&self.apart[..]) + size_of_val(&self.blocks[..])
    }

    /// The rows `32 block..`; those behind the last are 0.
    #[inline]
    pub(crate) fn block(&self, block: usize) -> Tiles<'_> {
        let each = SIDE * self.inputs * 3 / 2;
        let end = self.blocks.get(block + 1).map_or(self.apart.len(), |next| next.apart);
        let Block { base, apart } = self.blocks[block];
        let bytes = &self.memory[self.bytes.clone()][block * each..(block + 1) * each];
        Tiles { base, bytes, apart: &self.apart[apart..end] }
    }

    /// The numbers `first..first + out.len()`, counted through all rows.
    pub(super) fn decode(&self, first: usize, out: &mut [f32]) {
        let (mut at, mut out) = (first, out);
        while !out.is_empty() {
            let (row, col) = (at / self.inputs, at % self.inputs);
            let count = (SIDE - col % SIDE).min(out.len());
            let mut tile = [[0; SIDE]; 2];
            let tiles = self.block(row / SIDE);
            tiles.pair(row % SIDE / 2, col / SIDE, &mut tile);
            let from = &tile[row % 2][col % SIDE..];
            let (now, later) = out.split_at_mut(count);
            now.iter_mut().zip(from).for_each(|(o, bits)| *o = from_bf16(*bits));
            (at, out) = (at + count, later);
        }
    }
}

impl Tiles<'_> {
    /// The rows `2 pair` and `2 pair + 1` of a tile.
    fn pair(&self, pair: usize, tile: usize, out: &mut [[u16; SIDE]; 2]) {
        let [even, odd] = out;
        let (signs, codes) = self.parts(pair, tile);
        decode_pair(signs, codes, self.base, even, odd);
        for (row, col, bits) in self.apart(tile..tile + 1).filter(|(row, ..)| row / 2 == pair) {
            out[row % 2][col % SIDE] = bits;
        }
    }

    /// Signs with fractions and codes of two rows of a tile.
    #[inline(always)]
    pub fn parts(&self, pair: usize, tile: usize) -> (&[u8; 2 * SIDE], &[u8; SIDE]) {
        let tile = &self.bytes[tile * TILE..(tile + 1) * TILE];
        let (signs, codes) = tile.split_at(SIGNS);
        (&signs.as_chunks().0[pair], &codes.as_chunks().0[pair])
    }

    /// Row in the block, column and bits of the numbers of some tiles that are kept apart.
    #[inline(always)]
    pub fn apart(&self, tiles: Range<usize>) -> impl Iterator<Item = (usize, usize, u16)> + use<'_> {
        let [first, end] = [tiles.start, tiles.end].map(|tile| (tile * SIGNS) as u32);
        let from = self.apart.partition_point(|(at, _)| *at < first);
        self.apart[from..].iter().take_while(move |(at, _)| *at < end).map(|&(at, bits)| {
            let (tile, at) = (at as usize / SIGNS, at as usize % SIGNS);
            (at / SIDE, tile * SIDE + at % SIDE, bits)
        })
    }
}

/// Two rows of a tile, without what is kept apart.
#[inline(always)]
pub(crate) fn decode_pair(
    signs: &[u8; 2 * SIDE],
    codes: &[u8; SIDE],
    base: u8,
    even: &mut [u16; SIDE],
    odd: &mut [u16; SIDE],
) {
    let mut all = [0; 2 * SIDE];
    for i in 0..2 * SIDE {
        let code = if i < SIDE { codes[i] & 15 } else { codes[i - SIDE] >> 4 };
        let exponent = if code == 0 { 0 } else { base + code };
        let sign = signs[i];
        all[i] = u16::from(sign & 0x80) << 8 | u16::from(exponent) << 7 | u16::from(sign & 0x7f);
    }
    for (n, both) in all.as_chunks::<16>().0.iter().enumerate() {
        even[8 * n..8 * n + 8].copy_from_slice(&both[..8]);
        odd[8 * n..8 * n + 8].copy_from_slice(&both[8..]);
    }
}

/// Bytes of so many rows.
fn coded_bytes(rows: usize, inputs: usize) -> usize {
    rows.next_multiple_of(SIDE) * inputs * 3 / 2
}

// Miri maps no memory.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::matrix::{to_bf16, Matrix, Store};

    fn bytes(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    /// Numbers as weights are, from a fixed seed.
    fn weights(n: usize) -> Vec<u16> {
        let mut state = 7u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        (0..n).map(|_| to_bf16((0..4).map(|_| uniform() - 0.5).sum::<f32>() * 0.02)).collect()
    }

    fn resident(numbers: &[u16], inputs: usize) -> Store {
        CodedBf16::resident(&[(&bytes(numbers), inputs)], true).unwrap().remove(0)
    }

    #[test]
    fn numbers_come_back_bit_for_bit() {
        let mut numbers = weights(80 * 96);
        // What has no code: large, infinite, not a number, tiny; and zeros and what is smaller than all normal numbers.
        let odd = [0x7f80, 0xff80, 0x7fc1, 0x4780, 0x0081, 0x8000, 0x0000, 0x0001, 0x807f, 0x7f7f];
        for (n, x) in odd.into_iter().enumerate() {
            numbers[n * 611] = x;
        }
        let Store::Coded(coded) = resident(&numbers, 96) else { panic!("not coded") };
        assert!(coded.apart.len() >= 6 && coded.apart.len() < 40, "{} apart", coded.apart.len());
        assert_eq!(coded.numbers(), 80 * 96);
        // A little more than 12 bits, of whole blocks.
        assert!((96 * 96 * 3 / 2..96 * 96 * 3 / 2 + 600).contains(&coded.bytes()), "{}", coded.bytes());
        let expected: Vec<u32> = numbers.iter().map(|x| u32::from(*x) << 16).collect();
        // From anywhere to anywhere.
        for (first, n) in [(0, 80 * 96), (1, 40), (95, 2), (33 * 96 + 31, 500), (79 * 96, 96)] {
            let mut out = vec![0.0; n];
            coded.decode(first, &mut out);
            let bits: Vec<u32> = out.iter().map(|x| x.to_bits()).collect();
            assert_eq!(bits, expected[first..first + n], "{n} from {first}");
        }
    }

    #[test]
    fn what_codes_do_not_fit_stays_as_it_is() {
        // Rows that are no whole tiles, a second block that is nearly empty, and numbers of all exponents.
        let wide: Vec<u16> = (0..64 * 64).map(|i| (i * 16 % 32_768) as u16).collect();
        for (numbers, inputs) in [(weights(50 * 40), 40), (weights(40 * 64), 64), (wide, 64)] {
            let store = resident(&numbers, inputs);
            assert!(matches!(&store, Store::Bf16(kept) if kept.as_slice() == numbers));
            assert_eq!(Matrix::new(store, inputs).bytes(), 2 * numbers.len());
        }
    }

    #[test]
    fn nothing_is_coded_that_is_not_to_be() {
        let numbers = weights(64 * 64);
        let stores = CodedBf16::resident(&[(&bytes(&numbers), 64)], false).unwrap();
        assert!(matches!(&stores[..], [Store::Bf16(kept)] if kept.as_slice() == numbers));
    }

    #[test]
    fn several_matrices_lie_in_one_memory() {
        let (a, b, c) = (weights(55 * 64), weights(10 * 40), weights(32 * 32));
        let all = [(bytes(&a), 64), (bytes(&b), 40), (bytes(&c), 32)];
        let given: Vec<(&[u8], usize)> = all.iter().map(|(b, n)| (&b[..], *n)).collect();
        let stores = CodedBf16::resident(&given, true).unwrap();
        for (store, (numbers, inputs)) in stores.into_iter().zip([(a, 64), (b, 40), (c, 32)]) {
            let rows = numbers.len() / inputs;
            let expected: Vec<f32> = numbers.into_iter().map(from_bf16).collect();
            assert_eq!(Matrix::new(store, inputs).to_f32(0..rows), expected);
        }
        assert!(CodedBf16::resident(&[], true).unwrap().is_empty());
    }
}
