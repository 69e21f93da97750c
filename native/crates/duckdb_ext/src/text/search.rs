//! Literal and regular-expression search, compiled once and used for many texts.

use memchr::memmem;
use regex::{Regex, RegexBuilder};

/// A compiled needle, kept while the same needle comes again.
#[derive(Debug, Default)]
pub struct Searcher {
    compiled: Option<(String, bool, Kind)>,
}

#[derive(Debug)]
enum Kind {
    Literal(Box<memmem::Finder<'static>>),
    Pattern(Regex),
}

impl Searcher {
    /// Whether `needle` occurs in `text`. The empty needle occurs in every text. Ignoring case
    /// follows Unicode's simple case folding.
    ///
    /// # Errors
    /// A needle whose case-insensitive form compiles to more than 10 MB.
    pub fn contains(&mut self, text: &str, needle: &str, case_sensitive: bool) -> Result<bool, String> {
        self.run(text, needle, case_sensitive, |needle| {
            if case_sensitive {
                Ok(Kind::Literal(Box::new(memmem::Finder::new(needle).into_owned())))
            } else {
                compile(&regex::escape(needle), false).map(Kind::Pattern)
            }
        })
    }

    /// Whether the regular expression matches anywhere in `text`. Time is linear in the text: there
    /// is no look-around and no back-reference.
    ///
    /// # Errors
    /// When the pattern is not a regular expression or compiles to more than 10 MB.
    pub fn matches(&mut self, text: &str, pattern: &str, case_sensitive: bool) -> Result<bool, String> {
        self.run(text, pattern, case_sensitive, |pattern| compile(pattern, case_sensitive).map(Kind::Pattern))
    }

    fn run(
        &mut self,
        text: &str,
        needle: &str,
        case_sensitive: bool,
        compile: impl FnOnce(&str) -> Result<Kind, String>,
    ) -> Result<bool, String> {
        let known =
            matches!(&self.compiled, Some((last, case, _)) if last == needle && *case == case_sensitive);
        if !known {
            self.compiled = Some((needle.to_owned(), case_sensitive, compile(needle)?));
        }
        Ok(match &self.compiled {
            Some((_, _, Kind::Literal(finder))) => finder.find(text.as_bytes()).is_some(),
            Some((_, _, Kind::Pattern(regex))) => regex.is_match(text),
            None => unreachable!("compiled above"),
        })
    }
}

fn compile(pattern: &str, case_sensitive: bool) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .case_insensitive(!case_sensitive)
        .build()
        .map_err(|error| format!("'{pattern}' is not a valid regular expression: {error}"))
}

#[cfg(test)]
mod tests {
    use super::Searcher;

    #[test]
    fn literals() {
        let mut searcher = Searcher::default();
        for (text, needle, case_sensitive, expected) in [
            ("The cat", "cat", true, true),
            ("The cat", "Cat", true, false),
            ("The cat", "CAT", false, true),
            ("ÉTÉ à Paris", "été", false, true),
            ("a.b", "a.b", false, true),
            ("axb", "a.b", false, false),
            ("anything", "", true, true),
            ("", "", false, true),
            ("", "x", true, false),
        ] {
            assert_eq!(searcher.contains(text, needle, case_sensitive), Ok(expected), "{needle} in {text}");
        }
    }

    #[test]
    fn patterns() {
        let mut searcher = Searcher::default();
        assert_eq!(searcher.matches("call 555-1234", r"\d{3}-\d{4}", true), Ok(true));
        assert_eq!(searcher.matches("ABC", "^a", false), Ok(true));
        assert_eq!(searcher.matches("ABC", "^a", true), Ok(false));
        let error = searcher.matches("text", "(", true).unwrap_err();
        assert!(
            error.contains("not a valid regular expression") && error.contains("unclosed group"),
            "{error}"
        );
        assert_eq!(searcher.matches("x(y", "\\(", true), Ok(true), "an error leaves nothing behind");
        assert!(searcher.matches("x", r"(\w{1000}){1000}", true).is_err(), "too large to compile");
    }
}
