//! Popcounts of differences: in how many bits two codes differ, for many codes at a time.
//!
//! Many queries are compared with a [`tile`] of transposed rows, four at a time; one or two queries with untransposed rows.
//! The searches of [`binary`](crate::binary) and the products of [`xnor`](crate::xnor) are built on these kernels.

pub(crate) mod tile;

mod portable;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

use crate::level::at_level;
use crate::{Codes, Error, Level};
use tile::{Lanes, QUERIES_PER_GROUP, ROWS_PER_BLOCK};

/// A row that is nearer to a query than its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Which query of the group.
    pub slot: u32,
    /// Which row of the tile; may be beyond the last one.
    pub row: u32,
    pub distance: u32,
}

pub(crate) type Hits = Vec<Hit>;

/// Rows of a step of the kernels; a tile has a multiple of them.
pub(crate) fn step_rows(level: Level) -> usize {
    at_level!(level, step_rows())
}

/// Elements of a tile for a word of each row of a block: two if each holds half of the bits.
pub(crate) fn lanes_per_word(level: Level) -> usize {
    at_level!(level, lanes_per_word())
}

/// Up to this many queries, scanning untransposed rows is faster than scanning a tile, even if that exists already.
pub(crate) fn few_queries(level: Level) -> usize {
    at_level!(level, few_queries())
}

/// Rearranges the words of each group in place for the kernels of `level`.
pub(crate) fn arrange_queries(
    level: Level,
    n_words: usize,
    words: &mut [[u64; QUERIES_PER_GROUP]],
) -> Result<(), Error> {
    at_level!(level, arrange_queries(n_words, words))
}

/// Transposes rows of `n_words` words into the steps of a tile, for the kernels of `level`.
pub(crate) fn transpose<'a>(
    level: Level,
    rows: impl ExactSizeIterator<Item = &'a [u8]>,
    n_words: usize,
    words: &mut [Lanes],
) {
    at_level!(level, transpose(rows, n_words, words));
}

/// [`transpose`] for all rows of `codes`.
pub(crate) fn transpose_all(level: Level, codes: Codes<'_>, words: &mut [Lanes]) {
    at_level!(level, transpose_all(codes, words));
}

/// Appends every (query, row) whose distance is below the bound of the query. `words` are whole steps of a tile, of which
/// the first row has the number `first_row`. Rows beyond the end of the tile may add hits that the caller has to drop.
pub(crate) fn scan(
    level: Level,
    words: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    bounds: [u32; QUERIES_PER_GROUP],
    first_row: u32,
    hits: &mut Hits,
) -> Result<(), Error> {
    // Every row for every query, so that the kernels never allocate.
    hits.try_reserve(words.len() / query.len() * ROWS_PER_BLOCK * QUERIES_PER_GROUP)?;
    at_level!(level, scan(words, query, bounds, first_row, hits));
    Ok(())
}

/// Writes the distance of each query of a group to each row; `words` are whole steps of a tile.
pub(crate) fn distances(
    level: Level,
    words: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    out: [&mut [i32]; QUERIES_PER_GROUP],
) {
    at_level!(level, distances(words, query, out));
}

/// Appends every row whose distance to `query` is below the bound; both have the same number of bytes. The first row
/// has the number `first_row`.
pub(crate) fn scan_rows(
    level: Level,
    query: &[u8],
    codes: Codes<'_>,
    bound: u32,
    first_row: u32,
    hits: &mut Hits,
) -> Result<(), Error> {
    assert!(query.len() == codes.n_bytes(), "kernel called with wrong lengths");
    hits.try_reserve(codes.n_rows())?; // every row, so that the kernels never allocate
    at_level!(level, scan_rows(query, codes, bound, first_row, hits));
    Ok(())
}

/// Writes the distance of `query` to each row of `codes`; both have the same number of bytes.
pub(crate) fn row_distances(level: Level, query: &[u8], codes: Codes<'_>, out: &mut [i32]) {
    assert!(
        query.len() == codes.n_bytes() && out.len() == codes.n_rows(),
        "kernel called with wrong lengths"
    );
    at_level!(level, row_distances(query, codes, out));
}

/// Writes the distance of `query` to the rows with the given ids; both have the same number of bytes.
pub(crate) fn distances_of(level: Level, query: &[u8], codes: Codes<'_>, ids: &[usize], out: &mut [u32]) {
    assert!(query.len() == codes.n_bytes() && out.len() == ids.len(), "kernel called with wrong lengths");
    at_level!(level, distances_of(query, codes, ids, out));
}
