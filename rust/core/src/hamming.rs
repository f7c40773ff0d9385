//! Hamming distance: `popcount(a ^ b)`, the number of bits in which two codes differ.

use crate::binary::{self, Metric, all_distances};
use crate::select::matrix::write_pieces;
use crate::{Codes, Csr, Error, Mask, Neighbors, Pairs, Probes, Run};

/// The distance is the key, and the bound of the differing bits.
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

/// Finds the nearest rows of `codes` for each query; missing neighbours are `i32::MAX` and -1.
///
/// # Errors
/// [`Error::Mismatch`] if queries and codes differ in bytes, or the mask does not have one boolean per row; [`Error::Row`] for
/// an id that is not a row; [`Error::Length`] if `out` does not have room for each query; [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn knn(
    queries: Codes<'_>,
    codes: Codes<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, i32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    binary::knn(&Hamming, queries, codes, None, mask, out, run)
}

/// Finds all rows of `codes` at a distance of at most `radius` from each query, sorted by (distance, index).
///
/// # Errors
/// As [`knn`]; [`Error::OutOfMemory`] if the results do not fit the memory.
pub fn radius(
    queries: Codes<'_>,
    codes: Codes<'_>,
    radius: u32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<i32>, Error> {
    binary::radius(&Hamming, queries, codes, None, radius.saturating_add(1), mask, run)
}

/// Finds the nearest rows of `codes` in the lists of each query, where rows stand list by list; results have the ids of rows.
///
/// # Errors
/// As [`knn`]; [`Error::Mismatch`] if there are not lists for each query, and an id for each row.
pub fn lists_knn(
    queries: Codes<'_>,
    codes: Codes<'_>,
    probes: Probes<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, i32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    binary::lists_knn(&Hamming, (queries, codes), probes, mask, out, run)
}

/// Finds all rows of `codes` at a distance of at most `radius` in the lists of each query, likewise.
///
/// # Errors
/// As [`lists_knn`].
pub fn lists_radius(
    queries: Codes<'_>,
    codes: Codes<'_>,
    probes: Probes<'_>,
    radius: u32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<i32>, Error> {
    binary::lists_radius(&Hamming, (queries, codes), probes, radius.saturating_add(1), mask, run)
}

/// Finds all pairs of rows `i < j` at a distance of at most `radius`, sorted by (i, j).
///
/// # Errors
/// [`Error::OutOfMemory`] if the results do not fit the memory; [`Error::Interrupted`].
pub fn pairs(codes: Codes<'_>, radius: u32, run: &Run<'_>) -> Result<Pairs<i32>, Error> {
    binary::pairs(&Hamming, codes, radius.saturating_add(1), run)
}

/// Groups rows by the pairs of [`pairs`], which are not stored: for each row the lowest one of its group, itself if it is alone.
///
/// # Errors
/// [`Error::OutOfMemory`]; [`Error::Range`] for more than `2^32 - 1` rows; [`Error::Interrupted`].
pub fn groups(codes: Codes<'_>, radius: u32, run: &Run<'_>) -> Result<Vec<i64>, Error> {
    binary::groups(&Hamming, codes, radius.saturating_add(1), run)
}

/// Writes all distances: row `i` of `out` has the distances of row `i` of `a` to all rows of `b`.
///
/// # Errors
/// [`Error::Mismatch`] if `a` and `b` differ in bytes, [`Error::Length`] if `out` does not have one element for each pair,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn cdist(a: Codes<'_>, b: Codes<'_>, out: &mut [i32], run: &Run<'_>) -> Result<(), Error> {
    let level = run.level();
    write_pieces(a, b, out, run, |rows, columns, out| {
        let (a, b) = (a.slice(rows.start, rows.end), b.slice(columns.start, columns.end));
        all_distances(a, b, out, level)
    })
}
