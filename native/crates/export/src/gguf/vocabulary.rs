//! A tokenizer.json in llama.cpp's form: byte-level BPE with its merges, or SentencePiece's with scores.
//!
//! llama.cpp splits texts by expressions of its own, which a file names (`tokenizer.ggml.pre`). The names here are those whose
//! expression is the tokenizer's; another one is refused, since the model would read other tokens than it was trained on.

use super::file::Value;
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};
use tillage_protocol::EngineError;
use tillage_text::Tokenizer;

const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Kinds of tokens, by llama.cpp's numbers.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

fn unsupported(what: impl std::fmt::Display) -> EngineError {
    EngineError::user(
        "unsupported_gguf_tokenizer",
        format!("llama.cpp has no form of this tokenizer: {what}."),
        "Export the model as `merged`, which keeps its tokenizer.",
    )
}

/// Keys of a file and their values.
pub type Metadata = Vec<(String, Value)>;

/// The tokenizer's metadata, for a model whose embedding has `rows` rows, and what is to be noted.
///
/// # Errors
/// `unsupported_gguf_tokenizer`, which names what llama.cpp cannot do.
pub fn metadata(tokenizer: &Tokenizer, rows: usize) -> Result<(Metadata, Vec<String>), EngineError> {
    let json: Json = serde_json::from_slice(tokenizer.json())
        .map_err(|e| EngineError::internal("tokenizer_json", e.to_string()))?;
    let model = &json["model"];
    if model["type"] != "BPE" {
        return Err(unsupported(format!("it is of the kind {}", model["type"])));
    }
    if tokenizer.vocab_size() > rows {
        return Err(EngineError::user(
            "token_out_of_range",
            format!("The tokenizer has {} ids, the model {rows}.", tokenizer.vocab_size()),
            "Use the tokenizer that belongs to the model.",
        ));
    }
    let merges = merges(model)?;
    let (mut tokens, mut types) = tokens(&json, rows);
    let mut out = Out { list: Vec::new() };
    let mut notes = Vec::new();
    if model["byte_fallback"] == true {
        mark_bytes(&json, &tokens, &mut types);
        let prefix = prefix(&json)?;
        out.set("model", Value::Text("llama".into()));
        out.set("pre", Value::Text("default".into()));
        out.set("scores", Value::F32s(scores(&tokens, &types, &merges)?));
        out.set("add_space_prefix", Value::Bool(prefix));
    } else {
        out.set("model", Value::Text("gpt2".into()));
        out.set("pre", Value::Text(splitter(&json, &mut notes)?.into()));
        let joined = merges.iter().map(|(a, b)| format!("{a} {b}")).collect();
        out.set("merges", Value::Texts(joined));
    }
    tokens.iter_mut().for_each(|t| *t = t.replace('\0', "\u{2400}"));
    out.set("tokens", Value::Texts(tokens));
    out.set("token_type", Value::I32s(types));
    special(tokenizer, &mut out)?;
    if let Some(template) = tokenizer.chat_template() {
        out.set("chat_template", Value::Text(without_generation_tags(template)));
    }
    Ok((out.list, notes))
}

/// The model's name as llama.cpp may read it: it takes a name with phi-3 in it as a sign that special tokens swallow the white
/// space behind them, as those of Phi-3 do.
pub fn name(tokenizer: &Tokenizer, name: &str) -> String {
    let json: Json = serde_json::from_slice(tokenizer.json()).unwrap_or_default();
    let added: Vec<&Json> = json["added_tokens"].as_array().into_iter().flatten().collect();
    let swallows =
        |token: &str, yes: bool| added.iter().any(|a| a["content"] == token && (a["rstrip"] == true) == yes);
    let phi = swallows("</s>", true) && ["<unk>", "<s>", "<|endoftext|>"].iter().all(|t| swallows(t, false));
    let named = ["phi-3", "phi3"].iter().any(|n| name.to_lowercase().contains(n));
    match (phi, named) {
        (true, false) => format!("{name} (Phi-3)"),
        (false, true) => {
            let at = name.to_lowercase().find("phi").map_or(0, |at| at + 3);
            // The letters before it may be of another length in lower case; then a new name is the safe one.
            let halves = name.split_at_checked(at).map(|(a, b)| format!("{a} {}", b.trim_start_matches('-')));
            halves.filter(|n| !n.to_lowercase().contains("phi3")).unwrap_or_else(|| "model".into())
        }
        _ => name.to_owned(),
    }
}

struct Out {
    list: Metadata,
}

impl Out {
    fn set(&mut self, key: &str, value: Value) {
        // Of all the tokenizer's keys, the template's alone does not stand below ggml.
        let key = if key == "chat_template" {
            "tokenizer.chat_template".into()
        } else {
            format!("tokenizer.ggml.{key}")
        };
        self.list.push((key, value));
    }
}

fn merges(model: &Json) -> Result<Vec<(String, String)>, EngineError> {
    let read = |merge: &Json| match merge {
        Json::String(text) => text.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())),
        Json::Array(pair) => Some((pair.first()?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned())),
        _ => None,
    };
    let list = model["merges"].as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(read).collect::<Option<_>>().ok_or_else(|| unsupported("its merges are no pairs"))
}

/// Every row's text and kind; rows that the tokenizer does not use have a name of their own.
fn tokens(json: &Json, rows: usize) -> (Vec<String>, Vec<i32>) {
    let mut tokens: Vec<String> = (0..rows).map(|i| format!("[PAD{i}]")).collect();
    let mut types = vec![UNUSED; rows];
    let vocabulary = json["model"]["vocab"].as_object();
    for (text, id) in vocabulary.into_iter().flatten() {
        if let Some(id) = id.as_u64().map(|id| id as usize).filter(|id| *id < rows) {
            (tokens[id], types[id]) = (text.clone(), NORMAL);
        }
    }
    for added in json["added_tokens"].as_array().into_iter().flatten() {
        let id = added["id"].as_u64().map(|id| id as usize).filter(|id| *id < rows);
        if let (Some(id), Some(text)) = (id, added["content"].as_str()) {
            let kind = if added["special"] == true { CONTROL } else { USER_DEFINED };
            (tokens[id], types[id]) = (text.to_owned(), kind);
        }
    }
    (tokens, types)
}

fn mark_bytes(json: &Json, tokens: &[String], types: &mut [i32]) {
    let unknown = json["model"]["unk_token"].as_str();
    for (text, kind) in tokens.iter().zip(types) {
        let inner = text.strip_prefix("<0x").and_then(|t| t.strip_suffix('>'));
        if inner.is_some_and(|hex| hex.len() == 2 && u8::from_str_radix(hex, 16).is_ok()) {
            *kind = BYTE;
        } else if Some(text.as_str()) == unknown {
            *kind = UNKNOWN;
        }
    }
}

/// Whether a text begins as if a space stood before it.
fn prefix(json: &Json) -> Result<bool, EngineError> {
    let replaces =
        |n: &Json| n["type"] == "Replace" && n["pattern"]["String"] == " " && n["content"] == "\u{2581}";
    let (normalizer, pre) = (&json["normalizer"], &json["pre_tokenizer"]);
    let steps: Vec<&Json> = match normalizer["type"].as_str() {
        Some("Sequence") => normalizer["normalizers"].as_array().into_iter().flatten().collect(),
        Some(_) => vec![normalizer],
        None => Vec::new(),
    };
    let split = pre.is_null()
        || pre["type"] == "Split"
            && pre["pattern"]["String"] == " "
            && pre["behavior"] == "MergedWithPrevious";
    match &steps[..] {
        [prepend, replace] if split && prepend["type"] == "Prepend" && replaces(replace) => Ok(true),
        [replace] if split && replaces(replace) => Ok(false),
        [] if pre["type"] == "Metaspace" && pre["split"] == false => Ok(pre["prepend_scheme"] != "never"),
        _ => Err(unsupported("it prepares its texts in another way than SentencePiece")),
    }
}

/// What SentencePiece would have scored its pieces with: the earlier a merge makes a piece, the higher. SentencePiece joins
/// whatever makes a piece, so the merges must be all of these.
fn scores(tokens: &[String], types: &[i32], merges: &[(String, String)]) -> Result<Vec<f32>, EngineError> {
    let pieces: HashMap<&str, usize> = tokens
        .iter()
        .enumerate()
        .filter(|(i, _)| types[*i] == NORMAL)
        .map(|(i, t)| (t.as_str(), i))
        .collect();
    let mut made: HashMap<String, (usize, usize)> = HashMap::new();
    let mut known: HashSet<(&str, &str)> = HashSet::new();
    for (rank, (a, b)) in merges.iter().enumerate() {
        known.insert((a, b));
        made.entry(format!("{a}{b}")).and_modify(|span| span.1 = rank).or_insert((rank, rank));
    }
    for piece in pieces.keys() {
        for (at, _) in piece.char_indices().skip(1) {
            let (a, b) = piece.split_at(at);
            if pieces.contains_key(a) && pieces.contains_key(b) && !known.contains(&(a, b)) {
                return Err(unsupported(format!(
                    "it is no SentencePiece model, which would join {a:?} and {b:?}; this one has no such merge"
                )));
            }
        }
    }
    // Pieces whose merges stand between one another have the same score.
    let mut spans: Vec<(usize, usize, &str)> =
        made.iter().map(|(piece, (a, b))| (*a, *b, piece.as_str())).collect();
    spans.sort_unstable();
    let mut scores = vec![0.0; tokens.len()];
    let (mut score, mut end) = (0usize, None);
    for (first, last, piece) in spans {
        if end.is_none_or(|end| first > end) {
            score += 1;
        }
        end = Some(end.map_or(last, |end: usize| end.max(last)));
        if let Some(&id) = pieces.get(piece) {
            scores[id] = -(score as f32);
        }
    }
    Ok(scores)
}

/// llama.cpp's name of the expression that splits texts.
fn splitter(json: &Json, notes: &mut Vec<String>) -> Result<&'static str, EngineError> {
    match json["normalizer"]["type"].as_str() {
        None => {}
        Some("NFC") => {
            notes.push("llama.cpp does not bring texts into NFC first, as the tokenizer does.".into())
        }
        Some(other) => return Err(unsupported(format!("it has the normalizer {other}"))),
    }
    let pre = &json["pre_tokenizer"];
    let steps: Vec<&Json> = match pre["type"].as_str() {
        Some("Sequence") => pre["pretokenizers"].as_array().into_iter().flatten().collect(),
        _ => vec![pre],
    };
    let gpt2 =
        |p: &Json| p["type"] == "ByteLevel" && p["use_regex"] != false && p["add_prefix_space"] != true;
    let bytes =
        |p: &Json| p["type"] == "ByteLevel" && p["use_regex"] == false && p["add_prefix_space"] != true;
    let by = |p: &Json, regex: &str| {
        p["type"] == "Split" && p["behavior"] == "Isolated" && p["pattern"]["Regex"] == regex
    };
    let whole = json["model"]["ignore_merges"] == true;
    match &steps[..] {
        [one] if gpt2(one) && !whole => Ok("gpt-2"),
        [digits, one]
            if digits["type"] == "Digits" && digits["individual_digits"] == true && gpt2(one) && !whole =>
        {
            Ok("smollm")
        }
        [split, one] if by(split, QWEN2) && bytes(one) && !whole => Ok("qwen2"),
        [split, one] if by(split, LLAMA3) && bytes(one) => Ok(if whole { "llama-bpe" } else { "dbrx" }),
        _ => Err(unsupported("it splits texts in a way that is not known to be one of llama.cpp's")),
    }
}

fn special(tokenizer: &Tokenizer, out: &mut Out) -> Result<(), EngineError> {
    let id = |key: &str| tokenizer.special(key).and_then(|token| tokenizer.token_to_id(&token));
    for (key, name) in [("bos_token", "bos"), ("unk_token", "unknown"), ("pad_token", "padding")] {
        if let Some(id) = id(key) {
            out.set(&format!("{name}_token_id"), Value::U32(id));
        }
    }
    let eos = tokenizer.eos().map(|(_, id)| id);
    if let Some(eos) = eos {
        out.set("eos_token_id", Value::U32(eos));
    }
    // A turn that ends otherwise than a text.
    let turn = tokenizer.stop_ids().into_iter().find(|id| Some(*id) != eos);
    if let Some(turn) = turn {
        out.set("eot_token_id", Value::U32(turn));
    }
    let (plain, dressed) = (tokenizer.encode("a", false)?, tokenizer.encode("a", true)?);
    let bos = id("bos_token");
    out.set(
        "add_bos_token",
        Value::Bool(bos.is_some() && dressed.first() == bos.as_ref() && plain.first() != bos.as_ref()),
    );
    out.set(
        "add_eos_token",
        Value::Bool(eos.is_some() && dressed.last() == eos.as_ref() && plain.last() != eos.as_ref()),
    );
    Ok(())
}

/// `{% generation %}` is a tag of transformers alone; a block that is always taken has its white space.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((at, end)) = rest.find("{%").and_then(|at| Some((at, at + rest[at..].find("%}")? + 2))) {
        let inner = &rest[at + 2..end - 2];
        let word = inner.trim_matches(['-', '+', ' ', '\t', '\n', '\r']);
        let tag = match word {
            "generation" => Some("if true"),
            "endgeneration" => Some("endif"),
            _ => None,
        };
        match tag {
            Some(tag) => {
                out.push_str(&rest[..at + 2]);
                out.push_str(&inner.replace(word, tag));
                out.push_str("%}");
                rest = &rest[end..];
            }
            // The tag may hold "%}" in a string: go on right behind its opening.
            None => {
                out.push_str(&rest[..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_tags_become_blocks_with_the_same_white_space() {
        let template = "{% if x %}a{%- generation -%}\nb{% endgeneration %}{% set y = '%}' %}{% endif %}";
        assert_eq!(
            without_generation_tags(template),
            "{% if x %}a{%- if true -%}\nb{% endif %}{% set y = '%}' %}{% endif %}"
        );
    }

    #[test]
    fn a_name_says_phi_3_where_the_tokens_are_phi_3s_and_nowhere_else() {
        let dir =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/engine/llama");
        let tokenizer = Tokenizer::load(&dir).unwrap();
        for (given, expected) in [("my-Phi-3-mini", "my-Phi 3-mini"), ("phi3", "phi 3"), ("llama", "llama")] {
            assert_eq!(name(&tokenizer, given), expected);
        }
    }

    #[test]
    fn scores_follow_the_merges_and_a_missing_one_is_refused() {
        let texts = ["<unk>", "a", "b", "c", "ab", "bc", "abc"].map(str::to_owned);
        let types = [UNKNOWN, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL];
        let merge = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let all = [merge("b", "c"), merge("a", "b"), merge("ab", "c"), merge("a", "bc")];
        let found = scores(&texts, &types, &all).unwrap();
        assert_eq!(found, [0.0, 0.0, 0.0, 0.0, -2.0, -1.0, -3.0]);
        assert_eq!(scores(&texts, &types, &all[..3]).unwrap_err().code, "unsupported_gguf_tokenizer");
    }
}
