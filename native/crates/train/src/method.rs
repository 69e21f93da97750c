//! What a step minimises, and what it says of its rows.

use crate::data::Rows;
use crate::dataset::Dataset;
use crate::metrics::Metrics;
use crate::policy::{self, Round};
use tillage_model::objective::{bradley_terry, kto, Judged, PairLoss, Pairs, Texts, Weighed};
use tillage_model::{DistillLoss, Distillation, Model};
use tillage_protocol::event::metric;
use tillage_protocol::run::{Objective, PreferenceConfig};
use tillage_protocol::{EngineError, RunSpec};

/// An objective with its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Cross-entropy of labelled tokens.
    Tokens,
    /// A loss of chosen answers against rejected ones.
    Pairs(PairLoss),
    /// A teacher's distribution at labelled tokens.
    Distill(Distillation),
    /// Rewards of the model's own answers.
    Policy(policy::Settings),
    /// Scores of chosen answers above those of rejected ones.
    Reward,
    /// KTO, with the weights of good and of bad answers.
    Judgements { beta: f64, weights: [f64; 2] },
}

/// What a pass needs beside the model and the rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// What a distillation learns from.
    pub teacher: Option<&'a Model>,
    /// How the model's own answers are drawn and rewarded.
    pub round: Option<Round<'a>>,
}

/// What a batch adds to its step.
#[derive(Debug, Clone, Default)]
pub struct BatchLoss {
    /// Its part of the step's loss, before the division by the step's [weight](Method::weight).
    pub sum: f64,
    /// Each row's own loss, and the labelled tokens that it was computed on.
    pub rows: Vec<(f64, usize)>,
    /// What else is told of the rows.
    pub metrics: Metrics,
}

impl Method {
    /// The method of a run's objective, with its settings.
    pub fn of(spec: &RunSpec) -> Method {
        let p = spec.preference.clone().unwrap_or_default();
        let beta = p.beta.unwrap_or(0.1);
        Method::Pairs(match spec.objective {
            Objective::Pretrain | Objective::Sft => return Method::Tokens,
            Objective::Distill if spec.distill.as_ref().is_some_and(|d| d.sequence.is_some()) => {
                return Method::Tokens;
            }
            Objective::Distill => {
                let settings = spec.distill.as_ref().map_or((1.0, 1.0), |d| (d.temperature, d.alpha));
                return Method::Distill(Distillation {
                    temperature: settings.0 as f32,
                    alpha: settings.1 as f32,
                });
            }
            Objective::Grpo | Objective::Rloo | Objective::Ppo => {
                let config = spec.policy.clone().unwrap_or_else(policy::nothing);
                return Method::Policy(policy::Settings::of(spec.objective, &config));
            }
            Objective::Reward => return Method::Reward,
            Objective::Kto => {
                let weights = [p.desirable_weight.unwrap_or(1.0), p.undesirable_weight.unwrap_or(1.0)];
                return Method::Judgements { beta, weights };
            }
            Objective::Dpo => PairLoss::Dpo { beta, smoothing: p.label_smoothing.unwrap_or(0.0) },
            Objective::Ipo => PairLoss::Ipo { beta },
            Objective::Hinge => PairLoss::Hinge { beta },
            Objective::ApoZero => PairLoss::ApoZero { beta },
            Objective::Simpo => {
                PairLoss::SimPo { beta: p.beta.unwrap_or(2.0), gamma: p.gamma.unwrap_or(1.0) }
            }
            Objective::Cpo => PairLoss::Cpo { beta, alpha: p.alpha.unwrap_or(1.0) },
            Objective::Orpo => PairLoss::Orpo { beta },
        })
    }

    /// A setting that is there and that the objective does not use.
    pub fn unused(objective: Objective, p: &PreferenceConfig) -> Option<&'static str> {
        use Objective::{Distill, Grpo, Ppo, Pretrain, Reward, Rloo, Sft};
        let pairs = !matches!(objective, Pretrain | Sft | Distill | Reward | Grpo | Rloo | Ppo);
        let each = [
            ("beta", p.beta, pairs),
            ("label_smoothing", p.label_smoothing, objective == Objective::Dpo),
            ("gamma", p.gamma, objective == Objective::Simpo),
            ("alpha", p.alpha, objective == Objective::Cpo),
            ("desirable_weight", p.desirable_weight, objective == Objective::Kto),
            ("undesirable_weight", p.undesirable_weight, objective == Objective::Kto),
        ];
        each.into_iter().find(|(_, value, used)| value.is_some() && !used).map(|(name, ..)| name)
    }

    /// What it reads.
    pub fn rows(&self) -> Rows {
        match self {
            Method::Tokens | Method::Distill(_) => Rows::Texts,
            Method::Pairs(_) | Method::Reward => Rows::Pairs,
            Method::Judgements { .. } => Rows::Judged,
            Method::Policy(_) => Rows::Prompts,
        }
    }

    /// Whether log-probabilities under the model before training are needed.
    pub fn needs_reference(&self) -> bool {
        match self {
            Method::Tokens | Method::Distill(_) | Method::Reward | Method::Policy(_) => false,
            Method::Pairs(kind) => kind.needs_reference(),
            Method::Judgements { .. } => true,
        }
    }

    /// Tokens that an answer of the model's own may take, and answers of each prompt; none where it draws none.
    pub fn room(&self) -> (usize, usize) {
        match self {
            Method::Policy(settings) => (settings.max_new, settings.group),
            _ => (0, 1),
        }
    }

    /// Whether all texts of a row are computed together.
    pub fn in_one_batch(&self) -> bool {
        !matches!(self, Method::Judgements { .. })
    }

    /// What rows weigh in their step: labelled tokens, or the rows themselves, each times the row's own weight.
    pub fn weight(&self, data: &Dataset, rows: &[usize]) -> f64 {
        let each = |row: &usize| match self {
            Method::Tokens | Method::Distill(_) => data.weight(*row) * data.label_tokens(*row) as f64,
            _ => data.weight(*row),
        };
        rows.iter().map(each).sum()
    }

    /// Adds the gradients of the batch's part of the step's loss; `weight` is that of the whole step. A policy's steps are
    /// rounds: see [`policy::take`].
    ///
    /// # Errors
    /// As [`Model::forward_backward`].
    pub fn forward_backward(
        &self,
        model: &mut Model,
        data: &Dataset,
        rows: &[usize],
        weight: f64,
        around: &Around,
    ) -> Result<BatchLoss, EngineError> {
        if *self == Method::Tokens {
            let mut pack = data.pack(rows);
            pack.normalizer = Some(weight as f32);
            return Ok(of_tokens(&model.forward_backward(&pack)?));
        }
        if let Method::Policy(_) = self {
            return Err(EngineError::internal("no_round", "A policy learns in rounds, not from rows."));
        }
        if let (Method::Distill(settings), Some(teacher)) = (self, around.teacher) {
            let mut pack = data.pack(rows);
            pack.normalizer = Some(weight as f32);
            return Ok(of_distilled(&model.distill(&pack, teacher, *settings)?));
        }
        let share = self.weight(data, rows) / weight;
        let mut found = BatchLoss::default();
        if *self == Method::Reward {
            let texts = data.texts(rows, 0..2, false);
            model.forward_backward_scores(&texts.pack, &mut |scores| {
                let weighed;
                (weighed, found) = of_scores(scores, data, rows);
                weighed.completion.iter().map(|s| (s * share) as f32).collect()
            })?;
            return Ok(found);
        }
        let batch = self.batch(model, data, rows)?;
        model.forward_backward_by(&batch.texts.pack, &mut |losses| {
            let weighed;
            (weighed, found) = self.weigh(&batch, losses);
            let scaled = |slopes: &[f64]| slopes.iter().map(|s| s * share).collect::<Vec<f64>>();
            batch.texts.slopes(&scaled(&weighed.completion), &scaled(&weighed.prompt))
        })?;
        Ok(found)
    }

    /// The batch's loss, without gradients.
    ///
    /// # Errors
    /// As [`Model::loss_only`].
    pub fn evaluate(
        &self,
        model: &Model,
        data: &Dataset,
        rows: &[usize],
        around: &Around,
    ) -> Result<BatchLoss, EngineError> {
        if let (Method::Policy(settings), Some(round)) = (self, &around.round) {
            return policy::evaluate(settings, model, data, rows, round);
        }
        if let (Method::Distill(settings), Some(teacher)) = (self, around.teacher) {
            return Ok(of_distilled(&model.distill_loss(&data.pack(rows), teacher, *settings)?));
        }
        if *self == Method::Tokens {
            return Ok(of_tokens(&model.loss_only(&data.pack(rows))?));
        }
        if *self == Method::Reward {
            let scores = model.scores(&data.texts(rows, 0..2, false).pack)?;
            return Ok(of_scores(&scores, data, rows).1);
        }
        let batch = self.batch(model, data, rows)?;
        let losses = model.token_losses(&batch.texts.pack)?;
        Ok(self.weigh(&batch, &losses).1)
    }

    fn batch(&self, model: &Model, data: &Dataset, rows: &[usize]) -> Result<Batch, EngineError> {
        let parts = if matches!(self, Method::Pairs(_)) { 0..2 } else { 0..1 };
        let prompts = matches!(self, Method::Pairs(kind) if kind.needs_prompts());
        let mut unrelated = Vec::new();
        if matches!(self, Method::Judgements { .. }) {
            let texts = data.texts(rows, 1..2, false);
            let policy = log_probabilities(model, &texts)?;
            unrelated = policy.into_iter().zip(data.reference(rows, 1..2)).collect();
        }
        Ok(Batch {
            texts: data.texts(rows, parts.clone(), prompts),
            reference: data.reference(rows, parts),
            weights: data.weights_of(rows),
            good: rows.iter().map(|row| data.good[*row]).collect(),
            unrelated,
        })
    }

    /// The loss with its slopes, and what is told of it.
    fn weigh(&self, batch: &Batch, losses: &[f32]) -> (Weighed, BatchLoss) {
        let parts = batch.texts.split(losses);
        let completion: Vec<f64> = parts.iter().map(|[_, c]| c.iter().sum()).collect();
        let tokens: Vec<usize> = parts.iter().map(|[_, c]| c.len()).collect();
        let reference = |i: usize| batch.reference.get(i).copied().unwrap_or(0.0);
        let mut metrics = Metrics::default();
        let (weighed, n, weight) = match self {
            Method::Pairs(kind) => {
                let n = completion.len() / 2;
                let prompt: Vec<(f64, usize)> =
                    parts.iter().map(|[p, _]| (p.iter().sum(), p.len())).collect();
                for i in 0..n {
                    let reward = |i: usize| kind.reward(completion[i], reference(i), tokens[i]);
                    metrics.add_pair(reward(i), reward(i + n));
                }
                let pairs = Pairs {
                    completion: &completion,
                    tokens: &tokens,
                    prompt: &prompt,
                    reference: &batch.reference,
                    weights: &batch.weights,
                };
                let weight = if batch.weights.is_empty() { n as f64 } else { batch.weights.iter().sum() };
                (pairs.loss(*kind), n, weight)
            }
            Method::Judgements { beta, weights } => {
                let judged = Judged {
                    policy: &completion,
                    reference: &batch.reference,
                    good: &batch.good,
                    unrelated: &batch.unrelated,
                };
                for (i, good) in batch.good.iter().enumerate() {
                    let name = if *good { metric::CHOSEN } else { metric::REJECTED };
                    metrics.add(name, beta * (completion[i] - reference(i)));
                }
                metrics.add(metric::KL, judged.drift());
                let n = completion.len();
                (kto(&judged, *beta, *weights), n, n as f64)
            }
            // The others go their own ways; there is nothing to weigh.
            Method::Tokens | Method::Distill(_) | Method::Reward | Method::Policy(_) => {
                (Weighed::default(), 0, 0.0)
            }
        };
        let row_tokens = |i: usize| tokens[i] + tokens.get(i + n).copied().unwrap_or(0);
        let rows = weighed.each.iter().enumerate().map(|(i, loss)| (*loss, row_tokens(i))).collect();
        let found = BatchLoss { sum: weighed.loss * weight, rows, metrics };
        (weighed, found)
    }
}

/// What a batch of answers is weighed by.
struct Batch {
    texts: Texts,
    reference: Vec<f64>,
    /// What the rows weigh; empty where all weigh the same.
    weights: Vec<f64>,
    good: Vec<bool>,
    /// Log-probabilities of the unrelated answers, under policy and reference.
    unrelated: Vec<(f64, f64)>,
}

fn of_distilled(found: &DistillLoss) -> BatchLoss {
    let mut loss = of_tokens(&found.loss);
    loss.metrics.add_sum(metric::KL, found.divergence, found.loss.tokens);
    loss.metrics.add_sum(metric::NLL, found.nll, found.loss.tokens);
    loss
}

/// The loss of scores, first all chosen, then all rejected answers.
fn of_scores(scores: &[f32], data: &Dataset, rows: &[usize]) -> (Weighed, BatchLoss) {
    let scores: Vec<f64> = scores.iter().map(|s| f64::from(*s)).collect();
    let weights = data.weights_of(rows);
    let weighed = bradley_terry(&scores, &weights);
    let mut metrics = Metrics::default();
    let (chosen, rejected) = scores.split_at(rows.len());
    chosen.iter().zip(rejected).for_each(|(c, r)| metrics.add_pair(*c, *r));
    let each = weighed.each.iter().zip(rows);
    let found = BatchLoss {
        sum: weighed.loss * Method::Reward.weight(data, rows),
        rows: each.map(|(loss, row)| (*loss, data.label_tokens(*row))).collect(),
        metrics,
    };
    (weighed, found)
}

fn of_tokens(loss: &tillage_model::StepLoss) -> BatchLoss {
    let row = |(sum, tokens): &(f64, usize)| (sum / (*tokens).max(1) as f64, *tokens);
    BatchLoss { sum: loss.sum, rows: loss.per_example.iter().map(row).collect(), metrics: Metrics::default() }
}

/// Log-probabilities of a pack's completions, in its order.
///
/// # Errors
/// As [`Model::token_losses`].
pub fn log_probabilities(model: &Model, texts: &Texts) -> Result<Vec<f64>, EngineError> {
    Ok(texts.sums(&model.token_losses(&texts.pack)?))
}

#[cfg(test)]
mod tests;
