//! Personal data with a shape: e-mail addresses, IP addresses, telephone, card and bank account
//! numbers, and secrets (keys and tokens of well-known services). Finding is precise rather than greedy: what carries a check digit is checked, and
//! numbers that only might be telephone numbers are left alone.

mod bank;
mod email;
mod ip;
mod phone;
mod secret;

use std::ops::Range;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A key or token of a well-known service, or a private key.
    Secret,
    /// An e-mail address.
    Email,
    /// An international bank account number whose check digits are right.
    Iban,
    /// A card number whose check digit is right.
    Card,
    /// An IP address.
    Ip,
    /// A telephone number.
    Phone,
}

impl Kind {
    /// All kinds. Where two claim the same characters the earlier one here wins.
    pub const ALL: [Kind; 6] = [Kind::Secret, Kind::Email, Kind::Iban, Kind::Card, Kind::Ip, Kind::Phone];

    /// What SQL calls it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Secret => "secret",
            Kind::Email => "email",
            Kind::Iban => "iban",
            Kind::Card => "card",
            Kind::Ip => "ip",
            Kind::Phone => "phone",
        }
    }

    /// What redaction puts in its place.
    pub fn placeholder(self) -> &'static str {
        match self {
            Kind::Secret => "<SECRET>",
            Kind::Email => "<EMAIL>",
            Kind::Iban => "<IBAN>",
            Kind::Card => "<CARD>",
            Kind::Ip => "<IP>",
            Kind::Phone => "<PHONE>",
        }
    }
}

/// A finding: its kind and its byte range in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, in bytes of the text.
    pub range: Range<usize>,
}

/// The findings of the given kinds, in order of position; none overlaps another.
pub fn find(text: &str, kinds: &[Kind]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    for kind in Kind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
        let ranges = match kind {
            Kind::Secret => secret::find(text),
            Kind::Email => email::find(text),
            Kind::Iban if digits >= 9 => bank::ibans(text),
            Kind::Card if digits >= 13 => bank::cards(text),
            Kind::Ip if digits >= 1 => ip::find(text),
            Kind::Phone if digits >= 7 => phone::find(text),
            _ => continue,
        };
        for range in ranges {
            let place = findings.partition_point(|finding| finding.range.end <= range.start);
            if findings.get(place).is_none_or(|finding| finding.range.start >= range.end) {
                findings.insert(place, Finding { kind, range });
            }
        }
    }
    findings
}

/// `text` with every finding of the given kinds replaced by its placeholder; `None` when there is none.
pub fn redact(text: &str, kinds: &[Kind]) -> Option<String> {
    let findings = find(text, kinds);
    if findings.is_empty() {
        return None;
    }
    let mut redacted = String::with_capacity(text.len());
    let mut position = 0;
    for Finding { kind, range } in findings {
        redacted.push_str(&text[position..range.start]);
        redacted.push_str(kind.placeholder());
        position = range.end;
    }
    redacted.push_str(&text[position..]);
    Some(redacted)
}

/// Reads a list of kinds: names parted by commas, or `all`.
///
/// # Errors
/// Names the kind that is unknown.
pub fn parse_kinds(list: &str) -> Result<Vec<Kind>, String> {
    if list.trim() == "all" {
        return Ok(Kind::ALL.to_vec());
    }
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
                format!(
                    "'{name}' is not a kind of personal data; there are email, ip, phone, card, iban, secret and all"
                )
            })
        })
        .collect()
}

/// Characters around a finding: the one before `range` and the two after it.
fn around(text: &str, range: &Range<usize>) -> (Option<char>, Option<char>, Option<char>) {
    let mut after = text[range.end..].chars();
    (text[..range.start].chars().next_back(), after.next(), after.next())
}

#[cfg(test)]
mod tests;
