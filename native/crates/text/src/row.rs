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
