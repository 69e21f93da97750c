//! What an answer is worth: functions of the text and the row's own answer.

use crate::spec::bad;
use regex::Regex;
use tillage_protocol::run::{RewardConfig, RewardKind};
use tillage_protocol::EngineError;

/// The rewards of a run; an answer gets their weighted sum.
#[derive(Debug)]
pub struct Rewards(Vec<(Kind, f64)>);

#[derive(Debug)]
enum Kind {
    Exact,
    Contains,
    Numeric,
    Regex(Regex),
}

impl Rewards {
    /// # Errors
    /// `bad_setting` for a pattern that is no regular expression, or when nothing is rewarded.
    pub fn new(configs: &[RewardConfig]) -> Result<Rewards, EngineError> {
        let bad = |why: String| bad("policy.rewards", why);
        if configs.is_empty() {
            return bad("is empty, so no answer is better than another".into());
        }
        let mut all = Vec::with_capacity(configs.len());
        for config in configs {
            if !config.weight.is_finite() {
                return bad(format!("has the weight {}", config.weight));
            }
            let kind = match &config.kind {
                RewardKind::Exact => Kind::Exact,
                RewardKind::Contains => Kind::Contains,
                RewardKind::Numeric => Kind::Numeric,
                RewardKind::Regex { pattern } => match Regex::new(pattern) {
                    Ok(regex) => Kind::Regex(regex),
                    Err(e) => return bad(format!("has {pattern}, which is no regular expression: {e}")),
                },
            };
            all.push((kind, config.weight));
        }
        Ok(Rewards(all))
    }

    /// The reward of an answer; `wanted` is the row's own.
    pub fn of(&self, answer: &str, wanted: &str) -> f64 {
        self.0.iter().map(|(kind, weight)| if kind.holds(answer, wanted) { *weight } else { 0.0 }).sum()
    }
}

impl Kind {
    fn holds(&self, answer: &str, wanted: &str) -> bool {
        match self {
            Kind::Exact => answer.trim() == wanted.trim(),
            Kind::Contains => answer.to_lowercase().contains(&wanted.trim().to_lowercase()),
            Kind::Numeric => match (final_number(answer), final_number(wanted)) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1.0),
                _ => false,
            },
            Kind::Regex(regex) => regex.is_match(answer),
        }
    }
}

/// The number behind the last `####` (GSM8K, Cobbe et al. 2021), or the last number of the text.
fn final_number(text: &str) -> Option<f64> {
    let text = text.rsplit("####").next().filter(|tail| numbers(tail).next().is_some()).unwrap_or(text);
    numbers(text).last()
}

/// Numbers as people write them: 1,060.5 and -3 and $12.
fn numbers(text: &str) -> impl Iterator<Item = f64> + '_ {
    let part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-');
    text.split(move |c| !part(c)).filter_map(|word| {
        let word = word.trim_end_matches(['.', ',', '-']).replace(',', "");
        // A range or a date is not a negative number.
        let digits =
            word.rfind('-').map_or(word.as_str(), |at| if at == 0 { &word } else { &word[at + 1..] });
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reward(kind: RewardKind, answer: &str, wanted: &str) -> f64 {
        Rewards::new(&[RewardConfig { kind, weight: 0.5 }]).unwrap().of(answer, wanted)
    }

    #[test]
    fn answers_are_worth_what_they_say() {
        use RewardKind::{Contains, Exact, Numeric};
        assert_eq!(reward(Exact, " In Graz.\n", "In Graz."), 0.5);
        assert_eq!(reward(Exact, "In graz.", "In Graz."), 0.0);
        assert_eq!(reward(Contains, "It stands in GRAZ, I think.", "graz"), 0.5);
        assert_eq!(reward(Contains, "In Lyon.", "Graz"), 0.0);
        for (answer, wanted, hit) in [
            ("so 3 + 4 = 7. The answer is 7.", "3 + 4 = <<3+4=7>>7\n#### 7", true),
            ("7 apples and 8 pears", "#### 7", false),
            ("it is $1,060.50", "#### 1060.5", true),
            ("-3", "#### -3", true),
            ("2019-03", "#### 3", true),
            ("#### 12\nHence 5 remain", "#### 5", true),
            ("none", "#### 5", false),
        ] {
            assert_eq!(reward(Numeric, answer, wanted) > 0.0, hit, "{answer:?} for {wanted:?}");
        }
        let form = || RewardKind::Regex { pattern: r"^\s*In [A-Z]".into() };
        assert_eq!((reward(form(), " In Graz", ""), reward(form(), "Graz", "")), (0.5, 0.0));
    }

    #[test]
    fn what_cannot_reward_is_refused() {
        assert_eq!(Rewards::new(&[]).unwrap_err().code, "bad_setting");
        let kind = RewardKind::Regex { pattern: "(".into() };
        assert_eq!(Rewards::new(&[RewardConfig { kind, weight: 1.0 }]).unwrap_err().code, "bad_setting");
    }
}
