//! Training a byte-level BPE tokenizer (Sennrich et al. 2016, over bytes as in GPT-2) on a run's own texts.

use crate::tokenizer::{Tokenizer, TokenizerFiles};
use tillage_protocol::EngineError;
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::bpe::{BpeTrainer, BPE};
use tokenizers::models::TrainerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::AddedToken;

/// Ends a document, and pads.
pub const END_OF_TEXT: &str = "<|endoftext|>";
/// Opens a chat turn.
pub const TURN_START: &str = "<|im_start|>";
/// Closes a chat turn.
pub const TURN_END: &str = "<|im_end|>";

/// ChatML with generation markers, so that assistant masks need no guessing.
const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}\
{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}\
{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// The smallest vocabulary: 256 bytes and the special tokens.
pub const MIN_VOCAB: usize = 256 + 3;

/// Trains a tokenizer on `texts`. The same texts give the same tokenizer, whatever the number of threads.
///
/// `vocab_size` is an upper limit: a small corpus may hold fewer pairs that occur twice.
/// `context` is written as `model_max_length`.
///
/// # Errors
/// `vocab_too_small` below [`MIN_VOCAB`]; `empty_corpus` when there is no text.
pub fn train(texts: &[&str], vocab_size: usize, context: usize) -> Result<Tokenizer, EngineError> {
    if vocab_size < MIN_VOCAB {
        return Err(EngineError::user(
            "vocab_too_small",
            format!("A vocabulary of {vocab_size} cannot hold the 256 bytes and 3 special tokens."),
            format!("Set `vocab_size` to {MIN_VOCAB} or more."),
        ));
    }
    if texts.iter().all(|t| t.is_empty()) {
        return Err(EngineError::user(
            "empty_corpus",
            "The training rows hold no text to train a tokenizer on.",
            "Check the recipe's counts: the dataset may be empty.",
        ));
    }
    let internal = |e: Box<dyn std::error::Error + Send + Sync>| {
        EngineError::internal("tokenizer_training", e.to_string())
    };
    let special = |s: &str| AddedToken::from(s, true).normalized(false);
    let mut trainer: TrainerWrapper = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocab_size)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens([END_OF_TEXT, TURN_START, TURN_END].map(special).into())
        .build()
        .into();
    let mut inner = tokenizers::Tokenizer::new(BPE::default());
    inner.with_pre_tokenizer(Some(ByteLevel::default().add_prefix_space(false)));
    inner.with_decoder(Some(ByteLevelDecoder::default()));
    inner.train(&mut trainer, texts.iter().copied()).map_err(internal)?;
    let json = inner.to_string(false).map_err(internal)?;
    let config = serde_json::json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "model_max_length": context,
        "clean_up_tokenization_spaces": false,
    });
    let id = |t: &str| inner.token_to_id(t);
    let generation = serde_json::json!({ "eos_token_id": [id(END_OF_TEXT), id(TURN_END)], "pad_token_id": id(END_OF_TEXT) });
    let pretty = |v: &serde_json::Value| serde_json::to_vec_pretty(v).expect("JSON of plain values");
    Tokenizer::from_files(TokenizerFiles {
        tokenizer: json.into_bytes(),
        others: vec![
            ("tokenizer_config.json".into(), pretty(&config)),
            ("chat_template.jinja".into(), CHATML.as_bytes().to_vec()),
            ("generation_config.json".into(), pretty(&generation)),
        ],
    })
}
