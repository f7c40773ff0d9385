//! Hamming distance: `popcount(a ^ b)`, the number of bits in which two codes differ.

use crate::binary::{self, Database, Metric, all_distances};
use crate::select::matrix::write_pieces;
use crate::{Codes, Csr, Error, Level, Mask, Pairs, Parallel};

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
    binary::knn(level, &Hamming, queries, &database, k, parallel, distances, indices)
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
    binary::radius(level, &Hamming, queries, &database, radius.saturating_add(1), parallel)
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
    binary::pairs(level, &Hamming, &database, radius.saturating_add(1), parallel)
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
    write_pieces(a, b, out, &parallel.as_run(level), |rows, columns, out| {
        let (a, b) = (a.slice(rows.start, rows.end), b.slice(columns.start, columns.end));
        all_distances(level, a, b, out);
        Ok(())
    })
}
