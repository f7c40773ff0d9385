//! The bytes of a model.
//!
//! ```text
//! offset  bytes
//!      0  8                      "fctext01"
//!      8  4                      number of words w; there are s = 257 + w symbols
//!     12  4                      bytes of all words b
//!     16  4                      number of lines of cells
//!     20  4                      0
//!     24  w                      length of each word
//!         b                      the words, most frequent first
//!         s                      class of each symbol
//!         4 (s - 1)              children of each node, uint16: a node, or 0x8000 + a symbol
//!         4 * 20 * 32            logits of the levels in each context, int32, of 2^16
//!         2 * 20 * n_sets        weights, int16, of 2^12
//!         64 * lines             cells, uint16: see `Cells`
//! ```
//!
//! Numbers are little-endian.

use super::cells::{CELLS_PER_LINE, Cells, N_LEVELS};
use super::classes::NO_CLASS;
use super::code::Code;
use super::contexts::{N_CONTEXTS, Symbols};
use super::predictor::{FILE_SHIFT, Predictor, to_file};
use super::vocabulary::{FIRST_WORD, MAX_WORDS, Vocabulary};
use super::{TextModel, damaged};
use crate::Error;
use crate::entropy::mixing::MAX_LOGIT;
use crate::error::{try_collect, try_copy};

const MAGIC: &[u8; 8] = b"fctext01";

const HEADER_BYTES: usize = 24;

impl TextModel {
    /// Bytes of [`TextModel::to_bytes`].
    pub fn n_bytes(&self) -> usize {
        let n_weights = self.predictor.mixer.weights().len();
        HEADER_BYTES
            + self.vocabulary.len()
            + self.vocabulary.bytes().len()
            + self.vocabulary.n_symbols()
            + 4 * self.code.n_nodes()
            + 4 * N_CONTEXTS * N_LEVELS
            + 2 * n_weights
            + 2 * CELLS_PER_LINE * self.cells.lines().len()
    }

    /// The model as bytes.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.n_bytes())?;
        bytes.extend_from_slice(MAGIC);
        let numbers = [self.vocabulary.len(), self.vocabulary.bytes().len(), self.cells.lines().len(), 0];
        numbers.iter().for_each(|number| bytes.extend_from_slice(&(*number as u32).to_le_bytes()));
        bytes.extend((0..self.vocabulary.len()).map(|word| self.vocabulary.word(word).len() as u8));
        bytes.extend_from_slice(self.vocabulary.bytes());
        bytes.extend_from_slice(&self.symbols.classes);
        bytes.extend(self.code.children().as_flattened().iter().flat_map(|child| child.to_le_bytes()));
        bytes.extend(self.predictor.logits.as_flattened().iter().flat_map(|logit| logit.to_le_bytes()));
        let weights = self.predictor.mixer.weights().iter().map(|weight| to_file(*weight));
        bytes.extend(weights.flat_map(i16::to_le_bytes));
        bytes.extend(
            self.cells
                .lines()
                .iter()
                .flat_map(|line| line.0.as_flattened())
                .flat_map(|cell| cell.to_le_bytes()),
        );
        Ok(bytes)
    }

    /// The model that these bytes are.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if they are no model, [`Error::OutOfMemory`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("the first 8 bytes"))?;
        let mut take = |n: usize| -> Result<&[u8], Error> {
            let (taken, others) = rest.split_at_checked(n).ok_or_else(|| damaged("the length"))?;
            rest = others;
            Ok(taken)
        };
        let [n_words, n_word_bytes, n_lines, zero] = *take(16)?.as_chunks().0 else {
            return Err(damaged("the length"));
        };
        let [n_words, n_word_bytes, n_lines, zero] =
            [n_words, n_word_bytes, n_lines, zero].map(|number| u32::from_le_bytes(number) as usize);
        if n_words > MAX_WORDS || n_lines == 0 || zero != 0 {
            return Err(damaged("the header"));
        }
        let lengths = take(n_words)?;
        let vocabulary = Vocabulary::from_parts(try_copy(take(n_word_bytes)?)?, lengths)?;
        let n_symbols = usize::from(FIRST_WORD) + n_words;
        let classes = try_copy(take(n_symbols)?)?;
        if classes.iter().any(|class| *class > NO_CLASS) {
            return Err(damaged("the classes"));
        }
        let children = take(4 * (n_symbols - 1))?.as_chunks::<4>().0;
        let children = children.iter().map(|[a, b, c, d]| [[*a, *b], [*c, *d]].map(u16::from_le_bytes));
        let code = Code::from_children(try_collect(children)?)?;
        let mut predictor = Predictor::new(code.n_nodes())?;
        let logits = take(4 * N_CONTEXTS * N_LEVELS)?.as_chunks().0;
        for (logit, bytes) in predictor.logits.as_flattened_mut().iter_mut().zip(logits) {
            *logit = i32::from_le_bytes(*bytes);
        }
        let are_logits = |logits: &[i32; N_LEVELS]| {
            logits[0] == 0 && logits.iter().all(|logit| (-MAX_LOGIT..=MAX_LOGIT).contains(logit))
        };
        if !predictor.logits.iter().all(are_logits) {
            return Err(damaged("the logits"));
        }
        let weights = take(2 * predictor.mixer.weights().len())?.as_chunks().0;
        for (weight, bytes) in predictor.mixer.weights_mut().iter_mut().zip(weights) {
            *weight = i32::from(i16::from_le_bytes(*bytes)) << FILE_SHIFT;
        }
        let cells_bytes = take(2 * CELLS_PER_LINE * n_lines)?.as_chunks().0;
        let mut cells = Cells::new(n_lines)?;
        let all = cells.lines_mut().iter_mut().flat_map(|line| line.0.as_flattened_mut());
        for (cell, bytes) in all.zip(cells_bytes) {
            *cell = u16::from_le_bytes(*bytes);
        }
        if !rest.is_empty() {
            return Err(damaged("the length"));
        }
        let symbols = Symbols::new(&vocabulary, classes)?;
        Ok(TextModel { vocabulary, code, symbols, predictor, cells })
    }
}
