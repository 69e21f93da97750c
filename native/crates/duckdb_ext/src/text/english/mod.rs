//! Linguistic words of English-like text: the units of the quality and repetition signals.
//!
//! The published thresholds of the Gopher rules are used with words as datatrove splits them, by
//! spaCy's rule-based English tokenizer: "they'll (3 km)." is `they 'll ( 3 km ) .`, punctuation
//! being words of their own. This is an independent implementation of that tokenizer's published
//! algorithm: split at white space; peel prefixes and suffixes off each chunk until none is left or
//! the rest is a known exception ("Dr.", "don't", ":-)"); leave web and mail addresses whole; split
//! what remains at infixes; put exceptions together again whose parts were peeled off ("word:)").
//!
//! Known difference, rare: the table of symbols is by Unicode block and not by character.

mod affix;
mod chars;
mod exceptions;
mod url;

use std::ops::Range;

pub use chars::{is_space, is_symbol, is_terminal};

/// Appends the byte ranges of the words of `text`, in order. White space is in none of them.
pub fn split(text: &str, words: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut suffixes = Vec::new();
    let mut position = 0;
    while position < bytes.len() {
        let start = position;
        let mut kinds = 0;
        while position < bytes.len() && kinds & OTHER == 0 {
            let kind = KIND[bytes[position] as usize];
            if kind == SPACE {
                break;
            }
            kinds |= kind;
            position += 1;
        }
        if kinds & OTHER != 0 {
            // White space beyond ASCII has several bytes.
            position = text[start..].find(is_space).map_or(bytes.len(), |length| start + length);
        }
        if position > start && (kinds & OTHER != 0 || !split_plain(text, start..position, words)) {
            split_chunk(text, start..position, words, &mut suffixes);
        }
        if position == start {
            position += text[start..].chars().next().map_or(1, char::len_utf8);
        }
    }
}

const SPACE: u8 = 1;
const SIGN: u8 = 2;
const OTHER: u8 = 4;

/// For every byte: 0 for a letter, or whether it is white space, another ASCII character, or part of a
/// character beyond ASCII.
const KIND: [u8; 256] = {
    let mut kinds = [OTHER; 256];
    let mut byte = 0;
    while byte < 128 {
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => 0,
            9..=13 | 28..=32 => SPACE,
            _ => SIGN,
        };
        byte += 1;
    }
    kinds
};

/// Splits the commonest chunks, ASCII letters alone or before a comma or, after a lower-case letter, a full
/// stop; says whether it was one. An exception, whole or before the mark, is left to [`split_chunk`].
fn split_plain(text: &str, chunk: Range<usize>, words: &mut Vec<Range<usize>>) -> bool {
    let whole = &text[chunk.clone()];
    let bytes = whole.as_bytes();
    let (last, before) = (bytes[bytes.len() - 1], bytes.len().checked_sub(2).map(|index| bytes[index]));
    let marks = match last {
        b',' => 1,
        b'.' if before.is_some_and(|byte| byte.is_ascii_lowercase()) => 1,
        _ => 0,
    };
    let letters = &whole[..whole.len() - marks];
    let plain = !letters.is_empty() && letters.bytes().all(|byte| KIND[byte as usize] == 0);
    if !plain || exceptions::find(whole).is_some() || (marks > 0 && exceptions::find(letters).is_some()) {
        return false;
    }
    words.push(chunk.start..chunk.end - marks);
    if marks > 0 {
        words.push(chunk.end - marks..chunk.end);
    }
    true
}

/// Splits one run of characters that are not white space. `suffixes` is scratch space.
fn split_chunk(
    text: &str,
    chunk: Range<usize>,
    words: &mut Vec<Range<usize>>,
    suffixes: &mut Vec<Range<usize>>,
) {
    suffixes.clear();
    let first = words.len();
    let Range { mut start, mut end } = chunk;
    let mut exception = None;
    while start < end {
        let rest = &text[start..end];
        exception = exceptions::find(rest);
        if exception.is_some() {
            break;
        }
        let prefix = affix::prefix(rest);
        let without_prefix = &rest[prefix..];
        if prefix > 0 {
            exception = exceptions::find(without_prefix);
            if exception.is_some() {
                words.push(start..start + prefix);
                start += prefix;
                break;
            }
        }
        let suffix = affix::suffix(without_prefix);
        if suffix > 0 {
            exception = exceptions::find(&rest[..rest.len() - suffix]);
            if exception.is_some() {
                suffixes.push(end - suffix..end);
                end -= suffix;
                break;
            }
        }
        if prefix == 0 && suffix == 0 {
            break;
        }
        if prefix > 0 {
            words.push(start..start + prefix);
        }
        if suffix > 0 {
            suffixes.push(end - suffix..end);
        }
        start += prefix;
        end -= suffix;
    }
    if let Some(parts) = exception {
        push_parts(start, parts, words);
    } else if start < end {
        if url::is_address(&text[start..end]) {
            words.push(start..end);
        } else {
            affix::split_infixes(&text[start..end], start, words);
        }
    }
    words.extend(suffixes.drain(..).rev());
    if words.len() - first > 1 {
        merge_exceptions(text, first, words);
    }
}

/// Most neighbouring words that are put together to an exception.
const MERGED: usize = 6;

/// Puts neighbouring words of one chunk, from word `first` on, together to exceptions, the longest
/// from the left.
fn merge_exceptions(text: &str, first: usize, words: &mut Vec<Range<usize>>) {
    let Some(start) = (first..words.len()).find(|&index| exception_at(text, &words[index..]).is_some())
    else {
        return;
    };
    let tail: Vec<Range<usize>> = words.drain(start..).collect();
    let mut index = 0;
    while index < tail.len() {
        if let Some((merged, parts)) = exception_at(text, &tail[index..]) {
            push_parts(tail[index].start, parts, words);
            index += merged;
        } else {
            words.push(tail[index].clone());
            index += 1;
        }
    }
}

/// The longest exception that two or more of the first words make together, and how many they are.
fn exception_at(text: &str, words: &[Range<usize>]) -> Option<(usize, &'static [u8])> {
    let start = words.first()?.start;
    (2..=words.len().min(MERGED))
        .rev()
        .find_map(|count| exceptions::find(&text[start..words[count - 1].end]).map(|parts| (count, parts)))
}

fn push_parts(mut start: usize, parts: &[u8], words: &mut Vec<Range<usize>>) {
    for &length in parts {
        words.push(start..start + length as usize);
        start += length as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    fn words(text: &str) -> Vec<&str> {
        let mut ranges = Vec::new();
        split(text, &mut ranges);
        ranges.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn plain_chunks_split_as_all_others_do() {
        let pieces = [
            "the", "Dr", "cannot", "im", "a", "U", "co", "km", "I", "wont", "ill", "Z", "'s", "5", "é",
            "\u{a0}", "x\u{1c}y",
        ];
        for left in pieces {
            for right in ["", ",", ".", ",,", "..", ".,", " ", "\u{2003}"] {
                for tail in ["", "The", "b."] {
                    let text = format!("{left}{right}{tail}");
                    let (mut fast, mut slow) = (Vec::new(), Vec::new());
                    split(&text, &mut fast);
                    for chunk in text.split(super::is_space).filter(|chunk| !chunk.is_empty()) {
                        let start = chunk.as_ptr() as usize - text.as_ptr() as usize;
                        super::split_chunk(&text, start..start + chunk.len(), &mut slow, &mut Vec::new());
                    }
                    assert_eq!(fast, slow, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn splits_as_the_reference_does() {
        // Each line: a text, and its words as spaCy 3.8's blank English pipeline gives them.
        for (text, expected) in [
            ("a/b 3:1 Score:1", "a / b 3:1 Score:1"),
            ("end.The cat's can't", "end . The cat 's ca n't"),
            ("foo@bar.com www.x.com/a?b don't-", "foo@bar.com www.x.com/a?b don't-"),
            ("they'll), 5km 10$ 3,000 1.5.", "they 'll ) , 5 km 10 $ 3,000 1.5 ."),
            ("U.S. word.) i.e., 10am", "U.S. word . ) i.e. , 10 am"),
            ("...what no--way a-b 3-4 3-x", "... what no -- way a - b 3 - 4 3 - x"),
            ("Ill ill its (cannot) cannot.", "Ill ill its ( can not ) can not ."),
            ("IT'S CAN'T They'LL o'clock 'Tis", "IT 'S CAN'T They'LL o'clock ' Tis"),
            ("But, soft!\n\n o'er heav'n", "But , soft ! o'er heav'n"),
            ("id Id Id. im wont wo n't", "i d I d Id. i m wo nt wo n't"),
            ("hello : ) world (8)", "hello : ) world ( 8)"),
            ("word:) and/or-y they’d", "word :) and/or - y they ’d"),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
        assert!(words(" \n\u{a0}\t").is_empty());
    }
}
