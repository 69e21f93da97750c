//! E-mail addresses.

use std::ops::Range;

/// Byte ranges of the addresses in `text`: a local part of at most 64 characters, an at sign, and a
/// domain name with at least one dot whose last label has two letters or more.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut floor = 0;
    let mut found = Vec::new();
    for at in memchr::memchr_iter(b'@', bytes) {
        let local = bytes[floor..at].iter().rev().take(65).take_while(|&&byte| is_local(byte)).count();
        let mut start = at - local;
        // A dot or a quote at the start belongs to the sentence.
        while start < at && !bytes[start].is_ascii_alphanumeric() {
            start += 1;
        }
        if start == at || at - start > 64 || bytes[at - 1] == b'.' {
            continue;
        }
        if let Some(length) = domain(&bytes[at + 1..]) {
            found.push(start..at + 1 + length);
            floor = at + 1 + length;
        }
    }
    found
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'&' | b'~')
}

/// Length of the domain name at the start of `bytes`.
fn domain(bytes: &[u8]) -> Option<usize> {
    let length = bytes
        .iter()
        .take(253)
        .take_while(|&&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        .count();
    let name = std::str::from_utf8(&bytes[..length]).ok()?.trim_end_matches(['.', '-']);
    // Of "mail.org.Then" or "a..b" the labels before the flaw count.
    let mut end = 0;
    let mut labels = 0;
    let mut start = 0;
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 || label.starts_with('-') || label.ends_with('-') {
            break;
        }
        labels += 1;
        let is_top = label.len() >= 2 && label.bytes().all(|byte| byte.is_ascii_alphabetic());
        if labels >= 2 && is_top {
            end = start + label.len();
        }
        start += label.len() + 1;
    }
    (end > 0).then_some(end)
}
