//! Label masks, ends of texts and prompts, on the tokenizer of the fixtures and on one trained here.

use serde_json::{json, Value};
use std::path::Path;
use tillage_protocol::run::{LossOn, Template};
use tillage_text::chat::{ChatTemplate, Clock};
use tillage_text::tokenizer::TokenizerFiles;
use tillage_text::{bpe, RowEncoder, RowText, Tokenizer};

fn fixture() -> Tokenizer {
    Tokenizer::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/text/bpe")).unwrap()
}

/// The fixture's tokenizer with another config and template.
fn with(config: Value, template: Option<&str>) -> Tokenizer {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/text/bpe");
    let mut others = vec![("tokenizer_config.json".to_owned(), serde_json::to_vec(&config).unwrap())];
    others.extend(template.map(|t| ("chat_template.jinja".to_owned(), t.as_bytes().to_vec())));
    Tokenizer::from_files(TokenizerFiles {
        tokenizer: std::fs::read(dir.join("tokenizer.json")).unwrap(),
        others,
    })
    .unwrap()
}

fn encoder(tokenizer: Tokenizer, template: Template, loss_on: LossOn) -> RowEncoder {
    RowEncoder::new(tokenizer, template, loss_on, 256, Clock::System).unwrap()
}

fn format() -> Template {
    Template::Format { prompt: "Q: {prompt}\nA:".into() }
}

fn pair(prompt: &str, completion: &str) -> RowText {
    RowText::PromptCompletion { prompt: prompt.into(), completion: completion.into() }
}

fn talk() -> RowText {
    RowText::from_messages_json(
        r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"One?"},{"role":"assistant","content":"1"},
            {"role":"user","content":"Two?"},{"role":"assistant","content":"It is 2."}]"#,
    )
    .unwrap()
}

/// Text of the tokens that the loss counts.
fn trained(encoder: &RowEncoder, row: &RowText) -> String {
    let (example, _) = encoder.encode(row).unwrap();
    let ids: Vec<u32> =
        example.tokens.iter().zip(&example.trained).filter(|(_, t)| **t).map(|(id, _)| *id).collect();
    encoder.tokenizer().decode(&ids, false).unwrap()
}

#[test]
fn a_completion_is_trained_with_its_end_and_nothing_else() {
    for template in [Template::Plain, format()] {
        let e = encoder(fixture(), template, LossOn::Completion);
        assert_eq!(trained(&e, &pair("What is it?", " A cat.")), " A cat.<|im_end|>");
    }
    let e = encoder(fixture(), format(), LossOn::All);
    assert_eq!(trained(&e, &pair("What?", " A cat.")), "<s>Q: What?\nA: A cat.<|im_end|>");
}

#[test]
fn a_row_begins_with_the_tokens_of_its_prompt() {
    for template in [Template::Plain, format(), Template::Chat] {
        let e = encoder(fixture(), template.clone(), LossOn::Completion);
        for (prompt, completion) in
            [("What is it?", " A cat."), ("Wh", "at"), ("a\n", "\nb"), ("x ", " y"), ("q", "")]
        {
            let (example, _) = e.encode(&pair(prompt, completion)).unwrap();
            let front = e.prompt(prompt).unwrap();
            assert_eq!(example.tokens[..front.len()], front, "{template:?} {prompt:?}");
            assert!(example.trained[..front.len()].iter().all(|t| !t), "{template:?} {prompt:?}");
            assert!(example.trained[front.len()], "{template:?} {prompt:?}");
        }
    }
}

#[test]
fn texts_end_once() {
    let e = encoder(fixture(), Template::Plain, LossOn::All);
    let (a, text) = e.encode(&RowText::Text("One cat.".into())).unwrap();
    let (b, _) = e.encode(&RowText::Text("One cat.<|im_end|>".into())).unwrap();
    assert_eq!(a, b);
    assert_eq!(text, "One cat.<|im_end|>");
    assert_eq!(a.label_tokens(), a.tokens.len() - 1, "the first token is nobody's target");
}

#[test]
fn assistant_turns_are_trained_with_and_without_markers() {
    let marked = fixture();
    let source = marked.chat_template().unwrap().to_owned();
    let unmarked = source.replace("{% generation %}", "").replace("{% endgeneration %}", "");
    assert_ne!(source, unmarked);
    let config = json!({"eos_token": "<|im_end|>", "bos_token": "<s>"});
    for tokenizer in [marked, with(config, Some(&unmarked))] {
        let all = encoder(tokenizer.clone(), Template::Chat, LossOn::Assistant);
        assert_eq!(trained(&all, &talk()), "1<|im_end|>It is 2.<|im_end|>");
        let last = encoder(tokenizer, Template::Chat, LossOn::Completion);
        assert_eq!(trained(&last, &talk()), "It is 2.<|im_end|>");
        assert_eq!(trained(&last, &pair("Q", "A")), "A<|im_end|>");
    }
}

#[test]
fn a_template_that_rewrites_earlier_turns_needs_markers() {
    let source = "{% for m in messages %}{% if loop.last or m.role == 'user' %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let config = json!({"eos_token": "<|im_end|>"});
    let e = encoder(with(config, Some(source)), Template::Chat, LossOn::Assistant);
    assert_eq!(e.encode(&talk()).unwrap_err().code, "no_assistant_mask");
}

#[test]
fn long_rows_are_cut_and_counted() {
    let e = RowEncoder::new(fixture(), Template::Plain, LossOn::All, 10, Clock::System).unwrap();
    let text: String = (0..40).map(|i| format!("word {i} ")).collect();
    let whole =
        encoder(fixture(), Template::Plain, LossOn::All).encode(&RowText::Text(text.clone())).unwrap().0;
    let (cut, _) = e.encode(&RowText::Text(text)).unwrap();
    assert_eq!(cut.tokens, whole.tokens[..10], "the beginning stays");
    assert_eq!(cut.cut, whole.tokens.len() - 10);

    // The mask is cut with the tokens: the prompt, which is in front, keeps its place.
    let row = pair("What is it?", &" It is a cat.".repeat(9));
    let whole = encoder(fixture(), format(), LossOn::Completion).encode(&row).unwrap().0;
    let front = whole.trained.iter().filter(|t| !**t).count();
    let context = front + 3;
    let e = RowEncoder::new(fixture(), format(), LossOn::Completion, context, Clock::System).unwrap();
    let (cut, _) = e.encode(&row).unwrap();
    assert_eq!(cut.tokens, whole.tokens[..context]);
    assert_eq!(cut.trained, whole.trained[..context]);
    assert_eq!(cut.label_tokens(), 3);
}

#[test]
fn rows_that_do_not_fit_the_template_are_refused_by_name() {
    let code = |template, loss_on, row: &RowText| {
        encoder(fixture(), template, loss_on).encode(row).unwrap_err().code
    };
    assert_eq!(code(Template::Plain, LossOn::Completion, &RowText::Text("x".into())), "no_completion");
    assert_eq!(code(format(), LossOn::All, &talk()), "messages_need_chat");
    let new = |tokenizer, template| {
        RowEncoder::new(tokenizer, template, LossOn::All, 64, Clock::System).map(|_| ()).unwrap_err().code
    };
    assert_eq!(new(fixture(), Template::Format { prompt: "no place".into() }), "bad_format");
    assert_eq!(new(with(json!({"eos_token": "<|im_end|>"}), None), Template::Chat), "no_chat_template");
    for json in ["{}", "[]", "[1]", "[{\"content\":\"x\"}]", "nonsense"] {
        assert_eq!(RowText::from_messages_json(json).unwrap_err().code, "bad_messages", "{json}");
    }
}

#[test]
fn the_template_is_found_in_the_config_too() {
    let one = with(json!({"chat_template": "a", "eos_token": {"content": "<|im_end|>"}}), None);
    assert_eq!(one.chat_template(), Some("a"));
    assert_eq!(one.eos().map(|(t, _)| t), Some("<|im_end|>"));
    let list = json!({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]});
    assert_eq!(with(list.clone(), None).chat_template(), Some("d"));
    assert_eq!(with(list, Some("file")).chat_template(), Some("file"));
}

#[test]
fn a_trained_tokenizer_reads_its_own_texts_and_any_other() {
    let texts: Vec<String> = (0..200)
        .map(|i| format!("The {} lighthouse of row {i} shines.", ["tall", "old", "white"][i % 3]))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let t = bpe::train(&texts, 300, 128).unwrap();
    assert!(t.vocab_size() <= 300 && t.vocab_size() > bpe::MIN_VOCAB);
    for text in ["The tall lighthouse", "naïve — 日本 🐱\n\tend", ""] {
        assert_eq!(t.decode(&t.encode(text, true).unwrap(), false).unwrap(), text);
    }
    assert!(t.encode("The tall lighthouse", true).unwrap().len() < 10);
    let special = [bpe::END_OF_TEXT, bpe::TURN_START, bpe::TURN_END];
    assert_eq!(special.map(|s| t.encode(s, true).unwrap()), [vec![0], vec![1], vec![2]]);
    assert_eq!(t.stop_ids(), [0, 2]);
    let e = encoder(t.clone(), Template::Chat, LossOn::Completion);
    assert_eq!(trained(&e, &pair("Is it?", "Yes.")), "Yes.<|im_end|>");
    // Saved and loaded, it is the same to the byte; trained again on one thread, too.
    let dir = tempfile::tempdir().unwrap();
    t.save(dir.path()).unwrap();
    let bytes = std::fs::read(dir.path().join("tokenizer.json")).unwrap();
    let again = Tokenizer::load(dir.path()).unwrap();
    assert_eq!(again.chat_template(), t.chat_template());
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let other = tempfile::tempdir().unwrap();
    alone.install(|| bpe::train(&texts, 300, 128)).unwrap().save(other.path()).unwrap();
    assert_eq!(bytes, std::fs::read(other.path().join("tokenizer.json")).unwrap());
    assert_eq!(bpe::train(&texts, 100, 128).unwrap_err().code, "vocab_too_small");
    assert_eq!(bpe::train(&[""], 300, 128).unwrap_err().code, "empty_corpus");
}

#[test]
fn a_template_that_is_laid_out_in_lines_gives_no_spaces_of_its_own() {
    // What Jinja2 gives with trim_blocks and lstrip_blocks: a tag's own line leaves nothing behind.
    let source = "{% for m in messages %}\n    {% if m.role == 'user' %}\n<u>{{ m.content }}\n    {% else %}\n  {{ m.content }} {% endif %}\n\t{# a remark #}\n{% endfor %}\nend";
    let template = ChatTemplate::new(source, Vec::new(), Clock::System).unwrap();
    let RowText::Messages { messages, .. } = talk() else { unreachable!("messages") };
    let text = template.render(&messages[1..3], None, false).unwrap().text;
    assert_eq!(text, "<u>One?\n  1 end");
}
