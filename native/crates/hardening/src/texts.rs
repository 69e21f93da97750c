//! Tokenizers and chat templates.

use crate::{parts, told};
use serde_json::Value;
use tillage_protocol::run::{LossOn, Template};
use tillage_text::tokenizer::TokenizerFiles;
use tillage_text::{ChatTemplate, Clock, RowEncoder, RowText, Tokenizer};

/// `tokenizer.json`, `tokenizer_config.json` and a text.
pub fn tokenizer(data: &[u8]) {
    let [json, config, text] = parts(data);
    let mut others = Vec::new();
    if !config.is_empty() {
        others.push(("tokenizer_config.json".to_owned(), config.to_vec()));
        others.push(("generation_config.json".to_owned(), config.to_vec()));
    }
    let files = TokenizerFiles { tokenizer: json.to_vec(), others };
    let Some(tokenizer) = told(Tokenizer::from_files(files)) else { return };
    tokenizer.stop_ids();
    let size = tokenizer.vocab_size() as u32;
    let text = String::from_utf8_lossy(text);
    for text in [&*text, "", "The cat 🐈 sat.\n\n  On a mat,\u{300} 12345 times<|im_end|>"] {
        for special in [false, true] {
            if let Some((ids, offsets)) = told(tokenizer.encode_offsets(text, special)) {
                assert_eq!(ids.len(), offsets.len());
                told(tokenizer.decode(&ids, special));
            }
        }
    }
    told(tokenizer.decode(&[0, 1, 5, size.saturating_sub(1), size, u32::MAX], true));
    for (template, loss_on) in [
        (Template::Plain, LossOn::All),
        (Template::Chat, LossOn::Assistant),
        (Template::Format { prompt: "Q: {prompt}\nA:".into() }, LossOn::Completion),
    ] {
        let Some(encoder) = told(RowEncoder::new(tokenizer.clone(), template, loss_on, 32, at())) else {
            continue;
        };
        told(encoder.encode(&RowText::Text(text.clone().into_owned())));
        let pair = RowText::PromptCompletion { prompt: text.clone().into_owned(), completion: " yes".into() };
        told(encoder.encode(&pair));
        told(encoder.continuation("Who?", &text));
    }
}

fn at() -> Clock {
    Clock::Fixed(Default::default())
}

/// A chat template, and the messages (with their tools behind another zero byte) that it renders.
pub fn template(data: &[u8]) {
    let [source, messages, tools] = parts(data);
    let source = String::from_utf8_lossy(source);
    let special =
        vec![("bos_token".to_owned(), "<s>".to_owned()), ("eos_token".to_owned(), "</s>".to_owned())];
    let Some(chat) = told(ChatTemplate::new(&source, special, at())) else { return };
    let own: Vec<Value> = serde_json::from_slice(messages).unwrap_or_default();
    let tools: Option<Value> = serde_json::from_slice(tools).ok();
    let usual = [tillage_text::row::message("user", "Hi"), tillage_text::row::message("assistant", "Hello.")];
    for messages in [&own[..], &usual[..]] {
        for generate in [false, true] {
            if let Some(out) = told(chat.render(messages, tools.as_ref(), generate)) {
                let spans = out.spans.unwrap_or_default();
                assert!(
                    spans.iter().all(|s| s.start <= s.end && out.text.get(s.clone()).is_some()),
                    "{spans:?}"
                );
            }
        }
    }
}
