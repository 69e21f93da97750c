//! Adapters that are given by name, and which of them answer a prompt.

use std::path::{Path, PathBuf};
use tillage_model::{Mix, Model};
use tillage_protocol::rpc::{AdapterRef, AskedPrompt, ModelRef};
use tillage_protocol::EngineError;

/// All adapters of a model that is asked, with names of their own.
///
/// # Errors
/// `duplicate_adapter` when two have the same name.
pub fn given(model: &ModelRef) -> Result<Vec<AdapterRef>, EngineError> {
    let one = model.adapter.iter().map(|path| AdapterRef {
        name: "adapter".into(),
        path: path.clone(),
        weight: 1.0,
    });
    let all: Vec<AdapterRef> = one.chain(model.adapters.iter().cloned()).collect();
    for (i, adapter) in all.iter().enumerate() {
        if all[..i].iter().any(|other| other.name == adapter.name) {
            return Err(EngineError::user(
                "duplicate_adapter",
                format!("Two adapters have the name {:?}.", adapter.name),
                "Give each a name of its own: NAME=FOLDER.",
            ));
        }
    }
    Ok(all)
}

/// The mixture that answers each prompt. `key` is the name under which the model holds an adapter.
///
/// # Errors
/// `unknown_adapter` for a name that was not given; as [`Model::mix`].
pub fn mixes(
    model: &Model,
    given: &[AdapterRef],
    key: impl Fn(&AdapterRef) -> String,
    prompts: &[AskedPrompt],
) -> Result<Vec<Mix>, EngineError> {
    let of = |prompt: &AskedPrompt| {
        let mut parts = Vec::new();
        for adapter in given {
            let weight =
                prompt.adapters.as_ref().map_or(Some(adapter.weight), |own| own.get(&adapter.name).copied());
            parts.extend(weight.map(|weight| (key(adapter), weight)));
        }
        let unknown = |name: &&String| given.iter().all(|a| a.name != **name);
        if let Some(name) = prompt.adapters.iter().flat_map(|own| own.keys()).find(unknown) {
            let known: Vec<&str> = given.iter().map(|a| a.name.as_str()).collect();
            return Err(EngineError::user(
                "unknown_adapter",
                format!("The prompt {:?} asks for the adapter {name:?}, which was not given.", prompt.id),
                format!("Give it as NAME=FOLDER; those that were given: {}.", known.join(", ")),
            ));
        }
        let parts: Vec<(&str, f64)> = parts.iter().map(|(key, weight)| (key.as_str(), *weight)).collect();
        model.mix(&parts).map_err(|mut e| {
            e.message = format!("Prompt {:?}: {}", prompt.id, e.message);
            e
        })
    };
    prompts.iter().map(of).collect()
}

/// What answers are stamped with: the hash of the only adapter, or of several with their names and weights.
///
/// # Errors
/// Those of `hash`.
pub fn hash_of(
    given: &[AdapterRef],
    hash: impl Fn(&Path) -> Result<String, EngineError>,
) -> Result<Option<String>, EngineError> {
    if let [AdapterRef { path, weight: 1.0, .. }] = given {
        return hash(path).map(Some);
    }
    let each = |a: &AdapterRef| Ok(format!("{}={}:{}", a.name, hash(&a.path)?, a.weight));
    let all = given.iter().map(each).collect::<Result<Vec<_>, EngineError>>()?;
    Ok((!all.is_empty()).then(|| all.join("+")))
}

/// `[NAME=]FOLDER[:WEIGHT]`. What stands behind the last colon is a weight where it is a number and no folder has the whole
/// name; the name is the folder's where none is given.
///
/// # Errors
/// A weight that is infinite or not a number, or no folder, in words for clap.
pub fn parse(text: &str) -> Result<AdapterRef, String> {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    let (name, rest) = match text.split_once('=') {
        Some((name, rest)) if is_name(name) => (Some(name), rest),
        _ => (None, text),
    };
    let (path, weight) = match rest.rsplit_once(':') {
        Some((path, weight)) if !path.is_empty() && !Path::new(rest).exists() => {
            match weight.parse::<f64>() {
                Ok(weight) if weight.is_finite() => (path, weight),
                Ok(_) => return Err(format!("the weight {weight} is no number that can be computed with")),
                Err(_) => (rest, 1.0),
            }
        }
        _ => (rest, 1.0),
    };
    if path.is_empty() {
        return Err("use NAME=FOLDER or NAME=FOLDER:WEIGHT".into());
    }
    let path = PathBuf::from(path);
    let own = path.file_name().map_or_else(|| "adapter".into(), |n| n.to_string_lossy().into_owned());
    Ok(AdapterRef { name: name.map_or(own, str::to_owned), path, weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_are_given_with_or_without_name_and_weight() {
        for (text, name, path, weight) in [
            ("runs/a/adapter", "adapter", "runs/a/adapter", 1.0),
            ("pirate=runs/a/adapter", "pirate", "runs/a/adapter", 1.0),
            ("pirate=runs/a/adapter:0.5", "pirate", "runs/a/adapter", 0.5),
            ("runs/a/poet:-1e-1", "poet", "runs/a/poet", -0.1),
            ("x=C:\\runs", "x", "C:\\runs", 1.0),
            ("runs/a=b/c", "c", "runs/a=b/c", 1.0),
        ] {
            let wanted = AdapterRef { name: name.into(), path: path.into(), weight };
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
        assert!(parse("x=").is_err() && parse("x=a:inf").is_err());
    }

    #[test]
    fn an_answer_is_stamped_with_its_adapters_and_their_weights() {
        let of = |name: &str, weight| AdapterRef { name: name.into(), path: name.into(), weight };
        let hash = |given: &[AdapterRef]| hash_of(given, |path| Ok(format!("#{}", path.display()))).unwrap();
        assert_eq!(hash(&[]), None);
        assert_eq!(hash(&[of("a", 1.0)]).as_deref(), Some("#a"));
        assert_eq!(hash(&[of("a", 0.5)]).as_deref(), Some("a=#a:0.5"));
        assert_eq!(hash(&[of("a", 1.0), of("b", -0.5)]).as_deref(), Some("a=#a:1+b=#b:-0.5"));
    }
}
