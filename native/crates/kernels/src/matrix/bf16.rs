//! bf16: the upper half of an f32.

use crate::mapped::MappedFile;
use std::ops::Range;
use std::sync::Arc;

/// The nearest bf16, ties to even; NaN stays NaN.
#[inline(always)]
pub fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        // The highest bit of the fraction keeps it a NaN when the lower ones are cut off.
        return (bits >> 16) as u16 | 0x40;
    }
    (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The f32 of a bf16, exact.
#[inline(always)]
pub fn from_bf16(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// The f32 that is the nearest bf16.
#[inline(always)]
pub(crate) fn round(x: f32) -> f32 {
    from_bf16(to_bf16(x))
}

/// bf16 numbers: owned, or where a mapped file has them.
#[derive(Debug, Clone)]
pub struct Bf16s(Place);

#[derive(Debug, Clone)]
enum Place {
    Owned(Vec<u16>),
    Mapped { file: Arc<MappedFile>, start: usize, len: usize },
}

impl From<Vec<u16>> for Bf16s {
    fn from(value: Vec<u16>) -> Bf16s {
        Bf16s(Place::Owned(value))
    }
}

impl Bf16s {
    /// Little-endian numbers inside a mapped file, without a copy where they lie aligned on a machine of that order.
    ///
    /// # Panics
    /// When the bytes lie outside the file or are no whole numbers.
    pub fn mapped(file: &Arc<MappedFile>, bytes: Range<usize>) -> Bf16s {
        let raw = &file[bytes.clone()];
        assert!(raw.len().is_multiple_of(2), "half a number");
        if cfg!(target_endian = "little") && bytemuck::try_cast_slice::<u8, u16>(raw).is_ok() {
            return Bf16s(Place::Mapped { file: Arc::clone(file), start: bytes.start, len: bytes.len() });
        }
        Bf16s::from(raw.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect::<Vec<_>>())
    }

    /// Whether they are read from a file's mapping.
    pub fn is_mapped(&self) -> bool {
        matches!(&self.0, Place::Mapped { file, .. } if file.is_file())
    }

    /// The numbers' bits: the upper half of an f32's.
    pub fn as_slice(&self) -> &[u16] {
        match &self.0 {
            Place::Owned(v) => v,
            Place::Mapped { file, start, len } => bytemuck::cast_slice(&file[*start..*start + *len]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_even() {
        for (x, nearest) in [
            (1.0, 1.0),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (-1.0 - 1.1 / 256.0, -1.0 - 2.0 / 256.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
            (0.0, 0.0),
        ] {
            assert_eq!(round(x), nearest, "{x}");
        }
        assert!(round(f32::NAN).is_nan() && round(f32::from_bits(0x7f80_0001)).is_nan());
    }
}
