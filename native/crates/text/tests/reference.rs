//! Tokens, chat texts and assistant masks against transformers' own, on the trimmed set and, where it is there, on the full one.

use serde_json::Value;
use std::path::{Path, PathBuf};
use tillage_protocol::run::{LossOn, Template};
use tillage_text::chat::{ChatTemplate, Clock};
use tillage_text::tokenizer::TokenizerFiles;
use tillage_text::{RowEncoder, RowText, Tokenizer};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The full reference sets, which a user's machine need not have.
fn shared() -> Option<PathBuf> {
    let dir =
        std::env::var_os("TILLAGE_SHARED").map_or_else(|| repository().join("../shared"), PathBuf::from);
    let fixtures = dir.join("fixtures");
    fixtures.is_dir().then_some(fixtures)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        .unwrap()
}

fn check_vectors(dir: &Path) {
    let tokenizer = Tokenizer::load(dir).unwrap();
    let vectors = json(&dir.join("tokenizer_vectors.json"));
    let list = vectors["vectors"].as_array().unwrap();
    assert!(!list.is_empty());
    for v in list {
        let ids = |key: &str| {
            v[key].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as u32).collect::<Vec<_>>()
        };
        let text = v["text"].as_str().unwrap();
        assert_eq!(tokenizer.encode(text, false).unwrap(), ids("ids"), "{dir:?} {text:?}");
        assert_eq!(tokenizer.encode(text, true).unwrap(), ids("ids_with_special"), "{dir:?} {text:?}");
        assert_eq!(
            tokenizer.decode(&ids("ids"), false).unwrap(),
            v["decoded"].as_str().unwrap(),
            "{dir:?} {text:?}"
        );
        let skipped = tokenizer.decode(&ids("ids"), true).unwrap();
        assert_eq!(skipped, v["decoded_skip_special"].as_str().unwrap(), "{dir:?} {text:?}");
    }
}

#[test]
fn token_ids_are_those_of_transformers() {
    check_vectors(&repository().join("test/fixtures/text/bpe"));
    if let Some(fixtures) = shared() {
        for kind in ["bpe", "smollm", "qwen", "llama3", "spm", "gemma"] {
            check_vectors(&fixtures.join("tokenizers").join(kind));
        }
    }
}

/// Renders every case of a folder; returns (cases, masks compared).
fn check_templates(dir: &Path, tokenizer: &Tokenizer) -> (usize, usize) {
    let set = json(&dir.join("chat_templates.json"));
    let now = set["now"].as_str().unwrap().parse().unwrap();
    let special: Vec<(String, String)> = set["special_tokens_map"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()))
        .collect();
    let expected = std::fs::read_to_string(dir.join("chat_expected.jsonl")).unwrap();
    let (mut cases, mut masks, mut wrong) = (0, 0, Vec::new());
    for line in expected.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (name, talk) = (case["template"].as_str().unwrap(), case["conversation"].as_str().unwrap());
        let conversation = &set["conversations"][talk];
        let tools = conversation["uses_tools"].as_bool().unwrap().then_some(&set["tools"]);
        let source = set["templates"][name]["template"].as_str().unwrap();
        let label = format!("{name} / {talk} / {}", case["add_generation_prompt"]);
        cases += 1;
        let rendered = ChatTemplate::new(source, special.clone(), Clock::Fixed(now)).and_then(|t| {
            t.render(
                conversation["messages"].as_array().unwrap(),
                tools,
                case["add_generation_prompt"].as_bool().unwrap(),
            )
        });
        match (rendered, case["text"].as_str()) {
            (Err(_), None) => {}
            (Err(e), Some(_)) => wrong.push(format!("{label}: {}", e.message)),
            (Ok(r), None) => {
                wrong.push(format!("{label}: should refuse ({}), gave {:?}", case["raises"], r.text))
            }
            (Ok(r), Some(text)) if r.text != text => {
                wrong.push(format!("{label}:\n  {:?}\n  {text:?}", r.text))
            }
            (Ok(r), Some(text)) => {
                if let Some(mask) = case["assistant_mask"].as_str() {
                    let chars: Vec<usize> = text.char_indices().map(|(i, _)| i).chain([text.len()]).collect();
                    let spans: Vec<_> = case["generation_char_spans"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|s| {
                            chars[s[0].as_u64().unwrap() as usize]..chars[s[1].as_u64().unwrap() as usize]
                        })
                        .collect();
                    if r.spans.as_deref() != Some(&spans[..]) {
                        wrong.push(format!("{label}: spans {:?} for {spans:?}", r.spans));
                    }
                    let (ids, offsets) = tokenizer.encode_offsets(text, false).unwrap();
                    let got: String = tillage_text::encode::mask(&offsets, &spans)
                        .iter()
                        .map(|m| if *m { '1' } else { '0' })
                        .collect();
                    let want: Vec<u32> =
                        case["ids"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as u32).collect();
                    if ids != want || got != mask {
                        wrong.push(format!("{label}: mask\n  {got}\n  {mask}"));
                    }
                    masks += 1;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} differ:\n{}", wrong.len(), wrong.join("\n"));
    (cases, masks)
}

#[test]
fn chat_texts_and_masks_are_those_of_transformers() {
    let own = repository().join("test/fixtures/text");
    let tokenizer = Tokenizer::load(&own.join("bpe")).unwrap();
    let (cases, masks) = check_templates(&own, &tokenizer);
    assert!(cases > 50 && masks > 5, "{cases} cases, {masks} masks");
}

#[test]
fn the_full_set_of_chat_templates_agrees() {
    let Some(fixtures) = shared() else {
        println!("not compared: the full set is not on this machine (set TILLAGE_SHARED to the folder that holds fixtures/)");
        return;
    };
    let tokenizer = Tokenizer::load(&fixtures.join("tokenizers/bpe")).unwrap();
    let (cases, masks) = check_templates(&fixtures.join("chat_templates"), &tokenizer);
    assert!(cases > 900 && masks > 100, "{cases} cases, {masks} masks");
}

/// The tokenizer of a folder with another chat template.
fn with_template(dir: &Path, special: &Value, template: &str) -> Tokenizer {
    let others = vec![
        ("tokenizer_config.json".to_owned(), serde_json::to_vec(special).unwrap()),
        ("chat_template.jinja".to_owned(), template.as_bytes().to_vec()),
    ];
    Tokenizer::from_files(TokenizerFiles {
        tokenizer: std::fs::read(dir.join("tokenizer.json")).unwrap(),
        others,
    })
    .unwrap()
}

/// Rows as a dataset has them, tools and their calls included: the text byte for byte, and the assistant's mask where the template
/// has markers, and where it has none but is the same text as one that has them.
#[test]
fn rows_with_tool_calls_are_rendered_and_masked_as_transformers_does() {
    let Some(fixtures) = shared() else {
        println!("not compared: the full set is not on this machine (set TILLAGE_SHARED to the folder that holds fixtures/)");
        return;
    };
    let dir = fixtures.join("tokenizers/bpe");
    let set = json(&fixtures.join("chat_templates/chat_templates.json"));
    let now = set["now"].as_str().unwrap().parse().unwrap();
    let expected = std::fs::read_to_string(fixtures.join("chat_templates/chat_expected.jsonl")).unwrap();
    let cases: Vec<Value> = expected.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let closed = |c: &&Value| c["add_generation_prompt"] == false && c["text"].is_string();
    let (mut texts, mut marked, mut unmarked, mut same, mut refused) = (0, 0, 0, 0, 0);
    for case in cases.iter().filter(closed) {
        let (name, talk) = (case["template"].as_str().unwrap(), case["conversation"].as_str().unwrap());
        let conversation = &set["conversations"][talk];
        if conversation["uses_tools"] != true {
            continue;
        }
        let template = set["templates"][name]["template"].as_str().unwrap();
        let tokenizer = with_template(&dir, &set["special_tokens_map"], template);
        let Ok(encoder) =
            RowEncoder::new(tokenizer, Template::Chat, LossOn::Assistant, 1 << 20, Clock::Fixed(now))
        else {
            // The fixture's tokenizer does not have this template's control tokens.
            continue;
        };
        let row = RowText::from_messages_json(&conversation["messages"].to_string()).unwrap();
        let row = row.with_tools_json(&set["tools"].to_string()).unwrap();
        let same_text = |c: &&Value| {
            c["text"] == case["text"] && c["conversation"] == talk && c["assistant_mask"].is_string()
        };
        let other = || cases.iter().filter(closed).find(same_text).and_then(|c| c["assistant_mask"].as_str());
        let mask = case["assistant_mask"].as_str().or_else(other);
        match encoder.encode(&row) {
            Ok((example, text)) => {
                assert_eq!(text, case["text"].as_str().unwrap(), "{name} / {talk}");
                texts += 1;
                let Some(mask) = mask else { continue };
                let own: String = example.trained.iter().map(|t| if *t { '1' } else { '0' }).collect();
                if case["assistant_mask"].is_string() {
                    assert_eq!(own, mask, "{name} / {talk}");
                    marked += 1;
                } else {
                    // Nothing that the assistant wrote is left out but white space behind the token that closes a turn, and
                    // an empty thought that the prompt for an answer has already; what a turn adds
                    // may be more than what the markers take, where the layout around calls is the turn's.
                    let both = own.chars().zip(mask.chars()).zip(&example.tokens);
                    let missed: Vec<u32> =
                        both.filter(|((own, mask), _)| own < mask).map(|(_, id)| *id).collect();
                    let text = encoder.tokenizer().decode(&missed, false).unwrap();
                    let text = text.replace("<think>", "").replace("</think>", "");
                    assert_eq!(text.trim(), "", "{name} / {talk}:\n{own}\n{mask}");
                    same += usize::from(own == mask);
                    unmarked += 1;
                }
            }
            Err(e) => {
                assert_eq!(e.code, "no_assistant_mask", "{name} / {talk}: {}", e.message);
                refused += 1;
            }
        }
    }
    println!("{texts} texts, {marked} masks of templates with markers, {unmarked} of templates without ({same} the very same), {refused} told to be unclear");
    assert!(
        texts > 40 && marked > 20 && unmarked > 10 && same > 1,
        "{texts} {marked} {unmarked} {same} {refused}"
    );
}
