//! Jaccard distance: `1 - popcount(a & b) / popcount(a | b)`, for fingerprints also called the Tanimoto distance.
//!
//! Given the ones of both codes, it follows from the bits in which they differ:
//!
//! ```text
//! |a | b| = (|a| + |b| + |a ^ b|) / 2         distance = |a ^ b| / |a | b| = 2 |a ^ b| / (|a| + |b| + |a ^ b|)
//! ```
//!
//! so the kernels that count differing bits serve here too. Some thousand rows at a time are sorted by their number of ones. A
//! tile then has rows with nearly the same number, which gives the kernels a sharp bound on the differing bits; and since codes
//! with `|a|` and `|b|` ones differ in at least `||a| - |b||` bits, most tiles are skipped once near rows were found (BitBound:
//! Swamidass and Baldi, J. Chem. Inf. Model. 47, 2007).

use crate::binary::{self, Metric, all_distances};
use crate::error::{try_collect, try_vec};
use crate::popcount::tile::Tile;
use crate::select::matrix::write_pieces;
use crate::{Codes, Csr, Error, Mask, Neighbors, Pairs, Run, bits};

/// A distance is at least 0, so its bits as an integer sort like the distance.
struct Jaccard;

impl Metric for Jaccard {
    type Distance = f32;
    const PADDING: f32 = f32::INFINITY;
    const BY_ONES: bool = true;

    fn key(&self, differing: u32, query_ones: u32, row_ones: u32) -> u32 {
        distance(differing, query_ones, row_ones).to_bits()
    }

    fn distance(&self, key: u32) -> f32 {
        f32::from_bits(key)
    }

    fn bound(&self, below: u32, query_ones: u32, row_ones: (u32, u32)) -> u32 {
        let most = u64::from(query_ones) + u64::from(row_ones.1);
        let limit = f32::from_bits(below);
        let bound = if limit < 1.0 {
            // distance <= limit solved for the differing bits, which grow with the ones of the row. The limit is taken a
            // little higher than a float32 can be rounded, and the bound excludes itself.
            let limit = f64::from(limit) * (1.0 + f64::from(f32::EPSILON));
            (limit / (2.0 - limit) * most as f64) as u64 + 2
        } else {
            most + 1
        };
        let fewest = match (query_ones.checked_sub(row_ones.1), row_ones.0.checked_sub(query_ones)) {
            (Some(fewest), _) | (_, Some(fewest)) => u64::from(fewest),
            (None, None) => 0,
        };
        if bound <= fewest { 0 } else { bound.min(most + 1).min(u64::from(u32::MAX)) as u32 }
    }
}

/// The distance of two codes by their differing bits and ones, rounded once; two empty sets are equal.
#[inline]
fn distance(differing: u32, a_ones: u32, b_ones: u32) -> f32 {
    let twice_union = u64::from(a_ones) + u64::from(b_ones) + u64::from(differing);
    if differing == 0 { 0.0 } else { (2.0 * f64::from(differing) / twice_union as f64) as f32 }
}

/// The lowest key beyond `radius`; -0 and NaN count as zero.
fn below(radius: f32) -> u32 {
    let radius = if radius > 0.0 { radius } else { 0.0 };
    radius.to_bits() + 1
}

/// Finds the nearest rows of `codes` for each query; missing neighbours are infinitely far and have the index -1.
///
/// # Errors
/// [`Error::Mismatch`] if queries and codes differ in bytes, or the mask does not have one boolean per row; [`Error::Row`] for
/// an id that is not a row; [`Error::Length`] if `out` does not have room for each query; [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn knn(
    queries: Codes<'_>,
    codes: Codes<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    binary::knn(&Jaccard, queries, codes, mask, out, run)
}

/// Finds all rows of `codes` at a distance of at most `radius` (0 or more) from each query, sorted by (distance, index).
///
/// # Errors
/// As [`knn`]; [`Error::OutOfMemory`] if the results do not fit the memory.
pub fn radius(
    queries: Codes<'_>,
    codes: Codes<'_>,
    radius: f32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<f32>, Error> {
    binary::radius(&Jaccard, queries, codes, below(radius), mask, run)
}

/// Finds all pairs of rows `i < j` at a distance of at most `radius` (0 or more), sorted by (i, j).
///
/// # Errors
/// [`Error::OutOfMemory`] if the results do not fit the memory; [`Error::Interrupted`].
pub fn pairs(codes: Codes<'_>, radius: f32, run: &Run<'_>) -> Result<Pairs<f32>, Error> {
    binary::pairs(&Jaccard, codes, below(radius), run)
}

/// Groups rows by the pairs of [`pairs`], which are not stored: for each row the lowest one of its group, itself if it is alone.
///
/// # Errors
/// [`Error::OutOfMemory`]; [`Error::Range`] for more than `2^32 - 1` rows; [`Error::Interrupted`].
pub fn groups(codes: Codes<'_>, radius: f32, run: &Run<'_>) -> Result<Vec<i64>, Error> {
    binary::groups(&Jaccard, codes, below(radius), run)
}

/// Writes all distances: row `i` of `out` has the distances of row `i` of `a` to all rows of `b`.
///
/// # Errors
/// [`Error::Mismatch`] if `a` and `b` differ in bytes, [`Error::Length`] if `out` does not have one element for each pair,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn cdist(a: Codes<'_>, b: Codes<'_>, out: &mut [f32], run: &Run<'_>) -> Result<(), Error> {
    let level = run.level();
    let (mut a_ones, mut b_ones) = (try_vec(0, a.n_rows())?, try_vec(0, b.n_rows())?);
    bits::popcount(a, &mut a_ones, run)?;
    bits::popcount(b, &mut b_ones, run)?;
    write_pieces(a, b, out, run, |rows, columns, out| {
        let capacity = Tile::capacity(level, b.n_words());
        let mut differing = try_vec(0, out.len() * capacity.min(columns.len()))?;
        for start in columns.clone().step_by(capacity) {
            let end = (start + capacity).min(columns.end);
            let mut differing_rows = try_collect(differing.chunks_mut(end - start).take(out.len()))?;
            let (a, b) = (a.slice(rows.start, rows.end), b.slice(start, end));
            all_distances(a, b, &mut differing_rows, level)?;
            for ((out, differing), &a_ones) in out.iter_mut().zip(differing_rows).zip(&a_ones[rows.clone()]) {
                let out = &mut out[start - columns.start..end - columns.start];
                for ((out, differing), &b_ones) in out.iter_mut().zip(differing).zip(&b_ones[start..end]) {
                    *out = distance(*differing as u32, a_ones as u32, b_ones as u32);
                }
            }
        }
        Ok(())
    })
}
