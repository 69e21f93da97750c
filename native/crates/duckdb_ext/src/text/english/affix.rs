//! Prefixes, suffixes and infixes.

use super::chars::{is_currency, is_edge_punctuation, is_icon, is_lower, is_quote, is_upper};
use std::ops::Range;

/// Length in bytes of the prefix to split off, 0 for none.
pub fn prefix(text: &str) -> usize {
    let Some(first) = text.chars().next() else { return 0 };
    if first.is_ascii_alphanumeric() {
        return ["US$", "C$", "A$"].into_iter().find(|code| text.starts_with(code)).map_or(0, str::len);
    }
    let rest = &text[first.len_utf8()..];
    let splits = match first {
        '.' => return dots_at_start(text),
        '+' => !rest.starts_with(|next: char| next.is_ascii_digit()),
        '§' | '%' | '=' | '—' | '–' => true,
        _ => is_edge_punctuation(first) || is_quote(first) || is_currency(first) || is_icon(first),
    };
    if splits {
        first.len_utf8()
    } else {
        0
    }
}

/// Two dots or more at the start.
fn dots_at_start(text: &str) -> usize {
    let dots = text.bytes().take_while(|&byte| byte == b'.').count();
    if dots >= 2 {
        dots
    } else {
        0
    }
}

/// Length in bytes of the suffix to split off, 0 for none.
pub fn suffix(text: &str) -> usize {
    let Some(last) = text.chars().next_back() else { return 0 };
    let before = &text[..text.len() - last.len_utf8()];
    if last == '.' {
        return full_stop(text, before);
    }
    if last == 's' || last == 'S' {
        if let Some(quote @ ('\'' | '’')) = before.chars().next_back() {
            return quote.len_utf8() + 1;
        }
    }
    let after_digit = |text: &str| text.bytes().next_back().is_some_and(|byte| byte.is_ascii_digit());
    if is_currency(last) {
        let code =
            ["US$", "C$", "A$"].into_iter().find(|code| text.strip_suffix(code).is_some_and(after_digit));
        return code.map_or_else(|| if after_digit(before) { last.len_utf8() } else { 0 }, str::len);
    }
    if let Some(unit) = unit(text) {
        return unit;
    }
    match last {
        '+' if after_digit(before) => 1,
        '…' if before.ends_with('…') => 2 * '…'.len_utf8(),
        '—' | '–' => last.len_utf8(),
        _ if is_edge_punctuation(last) || is_quote(last) || is_icon(last) => last.len_utf8(),
        _ => 0,
    }
}

fn full_stop(text: &str, before: &str) -> usize {
    let dots = text.bytes().rev().take_while(|&byte| byte == b'.').count();
    if dots >= 2 {
        return dots;
    }
    let mut back = before.chars().rev();
    let Some(previous) = back.next() else { return 0 };
    let degrees = matches!(previous, 'F' | 'f' | 'C' | 'c' | 'K' | 'k') && back.clone().next() == Some('°');
    let sentence = previous.is_ascii_digit()
        || is_lower(previous)
        || matches!(previous, '%' | '²' | '-' | '+' | '|')
        || is_quote(previous)
        || is_edge_punctuation(previous);
    let initials = is_upper(previous) && back.next().is_some_and(is_upper);
    usize::from(degrees || sentence || initials)
}

const UNITS: &str =
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz \
    m/s km/h kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм дм² дм³ см см² см³ \
    мм мм² мм³ нм кг г мг м/с км/ч кПа Па мбар Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ тб";

/// Longest unit in bytes ("мбар").
const UNIT_BYTES: usize = 8;

/// Length of the unit of measure at the end that stands right after a digit.
fn unit(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let length = bytes.iter().rev().take(UNIT_BYTES + 1).position(u8::is_ascii_digit)?;
    if length == 0 {
        return None;
    }
    let tail = &text[text.len() - length..];
    UNITS.split_ascii_whitespace().find(|unit| *unit == tail).map(str::len)
}

/// Splits a chunk at its infixes and appends the parts, offset by `base`.
pub fn split_infixes(text: &str, base: usize, words: &mut Vec<Range<usize>>) {
    let mut start = 0;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let mut position = 0;
        let mut previous = None;
        while let Some(character) = text[position..].chars().next() {
            let length = infix(&text[position..], character, previous);
            if length == 0 {
                previous = Some(character);
                position += character.len_utf8();
                continue;
            }
            let end = position + length;
            if position > start {
                words.push(base + start..base + position);
                words.push(base + position..base + end);
                start = end;
            }
            previous = text[..end].chars().next_back();
            position = end;
        }
    }
    if start < text.len() {
        words.push(base + start..base + text.len());
    }
}

/// Length of the infix at the start of `text`, whose first character is `character`, 0 for none.
fn infix(text: &str, character: char, previous: Option<char>) -> usize {
    if character.is_ascii_alphanumeric() {
        return 0;
    }
    let next = text[character.len_utf8()..].chars().next();
    let is_before = |test: fn(char) -> bool| previous.is_some_and(test);
    let is_after = |test: fn(char) -> bool| next.is_some_and(test);
    let word_before = previous.is_some_and(|previous| previous.is_alphabetic() || previous.is_ascii_digit());
    let digit = |character: char| character.is_ascii_digit();
    match character {
        '.' if dots_at_start(text) > 0 => dots_at_start(text),
        '.' => {
            usize::from(is_before(|c| is_lower(c) || is_quote(c)) && is_after(|c| is_upper(c) || is_quote(c)))
        }
        '+' | '*' | '^' | '-' if is_before(digit) && is_after(|c| c.is_ascii_digit() || c == '-') => 1,
        '-' | '–' | '—' | '~' if word_before => hyphen(text, character, next),
        ',' => usize::from(is_before(char::is_alphabetic) && is_after(char::is_alphabetic)),
        ':' | '<' | '>' | '=' | '/' => usize::from(word_before && is_after(char::is_alphabetic)),
        '…' => character.len_utf8(),
        _ if is_icon(character) => character.len_utf8(),
        _ => 0,
    }
}

/// A hyphen, up to three of them or a doubled dash, before a letter.
fn hyphen(text: &str, character: char, next: Option<char>) -> usize {
    if next.is_some_and(char::is_alphabetic) {
        return character.len_utf8();
    }
    ["--", "---", "——"]
        .into_iter()
        .find(|run| text.strip_prefix(run).is_some_and(|rest| rest.starts_with(char::is_alphabetic)))
        .map_or(0, str::len)
}
