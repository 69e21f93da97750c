//! The shapes of rows that can be scored.

use serde_json::{Map, Value};
use tillage_protocol::EngineError;
use tillage_text::RowText;

/// What a row holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// One text, whose loss is asked for.
    Text(RowText),
    /// A chosen and a rejected answer to the same prompt.
    Pair([RowText; 2]),
    /// Answers to choose from, and the index of the right one.
    Choices {
        /// What stands before each of them.
        prompt: String,
        /// At least two.
        choices: Vec<String>,
        /// Where the row says which is right.
        answer: Option<usize>,
    },
}

/// Which columns a file's rows are read from. The first shape that fits is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `prompt` and `choices`, and where it is known the right one.
    Choices,
    /// `prompt`, `chosen` and `rejected` as texts.
    Pair,
    /// `chosen` and `rejected` as conversations.
    PairOfMessages,
    /// A conversation.
    Messages,
    /// `prompt` and `completion`.
    PromptCompletion,
    /// `text`.
    Text,
}

impl Shape {
    const ALL: [Shape; 6] = [
        Shape::Choices,
        Shape::Pair,
        Shape::PairOfMessages,
        Shape::Messages,
        Shape::PromptCompletion,
        Shape::Text,
    ];

    /// The shape of rows with these columns.
    ///
    /// # Errors
    /// `no_text_column`, which names the columns that are there.
    pub fn of(columns: &[&str]) -> Result<Shape, EngineError> {
        let fits = |shape: &Shape| shape.columns().iter().all(|c| columns.contains(c));
        Shape::ALL.into_iter().find(fits).ok_or_else(|| {
            EngineError::user(
                "no_text_column",
                format!(
                    "The file has none of: prompt and choices; chosen and rejected; messages; prompt and completion; \
                     text. Its columns are {}.",
                    columns.join(", ")
                ),
                "Rename the columns, or build a dataset from a recipe, whose `map` names them.",
            )
        })
    }

    /// The columns that every row must have.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Shape::Choices => &["prompt", "choices"],
            Shape::Pair => &["prompt", "chosen", "rejected"],
            Shape::PairOfMessages => &["chosen", "rejected"],
            Shape::Messages => &["messages"],
            Shape::PromptCompletion => &["prompt", "completion"],
            Shape::Text => &["text"],
        }
    }

    /// A column that rows may have besides.
    pub fn optional(self) -> Option<&'static str> {
        (self == Shape::Choices).then_some("answer")
    }

    /// Reads a row.
    ///
    /// # Errors
    /// User errors that name the column: it is missing, null, of another type, or no list of choices.
    pub fn read(self, row: &Map<String, Value>) -> Result<Content, EngineError> {
        let text = |name: &str| match row.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            None | Some(Value::Null) => Err(missing(name)),
            Some(_) => Err(not(name, "text", "Cast the column to text.")),
        };
        let messages = |name: &str| match row.get(name) {
            Some(list @ Value::Array(_)) => RowText::from_messages_json(&list.to_string()),
            _ => RowText::from_messages_json(&text(name)?),
        };
        let answered = |name: &str| {
            Ok::<_, EngineError>(RowText::PromptCompletion {
                prompt: text("prompt")?,
                completion: text(name)?,
            })
        };
        Ok(match self {
            Shape::Text => Content::Text(RowText::Text(text("text")?)),
            Shape::PromptCompletion => Content::Text(answered("completion")?),
            Shape::Messages => Content::Text(messages("messages")?),
            Shape::Pair => Content::Pair([answered("chosen")?, answered("rejected")?]),
            Shape::PairOfMessages => Content::Pair([messages("chosen")?, messages("rejected")?]),
            Shape::Choices => {
                let choices = choices(row.get("choices"))?;
                let answer = answer(row.get("answer"), choices.len())?;
                Content::Choices { prompt: text("prompt")?, choices, answer }
            }
        })
    }
}

fn choices(value: Option<&Value>) -> Result<Vec<String>, EngineError> {
    let list = match value {
        None | Some(Value::Null) => return Err(missing("choices")),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(not("choices", "a list of texts", "Give each row a list of its choices.")),
    };
    let texts: Option<Vec<String>> = list.iter().map(|v| v.as_str().map(str::to_owned)).collect();
    texts.filter(|texts| !texts.is_empty() && texts.iter().all(|t| !t.is_empty())).ok_or_else(|| {
        not("choices", "a list of at least one text, none of them empty", "Mend the row's list of choices.")
    })
}

fn answer(value: Option<&Value>, choices: usize) -> Result<Option<usize>, EngineError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let index = value.as_u64().map(|i| i as usize).filter(|&i| i < choices);
            index.map(Some).ok_or_else(|| {
                not(
                    "answer",
                    &format!("the number of one of the {choices} choices, counted from 0 ({value})"),
                    "Write the index of the right choice, or leave the column out.",
                )
            })
        }
    }
}

fn missing(column: &str) -> EngineError {
    EngineError::user(
        "null_text",
        format!("`{column}` is missing or null."),
        "Take rows without it out of the file.",
    )
}

fn not(column: &str, what: &str, remedy: &str) -> EngineError {
    EngineError::user("bad_column", format!("`{column}` is not {what}."), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(row: Value) -> Result<Content, EngineError> {
        let row = row.as_object().expect("an object").clone();
        let columns: Vec<&str> = row.keys().map(String::as_str).collect();
        Shape::of(&columns)?.read(&row)
    }

    #[test]
    fn the_columns_tell_the_shape() {
        let pair = |completion: &str| RowText::PromptCompletion {
            prompt: "q".into(),
            completion: completion.into(),
        };
        assert_eq!(read(json!({"text": "a", "x": 1})).unwrap(), Content::Text(RowText::Text("a".into())));
        assert_eq!(
            read(json!({"prompt": "q", "completion": "a", "text": "t"})).unwrap(),
            Content::Text(pair("a"))
        );
        assert_eq!(
            read(json!({"prompt": "q", "chosen": "a", "rejected": "b"})).unwrap(),
            Content::Pair([pair("a"), pair("b")])
        );
        let messages = json!([{"role": "user", "content": "q"}]);
        let listed = read(json!({"messages": messages})).unwrap();
        assert_eq!(listed, read(json!({"messages": messages.to_string()})).unwrap());
        assert_eq!(
            read(json!({"prompt": "q", "choices": ["a", "b"], "answer": 1})).unwrap(),
            Content::Choices { prompt: "q".into(), choices: vec!["a".into(), "b".into()], answer: Some(1) }
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_by_its_column() {
        for (row, code, word) in [
            (json!({"body": "a"}), "no_text_column", "body"),
            (json!({"text": null}), "null_text", "text"),
            (json!({"text": 3}), "bad_column", "text"),
            (json!({"prompt": "q", "choices": []}), "bad_column", "choices"),
            (json!({"prompt": "q", "choices": ["a", ""]}), "bad_column", "choices"),
            (json!({"prompt": "q", "choices": "a"}), "bad_column", "choices"),
            (json!({"prompt": "q", "choices": ["a"], "answer": 1}), "bad_column", "answer"),
            (json!({"prompt": "q", "choices": ["a"], "answer": "a"}), "bad_column", "answer"),
            (json!({"messages": [{"content": "a"}]}), "bad_messages", "role"),
        ] {
            let error = read(row.clone()).expect_err(&row.to_string());
            assert!(error.code == code && error.message.contains(word), "{row}: {error:?}");
        }
    }
}
