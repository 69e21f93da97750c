//! Eight bits with one scale a row (the absmax quantisation of LLM.int8, Dettmers et al. 2022, without its outliers).

use rayon::prelude::*;

/// Codes of whole rows, and each row's scale: weight = code x scale, scale = largest magnitude / 127.
#[derive(Debug, Clone)]
pub struct Int8 {
    /// Row by row, from -127 to 127.
    pub codes: Vec<i8>,
    /// One a row; 0 where the row is all zeros.
    pub scales: Vec<f32>,
}

impl Int8 {
    /// Each number as round-half-even(x * 127 / the row's largest magnitude); a row of zeros has codes and scale 0.
    pub fn quantise(value: &[f32], inputs: usize) -> Int8 {
        let mut codes = vec![0i8; value.len()];
        let mut scales = vec![0.0; value.len() / inputs];
        let rows = value.par_chunks_exact(inputs).zip(codes.par_chunks_exact_mut(inputs)).zip(&mut scales);
        rows.for_each(|((row, codes), scale)| {
            let largest = row.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            if largest > 0.0 {
                *scale = largest / 127.0;
                let factor = 127.0 / largest;
                for (code, x) in codes.iter_mut().zip(row) {
                    *code = (x * factor).round_ties_even().clamp(-127.0, 127.0) as i8;
                }
            }
        });
        Int8 { codes, scales }
    }

    pub(super) fn decode(&self, first: usize, inputs: usize, out: &mut [f32]) {
        for (i, o) in out.iter_mut().enumerate() {
            *o = f32::from(self.codes[first + i]) * self.scales[(first + i) / inputs];
        }
    }
}
