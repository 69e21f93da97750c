//! What a step computes on: examples laid end to end, without padding.

use tillage_protocol::EngineError;

/// The label of a position that does not count, as in PyTorch.
pub const IGNORE: i64 = -100;

/// Examples laid end to end in one row of tokens. Positions restart at 0 in each, and no example sees another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Packed {
    /// Token ids, `[tokens]`.
    pub tokens: Vec<u32>,
    /// For each position the id of the **next** token, or [`IGNORE`], `[tokens]`.
    pub labels: Vec<i64>,
    /// First position of each example, then the total: `[examples + 1]`.
    pub starts: Vec<usize>,
    /// Factor on every token loss of an example, `[examples]`; 1 when absent.
    pub weights: Option<Vec<f32>>,
    /// The sum of losses is divided by this; the number of labelled tokens when absent.
    pub normalizer: Option<f32>,
    /// Logits are divided by this before they become losses, so that these are of the distribution that answers were drawn from
    /// at this temperature; above 0, and 1 when absent. A distillation has its own.
    pub temperature: Option<f32>,
}

impl Packed {
    /// A pack of whole texts in which every next token is a label.
    pub fn texts<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Packed {
        Packed::marked(texts.into_iter().map(|text| (text, std::iter::repeat_n(true, text.len()))))
    }

    /// A pack of tokens with their marks, `[tokens]` each: a marked token is the label of the position before it. The first token is
    /// nobody's next one, whatever its mark.
    pub fn marked<'a, M: IntoIterator<Item = bool>>(
        examples: impl IntoIterator<Item = (&'a [u32], M)>,
    ) -> Packed {
        let mut pack = Packed { starts: vec![0], ..Packed::default() };
        for (tokens, marks) in examples {
            pack.tokens.extend_from_slice(tokens);
            let next = tokens.iter().zip(marks).skip(1);
            pack.labels.extend(next.map(|(token, marked)| if marked { i64::from(*token) } else { IGNORE }));
            if !tokens.is_empty() {
                pack.labels.push(IGNORE);
            }
            pack.starts.push(pack.tokens.len());
        }
        pack
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Number of positions that carry a label.
    pub fn labelled(&self) -> usize {
        self.labels.iter().filter(|&&l| l != IGNORE).count()
    }

    /// Longest example, in tokens.
    pub fn longest(&self) -> usize {
        self.starts.windows(2).map(|w| w[1].saturating_sub(w[0])).max().unwrap_or(0)
    }

    /// Checks that the parts fit each other and a vocabulary.
    ///
    /// # Errors
    /// `internal` when lengths or offsets disagree; `user` when an id is outside the vocabulary,
    /// which happens when a tokenizer and a model do not belong together.
    pub fn check(&self, vocab: usize) -> Result<(), EngineError> {
        self.check_ids(vocab, vocab)
    }

    /// As [`Packed::check`], where tokens may be `known` ids and labels those of the vocabulary.
    pub(crate) fn check_ids(&self, known: usize, vocab: usize) -> Result<(), EngineError> {
        let n = self.tokens.len();
        let ordered = self.starts.windows(2).all(|w| w[0] <= w[1]);
        let ends = self.starts.first() == Some(&0) && self.starts.last() == Some(&n);
        let weights = self.weights.as_ref().is_none_or(|w| w.len() == self.examples());
        if self.labels.len() != n || !ordered || !ends || !weights {
            return Err(EngineError::internal(
                "bad_pack",
                "A packed batch's labels, offsets or weights do not fit its tokens.",
            ));
        }
        let token = self.tokens.iter().map(|&t| i64::from(t)).find(|&t| t >= known as i64);
        let wrong = |&t: &i64| t != IGNORE && !(0..vocab as i64).contains(&t);
        if let Some(id) = token.or_else(|| self.labels.iter().copied().find(wrong)) {
            return Err(EngineError::user(
                "token_out_of_range",
                format!("Token id {id} is outside the model's vocabulary of {vocab}."),
                "Use the tokenizer that belongs to the model.",
            ));
        }
        Ok(())
    }
}

/// The loss of one batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepLoss {
    /// Sum over labelled tokens of weight x negative log-likelihood, in nats; not divided.
    pub sum: f64,
    /// Labelled tokens.
    pub tokens: usize,
    /// For each example the unweighted sum of its token losses, and its labelled tokens.
    pub per_example: Vec<(f64, usize)>,
}

impl StepLoss {
    /// Mean loss per labelled token; 0 for a batch without labels.
    pub fn mean(&self) -> f64 {
        if self.tokens == 0 {
            0.0
        } else {
            self.sum / self.tokens as f64
        }
    }
}

/// Which parameters are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trainable {
    /// Nothing: scoring and generation.
    #[default]
    Nothing,
    /// Every weight of the model; an attached adapter is left alone.
    Full,
    /// The adapter; the model's own weights are frozen.
    Adapter,
}

/// One trained tensor and its gradient.
#[derive(Debug)]
pub struct ParamMut<'a> {
    /// Hugging Face key, or PEFT key for an adapter.
    pub name: &'a str,
    /// Matrices are `[out, in]`.
    pub shape: &'a [usize],
    /// The model's file has the matrix as `[in, out]`.
    pub transposed: bool,
    pub value: &'a mut [f32],
    pub grad: &'a mut [f32],
}

impl ParamMut<'_> {
    /// The gradient in the order in which the model's file has the tensor.
    pub fn grad_as_stored(&self) -> Vec<f32> {
        crate::weights::as_stored(self.grad, self.shape, self.transposed)
    }
}
