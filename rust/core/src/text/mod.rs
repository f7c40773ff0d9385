//! Compression of short strings, each of which can be decoded alone.
//!
//! A [`TextModel`] is fitted to texts like those that it will encode, and never changes afterwards. A text is split into symbols, which are
//! frequent words and single bytes. A symbol is a path in a binary tree, and the probability of each branch is mixed from what was
//! counted at that node in twenty contexts: the symbols before it, the words and classes of words before it, the position. A range
//! coder turns the branches into bytes.
//!
//! ```text
//! A man on xylophones.   ->   A| man| on| |x|y|l|o|p|h|o|n|e|s|.|end
//! ```
//!
//! Codes are read with the model that wrote them; another model decodes something else or reports an error. Probabilities are computed
//! in integers, so that codes are the same on every machine.

mod cells;
mod classes;
mod code;
mod coder;
mod contexts;
mod file;
mod fit;
mod predictor;
mod texts;
mod vocabulary;

pub use texts::Texts;

use cells::Cells;
use code::Code;
use coder::Scratch;
use contexts::Symbols;
use predictor::Predictor;
use vocabulary::Vocabulary;

use crate::error::{At, try_vec};
use crate::{Error, Run};

/// The longest text.
pub const MAX_TEXT_BYTES: usize = 1 << 18;

/// Texts of a task: some hundred microseconds.
const TEXTS_PER_TASK: usize = 16;

/// Where a text or a code is longer than this, each is a task.
const LONG: usize = 1024;

/// Bytes of a model that are left to what a file adds to it.
const HEADER_ROOM: usize = 4096;

/// A fitted model of texts.
pub struct TextModel {
    vocabulary: Vocabulary,
    code: Code,
    symbols: Symbols,
    predictor: Predictor,
    cells: Cells,
}

/// Codes or texts, one after the other, and where each ends.
pub type Joined = (Vec<u8>, Vec<i64>);

impl TextModel {
    /// The least `model_bytes`.
    pub const MIN_BYTES: usize = 1 << 17;

    /// The largest `model_bytes`.
    pub const MAX_BYTES: usize = 1 << 30;

    /// A model of texts that takes at most about `model_bytes` bytes.
    ///
    /// # Errors
    /// [`Error::Range`] for `model_bytes` or no texts, [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn fit(texts: &Texts<'_>, model_bytes: usize, run: &Run<'_>) -> Result<Self, Error> {
        let (low, high) = (TextModel::MIN_BYTES, TextModel::MAX_BYTES);
        if !(low..=high).contains(&model_bytes) {
            return Err(Error::Range { name: "model_bytes", unit: "", given: model_bytes, low, high });
        }
        if texts.is_empty() {
            let (name, unit) = (texts.name(), "strings");
            return Err(Error::Range { name, unit, given: 0, low: 1, high: usize::MAX });
        }
        fit::fit(texts, model_bytes, run)
    }

    /// The codes of texts.
    ///
    /// # Errors
    /// [`Error::Value`] for a text longer than [`MAX_TEXT_BYTES`], [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn encode(&self, texts: &Texts<'_>, run: &Run<'_>) -> Result<Joined, Error> {
        check_lengths(texts)?;
        self.join(texts, run, |row, scratch, out| self.encode_text(texts.text(row), scratch, out))
    }

    /// Bits of the probability of each text, by the model or spelled, whichever are fewer; a code takes that, rounded up to whole bytes, or up to one byte more.
    ///
    /// # Errors
    /// As [`TextModel::encode`].
    pub fn bits(&self, texts: &Texts<'_>, out: &mut [f64], run: &Run<'_>) -> Result<(), Error> {
        crate::error::check_len("out", "elements", out.len(), texts.len())?;
        check_lengths(texts)?;
        let per_task = texts_per_task(texts);
        run.for_each_part(
            out.chunks_mut(per_task),
            || Ok(Scratch::default()),
            |scratch, task, part| {
                for (index, bits) in part.iter_mut().enumerate() {
                    *bits = self.bits_of_text(texts.text(task * per_task + index), scratch)?;
                }
                Ok(())
            },
        )?;
        Ok(())
    }

    /// The texts of codes.
    ///
    /// # Errors
    /// [`Error::Value`] for bytes that are no code of this model, [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn decode(&self, codes: &Texts<'_>, run: &Run<'_>) -> Result<Joined, Error> {
        self.join(codes, run, |row, scratch, out| {
            let code = codes.text(row);
            match self.decode_text(code, scratch, out)? {
                true => Ok(()),
                false => Err(Error::Value {
                    name: codes.name(),
                    value: format!("a code of {} bytes", code.len()),
                    at: At::Row(row),
                    expected: "bytes that this model encoded, unaltered and complete".to_owned(),
                }),
            }
        })
    }

    /// What `append` appends for each row.
    fn join(
        &self,
        rows: &Texts<'_>,
        run: &Run<'_>,
        append: impl Fn(usize, &mut Scratch, &mut Vec<u8>) -> Result<(), Error> + Sync,
    ) -> Result<Joined, Error> {
        let (n_rows, per_task) = (rows.len(), texts_per_task(rows));
        let n_tasks = n_rows.div_ceil(per_task);
        let parts = run.map_tasks(
            n_tasks,
            || Ok(Scratch::default()),
            |scratch, task| {
                let rows = task * per_task..n_rows.min((task + 1) * per_task);
                let (mut bytes, mut ends) = (Vec::new(), [0; TEXTS_PER_TASK]);
                for (row, end) in rows.zip(&mut ends) {
                    append(row, scratch, &mut bytes)?;
                    *end = bytes.len();
                }
                Ok((bytes, ends))
            },
        )?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(parts.iter().map(|part| part.0.len()).sum())?;
        let mut offsets = try_vec(0, n_rows + 1)?;
        for ((part, ends), offsets) in parts.iter().zip(offsets[1..].chunks_mut(per_task)) {
            offsets.iter_mut().zip(ends).for_each(|(offset, end)| *offset = (bytes.len() + end) as i64);
            bytes.extend_from_slice(part);
        }
        Ok((bytes, offsets))
    }
}

fn texts_per_task(texts: &Texts<'_>) -> usize {
    if (0..texts.len()).any(|row| texts.text(row).len() > LONG) { 1 } else { TEXTS_PER_TASK }
}

fn check_lengths(texts: &Texts<'_>) -> Result<(), Error> {
    match (0..texts.len()).find(|row| texts.text(*row).len() > MAX_TEXT_BYTES) {
        None => Ok(()),
        Some(row) => Err(Error::Value {
            name: texts.name(),
            value: format!("a string of {} bytes", texts.text(row).len()),
            at: At::Row(row),
            expected: format!("at most {MAX_TEXT_BYTES} bytes"),
        }),
    }
}

/// What a model is refused with.
fn damaged(part: &str) -> Error {
    Error::Incompatible {
        problem: format!("the bytes are no text model: {part} is wrong; save the model again"),
    }
}
