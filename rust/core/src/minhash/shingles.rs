//! Tokens of texts: shingles, runs of words or characters, hashed by XXH3.
//!
//! A text is normalized first, so that every shingle is a run of consecutive bytes; the token of a shingle is the 64-bit XXH3 hash,
//! seed 0, of those bytes:
//!
//! ```text
//! text                      The quick,  brown fox
//! words, lower case         the quick brown fox            2-shingles   the quick|quick brown|brown fox
//! characters, lower case    the quick, brown fox           4-shingles   the |he q|e qu| qui|quic|...
//! ```
//!
//! A text with fewer words or characters than a shingle is one shingle; a text without any has none.

use xxhash_rust::xxh3::xxh3_64;

use crate::Error;
use crate::error::try_vec;

/// Tokens that are passed on at a time.
const TOKENS_PER_BLOCK: usize = 512;

/// What shingles are runs of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Runs of letters, digits and underscores, joined by single spaces; all other characters separate them.
    Words,
    /// Unicode scalar values; a run of white space counts as one space, and is dropped at the ends.
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
    /// The largest number of words or characters of a shingle.
    pub const MAX_SIZE: usize = 1024;

    /// Shingles of `size` units. With `lowercase`, each character is replaced by its lower case first.
    ///
    /// # Errors
    /// [`Error::Range`] if `size` is not from 1 to [`Shingles::MAX_SIZE`].
    pub fn new(unit: Unit, size: usize, lowercase: bool) -> Result<Self, Error> {
        match size {
            1..=Shingles::MAX_SIZE => Ok(Shingles { unit, size, lowercase }),
            _ => Err(Error::Range { name: "size", unit: "", given: size, low: 1, high: Shingles::MAX_SIZE }),
        }
    }

    /// Appends the tokens of a text; a shingle that occurs twice has its token twice.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn append(&self, text: &str, tokens: &mut Vec<u64>) -> Result<(), Error> {
        self.for_each_block(text, |block| {
            tokens.try_reserve(block.len())?;
            tokens.extend_from_slice(block);
            Ok(())
        })
    }

    /// Calls `take` with the tokens of a text, a block at a time.
    pub(super) fn for_each_block(
        &self,
        text: &str,
        take: impl FnMut(&[u64]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut pieces = Pieces::new(self.size, text.len(), take)?;
        match self.unit {
            Unit::Words if text.is_ascii() => ascii_words(text.as_bytes(), self.lowercase, &mut pieces)?,
            Unit::Words => words(text, self.lowercase, &mut pieces)?,
            Unit::Characters => characters(text, self.lowercase, &mut pieces)?,
        }
        pieces.finish()
    }
}

/// The normalized text so far, and the block of its newest tokens.
struct Pieces<F> {
    bytes: Vec<u8>,
    size: usize,
    /// The starts of the last `size` units: that of unit `i` at position `i % size`.
    starts: Vec<usize>,
    n_units: usize,
    block: [u64; TOKENS_PER_BLOCK],
    in_block: usize,
    take: F,
}

impl<F: FnMut(&[u64]) -> Result<(), Error>> Pieces<F> {
    fn new(size: usize, capacity: usize, take: F) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(capacity)?;
        Ok(Pieces {
            bytes,
            size,
            starts: try_vec(0, size)?,
            n_units: 0,
            block: [0; TOKENS_PER_BLOCK],
            in_block: 0,
            take,
        })
    }

    /// Ends the unit that started at `start`.
    #[inline]
    fn end_unit(&mut self, start: usize) -> Result<(), Error> {
        let newest = self.n_units % self.size;
        self.starts[newest] = start;
        self.n_units += 1;
        if self.n_units < self.size {
            return Ok(());
        }
        // The unit after the newest is the oldest.
        let oldest = if newest + 1 == self.size { 0 } else { newest + 1 };
        self.push(self.starts[oldest])
    }

    /// Adds the token of the bytes from `start` on.
    #[inline]
    fn push(&mut self, start: usize) -> Result<(), Error> {
        self.block[self.in_block] = token(&self.bytes[start..]);
        self.in_block += 1;
        if self.in_block < TOKENS_PER_BLOCK {
            return Ok(());
        }
        self.in_block = 0;
        (self.take)(&self.block)
    }

    fn finish(mut self) -> Result<(), Error> {
        if (1..self.size).contains(&self.n_units) {
            self.push(0)?;
        }
        if self.in_block > 0 { (self.take)(&self.block[..self.in_block]) } else { Ok(()) }
    }
}

/// For each byte of ASCII: its lower case, or 0 if it is not part of a word.
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

fn ascii_words<F: FnMut(&[u64]) -> Result<(), Error>>(
    text: &[u8],
    lowercase: bool,
    pieces: &mut Pieces<F>,
) -> Result<(), Error> {
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
        pieces.end_unit(start)?;
        at += length;
    }
    Ok(())
}

/// Calls `push` for a character, or for those of its lower case.
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

/// Appends the bytes of a character. The memory may have to grow, since a lower case can be longer.
#[inline]
fn append(bytes: &mut Vec<u8>, character: char) -> Result<(), Error> {
    bytes.try_reserve(4)?;
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(())
}

fn words<F: FnMut(&[u64]) -> Result<(), Error>>(
    text: &str,
    lowercase: bool,
    pieces: &mut Pieces<F>,
) -> Result<(), Error> {
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
                pieces.end_unit(start)?;
            }
            Ok(())
        })?;
    }
    start.map_or(Ok(()), |start| pieces.end_unit(start))
}

fn characters<F: FnMut(&[u64]) -> Result<(), Error>>(
    text: &str,
    lowercase: bool,
    pieces: &mut Pieces<F>,
) -> Result<(), Error> {
    let mut after_space = false;
    for character in text.chars() {
        if character.is_whitespace() {
            after_space = pieces.n_units > 0;
            continue;
        }
        let unit = |pieces: &mut Pieces<F>, character: char| {
            let start = pieces.bytes.len();
            append(&mut pieces.bytes, character)?;
            pieces.end_unit(start)
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
    fn shingles_are_runs_of_the_normalized_text() {
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
