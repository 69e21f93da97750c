//! IP addresses.

use std::net::Ipv6Addr;
use std::ops::Range;

/// Byte ranges of the IPv4 and IPv6 addresses in `text`.
///
/// IPv4: four numbers from 0 to 255 without leading zeros that are not part of a longer run of
/// numbers and dots nor of a version ("v1.2.3.4"). IPv6: at least four groups, or a public, local or
/// link-local prefix (2..., 3..., f...), so that `a::b` in a program is not one.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut position = 0;
    while position < bytes.len() {
        if !is_part(bytes[position]) {
            position += 1;
            continue;
        }
        let length = bytes[position..].iter().take_while(|&&byte| is_part(byte)).count();
        let end = position + length;
        let begins = text[..position]
            .chars()
            .next_back()
            .is_none_or(|before| !before.is_alphanumeric() && before != '_');
        let ends = text[end..].chars().next().is_none_or(|after| !after.is_alphanumeric() && after != '_');
        if begins && ends && length <= 64 {
            let run = text[position..end].trim_end_matches(['.', ':']);
            let start = run.len() - run.trim_start_matches('.').len();
            let candidate = &run[start..];
            if is_v4(candidate) || is_v6(candidate) {
                found.push(position + start..position + run.len());
            } else if let Some((address, port)) = candidate.split_once(':') {
                if is_v4(address) && port.bytes().all(|byte| byte.is_ascii_digit()) {
                    found.push(position + start..position + start + address.len());
                }
            }
        }
        position = end;
    }
    found
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte == b'.' || byte == b':'
}

fn is_v4(text: &str) -> bool {
    let octet = |part: &str| {
        let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        plain && part.parse::<u8>().is_ok()
    };
    text.split('.').count() == 4 && text.split('.').all(octet)
}

fn is_v6(text: &str) -> bool {
    if text.bytes().filter(|&byte| byte == b':').count() < 2 || text.parse::<Ipv6Addr>().is_err() {
        return false;
    }
    let groups = text.split(':').filter(|group| !group.is_empty()).count();
    let first = text.split(':').next().unwrap_or("");
    let routed = first.len() == 4 && first.starts_with(['2', '3', 'f', 'F']) && groups >= 2;
    groups >= 4 || routed
}
