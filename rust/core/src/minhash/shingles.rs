//! Texts to tokens: shingles, that is runs of words or characters, hashed by XXH3.
//!
//! A text is brought to a normal form first, in which every shingle is a piece of consecutive bytes; the token of a shingle is the
//! XXH3 hash of 64 bits, seed 0, of those bytes:
//!
//! ```text
//! text                      The quick,  brown fox
//! words, lower case         the quick brown fox            2-shingles   the quick|quick brown|brown fox
//! characters, lower case    the quick, brown fox           4-shingles   the |he q|e qu| qui|quic|...
//! ```
//!
//! A text of fewer words or characters than a shingle has is one shingle, and one without any has none.

use xxhash_rust::xxh3::xxh3_64;

use crate::Error;

/// Tokens that are handed on at a time.
const BLOCK: usize = 512;

/// What shingles are runs of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Runs of letters, digits and underscores, joined by single spaces; all else parts them.
    Words,
    /// Unicode scalar values; a run of white space counts as one space, and none at the ends.
    Characters,
}

/// How texts become shingles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shingles {
    unit: Unit,
    size: usize,
    lowercase: bool,
}

/// The token of a string: XXH3 of its bytes.
pub fn token(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

impl Shingles {
    /// As many words or characters as a shingle may have.
    pub const MAX_SIZE: usize = 1024;

    /// Shingles of `size` units. With `lowercase`, each character is replaced by its lower case first.
    ///
    /// # Errors
    /// [`Error::ShingleSize`] if `size` is 0, or more than [`Shingles::MAX_SIZE`].
    pub fn new(unit: Unit, size: usize, lowercase: bool) -> Result<Self, Error> {
        match size {
            1..=Shingles::MAX_SIZE => Ok(Shingles { unit, size, lowercase }),
            _ => Err(Error::ShingleSize { size, most: Shingles::MAX_SIZE }),
        }
    }

    /// Appends the tokens of a text; a shingle that comes twice has its token twice.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn append(&self, text: &str, tokens: &mut Vec<u64>) -> Result<(), Error> {
        let mut room = Ok(());
        self.for_blocks(text, |block| {
            if room.is_ok() {
                room = tokens.try_reserve(block.len());
            }
            if room.is_ok() {
                tokens.extend_from_slice(block);
            }
        })?;
        Ok(room?)
    }

    /// Calls `take` with some tokens at a time.
    pub(super) fn for_blocks(&self, text: &str, take: impl FnMut(&[u64])) -> Result<(), Error> {
        let mut pieces = Pieces::new(self.size, text.len(), take)?;
        match self.unit {
            Unit::Words if text.is_ascii() => ascii_words(text.as_bytes(), self.lowercase, &mut pieces),
            Unit::Words => words(text, self.lowercase, &mut pieces)?,
            Unit::Characters => characters(text, self.lowercase, &mut pieces)?,
        }
        pieces.finish();
        Ok(())
    }
}

/// The normal form as far as it goes, and the shingles that end in it.
struct Pieces<F> {
    bytes: Vec<u8>,
    size: usize,
    /// Where the last `size` units begin: unit `i` in place `i % size`.
    starts: Vec<usize>,
    n_units: usize,
    block: [u64; BLOCK],
    in_block: usize,
    take: F,
}

impl<F: FnMut(&[u64])> Pieces<F> {
    fn new(size: usize, capacity: usize, take: F) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(capacity)?;
        Ok(Pieces { bytes, size, starts: vec![0; size], n_units: 0, block: [0; BLOCK], in_block: 0, take })
    }

    /// A unit ends at the end of the bytes; it began at `start`.
    #[inline]
    fn end_unit(&mut self, start: usize) {
        let place = self.n_units % self.size;
        self.starts[place] = start;
        self.n_units += 1;
        if self.n_units >= self.size {
            // The unit after the newest is the oldest.
            let oldest = if place + 1 == self.size { 0 } else { place + 1 };
            self.push(self.starts[oldest]);
        }
    }

    #[inline]
    fn push(&mut self, start: usize) {
        self.block[self.in_block] = token(&self.bytes[start..]);
        self.in_block += 1;
        if self.in_block == BLOCK {
            (self.take)(&self.block);
            self.in_block = 0;
        }
    }

    fn finish(mut self) {
        if (1..self.size).contains(&self.n_units) {
            self.push(0);
        }
        if self.in_block > 0 {
            (self.take)(&self.block[..self.in_block]);
        }
    }
}

/// For each byte of ASCII: 0 if it is no part of a word, else its lower case.
const WORD_BYTES: [u8; 128] = {
    let (mut table, mut byte) = ([0; 128], 0);
    while byte < 128 {
        let ascii = byte as u8;
        if ascii.is_ascii_alphanumeric() || ascii == b'_' {
            table[byte] = ascii.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

fn ascii_words<F: FnMut(&[u64])>(text: &[u8], lowercase: bool, pieces: &mut Pieces<F>) {
    let word_byte = |byte: u8| WORD_BYTES[usize::from(byte & 127)];
    let mut at = 0;
    while at < text.len() {
        if word_byte(text[at]) == 0 {
            at += 1;
            continue;
        }
        if pieces.n_units > 0 {
            pieces.bytes.push(b' ');
        }
        let length = text[at..].iter().take_while(|byte| word_byte(**byte) != 0).count();
        let (start, word) = (pieces.bytes.len(), &text[at..at + length]);
        match lowercase {
            true => pieces.bytes.extend(word.iter().map(|byte| word_byte(*byte))),
            false => pieces.bytes.extend_from_slice(word),
        }
        pieces.end_unit(start);
        at += length;
    }
}

/// Calls `push` for the characters that stand for one.
#[inline]
fn in_case(
    character: char,
    lowercase: bool,
    mut push: impl FnMut(char) -> Result<(), Error>,
) -> Result<(), Error> {
    match (lowercase, character.is_ascii()) {
        (true, true) => push(character.to_ascii_lowercase()),
        (true, false) => character.to_lowercase().try_for_each(push),
        (false, _) => push(character),
    }
}

/// Appends the bytes of a character: there may be more than in the text, since a lower case can be longer.
#[inline]
fn append(bytes: &mut Vec<u8>, character: char) -> Result<(), Error> {
    bytes.try_reserve(4)?;
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(())
}

fn words<F: FnMut(&[u64])>(text: &str, lowercase: bool, pieces: &mut Pieces<F>) -> Result<(), Error> {
    let mut start = None;
    for character in text.chars() {
        in_case(character, lowercase, |character| {
            if character.is_alphanumeric() || character == '_' {
                if start.is_none() {
                    if pieces.n_units > 0 {
                        append(&mut pieces.bytes, ' ')?;
                    }
                    start = Some(pieces.bytes.len());
                }
                append(&mut pieces.bytes, character)?;
            } else if let Some(start) = start.take() {
                pieces.end_unit(start);
            }
            Ok(())
        })?;
    }
    if let Some(start) = start {
        pieces.end_unit(start);
    }
    Ok(())
}

fn characters<F: FnMut(&[u64])>(text: &str, lowercase: bool, pieces: &mut Pieces<F>) -> Result<(), Error> {
    let mut after_space = false;
    for character in text.chars() {
        if character.is_whitespace() {
            after_space = pieces.n_units > 0;
            continue;
        }
        let unit = |pieces: &mut Pieces<F>, character: char| {
            let start = pieces.bytes.len();
            append(&mut pieces.bytes, character)?;
            pieces.end_unit(start);
            Ok(())
        };
        if std::mem::take(&mut after_space) {
            unit(pieces, ' ')?;
        }
        in_case(character, lowercase, |character| unit(pieces, character))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shingles as strings, by splitting and joining.
    fn naive(text: &str, unit: Unit, size: usize, lowercase: bool) -> Vec<u64> {
        let text: String = match lowercase {
            true => text.chars().flat_map(char::to_lowercase).collect(),
            false => text.to_owned(),
        };
        let (units, joint): (Vec<String>, &str) = match unit {
            Unit::Words => {
                let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                (words.filter(|word| !word.is_empty()).map(str::to_owned).collect(), " ")
            }
            Unit::Characters => {
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                (text.chars().map(String::from).collect(), "")
            }
        };
        match units.len() {
            0 => Vec::new(),
            n if n < size => vec![token(units.join(joint).as_bytes())],
            _ => units.windows(size).map(|units| token(units.join(joint).as_bytes())).collect(),
        }
    }

    #[test]
    fn shingles_are_pieces_of_the_normal_form() {
        let long = "Lorem  ipsum, dolor_sit amet: 12 ".repeat(100);
        let texts =
            ["", " ", "a", "A b", "!?", " The quick,\tbrown\u{a0}fox\n", "Ünï-cödé ΣΑΣ 日本語 İx 😀!", &long];
        for text in texts {
            for unit in [Unit::Words, Unit::Characters] {
                for size in [1, 2, 3, 7, 600] {
                    for lowercase in [true, false] {
                        let mut found = Vec::new();
                        Shingles::new(unit, size, lowercase).unwrap().append(text, &mut found).unwrap();
                        assert_eq!(found, naive(text, unit, size, lowercase), "{text:?} {unit:?} {size}");
                    }
                }
            }
        }
    }
}
