//! The shapes of a row before it is tokens.

use serde_json::{Map, Value};
use tillage_protocol::rpc::Row;
use tillage_protocol::EngineError;

/// One row's content.
#[derive(Debug, Clone, PartialEq)]
pub enum RowText {
    Text(String),
    PromptCompletion {
        prompt: String,
        completion: String,
    },
    /// Chat messages as JSON objects; keys beyond `role` and `content` reach the template.
    Messages(Vec<Value>),
}

impl RowText {
    /// Reads the JSON text of a `messages` column.
    ///
    /// # Errors
    /// `bad_messages` when it is not a list of objects with a text `role`, or when it is empty.
    pub fn from_messages_json(json: &str) -> Result<Self, EngineError> {
        let bad = |why: &str| {
            EngineError::user(
                "bad_messages",
                format!("a `messages` value is not a list of chat messages: {why}."),
                "Write messages as [{\"role\": \"user\", \"content\": \"…\"}, …].",
            )
        };
        let value: Value = serde_json::from_str(json).map_err(|e| bad(&e.to_string()))?;
        let Value::Array(list) = value else { return Err(bad("it is no list")) };
        if list.is_empty() {
            return Err(bad("the list is empty"));
        }
        for message in &list {
            if !message.get("role").is_some_and(Value::is_string) {
                return Err(bad("a message has no `role`"));
            }
        }
        Ok(Self::Messages(list))
    }

    /// This row's prompt with the answer of another: its completion, or its last message.
    ///
    /// # Errors
    /// `no_answer` when one of them is a text, or a conversation that does not end with the assistant.
    pub fn with_answer_of(&self, other: &RowText) -> Result<Self, EngineError> {
        match (self, other) {
            (Self::PromptCompletion { prompt, .. }, Self::PromptCompletion { completion, .. }) => {
                Ok(Self::PromptCompletion { prompt: prompt.clone(), completion: completion.clone() })
            }
            (Self::Messages(own), Self::Messages(other)) => {
                let answered = |list: &[Value]| {
                    list.last().is_some_and(|m| m.get("role").and_then(Value::as_str) == Some("assistant"))
                };
                if !answered(own) || !answered(other) {
                    return Err(no_answer());
                }
                let prompt = own[..own.len() - 1].iter();
                Ok(Self::Messages(prompt.chain(other.last()).cloned().collect()))
            }
            _ => Err(no_answer()),
        }
    }

    /// Everything in it that somebody wrote.
    pub fn parts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::PromptCompletion { prompt, completion } => vec![prompt, completion],
            Self::Messages(list) => list.iter().filter_map(|m| m.get("content")?.as_str()).collect(),
        }
    }
}

fn no_answer() -> EngineError {
    EngineError::user(
        "no_answer",
        "the conversation does not end with an answer of the assistant.",
        "Filter such rows out in the recipe.",
    )
}

/// A message with a role and a text.
pub fn message(role: &str, content: &str) -> Value {
    let mut map = Map::new();
    map.insert("role".into(), role.into());
    map.insert("content".into(), content.into());
    Value::Object(map)
}

impl From<&Row> for RowText {
    fn from(row: &Row) -> Self {
        match row {
            Row::Text { text } => Self::Text(text.clone()),
            Row::PromptCompletion { prompt, completion } => {
                Self::PromptCompletion { prompt: prompt.clone(), completion: completion.clone() }
            }
            Row::Messages { messages } => {
                Self::Messages(messages.iter().map(|m| message(&m.role, &m.content)).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_over_and_the_prompt_stays() {
        let pair = |prompt: &str, completion: &str| RowText::PromptCompletion {
            prompt: prompt.into(),
            completion: completion.into(),
        };
        assert_eq!(pair("a", "b").with_answer_of(&pair("c", "d")).unwrap(), pair("a", "d"));
        let talk = |turns: &[(&str, &str)]| {
            RowText::Messages(turns.iter().map(|(role, content)| message(role, content)).collect())
        };
        let (own, other) =
            (talk(&[("user", "a"), ("assistant", "b")]), talk(&[("user", "c"), ("assistant", "d")]));
        assert_eq!(own.with_answer_of(&other).unwrap(), talk(&[("user", "a"), ("assistant", "d")]));
        for (a, b) in
            [(&own, &talk(&[("user", "c")])), (&talk(&[("user", "c")]), &own), (&own, &pair("a", "b"))]
        {
            assert_eq!(a.with_answer_of(b).unwrap_err().code, "no_answer");
        }
    }
}
