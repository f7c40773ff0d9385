//! [`Tile`]: some rows of codes, transposed so that a register holds the same word of eight of them. (Where no instruction
//! counts the bits of words, it holds the same half byte of more rows: see `avx2`.)
//!
//! ```text
//! codes, as arrays have them (W words a row)      tile: blocks of eight rows
//!
//! row 0   a0 a1 ... aW                            block 0   a0 b0 c0 d0 e0 f0 g0 h0     word 0 of rows 0..8
//! row 1   b0 b1 ... bW                                      a1 b1 c1 d1 e1 f1 g1 h1     word 1
//! row 2   c0 c1 ... cW                                      ..
//! ...                                                       aW bW cW dW eW fW gW hW     word W-1
//!                                                 block 1   i0 j0 ..                    word 0 of rows 8..16
//! ```
//!
//! A lane belongs to one row, so its distance is summed up in place, never across a register. The price is at most one store
//! per word and row, paid once for all queries of a block.

use std::ops::Range;

use crate::codes::for_each_word;
use crate::error::{try_resize, try_vec};
use crate::{Codes, Error, Level};

/// Rows in a block: 64-bit lanes of a 512-bit register.
pub(crate) const ROWS_PER_BLOCK: usize = 8;

/// Queries that kernels compare at a time, interleaved as rows are in a block: `query[word][query]`, until they are arranged
/// for a level.
pub(crate) const QUERIES_PER_GROUP: usize = 4;

/// Bytes of a tile: it stays in the first-level cache (48 KB, on older CPUs 32 KB) while all queries pass over it.
const TILE_BYTES: usize = 32 * 1024;

/// Rows longer than this are compared one by one: even one step of them is larger than the cache.
pub(crate) const MAX_WORDS: usize = 4096;

/// One word of each row of a block.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub [u64; ROWS_PER_BLOCK]);

impl AsMut<[u64]> for Lanes {
    fn as_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

/// Transposed rows, none at first. Lanes beyond the last row hold anything; callers ignore their distances.
#[derive(Default)]
pub(crate) struct Tile {
    words: Vec<Lanes>,
    /// Rows of a step of the kernels.
    step_rows: usize,
    /// Elements of `words` for a step.
    step_words: usize,
}

impl Tile {
    /// Rows that fit a tile, a multiple of a step.
    pub fn capacity(level: Level, n_words: usize) -> usize {
        let row_bytes = 8 * n_words * super::lanes_per_word(level);
        (TILE_BYTES / row_bytes).max(1).next_multiple_of(super::step_rows(level))
    }

    /// Replaces the rows by those of `codes` with the given indices, laid out for the kernels of `level`.
    ///
    /// # Panics
    /// If there are more rows than the capacity, or an index is not a row.
    pub fn fill(
        &mut self,
        level: Level,
        codes: Codes<'_>,
        rows: impl ExactSizeIterator<Item = usize>,
    ) -> Result<(), Error> {
        self.resize(level, codes.n_words(), rows.len())?;
        super::transpose(level, rows.map(|row| codes.row(row)), codes.n_words(), &mut self.words);
        Ok(())
    }

    /// As [`Tile::fill`] for all rows of `codes`.
    pub fn fill_all(&mut self, level: Level, codes: Codes<'_>) -> Result<(), Error> {
        self.resize(level, codes.n_words(), codes.n_rows())?;
        super::transpose_all(level, codes, &mut self.words);
        Ok(())
    }

    fn resize(&mut self, level: Level, n_words: usize, n_rows: usize) -> Result<(), Error> {
        assert!(n_rows <= Tile::capacity(level, n_words), "{n_rows} rows in one tile");
        self.step_rows = super::step_rows(level);
        self.step_words = step_words(level, n_words);
        let len = n_rows.div_ceil(self.step_rows) * self.step_words;
        try_resize(&mut self.words, len, Lanes([0; ROWS_PER_BLOCK]))
    }

    /// The words of the steps that hold the given rows, one step after the other.
    pub fn words(&self, rows: Range<usize>) -> &[Lanes] {
        &self.words[rows.start / self.step_rows * self.step_words
            ..rows.end.div_ceil(self.step_rows) * self.step_words]
    }
}

/// Elements of a step of rows of `n_words` words.
pub(crate) fn step_words(level: Level, n_words: usize) -> usize {
    super::step_rows(level) / ROWS_PER_BLOCK * super::lanes_per_word(level) * n_words
}

/// Calls `transpose` with eight rows at a time and the words of their block. A last block that is not full is filled up with
/// its first row.
#[inline(always)]
pub(super) fn for_each_block<'a>(
    mut rows: impl ExactSizeIterator<Item = &'a [u8]>,
    n_words: usize,
    words: &mut [Lanes],
    mut transpose: impl FnMut([&[u8]; ROWS_PER_BLOCK], &mut [Lanes]),
) {
    for block in words.chunks_exact_mut(n_words) {
        let Some(first) = rows.next() else { break };
        let mut eight = [first; ROWS_PER_BLOCK];
        for (lane, row) in eight[1..].iter_mut().zip(&mut rows) {
            *lane = row;
        }
        transpose(eight, block);
    }
}

/// Queries in groups, laid out for the kernels of one level. A last group that is not full is filled up with zeros.
pub(crate) struct QueryGroups {
    words: Vec<[u64; QUERIES_PER_GROUP]>,
    n_words: usize,
}

impl QueryGroups {
    pub fn new<'a>(
        level: Level,
        n_words: usize,
        queries: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<Self, Error> {
        let len = queries.len().div_ceil(QUERIES_PER_GROUP) * n_words;
        let mut words = try_vec([0; QUERIES_PER_GROUP], len)?;
        for (position, query) in queries.enumerate() {
            let group = &mut words[position / QUERIES_PER_GROUP * n_words..][..n_words];
            for_each_word(query, |index, word| group[index][position % QUERIES_PER_GROUP] = word);
        }
        super::arrange_queries(level, n_words, &mut words)?;
        Ok(QueryGroups { words, n_words })
    }

    /// One group, as `[word][query]`.
    pub fn get(&self, group: usize) -> &[[u64; QUERIES_PER_GROUP]] {
        &self.words[group * self.n_words..(group + 1) * self.n_words]
    }

    /// The groups, each as `[word][query]`.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[[u64; QUERIES_PER_GROUP]]> {
        self.words.chunks_exact(self.n_words)
    }
}
