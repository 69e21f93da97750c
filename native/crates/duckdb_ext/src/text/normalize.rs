//! The normal form for exact deduplication: texts that differ only in how they are typed are equal.
//!
//! Unicode form NFKC, lower case, white space folded to one space, typographic quotes and dashes
//! made plain, sentence punctuation dropped. What carries meaning stays, so that distinct rows are
//! never taken for duplicates: letters, digits, marks, symbols and operators (`+ * / = < > % $ #`
//! and the like), a minus beside a number (`3 - 2`), a point, comma or colon between digits
//! (`3.5`, `1,000`, `12:30`), and an apostrophe inside a word (`don't`).

use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{is_nfkc_quick, IsNormalized, UnicodeNormalization};

/// The normal form of `text`; see the module.
pub fn normalize(text: &str) -> String {
    let composed: Vec<char> = if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        text.chars().map(plain).collect()
    } else {
        text.nfkc().map(plain).collect()
    };
    let mut folded = String::with_capacity(text.len());
    let mut gap = false;
    for (index, &character) in composed.iter().enumerate() {
        if keeps(&composed, index) {
            if gap && !folded.is_empty() {
                folded.push(' ');
            }
            gap = false;
            folded.extend(character.to_lowercase());
        } else {
            gap = true;
        }
    }
    folded
}

/// Typographic variants of ASCII quotes and dashes.
fn plain(character: char) -> char {
    match character {
        '‘' | '’' | '‚' | '‛' | '′' | 'ʼ' => '\'',
        '“' | '”' | '„' | '‟' | '″' => '"',
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' => '-',
        other => other,
    }
}

/// Whether the character at `index` belongs to the normal form; what does not is a gap.
fn keeps(text: &[char], index: usize) -> bool {
    let character = text[index];
    let before = index.checked_sub(1).map(|before| text[before]);
    let after = text.get(index + 1).copied();
    let both = |test: fn(char) -> bool| before.is_some_and(test) && after.is_some_and(test);
    match character {
        '.' | ',' | ':' => both(char::is_numeric),
        '\'' => both(char::is_alphabetic),
        '-' => beside_number(text, index),
        '+' | '=' | '<' | '>' | '$' | '^' | '~' | '|' | '%' | '&' | '@' | '#' | '*' | '/' | '\\' | '_' => {
            true
        }
        _ if character.is_ascii() => character.is_ascii_alphanumeric(),
        _ => {
            character.is_alphanumeric()
                || is_combining_mark(character)
                || !(character.is_whitespace() || character.is_control() || is_punctuation(character))
        }
    }
}

/// Whether the nearest character that is not a space, on either side, is a digit.
fn beside_number(text: &[char], index: usize) -> bool {
    let number = |character: Option<&char>| character.is_some_and(|character| character.is_numeric());
    let not_space = |character: &&char| !character.is_whitespace();
    number(text[..index].iter().rev().find(not_space)) || number(text[index + 1..].iter().find(not_space))
}

/// Punctuation outside ASCII, after NFKC (which has folded the full-width forms).
fn is_punctuation(character: char) -> bool {
    matches!(character as u32,
        0xA1 | 0xA7 | 0xAB | 0xB6 | 0xB7 | 0xBB | 0xBF
        | 0x055A..=0x055F | 0x0589 | 0x05BE | 0x05C0 | 0x05C3 | 0x05F3..=0x05F4
        | 0x060C | 0x061B | 0x061D..=0x061F | 0x066A..=0x066D | 0x06D4
        | 0x0964..=0x0965 | 0x0E4F | 0x0E5A..=0x0E5B | 0x104A..=0x104F | 0x1361..=0x1368
        | 0x17D4..=0x17D6 | 0x17D8..=0x17DA
        | 0x200B..=0x200F | 0x2010..=0x2027 | 0x202A..=0x202E | 0x2030..=0x205E | 0x2060..=0x2064
        | 0x2E00..=0x2E5D | 0x3001..=0x3003 | 0x3008..=0x3011 | 0x3014..=0x301F | 0x30FB | 0xFEFF)
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn typing_differences_vanish() {
        let form = "it's a well known fact the end";
        for text in [
            "It’s a well-known fact. THE END!",
            "  it's a well–known\n\tfact — “the end” …",
            "(It's) a well known fact; the end",
        ] {
            assert_eq!(normalize(text), form, "{text}");
        }
        assert_eq!(normalize("Ｆｕｌｌ ﬁ\u{a0}cafe\u{301}"), "full fi café");
        assert_eq!(normalize(""), "");
        assert_eq!(normalize(" …!? "), "");
    }

    #[test]
    fn meaning_stays() {
        for (a, b) in [
            ("3-2", "3+2"),
            ("3 - 2", "3 2"),
            ("35", "3.5"),
            ("$5", "5"),
            ("x<y", "x>y"),
            ("12:30", "1230"),
            ("C#", "C++"),
            ("-4", "4"),
            ("😀", "😞"),
        ] {
            assert_ne!(normalize(a), normalize(b), "{a} and {b}");
        }
        assert_eq!(normalize("It costs 1,000.50, or 3.5%."), "it costs 1,000.50 or 3.5%");
    }
}
