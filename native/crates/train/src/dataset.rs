//! Rows as tokens, ready to be packed.

use crate::data::DataRow;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tillage_model::{Packed, IGNORE};
use tillage_protocol::EngineError;
use tillage_text::{Example, RowEncoder};

/// The tokenised rows of one split.
#[derive(Debug, Default)]
pub struct Dataset {
    pub ids: Vec<String>,
    pub examples: Vec<Example>,
}

/// What the encoding of a split found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub rows: u64,
    /// Tokens after cutting.
    pub tokens: u64,
    pub long_rows: u64,
    pub cut_tokens: u64,
    /// Rows of which no token carries a label; they are left out.
    pub masked_rows: u64,
}

impl Dataset {
    /// Encodes rows in parallel, in order.
    ///
    /// # Errors
    /// The first row's error, with the row's name.
    pub fn encode(rows: &[DataRow], encoder: &RowEncoder) -> Result<Self, EngineError> {
        let examples: Vec<Result<Example, EngineError>> = rows
            .par_iter()
            .map(|row| {
                encoder.encode(&row.text).map(|(example, _)| example).map_err(|mut e| {
                    e.message = format!("Row {}: {}", row.id, e.message);
                    e
                })
            })
            .collect();
        let examples = examples.into_iter().collect::<Result<_, _>>()?;
        Ok(Self { ids: rows.iter().map(|r| r.id.clone()).collect(), examples })
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts { rows: self.examples.len() as u64, ..Counts::default() };
        for e in &self.examples {
            counts.tokens += e.tokens.len() as u64;
            counts.long_rows += u64::from(e.cut > 0);
            counts.cut_tokens += e.cut as u64;
            counts.masked_rows += u64::from(e.label_tokens() == 0);
        }
        counts
    }

    /// Lengths for the packing: rows without a label count as empty, and so are left out.
    pub fn lengths(&self) -> Vec<usize> {
        self.examples.iter().map(|e| if e.label_tokens() == 0 { 0 } else { e.tokens.len() }).collect()
    }

    /// Lays rows end to end.
    pub fn pack(&self, rows: &[usize]) -> Packed {
        let mut pack = Packed { starts: vec![0], ..Packed::default() };
        for &row in rows {
            let e = &self.examples[row];
            pack.tokens.extend_from_slice(&e.tokens);
            let next = e.tokens.iter().zip(&e.trained).skip(1);
            pack.labels
                .extend(next.map(|(&token, &trained)| if trained { i64::from(token) } else { IGNORE }));
            pack.labels.push(IGNORE);
            pack.starts.push(pack.tokens.len());
        }
        pack
    }

    /// Adds everything that training sees of the rows to a digest.
    pub fn digest(&self, digest: &mut Sha256) {
        for (id, e) in self.ids.iter().zip(&self.examples) {
            digest.update((id.len() as u64).to_le_bytes());
            digest.update(id.as_bytes());
            digest.update((e.tokens.len() as u64).to_le_bytes());
            for (token, trained) in e.tokens.iter().zip(&e.trained) {
                digest.update((token << 1 | u32::from(*trained)).to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_labelled_with_the_next_token_where_that_is_trained() {
        let example = |tokens: &[u32], trained: &[bool]| Example {
            tokens: tokens.to_vec(),
            trained: trained.to_vec(),
            cut: 0,
        };
        let examples = vec![
            example(&[5, 6, 7, 8], &[false, false, true, true]),
            example(&[9, 10], &[true, true]),
            example(&[11, 12], &[true, false]),
        ];
        let data = Dataset { ids: ["a", "b", "c"].map(String::from).to_vec(), examples };
        assert_eq!(data.lengths(), [4, 2, 0], "a row without a label is left out");
        let pack = data.pack(&[1, 0]);
        assert_eq!(pack.tokens, [9, 10, 5, 6, 7, 8]);
        // The last token of a row does not predict the first of the next.
        assert_eq!(pack.labels, [10, IGNORE, IGNORE, 7, 8, IGNORE]);
        assert_eq!(pack.starts, [0, 2, 6]);
    }
}
