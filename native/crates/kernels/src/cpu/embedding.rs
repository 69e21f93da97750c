//! Rows taken from and added to a table.
#![allow(unsafe_code)]

use super::par::{self, Disjoint};

/// `y[t] = table[tokens[t]]`; `table`: `[vocab, width]`.
pub fn embedding(y: &mut [f32], table: &[f32], tokens: &[u32], width: usize) {
    for (row, &token) in y.chunks_exact_mut(width).zip(tokens) {
        row.copy_from_slice(&table[token as usize * width..(token as usize + 1) * width]);
    }
}

/// `dtable[tokens[t]] += dy[t]`, in the order of the tokens.
pub fn embedding_backward(dtable: &mut [f32], dy: &[f32], tokens: &[u32], width: usize) {
    assert!(dy.len() == tokens.len() * width);
    let dtable = Disjoint::new(dtable);
    // Threads share the columns, not the tokens, so a token that occurs twice is never written by two of them.
    par::ranges(width, 16.max(16_384 / tokens.len().max(1)), |columns| {
        for (t, &token) in tokens.iter().enumerate() {
            let at = token as usize * width;
            // SAFETY: these columns belong to this range alone.
            let row = unsafe { dtable.part(at + columns.start..at + columns.end) };
            for (d, g) in row.iter_mut().zip(&dy[t * width + columns.start..t * width + columns.end]) {
                *d += g;
            }
        }
    });
}

/// `y[i] = x[rows[i]]`; rows are `width` long.
pub fn gather_rows(y: &mut [f32], x: &[f32], rows: &[usize], width: usize) {
    for (out, &row) in y.chunks_exact_mut(width).zip(rows) {
        out.copy_from_slice(&x[row * width..(row + 1) * width]);
    }
}

/// `x[rows[i]] += y[i]`.
pub fn scatter_add_rows(x: &mut [f32], y: &[f32], rows: &[usize], width: usize) {
    for (row, &at) in y.chunks_exact(width).zip(rows) {
        for (x, y) in x[at * width..(at + 1) * width].iter_mut().zip(row) {
            *x += y;
        }
    }
}
