//! Telephone numbers.
//!
//! A number is taken for a telephone number only when its form says so: an international prefix; an
//! area code in parentheses; the North American 3-3-4 grouping with one separator throughout; a
//! national number that begins with 0 and has 9 to 12 digits in groups; the fictional 555-xxxx; or
//! any grouping of 7 to 15 digits right behind a word such as "phone" or "call". Years, prices,
//! sums and tables have none of these.

use super::around;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

struct Form {
    expression: Regex,
    accepts: fn(&str) -> bool,
}

static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let form = |expression: &str, accepts| Form {
        expression: Regex::new(expression).expect("a valid expression"),
        accepts,
    };
    vec![
        form(r"\+[1-9][0-9]{0,2}(?:[ .-]?\(?[0-9]{1,4}\)?){2,6}", |text| has_digits(text, 8..=15)),
        form(r"\+[1-9][0-9]{7,14}", |_| true),
        form(r"(?:1[ .-])?\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}", |_| true),
        form(
            r"(?:1-)?[2-9][0-9]{2}-[2-9][0-9]{2}-[0-9]{4}|(?:1\.)?[2-9][0-9]{2}\.[2-9][0-9]{2}\.[0-9]{4}|(?:1 )?[2-9][0-9]{2} [2-9][0-9]{2} [0-9]{4}",
            |_| true,
        ),
        form(r"0[1-9][0-9]{0,4}(?:[ .-][0-9]{2,8})+|0[1-9][0-9]{1,4}/[0-9]{4,8}", is_national),
        form(r"555-[0-9]{4}", |_| true),
    ]
});

static AFTER_CUE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(?:tel|telephone|phone|phone number|call|fax|mobile|cell|dial|whatsapp)\b[ .:]{1,3}(?:(?:me|us|him|her|them|is|on|at|no|number)[ .:]{1,2}){0,3}(\+?[0-9(][0-9 ().-]{5,20}[0-9])",
    )
    .expect("a valid expression")
});

/// Byte ranges of the telephone numbers in `text`, which may overlap where forms do.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for form in FORMS.iter() {
        let candidates = form.expression.find_iter(text).map(|found| found.range());
        found.extend(
            candidates.filter(|range| stands_alone(text, range) && (form.accepts)(&text[range.clone()])),
        );
    }
    let cued = AFTER_CUE.captures_iter(text).filter_map(|captures| captures.get(1)).map(|number| {
        let opens = number.as_str().starts_with('(') && !number.as_str().contains(')');
        number.start() + usize::from(opens)..number.end()
    });
    found.extend(cued.filter(|range| {
        let number = &text[range.clone()];
        stands_alone(text, range) && has_digits(number, 7..=15) && !is_date(number)
    }));
    // The longest first: of overlapping forms the fuller one is kept.
    found.sort_by_key(|range| (std::cmp::Reverse(range.len()), range.start));
    found
}

fn has_digits(text: &str, count: std::ops::RangeInclusive<usize>) -> bool {
    count.contains(&text.bytes().filter(u8::is_ascii_digit).count())
}

/// Not part of a longer number, a word, a sum or a price.
fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let (before, after, next) = around(text, range);
    let begins = before.is_none_or(|c| {
        !c.is_alphanumeric()
            && !matches!(c, '.' | ',' | '-' | '/' | '+' | '*' | '=' | '<' | '$' | '£' | '€' | '#' | '_' | '%')
    });
    let ends = after.is_none_or(|c| {
        let goes_on =
            matches!(c, '.' | ',' | '-' | '/' | ':') && next.is_some_and(|next| next.is_ascii_digit());
        !(c.is_alphanumeric()
            || goes_on
            || matches!(c, '=' | '+' | '*' | '%' | '_' | '/' | '<' | '>' | '$' | '£' | '€'))
    });
    begins && ends
}

/// A national number: 9 to 12 digits; all groups pairs, or one group of four or more.
fn is_national(text: &str) -> bool {
    let groups: Vec<usize> = text.split([' ', '.', '-', '/']).map(str::len).collect();
    let pairs = groups.len() >= 5 && groups.iter().all(|&length| length == 2);
    let long = groups.iter().skip(1).any(|&length| length >= 4) && groups.iter().all(|&length| length <= 8);
    // "05.123456" is a decimal number.
    let decimal = groups.len() == 2 && text.contains('.');
    has_digits(text, 9..=12) && (pairs || long) && !decimal
}

/// `12.05.2024`, `2024-05-12` and their like.
fn is_date(text: &str) -> bool {
    let groups: Vec<usize> = text.split(['.', '-', '/', ' ']).map(str::len).collect();
    matches!(groups.as_slice(), [1 | 2, 1 | 2, 4] | [4, 1 | 2, 1 | 2])
}
