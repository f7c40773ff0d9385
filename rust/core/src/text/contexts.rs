//! [`History`]: what was read of a text, and the contexts in which the next symbol is counted.

use super::classes::NO_CLASS;
use super::vocabulary::{END, FIRST_WORD, Symbol, Vocabulary, is_word_byte};

/// Contexts of a symbol.
pub(super) const N_CONTEXTS: usize = 20;

/// Contexts 0 to 5 are the last 0 to 5 symbols.
pub(super) const N_ORDERS: usize = 6;

/// The most frequent words say little about what a text is about; the others are content words.
const N_FUNCTION_WORDS: usize = 60;

/// Positions after this one are alike.
const MAX_POSITION: u64 = 25;

/// Spelled words longer than this are alike.
const MAX_SPELLED: u64 = 20;

/// In [`History::partial`]: after a punctuation mark.
const PUNCTUATION: u64 = 1 << 63;

/// What the contexts need to know of symbols.
pub(super) struct Symbols {
    pub(super) classes: Vec<u8>,
    /// Of each word.
    hashes: Vec<u64>,
}

impl Symbols {
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub(super) fn new(vocabulary: &Vocabulary, classes: Vec<u8>) -> Result<Self, crate::Error> {
        let hash_of = |word: &[u8]| word.iter().fold(0, |hash, byte| spell(hash, *byte));
        let words = (0..vocabulary.len()).map(|index| vocabulary.word(index));
        let hashes = words.map(|word| hash_of(word.strip_prefix(b" ").unwrap_or(word)));
        Ok(Symbols { classes, hashes: crate::error::try_collect(hashes)? })
    }
}

/// What was read of a text.
pub(super) struct History {
    /// The last symbols, the newest first, and their classes.
    symbols: [Symbol; 5],
    classes: [u8; 4],
    /// Hashes of the last words, and of the last content words.
    words: [u64; 4],
    content: [u64; 2],
    /// Hash of the word that is being spelled, or of the punctuation after a word.
    partial: u64,
    n_symbols: u64,
    n_spelled: u64,
}

impl History {
    /// Nothing was read.
    pub(super) fn new() -> Self {
        History {
            symbols: [END; 5],
            classes: [NO_CLASS; 4],
            words: [0; 4],
            content: [0; 2],
            partial: 0,
            n_symbols: 0,
            n_spelled: 0,
        }
    }

    /// Reads a symbol, or begins again after the end of a text.
    pub(super) fn read(&mut self, symbol: Symbol, symbols: &Symbols) {
        match symbol {
            END => *self = History::new(),
            _ => self.push(symbol, symbols),
        }
    }

    /// Reads a symbol of a text.
    pub(super) fn push(&mut self, symbol: Symbol, symbols: &Symbols) {
        if let Ok(byte) = u8::try_from(symbol) {
            if is_word_byte(byte) {
                self.partial = spell(if self.partial & PUNCTUATION == 0 { self.partial } else { 0 }, byte);
                self.n_spelled += 1;
            } else {
                self.end_word();
                self.partial = match byte {
                    b' ' => self.partial & PUNCTUATION,
                    _ => hash(PUNCTUATION, u64::from(byte)) | PUNCTUATION,
                };
            }
        } else if symbol >= FIRST_WORD {
            self.end_word();
            self.partial = 0;
            let index = usize::from(symbol - FIRST_WORD);
            self.push_word(symbols.hashes[index], index >= N_FUNCTION_WORDS);
        }
        self.symbols.copy_within(..4, 1);
        self.symbols[0] = symbol;
        self.classes.copy_within(..3, 1);
        self.classes[0] = symbols.classes[usize::from(symbol)];
        self.n_symbols += 1;
    }

    fn end_word(&mut self) {
        if self.n_spelled > 0 {
            self.push_word(self.partial, true);
            self.n_spelled = 0;
        }
    }

    fn push_word(&mut self, hash: u64, is_content: bool) {
        self.words.copy_within(..3, 1);
        self.words[0] = hash;
        if is_content {
            self.content = [hash, self.content[0]];
        }
    }

    /// The hash of each context.
    #[inline]
    pub(super) fn contexts(&self) -> [u64; N_CONTEXTS] {
        let s = self.symbols.map(u64::from);
        let c = self.classes.map(u64::from);
        let (words, content, partial) = (self.words, self.content, self.partial);
        let (position, spelled) = (self.n_symbols.min(MAX_POSITION), self.n_spelled.min(MAX_SPELLED));
        let order1 = hash(1, s[0]);
        let order2 = hash(order1, s[1]);
        let order3 = hash(order2, s[2]);
        let order4 = hash(order3, s[3]);
        let in_word = hash(2, partial);
        let after_class = hash(hash(in_word, c[0]), 1);
        let classes2 = hash(hash(after_class, c[1]), spelled);
        let classes3 = hash(after_class, c[1] << 8 | c[2]);
        let skipped = hash(hash(in_word, s[0]), c[1] << 16 | c[2] << 8 | c[3]);
        [
            0,
            order1,
            order2,
            order3,
            order4,
            hash(order4, s[4]),
            hash(hash(in_word, words[0]), 2),
            hash(hash(hash(in_word, words[1]), 3), 0),
            hash(hash(hash(in_word, words[0]), words[1]), words[2]),
            hash(hash(3, s[0]), position),
            hash(hash(in_word, spelled), 4),
            classes2,
            classes3,
            skipped,
            hash(classes3, c[3] | 1 << 8),
            hash(hash(hash(in_word, content[0]), s[0]), 5),
            hash(hash(hash(in_word, content[0]), content[1]), 6),
            hash(hash(hash(in_word, content[1]), s[0]), 7),
            hash(hash(in_word, words[2]), 8),
            hash(hash(after_class, position), 9),
        ]
    }
}

/// The hash of a word and one more letter, whose case does not matter.
fn spell(word: u64, letter: u8) -> u64 {
    hash(word, u64::from(letter.to_ascii_lowercase()) + 1) >> 1
}

/// Mixes a value into a hash.
#[inline]
pub(super) fn hash(hash: u64, value: u64) -> u64 {
    let product = (hash ^ value.wrapping_mul(0xC2B2_AE3D_27D4_EB4F)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let product = (product ^ (product >> 32)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    product ^ (product >> 29)
}
