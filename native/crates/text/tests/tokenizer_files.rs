//! What a `tokenizer.json` may ask for beside its tokens.

use serde_json::{json, Value};
use std::path::Path;
use tillage_protocol::Blame;
use tillage_text::tokenizer::TokenizerFiles;
use tillage_text::Tokenizer;

/// The fixture's tokenizer with other fields.
fn with(fields: Value) -> Result<Tokenizer, tillage_protocol::EngineError> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama/tokenizer.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Tokenizer::from_files(TokenizerFiles { tokenizer: file.to_string().into_bytes(), others: Vec::new() })
}

#[test]
fn lengths_that_a_file_asks_for_do_not_count() {
    let text = "In Graz grows the elm, and people of Ghent like it.";
    let plain = with(json!({})).unwrap().encode(text, true).unwrap();
    assert!((6..50).contains(&plain.len()), "{plain:?}");
    for fields in [
        json!({"truncation": {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}}),
        json!({"padding": {"strategy": {"Fixed": 50}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "<|endoftext|>"}}),
    ] {
        assert_eq!(with(fields.clone()).unwrap().encode(text, true).unwrap(), plain, "{fields}");
    }
}

#[test]
fn rules_that_make_much_of_little_are_refused_wherever_they_stand() {
    let replace = |to: &str| json!({"type": "Replace", "pattern": {"String": "e"}, "content": to});
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let list = |part: &str, list: &str, rules: Vec<Value>| json!({ part: {"type": "Sequence", list: rules} });
    let normalizers = |rules: Vec<Value>| list("normalizer", "normalizers", rules);
    let long = "e".repeat(5000);
    for (fields, part) in [
        (normalizers(vec![replace("ee"); 13]), "normalizer"),
        (json!({"normalizer": {"type": "Prepend", "prepend": long}}), "normalizer"),
        (normalizers(vec![json!({"type": "NFKC"}); 3]), "normalizer"),
        (
            normalizers(vec![json!({"type": "NFKD"}), json!({"type": "NFKC"}), json!({"type": "NFKD"})]),
            "normalizer",
        ),
        (normalizers(vec![json!({"type": "NFD"}); 7]), "normalizer"),
        (
            json!({"normalizer": {"type": "Replace", "pattern": {"Regex": "x*"}, "content": long}}),
            "normalizer",
        ),
        (list("decoder", "decoders", vec![bytes, replace(&long)]), "decoder"),
    ] {
        let error = with(fields.clone()).expect_err(part);
        assert_eq!((error.code.as_str(), error.blame), ("bad_tokenizer", Blame::User), "{}", error.message);
        assert!(error.message.contains(&format!("the rules of its {part}")), "{}", error.message);
        assert_eq!(error.file.as_deref(), Some("tokenizer.json"));
    }
    for fields in [
        normalizers(vec![json!({"type": "NFKC"}), json!({"type": "Prepend", "prepend": "▁"}), replace("é")]),
        normalizers(vec![json!({"type": "NFD"}); 5]),
    ] {
        with(fields).expect("rules that published tokenizers have");
    }
}
