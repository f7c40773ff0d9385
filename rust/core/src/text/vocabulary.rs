//! [`Vocabulary`]: the words that are symbols of their own, and how a text is split into symbols.

use std::collections::HashMap;

use crate::error::{try_collect, try_push, try_vec};
use crate::{Error, Run};

/// Symbol number: a byte, [`END`], or [`FIRST_WORD`] and more for a word.
pub(super) type Symbol = u16;

/// The symbol that ends a text.
pub(super) const END: Symbol = 256;

/// The first word.
pub(super) const FIRST_WORD: Symbol = 257;

/// The longest word of the vocabulary, with the space before it.
pub(super) const MAX_WORD_BYTES: usize = 32;

/// The largest vocabulary.
pub(super) const MAX_WORDS: usize = 32_000;

/// Words that occur less often are spelled.
const LEAST_COUNT: usize = 3;

/// Whether words consist of this byte: letters, digits, the apostrophe, and all bytes of non-ASCII characters.
#[inline]
pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'\'' || byte >= 128
}

/// The words, most frequent first. A space before a word is a part of it: ` man` and `man` are two words.
pub(super) struct Vocabulary {
    bytes: Vec<u8>,
    /// Word `i` is `bytes[ends[i]..ends[i + 1]]`.
    ends: Vec<u32>,
    /// Open addressing: number of the word and one, 0 for none.
    table: Vec<u16>,
}

/// Calls `take` for each piece of a text: a run of word bytes with the space before it, or a single other byte.
fn for_each_piece<'a>(
    text: &'a [u8],
    mut take: impl FnMut(&'a [u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut start = 0;
    while start < text.len() {
        let space = usize::from(text[start] == b' ');
        let length = text[start + space..].iter().take_while(|byte| is_word_byte(**byte)).count();
        let length = if length == 0 { 1 } else { space + length };
        take(&text[start..start + length])?;
        start += length;
    }
    Ok(())
}

impl Vocabulary {
    /// The most frequent words of texts, at most `most`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub(super) fn of_texts<'a>(
        texts: impl Iterator<Item = &'a [u8]>,
        most: usize,
        run: &Run<'_>,
    ) -> Result<Self, Error> {
        let mut counts: HashMap<&[u8], usize> = HashMap::new();
        for text in texts {
            for_each_piece(text, |piece| {
                if (2..=MAX_WORD_BYTES).contains(&piece.len()) {
                    counts.try_reserve(1)?;
                    *counts.entry(piece).or_default() += 1;
                }
                Ok(())
            })?;
            if run.should_stop() {
                return Err(Error::Interrupted);
            }
        }
        counts.retain(|_, count| *count >= LEAST_COUNT);
        let mut frequent = try_collect(counts.into_iter().map(|(word, count)| (count, word)))?;
        frequent.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        frequent.truncate(most.min(MAX_WORDS));
        let (mut bytes, mut lengths) = (Vec::new(), Vec::new());
        for (_, word) in frequent {
            bytes.try_reserve(word.len())?;
            bytes.extend_from_slice(word);
            try_push(&mut lengths, word.len() as u8)?;
        }
        Vocabulary::from_parts(bytes, &lengths)
    }

    /// Words of these lengths, one after the other.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if they are not words or occur twice, [`Error::OutOfMemory`].
    pub(super) fn from_parts(bytes: Vec<u8>, lengths: &[u8]) -> Result<Self, Error> {
        let mut ends = try_vec(0, lengths.len() + 1)?;
        for (index, length) in lengths.iter().enumerate() {
            ends[index + 1] = ends[index] + u32::from(*length);
        }
        let good = lengths.len() <= MAX_WORDS
            && ends[lengths.len()] as usize == bytes.len()
            && lengths.iter().all(|length| (1..=MAX_WORD_BYTES).contains(&usize::from(*length)));
        if !good {
            return Err(super::damaged("the vocabulary"));
        }
        let table = try_vec(0, (2 * lengths.len()).next_power_of_two())?;
        let mut vocabulary = Vocabulary { bytes, ends, table };
        for index in 0..lengths.len() {
            let (found, slot) = vocabulary.find(vocabulary.word(index));
            if found.is_some() {
                return Err(super::damaged("the vocabulary"));
            }
            vocabulary.table[slot] = index as u16 + 1;
        }
        Ok(vocabulary)
    }

    /// Number of words.
    pub(super) fn len(&self) -> usize {
        self.ends.len() - 1
    }

    /// Number of symbols.
    pub(super) fn n_symbols(&self) -> usize {
        usize::from(FIRST_WORD) + self.len()
    }

    /// The bytes of all words.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of word `index`.
    #[inline]
    pub(super) fn word(&self, index: usize) -> &[u8] {
        &self.bytes[self.ends[index] as usize..self.ends[index + 1] as usize]
    }

    /// The number of a word, and the slot of the table where the search for it ends.
    fn find(&self, word: &[u8]) -> (Option<usize>, usize) {
        let mask = self.table.len() - 1;
        let mut slot = xxhash_rust::xxh3::xxh3_64(word) as usize & mask;
        loop {
            match usize::from(self.table[slot]) {
                0 => return (None, slot),
                number if self.word(number - 1) == word => return (Some(number - 1), slot),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn symbol(&self, word: &[u8]) -> Option<Symbol> {
        self.find(word).0.map(|index| FIRST_WORD + index as u16)
    }

    /// Replaces `symbols` with those of a text, [`END`] included.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(super) fn split(&self, text: &[u8], symbols: &mut Vec<Symbol>) -> Result<(), Error> {
        symbols.clear();
        for_each_piece(text, |piece| {
            symbols.try_reserve(piece.len() + 1)?;
            if let Some(symbol) = self.symbol(piece) {
                symbols.push(symbol);
                return Ok(());
            }
            // An unknown word can be known without its space.
            match (piece[0] == b' ').then(|| self.symbol(&piece[1..])).flatten() {
                Some(symbol) => symbols.extend([Symbol::from(b' '), symbol]),
                None => symbols.extend(piece.iter().map(|byte| Symbol::from(*byte))),
            }
            Ok(())
        })?;
        try_push(symbols, END)
    }
}
