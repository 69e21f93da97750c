//! Terms whose letters were replaced by other characters.

/// Shortest and longest term that is looked for in disguise.
const LENGTHS: std::ops::RangeInclusive<usize> = 4..=24;

/// Single words of ASCII letters, by their length.
#[derive(Debug)]
pub struct Disguised(Vec<Vec<&'static str>>);

impl Disguised {
    /// The terms that can be told in disguise.
    pub fn new(terms: &[&'static str]) -> Self {
        let mut by_length = vec![Vec::new(); LENGTHS.end() + 1];
        for term in terms {
            if LENGTHS.contains(&term.len()) && term.bytes().all(|byte| byte.is_ascii_lowercase()) {
                by_length[term.len()].push(*term);
            }
        }
        Disguised(by_length)
    }

    /// Calls `found` with the term of each disguised word of `text`.
    pub fn find(&self, text: &str, mut found: impl FnMut(&'static str)) {
        let bytes = text.as_bytes();
        let mut end = 0;
        while let Some(start) =
            bytes[end..].iter().position(|&byte| KIND[byte as usize] != 0).map(|at| at + end)
        {
            let run = &bytes[start..];
            let (mut kinds, mut length) = (0, 0);
            while let Some(kind) = run.get(length).map(|&byte| KIND[byte as usize]).filter(|&kind| kind != 0)
            {
                kinds |= kind;
                length += 1;
            }
            end = start + length;
            // A run of plain letters was looked up as a word.
            if kinds == LETTER | MASK && length >= *LENGTHS.start() {
                self.look_up(&bytes[start..end], &mut found);
            }
        }
    }

    fn look_up(&self, run: &[u8], found: &mut impl FnMut(&'static str)) {
        // Signs at the ends that are no letter's place belong to the sentence.
        let is_end = |byte: &u8| matches!(byte, b'!' | b'*');
        let Some(last) = run.iter().rposition(|byte| !is_end(byte)) else { return };
        let first = run.iter().position(|byte| !is_end(byte)).unwrap_or(0);
        let word = &run[first..=last];
        let letters = word.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
        if !LENGTHS.contains(&word.len()) || letters < 2 || letters * 2 < word.len() || letters == word.len()
        {
            return;
        }
        let term = self.0[word.len()]
            .iter()
            .find(|term| term.bytes().zip(word).all(|(letter, &byte)| stands_for(byte, letter)));
        if let Some(term) = term {
            found(term);
        }
    }
}

const LETTER: u8 = 1;
const MASK: u8 = 2;

/// For every byte: whether it is a letter, stands for one, or neither.
const KIND: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphabetic() {
            kinds[byte] = LETTER;
        } else if matches!(byte as u8, b'0'..=b'9' | b'@' | b'$' | b'!' | b'*') {
            kinds[byte] = MASK;
        }
        byte += 1;
    }
    kinds
};

fn stands_for(byte: u8, letter: u8) -> bool {
    match byte {
        b'@' | b'4' => letter == b'a',
        b'$' | b'5' => letter == b's',
        b'!' | b'1' => letter == b'i' || letter == b'l',
        b'0' => letter == b'o',
        b'3' => letter == b'e',
        b'7' => letter == b't',
        b'*' => true,
        _ => byte.to_ascii_lowercase() == letter,
    }
}
