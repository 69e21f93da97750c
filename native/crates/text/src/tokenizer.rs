//! A Hugging Face tokenizer folder: `tokenizer.json`, `tokenizer_config.json`, and the chat template in either of its two places.

use crate::growth;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tillage_protocol::{guard, EngineError};

/// The bytes of a tokenizer folder, so that a copy is the original to the byte.
#[derive(Debug, Clone)]
pub struct TokenizerFiles {
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// The other files by name.
    pub others: Vec<(String, Vec<u8>)>,
}

/// Files beside `tokenizer.json` that belong to the tokenizer. `generation_config.json` names the tokens that end an answer.
const OTHERS: [&str; 6] = [
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    "vocab.json",
];

/// Tokens that end a chat turn in published templates; each counts only where the tokenizer has it as a special token.
const TURN_ENDS: [&str; 5] = ["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|end_of_text|>"];

/// Token ids, and the byte range of each.
pub type Offsets = (Vec<u32>, Vec<(usize, usize)>);

/// A tokenizer with its special tokens and chat template.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    files: TokenizerFiles,
    /// The folder that it was loaded from, for messages.
    dir: Option<PathBuf>,
    config: Value,
    template: Option<String>,
    eos: Option<(String, u32)>,
}

impl Tokenizer {
    /// Loads the tokenizer of a model folder.
    ///
    /// # Errors
    /// A user error that names the file which is missing or broken.
    pub fn load(dir: &Path) -> Result<Self, EngineError> {
        let read =
            |name: &str| std::fs::read(dir.join(name)).map_err(|e| EngineError::io(&e, dir.join(name)));
        let tokenizer = read("tokenizer.json").map_err(|e| {
            if e.code == "file_not_found" {
                EngineError::user(
                    "no_tokenizer",
                    format!("{} has no tokenizer.json.", dir.display()),
                    "Use a model folder that carries its tokenizer in the tokenizer.json format.",
                )
                .with_file(dir)
            } else {
                e
            }
        })?;
        let mut others = Vec::new();
        for name in OTHERS {
            if dir.join(name).is_file() {
                others.push((name.to_owned(), read(name)?));
            }
        }
        let mut this = Self::from_files(TokenizerFiles { tokenizer, others }).map_err(|mut e| {
            e.file = Some(dir.join(e.file.as_deref().unwrap_or("tokenizer.json")).display().to_string());
            e
        })?;
        this.dir = Some(dir.to_owned());
        Ok(this)
    }

    /// Builds the tokenizer from the bytes of its folder.
    ///
    /// # Errors
    /// `bad_tokenizer` naming the file that cannot be read.
    pub fn from_files(files: TokenizerFiles) -> Result<Self, EngineError> {
        let bad = |file: &str, why: String| {
            EngineError::user(
                "bad_tokenizer",
                format!("{file} cannot be read: {why}."),
                "Copy the tokenizer's files again from where the model came from.",
            )
            .with_file(file)
        };
        let read = || tokenizers::Tokenizer::from_bytes(&files.tokenizer).map_err(|e| e.to_string());
        let mut inner = guard::caught(read).flatten().map_err(|why| bad("tokenizer.json", why))?;
        // Lengths are the business of whoever trains and generates, as in transformers.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| bad("tokenizer.json", e.to_string()))?;
        growth::check(&files.tokenizer).map_err(|why| bad("tokenizer.json", why))?;
        let file =
            |name: &str| files.others.iter().find(|(n, _)| n == name).map(|(_, bytes)| bytes.as_slice());
        let config: Value = match file("tokenizer_config.json") {
            Some(bytes) => {
                serde_json::from_slice(bytes).map_err(|e| bad("tokenizer_config.json", e.to_string()))?
            }
            None => Value::Object(Default::default()),
        };
        let template = match file("chat_template.jinja") {
            Some(bytes) => Some(
                String::from_utf8(bytes.to_vec()).map_err(|e| bad("chat_template.jinja", e.to_string()))?,
            ),
            None => template_in_config(&config),
        };
        let mut this = Self { inner, files, dir: None, config, template, eos: None };
        this.eos = this.find_eos();
        Ok(this)
    }

    /// The tokenizer's end-of-text token: `eos_token` of the config, else a well-known one of the vocabulary.
    fn find_eos(&self) -> Option<(String, u32)> {
        let named = self.special("eos_token");
        let known = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>"].map(str::to_owned);
        named.into_iter().chain(known).find_map(|token| self.inner.token_to_id(&token).map(|id| (token, id)))
    }

    /// A special token of the config by its key, such as `bos_token`. Both spellings are read: text, or an object with `content`.
    pub fn special(&self, key: &str) -> Option<String> {
        match self.config.get(key)? {
            Value::String(s) => Some(s.clone()),
            Value::Object(o) => o.get("content")?.as_str().map(str::to_owned),
            _ => None,
        }
    }

    /// The special tokens that templates may name.
    pub fn special_tokens_map(&self) -> Vec<(String, String)> {
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
            .into_iter()
            .filter_map(|key| self.special(key).map(|token| (key.to_owned(), token)))
            .collect()
    }

    /// An error about what one of the tokenizer's files lacks, with that file where the tokenizer came from a folder.
    pub(crate) fn blamed(&self, error: EngineError, file: &str) -> EngineError {
        match &self.dir {
            Some(dir) => error.with_file(dir.join(file)),
            None => error,
        }
    }

    /// Source of the chat template, if there is one.
    pub fn chat_template(&self) -> Option<&str> {
        self.template.as_deref()
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<(&str, u32)> {
        self.eos.as_ref().map(|(token, id)| (token.as_str(), *id))
    }

    /// Ids that end an answer: `eos_token`, `eos_token_id` of generation_config.json, and the turn ends that the tokenizer has.
    pub fn stop_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.eos.iter().map(|(_, id)| *id).collect();
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let generation = self.files.others.iter().find(|(n, _)| n == "generation_config.json");
        if let Some(value) = generation.and_then(|(_, bytes)| serde_json::from_slice::<Value>(bytes).ok()) {
            match value.get("eos_token_id") {
                Some(Value::Array(list)) => ids.extend(list.iter().filter_map(id)),
                Some(other) => ids.extend(id(other)),
                None => {}
            }
        }
        ids.extend(TURN_ENDS.iter().filter(|t| self.is_special(t)).filter_map(|t| self.inner.token_to_id(t)));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Whether the text is one special token.
    pub fn is_special(&self, token: &str) -> bool {
        self.inner.get_added_vocabulary().is_special_token(token)
    }

    /// Whether the id is a special token.
    pub fn is_special_id(&self, id: u32) -> bool {
        self.inner.get_added_vocabulary().simple_id_to_token(id).is_some_and(|t| self.is_special(&t))
    }

    /// Id of a token that is in the vocabulary as it stands.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// One more than the largest id: the rows an embedding needs.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab(true).values().max().map_or(0, |id| *id as usize + 1)
    }

    /// Token ids of `text`; `special` adds what the tokenizer's post-processor adds (BOS).
    ///
    /// # Errors
    /// As [`Tokenizer::encode_offsets`].
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, EngineError> {
        Ok(self.encode_offsets(text, special)?.0)
    }

    /// Token ids, and each token's byte range in `text` (empty for tokens that the post-processor adds).
    ///
    /// # Errors
    /// `cannot_tokenize` when the tokenizer's files make the library fail at the text.
    pub fn encode_offsets(&self, text: &str, special: bool) -> Result<Offsets, EngineError> {
        let encode = || self.inner.encode(text, special).map_err(|e| e.to_string());
        let encoding = guard::caught(encode).flatten().map_err(|why| {
            let error = EngineError::user(
                "cannot_tokenize",
                format!("A text cannot be tokenised: {why}."),
                "Check the tokenizer's files, or copy them again from where the model came from.",
            );
            self.blamed(error, "tokenizer.json")
        })?;
        Ok((encoding.get_ids().to_vec(), encoding.get_offsets().to_vec()))
    }

    /// Text of the ids.
    ///
    /// # Errors
    /// `cannot_decode` when the tokenizer's files make the library fail at the ids.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, EngineError> {
        let decode = || self.inner.decode(ids, skip_special).map_err(|e| e.to_string());
        guard::caught(decode).flatten().map_err(|why| {
            let error = EngineError::user(
                "cannot_decode",
                format!("Tokens cannot be turned into text: {why}."),
                "Check the tokenizer's files, or copy them again from where the model came from.",
            );
            self.blamed(error, "tokenizer.json")
        })
    }

    /// The text of `tokenizer.json`.
    pub fn json(&self) -> &[u8] {
        &self.files.tokenizer
    }

    /// The library's tokenizer, for streaming decoders.
    pub fn inner(&self) -> &tokenizers::Tokenizer {
        &self.inner
    }

    /// Writes the folder's files, to the byte as they were read, into `dir`.
    ///
    /// # Errors
    /// The machine's, `disk_full` among them.
    pub fn save(&self, dir: &Path) -> Result<(), EngineError> {
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.join(name);
            std::fs::write(&path, bytes).map_err(|e| EngineError::io(&e, path))
        };
        write("tokenizer.json", &self.files.tokenizer)?;
        self.files.others.iter().try_for_each(|(name, bytes)| write(name, bytes))
    }
}

/// The older place of the template: `chat_template` in tokenizer_config.json, a text or a list of named ones.
fn template_in_config(config: &Value) -> Option<String> {
    match config.get("chat_template")? {
        Value::String(s) => Some(s.clone()),
        Value::Array(list) => {
            let named =
                |name: &str| list.iter().find(|t| t.get("name").and_then(Value::as_str) == Some(name));
            named("default").or(list.first())?.get("template")?.as_str().map(str::to_owned)
        }
        _ => None,
    }
}
