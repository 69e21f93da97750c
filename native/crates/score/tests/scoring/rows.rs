//! Scores of files against the model asked directly, one row at a time.

use crate::support::*;
use serde_json::{json, Value};
use tillage_protocol::run::{LossOn, Template};
use tillage_protocol::score::Embed;

#[test]
fn packed_rows_have_the_numbers_of_each_row_alone() {
    let f = Fixture::new();
    let texts: Vec<Value> = (0..40).map(|i| json!({"_row_id": format!("r{i}"), "text": text(i)})).collect();
    let (rows, result) = f.score(&texts, |p| (p.batch_tokens, p.embed) = (300, Embed::Mean));
    assert_eq!((result.rows, rows.len()), (40, 40));
    let mut sum = 0.0;
    let mut labels = 0;
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(row["_row_id"], format!("r{i}"));
        let tokens = f.encode(&text(i));
        let logprobs = f.logprobs(&tokens);
        let expected: f64 = -logprobs.iter().sum::<f64>();
        close(&row["loss_sum"], expected, 1e-4);
        close(&row["loss"], expected / logprobs.len() as f64, 1e-5);
        close(&row["perplexity"], (expected / logprobs.len() as f64).exp(), 1e-1);
        assert_eq!((&row["labels"], &row["tokens"]), (&json!(logprobs.len()), &json!(tokens.len())));
        let (alone, _) = f.score(&texts[i..=i], |p| p.embed = Embed::Mean);
        close(&alone[0]["loss"], row["loss"].as_f64().unwrap(), 1e-6);
        let (together, alone) = (floats(&row["embedding"]), floats(&alone[0]["embedding"]));
        assert_eq!(together.len(), 64);
        assert!(together.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5), "row {i}");
        sum += expected;
        labels += logprobs.len();
    }
    let mean = sum / labels as f64;
    assert!((result.loss.unwrap() - mean).abs() < 1e-5);
    assert!((result.perplexity.unwrap() / mean.exp() - 1.0).abs() < 1e-5);
    assert_eq!(result.labels, labels as u64);
    let mut ordered: Vec<f64> = rows.iter().map(|r| r["loss"].as_f64().unwrap()).collect();
    ordered.sort_by(|a, b| b.total_cmp(a));
    assert_eq!(result.worst.iter().map(|w| w.loss).collect::<Vec<_>>(), ordered[..20]);
}

#[test]
fn embeddings_are_means_behind_the_last_norm_and_may_have_length_one() {
    let f = Fixture::new();
    let rows = [json!({"text": text(3)}), json!({"text": text(8)})];
    let (plain, _) = f.score(&rows, |p| p.embed = Embed::Mean);
    let (normal, _) = f.score(&rows, |p| p.embed = Embed::Normalized);
    for (i, (a, b)) in plain.iter().zip(&normal).enumerate() {
        let (a, b) = (floats(&a["embedding"]), floats(&b["embedding"]));
        let length = a.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!(a.iter().zip(&b).all(|(a, b)| (a / length - b).abs() < 1e-6));
        // The head is linear: the mean of the logits is the head of the mean.
        let tokens = f.encode(rows[i]["text"].as_str().unwrap());
        let mean = f.mean_logits(&tokens);
        let head = f.head();
        for (word, expected) in mean.iter().enumerate() {
            let ours: f64 = head[word * 64..][..64].iter().zip(&a).map(|(w, x)| f64::from(*w) * x).sum();
            assert!((ours - expected).abs() < 1e-3, "{ours} instead of {expected}");
        }
    }
}

#[test]
fn completions_and_pairs_count_their_answers_alone() {
    let f = Fixture::new();
    let pair = json!({"_row_id": "p", "prompt": "Where is the elm?", "chosen": " In Graz.", "rejected": " At sea, I think."});
    let sum = |answer: &str| -> f64 {
        f.answer_logprobs("Where is the elm?", &format!("{answer}<|im_end|>")).iter().sum()
    };
    let (rows, result) = f.score(&[pair], |_| {});
    let (chosen, rejected) = (sum(" In Graz."), sum(" At sea, I think."));
    close(&rows[0]["chosen_logprob"], chosen, 1e-4);
    close(&rows[0]["rejected_logprob"], rejected, 1e-4);
    close(&rows[0]["loss_sum"], -chosen, 1e-4);
    let pairs = result.pairs.unwrap();
    assert_eq!(pairs.accuracy, f64::from(chosen > rejected));
    assert!((pairs.margin - (chosen - rejected)).abs() < 1e-4);

    let row = json!({"prompt": "Where is the elm?", "completion": " In Graz."});
    let (rows, _) = f.score(std::slice::from_ref(&row), |_| {});
    assert_eq!(rows[0]["_row_id"], "1", "a row without a name goes by its number");
    close(&rows[0]["loss_sum"], -chosen, 1e-4);
    let (all, _) = f.score(&[row], |p| p.loss_on = Some(LossOn::All));
    let whole: f64 = f.logprobs(&f.encode("Where is the elm? In Graz.")).iter().sum();
    close(&all[0]["loss_sum"], -whole, 1e-4);
    close(&all[0]["completion_logprob"], chosen, 1e-4);

    let talk = json!([{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Two?"}, {"role": "assistant", "content": "It is 2."}]);
    let (rows, _) = f.score(&[json!({"messages": talk})], |p| p.template = Template::Chat);
    let row = &rows[0];
    assert!(-row["completion_logprob"].as_f64().unwrap() < row["loss_sum"].as_f64().unwrap());
    let (last, _) = f.score(&[json!({"messages": talk})], |p| {
        (p.template, p.loss_on) = (Template::Chat, Some(LossOn::Completion));
    });
    close(&row["completion_logprob"], -last[0]["loss_sum"].as_f64().unwrap(), 1e-4);
}

#[test]
fn choices_are_compared_as_they_are_and_by_their_lengths() {
    let f = Fixture::new();
    let (prompt, choices) =
        ("The capital of Norway is", [" Oslo", " the old town of Bergen", " Rome, in Italy"]);
    let rows: Vec<Value> = (0..3)
        .map(|i| json!({"_row_id": i, "prompt": prompt, "choices": choices, "answer": i}))
        .chain([json!({"_row_id": "none", "prompt": prompt, "choices": choices})])
        .collect();
    let (scored, result) = f.score(&rows, |p| p.batch_tokens = 64);
    let each: Vec<Vec<f64>> = choices.iter().map(|c| f.answer_logprobs(prompt, c)).collect();
    let raw: Vec<f64> = each.iter().map(|e| e.iter().sum()).collect();
    let per_token: Vec<f64> = raw.iter().zip(&each).map(|(p, e)| p / e.len() as f64).collect();
    let per_byte: Vec<f64> = raw.iter().zip(choices).map(|(p, c)| p / c.trim().len() as f64).collect();
    let best = |v: &[f64]| (0..3).max_by(|&a, &b| v[a].total_cmp(&v[b])).unwrap();
    for (i, row) in scored.iter().enumerate() {
        for (name, expected) in [
            ("choice_logprobs", &raw),
            ("choice_logprobs_per_token", &per_token),
            ("choice_logprobs_per_byte", &per_byte),
        ] {
            let ours = floats(&row[name]);
            assert!(
                ours.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4),
                "{name}: {ours:?} {expected:?}"
            );
        }
        for (name, right, values) in [
            ("choice", "correct", &raw),
            ("choice_per_token", "correct_per_token", &per_token),
            ("choice_per_byte", "correct_per_byte", &per_byte),
        ] {
            assert_eq!(row[name], best(values));
            assert_eq!(row[right], if i < 3 { json!(i == best(values)) } else { Value::Null });
        }
    }
    close(&scored[1]["loss_sum"], -raw[1], 1e-4);
    assert!(scored[3]["loss_sum"].is_null() && scored[3]["answer"].is_null());
    // The likeliest and the likeliest per length differ here, or the test would not tell them apart.
    assert_ne!(best(&raw), best(&per_token));
    let c = result.choices.unwrap();
    assert_eq!((c.answered, result.unlabelled_rows), (3, 0));
    for share in [c.accuracy, c.accuracy_per_token, c.accuracy_per_byte] {
        assert!((share.unwrap() - 1.0 / 3.0).abs() < 1e-12);
    }
}

#[test]
fn of_equal_answers_the_first_is_chosen_and_none_is_preferred() {
    let f = Fixture::new();
    let (rows, _) =
        f.score(&[json!({"prompt": "Up or", "choices": [" down", " down"], "answer": 1})], |_| {});
    for (choice, right) in [
        ("choice", "correct"),
        ("choice_per_token", "correct_per_token"),
        ("choice_per_byte", "correct_per_byte"),
    ] {
        assert_eq!((&rows[0][choice], &rows[0][right]), (&json!(0), &json!(false)));
    }
    let (_, result) = f.score(&[json!({"prompt": "Up or", "chosen": " down", "rejected": " down"})], |_| {});
    assert_eq!(result.pairs.map(|p| (p.accuracy, p.margin)), Some((0.0, 0.0)));
}

#[test]
fn parquet_and_json_lines_say_the_same_both_ways() {
    let f = Fixture::new();
    let rows = [
        json!({"_row_id": "a", "prompt": "Yes or", "choices": [" no", " maybe so"], "answer": 1}),
        json!({"_row_id": "b", "prompt": "Up or", "choices": [" down"]}),
    ];
    let (lines, _) = f.score(&rows, |_| {});
    let (parquet, _) = f.score(&rows, |p| p.out = p.out.with_extension("parquet"));
    same(&lines, &parquet);
    // A file of choices that is Parquet itself: what was written before is read again.
    let source = f.dir().join("choices.parquet");
    write_choices(&source, &rows);
    let (again, _) = f.score(&rows, |p| p.rows = source.clone());
    same(&again, &lines);

    let texts = [json!({"_row_id": "a", "text": text(1)}), json!({"_row_id": "b", "text": "x"})];
    let embed = |p: &mut tillage_protocol::score::ScoreParams| p.embed = Embed::Mean;
    let (lines, _) = f.score(&texts, embed);
    let (parquet, _) = f.score(&texts, |p| {
        embed(p);
        p.out = p.out.with_extension("parquet");
    });
    same(&lines, &parquet);
}

#[test]
fn rows_behind_a_tuned_prompt_are_scored_as_behind_its_words() {
    let base = Fixture::new();
    let words = [17u32, 230, 17, 230, 17];
    let mut own = Fixture::new();
    own.model.attach_prompt(5, Some(("w", &words[..2])), 1).unwrap();
    let mut held = Fixture::new();
    own.model.save_adapter(own.dir(), "base").unwrap();
    // Another prompt is held before it, so that its tokens lie further behind.
    held.model.attach_prompt(4, Some(("x", &words[1..2])), 1).unwrap();
    held.model.save_adapter(held.dir(), "base").unwrap();
    let other = held.dir().to_owned();
    held.model.hold_adapter("other", &other).unwrap();
    held.model.hold_adapter("prompt", own.dir()).unwrap();
    let mix = held.model.mix(&[("prompt", 1.0)]).unwrap();
    let rows = [
        json!({"_row_id": "a", "text": text(4)}),
        json!({"_row_id": "b", "text": text(9)}),
        json!({"_row_id": "c", "text": text(6)}),
    ];
    let embed = |p: &mut tillage_protocol::score::ScoreParams| p.embed = Embed::Mean;
    let (scored, result) = own.score(&rows, embed);
    let (through_mix, _) = held.try_score_mixed(&rows, Some(&mix), embed).unwrap();
    same(&through_mix, &scored);
    let (plain, _) = base.score(&rows, embed);
    let (mut sum, mut labels) = (0.0, 0);
    for ((row, plain), source) in scored.iter().zip(&plain).zip(&rows) {
        let tokens = base.encode(source["text"].as_str().unwrap());
        let whole = [&words[..], &tokens].concat();
        // What the words themselves cost does not count; the text's first token has words before it now.
        let expected = -base.logprobs(&whole)[words.len() - 1..].iter().sum::<f64>();
        close(&row["loss_sum"], expected, 1e-4);
        assert_eq!((&row["labels"], &row["tokens"]), (&json!(tokens.len()), &json!(tokens.len())));
        assert_eq!(plain["labels"], tokens.len() - 1);
        (sum, labels) = (sum + expected, labels + tokens.len());
        // The head is linear: the mean of the logits is the head of the mean.
        let mean = base.mean_logits_from(&whole, words.len());
        let vector = floats(&row["embedding"]);
        for (word, expected) in mean.iter().enumerate().step_by(31) {
            let ours: f64 =
                base.head()[word * 64..][..64].iter().zip(&vector).map(|(w, x)| f64::from(*w) * x).sum();
            assert!((ours - expected).abs() < 1e-3, "{ours} instead of {expected}");
        }
        assert_ne!(row["embedding"], plain["embedding"]);
    }
    assert!((result.perplexity.unwrap() / (sum / labels as f64).exp() - 1.0).abs() < 1e-5);

    // Completions, pairs and choices carry the same labels as without it.
    let front = |prompt: &str| [&words[..], &base.tokenizer.encode(prompt, true).unwrap()].concat();
    let behind = |prompt: &str, answer: &[u32]| -> f64 {
        let front = front(prompt);
        base.logprobs(&[&front[..], answer].concat())[front.len() - 1..].iter().sum()
    };
    let ids = |text: &str| base.tokenizer.encode(text, false).unwrap();
    let ended = |text: &str| [&ids(text)[..], &[base.tokenizer.eos().unwrap().1]].concat();
    let (rows, _) = own.score(
        &[json!({"prompt": "Where is the elm?", "chosen": " In Graz.", "rejected": " Nobody knows."})],
        |_| {},
    );
    close(&rows[0]["chosen_logprob"], behind("Where is the elm?", &ended(" In Graz.")), 1e-4);
    close(&rows[0]["rejected_logprob"], behind("Where is the elm?", &ended(" Nobody knows.")), 1e-4);
    let (rows, _) =
        own.score(&[json!({"prompt": "Yes or", "choices": [" no", " maybe so"], "answer": 1})], |_| {});
    let wanted = [behind("Yes or", &ids(" no")), behind("Yes or", &ids(" maybe so"))];
    let found = floats(&rows[0]["choice_logprobs"]);
    assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?} {wanted:?}");

    // The prompt takes its room in the context.
    let long = json!({"text": "word ".repeat(60)});
    let (cut, _) = own.score(std::slice::from_ref(&long), |p| p.context = Some(32));
    assert_eq!(cut[0]["tokens"], 32 - 5);
    let error = own.try_score(&[long], |p| p.context = Some(6)).unwrap_err();
    assert!(error.code == "bad_context" && error.message.contains("7 to"), "{error:?}");
}

#[test]
fn long_rows_are_cut_and_counted_and_rows_without_a_label_have_no_loss() {
    let f = Fixture::new();
    let long = "word ".repeat(60);
    let rows = [
        json!({"_row_id": "long", "prompt": "short", "completion": long}),
        json!({"_row_id": "lost", "prompt": long, "completion": "x"}),
    ];
    let (scored, result) = f.score(&rows, |p| p.context = Some(32));
    assert_eq!((result.cut_rows, result.unlabelled_rows), (2, 1));
    assert_eq!(scored[0]["tokens"], 32);
    let full = f.tokenizer.encode("short", true).unwrap().len()
        + f.tokenizer.encode(&long, false).unwrap().len()
        + 1;
    assert_eq!(scored[0]["cut"], json!(full - 32));
    assert!(
        scored[1]["loss"].is_null() && scored[1]["labels"] == 0 && scored[1]["completion_logprob"].is_null()
    );
    // A choice is cut from the front: the answer stays.
    let rows = [json!({"prompt": long, "choices": [" end"]})];
    let (cut, result) = f.score(&rows, |p| p.context = Some(32));
    let (whole, _) = f.score(&rows, |_| {});
    assert_eq!((&cut[0]["choice_labels"], result.cut_rows), (&whole[0]["choice_labels"], 1));
    assert_ne!(cut[0]["choice_logprobs"], whole[0]["choice_logprobs"]);
}
