//! Keys and values of the tokens already seen.

/// Keys and values of one sequence, for every layer.
#[derive(Debug, Clone)]
pub struct KvCache {
    /// For each layer keys and values, `[capacity x kv_heads x head_dim]`.
    pub(crate) layers: Vec<(Vec<f32>, Vec<f32>)>,
    pub(crate) len: usize,
    pub(crate) capacity: usize,
}

impl KvCache {
    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets all tokens after the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}
