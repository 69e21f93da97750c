use crate::support::{
    adapted, attention_scratch, batch, close, lora, model, separate, text, together_is_apart, VOCAB,
};
use tillage_model::{Packed, Trainable};

#[test]
fn packed_is_separate_and_split_is_whole() {
    let mut model = model();
    model.set_trainable(Trainable::Full);
    let whole = batch();
    together_is_apart(&mut model, &whole);
    let loss = model.loss_only(&whole).expect("a valid batch");
    for (example, part) in loss.per_example.iter().zip(&separate(&whole)) {
        let alone = model.loss_only(part).expect("a valid batch");
        assert!((example.0 - alone.sum).abs() < 1e-4 && example.1 == alone.tokens);
    }
}

#[test]
fn scoring_and_training_agree() {
    let mut model = adapted(&lora(&["all-linear"]));
    let trained = model.forward_backward(&batch()).expect("a valid batch");
    assert_eq!(model.loss_only(&batch()).expect("a valid batch"), trained);
}

#[test]
fn a_cache_continues_where_the_whole_sequence_would() {
    let model = adapted(&lora(&["all-linear"]));
    let tokens = text(90, 4);
    let all = model.logits(&Packed::texts([tokens.as_slice()]), &(0..tokens.len()).collect::<Vec<_>>());
    let mut cache = model.new_cache(tokens.len());
    // A prompt, then pieces of several and of single tokens.
    let mut at = 0;
    for piece in [70, 1, 1, 5, 1, 12] {
        let logits = model.decode(&tokens[at..at + piece], &mut cache);
        at += piece;
        assert_eq!(cache.len(), at);
        close(&logits, &all[(at - 1) * VOCAB..at * VOCAB], 1e-5);
    }
    cache.truncate(71);
    let again = model.decode(&tokens[71..72], &mut cache);
    close(&again, &all[71 * VOCAB..72 * VOCAB], 1e-5);
}

#[test]
fn bad_packs_are_refused() {
    let mut model = model();
    let outside = Packed::texts([[0, VOCAB as u32].as_slice()]);
    assert_eq!(model.loss_only(&outside).expect_err("a token outside").code, "token_out_of_range");
    let broken = Packed { starts: vec![0, 5], ..batch() };
    assert_eq!(model.forward_backward(&broken).expect_err("offsets that do not fit").code, "bad_pack");
    let short = Packed { weights: Some(vec![1.0]), ..batch() };
    assert_eq!(model.loss_only(&short).expect_err("too few weights").code, "bad_pack");
}

#[test]
fn the_plan_is_what_a_step_holds() {
    for (examples, length) in [(1, 500), (8, 64)] {
        for lora_targets in [None, Some(&["all-linear"][..])] {
            let mut model = model();
            match lora_targets {
                Some(targets) => {
                    model.attach_lora(&lora(targets), 1).expect("a valid adapter");
                    model.set_trainable(Trainable::Adapter);
                }
                None => model.set_trainable(Trainable::Full),
            }
            let texts: Vec<_> = (0..examples).map(|i| text(length, i)).collect();
            model.forward_backward(&Packed::texts(texts.iter().map(Vec::as_slice))).expect("a valid batch");
            let (plan, held) = (model.plan_bytes(examples * length) as f64, model.held_bytes() as f64);
            // Attention's scratch belongs to the threads and is planned for one long example.
            let scratch = attention_scratch(model.config(), examples * length, false) as f64;
            assert!(
                held <= plan && plan - scratch <= held * 1.05,
                "planned {plan}, of it scratch {scratch}, held {held}"
            );
        }
    }
}
