//! The shapes of a row before it is tokens.

use serde_json::{Map, Value};
use tillage_protocol::rpc::{Message, Row};
use tillage_protocol::EngineError;

/// One row's content.
#[derive(Debug, Clone, PartialEq)]
pub enum RowText {
    /// A document.
    Text(String),
    /// A question and its answer.
    PromptCompletion {
        /// What is asked.
        prompt: String,
        /// What is answered, without an end token.
        completion: String,
    },
    /// Chat messages as JSON objects; keys beyond `role` and `content` reach the template, and so do the tools that are offered.
    Messages {
        /// Objects with a text `role`.
        messages: Vec<Value>,
        /// A list of objects.
        tools: Option<Value>,
    },
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
        Ok(Self::Messages { messages: list, tools: None })
    }

    /// A conversation with the tools that it is offered, from the JSON text of a `tools` column; `null` is none.
    ///
    /// # Errors
    /// `bad_tools` when they are no list of objects.
    pub fn with_tools_json(self, json: &str) -> Result<Self, EngineError> {
        let bad = |why: &str| {
            EngineError::user(
                "bad_tools",
                format!("a `tools` value is not a list of tools: {why}."),
                "Write tools as [{\"type\": \"function\", \"function\": {\"name\": \"…\", \"parameters\": {…}}}, …].",
            )
        };
        let value: Value = serde_json::from_str(json).map_err(|e| bad(&e.to_string()))?;
        match (self, value) {
            (row, Value::Null) => Ok(row),
            (Self::Messages { messages, .. }, Value::Array(list)) if list.iter().all(Value::is_object) => {
                Ok(Self::Messages { messages, tools: Some(Value::Array(list)) })
            }
            (Self::Messages { .. }, Value::Array(_)) => Err(bad("a tool is no object")),
            (Self::Messages { .. }, _) => Err(bad("it is no list")),
            (row, _) => Ok(row),
        }
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
            (Self::Messages { messages: own, tools }, Self::Messages { messages: other, .. }) => {
                let answered = |list: &[Value]| {
                    list.last().is_some_and(|m| m.get("role").and_then(Value::as_str) == Some("assistant"))
                };
                if !answered(own) || !answered(other) {
                    return Err(no_answer());
                }
                let prompt = own[..own.len() - 1].iter();
                let messages = prompt.chain(other.last()).cloned().collect();
                Ok(Self::Messages { messages, tools: tools.clone() })
            }
            _ => Err(no_answer()),
        }
    }

    /// Everything in it that somebody wrote.
    pub fn parts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::PromptCompletion { prompt, completion } => vec![prompt, completion],
            Self::Messages { messages, .. } => {
                messages.iter().filter_map(|m| m.get("content")?.as_str()).collect()
            }
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

/// A turn as the template sees it.
fn turn(message: &Message) -> Value {
    let mut map = Map::new();
    map.insert("role".into(), message.role.as_str().into());
    map.insert("content".into(), message.content.as_deref().into());
    map.extend(message.more.clone());
    Value::Object(map)
}

/// The texts of a row as it crosses the protocol: one, or the chosen and the rejected one; and a judgement's verdict.
pub fn texts_of(row: &Row) -> (Vec<RowText>, Option<bool>) {
    let pair = |prompt: &str, completion: &str| RowText::PromptCompletion {
        prompt: prompt.to_owned(),
        completion: completion.to_owned(),
    };
    let talk = |messages: &[Message], tools: &Option<Vec<Value>>| RowText::Messages {
        messages: messages.iter().map(turn).collect(),
        tools: tools.clone().map(Value::Array),
    };
    match row {
        Row::Text { text } => (vec![RowText::Text(text.clone())], None),
        Row::PromptCompletion { prompt, completion } => (vec![pair(prompt, completion)], None),
        Row::Judged { prompt, completion, label } => (vec![pair(prompt, completion)], Some(*label)),
        Row::Messages { messages, tools } => (vec![talk(messages, tools)], None),
        Row::JudgedMessages { messages, label, tools } => (vec![talk(messages, tools)], Some(*label)),
        Row::Preference { prompt, chosen, rejected } => {
            (vec![pair(prompt, chosen), pair(prompt, rejected)], None)
        }
        Row::PreferenceMessages { chosen, rejected, tools } => {
            (vec![talk(chosen, tools), talk(rejected, tools)], None)
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
            let messages = turns.iter().map(|(role, content)| message(role, content)).collect();
            RowText::Messages { messages, tools: None }
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
