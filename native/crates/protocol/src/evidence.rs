//! Texts that a run made and learned from, one JSON object a line in files of its folder.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A line of `rollouts.jsonl`: an answer that the policy drew. The answers of a step stand before its event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// The step that learned from it.
    pub step: u64,
    /// `_row_id` of the row whose prompt was answered.
    pub row_id: String,
    /// Place among the answers of its prompt, from 0.
    pub place: usize,
    /// The answer, special tokens left out.
    pub text: String,
    /// The sum of what follows.
    pub reward: f64,
    /// What each reward gave, weight included; several of a kind are numbered.
    pub rewards: BTreeMap<String, f64>,
    /// How much better than expected; for PPO the mean over the tokens.
    pub advantage: f64,
    /// Tokens of the answer, its end left out.
    pub tokens: usize,
    /// Whether it came to its end by itself.
    pub ended: bool,
}

/// A line of `teacher_answers.jsonl` behind the first, which says what the answers belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TeacherAnswer {
    /// `_row_id` of the row whose prompt was answered.
    pub row_id: String,
    /// The row's prompt, before the template.
    pub prompt: String,
    /// The answer, special tokens left out.
    pub text: String,
    /// Tokens of the answer, its end left out.
    pub tokens: usize,
    /// Whether it came to its end by itself.
    pub ended: bool,
}
