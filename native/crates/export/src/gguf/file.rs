//! The container: GGUF version 3, little-endian.
//!
//! Header, typed metadata, a table of tensors (name, dimensions from the innermost, type, offset), then the tensors' data, each at
//! a multiple of 32 bytes. Source: docs/gguf.md of the ggml project.

use std::io::{self, Write};

/// What a file begins with.
pub const MAGIC: &[u8; 4] = b"GGUF";
/// The version of the format that is written.
pub const VERSION: u32 = 3;
/// Tensors' data begin at multiples of this; it is the format's default, which a file need not name.
pub const ALIGNMENT: u64 = 32;

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    F32s(Vec<f32>),
    I32s(Vec<i32>),
}

impl Value {
    fn code(&self) -> u32 {
        match self {
            Value::U32(_) => 4,
            Value::F32(_) => 6,
            Value::Bool(_) => 7,
            Value::Text(_) => 8,
            Value::Texts(_) | Value::F32s(_) | Value::I32s(_) => 9,
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Value::U32(x) => out.write_all(&x.to_le_bytes()),
            Value::F32(x) => out.write_all(&x.to_le_bytes()),
            Value::Bool(x) => out.write_all(&[u8::from(*x)]),
            Value::Text(x) => text(out, x),
            Value::Texts(list) => {
                array(out, 8, list.len())?;
                list.iter().try_for_each(|x| text(out, x))
            }
            Value::F32s(list) => {
                array(out, 6, list.len())?;
                list.iter().try_for_each(|x| out.write_all(&x.to_le_bytes()))
            }
            Value::I32s(list) => {
                array(out, 5, list.len())?;
                list.iter().try_for_each(|x| out.write_all(&x.to_le_bytes()))
            }
        }
    }
}

fn text(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())
}

fn array(out: &mut impl Write, code: u32, length: usize) -> io::Result<()> {
    out.write_all(&code.to_le_bytes())?;
    out.write_all(&(length as u64).to_le_bytes())
}

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    F32,
    F16,
    Bf16,
    Q8,
    Q4,
}

impl Kind {
    /// ggml's number of the type.
    pub fn code(self) -> u32 {
        match self {
            Kind::F32 => 0,
            Kind::F16 => 1,
            Kind::Q4 => 2,
            Kind::Q8 => 8,
            Kind::Bf16 => 30,
        }
    }

    /// Bytes of so many numbers; of blocks, they are a multiple of 32.
    pub fn bytes(self, numbers: usize) -> u64 {
        let numbers = numbers as u64;
        match self {
            Kind::F32 => 4 * numbers,
            Kind::F16 | Kind::Bf16 => 2 * numbers,
            Kind::Q8 => numbers / 32 * 34,
            Kind::Q4 => numbers / 32 * 18,
        }
    }
}

/// A tensor's entry in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As llama.cpp calls it.
    pub name: String,
    /// From the outermost, `[out, in]`; the file has them the other way round.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub kind: Kind,
}

impl Entry {
    /// Bytes of its numbers.
    pub fn bytes(&self) -> u64 {
        self.kind.bytes(self.shape.iter().product())
    }
}

/// Writes everything in front of the tensors' data; the data follow in the order of the entries, see [`pad`].
///
/// # Errors
/// The stream's own.
pub fn write_head(out: &mut impl Write, metadata: &[(String, Value)], entries: &[Entry]) -> io::Result<()> {
    let mut head = Vec::new();
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    head.extend_from_slice(&(metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut head, key)?;
        head.extend_from_slice(&value.code().to_le_bytes());
        value.write(&mut head)?;
    }
    let mut offset = 0u64;
    for entry in entries {
        text(&mut head, &entry.name)?;
        head.extend_from_slice(&(entry.shape.len() as u32).to_le_bytes());
        entry.shape.iter().rev().for_each(|n| head.extend_from_slice(&(*n as u64).to_le_bytes()));
        head.extend_from_slice(&entry.kind.code().to_le_bytes());
        head.extend_from_slice(&offset.to_le_bytes());
        offset += entry.bytes().next_multiple_of(ALIGNMENT);
    }
    let length = head.len() as u64;
    out.write_all(&head)?;
    pad(out, length)
}

/// Zeros up to the next multiple of the alignment.
///
/// # Errors
/// The stream's own.
pub fn pad(out: &mut impl Write, length: u64) -> io::Result<()> {
    let zeros = [0u8; ALIGNMENT as usize];
    out.write_all(&zeros[..(length.next_multiple_of(ALIGNMENT) - length) as usize])
}
