//! What an answer is worth: functions of the text and the row's own answer, a reward model's score, or what a program says.

mod command;
mod model;

use crate::spec::bad;
use command::Program;
use jsonschema::Validator;
use model::Judge;
use regex::Regex;
use std::path::Path;
use tillage_model::Model;
use tillage_protocol::run::{Dtype, RewardConfig, RewardKind, Template};
use tillage_protocol::EngineError;
use tillage_text::Clock;

/// An answer, and what it is an answer to.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The row's prompt, before the template.
    pub prompt: &'a str,
    /// The answer, special tokens left out.
    pub text: &'a str,
    /// The row's own answer.
    pub wanted: &'a str,
    /// Tokens of the answer, its end left out.
    pub tokens: usize,
}

/// What rewards that ask a model or a program are made with.
#[derive(Debug, Clone)]
pub struct Around<'a> {
    /// The run's folder, in which programs run that name no other.
    pub run_dir: &'a Path,
    /// How a prompt and its answer become a text for a reward model.
    pub template: &'a Template,
    /// Tokens of such a text at most.
    pub context: usize,
    /// Tokens that a reward model reads at once.
    pub batch_tokens: usize,
    /// How a reward model's weights are held.
    pub dtype: Dtype,
    /// What chat templates see as the time.
    pub clock: Clock,
}

/// The rewards of a run; an answer gets their weighted sum.
#[derive(Debug)]
pub struct Rewards(Vec<Reward>);

#[derive(Debug)]
struct Reward {
    /// As in the evidence: the kind, numbered where there are several.
    name: String,
    kind: Kind,
    weight: f64,
}

#[derive(Debug)]
enum Kind {
    Exact,
    Contains,
    Numeric,
    Regex(Regex),
    JsonSchema(Box<Validator>),
    Length(usize),
    Model(Box<Judge>),
    Command(Program),
}

impl Rewards {
    /// # Errors
    /// `bad_setting` for what cannot reward, or when nothing is rewarded; those of a reward model's folders.
    pub fn new(configs: &[RewardConfig], around: &Around) -> Result<Rewards, EngineError> {
        check(configs)?;
        let mut all: Vec<Reward> = Vec::with_capacity(configs.len());
        for config in configs {
            let kind = match &config.kind {
                RewardKind::Exact => Kind::Exact,
                RewardKind::Contains => Kind::Contains,
                RewardKind::Numeric => Kind::Numeric,
                RewardKind::Regex { pattern } => Kind::Regex(pattern_of(pattern)?),
                RewardKind::JsonSchema { schema } => Kind::JsonSchema(Box::new(validator_of(schema)?)),
                RewardKind::Length { target } => Kind::Length(*target),
                RewardKind::RewardModel { base, adapter, mean, std, squash } => {
                    Kind::Model(Box::new(Judge::load([base, adapter], (*mean, *std, *squash), around)?))
                }
                RewardKind::Command { command, cwd, timeout } => {
                    let cwd = cwd.as_deref().unwrap_or(around.run_dir);
                    Kind::Command(Program::new(command, cwd, *timeout))
                }
            };
            let same = all.iter().filter(|r| kind_of(&r.name) == config.kind.name()).count();
            let name = config.kind.name();
            let name = if same == 0 { name.to_owned() } else { format!("{name} {}", same + 1) };
            all.push(Reward { name, kind, weight: config.weight });
        }
        Ok(Rewards(all))
    }

    /// What each reward is called, in order.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|r| r.name.clone()).collect()
    }

    /// The reward models among them.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.0
            .iter()
            .filter_map(|r| if let Kind::Model(judge) = &r.kind { Some(judge.model()) } else { None })
    }

    /// For each answer what each reward gives, weight included.
    ///
    /// # Errors
    /// `reward_command` when a program ends, is too slow or answers rubbish; the reward models'.
    pub fn of(&self, answers: &[Answer]) -> Result<Vec<Vec<f64>>, EngineError> {
        let mut all = vec![Vec::with_capacity(self.0.len()); answers.len()];
        for Reward { kind, weight, .. } in &self.0 {
            let each = match kind {
                Kind::Model(judge) => judge.scores(answers)?,
                Kind::Command(program) => program.ask(answers)?,
                kind => answers.iter().map(|answer| kind.of(answer)).collect(),
            };
            all.iter_mut().zip(each).for_each(|(shares, x)| shares.push(weight * x));
        }
        Ok(all)
    }
}

fn kind_of(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

/// Checks what can be checked without reading anything.
///
/// # Errors
/// `bad_setting` naming the reward.
pub fn check(configs: &[RewardConfig]) -> Result<(), EngineError> {
    if configs.is_empty() {
        return wrong("is empty, so no answer is better than another".into());
    }
    for config in configs {
        if !config.weight.is_finite() {
            return wrong(format!("has the weight {}", config.weight));
        }
        match &config.kind {
            RewardKind::Regex { pattern } => pattern_of(pattern).map(drop)?,
            RewardKind::JsonSchema { schema } => validator_of(schema).map(drop)?,
            RewardKind::Length { target: 0 } => return wrong("has a length with the target 0".into()),
            RewardKind::RewardModel { mean, std, .. } if !(mean.is_finite() && *std > 0.0) => {
                return wrong(format!(
                    "has a reward_model with mean {mean} and std {std}; std must be above 0"
                ));
            }
            RewardKind::Command { command, .. } if command.first().is_none_or(String::is_empty) => {
                return wrong("has a command that names no program".into());
            }
            RewardKind::Command { timeout, .. } if !(*timeout > 0.0 && *timeout <= 1e6) => {
                return wrong(format!(
                    "has a command with the timeout {timeout}, which must be above 0 and at most 1000000"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn wrong<T>(why: String) -> Result<T, EngineError> {
    bad("policy.rewards", why)
}

fn pattern_of(pattern: &str) -> Result<Regex, EngineError> {
    Regex::new(pattern).or_else(|e| wrong(format!("has {pattern}, which is no regular expression: {e}")))
}

/// A validator that reads nothing but the schema: what refers to a file or an address is refused. Its patterns are matched in
/// linear time.
fn validator_of(schema: &serde_json::Value) -> Result<Validator, EngineError> {
    jsonschema::options()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .or_else(|e| wrong(format!("has a schema that cannot be used: {e}")))
}

impl Kind {
    /// What depends on the answer alone.
    fn of(&self, answer: &Answer) -> f64 {
        let Answer { text, wanted, tokens, .. } = *answer;
        let holds = match self {
            Kind::Exact => text.trim() == wanted.trim(),
            Kind::Contains => text.to_lowercase().contains(&wanted.trim().to_lowercase()),
            Kind::Numeric => match (final_number(text), final_number(wanted)) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1.0),
                _ => false,
            },
            Kind::Regex(regex) => regex.is_match(text),
            Kind::JsonSchema(validator) => {
                serde_json::from_str(text.trim()).is_ok_and(|value| validator.is_valid(&value))
            }
            Kind::Length(target) => {
                return (1.0 - tokens.abs_diff(*target) as f64 / *target as f64).max(0.0);
            }
            // They are asked for all answers at once.
            Kind::Model(_) | Kind::Command(_) => return 0.0,
        };
        f64::from(u8::from(holds))
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

    fn rewards(configs: &[RewardConfig]) -> Result<Rewards, EngineError> {
        Rewards::new(
            configs,
            &Around {
                run_dir: Path::new(""),
                template: &Template::Plain,
                context: 8,
                batch_tokens: 8,
                dtype: Dtype::F32,
                clock: Clock::System,
            },
        )
    }

    fn reward(kind: RewardKind, answer: &str, wanted: &str) -> f64 {
        let rewards = rewards(&[RewardConfig { kind, weight: 0.5 }]).unwrap();
        let answer = Answer { prompt: "", text: answer, wanted, tokens: answer.len() };
        rewards.of(&[answer, answer]).unwrap()[1][0]
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
            ("#### 12\nNo: #### 5", "#### 5", true),
            ("none", "#### 5", false),
        ] {
            assert_eq!(reward(Numeric, answer, wanted) > 0.0, hit, "{answer:?} for {wanted:?}");
        }
        let form = || RewardKind::Regex { pattern: r"^\s*In [A-Z]".into() };
        assert_eq!((reward(form(), " In Graz", ""), reward(form(), "Graz", "")), (0.5, 0.0));
    }

    #[test]
    fn json_is_held_against_a_schema_that_stands_alone() {
        let schema = serde_json::json!({"type": "object", "required": ["town"], "additionalProperties": false,
            "properties": {"town": {"type": "string", "pattern": "^[A-Z]"}, "near": {"$ref": "#"}}});
        let holds = |text: &str| reward(RewardKind::JsonSchema { schema: schema.clone() }, text, "") > 0.0;
        assert!(
            holds("{\"town\": \"Graz\"}")
                && holds("\n {\"town\": \"Graz\", \"near\": {\"town\": \"Linz\"}} ")
        );
        for text in ["", "Graz", "{\"town\": 3}", "{\"town\": \"graz\"}", "{\"town\": \"Graz\"} ok", "{}"] {
            assert!(!holds(text), "{text:?}");
        }
        // A schema that says nothing but itself lets nothing be read, and ends.
        let own = serde_json::json!({"$ref": "#"});
        reward(RewardKind::JsonSchema { schema: own }, "1", "");
        for schema in [
            serde_json::json!({"type": "nothing"}),
            serde_json::json!({"$ref": "https://example.com/schema.json"}),
            serde_json::json!({"$ref": "file:///etc/hostname"}),
            serde_json::json!({"pattern": "(?=a)"}),
        ] {
            let config =
                RewardConfig { kind: RewardKind::JsonSchema { schema: schema.clone() }, weight: 1.0 };
            assert_eq!(rewards(&[config]).unwrap_err().code, "bad_setting", "{schema}");
        }
    }

    #[test]
    fn a_length_is_worth_less_the_further_it_is_off() {
        let length = |tokens: usize| reward(RewardKind::Length { target: 4 }, &"x".repeat(tokens), "");
        assert_eq!([0, 1, 4, 6, 8, 90].map(length), [0.0, 0.125, 0.5, 0.25, 0.0, 0.0]);
    }

    #[test]
    fn several_of_a_kind_are_numbered() {
        let regex = |p: &str| RewardConfig { kind: RewardKind::Regex { pattern: p.into() }, weight: 1.0 };
        let exact = RewardConfig { kind: RewardKind::Exact, weight: 2.0 };
        let all = rewards(&[regex("a"), exact, regex("b")]).unwrap();
        assert_eq!(all.names(), ["regex", "exact", "regex 2"]);
        let answer = Answer { prompt: "", text: "b", wanted: "b", tokens: 1 };
        assert_eq!(all.of(&[answer]).unwrap(), [[0.0, 2.0, 1.0]]);
    }

    #[test]
    fn what_cannot_reward_is_refused() {
        assert_eq!(rewards(&[]).unwrap_err().code, "bad_setting");
        let command = |command: &[&str], timeout| RewardKind::Command {
            command: command.iter().map(|s| (*s).to_owned()).collect(),
            cwd: None,
            timeout,
        };
        for kind in [
            RewardKind::Regex { pattern: "(".into() },
            RewardKind::Length { target: 0 },
            command(&[], 1.0),
            command(&[""], 1.0),
            command(&["x"], 0.0),
            command(&["x"], f64::NAN),
            RewardKind::RewardModel {
                base: "a".into(),
                adapter: "b".into(),
                mean: 0.0,
                std: 0.0,
                squash: Default::default(),
            },
        ] {
            let config = RewardConfig { kind, weight: 1.0 };
            assert_eq!(rewards(std::slice::from_ref(&config)).unwrap_err().code, "bad_setting", "{config:?}");
        }
    }
}
