//! Typed access to a JSON object.

use serde_json::{Map, Value};
use tillage_protocol::EngineError;

/// An object of `config.json`; a field that is null counts as absent.
pub(crate) struct Fields<'a>(pub(crate) &'a Map<String, Value>);

pub(crate) fn bad(message: impl Into<String>) -> EngineError {
    EngineError::user("bad_config", message, "Correct config.json, or download or export it again.")
}

pub(crate) fn unsupported(what: impl std::fmt::Display) -> EngineError {
    EngineError::user(
        "unsupported_config",
        format!("config.json has {what}, which is not supported."),
        "Choose a model without this setting.",
    )
}

impl<'a> Fields<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, EngineError> {
        self.optional_text(name)
            .map(str::to_owned)
            .ok_or_else(|| bad(format!("config.json has no text field {name}.")))
    }

    pub(crate) fn optional_text(&self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Value::as_str)
    }

    pub(crate) fn section(&self, name: &str) -> Result<Option<Fields<'a>>, EngineError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Fields(map))),
            Some(_) => Err(bad(format!("{name} in config.json is not an object."))),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, EngineError> {
        let wrong = || bad(format!("{name} in config.json is not a number."));
        self.get(name).map(|v| v.as_f64().ok_or_else(wrong)).transpose()
    }

    /// A list of numbers; whole numbers stand for truth values too, as in `no_rope_layers`.
    pub(crate) fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>, EngineError> {
        let wrong = || bad(format!("{name} in config.json is not a list of numbers."));
        let Some(value) = self.get(name) else { return Ok(None) };
        let list = value.as_array().ok_or_else(wrong)?;
        list.iter().map(|v| v.as_f64().ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<&'a str>>, EngineError> {
        let wrong = || bad(format!("{name} in config.json is not a list of texts."));
        let Some(value) = self.get(name) else { return Ok(None) };
        let list = value.as_array().ok_or_else(wrong)?;
        list.iter().map(|v| v.as_str().ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn optional_positive(&self, name: &str) -> Result<Option<usize>, EngineError> {
        match self.get(name).map(Value::as_u64) {
            None => Ok(None),
            Some(Some(n)) if n > 0 => Ok(Some(n as usize)),
            Some(_) => Err(bad(format!("{name} in config.json is not a positive whole number."))),
        }
    }

    pub(crate) fn positive(&self, name: &str) -> Result<usize, EngineError> {
        self.optional_positive(name)?.ok_or_else(|| bad(format!("config.json has no field {name}.")))
    }

    pub(crate) fn optional_flag(&self, name: &str) -> Result<Option<bool>, EngineError> {
        let wrong = || bad(format!("{name} in config.json is neither true nor false."));
        self.get(name).map(|v| v.as_bool().ok_or_else(wrong)).transpose()
    }

    /// False where it is absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, EngineError> {
        Ok(self.optional_flag(name)?.unwrap_or(false))
    }

    pub(crate) fn ids(&self, name: &str) -> Result<Vec<u32>, EngineError> {
        let id = |v: &Value| {
            v.as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(|| bad(format!("{name} in config.json is not a token id.")))
        };
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(many)) => many.iter().map(id).collect(),
            Some(one) => Ok(vec![id(one)?]),
        }
    }
}
