//! Card numbers (Luhn check, issuer prefix) and IBANs (length by country, check digits).

use super::around;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// Card numbers: 13 to 19 digits, in one run or in groups parted by single spaces or hyphens.
pub fn cards(text: &str) -> Vec<Range<usize>> {
    static NUMBER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[0-9](?:[ -]?[0-9]){12,18}").expect("a valid expression"));
    NUMBER
        .find_iter(text)
        .map(|found| found.range())
        .filter(|range| {
            let (before, after, _) = around(text, range);
            let part = |c: Option<char>| {
                c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+'))
            };
            let digits: Vec<u8> =
                text[range.clone()].bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0').collect();
            !part(before)
                && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
                && is_grouped(&text[range.clone()])
                && has_issuer(&digits)
                && passes_luhn(&digits)
        })
        .collect()
}

/// One run, or groups of four (the last may differ), or 4-6-4 and 4-6-5.
fn is_grouped(text: &str) -> bool {
    let groups: Vec<usize> = text.split([' ', '-']).map(str::len).collect();
    match groups.as_slice() {
        [_] | [4, 6, 4 | 5] => true,
        [whole @ .., last] => whole.iter().all(|&length| length == 4) && *last <= 4 && groups.len() >= 4,
        [] => false,
    }
}

fn has_issuer(digits: &[u8]) -> bool {
    let prefix =
        |length: usize| digits[..length].iter().fold(0_u32, |value, &digit| value * 10 + u32::from(digit));
    let count = digits.len();
    match prefix(4) {
        4000..=4999 => matches!(count, 16 | 19),
        5100..=5599 | 2221..=2720 => count == 16,
        3400..=3499 | 3700..=3799 => count == 15,
        3000..=3059 | 3600..=3699 | 3800..=3999 => count == 14 || count == 16,
        3528..=3589 => (16..=19).contains(&count),
        6011 | 6440..=6599 | 6200..=6299 => (16..=19).contains(&count),
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => (13..=19).contains(&count),
        _ => false,
    }
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| {
            let value = u32::from(digit) << (index % 2);
            if value > 9 {
                value - 9
            } else {
                value
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// IBANs: country, check digits and account, in one run or in groups of four parted by spaces.
pub fn ibans(text: &str) -> Vec<Range<usize>> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)")
            .expect("a valid expression")
    });
    let mut found = Vec::new();
    for candidate in NUMBER.find_iter(text) {
        let compact: Vec<u8> = candidate.as_str().bytes().filter(|&byte| byte != b' ').collect();
        let Some(length) = iban_length(&compact[..2]) else { continue };
        if compact.len() < length || !passes_mod_97(&compact[..length]) {
            continue;
        }
        let mut seen = 0;
        let end = candidate
            .as_str()
            .bytes()
            .position(|byte| {
                seen += usize::from(byte != b' ');
                seen == length
            })
            .map_or(candidate.end(), |last| candidate.start() + last + 1);
        let range = candidate.start()..end;
        let (before, after, _) = around(text, &range);
        if !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric) {
            found.push(range);
        }
    }
    found
}

/// Length of a country's IBAN (SWIFT's registry).
fn iban_length(country: &[u8]) -> Option<usize> {
    const LENGTHS: &str = "NO15 BE16 DK18 FI18 FO18 GL18 NL18 SD18 FK18 MK19 SI19 AT20 BA20 EE20 KZ20 LT20 LU20 XK20 \
        MN20 CH21 HR21 LI21 LV21 BG22 BH22 CR22 DE22 GB22 GE22 IE22 ME22 RS22 VA22 AE23 GI23 IL23 IQ23 OM23 SO23 TL23 \
        AD24 CZ24 ES24 MD24 PK24 RO24 SA24 SE24 SK24 TN24 VG24 LY25 PT25 ST25 IS26 TR26 DJ27 FR27 GR27 IT27 MC27 \
        MR27 SM27 AL28 AZ28 BY28 CY28 DO28 GT28 HU28 LB28 NI28 PL28 SV28 BR29 EG29 PS29 QA29 UA29 JO30 KW30 MU30 \
        YE30 MT31 SC31 LC32 RU33";
    let entry = LENGTHS.split_ascii_whitespace().find(|entry| entry.as_bytes()[..2] == *country)?;
    entry[2..].parse().ok()
}

fn passes_mod_97(iban: &[u8]) -> bool {
    let value = |remainder: u32, &byte: &u8| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte - b'A') + 10) % 97,
    };
    iban[4..].iter().chain(&iban[..4]).fold(0, value) == 1
}
