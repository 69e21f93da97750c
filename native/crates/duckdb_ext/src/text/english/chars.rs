//! Character classes.

/// White space as Python's `str.isspace` sees it.
pub fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// Letters of the lower case or of scripts without case.
pub fn is_lower(character: char) -> bool {
    character.is_ascii_lowercase()
        || (!character.is_ascii() && character.is_alphabetic() && !character.is_uppercase())
}

/// Letters of the upper case or of scripts without case.
pub fn is_upper(character: char) -> bool {
    character.is_ascii_uppercase()
        || (!character.is_ascii() && character.is_alphabetic() && !character.is_lowercase())
}

/// Punctuation that is split off at both ends of a chunk.
pub fn is_edge_punctuation(character: char) -> bool {
    matches!(
        character,
        ',' | ':'
            | ';'
            | '!'
            | '?'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '<'
            | '>'
            | '_'
            | '#'
            | '*'
            | '&'
            | '…'
            | '¿'
            | '؟'
            | '¡'
            | '。'
            | '？'
            | '！'
            | '，'
            | '、'
            | '；'
            | '：'
            | '～'
            | '·'
            | '।'
            | '،'
            | '۔'
            | '؛'
            | '٪'
    )
}

/// Whether it opens or closes a quotation, or is a bracket of East Asian texts, which does likewise.
pub fn is_quote(character: char) -> bool {
    matches!(
        character,
        '\'' | '"'
            | '`'
            | '”'
            | '“'
            | '‘'
            | '´'
            | '’'
            | '‚'
            | '„'
            | '»'
            | '«'
            | '「'
            | '」'
            | '『'
            | '』'
            | '（'
            | '）'
            | '〔'
            | '〕'
            | '【'
            | '】'
            | '《'
            | '》'
            | '〈'
            | '〉'
            | '⟦'
            | '⟧'
    )
}

/// Whether it is the sign of a currency.
pub fn is_currency(character: char) -> bool {
    matches!(character, '$' | '£' | '¥' | '฿' | '﷼' | '\u{20A0}'..='\u{20BF}')
}

/// Pictographs and other symbols (Unicode category So), by block.
pub fn is_icon(character: char) -> bool {
    !character.is_ascii() && is_icon_block(character)
}

fn is_icon_block(character: char) -> bool {
    matches!(character as u32,
        0xA6 | 0xA9 | 0xAE | 0xB0
        | 0x2100..=0x2101 | 0x2103..=0x2106 | 0x2108..=0x2109 | 0x2114 | 0x2116..=0x2117 | 0x211E..=0x2123
        | 0x2195..=0x2199 | 0x219C..=0x219F | 0x21A1..=0x21A2 | 0x21A4..=0x21A5 | 0x21A7..=0x21AD
        | 0x21AF..=0x21CD | 0x21D0..=0x21D1 | 0x21D3 | 0x21D5..=0x21F3
        | 0x2300..=0x2307 | 0x230C..=0x231F | 0x2322..=0x2328 | 0x232B..=0x237B | 0x237D..=0x239A
        | 0x23B4..=0x23DB | 0x23E2..=0x2426 | 0x2440..=0x244A | 0x249C..=0x24E9
        | 0x2500..=0x25B6 | 0x25B8..=0x25C0 | 0x25C2..=0x25F7 | 0x2600..=0x266E | 0x2670..=0x2767
        | 0x2794..=0x27BF | 0x2800..=0x28FF | 0x2B00..=0x2B2F | 0x2B45..=0x2B46 | 0x2B4D..=0x2BFE
        | 0x2E80..=0x2FFB | 0x3004 | 0x3012..=0x3013 | 0x3020 | 0x3036..=0x3037 | 0x3190..=0x319F
        | 0x3200..=0x33FF | 0x4DC0..=0x4DFF | 0xA490..=0xA4C6 | 0xFDFD | 0xFFFC..=0xFFFD
        | 0x1F000..=0x1FAFF)
}

/// Characters of which a word that counts as a symbol is made: ASCII punctuation, controls, common
/// typographic and full-width punctuation, and sentence terminators.
pub fn is_symbol(character: char) -> bool {
    if character.is_ascii() {
        // Not 9, 10, 12 and 32: they are white space and never in a word.
        return character.is_ascii_punctuation() || character.is_ascii_control();
    }
    matches!(
        character,
        '\u{80}'
            ..='\u{9f}'
                | '«'
                | '´'
                | '»'
                | '–'
                | '—'
                | '’'
                | '“'
                | '”'
                | '„'
                | '…'
                | '∶'
                | '━'
                | '►'
                | '、'
                | '〈'
                | '〉'
                | '《'
                | '》'
                | '「'
                | '」'
                | '【'
                | '】'
                | '％'
                | '（'
                | '）'
                | '，'
                | '１'
                | '：'
                | '；'
                | '～'
    ) || is_terminal(character)
}

/// Characters that end a sentence: Unicode's property Sentence_Terminal with Khmer's signs.
pub fn is_terminal(character: char) -> bool {
    if character.is_ascii() {
        return matches!(character, '.' | '!' | '?');
    }
    matches!(character as u32,
        0x0589 | 0x061D..=0x061F | 0x06D4 | 0x0700..=0x0702 | 0x07F9 | 0x0837 | 0x0839 | 0x083D..=0x083E
        | 0x0964..=0x0965 | 0x104A..=0x104B | 0x1362 | 0x1367..=0x1368 | 0x166E | 0x1735..=0x1736
        | 0x17D4..=0x17D6 | 0x17D9..=0x17DA | 0x1803 | 0x1809 | 0x1944..=0x1945 | 0x1AA8..=0x1AAB
        | 0x1B5A..=0x1B5B | 0x1B5E..=0x1B5F | 0x1B7D..=0x1B7E | 0x1C3B..=0x1C3C | 0x1C7E..=0x1C7F
        | 0x203C..=0x203D | 0x2047..=0x2049 | 0x2E2E | 0x2E3C | 0x2E53..=0x2E54 | 0x3002 | 0xA4FF
        | 0xA60E..=0xA60F | 0xA6F3 | 0xA6F7 | 0xA876..=0xA877 | 0xA8CE..=0xA8CF | 0xA92F | 0xA9C8..=0xA9C9
        | 0xAA5D..=0xAA5F | 0xAAF0..=0xAAF1 | 0xABEB | 0xFE52 | 0xFE56..=0xFE57 | 0xFF01 | 0xFF0E | 0xFF1F
        | 0xFF61 | 0x10A56..=0x10A57 | 0x10F55..=0x10F59 | 0x10F86..=0x10F89 | 0x11047..=0x11048
        | 0x110BE..=0x110C1 | 0x11141..=0x11143 | 0x111C5..=0x111C6 | 0x111CD | 0x111DE..=0x111DF
        | 0x11238..=0x11239 | 0x1123B..=0x1123C | 0x112A9 | 0x1144B..=0x1144C | 0x115C2..=0x115C3
        | 0x115C9..=0x115D7 | 0x11641..=0x11642 | 0x1173C..=0x1173E | 0x11944 | 0x11946 | 0x11A42..=0x11A43
        | 0x11A9B..=0x11A9C | 0x11C41..=0x11C42 | 0x11EF7..=0x11EF8 | 0x11F43..=0x11F44 | 0x16A6E..=0x16A6F
        | 0x16AF5 | 0x16B37..=0x16B38 | 0x16B44 | 0x16E98 | 0x1BC9F | 0x1DA88)
}
