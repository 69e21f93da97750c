//! Signals of lines and paragraphs.

use super::table::Table;
use super::{ratio, Signals};
use crate::text::english::{is_space, is_terminal};
use crate::text::hash::hash64;

/// Longest line that FineWeb's filter calls short, in characters.
const SHORT_LINE: usize = 30;

/// Fills in the signals of lines and paragraphs.
pub fn signals(text: &str, characters: usize, words: usize, table: &mut Table, signals: &mut Signals) {
    bullets_and_ellipses(text, signals);
    let line_feeds = memchr::memchr_iter(b'\n', text.as_bytes()).count();

    table.reset(line_feeds + 1);
    let lines = duplicates(runs(text, 1), table);
    signals.dup_line_frac = ratio(lines.repeated, lines.all);
    signals.dup_line_char_frac = ratio(lines.repeated_characters, characters);

    table.reset(line_feeds + 1);
    let paragraphs = duplicates(runs(text.trim_matches(is_space), 2), table);
    signals.dup_para_frac = ratio(paragraphs.repeated, paragraphs.all);
    signals.dup_para_char_frac = ratio(paragraphs.repeated_characters, characters);

    fineweb(text, characters - line_feeds, line_feeds, table, signals);
    signals.newline_word_ratio = ratio(line_feeds, words);
}

fn bullets_and_ellipses(text: &str, signals: &mut Signals) {
    let (mut all, mut bullets, mut ellipses) = (0, 0, 0);
    for line in python_lines(text) {
        all += 1;
        bullets += usize::from(line.trim_start_matches(is_space).starts_with(['•', '-']));
        let end = line.trim_end_matches(is_space);
        ellipses += usize::from(end.ends_with("...") || end.ends_with('…'));
    }
    signals.bullet_line_frac = ratio(bullets, all);
    signals.ellipsis_line_frac = ratio(ellipses, all);
}

fn fineweb(text: &str, characters: usize, line_feeds: usize, table: &mut Table, signals: &mut Signals) {
    let lines = || text.split('\n').filter(|line| !line.chars().all(is_space));
    let (mut all, mut ended, mut short) = (0, 0, 0);
    for line in lines() {
        all += 1;
        ended += usize::from(line.ends_with(is_terminal));
        short += usize::from(line.len() <= 4 * SHORT_LINE && line.chars().count() <= SHORT_LINE);
    }
    table.reset(line_feeds + 1);
    signals.line_punct_frac = ratio(ended, all);
    signals.short_line_frac = ratio(short, all);
    signals.line_char_dup_frac = ratio(duplicates(lines(), table).repeated_characters, characters);
}

struct Duplicates {
    all: usize,
    repeated: usize,
    repeated_characters: usize,
}

fn duplicates<'t>(parts: impl Iterator<Item = &'t str>, table: &mut Table) -> Duplicates {
    let mut duplicates = Duplicates { all: 0, repeated: 0, repeated_characters: 0 };
    for part in parts {
        duplicates.all += 1;
        if table.insert(hash64(part.as_bytes()), 0).is_some() {
            duplicates.repeated += 1;
            duplicates.repeated_characters += part.chars().count();
        }
    }
    duplicates
}

/// Splits at every run of `least` or more line feeds. Gives at least one part.
fn runs(text: &str, least: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let bytes = current.as_bytes();
        let mut from = 0;
        while let Some(at) = memchr::memchr(b'\n', &bytes[from..]).map(|at| at + from) {
            let run = bytes[at..].iter().take_while(|&&byte| byte == b'\n').count();
            if run >= least {
                rest = Some(&current[at + run..]);
                return Some(&current[..at]);
            }
            from = at + run;
        }
        rest = None;
        Some(current)
    })
}

/// Lines as Python's `str.splitlines` gives them: it knows ten line ends, and a line end at the end
/// of the text begins no further line.
pub fn python_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(end) = line_end(rest) else {
            return Some(std::mem::take(&mut rest));
        };
        let line = &rest[..end];
        let tail = &rest[end..];
        let length = if tail.starts_with("\r\n") { 2 } else { tail.chars().next().map_or(0, char::len_utf8) };
        rest = &tail[length..];
        Some(line)
    })
}

/// Where the first line end is.
fn line_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|&byte| MAY_END_LINE[byte as usize])?;
        let is_end = match bytes[at] {
            0xC2 => bytes[at + 1] == 0x85,
            0xE2 => bytes[at + 1] == 0x80 && matches!(bytes[at + 2], 0xA8 | 0xA9),
            _ => true,
        };
        if is_end {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The first bytes of line ends: four controls and three separators of ASCII, U+0085, U+2028 and U+2029.
const MAY_END_LINE: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        ends[byte] = matches!(byte, 0x0A..=0x0D | 0x1C..=0x1E | 0xC2 | 0xE2);
        byte += 1;
    }
    ends
};

#[cfg(test)]
mod tests {
    use super::{python_lines, runs};

    #[test]
    fn splits() {
        assert_eq!(python_lines("a\r\nb\n\nc\u{2028}d\n").collect::<Vec<_>>(), ["a", "b", "", "c", "d"]);
        assert_eq!(python_lines("").count(), 0);
        assert_eq!(
            python_lines("é\u{85}…—\u{2029}\u{b}x\u{c}y\u{1c}\u{1e}\u{1f}\r\r\n").collect::<Vec<_>>(),
            ["é", "…—", "", "x", "y", "", "\u{1f}", ""]
        );
        assert_eq!(runs("a\nb\n\n\nc\n", 2).collect::<Vec<_>>(), ["a\nb", "c\n"]);
        assert_eq!(runs("a\nb\n\nc\n", 1).collect::<Vec<_>>(), ["a", "b", "c", ""]);
        assert_eq!(runs("", 1).collect::<Vec<_>>(), [""]);
    }
}
