//! Web and mail addresses, which stay whole.

use super::chars::is_lower;

/// Whether the whole of `text` has the shape of an address: optional scheme, optional user, a host
/// name that ends in a lower-case top-level domain (or an IPv4 address), optional port and path.
pub fn is_address(text: &str) -> bool {
    // The host needs a dot.
    if memchr::memchr(b'.', text.as_bytes()).is_none() {
        return false;
    }
    let after_scheme = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)).map(|(_, rest)| rest);
    let candidates = [Some(text), after_scheme];
    candidates.into_iter().flatten().any(|rest| {
        is_host_and_rest(rest)
            || rest.match_indices('@').any(|(at, _)| at > 0 && is_host_and_rest(&rest[at + 1..]))
    })
}

fn is_scheme(scheme: &str) -> bool {
    scheme.chars().count() >= 2
        && scheme.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '+' | '-' | '.'))
}

fn is_host_and_rest(text: &str) -> bool {
    let host_end = text.find(|c| !is_host_character(c)).unwrap_or(text.len());
    let (host, rest) = text.split_at(host_end);
    is_port_and_path(rest) && (is_name(host) || is_ip(host))
}

fn is_host_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | '\u{a1}'..='\u{ffff}')
}

fn is_port_and_path(text: &str) -> bool {
    let path = match text.strip_prefix(':') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !(2..=5).contains(&digits) {
                return false;
            }
            &rest[digits..]
        }
        None => text,
    };
    path.is_empty() || path.starts_with(['/', '?', '#'])
}

fn is_name(host: &str) -> bool {
    let Some((labels, top)) = host.rsplit_once('.') else { return false };
    let letters = top.chars().count();
    (2..=63).contains(&letters) && top.chars().all(is_lower) && labels.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| !matches!(c, '-' | '_'));
    edge(label.chars().next()) && edge(label.chars().next_back()) && label.chars().count() <= 64
}

fn is_ip(host: &str) -> bool {
    let mut parts = 0;
    host.split('.').all(|part| {
        parts += 1;
        part.len() <= 3 && part.parse::<u8>().is_ok()
    }) && parts == 4
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn addresses() {
        for text in [
            "www.example.com",
            "http://a.b.org/x?y=1",
            "me@mail.example.org",
            "example.com:8080/",
            "8.8.8.8",
            "ftp://u:p@h.net",
        ] {
            assert!(is_address(text), "{text}");
        }
        for text in
            ["word", "1.5", "end.The", "a.b", "http://", "me@host", "example.com:x", ".com", "-x-.com"]
        {
            assert!(!is_address(text), "{text}");
        }
    }
}
