//! A step of a policy objective: a round of answers, and the updates that learn from them.

use super::draw::{draw, Answers, Drawn, Known};
use super::learn::{learn, value};
use super::{Round, Settings};
use crate::dataset::Dataset;
use crate::method::BatchLoss;
use crate::metrics::Metrics;
use crate::optimizer::Optimizer;
use crate::step;
use rand::seq::SliceRandom;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::time::Instant;
use tillage_model::Model;
use tillage_protocol::evidence::Rollout;
use tillage_protocol::run::TrainConfig;
use tillage_protocol::EngineError;

/// What the updates of a step are made with.
pub struct Pass<'a> {
    /// What is trained.
    pub model: &'a mut Model,
    /// What trains it.
    pub optimizer: &'a mut Optimizer,
    /// The run's settings.
    pub config: &'a TrainConfig,
    /// Learning rate of the step.
    pub lr: f64,
}

/// A step that was taken.
pub struct Taken {
    /// Mean over the updates of their losses.
    pub loss: f64,
    /// Mean over the updates of their gradients' L2 norms before clipping.
    pub norm: f64,
    /// What is told of each batch's rows; the metrics are those of the whole round.
    pub batches: Vec<BatchLoss>,
    /// What else is told of the round.
    pub metrics: Metrics,
    /// The answers, as lines of `rollouts.jsonl`.
    pub rollouts: Vec<Rollout>,
}

/// Which answers an update learns from, in chunks that are computed together.
type Update = Vec<Vec<usize>>;

/// Draws the answers to a step's prompts and learns from them.
///
/// # Errors
/// As [`Model::forward_backward`] and the rewards; `nan_loss` naming the rows.
pub fn take(
    settings: &Settings,
    pass: Pass,
    data: &Dataset,
    batches: &[Vec<usize>],
    round: &Round,
) -> Result<Taken, EngineError> {
    let Pass { model, optimizer, config, lr } = pass;
    let mut drawn = Vec::with_capacity(batches.len());
    for rows in batches {
        drawn.push(draw(settings, model, data, rows, round)?);
    }
    let sizes: Vec<usize> = drawn.iter().map(|d| d.known.len()).collect();
    let (known, answers, found, mut metrics) = judge(settings, drawn);
    let rollouts = rollouts(settings, data, batches, &known, &answers, round);
    let plan = updates(settings, &known, &sizes, config, round.step);
    let (count, mut loss, mut norms) = (plan.len() as f64, 0.0, 0.0);
    for (at, update) in plan.into_iter().enumerate() {
        model.zero_grad();
        let of: usize = update.iter().map(Vec::len).sum();
        let all = || update.iter().flatten().map(|i| &known[*i]);
        let tokens = all().map(|one| one.tokens.len() - one.prompt).sum();
        let mut sum = 0.0;
        for (i, chunk) in update.iter().enumerate() {
            model.set_dropout_key(step::dropout_key(config.seed, round.step, (at << 20 | i) as u64));
            let chunk: Vec<&Known> = chunk.iter().map(|i| &known[*i]).collect();
            let learned = learn(settings, model, &chunk, of, tokens)?;
            sum += learned.sum;
            metrics.merge(&learned.metrics);
        }
        let not_a_number = step::not_a_number_of(batches, &data.ids, round.step + 1);
        if !sum.is_finite() {
            return Err(not_a_number("loss"));
        }
        let norm = Optimizer::grad_norm(model);
        if !norm.is_finite() {
            return Err(not_a_number("gradient"));
        }
        optimizer.apply(model, config, lr, norm);
        loss += sum / (of as f64 / settings.group as f64);
        norms += norm;
    }
    Ok(Taken { loss: loss / count, norm: norms / count, batches: found, metrics, rollouts })
}

/// Seconds that a step of these rows takes, measured: its answers, and all updates. Nothing is changed but gradients.
///
/// # Errors
/// As [`take`].
pub fn measure(
    settings: &Settings,
    model: &mut Model,
    data: &Dataset,
    rows: &[usize],
    round: &Round,
) -> Result<f64, EngineError> {
    let begun = Instant::now();
    let drawn = draw(settings, model, data, rows, round)?;
    let drawing = begun.elapsed().as_secs_f64();
    let (known, ..) = judge(settings, vec![drawn]);
    let all: Vec<&Known> = known.iter().collect();
    let tokens = all.iter().map(|one| one.tokens.len() - one.prompt).sum();
    // The first pass also makes the buffers; the second is what an epoch takes.
    learn(settings, model, &all, all.len(), tokens)?;
    let begun = Instant::now();
    learn(settings, model, &all, all.len(), tokens)?;
    Ok(drawing + begun.elapsed().as_secs_f64() * settings.epochs as f64)
}

/// All batches' answers in one list, with their advantages, and what is told of them.
fn judge(settings: &Settings, drawn: Vec<Drawn>) -> (Vec<Known>, Vec<Answers>, Vec<BatchLoss>, Metrics) {
    let mut metrics = Metrics::default();
    let (mut known, mut answers, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for one in drawn {
        metrics.merge(&one.found.metrics);
        known.extend(one.known);
        answers.push(one.answers);
        found.push(one.found);
    }
    if let Some(ppo) = &settings.ppo {
        let rewards: Vec<f64> = answers.iter().flat_map(|a| &a.rewards).copied().collect();
        let ended: Vec<bool> = answers.iter().flat_map(|a| &a.sampled).map(|s| s.ended).collect();
        metrics.merge(&value(ppo, &mut known, &rewards, &ended));
    }
    (known, answers, found, metrics)
}

/// The answers as evidence.
fn rollouts(
    settings: &Settings,
    data: &Dataset,
    batches: &[Vec<usize>],
    known: &[Known],
    answers: &[Answers],
    round: &Round,
) -> Vec<Rollout> {
    let names = round.rewards.names();
    let mut known = known.iter();
    let mut all = Vec::new();
    for (rows, answers) in batches.iter().zip(answers) {
        for i in 0..answers.texts.len() {
            let advantage = known.next().map_or(&[][..], |one| &one.advantage);
            all.push(Rollout {
                step: round.step + 1,
                row_id: data.ids[rows[i / settings.group]].clone(),
                place: i % settings.group,
                text: answers.texts[i].clone(),
                reward: answers.rewards[i],
                rewards: names.iter().cloned().zip(answers.shares[i].iter().copied()).collect(),
                advantage: advantage.iter().sum::<f64>() / advantage.len().max(1) as f64,
                tokens: answers.sampled[i].tokens.len(),
                ended: answers.sampled[i].ended,
            });
        }
    }
    all
}

/// The updates of a round: in each epoch all answers, in as many parts as there are minibatches. A single part has the step's
/// own batches; several are drawn anew in each epoch, and packed into chunks of the run's size.
fn updates(
    settings: &Settings,
    known: &[Known],
    sizes: &[usize],
    config: &TrainConfig,
    step: u64,
) -> Vec<Update> {
    let mut all = Vec::new();
    for epoch in 0..settings.epochs {
        if settings.minibatches == 1 {
            let mut first = 0;
            let batch = |size: &usize| {
                first += size;
                (first - size..first).collect()
            };
            all.push(sizes.iter().map(batch).collect());
            continue;
        }
        let mut order: Vec<usize> = (0..known.len()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(step::dropout_key(config.seed, step, u64::MAX));
        rng.set_stream(epoch as u64);
        order.shuffle(&mut rng);
        for part in order.chunks(known.len().div_ceil(settings.minibatches)) {
            all.push(chunks(part, known, config.batch_tokens));
        }
    }
    all
}

/// Answers in chunks of at most so many tokens; a longer one is a chunk by itself.
fn chunks(part: &[usize], known: &[Known], capacity: usize) -> Update {
    let mut all: Update = Vec::new();
    let mut room = 0;
    for &i in part {
        let tokens = known[i].tokens.len();
        match all.last_mut() {
            Some(chunk) if tokens <= room => chunk.push(i),
            _ => {
                all.push(vec![i]);
                room = capacity.max(tokens);
            }
        }
        room -= tokens;
    }
    all
}

#[cfg(test)]
mod by_hand;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::nothing;
    use tillage_protocol::run::{Objective, PolicyConfig};

    fn settings(epochs: usize, minibatches: usize) -> Settings {
        let config = PolicyConfig { epochs: Some(epochs), minibatches: Some(minibatches), ..nothing() };
        Settings::of(Objective::Grpo, &config)
    }

    fn config() -> TrainConfig {
        serde_json::from_value(serde_json::json!({"epochs": 1, "batch_tokens": 25, "context": 16, "lr": 0.1,
            "schedule": "constant", "seed": 4}))
        .unwrap()
    }

    fn known(lengths: &[usize]) -> Vec<Known> {
        lengths.iter().map(|n| Known { tokens: vec![0; *n], ..Known::default() }).collect()
    }

    #[test]
    fn each_objective_has_its_mean_and_its_old_policy() {
        let of = |objective, average| {
            let config = PolicyConfig { average, max_new: 9, ..nothing() };
            Settings::of(objective, &config).loss.average
        };
        use tillage_model::objective::Average;
        use tillage_protocol::run::PolicyAverage::{Completions, Longest, Tokens};
        assert_eq!(of(Objective::Grpo, Tokens), Average::Tokens);
        assert_eq!(of(Objective::Grpo, Completions), Average::Completions);
        assert_eq!(of(Objective::Grpo, Longest), Average::Longest(9));
        assert_eq!(of(Objective::Rloo, Tokens), Average::Sequences);
        for (epochs, minibatches, several) in [(1, 1, false), (2, 1, true), (1, 2, true)] {
            assert_eq!(settings(epochs, minibatches).several(), several);
        }
        let ppo = Settings::of(Objective::Ppo, &nothing());
        assert!(ppo.has_values() && ppo.several() && ppo.needs_reference());
        assert!(!settings(1, 1).needs_reference() && !settings(1, 1).has_values());
    }

    #[test]
    fn what_is_learned_is_the_distribution_at_the_temperature_of_the_draws() {
        let config = PolicyConfig { temperature: 0.7, ..nothing() };
        let settings = Settings::of(Objective::Grpo, &config);
        let texts = crate::policy::draw::texts(&settings, known(&[3, 4]).iter());
        assert_eq!(texts.pack.temperature, Some(0.7));
    }

    #[test]
    fn one_part_has_the_batches_of_the_step() {
        let plan = updates(&settings(2, 1), &known(&[9; 5]), &[2, 3], &config(), 7);
        assert_eq!(plan, [[vec![0, 1], vec![2, 3, 4]], [vec![0, 1], vec![2, 3, 4]]]);
    }

    #[test]
    fn every_epoch_sees_every_answer_once_in_chunks_that_fit() {
        let known = known(&[10, 12, 5, 30, 8, 9, 11]);
        let plan = |step| updates(&settings(3, 2), &known, &[3, 4], &config(), step);
        let found = plan(7);
        assert_eq!((found.len(), &found), (6, &plan(7)));
        assert_ne!(found, plan(8));
        assert_ne!(found[..2], found[2..4], "another order in each epoch");
        for epoch in found.chunks(2) {
            let mut seen = epoch.concat().concat();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
        }
        for chunk in found.iter().flatten() {
            let tokens: usize = chunk.iter().map(|i| known[*i].tokens.len()).sum();
            assert!(tokens <= 25 || chunk.len() == 1, "{chunk:?}");
        }
    }
}
