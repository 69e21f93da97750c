//! Frozen matrices in fewer bits than f32.
//!
//! A matrix is row-major `[outputs, inputs]`, as a safetensors file has it. It may consist of several stored tensors,
//! whose rows lie behind one another but need not be neighbours in memory: queries, keys and values of a mapped file.

mod bf16;
pub(crate) mod coded;
mod int8;
mod nf4;

pub(crate) use bf16::round;
pub use bf16::{from_bf16, to_bf16, Bf16s};
pub use coded::CodedBf16;
pub use int8::Int8;
pub use nf4::{dynamic_map, Nf4, NF4_BLOCK, NF4_LEVELS};

use crate::cpu;
use std::ops::Range;

/// What a product over a low-precision matrix multiplies; sums are f32 in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// The weights as they are, and the other operand in f32.
    F32,
    /// Both operands rounded to bf16. Where int8 or NF4 weights meet at most [`FEW_ROWS`] rows, neither is rounded:
    /// such a product is bound by reading the weights.
    Bf16,
}

/// Rows up to which a product reads the weights straight from the store, without packing them first.
pub const FEW_ROWS: usize = 8;

/// The numbers of some rows.
#[derive(Debug, Clone)]
pub enum Store {
    /// 4 bytes a number, as they are.
    F32(Vec<f32>),
    /// 2 bytes a number, in memory or in a file's mapping.
    Bf16(Bf16s),
    /// The same in 12 bits a number.
    Coded(CodedBf16),
    /// 1 byte a number and 4 a row.
    Int8(Int8),
    /// Half a byte a number and a little more than 1 a block.
    Nf4(Nf4),
}

impl Store {
    /// Whether the numbers are bf16, coded or not.
    #[inline]
    pub(crate) fn is_bf16(&self) -> bool {
        matches!(self, Store::Bf16(_) | Store::Coded(_))
    }

    fn numbers(&self) -> usize {
        match self {
            Store::F32(v) => v.len(),
            Store::Bf16(v) => v.as_slice().len(),
            Store::Coded(v) => v.numbers(),
            Store::Int8(v) => v.codes.len(),
            Store::Nf4(v) => v.len,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Store::F32(v) => 4 * v.len(),
            Store::Bf16(v) => 2 * v.as_slice().len(),
            Store::Coded(v) => v.bytes(),
            Store::Int8(v) => v.codes.len() + 4 * v.scales.len(),
            Store::Nf4(v) => v.bytes(),
        }
    }

    /// The numbers `first..first + out.len()`, counted through all rows of `inputs` numbers.
    fn decode(&self, first: usize, inputs: usize, out: &mut [f32]) {
        match self {
            Store::F32(v) => out.copy_from_slice(&v[first..first + out.len()]),
            Store::Bf16(v) => {
                for (o, b) in out.iter_mut().zip(&v.as_slice()[first..]) {
                    *o = from_bf16(*b);
                }
            }
            Store::Coded(v) => v.decode(first, out),
            Store::Int8(v) => v.decode(first, inputs, out),
            Store::Nf4(v) => v.decode(first, out),
        }
    }
}

/// A frozen matrix `[rows, inputs]`.
#[derive(Debug, Clone)]
pub struct Matrix {
    inputs: usize,
    rows: usize,
    arithmetic: Arithmetic,
    /// Stored tensors with the row at which each begins.
    parts: Vec<(usize, Store)>,
}

impl Matrix {
    /// A matrix of `inputs` columns. Products over f32 are in f32, all others in bf16 until
    /// [`Matrix::set_arithmetic`] says otherwise.
    ///
    /// # Panics
    /// When the numbers do not fill whole rows.
    pub fn new(store: Store, inputs: usize) -> Matrix {
        let numbers = store.numbers();
        assert!(inputs > 0 && numbers.is_multiple_of(inputs), "the numbers do not fill whole rows");
        let exact = matches!(store, Store::F32(_));
        let arithmetic = if exact { Arithmetic::F32 } else { Arithmetic::Bf16 };
        Matrix { inputs, rows: numbers / inputs, arithmetic, parts: vec![(0, store)] }
    }

    /// Rounded to the nearest bf16, ties to even.
    pub fn bf16(value: &[f32], inputs: usize) -> Matrix {
        let mut halves = vec![0; value.len()];
        cpu::to_halves(&mut halves, value);
        Matrix::new(Store::Bf16(Bf16s::from(halves)), inputs)
    }

    /// Quantised row by row, see [`Int8`].
    pub fn int8(value: &[f32], inputs: usize) -> Matrix {
        Matrix::new(Store::Int8(Int8::quantise(value, inputs)), inputs)
    }

    /// Quantised in blocks of [`NF4_BLOCK`], see [`Nf4`].
    pub fn nf4(value: &[f32], inputs: usize) -> Matrix {
        Matrix::new(Store::Nf4(Nf4::quantise(value)), inputs)
    }

    /// Puts the rows of another matrix behind these.
    ///
    /// # Panics
    /// When it has other columns or is held in another form (bf16 and coded bf16 are one).
    pub fn append(&mut self, other: Matrix) {
        assert_eq!(self.inputs, other.inputs, "rows of different lengths");
        let kind = |m: &Matrix| (m.parts[0].1.is_bf16(), std::mem::discriminant(&m.parts[0].1));
        let (own, others) = (kind(self), kind(&other));
        assert!(own.0 && others.0 || own == others, "parts in different forms");
        let first = self.rows;
        self.parts.extend(other.parts.into_iter().map(|(row, store)| (first + row, store)));
        self.rows += other.rows;
    }

    /// Rows, which are a projection's outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns, which are a projection's inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bytes of the numbers, mapped ones included.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, store)| store.bytes()).sum()
    }

    /// Whether some of the numbers are read from a file's mapping.
    pub fn is_mapped(&self) -> bool {
        self.parts.iter().any(|(_, store)| matches!(store, Store::Bf16(numbers) if numbers.is_mapped()))
    }

    /// How products with it round.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Changes how products with it round; the numbers stay as they are.
    pub fn set_arithmetic(&mut self, arithmetic: Arithmetic) {
        self.arithmetic = arithmetic;
    }

    /// Some rows as f32.
    ///
    /// # Panics
    /// When there are no such rows.
    pub fn to_f32(&self, rows: Range<usize>) -> Vec<f32> {
        let mut out = vec![0.0; rows.len() * self.inputs];
        self.read(rows, &mut out);
        out
    }

    /// Some rows as f32, into `out[rows.len() * inputs]`.
    ///
    /// # Panics
    /// When there are no such rows, or `out` is too short.
    pub fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        assert!(rows.end <= self.rows, "no such rows");
        for (part, store) in self.stores(rows.clone()) {
            let first = part.start - self.first_row(part.start);
            let at = (part.start - rows.start) * self.inputs;
            store.decode(first * self.inputs, self.inputs, &mut out[at..at + part.len() * self.inputs]);
        }
    }

    /// The stored tensors that hold some rows, with those of the rows that each holds.
    pub(crate) fn stores(&self, rows: Range<usize>) -> impl Iterator<Item = (Range<usize>, &Store)> {
        let ends = self.parts.iter().skip(1).map(|(first, _)| *first).chain([self.rows]);
        self.parts.iter().zip(ends).filter_map(move |((first, store), end)| {
            let own = (*first).max(rows.start)..end.min(rows.end);
            (!own.is_empty()).then_some((own, store))
        })
    }

    /// The first row of the stored tensor that holds a row.
    fn first_row(&self, row: usize) -> usize {
        self.parts.iter().rev().find(|(first, _)| *first <= row).map_or(0, |(first, _)| *first)
    }

    /// The stored tensor that holds a row, and the row's number in it.
    #[inline]
    pub(crate) fn locate(&self, row: usize) -> (&Store, usize) {
        let (first, store) = self.parts.iter().rev().find(|(first, _)| *first <= row).expect("a first part");
        (store, row - first)
    }
}
