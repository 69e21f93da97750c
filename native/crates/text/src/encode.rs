//! From a row to tokens with a label mask.
//!
//! Conventions: plain and `format` rows end with the tokenizer's end-of-text token, which carries a label; chat rows are
//! exactly what the template renders. A prompt is always cut from its completion at a token boundary, since at generation
//! time the prompt is tokenised alone.

use crate::chat::{ChatTemplate, Clock};
use crate::row::{message, RowText};
use crate::template_check;
use crate::tokenizer::Tokenizer;
use serde_json::Value;
use std::ops::Range;
use std::sync::Arc;
use tillage_protocol::run::{LossOn, Template, Truncate};
use tillage_protocol::EngineError;

/// A row as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Ids, `[tokens]`.
    pub tokens: Vec<u32>,
    /// `[tokens]`: whether the loss counts the token (as a target; the first token of a row is never one).
    pub trained: Vec<bool>,
    /// Tokens beyond the context, which were cut.
    pub cut: usize,
}

impl Example {
    /// Tokens that the loss counts.
    pub fn label_tokens(&self) -> usize {
        self.trained.iter().skip(1).filter(|t| **t).count()
    }
}

/// Turns rows into examples, in one template and one rule for labels.
#[derive(Debug)]
pub struct RowEncoder {
    tokenizer: Arc<Tokenizer>,
    template: Template,
    chat: Option<ChatTemplate>,
    loss_on: LossOn,
    context: usize,
    truncate: Truncate,
}

impl RowEncoder {
    /// An encoder of rows of `context` tokens at most.
    ///
    /// # Errors
    /// `no_chat_template` when the template is `chat` and the tokenizer has none; `template_tokens_missing` when the tokenizer
    /// does not have the template's control tokens; `no_end_token` when plain rows could not be ended; `bad_format` for a
    /// `format` template without `{prompt}`.
    pub fn new(
        tokenizer: impl Into<Arc<Tokenizer>>,
        template: Template,
        loss_on: LossOn,
        context: usize,
        clock: Clock,
    ) -> Result<Self, EngineError> {
        let tokenizer = tokenizer.into();
        let chat = match &template {
            Template::Chat => Some(Self::chat_template(&tokenizer, clock)?),
            Template::Format { prompt } if !prompt.contains("{prompt}") => {
                return Err(EngineError::user(
                    "bad_format",
                    format!("The format template {prompt:?} has no {{prompt}} in it."),
                    "Put {prompt} where the row's prompt is to stand.",
                ));
            }
            _ => None,
        };
        if chat.is_none() && tokenizer.eos().is_none() {
            let error = EngineError::user(
                "no_end_token",
                "The tokenizer names no end-of-text token, so the model could not learn where a text ends.",
                "Add `eos_token` to tokenizer_config.json.",
            );
            return Err(tokenizer.blamed(error, "tokenizer_config.json"));
        }
        Ok(Self { tokenizer, template, chat, loss_on, context, truncate: Truncate::End })
    }

    /// Cuts rows that are too long there. What is to be dropped is cut at its end, and told by [`Example::cut`].
    pub fn truncating(self, truncate: Truncate) -> Self {
        Self { truncate, ..self }
    }

    /// Where rows that are too long are cut.
    pub fn truncate(&self) -> Truncate {
        self.truncate
    }

    fn chat_template(tokenizer: &Tokenizer, clock: Clock) -> Result<ChatTemplate, EngineError> {
        let source = tokenizer.chat_template().ok_or_else(|| {
            let error = EngineError::user(
                "no_chat_template",
                "The model has no chat template.",
                "Use a `format` template in the run file, such as \"Question: {prompt}\\nAnswer:\".",
            );
            tokenizer.blamed(error, "tokenizer_config.json")
        })?;
        let chat = ChatTemplate::new(source, tokenizer.special_tokens_map(), clock)?;
        template_check::check(&chat, tokenizer).map_err(|e| tokenizer.blamed(e, "tokenizer.json"))?;
        Ok(chat)
    }

    /// Tokens of a row at most.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The tokenizer that it encodes with.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Tokens of a prompt as the model sees it before it answers.
    ///
    /// # Errors
    /// User errors of the template and the tokenizer.
    pub fn prompt(&self, prompt: &str) -> Result<Vec<u32>, EngineError> {
        let mut ids = match &self.chat {
            Some(chat) => {
                let text = chat.render(&[message("user", prompt)], None, true)?.text;
                self.tokenizer.encode(&text, false)?
            }
            None => self.tokenizer.encode(&self.prompt_text(prompt), true)?,
        };
        if self.chat.is_none()
            && ids.len() > 1
            && ids.last().copied() == self.tokenizer.eos().map(|(_, id)| id)
        {
            ids.pop();
        }
        Ok(ids)
    }

    /// The prompt as it stands in front of a completion, for templates other than `chat`.
    fn prompt_text(&self, prompt: &str) -> String {
        match &self.template {
            Template::Format { prompt: format } => format.replace("{prompt}", prompt),
            _ => prompt.to_owned(),
        }
    }

    /// Encodes a row, and returns the text that was tokenised.
    ///
    /// # Errors
    /// User errors of the template, and of rows whose shape does not fit the template or `loss_on`.
    pub fn encode(&self, row: &RowText) -> Result<(Example, String), EngineError> {
        let (mut tokens, mut trained, text) = match row {
            RowText::Text(text) => self.encode_text(text)?,
            RowText::PromptCompletion { prompt, completion } if self.chat.is_some() => {
                self.encode_chat(&[message("user", prompt), message("assistant", completion)], None)?
            }
            RowText::PromptCompletion { prompt, completion } => self.encode_pair(prompt, completion)?,
            RowText::Messages { messages, tools } if self.chat.is_some() => {
                self.encode_chat(messages, tools.as_ref())?
            }
            RowText::Messages { .. } => {
                return Err(EngineError::user(
                    "messages_need_chat",
                    "Rows of chat messages can only be trained with the chat template.",
                    "Set `template: chat` in the run file.",
                ));
            }
        };
        let cut = tokens.len().saturating_sub(self.context);
        if self.truncate == Truncate::Start {
            tokens.drain(..cut);
            trained.drain(..cut);
        } else {
            tokens.truncate(self.context);
            trained.truncate(self.context);
        }
        Ok((Example { tokens, trained, cut }, text))
    }

    fn encode_text(&self, text: &str) -> Result<(Vec<u32>, Vec<bool>, String), EngineError> {
        if self.loss_on != LossOn::All {
            return Err(EngineError::user(
                "no_completion",
                "Rows with a `text` column have no completion to train on.",
                "Set `loss_on: all`, or build a dataset with `prompt` and `completion` columns.",
            ));
        }
        let mut ids = self.tokenizer.encode(text, true)?;
        let text = self.push_eos(&mut ids, text.to_owned());
        let trained = vec![true; ids.len()];
        Ok((ids, trained, text))
    }

    fn encode_pair(
        &self,
        prompt: &str,
        completion: &str,
    ) -> Result<(Vec<u32>, Vec<bool>, String), EngineError> {
        let front = self.prompt_text(prompt);
        let prompt_ids = self.prompt(prompt)?;
        let text = format!("{front}{completion}");
        let joined = self.tokenizer.encode(&text, true)?;
        let mut ids = if joined.starts_with(&prompt_ids) {
            joined
        } else {
            let mut ids = prompt_ids.clone();
            ids.extend(self.tokenizer.encode(completion, false)?);
            ids
        };
        let text = self.push_eos(&mut ids, text);
        let all = self.loss_on == LossOn::All;
        let trained = (0..ids.len()).map(|i| all || i >= prompt_ids.len()).collect();
        Ok((ids, trained, text))
    }

    /// A prompt as the model sees it before it answers, with the beginning of an answer behind it, which alone carries
    /// labels; nothing ends it. What does not fit is cut from the front, so that the answer stays.
    ///
    /// # Errors
    /// As [`RowEncoder::encode`].
    pub fn continuation(&self, prompt: &str, answer: &str) -> Result<Example, EngineError> {
        let front = match &self.chat {
            Some(chat) => chat.render(&[message("user", prompt)], None, true)?.text,
            None => self.prompt_text(prompt),
        };
        let mut tokens = self.prompt(prompt)?;
        let known = tokens.len();
        let joined = self.tokenizer.encode(&format!("{front}{answer}"), self.chat.is_none())?;
        if joined.starts_with(&tokens) {
            tokens = joined;
            let ended = |(end, id): (&str, u32)| tokens.last() == Some(&id) && !answer.ends_with(end);
            // A tokenizer that ends every text by itself has ended this one.
            if self.chat.is_none() && tokens.len() > known && self.tokenizer.eos().is_some_and(ended) {
                tokens.pop();
            }
        } else {
            tokens.extend(self.tokenizer.encode(answer, false)?);
        }
        let cut = tokens.len().saturating_sub(self.context);
        let trained = (cut..tokens.len()).map(|i| i >= known).collect();
        tokens.drain(..cut);
        Ok(Example { tokens, trained, cut })
    }

    fn push_eos(&self, ids: &mut Vec<u32>, mut text: String) -> String {
        if let Some((token, id)) = self.tokenizer.eos() {
            if ids.last() != Some(&id) {
                ids.push(id);
                text.push_str(token);
            }
        }
        text
    }

    fn encode_chat(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
    ) -> Result<(Vec<u32>, Vec<bool>, String), EngineError> {
        let chat = self
            .chat
            .as_ref()
            .ok_or_else(|| EngineError::internal("no_chat", "A chat row without a chat template."))?;
        let rendered = chat.render(messages, tools, false)?;
        let (ids, offsets) = self.tokenizer.encode_offsets(&rendered.text, false)?;
        let trained = if self.loss_on == LossOn::All {
            vec![true; ids.len()]
        } else {
            let mut spans = match rendered.spans {
                Some(spans) => spans,
                None => self.spans_by_prefix(chat, messages, tools, &rendered.text)?,
            };
            if self.loss_on == LossOn::Completion {
                spans.drain(..spans.len().saturating_sub(1));
            }
            mask(&offsets, &spans)
        };
        Ok((ids, trained, rendered.text))
    }

    /// The assistant's spans where the template marks none: what each assistant turn adds to the conversation before it.
    fn spans_by_prefix(
        &self,
        chat: &ChatTemplate,
        messages: &[Value],
        tools: Option<&Value>,
        full: &str,
    ) -> Result<Vec<Range<usize>>, EngineError> {
        let unclear = || {
            EngineError::user(
                "no_assistant_mask",
                "The chat template rewrites earlier turns, so what the assistant wrote cannot be told from the rest.",
                "Set `loss_on: all`, or give the template generation markers.",
            )
        };
        let mut spans = Vec::new();
        for (i, m) in messages.iter().enumerate() {
            if m.get("role").and_then(Value::as_str) != Some("assistant") {
                continue;
            }
            let before = chat.render(&messages[..i], tools, true).map_err(|_| unclear())?.text;
            let with = chat.render(&messages[..=i], tools, false).map_err(|_| unclear())?.text;
            if !with.starts_with(&before) || !full.starts_with(&with) {
                return Err(unclear());
            }
            let turn = with[before.len()..].trim_end();
            // White space behind the turn's closing token belongs to the layout, not to the answer.
            let closed = self.ends_with_special(turn);
            spans.push(before.len()..if closed { before.len() + turn.len() } else { with.len() });
        }
        Ok(spans)
    }

    fn ends_with_special(&self, text: &str) -> bool {
        let opening = |c: char| c == '<' || c == '[';
        text.rfind(opening).is_some_and(|at| self.tokenizer.is_special(&text[at..]))
    }
}

/// Tokens that overlap one of the spans.
pub fn mask(offsets: &[(usize, usize)], spans: &[Range<usize>]) -> Vec<bool> {
    offsets
        .iter()
        .map(|&(from, to)| spans.iter().any(|s| from < s.end && to > s.start && from < to))
        .collect()
}
