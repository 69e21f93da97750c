//! Tuned prompts.

use crate::families::{all_experts, shapes};
use crate::gradients::check_directions;
use crate::support::{batch, close, model, model_of, text, together_is_apart, VOCAB};
use serde_json::json;
use tillage_model::{Model, Packed, Trainable, IGNORE};

/// The batch with `n` tokens of a prompt before every text, which carry no label but for the text's first token.
fn prefixed(batch: &Packed, n: usize) -> Packed {
    let mut out = Packed { starts: vec![0], ..Packed::default() };
    for span in batch.starts.windows(2) {
        out.tokens.extend((0..n).map(|i| (VOCAB + i) as u32));
        out.labels.extend(vec![IGNORE; n]);
        out.tokens.extend_from_slice(&batch.tokens[span[0]..span[1]]);
        out.labels.extend_from_slice(&batch.labels[span[0]..span[1]]);
        out.starts.push(out.tokens.len());
    }
    out
}

fn prompted(mut model: Model) -> Model {
    model.attach_prompt(4, None, 3).expect("a prompt");
    model.set_trainable(Trainable::Adapter);
    for p in model.parameters_mut() {
        assert_eq!((p.name, p.shape[0]), ("prompt_embeddings", 4));
        p.value.iter_mut().enumerate().for_each(|(i, v)| *v += ((i * 53 % 17) as f32 - 8.0) * 0.03);
    }
    model
}

#[test]
fn a_prompt_of_words_is_those_words() {
    for (name, config) in shapes() {
        println!("{name}");
        let make = || model_of(config.clone());
        let mut tuned = make();
        tuned.attach_prompt(5, Some(("w", &[3, 9])), 1).expect("a prompt");
        assert_eq!((tuned.prompt_tokens(), tuned.prefix(None).len()), (5, 5));
        let own = text(6, 2);
        let virtually = [&tuned.prefix(None), &own[..]].concat();
        let really = [&[3, 9, 3, 9, 3], &own[..]].concat();
        let logits = |model: &Model, tokens: &[u32]| {
            let pack = Packed::texts([tokens]);
            model.logits(&Packed { labels: vec![IGNORE; tokens.len()], ..pack }, &[5, 10])
        };
        close(&logits(&tuned, &virtually), &logits(&make(), &really), 1e-5);
        let mut cache = tuned.new_cache(11);
        let decoded = tuned.decode(&virtually, &mut cache);
        close(&decoded, &logits(&tuned, &virtually)[VOCAB..], 1e-5);
    }
}

/// PEFT begins with what the model's table of words gives. Of Gemma that is scaled already; of Granite the scale comes behind it,
/// for words and prompts alike.
#[test]
fn a_prompt_begins_with_what_the_table_of_words_gives_in_transformers() {
    for (name, config) in shapes() {
        let scale = if name.starts_with("gemma") { config.scales.embedding } else { 1.0 };
        assert!(!name.starts_with("gemma") || scale > 1.0);
        let mut model = model_of(config);
        model.set_trainable(Trainable::Full);
        let table = model.parameters_mut().remove(0);
        assert!(table.name.contains("embed_tokens") || table.name.contains("wte"), "{}", table.name);
        let width = table.shape[1];
        let wanted: Vec<f32> =
            [3, 9, 3].into_iter().flat_map(|id| table.value[id * width..][..width].to_vec()).collect();
        model.attach_prompt(3, Some(("w", &[3, 9])), 1).expect("a prompt");
        model.set_trainable(Trainable::Adapter);
        let found = model.parameters_mut().remove(0);
        close(found.value, &wanted.iter().map(|x| x * scale).collect::<Vec<_>>(), 1e-6);
        println!("{name}");
    }
}

#[test]
fn gradients_of_prompts_are_derivatives() {
    for (name, config) in shapes() {
        println!("{name}");
        let mut model = prompted(model_of(all_experts(&config)));
        assert_eq!(check_directions(&mut model, &prefixed(&batch(), 4)), 1);
    }
}

#[test]
fn every_text_of_a_pack_has_the_prompt_to_itself() {
    let mut model = prompted(model());
    assert_eq!(model.parameters_mut().len(), 1, "nothing else is trained");
    together_is_apart(&mut model, &prefixed(&batch(), 4));
}

#[test]
fn prompts_come_back_as_they_were_written_and_off_is_the_base() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tuned = prompted(model());
    tuned.save_adapter(folder.path(), "some/base").expect("a writable folder");
    let mut again = model();
    again.load_adapter(folder.path()).expect("our own prompt");
    let pack = prefixed(&batch(), 4);
    assert_eq!(again.loss_only(&pack), tuned.loss_only(&pack), "bit for bit");
    let text = std::fs::read_to_string(folder.path().join("adapter_config.json")).expect("a config");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&json["peft_type"], &json["num_virtual_tokens"]), (&json!("PROMPT_TUNING"), &json!(4)));
    assert_eq!(json["base_model_name_or_path"], "some/base");

    let base = model();
    tuned.set_adapter_enabled(false);
    assert_eq!(tuned.loss_only(&batch()), base.loss_only(&batch()));
    assert!(tuned.prefix(None).is_empty());
    assert_eq!(tuned.loss_only(&pack).expect_err("no prompt").code, "token_out_of_range");
    assert_eq!(tuned.forward_backward(&batch()).expect_err("nothing to train").code, "no_adapter");
    tuned.set_adapter_enabled(true);
    // A label is a word, never a token of the prompt.
    let mut wrong = pack.clone();
    wrong.labels[2] = VOCAB as i64;
    assert_eq!(tuned.loss_only(&wrong).expect_err("no word").code, "token_out_of_range");
    assert_eq!(base.loss_only(&pack).expect_err("no prompt").code, "token_out_of_range");
    assert_eq!(model().attach_prompt(0, None, 1).expect_err("no token").code, "bad_prompt");
    assert_eq!(model().attach_prompt(2, Some(("", &[])), 1).expect_err("no text").code, "bad_prompt");
    let path = folder.path().join("adapter_config.json");
    std::fs::write(&path, text.replace(": 4,", ": 5,")).expect("written");
    assert!(model().load_adapter(folder.path()).is_err());
}
