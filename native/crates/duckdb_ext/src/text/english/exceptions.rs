//! Chunks with a reading of their own: contractions, abbreviations, emoticons, clock times.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::OnceLock;

/// Lengths in bytes of the words of an exception; they add up to the length of the chunk.
type Parts = Box<[u8]>;

struct Table {
    entries: HashMap<Box<str>, Parts, BuildHasherDefault<Quick>>,
    /// Bit n of element b: an exception of n bytes begins with byte b. Spares most look-ups.
    lengths: [u64; 256],
    /// The same of the last bytes.
    ends: [u64; 256],
}

/// A hash for a few hundred short keys that nobody from outside adds to.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// The words of `chunk` when it is an exception.
pub fn find(chunk: &str) -> Option<&'static [u8]> {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let table = TABLE.get_or_init(Table::new);
    let (&first, &last) = chunk.as_bytes().first().zip(chunk.as_bytes().last())?;
    let lengths = table.lengths[first as usize] & table.ends[last as usize];
    if chunk.len() >= 64 || lengths >> chunk.len() & 1 == 0 {
        return None;
    }
    table.entries.get(chunk).map(|parts| &**parts)
}

/// Abbreviations and words with an apostrophe that stay whole.
const WHOLE: &str = "'S 's ‘S ‘s and/or w/o 're 'Cause 'cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout ma'am Ma'am \
    o'clock O'clock lovin' Lovin' havin' Havin' doin' Doin' goin' Goin' nothin' Nothin' nuthin' Nuthin' ol' Ol' \
    somethin' Somethin' 'em 'll 'nuff 'd \
    Mt. Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. Ind. Jan. Jul. Jun. \
    Kan. Kans. Ky. La. Mar. Mass. Mich. Minn. Miss. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov. Oct. Okla. \
    Ore. Pa. S.C. Sep. Sept. Tenn. Va. Wash. Wis. \
    a.m. Adm. Bros. co. Co. Corp. D.C. Dr. e.g. E.g. E.G. Gen. Gov. i.e. I.e. I.E. Inc. Jr. Ltd. Md. Messrs. Mo. \
    Mont. Mr. Mrs. Ms. p.m. Ph.D. Prof. Rep. Rev. Sen. St. vs. v.s. \
    ' \\\") <space> '' C++ — \\t \\n ä. ö. ü.";

const EMOTICONS: &str = "=[ :) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) \
    (; (-; :( :-( :(( :-(( :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= :1 :P :-P :p :-p :O :-O \
    :o :-o :0 :-0 :() >:o :* :-* :3 :-3 =3 :> :-> :X :-X :x :-x :D :-D ;D ;-D =D xD XD xDD XDD 8D 8-D ^_^ ^__^ ^___^ \
    >.< >.> <.< ._. ;_; -_- -__- v.v V.V v_v V_V o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o 0.0 o.0 0.o @_@ <3 <33 \
    <333 </3 (^_^) (-_-) (._.) (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ) ><(((*>";

/// Exceptions with their words set apart by `|`.
const SPLIT: &str =
    "y'|all y|all how|'d|'y How|'d|'y not|'ve not|ve Not|'ve Not|ve can|not Can|not gon|na Gon|na \
    got|ta Got|ta let|'s Let|'s c'm|on C'm|on";

/// Words that look like a contraction without its apostrophe and are left alone.
const NOT_CONTRACTED: &str =
    "Ill ill Its its Hell hell Shell shell Shed shed were Were Well well Whore whore";

impl Table {
    fn new() -> Self {
        let mut table = Table { entries: HashMap::default(), lengths: [0; 256], ends: [0; 256] };
        for letter in 'a'..='z' {
            table.add(&[&format!("{letter}.")]);
        }
        table.contractions();
        for word in NOT_CONTRACTED.split_ascii_whitespace() {
            table.entries.remove(word);
        }
        for word in WHOLE.split_ascii_whitespace().chain(EMOTICONS.split_ascii_whitespace()) {
            table.add(&[word]);
        }
        for word in SPLIT.split_ascii_whitespace() {
            table.add(&word.split('|').collect::<Vec<_>>());
        }
        for hour in 1..=12 {
            for period in ["a.m.", "am", "p.m.", "pm"] {
                table.add(&[&hour.to_string(), period]);
            }
        }
        table.curly_apostrophes();
        for chunk in table.entries.keys() {
            let bytes = chunk.as_bytes();
            table.lengths[bytes[0] as usize] |= 1 << bytes.len();
            table.ends[bytes[bytes.len() - 1] as usize] |= 1 << bytes.len();
        }
        table
    }

    /// Every exception also with typographic apostrophes.
    fn curly_apostrophes(&mut self) {
        let curly: Vec<Vec<String>> = self
            .entries
            .iter()
            .filter(|(chunk, _)| chunk.contains('\''))
            .map(|(chunk, parts)| {
                let mut start = 0;
                let part = |&length: &u8| {
                    start += length as usize;
                    chunk[start - length as usize..start].replace('\'', "’")
                };
                parts.iter().map(part).collect()
            })
            .collect();
        for parts in &curly {
            self.add(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    fn add(&mut self, parts: &[&str]) {
        let lengths = parts.iter().map(|part| part.len() as u8).collect();
        self.entries.insert(parts.concat().into(), lengths);
    }

    /// Adds `word` and the word with a capital, each followed by `clitics`, with and without their
    /// apostrophes.
    fn add_contraction(&mut self, word: &str, clitics: &[&str]) {
        let capital = word[..1].to_ascii_uppercase() + &word[1..];
        let bare: Vec<String> = clitics.iter().map(|clitic| clitic.replace('\'', "")).collect();
        let bare: Vec<&str> = bare.iter().map(String::as_str).collect();
        for stem in [word, &capital] {
            self.add(&[&[stem], clitics].concat());
            self.add(&[&[stem], bare.as_slice()].concat());
        }
    }

    fn contractions(&mut self) {
        const PRONOUNS: [&str; 7] = ["i", "you", "he", "she", "it", "we", "they"];
        const QUESTIONS: [&str; 11] =
            ["who", "what", "when", "where", "why", "how", "there", "that", "this", "these", "those"];
        self.add_contraction("i", &["'m"]);
        self.add_contraction("i", &["'m", "a"]);
        for word in PRONOUNS.into_iter().chain(QUESTIONS) {
            for clitics in [&["'ll"][..], &["'ll", "'ve"], &["'d"], &["'d", "'ve"]] {
                self.add_contraction(word, clitics);
            }
            if matches!(word, "i" | "you" | "we" | "they")
                || (QUESTIONS.contains(&word) && !matches!(word, "that" | "this"))
            {
                self.add_contraction(word, &["'ve"]);
            }
            if matches!(word, "you" | "we" | "they")
                || (QUESTIONS.contains(&word) && !matches!(word, "that" | "this"))
            {
                self.add_contraction(word, &["'re"]);
            }
            if matches!(word, "he" | "she" | "it")
                || (QUESTIONS.contains(&word) && !matches!(word, "these" | "those"))
            {
                self.add_contraction(word, &["'s"]);
            }
        }
        for verb in [
            "ca", "could", "do", "does", "did", "had", "may", "might", "must", "need", "ought", "sha",
            "should", "wo", "would",
        ] {
            self.add_contraction(verb, &["n't"]);
            self.add_contraction(verb, &["n't", "'ve"]);
        }
        for verb in ["could", "might", "must", "should", "would"] {
            self.add_contraction(verb, &["'ve"]);
        }
        for verb in ["ai", "are", "is", "was", "were", "have", "has", "dare"] {
            self.add_contraction(verb, &["n't"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn exceptions_cover_their_chunk() {
        for (chunk, parts) in [
            ("don't", &[2, 3][..]),
            ("They'd've", &[4, 2, 3]),
            ("cannot", &[3, 3]),
            ("Dr.", &[3]),
            ("11pm", &[2, 2]),
            ("don’t", &[2, 5]),
        ] {
            assert_eq!(find(chunk), Some(parts), "{chunk}");
        }
        for chunk in ["its", "well", "", "word", "DON'T", "13pm"] {
            assert_eq!(find(chunk), None, "{chunk}");
        }
    }
}
