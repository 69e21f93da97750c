//! The C4 rules (Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 2.2):
//! signals for the rules that drop a text, and the line removal that changes one.
//!
//! A line, as Python's `str.splitlines` parts them and trimmed, is removed when
//! - one of its words has more than [`LONGEST_WORD`] characters,
//! - it does not end with `.`, `?`, `!`, `"` or `'`, or ends with `...` (an ellipsis is no end),
//! - it has fewer than [`FEWEST_WORDS`] words (as white space parts them),
//! - it names javascript, or
//! - it has one of the phrases of cookie and privacy notices ([`POLICY`]).
//!
//! Marks of citations (`[1]`, `[]`, `[edit]`, `[citation needed]`) are taken out of the lines that stay.
//! A text leaves when a line that the first three leave says "lorem ipsum" or has a curly bracket `{`
//! (and does not name javascript), or when fewer than five sentences remain. The paper also drops pages with words of a list: that is
//! `till_toxicity`, not part of these rules.
//!
//! Where the paper is vague the published behaviour of datatrove 0.10 with its default settings is
//! followed. Sentences are those of spaCy's rule-based sentence splitter: one begins at the first word
//! that is no punctuation after a sentence's end mark that stands alone as a word.
//!
//! Agreement is measured by the test `quality_agreement`. Classes of difference that remain:
//! - a text with both "lorem ipsum" and a curly bracket: the reference names the one that comes first,
//!   here "lorem ipsum" is tried first (the verdict is the same);
//! - the cleaned text is given for every text; the reference gives it only for texts that stay;
//! - 32 end marks of a few scripts (Khmer, Mandaic, Sogdian and such) end a sentence here and not there;
//! - the Kelvin sign is no `k` here when phrases are searched.

use crate::text::english::{is_space, is_terminal, split};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use super::lines::python_lines;
use super::Signals;

/// A line with a longer word, in characters, is removed.
pub const LONGEST_WORD: usize = 1000;
/// A line with fewer words is removed.
pub const FEWEST_WORDS: usize = 3;
/// Phrases of cookie and privacy notices; a line that has one is removed, whatever its case.
pub const POLICY: [&str; 6] =
    ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"];

const END_MARKS: [char; 5] = ['.', '?', '!', '"', '\''];

/// What the rules say of a line.
struct Judged<'t> {
    /// Without its marks of citations.
    line: Cow<'t, str>,
    stays: bool,
    lorem_ipsum: bool,
    curly_bracket: bool,
}

/// Judges a line that was trimmed. The order of the tests is the reference's.
fn judge(line: &str) -> Judged<'_> {
    let long_word = line.len() > LONGEST_WORD
        && line.split(is_space).any(|word| word.len() > LONGEST_WORD && word.chars().count() > LONGEST_WORD);
    let few_words =
        line.split(is_space).filter(|word| !word.is_empty()).take(FEWEST_WORDS).count() < FEWEST_WORDS;
    let line = without_citations(line);
    let ends = line.ends_with(END_MARKS) && !line.ends_with("...");
    if long_word || few_words || !ends {
        return Judged { line, stays: false, lorem_ipsum: false, curly_bracket: false };
    }
    let [mut lorem_ipsum, mut javascript, mut policy] = [false; 3];
    for phrase in phrases().find_overlapping_iter(line.as_bytes()) {
        match phrase.pattern().as_usize() {
            0 => lorem_ipsum = true,
            1 => javascript = true,
            _ => policy = true,
        }
    }
    let curly_bracket = !javascript && line.contains('{');
    Judged { line, stays: !javascript && !policy, lorem_ipsum, curly_bracket }
}

fn without_citations(line: &str) -> Cow<'_, str> {
    static CITATION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\[\d*\]|\[edit\]|\[citation needed\]").expect("a valid expression"));
    if line.contains('[') {
        CITATION.replace_all(line, "")
    } else {
        Cow::Borrowed(line)
    }
}

/// "lorem ipsum", "javascript" and the phrases of [`POLICY`], whatever the case of their ASCII letters.
fn phrases() -> &'static AhoCorasick {
    static PHRASES: LazyLock<AhoCorasick> = LazyLock::new(|| {
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(["lorem ipsum", "javascript"].iter().chain(&POLICY))
            .expect("eight short phrases")
    });
    &PHRASES
}

/// `text` without the lines that C4 removes and without marks of citations. A text that loses nothing
/// differs at most in white space at the ends of its lines, which is cut off, as are blank lines.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for line in python_lines(text) {
        let judged = judge(line.trim_matches(is_space));
        if judged.stays {
            if !cleaned.is_empty() {
                cleaned.push('\n');
            }
            cleaned.push_str(&judged.line);
        }
    }
    // A mark of a citation may have had white space behind or before it.
    let trimmed = cleaned.trim_matches(is_space);
    if trimmed.len() == cleaned.len() {
        cleaned
    } else {
        trimmed.to_owned()
    }
}

/// Fills in the signals of the C4 rules. `words` are the linguistic words of the whole text.
pub fn signals(text: &str, words: &[Range<usize>], signals: &mut Signals) {
    let mut next = 0;
    let mut resplit = Vec::new();
    for line in python_lines(text) {
        let line = line.trim_matches(is_space);
        if line.is_empty() {
            continue;
        }
        let start = line.as_ptr() as usize - text.as_ptr() as usize;
        let judged = judge(line);
        signals.c4_lorem_ipsum_lines += i64::from(judged.lorem_ipsum);
        signals.c4_curly_bracket_lines += i64::from(judged.curly_bracket);
        if !judged.stays {
            signals.c4_removed_lines += 1;
            continue;
        }
        signals.c4_sentences += match judged.line {
            // No word crosses a line end, so those of the text are those of its lines.
            Cow::Borrowed(_) => {
                next += words[next..].partition_point(|word| word.start < start);
                let length = words[next..].partition_point(|word| word.start < start + line.len());
                sentences(text, &words[next..next + length])
            }
            Cow::Owned(line) => {
                resplit.clear();
                split(&line, &mut resplit);
                sentences(&line, &resplit)
            }
        };
    }
}

/// Sentences of a line, which is given as its words.
fn sentences(text: &str, words: &[Range<usize>]) -> i64 {
    let mut count = i64::from(!words.is_empty());
    let (mut ended, mut end) = (false, words.first().map_or(0, |word| word.start));
    for word in words {
        // White space but a single space is a word of the reference, and no punctuation.
        let wide_gap = word.start > end && &text[end..word.start] != " ";
        end = word.end;
        let word = &text[word.clone()];
        let mut characters = word.chars();
        let is_end = characters.next().is_some_and(is_terminal) && characters.as_str().is_empty();
        if ended && (wide_gap || !(is_end || is_punctuation(word))) {
            count += 1;
            ended = false;
        }
        ended |= is_end;
    }
    count
}

/// Whether all characters are of Unicode's category P.
fn is_punctuation(word: &str) -> bool {
    static PUNCTUATION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\p{P}+$").expect("a valid expression"));
    match word.as_bytes() {
        [first, ..] if first.is_ascii_alphanumeric() => false,
        [one] => one.is_ascii_punctuation() && !b"$+<=>^`|~".contains(one),
        _ => PUNCTUATION.is_match(word),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Analyzer, Signals};
    use super::clean;

    fn signals(text: &str) -> Signals {
        Analyzer::default().signals(text)
    }

    #[test]
    fn lines_are_removed() {
        let good = "The kiln was warm.";
        for bad in [
            "No end mark here",
            "It trails off...",
            "It trails off…",
            "Two words.",
            "Please enable JavaScript first.",
            "Read our Privacy Policy today.",
            "This site uses cookies, friend.",
            "   ",
        ] {
            assert_eq!(clean(&format!("{bad}\n{good}\r\n  {bad}")), good, "{bad}");
        }
        let long = format!("A {} ends here.", "x".repeat(1001));
        assert_eq!(clean(&long), "");
        assert_eq!(clean(&long[..1]), "");
        let not_so_long = format!("A {} ends here.", "ä".repeat(1000));
        assert_eq!(clean(&not_so_long), not_so_long);
        for kept in [
            "Did it crack?",
            "It did not!",
            "\"It did,\" said she.",
            "She said: \"Yes.\"",
            "'Twas so, 'twas.",
        ] {
            assert_eq!(clean(kept), kept);
        }
    }

    #[test]
    fn citations_are_taken_out() {
        assert_eq!(clean("The kiln[1][] was warm.[23]"), "The kiln was warm.");
        assert_eq!(clean("Pots[edit] crack often.[citation needed]"), "Pots crack often.");
        assert_eq!(clean("[4] Pots may crack."), "Pots may crack.");
        assert_eq!(clean("Pots may[a] crack."), "Pots may[a] crack.", "a letter is no number");
        assert_eq!(clean("Pots may crack. [5]"), "", "what stays ends with a space");
    }

    #[test]
    fn signals_of_lines() {
        let found = signals("One line stays here.\nTitle\nLorem ipsum dolor sit.\nA set {x} is here.\n\nSee javascript { here.");
        assert_eq!(found.c4_lorem_ipsum_lines, 1);
        assert_eq!(found.c4_curly_bracket_lines, 1, "the other such line is removed for what it names");
        assert_eq!(found.c4_removed_lines, 2, "a blank line is none");
        assert_eq!(found.c4_sentences, 3);
        assert_eq!(signals("lorem ipsum\n{\n").c4_lorem_ipsum_lines, 0, "removed lines drop no text");
        assert_eq!(signals("Our { cookie policy } is this.").c4_curly_bracket_lines, 1);
    }

    #[test]
    fn sentences_are_counted() {
        for (text, count) in [
            ("One is here. Two is here! Is three here?", 3),
            ("He said \"Go.\" Then he went.", 2),
            ("He said \"Go.\" (Then) he went.", 2),
            ("Mr. Weir fired 3.5 pots at 10 p.m. today.", 1),
            ("Wait... what is it?! It is late.", 2),
            ("It ends.  \"So it does.\"", 2),
            ("A first one.[1] A second one.", 2),
            ("A first one.\nA second one.", 2),
            ("no end mark and so removed", 0),
        ] {
            assert_eq!(signals(text).c4_sentences, count, "{text}");
        }
    }
}
