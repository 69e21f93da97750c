//! Rows in the order of what they have to do with an output.

use crate::known::RowGradients;
use crate::projection::dot;
use rayon::prelude::*;
use tillage_protocol::attribute::{Attribution, Influence, RankBy};

/// Scores of all rows for one output, summed over checkpoints.
#[derive(Debug, Clone)]
pub struct Scores {
    cosine: Vec<f64>,
    dot: Vec<f64>,
}

impl Scores {
    /// Zeros for so many rows.
    pub fn new(rows: usize) -> Self {
        Self { cosine: vec![0.0; rows], dot: vec![0.0; rows] }
    }

    /// Adds a checkpoint: `lr` is its learning rate, `share` its part of all of them.
    ///
    /// The dot product is TracIn's (Pruthi et al. 2020, eq. 1, over checkpoints); the cosine is LESS's (Xia et al. 2024, eq. 3).
    pub fn add(&mut self, output: &[f32], rows: &RowGradients, lr: f64, share: f64) {
        let length = dot(output, output).sqrt();
        let found: Vec<(f64, f64)> = rows
            .gradients
            .par_chunks_exact(output.len().max(1))
            .map(|row| {
                let product = dot(output, row);
                let lengths = length * dot(row, row).sqrt();
                // A row or an output that moves nothing has no direction.
                (if lengths > 0.0 { product / lengths } else { 0.0 }, product)
            })
            .collect();
        for ((cosine, product), (c, d)) in found.into_iter().zip(self.cosine.iter_mut().zip(&mut self.dot)) {
            *c += share * cosine;
            *d += lr * product;
        }
    }

    /// The `most` largest and smallest, of equal ones the first in the file.
    pub fn ranked(&self, by: RankBy, most: usize, rows: &RowGradients) -> Attribution {
        let scores = match by {
            RankBy::Cosine => &self.cosine,
            RankBy::Dot => &self.dot,
        };
        let n = scores.len();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let influence = |row: &usize| Influence {
            row_id: rows.ids[*row].clone(),
            cosine: self.cosine[*row],
            dot: self.dot[*row],
            loss: rows.losses[*row],
            tokens: rows.tokens[*row],
        };
        let top = order.iter().take(most).map(influence).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(a.cmp(b)));
        let bottom = order.iter().take(most).map(influence).collect();
        let mean = scores.iter().sum::<f64>() / n.max(1) as f64;
        let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n.max(1) as f64;
        Attribution { id: String::new(), loss: 0.0, tokens: 0, mean, deviation: variance.sqrt(), top, bottom }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_angle_and_the_product_rank_otherwise() {
        let rows = RowGradients {
            ids: ["along", "long", "against", "nothing"].map(str::to_owned).into(),
            losses: vec![0.0; 4],
            tokens: vec![1; 4],
            gradients: vec![1.0, 0.0, 30.0, 40.0, -2.0, 0.0, 0.0, 0.0],
            ..RowGradients::default()
        };
        let mut scores = Scores::new(4);
        scores.add(&[2.0, 0.0], &rows, 0.1, 0.25);
        scores.add(&[0.0, 3.0], &rows, 0.3, 0.75);
        let names = |list: &[Influence]| list.iter().map(|i| i.row_id.clone()).collect::<Vec<_>>();
        let cosine = scores.ranked(RankBy::Cosine, 2, &rows);
        assert_eq!(names(&cosine.top), ["long", "along"]);
        assert_eq!(names(&cosine.bottom), ["against", "nothing"]);
        let long = &cosine.top[0];
        assert!((long.cosine - (0.25 * 0.6 + 0.75 * 0.8)).abs() < 1e-12, "{long:?}");
        assert!((long.dot - (0.1 * 60.0 + 0.3 * 120.0)).abs() < 1e-9, "{long:?}");
        assert!((cosine.top[1].dot - 0.2).abs() < 1e-9 && (cosine.top[1].cosine - 0.25).abs() < 1e-12);
        let dot = scores.ranked(RankBy::Dot, 9, &rows);
        assert_eq!(names(&dot.top), ["long", "along", "nothing", "against"]);
        assert_eq!(names(&dot.bottom), ["against", "nothing", "along", "long"]);
        assert!((dot.mean - (42.0 + 0.2 - 0.4) / 4.0).abs() < 1e-9);
    }
}
