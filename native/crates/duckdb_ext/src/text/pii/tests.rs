use super::*;

fn found(text: &str) -> Vec<(&'static str, &str)> {
    find(text, &Kind::ALL).into_iter().map(|finding| (finding.kind.name(), &text[finding.range])).collect()
}

#[test]
fn emails() {
    for address in
        ["ada@post.example", "j.weir+pots@post.example", "x_1%y@a-b.co.uk", "o'neil@mail.example.org"]
    {
        assert_eq!(found(&format!("Write to <{address}>, please.")), [("email", address)]);
        assert_eq!(found(&format!("({address}).")), [("email", address)]);
    }
    for text in ["a @ b.com", "user@localhost", "@handle.com", "x@.com", "x@1.2", "a.@b.com", "@@@@"] {
        assert_eq!(found(text), [], "{text}");
    }
    assert_eq!(found("ask a@b.org.Then c@d.net"), [("email", "a@b.org.Then"), ("email", "c@d.net")]);
    assert_eq!(found(&format!("{}@b.org", "a".repeat(70))), [], "the local part is too long");
}

#[test]
fn ips() {
    for address in ["203.0.113.45", "8.8.8.8", "2001:db8::8a2e:370:7334", "fe80::1ff:fe23:4567:890a"] {
        assert_eq!(found(&format!("from {address}.")), [("ip", address)]);
    }
    assert_eq!(found("at 203.0.113.45:8080, then"), [("ip", "203.0.113.45")]);
    for text in [
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "v1.2.3.4",
        "01.2.3.4",
        "at 12:30:45",
        "std::vector a::b",
        "::1",
        "1.2.3.4a",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn phones() {
    for number in [
        "+44 20 7946 0958",
        "+1 555-010-0199",
        "(555) 010-0142",
        "020 7946 0412",
        "415-555-0132",
        "415.555.0132",
        "+4915112345678",
        "06 12 34 56 78",
        "0171/1234567",
        "1-800-555-0199",
        "+1 (415) 555-0132",
        "555-0142",
    ] {
        assert_eq!(found(&format!("Please ask on {number} before noon.")), [("phone", number)]);
        assert_eq!(found(&format!("Phone: {number}.")), [("phone", number)]);
    }
    assert_eq!(found("Call us on 7946 0958 or write"), [("phone", "7946 0958")]);
    assert_eq!(found("my cell (7946-0958)"), [("phone", "7946-0958")]);
    for text in [
        "in 1998-2004",
        "it cost $1,000,000",
        "48/2 = 24",
        "12345678",
        "3000000 + 4000000",
        "the years 1999 2000 2001",
        "2024-05-12",
        "12.05.2024",
        "12:30",
        "order 1234-5678-90",
        "3.14159265358",
        "+1000000",
        "5+12345678",
        "01 02 03",
        "0.0123456789",
        "call 12.05.2024",
        "phone calls cost 1500",
        "ISBN 978-3-16-148410-0",
        "200-300-4000000",
        "010 020 030",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn cards_and_ibans_are_checked() {
    // Test numbers that issuers and banks publish for this purpose.
    for card in ["4111 1111 1111 1111", "5555555555554444", "3782-822463-10005", "6011111111111117"] {
        assert_eq!(found(&format!("card {card}, valid")), [("card", card)]);
    }
    for text in ["4111 1111 1111 1112", "1234567812345670", "0000000000000000", "411111111111111111111111"] {
        assert_eq!(found(text), [], "{text}");
    }
    for iban in ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "NL91ABNA0417164300"] {
        assert_eq!(found(&format!("to {iban}.")), [("iban", iban)]);
    }
    assert_eq!(found("GB83 WEST 1234 5698 7654 32"), []);
    assert_eq!(found("to DE89 3704 0044 0532 0130 00 NOW"), [("iban", "DE89 3704 0044 0532 0130 00")]);
}

#[test]
fn redaction() {
    let text = "Mäil a@b.org or +44 20 7946 0958";
    assert_eq!(redact(text, &Kind::ALL).unwrap(), "Mäil <EMAIL> or <PHONE>");
    assert_eq!(redact(text, &[Kind::Email]).unwrap(), "Mäil <EMAIL> or +44 20 7946 0958");
    assert_eq!(redact("nothing here", &Kind::ALL), None);
    assert_eq!(redact(text, &[]), None);
}

#[test]
fn kinds_are_parsed() {
    assert_eq!(parse_kinds(" email, ip "), Ok(vec![Kind::Email, Kind::Ip]));
    assert_eq!(parse_kinds("all").unwrap().len(), 6);
    assert_eq!(parse_kinds(""), Ok(vec![]));
    assert!(parse_kinds("email,passport").unwrap_err().contains("'passport'"));
}

#[test]
fn hostile_texts_take_linear_time() {
    let start = std::time::Instant::now();
    for text in [
        "a@".repeat(500_000),
        "1.".repeat(500_000),
        "+1 (".repeat(250_000),
        "0 ".repeat(500_000),
        "12-".repeat(300_000),
        "a".repeat(1_000_000) + "@",
    ] {
        find(&text, &Kind::ALL);
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
