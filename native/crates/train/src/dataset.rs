//! Rows as tokens, ready to be packed.

use crate::data::{DataRow, Rows};
use crate::method::Method;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tillage_model::objective::Texts;
use tillage_model::Packed;
use tillage_protocol::run::Truncate;
use tillage_protocol::EngineError;
use tillage_text::{Example, RowEncoder, RowText};

/// The tokenised rows of one split.
#[derive(Debug)]
pub struct Dataset {
    pub ids: Vec<String>,
    /// The rows' texts, `[rows x texts of a row]`.
    pub examples: Vec<Example>,
    rows: Rows,
    /// For each judged row whether it is good.
    pub good: Vec<bool>,
    /// The prompts, and for each the answer that is wanted; empty where rows are no prompts.
    pub prompts: Vec<String>,
    pub answers: Vec<String>,
    /// Tokens that a prompt's answers may take, and how many there are.
    room: (usize, usize),
    /// Log-probability of each text's completion under the reference, summed; empty until it is known.
    pub reference: Vec<f64>,
    /// What each row weighs; `None` where all weigh the same.
    pub weights: Option<Vec<f32>>,
    /// Rows that are longer than the context are left out.
    drops: bool,
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
    /// Other rows that weigh nothing; they are left out too.
    pub weightless_rows: u64,
    /// Rows that are left out because they are longer than the context.
    pub dropped_rows: u64,
}

impl Dataset {
    /// Encodes rows in parallel, in order.
    ///
    /// # Errors
    /// The first row's error, with the row's name.
    pub fn encode(
        rows: &[DataRow],
        method: &Method,
        encoder: &RowEncoder,
        weighed: bool,
    ) -> Result<Self, EngineError> {
        let what = method.rows();
        let examples: Vec<Result<Example, EngineError>> = rows
            .par_iter()
            .flat_map_iter(|row| row.texts.iter().map(move |text| (row, text)))
            .map(|(row, text)| {
                let encoded = match text {
                    RowText::PromptCompletion { prompt, .. } if what == Rows::Prompts => {
                        prompted(encoder, prompt, method.room().0)
                    }
                    _ => encoder.encode(text).map(|(example, _)| example),
                };
                let encoded = encoded.map(|e| if row.open { unended(e, encoder) } else { e });
                encoded.map_err(|mut e| {
                    e.message = format!("Row {}: {}", row.id, e.message);
                    e
                })
            })
            .collect();
        let examples = examples.into_iter().collect::<Result<_, _>>()?;
        let asked = rows.iter().filter(|_| what == Rows::Prompts).map(asked);
        let (prompts, answers) = asked.unzip();
        Ok(Self {
            ids: rows.iter().map(|r| r.id.clone()).collect(),
            examples,
            rows: what,
            good: rows.iter().map(|r| r.good).collect(),
            prompts,
            answers,
            room: method.room(),
            reference: Vec::new(),
            drops: encoder.truncate() == Truncate::Drop,
            weights: weighed.then(|| rows.iter().map(|r| r.weight).collect()),
        })
    }

    /// Puts tokens that carry no label before every text.
    pub fn with_prefix(mut self, prefix: &[u32]) -> Self {
        for e in &mut self.examples {
            e.tokens.splice(..0, prefix.iter().copied());
            e.trained.splice(..0, prefix.iter().map(|_| false));
        }
        self
    }

    /// What a row weighs.
    pub fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| f64::from(w[row]))
    }

    /// What rows weigh, in their order; empty where all weigh the same.
    pub fn weights_of(&self, rows: &[usize]) -> Vec<f64> {
        self.weights.iter().flat_map(|w| rows.iter().map(|row| f64::from(w[*row]))).collect()
    }

    /// Texts of a row.
    fn texts_of_a_row(&self) -> usize {
        match self.rows {
            Rows::Texts | Rows::Prompts | Rows::Questions => 1,
            Rows::Pairs | Rows::Judged => 2,
        }
    }

    /// The texts that a row owns: of a judged row, its own answer and not the unrelated one.
    fn own(&self, row: usize) -> &[Example] {
        let (width, own) = (self.texts_of_a_row(), if self.rows == Rows::Pairs { 2 } else { 1 });
        &self.examples[row * width..row * width + own]
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts { rows: self.ids.len() as u64, ..Counts::default() };
        for row in 0..self.ids.len() {
            let texts = self.own(row);
            if self.is_dropped(texts) {
                (counts.dropped_rows, counts.long_rows) = (counts.dropped_rows + 1, counts.long_rows + 1);
                continue;
            }
            let masked = self.is_masked(texts);
            counts.tokens += texts.iter().map(|e| e.tokens.len() as u64).sum::<u64>();
            counts.long_rows += u64::from(texts.iter().any(|e| e.cut > 0));
            counts.cut_tokens += texts.iter().map(|e| e.cut as u64).sum::<u64>();
            counts.masked_rows += u64::from(masked);
            counts.weightless_rows += u64::from(!masked && self.weight(row) == 0.0);
        }
        counts
    }

    /// Lengths for the packing: rows of which a text has no label, and rows that weigh nothing, count as empty, and so are left out. A judged row takes
    /// the room of the longer of its texts, since they are never in one batch.
    pub fn lengths(&self) -> Vec<usize> {
        let length = |row: usize| {
            let width = self.texts_of_a_row();
            let lengths = self.examples[row * width..][..width].iter().map(|e| e.tokens.len());
            match self.rows {
                _ if self.is_dropped(self.own(row))
                    || self.is_masked(self.own(row))
                    || self.weight(row) == 0.0 =>
                {
                    0
                }
                Rows::Prompts => lengths.map(|prompt| self.room.1 * (prompt + self.room.0)).sum(),
                Rows::Judged => lengths.max().unwrap_or(0),
                Rows::Texts | Rows::Questions | Rows::Pairs => lengths.sum(),
            }
        };
        (0..self.ids.len()).map(length).collect()
    }

    fn is_dropped(&self, texts: &[Example]) -> bool {
        self.drops && texts.iter().any(|e| e.cut > 0)
    }

    /// Whether nothing can be learned from a row with these texts. A prompt's labels are still to be drawn; it must leave room
    /// for its answers.
    fn is_masked(&self, texts: &[Example]) -> bool {
        match self.rows {
            Rows::Prompts => texts.iter().any(|e| e.cut > 0),
            _ => texts.iter().any(|e| e.label_tokens() == 0),
        }
    }

    /// Labelled tokens of a row's own texts.
    pub fn label_tokens(&self, row: usize) -> usize {
        self.own(row).iter().map(Example::label_tokens).sum()
    }

    /// Tokens of all of a row's texts.
    pub fn tokens(&self, row: usize) -> usize {
        let width = self.texts_of_a_row();
        self.examples[row * width..][..width].iter().map(|e| e.tokens.len()).sum()
    }

    /// Some of the rows' texts, the `part`s of each: all first texts, then all second ones.
    pub fn texts(&self, rows: &[usize], parts: std::ops::Range<usize>, prompts: bool) -> Texts {
        let mut texts = Texts::default();
        for at in self.places(rows, parts) {
            let e = &self.examples[at];
            texts.push(&e.tokens, &e.trained[1..], prompts);
        }
        texts
    }

    /// Log-probabilities under the reference, in the order of [`Dataset::texts`]; empty when they are not known.
    pub fn reference(&self, rows: &[usize], parts: std::ops::Range<usize>) -> Vec<f64> {
        self.places(rows, parts).filter_map(|at| self.reference.get(at).copied()).collect()
    }

    /// Places of the texts among all examples.
    pub fn places<'a>(
        &self,
        rows: &'a [usize],
        parts: std::ops::Range<usize>,
    ) -> impl Iterator<Item = usize> + 'a {
        let width = self.texts_of_a_row();
        parts.flat_map(move |part| rows.iter().map(move |row| row * width + part))
    }

    /// Lays rows end to end.
    pub fn pack(&self, rows: &[usize]) -> Packed {
        let examples = rows.iter().map(|&row| &self.examples[row]);
        let weights = self.weights.as_ref().map(|w| rows.iter().map(|row| w[*row]).collect());
        Packed { weights, ..Packed::marked(examples.map(|e| (&e.tokens[..], e.trained.iter().copied()))) }
    }

    /// Adds everything that training sees of the rows to a digest.
    pub fn digest(&self, digest: &mut Sha256) {
        for (row, (id, good)) in self.ids.iter().zip(&self.good).enumerate() {
            digest.update((id.len() as u64).to_le_bytes());
            digest.update(id.as_bytes());
            if self.rows == Rows::Judged {
                digest.update([u8::from(*good)]);
            }
            if let Some(weights) = &self.weights {
                digest.update(weights[row].to_le_bytes());
            }
            if let Some(answer) = self.answers.get(row) {
                digest.update((answer.len() as u64).to_le_bytes());
                digest.update(answer.as_bytes());
            }
            let width = self.texts_of_a_row();
            for e in &self.examples[row * width..][..width] {
                digest.update((e.tokens.len() as u64).to_le_bytes());
                for (token, trained) in e.tokens.iter().zip(&e.trained) {
                    digest.update((token << 1 | u32::from(*trained)).to_le_bytes());
                }
            }
        }
    }
}

/// A prompt as the model sees it before it answers; nothing of it carries a label. `cut` is what would not fit of the longest
/// answer.
fn prompted(encoder: &RowEncoder, prompt: &str, new: usize) -> Result<Example, EngineError> {
    let tokens = encoder.prompt(prompt)?;
    let (trained, cut) = (vec![false; tokens.len()], (tokens.len() + new).saturating_sub(encoder.context()));
    Ok(Example { tokens, trained, cut })
}

/// A text that would go on, without a label on its end.
fn unended(mut example: Example, encoder: &RowEncoder) -> Example {
    let stops = encoder.tokenizer().stop_ids();
    let end = example.tokens.iter().rposition(|token| stops.contains(token));
    let first = example.trained.iter().position(|trained| *trained);
    // Where the row was cut, its end is gone already, and the last such token may be the prompt's.
    if let Some(end) = end.filter(|end| first.is_some_and(|first| *end >= first)) {
        example.trained[end..].fill(false);
    }
    example
}

/// A row's prompt, and the answer that it wants.
fn asked(row: &DataRow) -> (String, String) {
    match row.texts.first() {
        Some(RowText::PromptCompletion { prompt, completion }) => (prompt.clone(), completion.clone()),
        _ => Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillage_model::IGNORE;

    fn example(tokens: &[u32], trained: &[bool]) -> Example {
        Example { tokens: tokens.to_vec(), trained: trained.to_vec(), cut: 0 }
    }

    fn dataset(rows: Rows, examples: Vec<Example>) -> Dataset {
        let n = examples.len() / if matches!(rows, Rows::Texts | Rows::Prompts) { 1 } else { 2 };
        Dataset {
            ids: (0..n).map(|i| i.to_string()).collect(),
            examples,
            rows,
            good: vec![true; n],
            prompts: Vec::new(),
            answers: Vec::new(),
            room: (0, 1),
            reference: Vec::new(),
            weights: None,
            drops: false,
        }
    }

    #[test]
    fn a_row_that_weighs_nothing_is_left_out_as_if_it_were_not_there() {
        let examples: Vec<Example> = (1..=4).map(|i| example(&vec![7; i + 1], &vec![true; i + 1])).collect();
        let mut data = dataset(Rows::Texts, examples);
        data.weights = Some(vec![1.0, 0.0, 0.5, 2.0]);
        assert_eq!(data.lengths(), [2, 0, 4, 5]);
        assert_eq!((data.counts().weightless_rows, data.counts().masked_rows), (1, 0));
        assert_eq!(data.pack(&[3, 0]).weights, Some(vec![2.0, 1.0]));
        assert_eq!(data.weights_of(&[2, 3]), [0.5, 2.0]);
    }

    #[test]
    fn a_position_is_labelled_with_the_next_token_where_that_is_trained() {
        let examples = vec![
            example(&[5, 6, 7, 8], &[false, false, true, true]),
            example(&[9, 10], &[true, true]),
            example(&[11, 12], &[true, false]),
        ];
        let data = dataset(Rows::Texts, examples);
        assert_eq!(data.lengths(), [4, 2, 0], "a row without a label is left out");
        let pack = data.pack(&[1, 0]);
        assert_eq!(pack.tokens, [9, 10, 5, 6, 7, 8]);
        // The last token of a row does not predict the first of the next.
        assert_eq!(pack.labels, [10, IGNORE, IGNORE, 7, 8, IGNORE]);
        assert_eq!(pack.starts, [0, 2, 6]);
    }

    #[test]
    fn a_prompt_takes_the_room_of_its_answers_and_is_left_out_where_they_do_not_fit() {
        let mut examples = vec![example(&[1, 2, 3], &[false; 3]), example(&[1; 9], &[false; 9])];
        examples[1].cut = 2;
        let data = Dataset { room: (5, 4), ..dataset(Rows::Prompts, examples) };
        assert_eq!(data.lengths(), [4 * (3 + 5), 0]);
        assert_eq!((data.counts().long_rows, data.counts().masked_rows), (1, 1));
    }

    #[test]
    fn a_pair_takes_the_room_of_both_its_texts_and_needs_labels_in_both() {
        let (answered, silent) = ([false, true, true], [false, false, false]);
        let of = |a: &[u32], b: &[u32], second: &[bool]| vec![example(a, &answered), example(b, second)];
        let examples = [of(&[1, 2, 3], &[1, 4, 5], &answered), of(&[6, 7, 8], &[6, 9, 9], &silent)].concat();
        let mut data = dataset(Rows::Pairs, examples.clone());
        assert_eq!(data.lengths(), [6, 0]);
        assert_eq!((data.counts().tokens, data.counts().masked_rows), (12, 1));
        assert_eq!(data.texts(&[1, 0], 0..2, false).pack.tokens, [6, 7, 8, 1, 2, 3, 6, 9, 9, 1, 4, 5]);
        data.reference = vec![0.1, 0.2, 0.3, 0.4];
        assert_eq!(data.reference(&[1, 0], 0..2), [0.3, 0.1, 0.4, 0.2]);
        // A pair of which one text is too long is left out where such rows are.
        let mut long = dataset(Rows::Pairs, examples.clone());
        long.examples[1].cut = 3;
        assert_eq!(long.lengths(), [6, 0], "cut, and kept");
        long.drops = true;
        assert_eq!((long.lengths(), long.counts().dropped_rows), (vec![0, 0], 1));
        // A judgement's second text is not its own.
        let judged = dataset(Rows::Judged, examples);
        assert_eq!(judged.lengths(), [3, 3]);
        assert_eq!((judged.counts().tokens, judged.counts().masked_rows), (6, 0));
        assert_eq!(judged.label_tokens(1), 2);
    }
}
