//! Jaccard distance: `1 - popcount(a & b) / popcount(a | b)`, for fingerprints also called the Tanimoto distance; and its
//! generalisation by Tversky, where ones of only one side count as much as its weight says:
//!
//! ```text
//! similarity = |a & b| / (|a & b| + alpha |a & ~b| + beta |b & ~a|)         distance = 1 - similarity
//! ```
//!
//! Given the ones of both codes, it follows from the bits in which they differ, since `|a & b| = (|a| + |b| - |a ^ b|) / 2`, so
//! the kernels that count differing bits serve here too. Some thousand rows at a time are sorted by their number of ones. A
//! tile then has rows with nearly the same number, which gives the kernels a sharp bound on the differing bits; and since codes
//! with `|a|` and `|b|` ones differ in at least `||a| - |b||` bits, most tiles are skipped once near rows were found (BitBound:
//! Swamidass and Baldi, J. Chem. Inf. Model. 47, 2007).

pub use crate::binary::SortedRows;
use crate::binary::{self, Metric, all_distances};
use crate::error::{try_collect, try_vec};
use crate::popcount::tile::Tile;
use crate::select::matrix::write_pieces;
use crate::{Codes, Csr, Error, Mask, Neighbors, Pairs, Probes, Run, bits};

/// The weights of ones that only one side has; 1 and 1 make the Jaccard distance.
///
/// A distance is at least 0, so its bits as an integer sort like the distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tversky {
    alpha: f64,
    beta: f64,
}

impl Tversky {
    /// The Jaccard distance.
    pub const JACCARD: Tversky = Tversky { alpha: 1.0, beta: 1.0 };

    /// The distance with the weights `alpha` of ones that only the query has, and `beta` of those that only the row has.
    ///
    /// # Errors
    /// [`Error::Incompatible`] for a weight that is negative or not finite.
    pub fn new(alpha: f64, beta: f64) -> Result<Self, Error> {
        for (name, weight) in [("alpha", alpha), ("beta", beta)] {
            if !(0.0..=f64::MAX).contains(&weight) {
                let problem = format!("{name} is {weight}; expected a finite number, 0 or more");
                return Err(Error::Incompatible { problem });
            }
        }
        Ok(Tversky { alpha, beta })
    }

    /// The distance of two codes by their differing bits and ones, rounded once; 0 / 0 counts as a similarity of 1.
    #[inline]
    fn between(self, differing: u32, query_ones: u32, row_ones: u32) -> f32 {
        let (query_ones, row_ones) = (f64::from(query_ones), f64::from(row_ones));
        let common = (query_ones + row_ones - f64::from(differing)) / 2.0;
        // Beyond the largest float, where the distance is 1, it would be NaN.
        let apart = (self.alpha * (query_ones - common) + self.beta * (row_ones - common)).min(f64::MAX);
        if apart == 0.0 { 0.0 } else { (apart / (common + apart)) as f32 }
    }
}

impl Metric for Tversky {
    type Distance = f32;
    const PADDING: f32 = f32::INFINITY;
    const BY_ONES: bool = true;

    fn key(&self, differing: u32, query_ones: u32, row_ones: u32) -> u32 {
        self.between(differing, query_ones, row_ones).to_bits()
    }

    fn distance(&self, key: u32) -> f32 {
        f32::from_bits(key)
    }

    fn bound(&self, below: u32, query_ones: u32, row_ones: (u32, u32)) -> u32 {
        let limit = f32::from_bits(below);
        let most = u64::from(query_ones) + u64::from(row_ones.1);
        let bound = if limit < 1.0 {
            // distance <= limit solved for the ones that both have: at least `common`, which is linear in the ones of the row,
            // so the most differing bits are at one end of their range. The limit is taken a little higher than float64
            // rounds, the weights are scaled so that nothing overflows, and the bound excludes itself.
            let limit = f64::from(limit) * (1.0 + 1e-14);
            let scale = self.alpha.max(self.beta).max(1.0);
            let (alpha, beta) = (self.alpha / scale, self.beta / scale);
            let differing = |row_ones: u32| {
                let (query_ones, row_ones) = (f64::from(query_ones), f64::from(row_ones));
                let common = (1.0 - limit) * (alpha * query_ones + beta * row_ones)
                    / (limit / scale + (1.0 - limit) * (alpha + beta));
                query_ones + row_ones - 2.0 * common
            };
            (differing(row_ones.0).max(differing(row_ones.1)) + 2.0) as u64
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

/// The lowest key beyond `radius`; -0 and NaN count as zero.
fn below(radius: f32) -> u32 {
    let radius = if radius > 0.0 { radius } else { 0.0 };
    radius.to_bits() + 1
}

/// Finds the nearest rows of `codes` for each query; missing neighbours are infinitely far and have the index -1. Searches
/// are faster with the order of the first rows, `sorted`; the results are the same.
///
/// # Errors
/// [`Error::Mismatch`] if queries and codes differ in bytes, `sorted` is of more rows or other bytes, or the mask does not have one boolean per row; [`Error::Row`] for
/// an id that is not a row; [`Error::Length`] if `out` does not have room for each query; [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn knn(
    queries: Codes<'_>,
    codes: Codes<'_>,
    sorted: Option<&SortedRows>,
    metric: Tversky,
    mask: Mask<'_>,
    out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    binary::knn(&metric, queries, codes, sorted, mask, out, run)
}

/// Finds all rows of `codes` at a distance of at most `radius` (0 or more) from each query, sorted by (distance, index).
///
/// # Errors
/// As [`knn`]; [`Error::OutOfMemory`] if the results do not fit the memory.
pub fn radius(
    queries: Codes<'_>,
    codes: Codes<'_>,
    radius: f32,
    sorted: Option<&SortedRows>,
    metric: Tversky,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<f32>, Error> {
    binary::radius(&metric, queries, codes, sorted, below(radius), mask, run)
}

/// Finds the nearest rows of `codes` in the lists of each query, where rows stand list by list; results have the ids of rows.
///
/// # Errors
/// As [`knn`]; [`Error::Mismatch`] if there are not lists for each query, and an id for each row.
pub fn lists_knn(
    queries: Codes<'_>,
    codes: Codes<'_>,
    probes: Probes<'_>,
    metric: Tversky,
    mask: Mask<'_>,
    out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    binary::lists_knn(&metric, (queries, codes), probes, mask, out, run)
}

/// Finds all rows of `codes` at a distance of at most `radius` in the lists of each query, likewise.
///
/// # Errors
/// As [`lists_knn`].
pub fn lists_radius(
    queries: Codes<'_>,
    codes: Codes<'_>,
    probes: Probes<'_>,
    metric: Tversky,
    radius: f32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<f32>, Error> {
    binary::lists_radius(&metric, (queries, codes), probes, below(radius), mask, run)
}

/// Finds all pairs of rows `i < j` at a Jaccard distance of at most `radius` (0 or more), sorted by (i, j).
///
/// # Errors
/// [`Error::OutOfMemory`] if the results do not fit the memory; [`Error::Interrupted`].
pub fn pairs(codes: Codes<'_>, radius: f32, run: &Run<'_>) -> Result<Pairs<f32>, Error> {
    binary::pairs(&Tversky::JACCARD, codes, below(radius), run)
}

/// Groups rows by the pairs of [`pairs`], which are not stored: for each row the lowest one of its group, itself if it is alone.
///
/// # Errors
/// [`Error::OutOfMemory`]; [`Error::Range`] for more than `2^32 - 1` rows; [`Error::Interrupted`].
pub fn groups(codes: Codes<'_>, radius: f32, run: &Run<'_>) -> Result<Vec<i64>, Error> {
    binary::groups(&Tversky::JACCARD, codes, below(radius), run)
}

/// Writes all distances: row `i` of `out` has the distances of row `i` of `a` to all rows of `b`.
///
/// # Errors
/// [`Error::Mismatch`] if `a` and `b` differ in bytes, [`Error::Length`] if `out` does not have one element for each pair,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn cdist(
    a: Codes<'_>,
    b: Codes<'_>,
    metric: Tversky,
    out: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
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
                    *out = metric.between(*differing as u32, a_ones as u32, b_ones as u32);
                }
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of differing bits that codes with these numbers of ones can have.
    fn all_differing(query_ones: u32, row_ones: u32) -> impl Iterator<Item = u32> {
        (query_ones.abs_diff(row_ones)..=query_ones + row_ones).step_by(2)
    }

    #[test]
    fn no_bound_excludes_a_row_that_qualifies() {
        const MOST_ONES: u32 = 12;
        let weights = [0.0, f64::from_bits(1), 1e-45, 1e-30, 0.1, 0.5, 1.0, 1.7, 1e8, 1e30, f64::MAX];
        let all_ones = || (0..=MOST_ONES).flat_map(|query| (0..=MOST_ONES).map(move |row| (query, row)));
        for metric in weights.iter().flat_map(|alpha| weights.map(|beta| Tversky { alpha: *alpha, beta })) {
            let mut keys: Vec<u32> = all_ones()
                .flat_map(|(query, row)| all_differing(query, row).map(move |d| metric.key(d, query, row)))
                .flat_map(|key| [key.saturating_sub(1), key, key + 1])
                .collect();
            keys.sort_unstable();
            keys.dedup();
            for (query, fewest) in all_ones() {
                for most in [fewest, fewest + 1, fewest + 5] {
                    for &below in keys.iter().step_by(1 + keys.len() / 100) {
                        let bound = metric.bound(below, query, (fewest, most));
                        for row in fewest..=most {
                            let near =
                                all_differing(query, row).filter(|d| metric.key(*d, query, row) < below);
                            let farthest = near.max();
                            assert!(
                                farthest.is_none_or(|differing| differing < bound),
                                "{metric:?}, {query} and {fewest} to {most} ones, below {below:#x}: {farthest:?}, {bound}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn bounds_exclude_rows_with_too_few_or_too_many_ones() {
        let below = below(0.2);
        for (metric, query, excluded, included) in [
            (Tversky::JACCARD, 100, [70, 130], [90, 120]),
            (Tversky { alpha: 1.0, beta: 0.0 }, 100, [0, 70], [90, 10_000]),
            (Tversky { alpha: 0.0, beta: 1.0 }, 100, [130, 10_000], [1, 120]),
        ] {
            for row in excluded {
                assert_eq!(metric.bound(below, query, (row, row)), 0, "{metric:?}, {row} ones");
            }
            for row in included {
                assert!(metric.bound(below, query, (row, row)) > 0, "{metric:?}, {row} ones");
            }
        }
    }
}
