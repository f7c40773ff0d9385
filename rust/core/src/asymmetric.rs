//! Asymmetric search: queries stay real numbers, only the database is bits.
//!
//! A code stands for signs `s`, +1 for a one and -1 for a zero, and its distance to a query is `-<q, s>`. Four dimensions have 16
//! such sums, so a query becomes look-up tables of 16 entries, one per half of a byte, and the search is that of
//! product-quantised codes: see [`adc`](crate::adc), which bounds the sums of 32 or 64 rows at once and sums the few that are
//! left in float.
//!
//! ```text
//! bits of byte 0          s0 s1 s2 s3   s4 s5 s6 s7
//! code of subspace 1      s0 s1 s2 s3                   table: -+ q0 -+ q1 -+ q2 -+ q3, added in this order from zero
//! code of subspace 0                    s4 s5 s6 s7     table: -+ q4 -+ q5 -+ q6 -+ q7
//! ```

use std::ops::Range;

use crate::adc::{self, Blocks, Tables};
use crate::error::{check_len, first_bad, try_vec};
use crate::select::mask::RowMask;
use crate::{At, Codes, Error, Mask, Neighbors, Probes, Run};

/// Entries of the tables of the queries that are searched together: 16 MB. Each such part reads all codes once more.
const TABLE_ENTRIES: usize = 4 << 20;

/// The largest number, of which four add up to a finite one.
const LARGEST: f32 = f32::MAX / 4.0;

/// Real queries: `n_queries` rows of `n_bits` numbers.
#[derive(Clone, Copy, Debug)]
pub struct RealQueries<'a> {
    values: &'a [f32],
    n_queries: usize,
    n_bits: usize,
}

impl<'a> RealQueries<'a> {
    /// Views the rows of a C-contiguous array.
    ///
    /// # Errors
    /// [`Error::Range`] without dimensions, [`Error::Length`] if `values` do not have the shape.
    pub fn new(values: &'a [f32], n_queries: usize, n_bits: usize) -> Result<Self, Error> {
        let name = "queries";
        if n_bits == 0 {
            return Err(Error::Range { name, unit: "dimensions", given: 0, low: 1, high: usize::MAX });
        }
        check_len(name, "elements", values.len(), n_queries.saturating_mul(n_bits))?;
        Ok(RealQueries { values, n_queries, n_bits })
    }

    /// Number of queries.
    pub fn n_queries(&self) -> usize {
        self.n_queries
    }
}

/// Finds the rows of `codes` with the smallest `-<q, s>` for each query. Missing neighbours are infinity and -1. Bits beyond
/// those of the queries do not count.
///
/// # Errors
/// If codes do not have the bytes that the bits of the queries take, a query has a number that is not finite or so large that
/// four of them overflow, the mask does not fit the codes, `out` does not fit the queries, the memory does not suffice, or
/// the call was interrupted.
pub fn knn(
    queries: RealQueries<'_>,
    codes: Codes<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    search(queries, codes, mask, out, |tables, blocks, out, _| adc::knn(tables, blocks, mask, out, run))
}

/// Finds the rows with the smallest `-<q, s>` in the lists of each query, where rows stand list by list; results have the ids of
/// rows.
///
/// # Errors
/// As [`knn`], and if there are not lists for each query, and an id for each row.
pub fn lists_knn(
    queries: RealQueries<'_>,
    codes: Codes<'_>,
    probes: Probes<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    probes.check_queries(queries.n_queries)?;
    search(queries, codes, mask, out, |tables, blocks, out, queries| {
        adc::lists_knn(tables, blocks, probes.slice(queries), mask, out, run)
    })
}

/// Calls `knn(tables, blocks, room for the results, queries)` with some queries at a time.
fn search(
    queries: RealQueries<'_>,
    codes: Codes<'_>,
    mask: Mask<'_>,
    mut out: Neighbors<'_, f32>,
    knn: impl Fn(Tables<'_>, Blocks<'_>, Neighbors<'_, f32>, Range<usize>) -> Result<(), Error>,
) -> Result<(), Error> {
    let RealQueries { values, n_queries, n_bits } = queries;
    let (n_bytes, expected) = (codes.n_bytes(), n_bits.div_ceil(8));
    if n_bytes != expected {
        let problem = format!(
            "codes have {n_bytes} bytes per row, but queries have {n_bits} dimensions, whose signs take {expected}"
        );
        return Err(Error::Incompatible { problem });
    }
    out.clear(n_queries, f32::INFINITY)?;
    check_magnitudes(values)?;
    if n_queries == 0 || out.k() == 0 {
        // Nothing is searched, but a mask that does not fit is an error all the same.
        return RowMask::new(mask, codes.n_rows()).map(|_| ());
    }
    let blocks = Blocks::from_bits(codes);
    let len = 32 * n_bytes;
    let step = (TABLE_ENTRIES / len).clamp(1, n_queries);
    let mut tables = try_vec(0.0, len.saturating_mul(step))?;
    for ((index, queries), out) in values.chunks(step * n_bits).enumerate().zip(out.blocks(step)) {
        let n_queries = queries.len() / n_bits;
        let tables = &mut tables[..n_queries * len];
        for (query, tables) in queries.chunks(n_bits).zip(tables.chunks_exact_mut(len)) {
            fill_tables(query, tables);
        }
        let range = index * step..index * step + n_queries;
        knn(Tables::new(tables, n_queries, 2 * n_bytes, 16)?, blocks, out, range)?;
    }
    Ok(())
}

/// Any four numbers have to add up to a finite one.
fn check_magnitudes(values: &[f32]) -> Result<(), Error> {
    match first_bad(values, |value| value.is_nan() || value.abs() > LARGEST) {
        None => Ok(()),
        Some((index, value)) if value.is_finite() => Err(Error::Value {
            name: "queries",
            value: format!("{value:e}"),
            at: At::Element(index),
            expected: format!("numbers of at most {LARGEST:e}, since larger ones overflow float32 sums"),
        }),
        Some((index, value)) => Err(Error::NotFinite { name: "queries", index, value: value.to_string() }),
    }
}

/// Writes the tables of a query: two of 16 entries for each byte.
fn fill_tables(query: &[f32], tables: &mut [f32]) {
    let (tables, _) = tables.as_chunks_mut::<16>();
    let mut halves = query.chunks(4);
    for byte in tables.as_chunks_mut::<2>().0 {
        let [low, high] = byte;
        for table in [high, low] {
            let four = halves.next().unwrap_or_default();
            *table = [0.0; 16];
            // After each dimension the entries of the bits so far are at the multiples of `step`.
            let mut step = 16;
            for value in four {
                step /= 2;
                for entries in table.chunks_exact_mut(2 * step) {
                    let sum = entries[0];
                    (entries[0], entries[step]) = (sum + value, sum - value);
                }
            }
            // Bits beyond the last dimension change nothing.
            table.chunks_exact_mut(step).for_each(|entries| entries.fill(entries[0]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_hold_the_negative_products_of_each_half_byte() {
        let query = [1.0, 20.0, 300.0, 4000.0, 0.5, 0.25];
        let mut tables = [f32::NAN; 32];
        fill_tables(&query, &mut tables);
        for code in 0..16_usize {
            let sign = |bit: usize| if code >> bit & 1 == 1 { -1.0 } else { 1.0 };
            let high = sign(3) * 1.0 + sign(2) * 20.0 + sign(1) * 300.0 + sign(0) * 4000.0;
            assert_eq!(tables[16 + code], high);
            assert_eq!(tables[code], sign(3) * 0.5 + sign(2) * 0.25);
        }
    }
}
