//! [`SortedRows`]: rows in ascending order of their number of ones, with a sketch of each, so that a search reads the sketches
//! of the rows whose number of ones is near enough, and only those rows whose sketches are near enough too.
//!
//! A sketch is the exclusive or of the parts of a row:
//!
//! ```text
//! row (W words)       a0 a1 a2 a3 | a4 a5 a6 a7 | ... aW         sketch (4 words)    a0 ^ a4 ^ ...  a1 ^ a5 ^ ...  a2 ^ ...  a3 ^ ...
//! ```
//!
//! That of `a ^ b` is the exclusive or of those of `a` and `b`, and has no more ones than `a ^ b`: sketches differ in no more
//! bits than their rows (Baldi, Hirschberg and Nasr, J. Chem. Inf. Model. 48, 2008).

use std::ops::Range;

use crate::codes::for_each_word;
use crate::error::{try_collect, try_vec};
use crate::{Codes, Error, Run, bits};

/// Words of a sketch at least, unless a row has fewer.
const FEWEST_WORDS: usize = 4;

/// Parts of a longer row.
const MOST_PARTS: usize = 8;

/// Rows of a task that makes sketches.
const ROWS_PER_TASK: usize = 4096;

/// The order of rows by their number of ones; ties by id.
pub struct SortedRows {
    ids: Vec<usize>,
    /// In the same order, ascending.
    ones: Vec<u32>,
    /// In the same order.
    sketches: Vec<u8>,
    /// Of a row.
    n_bytes: usize,
}

impl SortedRows {
    /// The order of all rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn new(codes: Codes<'_>, run: &Run<'_>) -> Result<Self, Error> {
        let mut counts = try_vec(0, codes.n_rows())?;
        bits::popcount(codes, &mut counts, run)?;
        let counts: Vec<u32> = try_collect(counts.into_iter().map(|ones| ones as u32))?;
        let ids = sorted_by(&counts)?;
        let ones = try_collect(ids.iter().map(|row| counts[*row]))?;
        let n_bytes = codes.n_bytes();
        let mut sketches = try_vec(0, codes.n_rows() * sketch_bytes(n_bytes))?;
        run.for_each_chunk(&mut sketches, ROWS_PER_TASK * sketch_bytes(n_bytes), |task, sketches| {
            let rows = &ids[(task * ROWS_PER_TASK).min(ids.len())..];
            for (row, sketch) in rows.iter().zip(sketches.chunks_exact_mut(sketch_bytes(n_bytes))) {
                fill_sketch(codes.row(*row), sketch);
            }
            Ok(())
        })?;
        Ok(SortedRows { ids, ones, sketches, n_bytes })
    }

    /// The rows that were sorted: the first ones.
    pub fn n_rows(&self) -> usize {
        self.ids.len()
    }

    /// Bytes of memory.
    pub fn n_bytes(&self) -> usize {
        size_of_val(&self.ids[..]) + size_of_val(&self.ones[..]) + self.sketches.len()
    }

    /// Checks that these can be the order of the first rows of `codes`.
    pub(super) fn check(&self, codes: Codes<'_>) -> Result<(), Error> {
        let hint = "were these rows sorted?";
        let mismatch = |unit, first, second| {
            Err(Error::Mismatch { unit, first: ("sorted", first), second: ("codes", second), hint })
        };
        if self.n_bytes != codes.n_bytes() {
            return mismatch("bytes per row", self.n_bytes, codes.n_bytes());
        }
        if self.n_rows() > codes.n_rows() {
            return mismatch("rows", self.n_rows(), codes.n_rows());
        }
        Ok(())
    }

    /// The ids of the rows of these ranks.
    pub(super) fn ids(&self, ranks: Range<usize>) -> &[usize] {
        &self.ids[ranks]
    }

    /// Their numbers of ones.
    pub(super) fn ones(&self, ranks: Range<usize>) -> &[u32] {
        &self.ones[ranks]
    }

    /// Their sketches.
    pub(super) fn sketches(&self, ranks: Range<usize>) -> Result<Codes<'_>, Error> {
        let n_bytes = self.sketch_bytes();
        Codes::new(&self.sketches[ranks.start * n_bytes..ranks.end * n_bytes], ranks.len(), n_bytes)
    }

    pub(super) fn sketch_bytes(&self) -> usize {
        sketch_bytes(self.n_bytes)
    }

    /// The sketches of queries, one after the other.
    pub(super) fn sketches_of<'a>(
        &self,
        queries: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<Vec<u8>, Error> {
        let mut sketches = try_vec(0, queries.len() * self.sketch_bytes())?;
        for (query, sketch) in queries.zip(sketches.chunks_exact_mut(self.sketch_bytes())) {
            fill_sketch(query, sketch);
        }
        Ok(sketches)
    }

    /// The first rank of a row with at least this number of ones.
    pub(super) fn rank(&self, ones: u32) -> usize {
        self.ones.partition_point(|own| *own < ones)
    }
}

/// Bytes of the sketch of a row; whole words.
fn sketch_bytes(n_bytes: usize) -> usize {
    let n_words = n_bytes.div_ceil(8);
    8 * n_words.div_ceil(MOST_PARTS).max(n_words.min(FEWEST_WORDS))
}

/// Adds the words of a row to those of a sketch, which is zero.
fn fill_sketch(row: &[u8], sketch: &mut [u8]) {
    let (words, _) = sketch.as_chunks_mut::<8>();
    let (n_words, mut place) = (words.len(), 0);
    for_each_word(row, |_, word| {
        words[place] = (u64::from_ne_bytes(words[place]) ^ word).to_ne_bytes();
        place = if place + 1 == n_words { 0 } else { place + 1 };
    });
}

/// Indices that sort the values, ties by index: a counting sort, unless there are fewer values than counts.
pub(super) fn sorted_by(values: &[u32]) -> Result<Vec<usize>, Error> {
    let largest = values.iter().copied().max().unwrap_or(0) as usize;
    if largest > 8 * values.len() {
        let mut order = try_collect(0..values.len())?;
        order.sort_unstable_by_key(|index| (values[*index], *index));
        return Ok(order);
    }
    let mut starts = try_vec(0, largest + 2)?;
    values.iter().for_each(|value| starts[*value as usize + 1] += 1);
    for value in 1..starts.len() {
        starts[value] += starts[value - 1];
    }
    let mut order = try_vec(0, values.len())?;
    for (index, value) in values.iter().enumerate() {
        let start = &mut starts[*value as usize];
        order[*start] = index;
        *start += 1;
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn sketches_differ_in_no_more_bits_than_their_rows() {
        for n_bytes in [1, 8, 9, 31, 32, 33, 64, 100, 256, 257, 1000] {
            let byte = |index: usize| ((index * index * 7919) >> 5) as u8 & ((index * 31) >> 2) as u8;
            let bytes: Vec<u8> = (0..40 * n_bytes).map(byte).collect();
            let codes = Codes::new(&bytes, 40, n_bytes).unwrap();
            let sorted = SortedRows::new(codes, &Run::serial(Level::PORTABLE)).unwrap();
            let sketches = sorted.sketches(0..40).unwrap();
            let differing =
                |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
            assert!(sorted.ones(0..40).is_sorted());
            for i in 0..40 {
                for j in 0..40 {
                    let rows = [i, j].map(|rank| codes.row(sorted.ids(0..40)[rank]));
                    let (of_rows, of_sketches) =
                        (differing(rows[0], rows[1]), differing(sketches.row(i), sketches.row(j)));
                    assert!(of_sketches <= of_rows && (of_rows - of_sketches) % 2 == 0);
                    assert!(n_bytes > 32 || of_sketches == of_rows);
                }
            }
        }
    }
}
