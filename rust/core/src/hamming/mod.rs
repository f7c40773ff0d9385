//! Hamming distance: `popcount(a ^ b)`, the number of bits in which two codes differ.
//!
//! Many queries are compared with a [`tile`] of transposed rows, four at a time; one or two queries with the rows as
//! they lie. The Jaccard family uses the same kernels: see there. Real queries are searched by look-ups: see `asymmetric`.
//! Rows in the buckets of hash tables are compared one by one: see `buckets`.

mod asymmetric;
mod buckets;
mod portable;
pub(crate) mod tile;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::level::at_level;
use crate::search::{self, Database, Metric};
use crate::{Codes, Csr, Error, Level, Mask, Pairs, Parallel};
pub use asymmetric::{RealQueries, asymmetric_knn};
pub use buckets::{Buckets, buckets_knn};
use tile::{GROUP, Lanes, MAX_WORDS, QueryGroups, Tile};

/// A row of a tile that is nearer to a query than its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Which query of the group.
    pub slot: u32,
    /// Which row of the tile; may lie beyond the last one.
    pub row: u32,
    pub distance: u32,
}

pub(crate) type Hits = Vec<Hit>;

/// Rows that the kernels of `level` take in one step; a tile has a multiple of them.
pub(crate) fn step_rows(level: Level) -> usize {
    at_level!(level, step_rows())
}

/// So many queries are better compared with the rows as they lie than with a tile, even if that is there already.
pub(crate) fn few_queries(level: Level) -> usize {
    at_level!(level, few_queries())
}

/// Rearranges the words of each group in place as the kernels of `level` want them.
pub(crate) fn arrange_queries(level: Level, n_words: usize, words: &mut [[u64; GROUP]]) {
    at_level!(level, arrange_queries(n_words, words));
}

/// Transposes rows of `n_words` words into the steps of a tile, as the kernels of `level` want them.
pub(crate) fn transpose<'a>(
    level: Level,
    rows: impl ExactSizeIterator<Item = &'a [u8]>,
    n_words: usize,
    words: &mut [Lanes],
) {
    at_level!(level, transpose(rows, n_words, words));
}

/// The same for all rows of `codes`.
pub(crate) fn transpose_all(level: Level, codes: Codes<'_>, words: &mut [Lanes]) {
    at_level!(level, transpose_all(codes, words));
}

/// Appends every (query, row) whose distance is below the bound of the query. `words` are whole steps of a tile, of which
/// the first row has the number `first_row`. Rows beyond the end of the tile may add hits that the caller has to drop.
pub(crate) fn scan(
    level: Level,
    words: &[Lanes],
    query: &[[u64; GROUP]],
    bounds: [u32; GROUP],
    first_row: u32,
    hits: &mut Hits,
) {
    at_level!(level, scan(words, query, bounds, first_row, hits));
}

/// Writes the distance of each query of a group to each row; `words` are whole steps of a tile.
pub(crate) fn distances(level: Level, words: &[Lanes], query: &[[u64; GROUP]], out: [&mut [i32]; GROUP]) {
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
) {
    assert!(query.len() == codes.n_bytes(), "kernel called with wrong lengths");
    at_level!(level, scan_rows(query, codes, bound, first_row, hits));
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
fn distances_of(level: Level, query: &[u8], codes: Codes<'_>, ids: &[u32], out: &mut [u32]) {
    at_level!(level, distances_of(query, codes, ids, out));
}

/// The distance itself is what hits are sorted by and bounded by.
struct Hamming;

impl Metric for Hamming {
    type Distance = i32;
    const PADDING: i32 = i32::MAX;
    const BY_ONES: bool = false;

    fn key(&self, differing: u32, _query_ones: u32, _row_ones: u32) -> u32 {
        differing
    }

    fn distance(&self, key: u32) -> i32 {
        key as i32
    }

    fn bound(&self, below: u32, _query_ones: u32, _row_ones: (u32, u32)) -> u32 {
        below
    }
}

/// Finds the `k` nearest rows of `codes` for each query. Row `i` of the results starts at `i * k`; missing neighbours
/// are `i32::MAX` and -1.
///
/// # Errors
/// If queries and codes differ in bytes, the mask does not fit the codes, an output has not `n_queries * k` elements, or
/// the call was interrupted.
#[allow(clippy::too_many_arguments, reason = "they are the arguments of the public function")]
pub fn knn(
    level: Level,
    queries: Codes<'_>,
    codes: Codes<'_>,
    k: usize,
    mask: Mask<'_>,
    parallel: &Parallel<'_>,
    distances: &mut [i32],
    indices: &mut [i64],
) -> Result<(), Error> {
    let database = Database::new(codes, mask, false)?;
    search::knn(level, &Hamming, queries, &database, k, parallel, distances, indices)
}

/// Finds all rows of `codes` at a distance of at most `radius` from each query, sorted by (distance, index).
///
/// # Errors
/// If queries and codes differ in bytes, the mask does not fit the codes, or the call was interrupted.
pub fn radius(
    level: Level,
    queries: Codes<'_>,
    codes: Codes<'_>,
    radius: u32,
    mask: Mask<'_>,
    parallel: &Parallel<'_>,
) -> Result<Csr<i32>, Error> {
    let database = Database::new(codes, mask, false)?;
    search::radius(level, &Hamming, queries, &database, radius.saturating_add(1), parallel)
}

/// Finds all pairs of rows `i < j` at a distance of at most `radius`, sorted by (i, j).
///
/// # Errors
/// If the call was interrupted.
pub fn pairs(
    level: Level,
    codes: Codes<'_>,
    radius: u32,
    parallel: &Parallel<'_>,
) -> Result<Pairs<i32>, Error> {
    let database = Database::new(codes, Mask::All, false)?;
    search::pairs(level, &Hamming, &database, radius.saturating_add(1), parallel)
}

/// Writes all distances: row `i` of `out` are the distances of row `i` of `a` to all rows of `b`.
///
/// # Errors
/// If `a` and `b` differ in bytes, `out` has not one element for each pair, or the call was interrupted.
pub fn cdist(
    level: Level,
    a: Codes<'_>,
    b: Codes<'_>,
    parallel: &Parallel<'_>,
    out: &mut [i32],
) -> Result<(), Error> {
    search::cdist(a, b, parallel, out, |rows, columns, out| {
        let (a, b) = (a.slice(rows.start, rows.end), b.slice(columns.start, columns.end));
        all_distances(level, a, b, out);
    })
}

/// Writes the distances of all rows of `a` to all rows of `b`; one slice of `out` for each row of `a`.
pub(crate) fn all_distances(level: Level, a: Codes<'_>, b: Codes<'_>, out: &mut [&mut [i32]]) {
    if a.n_rows() < GROUP || a.n_words() > MAX_WORDS {
        for (row, out) in out.iter_mut().enumerate() {
            row_distances(level, a.row(row), b, out);
        }
        return;
    }
    let queries = QueryGroups::new(level, a.n_words(), (0..a.n_rows()).map(|row| a.row(row)));
    let mut tile = Tile::default();
    for start in (0..b.n_rows()).step_by(Tile::capacity(level, b.n_words())) {
        let end = (start + Tile::capacity(level, b.n_words())).min(b.n_rows());
        tile.fill_all(level, b.slice(start, end));
        for (query, out) in queries.iter().zip(out.chunks_mut(GROUP)) {
            let mut out = out.iter_mut();
            // A last group that is not full has nowhere to write what its zeros give.
            let out = std::array::from_fn(|_| out.next().map_or(&mut [][..], |row| &mut row[start..end]));
            distances(level, tile.words(0..end - start), query, out);
        }
    }
}
