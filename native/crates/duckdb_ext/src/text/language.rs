//! Which language a text is in.
//!
//! Two models vote: whichlang (a linear model over 16 languages, the most accurate on short text) and
//! whatlang (trigram profiles of 69 languages, with a confidence). Where they agree the confidence is
//! raised; a language that only whatlang knows wins when whatlang is sure, or when it is a near relative of
//! the other and the letters do not speak against it (Danish and Norwegian have no `ä` and `ö`); between two
//! that both know whichlang decides, at a confidence of 0.5. Text that whichlang calls English and that is full of
//! English function words is taken for English at once: the trigrams, most of the cost, add nothing.
//!
//! Measured on the translations of the Universal Declaration of Human Rights in 69 of the 70 languages, cut into
//! pieces (`examples/language_accuracy.rs`, texts by `bench/language/udhr.mjs`; means over languages):
//!
//! | characters | right | right, confidence >= 0.65 | wrong, confidence >= 0.65 | English right |
//! |---|---|---|---|---|
//! | 20 | 89.6 % | 74.2 % | 0.6 % | 94.5 % |
//! | 50 | 98.8 % | 94.2 % | 0.1 % | 99.5 % |
//! | 100 | 99.8 % | 98.9 % | 0.0 % | 100 % |
//! | 200 | 100.0 % | 99.8 % | 0.0 % | 100 % |
//! | 500 | 100.0 % | 99.9 % | 0.0 % | 100 % |
//!
//! Weakest at 50 characters: Danish 83 %, Norwegian and Slovak 91 %, Afrikaans and Slovene 94 %, Croatian 95 %,
//! Macedonian and Marathi 96 %. These are formal texts in whole sentences; a language that neither model knows is given to
//! its nearest relative, often with confidence. Pieces of 200 characters go at 21,000 a second on one thread
//! (whatlang alone 23,000; whichlang alone, which has 16 languages and no confidence, 400,000); English texts
//! need whichlang alone.

use whatlang::Lang;

/// A language by its ISO 639-1 code, and how sure the vote is, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Language {
    /// ISO 639-1 code; none where no profile fits, as for a text without letters.
    pub lang: Option<&'static str>,
    /// From 0 to 1.
    pub confidence: f64,
}

/// Characters that are looked at: more change nothing and cost time.
const SAMPLE: usize = 1000;
/// Confidence of two models that agree, before whatlang's own is added.
const AGREEMENT: f64 = 0.7;
/// Confidence where the models name different languages that both know.
const DISAGREEMENT: f64 = 0.5;
/// From this confidence on whatlang may name a language that whichlang does not know.
const SURE: f64 = 0.3;

/// The commonest function words of English.
const FUNCTION_WORDS: [&str; 50] = [
    "a", "about", "after", "all", "an", "and", "are", "as", "at", "be", "but", "by", "can", "for", "from",
    "had", "has", "have", "he", "her", "his", "how", "if", "in", "is", "it", "many", "much", "not", "of",
    "on", "or", "she", "so", "than", "that", "the", "their", "they", "this", "to", "was", "we", "were",
    "what", "which", "will", "with", "would", "you",
];
/// Share of the words that must be function words, and how many different ones, for English to be
/// taken on whichlang's word alone.
const FUNCTION_SHARE: f64 = 0.2;
const FUNCTION_KINDS: u32 = 5;

/// Whether the sample is full of English function words: `None` says no, otherwise their share.
fn english_share(sample: &str) -> Option<f64> {
    let (mut words, mut hits, mut kinds) = (0_u32, 0_u32, 0_u64);
    for word in sample.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        words += 1;
        let mut lower = [0; 8];
        let Some(lower) = lower.get_mut(..word.len()) else { continue };
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        if let Ok(index) = FUNCTION_WORDS.binary_search_by(|known| known.as_bytes().cmp(lower)) {
            hits += 1;
            kinds |= 1 << index;
        }
    }
    let share = f64::from(hits) / f64::from(words.max(1));
    (share >= FUNCTION_SHARE && kinds.count_ones() >= FUNCTION_KINDS).then_some(share)
}

/// The language of `text`; no language and confidence 0 when it has no letters to tell from.
pub fn detect(text: &str) -> Language {
    let sample = text.char_indices().nth(SAMPLE).map_or(text, |(end, _)| &text[..end]);
    let linear = linear_code(whichlang::detect_language(sample));
    if linear == "en" {
        if let Some(share) = english_share(sample) {
            return Language {
                lang: Some("en"),
                confidence: AGREEMENT + (1.0 - AGREEMENT) * (2.0 * share).min(1.0),
            };
        }
    }
    let Some(profile) = whatlang::detect(sample) else {
        return Language { lang: None, confidence: 0.0 };
    };
    let (trigram, confidence) = (code(profile.lang()), profile.confidence());
    let (lang, confidence) = if trigram == linear {
        (linear, AGREEMENT + (1.0 - AGREEMENT) * confidence)
    } else if LINEAR_LANGUAGES.contains(&trigram) {
        (linear, DISAGREEMENT)
    } else if confidence > SURE || is_relative(linear, trigram, sample) {
        (trigram, confidence)
    } else {
        (linear, 0.6 * (1.0 - confidence))
    };
    Language { lang: Some(lang), confidence }
}

/// Whether `trigram` is a near relative of `linear` that whichlang does not know, and the sample has none of
/// the letters that would speak for `linear`.
fn is_relative(linear: &str, trigram: &str, sample: &str) -> bool {
    let (relatives, letters): (&[&str], &[char]) = match linear {
        "sv" => (&["da", "no"], &['ä', 'ö', 'Ä', 'Ö']),
        "ru" => (&["bg", "mk", "sr", "uk", "be"], &['ы', 'э', 'ё', 'Ы', 'Э', 'Ё']),
        _ => return false,
    };
    relatives.contains(&trigram) && !sample.contains(letters)
}

const LINEAR_LANGUAGES: [&str; 16] =
    ["ar", "zh", "de", "en", "fr", "hi", "it", "ja", "ko", "nl", "pt", "ru", "es", "sv", "tr", "vi"];

fn linear_code(lang: whichlang::Lang) -> &'static str {
    use whichlang::Lang as L;
    match lang {
        L::Ara => "ar",
        L::Cmn => "zh",
        L::Deu => "de",
        L::Eng => "en",
        L::Fra => "fr",
        L::Hin => "hi",
        L::Ita => "it",
        L::Jpn => "ja",
        L::Kor => "ko",
        L::Nld => "nl",
        L::Por => "pt",
        L::Rus => "ru",
        L::Spa => "es",
        L::Swe => "sv",
        L::Tur => "tr",
        L::Vie => "vi",
    }
}

/// ISO 639-1 codes of whatlang's languages by their ISO 639-3 codes. Norwegian Bokmål is `no`.
const CODES: [(&str, &str); 70] = [
    ("afr", "af"),
    ("aka", "ak"),
    ("amh", "am"),
    ("ara", "ar"),
    ("aze", "az"),
    ("bel", "be"),
    ("ben", "bn"),
    ("bul", "bg"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("cmn", "zh"),
    ("cym", "cy"),
    ("dan", "da"),
    ("deu", "de"),
    ("ell", "el"),
    ("eng", "en"),
    ("epo", "eo"),
    ("est", "et"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("guj", "gu"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hye", "hy"),
    ("ind", "id"),
    ("ita", "it"),
    ("jav", "jv"),
    ("jpn", "ja"),
    ("kan", "kn"),
    ("kat", "ka"),
    ("khm", "km"),
    ("kor", "ko"),
    ("lat", "la"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("mal", "ml"),
    ("mar", "mr"),
    ("mkd", "mk"),
    ("mya", "my"),
    ("nep", "ne"),
    ("nld", "nl"),
    ("nob", "no"),
    ("ori", "or"),
    ("pan", "pa"),
    ("pes", "fa"),
    ("pol", "pl"),
    ("por", "pt"),
    ("ron", "ro"),
    ("rus", "ru"),
    ("sin", "si"),
    ("slk", "sk"),
    ("slv", "sl"),
    ("sna", "sn"),
    ("spa", "es"),
    ("srp", "sr"),
    ("swe", "sv"),
    ("tam", "ta"),
    ("tel", "te"),
    ("tgl", "tl"),
    ("tha", "th"),
    ("tuk", "tk"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("uzb", "uz"),
    ("vie", "vi"),
    ("yid", "yi"),
    ("zul", "zu"),
];

fn code(lang: Lang) -> &'static str {
    let code = lang.code();
    CODES.iter().find(|(three, _)| *three == code).map_or(code, |(_, two)| two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_two_letter_code() {
        for lang in Lang::all() {
            assert_eq!(code(*lang).len(), 2, "{lang:?}");
        }
    }

    #[test]
    fn common_languages() {
        for (text, lang) in [
            ("The kiln stays warm overnight, so the potter opens it only in the morning.", "en"),
            ("Der Ofen bleibt über Nacht warm, deshalb öffnet ihn die Töpferin erst am Morgen.", "de"),
            ("Le four reste chaud pendant la nuit, on ne l'ouvre donc que le lendemain matin.", "fr"),
            ("El horno sigue caliente toda la noche y por eso solo se abre por la mañana.", "es"),
            ("窑炉整夜都很热,所以陶工早上才打开它。", "zh"),
            ("Печь остаётся тёплой всю ночь, поэтому её открывают только утром.", "ru"),
            ("Piec pozostaje ciepły przez całą noc, dlatego otwiera się go dopiero rano.", "pl"),
            ("Ugnen är varm hela natten, så den öppnas först på morgonen.", "sv"),
            ("Uuni pysyy lämpimänä yön yli, joten savenvalaja avaa sen vasta aamulla.", "fi"),
        ] {
            let language = detect(text);
            assert_eq!(language.lang, Some(lang), "{text}");
            assert!(language.confidence >= 0.65, "{text}: {}", language.confidence);
        }
    }

    #[test]
    fn relatives_of_swedish_and_russian_are_told_by_their_letters() {
        for (text, lang) in [
            ("Ovnen holder sig varm hele natten, så den åbnes først om morgenen.", "da"),
            ("Ovnen er varm hele natten, så den åpnes først om morgenen.", "no"),
            ("Ugnen är varm hela natten, så den öppnas först på morgonen.", "sv"),
            ("Пећта останува топла цела ноќ и се отвора дури наутро.", "mk"),
            ("Печь остаётся тёплой всю ночь.", "ru"),
        ] {
            assert_eq!(detect(text).lang, Some(lang), "{text}");
        }
    }

    #[test]
    fn nothing_to_tell_from() {
        for text in ["", "   ", "12345 + 67", "!?"] {
            assert_eq!(detect(text), Language { lang: None, confidence: 0.0 }, "{text}");
        }
    }
}
