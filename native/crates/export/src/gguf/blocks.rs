//! Numbers in ggml's types. Blocks hold 32 numbers of a row and a scale in f16.

use super::file::Kind;
use half::{bf16, f16};
use rayon::prelude::*;

const BLOCK: usize = 32;

/// The bytes of numbers in a type. Rows of block types are a multiple of 32 long.
pub fn encode(kind: Kind, numbers: &[f32]) -> Vec<u8> {
    let mut out = vec![0u8; kind.bytes(numbers.len()) as usize];
    let each = match kind {
        Kind::F32 => 4,
        Kind::F16 | Kind::Bf16 => 2,
        Kind::Q8 => 34,
        Kind::Q4 => 18,
    };
    let width = if matches!(kind, Kind::Q8 | Kind::Q4) { BLOCK } else { 1 };
    // Pieces of some thousand numbers are enough work for a thread.
    let (bytes, piece) = (each * 1024, width * 1024);
    out.par_chunks_mut(bytes).zip(numbers.par_chunks(piece)).for_each(|(out, numbers)| {
        for (out, x) in out.chunks_exact_mut(each).zip(numbers.chunks_exact(width)) {
            match kind {
                Kind::F32 => out.copy_from_slice(&x[0].to_le_bytes()),
                Kind::F16 => out.copy_from_slice(&f16::from_f32(x[0]).to_le_bytes()),
                Kind::Bf16 => out.copy_from_slice(&bf16::from_f32(x[0]).to_le_bytes()),
                Kind::Q8 => q8(out, x),
                Kind::Q4 => q4(out, x),
            }
        }
    });
    out
}

/// q8_0: d = max |x| / 127, then 32 whole numbers round(x / d).
fn q8(out: &mut [u8], x: &[f32]) {
    let most = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let d = most / 127.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    out[..2].copy_from_slice(&f16::from_f32(d).to_le_bytes());
    for (out, x) in out[2..].iter_mut().zip(x) {
        *out = (x * inverse).round() as i8 as u8;
    }
}

/// q4_0: d = x / -8 of the x with the largest |x|, then 4-bit numbers n for d (n - 8); the first half of the block lies in the low
/// halves of 16 bytes, the second in the high ones.
fn q4(out: &mut [u8], x: &[f32]) {
    let most = x.iter().fold(0.0f32, |m, &x| if x.abs() > m.abs() { x } else { m });
    let d = most / -8.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    out[..2].copy_from_slice(&f16::from_f32(d).to_le_bytes());
    let code = |x: f32| ((x * inverse + 8.5) as u8).min(15);
    let (low, high) = x.split_at(BLOCK / 2);
    for ((out, low), high) in out[2..].iter_mut().zip(low).zip(high) {
        *out = code(*low) | code(*high) << 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_extremes_the_first_gives_the_scale() {
        let mut x = [0.0f32; 32];
        (x[3], x[20], x[5]) = (4.0, -4.0, 1.0);
        let bytes = encode(Kind::Q4, &x);
        // 4 is code 0 of d = -1/2, 0 is 8, and -4 would be 16: it is held to 15.
        assert_eq!(f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(), -0.5);
        assert_eq!((bytes[2 + 3], bytes[2 + 4], bytes[2 + 5]), (0x80, 0xf8, 0x86));
        let bytes = encode(Kind::Q8, &x);
        assert_eq!(
            (bytes[2 + 3], bytes[2 + 20], bytes[2 + 5]),
            (127, 129, 32),
            "-127 as a byte, 31.75 rounded"
        );
    }
}
