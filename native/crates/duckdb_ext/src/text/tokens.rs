//! Exact token counts with a model's own tokenizer.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::SystemTime;
use tokenizers::Tokenizer;

/// Tokenizers of this process by path, each with the time and size of the file it came from: a file
/// that changed is read again.
static LOADED: LazyLock<Mutex<HashMap<PathBuf, Loaded>>> = LazyLock::new(Mutex::default);

struct Loaded {
    modified: Option<SystemTime>,
    bytes: u64,
    tokenizer: Arc<Tokenizer>,
}

/// Counts tokens; looks the tokenizer up once for as long as the same path comes again.
#[derive(Default)]
pub struct Counter {
    last: Option<(String, Arc<Tokenizer>)>,
}

impl Counter {
    /// Tokens of `text`, without special tokens. `path` is a `tokenizer.json` or the folder that
    /// holds it.
    ///
    /// # Errors
    /// When the file is absent or is not a tokenizer, or the tokenizer refuses the text.
    pub fn count(&mut self, text: &str, path: &str) -> Result<usize, String> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            self.last = Some((path.to_owned(), load(Path::new(path))?));
        }
        let (_, tokenizer) = self.last.as_ref().expect("loaded above");
        let encoding = tokenizer
            .encode_fast(text, false)
            .map_err(|error| format!("the tokenizer {path} refuses a text: {error}"))?;
        Ok(encoding.len())
    }
}

fn load(path: &Path) -> Result<Arc<Tokenizer>, String> {
    let file = if path.is_dir() { path.join("tokenizer.json") } else { path.to_owned() };
    let shown = file.display();
    let metadata =
        fs::metadata(&file).map_err(|error| format!("cannot read the tokenizer {shown}: {error}"))?;
    let (modified, bytes) = (metadata.modified().ok(), metadata.len());
    // Held while loading, so that threads that start together read the file once. A panic in the
    // tokenizer library leaves the map as it was.
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = loaded.get(&file).filter(|known| known.modified == modified && known.bytes == bytes)
    {
        return Ok(known.tokenizer.clone());
    }
    let mut tokenizer = Tokenizer::from_file(&file)
        .map_err(|error| format!("{shown} is not a tokenizer.json of the tokenizers library: {error}"))?;
    // A count is of the whole text, whatever the file says for batches.
    tokenizer.with_truncation(None).map_err(|error| format!("{shown}: {error}"))?;
    tokenizer.with_padding(None);
    let tokenizer = Arc::new(tokenizer);
    loaded.insert(file, Loaded { modified, bytes, tokenizer: tokenizer.clone() });
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use super::Counter;
    use std::fs;

    /// A tokenizer that splits at white space and knows two words.
    fn write_tokenizer(folder: &std::path::Path, extra: &str) {
        let json = format!(
            r#"{{"version":"1.0","truncation":{{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0}},
            "padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":{{"type":"WhitespaceSplit"}},
            "post_processor":null,"decoder":null,
            "model":{{"type":"WordLevel","vocab":{{"[UNK]":0,"clay":1{extra}}},"unk_token":"[UNK]"}}}}"#
        );
        fs::write(folder.join("tokenizer.json"), json).unwrap();
    }

    #[test]
    fn counts_by_file_or_folder_and_reads_a_changed_file_again() {
        let folder = std::env::temp_dir().join(format!("tillage-tokens-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        write_tokenizer(&folder, "");
        let path = folder.to_str().unwrap();
        assert_eq!(Counter::default().count("clay pot clay pot", path), Ok(4), "truncation is switched off");
        let file = folder.join("tokenizer.json");
        assert_eq!(Counter::default().count("", file.to_str().unwrap()), Ok(0));
        fs::write(&file, "{").unwrap();
        let error = Counter::default().count("clay", path).unwrap_err();
        assert!(error.contains("is not a tokenizer.json"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
        let error = Counter::default().count("clay", path).unwrap_err();
        assert!(error.contains("cannot read the tokenizer"), "{error}");
    }
}
