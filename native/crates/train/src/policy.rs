//! Policy gradients on the run's own answers: GRPO (Shao et al. 2024) and RLOO (Ahmadian et al. 2024).
//!
//! Every step asks its prompts, rewards the answers, and moves the policy once, so that the ratio to the policy that answered
//! is 1. The draws depend on seed, step, row and place in the group alone: a resumed run draws the same answers.

use crate::dataset::Dataset;
use crate::method::BatchLoss;
use crate::metrics::Metrics;
use crate::reward::Rewards;
use tillage_generate::{generate_all, Flow, Job, Sampled, Sampling, WIDTH};
use tillage_model::objective::{advantages, leave_one_out, policy, Average, Generated, PolicyLoss, Texts};
use tillage_model::Model;
use tillage_protocol::event::metric;
use tillage_protocol::run::{Objective, PolicyAverage, PolicyConfig};
use tillage_protocol::EngineError;
use tillage_text::RowEncoder;

/// How answers are drawn and what is made of their rewards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Answers of each prompt.
    pub group: usize,
    pub max_new: usize,
    temperature: f64,
    loss: PolicyLoss,
    /// Advantages against the mean of the others, not in units of the group's spread.
    leave_one_out: bool,
}

impl Settings {
    pub fn of(objective: Objective, config: &PolicyConfig) -> Settings {
        let leave_one_out = objective == Objective::Rloo;
        let average = match config.average {
            _ if leave_one_out => Average::Sequences,
            PolicyAverage::Completions => Average::Completions,
            PolicyAverage::Tokens => Average::Tokens,
            PolicyAverage::Longest => Average::Longest(config.max_new),
        };
        Settings {
            group: config.group,
            max_new: config.max_new,
            temperature: config.temperature,
            loss: PolicyLoss {
                average,
                clip: 0.2,
                sequence_ratio: false,
                beta: config.beta,
                correct_divergence: false,
            },
            leave_one_out,
        }
    }
}

/// Settings of a run that has none; they are never used, since a spec without them is refused.
pub fn nothing() -> PolicyConfig {
    let average = PolicyAverage::default();
    PolicyConfig { rewards: Vec::new(), group: 1, max_new: 1, temperature: 1.0, beta: 0.0, average }
}

/// What a round needs beside the model and the rows.
#[derive(Debug, Clone, Copy)]
pub struct Round<'a> {
    pub encoder: &'a RowEncoder,
    pub rewards: &'a Rewards,
    pub seed: u64,
    pub step: u64,
}

/// The answers of some prompts, `[rows x group]`.
struct Answers {
    sampled: Vec<Sampled>,
    rewards: Vec<f64>,
}

/// Asks the prompts; greedily and once each when `greedy`.
fn ask(
    settings: &Settings,
    model: &Model,
    data: &Dataset,
    rows: &[usize],
    round: &Round,
    greedy: bool,
) -> Result<Answers, EngineError> {
    let group = if greedy { 1 } else { settings.group };
    let temperature = if greedy { 0.0 } else { settings.temperature };
    let asked = || rows.iter().flat_map(|row| (0..group).map(move |k| (*row, k)));
    let ids: Vec<String> = asked().map(|(row, k)| format!("{}/{}/{k}", round.step, data.ids[row])).collect();
    let prompts = asked().map(|(row, _)| &data.examples[row].tokens[..]);
    let jobs: Vec<Job> = prompts.zip(&ids).map(|(tokens, id)| Job { tokens, id, mix: None }).collect();
    let tokenizer = round.encoder.tokenizer();
    let sampling = Sampling { max_new: settings.max_new, temperature, seed: round.seed };
    let stops = tokenizer.stop_ids();
    let sampled = generate_all(model, &jobs, &stops, &sampling, WIDTH, &mut |_, _| Flow::Go)?;
    let mut rewards = Vec::with_capacity(sampled.len());
    for ((row, _), answer) in asked().zip(&sampled) {
        rewards.push(round.rewards.of(&tokenizer.decode(&answer.tokens, true)?, &data.answers[row]));
    }
    Ok(Answers { sampled, rewards })
}

/// Draws answers, rewards them, and adds the gradients of the batch's part of the step's loss.
///
/// A row's loss is minus its mean reward: what the step minimises says nothing of a row by itself.
///
/// # Errors
/// As [`Model::forward_backward`] and [`generate_all`].
pub fn forward_backward(
    settings: &Settings,
    model: &mut Model,
    data: &Dataset,
    rows: &[usize],
    weight: f64,
    round: &Round,
) -> Result<BatchLoss, EngineError> {
    let answers = ask(settings, model, data, rows, round, false)?;
    let group = settings.group;
    let advantage: Vec<f64> = answers
        .rewards
        .chunks(group)
        .flat_map(|rewards| if settings.leave_one_out { leave_one_out(rewards) } else { advantages(rewards) })
        .collect();
    let texts = texts(data, rows, group, &answers.sampled);
    let reference = if settings.loss.beta > 0.0 {
        model.set_adapter_enabled(false);
        let losses = model.token_losses(&texts.pack);
        model.set_adapter_enabled(true);
        texts.split(&losses?).into_iter().map(|[_, c]| c).collect()
    } else {
        vec![Vec::new(); answers.sampled.len()]
    };
    let share = rows.len() as f64 / weight;
    let mut found = told(&answers, group);
    let (mut loss, mut divergence) = (0.0, (0.0, 0));
    model.forward_backward_by(&texts.pack, &mut |losses| {
        let now: Vec<Vec<f64>> = texts.split(losses).into_iter().map(|[_, c]| c).collect();
        for (now, reference) in now.iter().zip(&reference) {
            let gaps = reference.iter().zip(now).map(|(r, p)| (r - p).exp() - (r - p) - 1.0);
            divergence = (divergence.0 + gaps.sum::<f64>(), divergence.1 + reference.len());
        }
        let batch: Vec<Generated> = (0..now.len())
            .map(|i| Generated {
                policy: &now[i],
                old: &now[i],
                reference: &reference[i],
                advantage: advantage[i],
            })
            .collect();
        let mut slopes;
        (loss, slopes) = policy(&batch, &settings.loss);
        slopes.iter_mut().flatten().for_each(|s| *s *= share);
        texts.token_slopes(&slopes)
    })?;
    if divergence.1 > 0 {
        found.metrics.add_sum(metric::KL, divergence.0, divergence.1);
    }
    found.sum = loss * rows.len() as f64;
    Ok(found)
}

/// The greedy answers' rewards. The loss is minus their mean.
///
/// # Errors
/// As [`generate_all`].
pub fn evaluate(
    settings: &Settings,
    model: &Model,
    data: &Dataset,
    rows: &[usize],
    round: &Round,
) -> Result<BatchLoss, EngineError> {
    let answers = ask(settings, model, data, rows, round, true)?;
    let mut found = told(&answers, 1);
    found.sum = found.rows.iter().map(|(loss, _)| loss).sum();
    Ok(found)
}

/// Prompts with their answers; an answer that ended has its end token.
fn texts(data: &Dataset, rows: &[usize], group: usize, sampled: &[Sampled]) -> Texts {
    let mut texts = Texts::default();
    for (i, answer) in sampled.iter().enumerate() {
        let prompt = &data.examples[rows[i / group]].tokens;
        let tokens: Vec<u32> = prompt.iter().chain(&answer.tokens).chain(&answer.stop).copied().collect();
        let completion: Vec<bool> = (1..tokens.len()).map(|at| at >= prompt.len()).collect();
        texts.push(&tokens, &completion, false);
    }
    texts
}

/// What is said of the answers.
fn told(answers: &Answers, group: usize) -> BatchLoss {
    let mut metrics = Metrics::default();
    let mut each = Vec::with_capacity(answers.rewards.len() / group);
    for (i, rewards) in answers.rewards.chunks(group).enumerate() {
        let sampled = &answers.sampled[i * group..(i + 1) * group];
        let mean = rewards.iter().sum::<f64>() / group as f64;
        let spread = rewards.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (group as f64 - 1.0).max(1.0);
        metrics.add(metric::REWARD, mean);
        metrics.add(metric::REWARD_STD, spread.sqrt());
        for answer in sampled {
            metrics.add(metric::LENGTH, (answer.tokens.len() + answer.stop.iter().len()) as f64);
            metrics.add(metric::CUT, f64::from(u8::from(!answer.ended)));
        }
        let tokens = sampled.iter().map(|s| s.tokens.len()).sum();
        each.push((-mean, tokens));
    }
    BatchLoss { sum: 0.0, rows: each, metrics }
}
