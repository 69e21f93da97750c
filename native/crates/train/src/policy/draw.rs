//! Asking the policy, and rewarding what it says.

use super::{Round, Settings};
use crate::dataset::Dataset;
use crate::method::BatchLoss;
use crate::metrics::Metrics;
use crate::reward::Answer;
use tillage_generate::{generate_all, Flow, Job, Sampled, Sampling, WIDTH};
use tillage_model::objective::{advantages, leave_one_out, Texts};
use tillage_model::Model;
use tillage_protocol::event::metric;
use tillage_protocol::EngineError;

/// The answers of some prompts, `[rows x group]`.
pub struct Answers {
    /// Tokens of each answer.
    pub sampled: Vec<Sampled>,
    /// The same as text, special tokens left out.
    pub texts: Vec<String>,
    /// What each reward gave, weight included, `[answers][rewards]`.
    pub shares: Vec<Vec<f64>>,
    /// Their sum for each answer.
    pub rewards: Vec<f64>,
}

/// An answer, and what is known of the time when it was drawn.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The prompt with the answer behind it, and the end if it has one.
    pub tokens: Vec<u32>,
    /// How many of them are the prompt's.
    pub prompt: usize,
    /// Log-probability of each of the answer's tokens; empty where the policy moves once, and is still the same then.
    pub old: Vec<f64>,
    /// Under the reference; empty where nothing is held against it.
    pub reference: Vec<f64>,
    /// PPO: the value of the text before each token.
    pub value: Vec<f64>,
    /// PPO: the return from each token on.
    pub returns: Vec<f64>,
    /// One number for the answer, or for PPO one for each token.
    pub advantage: Vec<f64>,
}

/// A batch's answers.
pub struct Drawn {
    /// The answers and their rewards.
    pub answers: Answers,
    /// The same as what is learned from, in the same order.
    pub known: Vec<Known>,
    /// What is told of them.
    pub found: BatchLoss,
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
    let texts: Vec<String> =
        sampled.iter().map(|answer| tokenizer.decode(&answer.tokens, true)).collect::<Result<_, _>>()?;
    let answers: Vec<Answer> = asked()
        .zip(sampled.iter().zip(&texts))
        .map(|((row, _), (sampled, text))| Answer {
            prompt: &data.prompts[row],
            text,
            wanted: &data.answers[row],
            tokens: sampled.tokens.len(),
        })
        .collect();
    let shares = round.rewards.of(&answers)?;
    let rewards = shares.iter().map(|each| each.iter().sum()).collect();
    Ok(Answers { sampled, texts, shares, rewards })
}

/// Draws a batch's answers, rewards them, and computes what must be known of the policy before it moves.
///
/// # Errors
/// As [`generate_all`] and [`Model::token_losses`]; those of the rewards.
pub fn draw(
    settings: &Settings,
    model: &mut Model,
    data: &Dataset,
    rows: &[usize],
    round: &Round,
) -> Result<Drawn, EngineError> {
    let answers = ask(settings, model, data, rows, round, false)?;
    let group = settings.group;
    let advantage = answers.rewards.chunks(group).flat_map(|rewards| match settings.ppo {
        // Known when the values are.
        Some(_) => vec![Vec::new(); rewards.len()],
        None if settings.leave_one_out => leave_one_out(rewards).into_iter().map(|a| vec![a]).collect(),
        None => advantages(rewards).into_iter().map(|a| vec![a]).collect(),
    });
    let one = |(i, (answer, advantage)): (usize, (&Sampled, Vec<f64>))| {
        let prompt = &data.examples[rows[i / group]].tokens;
        let tokens = prompt.iter().chain(&answer.tokens).chain(&answer.stop).copied().collect();
        Known { tokens, prompt: prompt.len(), advantage, ..Known::default() }
    };
    let mut known: Vec<Known> = answers.sampled.iter().zip(advantage).enumerate().map(one).collect();
    let texts = texts(settings, known.iter());
    let completions = |losses: &[f32]| texts.split(losses).into_iter().map(|[_, c]| c);
    if settings.needs_reference() {
        let losses = match round.reference {
            Some(reference) => reference.token_losses(&texts.pack),
            None => {
                model.set_adapter_enabled(false);
                let losses = model.token_losses(&texts.pack);
                model.set_adapter_enabled(true);
                losses
            }
        };
        known.iter_mut().zip(completions(&losses?)).for_each(|(k, reference)| k.reference = reference);
    }
    if settings.has_values() {
        let (losses, values) = model.token_losses_and_values(&texts.pack)?;
        known.iter_mut().zip(completions(&losses)).for_each(|(k, old)| k.old = old);
        // A completion's log-probabilities are minus the losses: so are the values, read the same way.
        for (k, minus) in known.iter_mut().zip(completions(&values)) {
            k.value = minus.into_iter().map(|v| -v).collect();
        }
    } else if settings.several() {
        let losses = model.token_losses(&texts.pack)?;
        known.iter_mut().zip(completions(&losses)).for_each(|(k, old)| k.old = old);
    }
    let found = told(&answers, group);
    Ok(Drawn { answers, known, found })
}

/// The greedy answers' rewards. The loss is minus their mean.
///
/// # Errors
/// As [`generate_all`]; those of the rewards.
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

/// Prompts with their answers, whose tokens carry the labels. Log-probabilities, under the policy then and now and under the
/// reference, are those at the temperature that the answers are drawn at, as in TRL: it is that distribution which is learned.
pub fn texts<'a>(settings: &Settings, known: impl Iterator<Item = &'a Known>) -> Texts {
    let mut texts = Texts::default();
    texts.pack.temperature = Some(settings.temperature as f32);
    for one in known {
        let completion: Vec<bool> = (1..one.tokens.len()).map(|at| at >= one.prompt).collect();
        texts.push(&one.tokens, &completion, false);
    }
    texts
}

/// What is said of the answers. A row's loss is minus its mean reward: what a step minimises says nothing of a row by itself.
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
