//! Prompt tuning (Lester et al. 2021): trained embeddings before every text, in the place of words.
//!
//! They are tokens behind the vocabulary, so that positions, packing and caches know nothing of them; only the embedding does.

use crate::model::Model;
use crate::weights::{stream, Tensor};
use crate::workspace::Workspace;
use rand_distr::{Distribution, Uniform};
use std::borrow::Cow;
use std::ops::Range;
use tillage_protocol::EngineError;

/// The key of PEFT's file, `[tokens, hidden]`.
pub(crate) const KEY: &str = "prompt_embeddings";

/// A prompt that is, or was, trained.
#[derive(Debug)]
pub(crate) struct Prompt {
    /// The embeddings, `[tokens, hidden]`.
    pub tensor: Tensor,
    /// The text that it began with, where it began with one.
    pub text: Option<String>,
    /// Its first token's id.
    pub first: u32,
    /// Passes leave it out while this is false.
    pub enabled: bool,
}

impl Prompt {
    /// From its embeddings, `[tokens, hidden]`.
    pub fn new(value: Vec<f32>, hidden: usize, text: Option<String>, vocab: usize) -> Prompt {
        let shape = vec![value.len() / hidden, hidden];
        let tensor = Tensor::single(KEY.to_owned(), shape, value);
        Prompt { tensor, text, first: vocab as u32, enabled: true }
    }

    /// How many tokens it takes.
    pub fn count(&self) -> usize {
        self.tensor.parts[0].shape[0]
    }

    /// The ids of its tokens.
    pub fn tokens(&self) -> Range<u32> {
        self.first..self.first + self.count() as u32
    }

    fn row(&self, token: u32) -> Option<Range<usize>> {
        let width = self.tensor.parts[0].shape[1];
        let at = self.tokens().contains(&token).then(|| (token - self.first) as usize)?;
        Some(at * width..(at + 1) * width)
    }
}

impl Model {
    /// Attaches a new prompt, replacing an adapter that is there. It begins with the embeddings of `init`, repeated or cut to
    /// `tokens`, or else with those of tokens drawn at random (Lester et al. 2021, section 2.1; PEFT's `SAMPLE_VOCAB`).
    ///
    /// # Errors
    /// `user` when there is no token, or one is outside the vocabulary.
    pub fn attach_prompt(
        &mut self,
        tokens: usize,
        init: Option<(&str, &[u32])>,
        seed: u64,
    ) -> Result<(), EngineError> {
        let vocab = self.config.vocab_size;
        let wrong = |what: &str| {
            Err(EngineError::user("bad_prompt", what.to_owned(), "Correct the run file's `prompt`."))
        };
        let ids: Vec<u32> = match init {
            _ if tokens == 0 => return wrong("A tuned prompt must have at least 1 token."),
            Some((_, [])) => return wrong("The text that the prompt begins with has no token."),
            Some((_, ids)) => ids.iter().copied().cycle().take(tokens).collect(),
            None => {
                let any = Uniform::new(0, vocab as u32).expect("a vocabulary");
                let mut rng = stream(seed, u64::MAX - 1);
                (0..tokens).map(|_| any.sample(&mut rng)).collect()
            }
        };
        if ids.iter().any(|id| *id as usize >= vocab) {
            return wrong("The text that the prompt begins with has tokens which the model does not know.");
        }
        let table = &self.weights.tensors[self.weights.embedding];
        // What a word's embedding is when it enters the first layer, as far as the prompt's is not scaled itself.
        let scale = self.config.scales.embedding / self.prompt_scale();
        let mut value = Vec::with_capacity(tokens * self.config.hidden_size);
        for id in ids {
            let row = table.read(id as usize..id as usize + 1);
            value.extend(row.iter().map(|x| x * scale));
        }
        let text = init.map(|(text, _)| text.to_owned());
        let prompt = Prompt::new(value, self.config.hidden_size, text, vocab);
        self.replace_tuned(None, Some(prompt));
        Ok(())
    }

    /// Tokens of the tuned prompt; 0 where there is none.
    pub fn prompt_tokens(&self) -> usize {
        self.prompt.as_ref().map_or(0, Prompt::count)
    }

    /// The factor on a prompt's embeddings. Gemma's belongs to the table of words, as transformers has it, and others' to whatever
    /// enters the layers.
    fn prompt_scale(&self) -> f32 {
        if self.config.model_type.starts_with("gemma") {
            1.0
        } else {
            self.config.scales.embedding
        }
    }

    /// Ids that a pack may have: those of the vocabulary, and of the prompt where it is not the words that are trained.
    pub(crate) fn known_ids(&self) -> usize {
        let prompt = self.prompt.as_ref().filter(|p| p.enabled && !self.trains_words());
        self.config.vocab_size + prompt.map_or(0, Prompt::count)
    }

    fn virtual_row(&self, token: u32) -> Option<&[f32]> {
        let held = self.library.iter().filter_map(|n| n.what.prompt());
        let mut all = self.prompt.iter().chain(held);
        all.find_map(|p| p.row(token).map(|row| &p.tensor.value[row]))
    }

    /// The tokens with those of prompts replaced by one that the table has.
    pub(crate) fn words<'a>(&self, tokens: &'a [u32]) -> Cow<'a, [u32]> {
        let vocab = self.config.vocab_size as u32;
        let known = |t: u32| self.virtual_row(t).is_none();
        if tokens.iter().all(|&t| t < vocab) {
            return tokens.into();
        }
        tokens.iter().map(|&t| if t < vocab || known(t) { t } else { 0 }).collect()
    }

    /// Puts the prompts' embeddings into `ws.x`, which holds those of the words already.
    pub(crate) fn embed_prompts(&self, tokens: &[u32], ws: &mut Workspace) {
        let (vocab, scale) = (self.config.vocab_size as u32, self.prompt_scale());
        for (token, x) in tokens.iter().zip(ws.x.chunks_exact_mut(self.config.hidden_size)) {
            if let Some(row) = (*token >= vocab).then(|| self.virtual_row(*token)).flatten() {
                x.iter_mut().zip(row).for_each(|(x, v)| *x = scale * v);
            }
        }
    }

    /// Adds the gradient of the prompt, from that of what entered the first layer.
    pub(crate) fn prompt_backward(&mut self, tokens: &[u32], ws: &Workspace) {
        let (scale, width) = (self.prompt_scale(), self.config.hidden_size);
        let Some(prompt) = self.prompt.as_mut().filter(|p| p.enabled && p.tensor.trained()) else { return };
        for (token, dx) in tokens.iter().zip(ws.dx.chunks_exact(width)) {
            if let Some(row) = prompt.row(*token) {
                prompt.tensor.grad[row].iter_mut().zip(dx).for_each(|(d, dx)| *d += scale * dx);
            }
        }
    }
}
