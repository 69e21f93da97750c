use super::super::{find as find_all, redact, Kind};
use super::*;

/// Letters and digits from a fixed sequence, so that no key stands in this file.
fn letters(count: usize, alphabet: &[u8]) -> String {
    let mut state = 17_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        alphabet[(state >> 33) as usize % alphabet.len()] as char
    };
    (0..count).map(|_| next()).collect()
}

const LOWER: &[u8] = b"0123456789abcdef";

/// One of every format, made of random characters and, where the format has one, a right check.
fn keys() -> Vec<String> {
    let any = |count| letters(count, BASE62);
    let hex = |count| letters(count, LOWER);
    let capital = |count| letters(count, &BASE62[..36]);
    let checked = |prefix: &str| {
        let random = any(30);
        let mut sum = crc32(random.as_bytes());
        let mut check = Vec::new();
        for _ in 0..6 {
            check.insert(0, BASE62[(sum % 62) as usize]);
            sum /= 62;
        }
        format!("{prefix}{random}{}", String::from_utf8(check).unwrap())
    };
    let mut keys: Vec<String> = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"].map(checked).to_vec();
    keys.extend([
        format!("AKIA{}", capital(16)),
        format!("ASIA{}", capital(16)),
        format!("github_pat_{}_{}", any(22), any(59)),
        format!("glpat-{}", any(20)),
        format!("glpat-{}.{}", any(40), hex(9)),
        format!("gldt-{}", any(20)),
        format!("glrt-{}", any(20)),
        format!("glptt-{}", hex(40)),
        format!("xoxb-123456789012-1234567890123-{}", any(24)),
        format!("xoxp-123456789012-123456789012-123456789012-{}", hex(32)),
        format!("xoxa-123456789012-{}", any(32)),
        format!("xapp-1-A{}-1234567890123-{}", capital(10), hex(64)),
        format!("https://hooks.slack.com/services/T{}/B{}/{}", capital(8), capital(8), any(24)),
        format!("sk_live_{}", any(24)),
        format!("rk_test_{}", any(99)),
        format!("AIza{}", any(35)),
        format!("GOCSPX-{}", any(28)),
        format!("sk-ant-api03-{}AA", any(93)),
        format!("sk-proj-{}T3BlbkFJ{}", any(74), any(74)),
        format!("sk-{}T3BlbkFJ{}", any(20), any(20)),
        format!("sk-{}", hex(32)),
        format!("sk-or-v1-{}", hex(64)),
        format!("hf_{}", letters(34, &BASE62[10..])),
        format!("gsk_{}", any(52)),
        format!("pypi-AgEIcHlwaS5vcmc{}", any(150)),
        format!("SG.{}.{}", any(22), any(43)),
        format!("dop_v1_{}", hex(64)),
        format!("shpat_{}", hex(32)),
        format!("dckr_pat_{}", any(27)),
        format!("rubygems_{}", hex(48)),
        format!("hvs.{}", any(95)),
        format!("lin_api_{}", any(40)),
        format!("AGE-SECRET-KEY-1{}", capital(58)),
        // {"alg":"HS256","typ":"JWT"}
        format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{}.{}", any(40), any(43)),
        format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n{}==\n-----END RSA PRIVATE KEY-----", any(64), any(30)),
        format!("-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----", any(64)),
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n{}", any(70), any(40)),
    ]);
    keys
}

fn found(text: &str) -> Vec<&str> {
    find(text).into_iter().map(|range| &text[range]).collect()
}

#[test]
fn every_format_is_found_where_it_stands() {
    let keys = keys();
    for key in &keys {
        for (before, after) in [("", ""), ("key=", "\n"), ("(\"", "\"),"), ("a\\n", "\\n"), ("für ", "，")]
        {
            // A private key that was cut goes as far as letters do.
            if key.contains("OPENSSH") && after.starts_with('\\') {
                continue;
            }
            let text = format!("{before}{key}{after}");
            let range = find(&text).first().cloned().unwrap_or_default();
            assert_eq!(text[range].trim_end(), key, "{text}");
        }
    }
    let text = keys.join(" and ");
    assert_eq!(found(&text), keys, "all in one text");
    assert_eq!(redact(&format!("It is {}.", keys[0]), &[Kind::Secret]).unwrap(), "It is <SECRET>.");
}

#[test]
fn published_examples() {
    // Revoked tokens that their services' documents or tests show; parted so that no scanner stops here.
    let github = concat!("ghp", "_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17");
    let grafana = concat!("glsa", "_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a");
    let aws = concat!("AKIA", "IOSFODNN7EXAMPLE");
    for key in [github, grafana, aws] {
        assert_eq!(found(&format!("token: {key}.")), [key]);
    }
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926, "the check value of CRC-32");
}

#[test]
fn what_only_looks_like_a_key_is_left() {
    for key in keys() {
        let has_check = key.starts_with("gh") && !key.starts_with("github") || key.starts_with("npm_");
        if has_check {
            let last = if key.ends_with('0') { "1" } else { "0" };
            assert_eq!(found(&format!("{}{last}", &key[..key.len() - 1])), [""; 0], "a wrong check: {key}");
        }
        if !key.contains(' ') && !key.contains("//") {
            assert_eq!(found(&format!("x{key}")), [""; 0], "part of a word: {key}");
        }
    }
    for text in [
        "sk_live_xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "AKIAXXXXXXXXXXXXXXXX",
        "the task-force of the risk-averse sk-learn project",
        "sk-abcdefghijklmnopqrstuvwxyzabcdefgh",
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJub3QiOiJhIGhlYWRlciJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun\n-----END PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "password=hunter2 api_key=0123456789",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn a_secret_goes_before_what_is_in_it() {
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}4111111111111111\n-----END PRIVATE KEY-----",
        letters(64, BASE62)
    );
    let kinds: Vec<Kind> = find_all(&key, &Kind::ALL).into_iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Secret]);
}

#[test]
fn hostile_texts_take_linear_time() {
    let start = std::time::Instant::now();
    for piece in [
        "sk-",
        "eyJ.",
        "eyJa.eyJb",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "ghp_a",
        "glpat-a.",
        "SG.a",
        "AKIAAKIA",
    ] {
        find(&piece.repeat(200_000));
        find(&format!("{}{}", piece.repeat(1000), "a".repeat(1_000_000)));
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
