//! Keys and tokens of well-known services, and private keys.
//!
//! Each format is what its service documents: a prefix that it alone uses, an alphabet, a length. A
//! format that carries a check is checked: the tokens of GitHub and npm end with the CRC-32 of what
//! stands before it, in base 62; those of Grafana with such a sum in base 16; OpenAI's newer keys have a
//! fixed mark in the middle; Anthropic's end with `AA`; a JSON web token's header must be JSON with an
//! algorithm. What has fewer than eight different characters is a placeholder ("sk_live_xxxxxxxx").
//! Passwords and assignments such as `password=...` have no format and are not looked for.
//!
//! Sources: the services' own documentation of their keys ("Behind GitHub's new authentication token
//! formats", 2021; GitLab's "Token overview"; Stripe's, Slack's, AWS's and Google's pages on API keys),
//! RFC 7519 (JSON web tokens), RFC 7468 (PEM).

use aho_corasick::{AhoCorasick, MatchKind};
use std::ops::Range;
use std::sync::LazyLock;

/// Which characters a key is made of, after its prefix.
#[derive(Clone, Copy)]
enum Alphabet {
    /// Letters and digits.
    Alphanumeric,
    /// Capital letters and digits.
    Capital,
    /// Lower-case hexadecimal digits.
    Hex,
    /// Letters, digits, `-` and `_`.
    Url,
    /// As `Url`, and `/`.
    Path,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Alphabet::Alphanumeric => byte.is_ascii_alphanumeric(),
            Alphabet::Capital => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Alphabet::Hex => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            Alphabet::Url => byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_',
            Alphabet::Path => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/'),
        }
    }
}

/// How the end of a key is found: from the bytes behind its prefix to its length there, 0 for no key.
enum Body {
    /// A run of one alphabet of so many characters, neither fewer nor more, that passes a test.
    Run(Alphabet, usize, usize, fn(&[u8]) -> bool),
    /// Anything else.
    Other(fn(&[u8]) -> usize),
}

use Alphabet::{Alphanumeric, Capital, Hex, Path, Url};
use Body::{Other, Run};

/// Longest run that is looked at.
const LONGEST: usize = 16 * 1024;

fn any(_: &[u8]) -> bool {
    true
}

/// The formats, by prefix.
const FORMATS: &[(&str, Body)] = &[
    // Amazon Web Services: ids of access keys, lasting and temporary.
    ("AKIA", Run(Capital, 16, 16, any)),
    ("ASIA", Run(Capital, 16, 16, any)),
    ("ghp_", Run(Alphanumeric, 36, 36, has_crc32_base62)),
    ("gho_", Run(Alphanumeric, 36, 36, has_crc32_base62)),
    ("ghu_", Run(Alphanumeric, 36, 36, has_crc32_base62)),
    ("ghs_", Run(Alphanumeric, 36, 36, has_crc32_base62)),
    ("ghr_", Run(Alphanumeric, 36, 36, has_crc32_base62)),
    ("github_pat_", Run(Url, 82, 82, |body| body[22] == b'_' && !body[..22].contains(&b'_'))),
    ("npm_", Run(Alphanumeric, 36, 36, has_crc32_base62)),
    ("glpat-", Other(gitlab)),
    ("gldt-", Other(gitlab)),
    ("glrt-", Other(gitlab)),
    ("glptt-", Run(Hex, 40, 40, any)),
    ("xoxb-", Run(Url, 40, 120, begins_with_numbers)),
    ("xoxp-", Run(Url, 40, 120, begins_with_numbers)),
    ("xoxa-", Run(Url, 40, 120, begins_with_numbers)),
    ("xapp-1-A", Run(Url, 80, 150, any)),
    (
        "https://hooks.slack.com/services/T",
        Run(Path, 38, 60, |body| body.iter().filter(|&&b| b == b'/').count() == 2),
    ),
    ("sk_live_", Run(Alphanumeric, 24, 247, any)),
    ("sk_test_", Run(Alphanumeric, 24, 247, any)),
    ("rk_live_", Run(Alphanumeric, 24, 247, any)),
    ("rk_test_", Run(Alphanumeric, 24, 247, any)),
    ("AIza", Run(Url, 35, 35, any)),
    ("GOCSPX-", Run(Url, 28, 28, any)),
    ("sk-ant-", Run(Url, 90, 120, |body| body.ends_with(b"AA"))),
    ("sk-proj-", Run(Url, 48, 200, has_openai_mark)),
    ("sk-svcacct-", Run(Url, 48, 200, has_openai_mark)),
    ("sk-admin-", Run(Url, 48, 200, has_openai_mark)),
    ("sk-or-v1-", Run(Hex, 64, 64, any)),
    ("sk-", Run(Alphanumeric, 32, 64, is_mixed)),
    ("hf_", Run(Alphanumeric, 34, 34, is_mixed_case)),
    ("gsk_", Run(Alphanumeric, 52, 52, is_mixed)),
    ("xai-", Run(Alphanumeric, 80, 80, is_mixed)),
    ("pplx-", Run(Alphanumeric, 48, 48, is_mixed)),
    ("r8_", Run(Alphanumeric, 37, 37, is_mixed)),
    // "pypi.org" and "test.pypi.org" in the base 64 of a macaroon.
    ("pypi-AgEIcHlwaS5vcmc", Run(Url, 50, 1000, any)),
    ("pypi-AgENdGVzdC5weXBpLm9yZw", Run(Url, 50, 1000, any)),
    ("SG.", Other(sendgrid)),
    ("dop_v1_", Run(Hex, 64, 64, any)),
    ("shpat_", Run(Hex, 32, 32, any)),
    ("glsa_", Run(Url, 41, 41, has_crc32_hex)),
    ("dckr_pat_", Run(Url, 27, 27, any)),
    ("rubygems_", Run(Hex, 48, 48, any)),
    ("hvs.", Run(Url, 90, 300, any)),
    ("lin_api_", Run(Alphanumeric, 40, 40, is_mixed)),
    ("AGE-SECRET-KEY-1", Run(Capital, 58, 58, any)),
    ("eyJ", Other(web_token)),
    ("-----BEGIN ", Other(private_key)),
];

/// Byte ranges of the keys and tokens in `text`.
pub fn find(text: &str) -> Vec<Range<usize>> {
    static PREFIXES: LazyLock<AhoCorasick> = LazyLock::new(|| {
        AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(FORMATS.iter().map(|(prefix, _)| prefix))
            .expect("a small automaton")
    });
    let bytes = text.as_bytes();
    let mut found: Vec<Range<usize>> = Vec::new();
    for prefix in PREFIXES.find_iter(bytes) {
        let inside = found.last().is_some_and(|last| prefix.start() < last.end);
        let before = prefix.start().checked_sub(1).map(|index| bytes[index]);
        let begins = before.is_none_or(|byte| !Alphabet::Url.has(byte) || is_escaped(bytes, prefix.start()));
        if inside || !begins {
            continue;
        }
        let rest = &bytes[prefix.end()..];
        let length = match &FORMATS[prefix.pattern().as_usize()].1 {
            Run(alphabet, least, most, test) => {
                let length = rest.iter().take(most + 1).take_while(|&&byte| alphabet.has(byte)).count();
                let ends = rest.get(length).is_none_or(|&byte| !Alphanumeric.has(byte) && byte != b'_');
                let body = &rest[..length];
                let fits = (*least..=*most).contains(&length) && ends && is_varied(body) && test(body);
                if fits {
                    length
                } else {
                    0
                }
            }
            Other(end) => end(rest),
        };
        if length > 0 {
            found.push(prefix.start()..prefix.end() + length);
        }
    }
    found
}

/// Whether the letter before `start` belongs to an escape such as `\\n`.
fn is_escaped(bytes: &[u8], start: usize) -> bool {
    start >= 2 && bytes[start - 2] == b'\\' && matches!(bytes[start - 1], b'n' | b'r' | b't')
}

/// Whether at least eight different characters occur: a placeholder has fewer.
fn is_varied(body: &[u8]) -> bool {
    let seen = body.iter().fold(0_u128, |seen, &byte| seen | 1 << (byte & 127));
    seen.count_ones() >= 8
}

fn is_mixed(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_digit) && body.iter().any(u8::is_ascii_alphabetic)
}

fn is_mixed_case(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_lowercase) && body.iter().any(u8::is_ascii_uppercase)
}

/// Slack's tokens have one to three numbers of workspace, user and such before their random part.
fn begins_with_numbers(body: &[u8]) -> bool {
    let first = body.split(|&byte| byte == b'-').next().unwrap_or_default();
    first.len() >= 9 && first.iter().all(u8::is_ascii_digit) && body.contains(&b'-')
}

/// The base 64 of "OpenAI", which all its keys since 2020 have in the middle.
fn has_openai_mark(body: &[u8]) -> bool {
    memchr::memmem::find(body, b"T3BlbkFJ").is_some()
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether the last six characters are the CRC-32 of those before, in base 62.
fn has_crc32_base62(body: &[u8]) -> bool {
    let (random, check) = body.split_at(body.len() - 6);
    let mut sum = crc32(random);
    let digits: [u8; 6] = std::array::from_fn(|_| {
        let digit = BASE62[(sum % 62) as usize];
        sum /= 62;
        digit
    });
    check.iter().rev().eq(&digits)
}

/// Whether 32 characters are followed by `_` and the CRC-32 of prefix and characters in base 16, the
/// lowest byte first.
fn has_crc32_hex(body: &[u8]) -> bool {
    let sum = crc32(&[b"glsa_", &body[..32]].concat());
    body[32] == b'_' && body[33..] == *format!("{:08x}", sum.swap_bytes()).as_bytes()
}

/// CRC-32 of IEEE 802.3, bit by bit: it is needed for little more than a hundred bytes a key.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    })
}

fn run(bytes: &[u8], alphabet: Alphabet) -> usize {
    bytes.iter().take(LONGEST).take_while(|&&byte| alphabet.has(byte)).count()
}

/// 20 characters; or, in the newer form, 27 or more, a dot, and 9 of length and check sum.
fn gitlab(rest: &[u8]) -> usize {
    let length = run(rest, Url);
    if !is_varied(&rest[..length]) {
        return 0;
    }
    if (27..=300).contains(&length) && rest.get(length) == Some(&b'.') {
        let tail = run(&rest[length + 1..], Alphanumeric);
        if tail == 9 {
            return length + 1 + tail;
        }
    }
    if length == 20 {
        length
    } else {
        0
    }
}

/// 22 characters, a dot, 43 characters.
fn sendgrid(rest: &[u8]) -> usize {
    let first = run(rest, Url);
    if first != 22 || rest.get(22) != Some(&b'.') || run(&rest[23..], Url) != 43 {
        return 0;
    }
    66
}

/// A JSON web token behind `eyJ`, which is base 64 for `{"`: three parts, of which the first says by
/// which algorithm the third is made from the others.
fn web_token(rest: &[u8]) -> usize {
    let header = run(rest, Url);
    let payload = rest.get(header + 1..).map_or(0, |rest| run(rest, Url));
    let signature = rest.get(header + payload + 2..).map_or(0, |rest| run(rest, Url));
    let dots = rest.get(header) == Some(&b'.') && rest.get(header + 1 + payload) == Some(&b'.');
    if !dots || payload < 8 || signature < 20 {
        return 0;
    }
    let header_json = decode_base64(&[b"eyJ", &rest[..header]].concat());
    let names_algorithm =
        header_json.ends_with(b"}") && memchr::memmem::find(&header_json, b"\"alg\"").is_some();
    if names_algorithm {
        header + payload + signature + 2
    } else {
        0
    }
}

/// The bytes of base 64 in the alphabet for addresses, as far as it is made of whole bytes.
fn decode_base64(text: &[u8]) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::with_capacity(text.len() * 3 / 4));
    for &byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            _ => 63,
        };
        (bits, count) = ((bits << 6) | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// Fewest characters of base 64 in the block of a private key: an Ed25519 key has 64.
const SHORTEST_KEY: usize = 60;

/// A PEM block of a private key behind `-----BEGIN `, to its end mark, or as far as it goes where the
/// text was cut before that. Line ends may be written `\\n`, as in JSON.
fn private_key(rest: &[u8]) -> usize {
    let Some(label) = rest.iter().take(40).position(|&byte| byte == b'-') else { return 0 };
    let name = &rest[..label];
    let is_private = name.ends_with(b"PRIVATE KEY") || name.ends_with(b"PRIVATE KEY BLOCK");
    if !is_private || !rest[label..].starts_with(b"-----") {
        return 0;
    }
    let body = &rest[label + 5..];
    let body = &body[..body.len().min(LONGEST)];
    let end = memchr::memmem::find(body, b"-----");
    let length = end.unwrap_or_else(|| {
        body.iter().take_while(|&&byte| is_base64(byte) || matches!(byte, b'\n' | b'\r' | b'\\')).count()
    });
    let content = &body[..length];
    let is_content = |byte: u8| {
        is_base64(byte)
            || byte.is_ascii_whitespace()
            || matches!(byte, b'\\' | b':' | b',' | b'-' | b'.' | b'(' | b')')
    };
    let base64 = content.iter().filter(|&&byte| is_base64(byte)).count();
    if base64 < SHORTEST_KEY || !content.iter().all(|&byte| is_content(byte)) || !is_varied(content) {
        return 0;
    }
    let tail = &body[length..];
    let close = if tail.starts_with(b"-----END ") {
        tail[9..].iter().take(40).position(|&byte| byte == b'-').map_or(0, |label| {
            9 + label + tail[9 + label..].iter().take(5).take_while(|&&byte| byte == b'-').count()
        })
    } else {
        0
    };
    label + 5 + length + close
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
