//! One update's part of the gradient, from answers that were drawn before.

use super::draw::{texts, Known};
use super::{Ppo, Settings};
use crate::metrics::Metrics;
use tillage_model::objective::{
    explained_variance, gae, policy, ppo, token_rewards, whiten, Average, Generated, Valued,
};
use tillage_model::Model;
use tillage_protocol::event::metric;
use tillage_protocol::EngineError;

/// What some answers of an update add to it.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    /// Their part of the update's loss, before the division by its answers over the group's: by its prompts.
    pub sum: f64,
    /// What else is told of them.
    pub metrics: Metrics,
}

/// Adds the gradients of some answers' part of an update's loss; the update learns from `of` answers, with `tokens` in all.
///
/// # Errors
/// As [`Model::forward_backward`].
pub fn learn(
    settings: &Settings,
    model: &mut Model,
    chunk: &[&Known],
    of: usize,
    tokens: usize,
) -> Result<Learned, EngineError> {
    match &settings.ppo {
        Some(kind) => {
            let mut learned = learn_valued((settings, kind), model, chunk, tokens)?;
            learned.sum *= of as f64 / settings.group as f64;
            Ok(learned)
        }
        None => learn_grouped(settings, model, chunk, of, tokens),
    }
}

fn learn_grouped(
    settings: &Settings,
    model: &mut Model,
    chunk: &[&Known],
    of: usize,
    tokens: usize,
) -> Result<Learned, EngineError> {
    let texts = texts(settings, chunk.iter().copied());
    // What the chunk is of the mean over the whole update.
    let own: usize = chunk.iter().map(|one| one.tokens.len() - one.prompt).sum();
    let share = match settings.loss.average {
        Average::Tokens => own as f64 / tokens.max(1) as f64,
        Average::Completions | Average::Sequences | Average::Longest(_) => chunk.len() as f64 / of as f64,
    };
    let mut metrics = Metrics::default();
    let mut found = 0.0;
    model.forward_backward_by(&texts.pack, &mut |losses| {
        let now: Vec<Vec<f64>> = texts.split(losses).into_iter().map(|[_, c]| c).collect();
        let (mut divergence, mut moved, mut tokens) = ((0.0, 0), (0.0, 0), 0);
        for (now, known) in now.iter().zip(chunk) {
            let gaps = known.reference.iter().zip(now).map(|(r, p)| (r - p).exp() - (r - p) - 1.0);
            divergence = (divergence.0 + gaps.sum::<f64>(), divergence.1 + known.reference.len());
            for (p, old) in now.iter().zip(&known.old) {
                // The surrogate is clipped where the ratio has left the bounds in the direction that the advantage asks for.
                let ratio = (p - old).exp();
                let out = if known.advantage[0] > 0.0 {
                    ratio > 1.0 + settings.loss.clip
                } else {
                    known.advantage[0] < 0.0 && ratio < 1.0 - settings.loss.clip
                };
                moved = (moved.0 + 0.5 * (p - old).powi(2), moved.1 + usize::from(out));
                tokens += 1;
            }
        }
        let pairs = now.iter().zip(chunk);
        let batch: Vec<Generated> = pairs.map(|(now, known)| generated(now, known)).collect();
        let (loss, mut slopes) = policy(&batch, &settings.loss);
        slopes.iter_mut().flatten().for_each(|s| *s *= share);
        if divergence.1 > 0 {
            metrics.add_sum(metric::KL, divergence.0, divergence.1);
        }
        if tokens > 0 {
            metrics.add_sum(metric::POLICY_KL, moved.0, tokens);
            metrics.add_sum(metric::CLIP, moved.1 as f64, tokens);
        }
        found = loss;
        texts.token_slopes(&slopes)
    })?;
    Ok(Learned { sum: found * share * of as f64 / settings.group as f64, metrics })
}

/// Where the policy moves once, the old one is the one that is asked.
fn generated<'a>(now: &'a [f64], known: &'a Known) -> Generated<'a> {
    let old = if known.old.is_empty() { now } else { &known.old[..] };
    Generated { policy: now, old, reference: &known.reference, advantage: known.advantage[0] }
}

fn learn_valued(
    (settings, kind): (&Settings, &Ppo),
    model: &mut Model,
    chunk: &[&Known],
    tokens: usize,
) -> Result<Learned, EngineError> {
    let texts = texts(settings, chunk.iter().copied());
    let mut learned = Learned::default();
    model.forward_backward_valued(&texts.pack, &mut |losses, values| {
        let now: Vec<Vec<f64>> = texts.split(losses).into_iter().map(|[_, c]| c).collect();
        let minus: Vec<Vec<f64>> = texts.split(values).into_iter().map(|[_, c]| c).collect();
        let value: Vec<Vec<f64>> = minus.into_iter().map(|v| v.into_iter().map(|v| -v).collect()).collect();
        let batch: Vec<Valued> = (0..chunk.len())
            .map(|i| Valued {
                policy: &now[i],
                old: &chunk[i].old,
                value: &value[i],
                old_value: &chunk[i].value,
                advantage: &chunk[i].advantage,
                returns: &chunk[i].returns,
            })
            .collect();
        let found = ppo(&batch, &kind.loss, tokens);
        let own = now.iter().map(Vec::len).sum();
        learned.sum = found.loss;
        learned.metrics.add_sum(metric::VALUE_LOSS, found.value_loss, own);
        learned.metrics.add_sum(metric::POLICY_KL, found.policy_kl, own);
        learned.metrics.add_sum(metric::CLIP, found.clipped as f64, own);
        let of_values = |slopes: &[Vec<f64>]| slopes.iter().flatten().map(|s| *s as f32).collect();
        (texts.token_slopes(&found.policy), of_values(&found.value))
    })?;
    Ok(learned)
}

/// PPO: from the answers' rewards to the advantages and returns of their tokens, whitened over the whole round; and what is
/// told of them.
pub fn value(kind: &Ppo, known: &mut [Known], rewards: &[f64], ended: &[bool]) -> Metrics {
    let mut metrics = Metrics::default();
    let mut advantages = Vec::with_capacity(known.len());
    for ((one, reward), ended) in known.iter_mut().zip(rewards).zip(ended) {
        let score = reward - if *ended { 0.0 } else { kind.cut_penalty };
        let reference = if one.reference.is_empty() { &one.old } else { &one.reference };
        let rewards = token_rewards(&one.old, reference, kind.kl, score);
        if !one.reference.is_empty() {
            let distance = one.old.iter().zip(reference).map(|(p, r)| p - r).sum();
            metrics.add_sum(metric::KL, distance, one.old.len());
        }
        let (advantage, returns) = gae(&rewards, &one.value, kind.gamma, kind.lambda);
        advantages.push(advantage);
        one.returns = returns;
    }
    let (returns, values): (Vec<_>, Vec<_>) =
        known.iter().map(|one| (one.returns.clone(), one.value.clone())).unzip();
    metrics.add(metric::EXPLAINED, explained_variance(&returns, &values));
    whiten(&mut advantages);
    known.iter_mut().zip(advantages).for_each(|(one, advantage)| one.advantage = advantage);
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::nothing;
    use tillage_protocol::run::{Objective, PolicyConfig, PpoConfig};

    #[test]
    fn tokens_are_fined_for_their_distance_and_answers_for_their_missing_end() {
        let config = PpoConfig { gamma: 1.0, lambda: 1.0, kl: 0.5, cut_penalty: 2.0, ..PpoConfig::default() };
        let config = PolicyConfig { ppo: Some(config), ..nothing() };
        let settings = Settings::of(Objective::Ppo, &config);
        let kind = settings.ppo.as_ref().unwrap();
        let one = || Known {
            old: vec![-1.0, -2.0],
            reference: vec![-1.5, -2.25],
            value: vec![0.0, 0.0],
            ..Known::default()
        };
        let mut known = [one(), one()];
        let metrics = value(kind, &mut known, &[3.0, 3.0], &[true, false]);
        // The last token has the reward and its own fine; with lambda 1 the first has the sum.
        for (known, score) in known.iter().zip([3.0, 1.0]) {
            let wanted = [score - 0.125 - 0.25, score - 0.125];
            assert!(
                known.returns.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12),
                "{:?}",
                known.returns
            );
        }
        assert!(known[0].advantage[0] > 0.0 && known[1].advantage[1] < 0.0, "whitened over both");
        assert!((metrics.means()[metric::KL] - 0.375).abs() < 1e-12);
        // Without a reference nobody is fined.
        let mut free = [Known { reference: Vec::new(), ..one() }];
        value(kind, &mut free, &[3.0], &[true]);
        assert_eq!(free[0].returns, [3.0, 3.0]);
    }
}
