//! Asymmetric search: queries stay real numbers, only the database is bits.
//!
//! A code stands for signs `s`, +1 for a one and -1 for a zero, and its distance to a query is `-<q, s>`. Four dimensions have 16
//! such sums, so a query becomes tables of 16 entries, one for each half of a byte, and the search that of product-quantised
//! codes: see [`adc`](crate::adc), which bounds the sums of 32 or 64 rows at once and adds up the few that are left.
//!
//! ```text
//! bits of byte 0          s0 s1 s2 s3   s4 s5 s6 s7
//! code of subspace 1      s0 s1 s2 s3                   table: -+ q0 -+ q1 -+ q2 -+ q3, added up in this order from zero
//! code of subspace 0                    s4 s5 s6 s7     table: -+ q4 -+ q5 -+ q6 -+ q7
//! ```

use crate::adc::{self, Blocks, Tables};
use crate::{Codes, Error, Level, Mask, Parallel};

/// Entries of the tables of the queries that are searched together: 16 MB. Each such part reads all codes once more.
const TABLE_ENTRIES: usize = 4 << 20;

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
    /// [`Error::EmptyAxis`] without dimensions, [`Error::InputLength`] if `values` are not as many as the shape says.
    pub fn new(values: &'a [f32], n_queries: usize, n_bits: usize) -> Result<Self, Error> {
        if n_bits == 0 {
            return Err(Error::EmptyAxis { name: "queries", axis: "dimensions" });
        }
        let expected = n_queries.saturating_mul(n_bits);
        if values.len() != expected {
            return Err(Error::InputLength { name: "queries", given: values.len(), expected });
        }
        Ok(RealQueries { values, n_queries, n_bits })
    }

    /// Number of queries.
    pub fn n_queries(&self) -> usize {
        self.n_queries
    }
}

/// Finds the `k` rows of `codes` with the smallest `-<q, s>` for each query. Row `i` of the results starts at `i * k`; missing
/// neighbours are infinity and -1. Bits beyond those of the queries do not count.
///
/// # Errors
/// If codes do not have the bytes that so many bits take, a query has a number that is not finite or so large that four of
/// them overflow, the mask does not fit the codes, an output has not `n_queries * k` elements, or the call was interrupted.
#[allow(clippy::too_many_arguments, reason = "they are the arguments of the public function")]
pub fn knn(
    level: Level,
    queries: RealQueries<'_>,
    codes: Codes<'_>,
    k: usize,
    mask: Mask<'_>,
    parallel: &Parallel<'_>,
    distances: &mut [f32],
    indices: &mut [i64],
) -> Result<(), Error> {
    let RealQueries { values, n_queries, n_bits } = queries;
    let n_bytes = codes.n_bytes();
    if n_bytes != n_bits.div_ceil(8) {
        return Err(Error::QueryBits { n_bytes, n_bits });
    }
    let expected = n_queries.saturating_mul(k);
    for given in [distances.len(), indices.len()] {
        if given != expected {
            return Err(Error::OutputLength { given, expected });
        }
    }
    check_magnitudes(values)?;
    let blocks = Blocks::from_bits(codes);
    let len = 32 * n_bytes;
    let step = (TABLE_ENTRIES / len).clamp(1, n_queries.max(1));
    let mut tables = crate::error::try_vec(0.0, len.saturating_mul(step))?;
    // No queries are searched too, so that a mask that does not fit is an error all the same.
    for start in (0..n_queries.max(1)).step_by(step) {
        let end = (start + step).min(n_queries);
        let tables = &mut tables[..(end - start) * len];
        for (query, tables) in values[start * n_bits..].chunks(n_bits).zip(tables.chunks_exact_mut(len)) {
            fill_tables(query, tables);
        }
        let tables = Tables::new(tables, end - start, 2 * n_bytes, 16)?;
        let found = start * k..end * k;
        let (distances, indices) = (&mut distances[found.clone()], &mut indices[found]);
        adc::knn(level, tables, blocks, k, mask, parallel, distances, indices)?;
    }
    Ok(())
}

/// Any four numbers have to add up to a finite one.
fn check_magnitudes(values: &[f32]) -> Result<(), Error> {
    let is_bad = |value: &f32| value.is_nan() || value.abs() > f32::MAX / 4.0;
    // In chunks, each without a branch: vector code.
    let bad = |chunk: &[f32]| chunk.iter().fold(false, |bad, value| bad | is_bad(value));
    let Some(chunk) = values.chunks(4096).position(bad) else { return Ok(()) };
    let index = (chunk * 4096..).zip(&values[chunk * 4096..]).find(|(_, value)| is_bad(value));
    let (index, value) = index.map_or((0, f32::NAN), |(index, value)| (index, *value));
    let name = "queries";
    Err(if value.is_finite() {
        let most = format!("{:e}", f32::MAX / 4.0);
        Error::TooLarge { name, index, value: format!("{value:e}"), most }
    } else {
        Error::NotFinite { name, index, value: value.to_string() }
    })
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
            // After each dimension the entries of the bits so far stand at their multiples of `step`.
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
