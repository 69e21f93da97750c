//! XXH3: the content hash, and the hash of words and lines.

use twox_hash::{XxHash3_128, XxHash3_64};

/// XXH3-128 (seed 0) of the UTF-8 bytes, as 32 lower-case hexadecimal digits. The algorithm's
/// output is frozen since xxHash 0.8.0, so the hash may be stored.
pub fn hash128(text: &str) -> String {
    format!("{:032x}", XxHash3_128::oneshot(text.as_bytes()))
}

/// XXH3-64 (seed 0).
pub fn hash64(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

#[cfg(test)]
mod tests {
    use super::hash128;

    #[test]
    fn is_xxh3_128() {
        // The empty input's hash as the reference implementation prints it.
        assert_eq!(hash128(""), "99aa06d3014798d86001c324468d497f");
        assert_eq!(hash128("a").len(), 32);
        assert_ne!(hash128("a"), hash128("b"));
    }
}
