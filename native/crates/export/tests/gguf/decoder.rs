//! Reads GGUF files; it shares nothing with the writer.

use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Clone, PartialEq)]
pub enum Meta {
    Number(f64),
    Text(String),
    List(Vec<Meta>),
}

#[derive(Debug)]
pub struct Tensor {
    /// From the innermost.
    pub dims: Vec<usize>,
    pub kind: u32,
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
pub struct Gguf {
    pub meta: BTreeMap<String, Meta>,
    pub tensors: BTreeMap<String, Tensor>,
}

struct Reader<'a>(&'a [u8], usize);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        self.1 += N;
        self.0[self.1 - N..self.1].try_into().unwrap()
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> usize {
        u64::from_le_bytes(self.take()) as usize
    }

    fn text(&mut self) -> String {
        let length = self.u64();
        self.1 += length;
        String::from_utf8(self.0[self.1 - length..self.1].to_vec()).unwrap()
    }

    fn meta(&mut self, code: u32) -> Meta {
        match code {
            4 => Meta::Number(f64::from(self.u32())),
            5 => Meta::Number(f64::from(i32::from_le_bytes(self.take()))),
            6 => Meta::Number(f64::from(f32::from_le_bytes(self.take()))),
            7 => Meta::Number(f64::from(u8::from_le_bytes(self.take()))),
            8 => Meta::Text(self.text()),
            9 => {
                let (code, length) = (self.u32(), self.u64());
                Meta::List((0..length).map(|_| self.meta(code)).collect())
            }
            other => panic!("type {other}"),
        }
    }
}

/// Bytes of a tensor by ggml's number of its type.
fn bytes_of(kind: u32, numbers: usize) -> usize {
    match kind {
        0 => numbers * 4,
        1 | 30 => numbers * 2,
        2 => numbers / 32 * 18,
        8 => numbers / 32 * 34,
        other => panic!("tensor type {other}"),
    }
}

pub fn read(path: &Path) -> Gguf {
    let file = std::fs::read(path).unwrap();
    let mut r = Reader(&file, 0);
    assert_eq!(&r.take::<4>(), b"GGUF");
    assert_eq!(r.u32(), 3);
    let (tensors, pairs) = (r.u64(), r.u64());
    let meta: BTreeMap<String, Meta> = (0..pairs)
        .map(|_| {
            let (key, code) = (r.text(), r.u32());
            let value = r.meta(code);
            (key, value)
        })
        .collect();
    assert_eq!(meta.len(), pairs, "no key twice");
    let table: Vec<(String, Vec<usize>, u32, usize)> = (0..tensors)
        .map(|_| {
            let (name, rank) = (r.text(), r.u32());
            let dims = (0..rank).map(|_| r.u64()).collect();
            (name, dims, r.u32(), r.u64())
        })
        .collect();
    let data = r.1.next_multiple_of(32);
    assert!(file[r.1..data].iter().all(|b| *b == 0));
    let mut end = data;
    let tensors: BTreeMap<String, Tensor> = table
        .into_iter()
        .map(|(name, dims, kind, offset)| {
            let start = data + offset;
            assert_eq!(start, end, "{name} follows the tensor before it");
            assert_eq!(offset % 32, 0);
            let length = bytes_of(kind, dims.iter().product());
            end = (start + length).next_multiple_of(32);
            (name, Tensor { dims, kind, bytes: file[start..start + length].to_vec() })
        })
        .collect();
    assert_eq!(end, file.len(), "nothing behind the last tensor");
    Gguf { meta, tensors }
}

fn half(bytes: &[u8]) -> f32 {
    let bits = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    let (sign, exponent, fraction) = (bits >> 15, bits >> 10 & 31, (bits & 1023) as f32);
    let size = match exponent {
        0 => fraction * (2f32).powi(-24),
        e => (1.0 + fraction / 1024.0) * (2f32).powi(e as i32 - 15),
    };
    if sign == 1 {
        -size
    } else {
        size
    }
}

/// The numbers that a tensor stands for.
pub fn decode(t: &Tensor) -> Vec<f32> {
    match t.kind {
        0 => t.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        1 => t.bytes.chunks_exact(2).map(half).collect(),
        30 => t
            .bytes
            .chunks_exact(2)
            .map(|b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16))
            .collect(),
        8 => t
            .bytes
            .chunks_exact(34)
            .flat_map(|b| b[2..].iter().map(|q| half(b) * f32::from(*q as i8)))
            .collect(),
        2 => t
            .bytes
            .chunks_exact(18)
            .flat_map(|b| {
                let low = b[2..].iter().map(|q| half(b) * (f32::from(q & 15) - 8.0));
                low.chain(b[2..].iter().map(|q| half(b) * (f32::from(q >> 4) - 8.0))).collect::<Vec<_>>()
            })
            .collect(),
        other => panic!("tensor type {other}"),
    }
}
