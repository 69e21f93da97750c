//! How much longer a tokenizer's own rules may make a text.
//!
//! A few rules that each replace a letter by a thousand others make terabytes of a word. Published tokenizers replace a space by a
//! three-byte sign, a few times over.

use serde_json::Value;

/// Times longer than it was, at most.
const MOST: f64 = 4096.0;

/// Checks the rules of a `tokenizer.json` which libraries apply one after the other: those before the split into tokens and those behind.
///
/// # Errors
/// A sentence about the rules that make a text too long.
pub fn check(json: &[u8]) -> Result<(), String> {
    let Ok(file) = serde_json::from_slice::<Value>(json) else { return Ok(()) };
    for part in ["normalizer", "pre_tokenizer", "decoder"] {
        let times = file.get(part).map_or(1.0, growth);
        if times > MOST {
            return Err(format!("the rules of its {part} would make a text up to {times:.0} times as long"));
        }
    }
    Ok(())
}

/// The most that a rule, or those in it together, lengthen a text.
fn growth(rule: &Value) -> f64 {
    let lists =
        ["normalizers", "pretokenizers", "decoders"].iter().filter_map(|list| rule.get(*list)?.as_array());
    let inner: f64 = lists.flatten().map(growth).product();
    let bytes = |name: &str| rule.get(name).and_then(Value::as_str).map_or(0, str::len) as f64;
    let own = match rule.get("type").and_then(Value::as_str) {
        Some("Replace") => {
            let pattern = rule.get("pattern").and_then(|p| p.get("String")).and_then(Value::as_str);
            // An expression may find nothing as often as there are places.
            let from = pattern.map_or(0.0, |p| p.len() as f64);
            if from >= 1.0 {
                bytes("content") / from
            } else {
                1.0 + bytes("content")
            }
        }
        Some("Prepend") => 1.0 + bytes("prepend"),
        // Compositions of single characters: 18 is Unicode's own limit.
        Some("NFKC" | "NFKD") => 18.0,
        Some("NFC" | "NFD") => 4.0,
        _ => 1.0,
    };
    inner * own.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::json;

    #[test]
    fn rules_that_multiply_a_text_are_refused() {
        let replace =
            |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
        let with = |rules: Vec<serde_json::Value>| {
            json!({"normalizer": {"type": "Sequence", "normalizers": rules}}).to_string()
        };
        let usual = with(vec![
            json!({"type": "NFKC"}),
            json!({"type": "Prepend", "prepend": "▁"}),
            replace(" ", "▁"),
        ]);
        assert_eq!(check(usual.as_bytes()), Ok(()));
        let bomb = with((0..13).map(|_| replace("a", "aa")).collect());
        assert!(check(bomb.as_bytes()).unwrap_err().contains("normalizer"));
        assert!(check(with(vec![replace("", &"a".repeat(5000))]).as_bytes()).is_err());
        assert_eq!(check(with(vec![replace("aaaa", "b"); 30]).as_bytes()), Ok(()));
    }
}
