//! Rounds against the same done by hand, in plainer and slower ways.

use super::*;
use crate::data::DataRow;
use crate::method::Method;
use crate::policy::{evaluate, nothing};
use crate::reward::{Around, Rewards};
use crate::testing::{adapt, fixture};
use serde_json::json;
use std::path::Path;
use tillage_model::objective::whiten;
use tillage_model::{LoraConfig, Packed, Trainable};
use tillage_protocol::course::OptimizerKind;
use tillage_protocol::run::{
    Dtype, LossOn, Objective, PolicyConfig, PpoConfig, RewardConfig, RewardKind, Template,
};
use tillage_text::{Clock, RowEncoder, RowText, Tokenizer};

const PROMPTS: [&str; 3] = ["Where is the elm?", "Name a town.", "What grows in Graz, and how tall is it?"];

/// The fixture's model with an adapter that changes it. Its token of the end is `ends` times as sure of itself as it was.
fn model(ends: f32) -> Model {
    let mut model = Model::load(&fixture()).unwrap();
    let end = model.config().eos_token_ids[0] as usize;
    model.set_trainable(Trainable::Full);
    for p in model.parameters_mut().into_iter().filter(|p| p.name == "lm_head.weight") {
        let width = p.shape[1];
        p.value[end * width..(end + 1) * width].iter_mut().for_each(|v| *v *= ends);
    }
    model.set_trainable(Trainable::Nothing);
    adapt(&mut model, |model| model.attach_values(4).unwrap());
    model
}

fn encoder() -> RowEncoder {
    let tokenizer = Tokenizer::load(&fixture()).unwrap();
    RowEncoder::new(tokenizer, template(), LossOn::Completion, 64, Clock::System).unwrap()
}

fn template() -> Template {
    Template::Format { prompt: "Q: {prompt}\nA:".into() }
}

fn rewards(kind: RewardKind) -> Rewards {
    let around = Around {
        run_dir: Path::new(""),
        template: &template(),
        context: 64,
        batch_tokens: 40,
        dtype: Dtype::F32,
        clock: Clock::System,
    };
    Rewards::new(&[RewardConfig { kind, weight: 1.0 }], &around).unwrap()
}

#[test]
fn a_prompt_that_leaves_no_room_for_the_longest_answer_is_left_out() {
    let tokenizer = || Tokenizer::load(&fixture()).unwrap();
    for objective in [Objective::Grpo, Objective::Rloo, Objective::Ppo] {
        let settings = Settings::of(objective, &PolicyConfig { group: 3, max_new: 6, ..nothing() });
        let of = |context: usize| {
            let encoder =
                RowEncoder::new(tokenizer(), template(), LossOn::Completion, context, Clock::System);
            data(&settings, &encoder.unwrap(), [""; 3])
        };
        let prompts: Vec<usize> = of(64).examples.iter().map(|e| e.tokens.len()).collect();
        let context = prompts[2] + 6;
        assert!(prompts[2] > prompts[0] && prompts[2] > prompts[1], "{prompts:?}");
        let room = |row: usize| 3 * (prompts[row] + 6);
        assert_eq!(of(context).lengths(), [room(0), room(1), room(2)]);
        let tight = of(context - 1);
        assert_eq!(tight.lengths(), [room(0), room(1), 0]);
        let counts = tight.counts();
        assert_eq!((counts.long_rows, counts.masked_rows, counts.cut_tokens), (1, 1, 1));
    }
}

/// Rows that want these answers.
fn data(settings: &Settings, encoder: &RowEncoder, wanted: [&str; 3]) -> Dataset {
    let row = |(i, wanted): (usize, &str)| DataRow {
        id: format!("row-{i}"),
        texts: vec![RowText::PromptCompletion { prompt: PROMPTS[i].into(), completion: wanted.into() }],
        good: false,
        open: false,
        weight: 1.0,
    };
    let rows: Vec<DataRow> = wanted.into_iter().enumerate().map(row).collect();
    Dataset::encode(&rows, &Method::Policy(*settings), encoder, false).unwrap()
}

fn config() -> TrainConfig {
    serde_json::from_value(json!({"epochs": 1, "batch_tokens": 60, "context": 64, "lr": 0.02,
        "schedule": "constant", "seed": 4}))
    .unwrap()
}

fn round<'a>(encoder: &'a RowEncoder, rewards: &'a Rewards) -> Round<'a> {
    Round { encoder, rewards, reference: None, seed: 4, step: 6 }
}

fn step(
    settings: &Settings,
    model: &mut Model,
    data: &Dataset,
    batches: &[Vec<usize>],
    round: &Round,
) -> Taken {
    let mut optimizer = Optimizer::new(model, OptimizerKind::AdamW);
    let config = config();
    let pass = Pass { model, optimizer: &mut optimizer, config: &config, lr: config.lr };
    take(settings, pass, data, batches, round).unwrap()
}

fn weights(model: &mut Model) -> Vec<Vec<f32>> {
    model.parameters_mut().into_iter().map(|p| p.value.to_vec()).collect()
}

#[test]
fn every_update_of_a_round_begins_without_gradients() {
    let (encoder, rewards) = (encoder(), rewards(RewardKind::Length { target: 3 }));
    for objective in [Objective::Grpo, Objective::Rloo, Objective::Ppo] {
        let updates_of = PolicyConfig { epochs: Some(2), minibatches: Some(2), ..nothing() };
        let settings = Settings::of(objective, &PolicyConfig { group: 3, max_new: 6, ..updates_of });
        let data = data(&settings, &encoder, [""; 3]);
        let (round, batches) = (round(&encoder, &rewards), [vec![0, 1], vec![2]]);
        let mut taken = model(40.0);
        let found = step(&settings, &mut taken, &data, &batches, &round);

        let mut model = model(40.0);
        let mut optimizer = Optimizer::new(&mut model, OptimizerKind::AdamW);
        let draws = batches.iter().map(|rows| draw(&settings, &mut model, &data, rows, &round).unwrap());
        let drawn: Vec<Drawn> = draws.collect();
        let sizes: Vec<usize> = drawn.iter().map(|d| d.known.len()).collect();
        let (known, ..) = judge(&settings, drawn);
        let plan = updates(&settings, &known, &sizes, &config(), round.step);
        assert!(plan.len() == 4 && plan.iter().all(|update| update.len() > 1), "{plan:?}");
        let (mut loss, mut norms) = (0.0, 0.0);
        for update in &plan {
            // Gradients are given back, and made of zeros.
            model.set_trainable(Trainable::Nothing);
            model.set_trainable(Trainable::Adapter);
            let all: Vec<&Known> = update.iter().flatten().map(|i| &known[*i]).collect();
            let tokens = all.iter().map(|one| one.tokens.len() - one.prompt).sum();
            let mut sum = 0.0;
            for chunk in update {
                let chunk: Vec<&Known> = chunk.iter().map(|i| &known[*i]).collect();
                sum += learn(&settings, &mut model, &chunk, all.len(), tokens).unwrap().sum;
            }
            let norm = Optimizer::grad_norm(&mut model);
            optimizer.apply(&mut model, &config(), config().lr, norm);
            loss += sum / (all.len() as f64 / 3.0) / 4.0;
            norms += norm / 4.0;
        }
        assert!((found.loss - loss).abs() < 1e-12 && (found.norm - norms).abs() < 1e-12, "{objective:?}");
        assert!(weights(&mut taken) == weights(&mut model), "{objective:?}");
    }
}

#[test]
fn an_answer_of_ppo_without_an_end_is_worth_its_reward_less_the_penalty() {
    let (encoder, rewards) = (encoder(), rewards(RewardKind::Length { target: 3 }));
    let ppo = PpoConfig { gamma: 0.9, lambda: 0.8, kl: 0.3, cut_penalty: 2.5, ..PpoConfig::default() };
    let one = PolicyConfig { epochs: Some(1), ppo: Some(ppo), ..nothing() };
    let settings = Settings::of(Objective::Ppo, &PolicyConfig { group: 4, max_new: 6, ..one });
    let data = data(&settings, &encoder, [""; 3]);
    let (round, rows) = (round(&encoder, &rewards), vec![0, 1, 2]);
    let drawn = draw(&settings, &mut model(40.0), &data, &rows, &round).unwrap();
    let found = step(&settings, &mut model(40.0), &data, &[rows], &round).rollouts;
    let cut: Vec<bool> = drawn.answers.sampled.iter().map(|s| s.tokens.len() == 6).collect();
    assert!(cut.contains(&true) && cut.contains(&false), "{cut:?}");
    // Equation 16 of Schulman et al. 2016 as it stands: a sum over all later tokens.
    let advantages = |(i, known): (usize, &Known)| -> Vec<f64> {
        let n = known.old.len();
        let delta = |t: usize| {
            let score = drawn.answers.rewards[i] - if cut[i] { 2.5 } else { 0.0 };
            let reward = -0.3 * (known.old[t] - known.reference[t]) + if t + 1 == n { score } else { 0.0 };
            reward + 0.9 * known.value.get(t + 1).unwrap_or(&0.0) - known.value[t]
        };
        let from = |t: usize| (t..n).map(|later| 0.72f64.powi((later - t) as i32) * delta(later)).sum();
        (0..n).map(from).collect()
    };
    let mut wanted: Vec<Vec<f64>> = drawn.known.iter().enumerate().map(advantages).collect();
    whiten(&mut wanted);
    for ((rollout, wanted), cut) in found.iter().zip(&wanted).zip(&cut) {
        let wanted = wanted.iter().sum::<f64>() / wanted.len() as f64;
        assert_eq!(rollout.ended, !cut);
        assert!((rollout.advantage - wanted).abs() < 1e-12, "{} instead of {wanted}", rollout.advantage);
    }
}

#[test]
fn a_reward_model_reads_the_prompt_and_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut judge = Model::load(&fixture()).unwrap();
    judge.attach_lora(&LoraConfig::plain(2), 8).unwrap();
    judge.attach_score(9).unwrap();
    judge.save_adapter(folder.path(), "base").unwrap();
    let kind = json!({"kind": "reward_model", "base": fixture(), "adapter": folder.path()});
    let (encoder, rewards) = (encoder(), rewards(serde_json::from_value(kind).unwrap()));
    let policy = PolicyConfig { group: 3, max_new: 6, ..nothing() };
    let settings = Settings::of(Objective::Grpo, &policy);
    let data = data(&settings, &encoder, ["In Graz."; 3]);
    let (round, batches) = (round(&encoder, &rewards), [vec![2, 0], vec![1]]);
    let found = step(&settings, &mut model(40.0), &data, &batches, &round).rollouts;
    // The prompt's tokens, the answer's behind them, and the end.
    let tokenizer = encoder.tokenizer();
    let score = |prompt: &str, answer: &str| {
        let front = format!("Q: {prompt}\nA:");
        let mut tokens = tokenizer.encode(&front, true).unwrap();
        let joined = tokenizer.encode(&format!("{front}{answer}"), true).unwrap();
        match joined.strip_prefix(&tokens[..]) {
            Some(rest) => tokens.extend(rest),
            None => tokens.extend(tokenizer.encode(answer, false).unwrap()),
        }
        tokens.push(tokenizer.eos().unwrap().1);
        f64::from(judge.scores(&Packed::texts([&tokens[..]])).unwrap()[0])
    };
    assert_eq!(found.len(), 9);
    for rollout in found {
        let row: usize = rollout.row_id[4..].parse().unwrap();
        let of = |prompt: &str| score(prompt, &rollout.text);
        let wanted = of(PROMPTS[row]);
        assert!((rollout.reward - wanted).abs() < 1e-6, "{rollout:?}: {wanted}");
        for other in ["", PROMPTS[(row + 1) % 3]] {
            assert!(
                (of(other) - wanted).abs() > 1e-4,
                "{rollout:?} would be worth the same behind {other:?}"
            );
        }
    }
}

#[test]
fn a_validation_asks_each_prompt_once_for_the_likeliest_answer() {
    let encoder = encoder();
    for objective in [Objective::Grpo, Objective::Rloo, Objective::Ppo] {
        let policy = PolicyConfig { group: 3, max_new: 5, temperature: 1.5, ..nothing() };
        let settings = Settings::of(objective, &policy);
        let model = model(1.0);
        let tokenizer = encoder.tokenizer();
        // Each token is the likeliest of a pass over everything before it.
        let answers = PROMPTS.map(|prompt| {
            let mut tokens = encoder.prompt(prompt).unwrap();
            let first = tokens.len();
            while tokens.len() < first + 5 {
                let logits = model.logits(&Packed::texts([&tokens[..]]), &[tokens.len() - 1]);
                let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap() as u32;
                if tokenizer.stop_ids().contains(&best) {
                    break;
                }
                tokens.push(best);
            }
            (tokenizer.decode(&tokens[first..], true).unwrap(), tokens.len() - first)
        });
        let data = data(&settings, &encoder, std::array::from_fn(|i| answers[i].0.as_str()));
        let rewards = rewards(RewardKind::Exact);
        let found = evaluate(&settings, &model, &data, &[0, 1, 2], &round(&encoder, &rewards)).unwrap();
        assert_eq!(found.rows, answers.each_ref().map(|(_, tokens)| (-1.0, *tokens)), "{objective:?}");
        assert_eq!(found.sum, -3.0);
    }
}
