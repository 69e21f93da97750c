//! What is told of the rows beside their own numbers, and what is known of rows that have nothing to score.

use crate::support::*;
use serde_json::{json, Value};
use tillage_protocol::score::Embed;

#[test]
fn a_row_is_told_as_done_when_all_its_texts_are() {
    let f = Fixture::new();
    let choices = [" Oslo", " the old town of Bergen", " Rome, in Italy", " nobody knows"];
    let rows: Vec<Value> =
        (0..6).map(|i| json!({"prompt": text(i), "choices": choices, "answer": 2})).collect();
    // A batch holds fewer texts than a row has.
    let params = tillage_protocol::score::ScoreParams { batch_tokens: 40, ..f.params() };
    std::fs::write(&params.rows, rows.iter().map(|r| format!("{r}\n")).collect::<String>()).unwrap();
    let mut told = Vec::new();
    let hashes = ("hash".to_owned(), None);
    tillage_score::score((&f.model, None), &f.tokenizer, hashes, &params, &mut |p| {
        told.push((p.rows, p.tokens));
        true
    })
    .unwrap();
    assert!(told.len() > 6 && told.is_sorted(), "{told:?}");
    assert_eq!(told[0].0, 0);
    assert!(told.iter().any(|(rows, tokens)| *rows == 0 && *tokens > 0), "no row is done at once: {told:?}");
    assert_eq!(told.last().unwrap().0, 6);
}

#[test]
fn choices_tell_the_right_ones_log_probability_and_of_equal_losses_the_first_is_worst() {
    let f = Fixture::new();
    let choices = [" down", " sideways", " round"];
    let rows: Vec<Value> = [2, 1, 2, 0, 1, 2]
        .iter()
        .enumerate()
        .map(|(i, answer)| json!({"_row_id": format!("r{i}"), "prompt": "Up or", "choices": choices, "answer": answer}))
        .collect();
    let (scored, result) = f.score(&rows, |_| {});
    for (row, source) in scored.iter().zip(&rows) {
        let right = f.answer_logprobs("Up or", choices[source["answer"].as_u64().unwrap() as usize]);
        close(&row["completion_logprob"], right.iter().sum(), 1e-4);
    }
    let of = |answer: u64| {
        rows.iter()
            .filter(|r| r["answer"] == answer)
            .map(|r| r["_row_id"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    let worst: Vec<&str> = result.worst.iter().map(|w| w.row_id.as_str()).collect();
    for answer in 0..3 {
        let own: Vec<&str> = worst.iter().copied().filter(|id| of(answer).contains(id)).collect();
        assert_eq!(own, of(answer), "in the order of the file");
    }
}

#[test]
fn a_row_without_a_label_has_its_embedding() {
    let f = Fixture::new();
    let long = "word ".repeat(60);
    // Its completion is cut away; what is left is read as any other text.
    let rows = [json!({"prompt": long, "completion": "x"}), json!({"prompt": "short", "completion": " x"})];
    let (scored, result) = f.score(&rows, |p| (p.context, p.embed) = (Some(32), Embed::Mean));
    assert_eq!((result.unlabelled_rows, scored[0]["labels"].as_u64()), (1, Some(0)));
    let found = floats(&scored[0]["embedding"]);
    let tokens = f.tokenizer.encode(&long, true).unwrap();
    let mean = f.mean_logits(&tokens[..32]);
    for (word, expected) in mean.iter().enumerate().step_by(17) {
        let ours: f64 = f.head()[word * 64..][..64].iter().zip(&found).map(|(w, x)| f64::from(*w) * x).sum();
        assert!((ours - expected).abs() < 1e-3, "{ours} instead of {expected}");
    }
}
