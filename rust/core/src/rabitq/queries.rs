//! [`Queries`]: rounded to integers, in the layout that the kernels of a grid read.

use super::LINE_BYTES;
use super::grid::Grid;
use crate::error::{check_len, first_bad, try_vec};
use crate::{Codes, Error};

/// The largest integers of queries, such that sums of their products with levels do not overflow the registers.
const LARGEST_OF_SIGNS: i32 = 31; // four add up to a table entry below 128, and two entries to a byte
const LARGEST: i32 = 127; // two products with 126 are below 2^15
const LARGEST_PART: i32 = 64; // two products with 255 are below 2^15
const PART: i32 = 128; // the lower part is from -64 to 63

/// Which distance is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Squared Euclidean distance: what is added for a row is its square.
    L2,
    /// Negative inner product: nothing is to be added, or the part that was known exactly.
    Ip,
}

/// How the distances of a query are made of its sums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish {
    /// `<u, w> = multiplier * sum - bias`, for each part.
    pub multiplier: i32,
    pub bias: [i32; 2],
    /// What one of the integers stands for; the first of two parts counts [`PART`] times as much as the second.
    pub steps: [f32; 2],
    /// Distance at a row of zeros.
    pub offset: f32,
    /// What the second factor of a row is multiplied by.
    pub factor: f32,
}

/// Queries as integers.
pub struct Queries {
    grid: Grid,
    n_dims: usize,
    n_queries: usize,
    integers: Integers,
    finishes: Vec<Finish>,
}

enum Integers {
    /// Two tables of 16 entries for each byte of a code: for the low and the high half.
    Tables(Vec<[u8; 32]>),
    /// Signed bytes, padded with zeros; parts follow each other.
    Bytes(Vec<i8>),
}

impl Queries {
    /// Rotated queries of `n_dims` numbers; each distance has the offset of its query added.
    ///
    /// # Errors
    /// [`Error::Range`] or [`Error::Incompatible`] for dimensions that codes cannot have, [`Error::Length`] if the lengths do not
    /// go together, [`Error::NotFinite`] for a number that is not finite, [`Error::OutOfMemory`].
    pub fn new(
        values: &[f32],
        n_dims: usize,
        offsets: &[f32],
        grid: Grid,
        metric: Metric,
    ) -> Result<Self, Error> {
        grid.check_dims("queries", n_dims)?;
        let n_queries = values.len() / n_dims;
        check_len("queries", "elements", values.len(), n_queries * n_dims)?;
        check_len("offsets", "elements", offsets.len(), n_queries)?;
        for (name, numbers) in [("queries", values), ("offsets", offsets)] {
            if let Some((index, value)) = first_bad(numbers, |value| !value.is_finite()) {
                return Err(Error::NotFinite { name, index, value: value.to_string() });
            }
        }
        let largest = match (grid.n_bits(), grid.query_parts()) {
            (1, _) => LARGEST_OF_SIGNS,
            (_, 1) => LARGEST,
            _ => LARGEST_PART * PART - PART / 2,
        };
        let mut queries = Queries::zeros(grid, n_dims, n_queries)?;
        let mut rounded = try_vec(0_i32, n_dims)?;
        for (query, (values, offset)) in values.chunks_exact(n_dims).zip(offsets).enumerate() {
            let extent = values.iter().fold(0.0_f32, |extent, value| extent.max(value.abs()));
            // A query of zeros, or of numbers so small that their ratio to others overflows.
            let scale = Some(largest as f32 / extent).filter(|scale| scale.is_finite());
            for (rounded, value) in rounded.iter_mut().zip(values) {
                *rounded = scale.map_or(0, |scale| rounded_to_even(value * scale));
            }
            queries.set(query, &rounded, extent / largest as f32, *offset, metric);
        }
        Ok(queries)
    }

    /// Codes as queries: distances are those of what both codes stand for, exactly, where what is added for a
    /// row is its square.
    ///
    /// # Errors
    /// [`Error::Incompatible`] or [`Error::Range`] for bytes that rows cannot have, [`Error::Length`] if there are not two factors
    /// and an offset for each row, [`Error::NotFinite`] if one is not finite, [`Error::OutOfMemory`].
    pub fn from_codes(
        codes: Codes<'_>,
        factors: &[f32],
        offsets: &[f32],
        grid: Grid,
        metric: Metric,
    ) -> Result<Self, Error> {
        let n_dims = grid.n_dims(codes.n_bytes())?;
        check_len("factors", "elements", factors.len(), codes.n_rows() * 2)?;
        check_len("offsets", "elements", offsets.len(), codes.n_rows())?;
        for (name, numbers) in [("factors", factors), ("offsets", offsets)] {
            if let Some((index, value)) = first_bad(numbers, |value| !value.is_finite()) {
                return Err(Error::NotFinite { name, index, value: value.to_string() });
            }
        }
        let mut queries = Queries::zeros(grid, n_dims, codes.n_rows())?;
        let mut levels = try_vec(0_i32, n_dims)?;
        for query in 0..codes.n_rows() {
            let numbers = super::encode::numbers_of(codes.row(query), grid.n_bits());
            levels.iter_mut().zip(numbers).for_each(|(level, number)| *level = grid.level(number));
            queries.set(query, &levels, factors[2 * query + 1], offsets[query], metric);
        }
        Ok(queries)
    }

    fn zeros(grid: Grid, n_dims: usize, n_queries: usize) -> Result<Self, Error> {
        let integers = match grid.n_bits() {
            1 => Integers::Tables(try_vec([0; 32], n_queries.saturating_mul(n_dims / 8))?),
            _ => {
                let len = grid.expanded_len(n_dims) * grid.query_parts();
                Integers::Bytes(try_vec(0, n_queries.saturating_mul(len))?)
            }
        };
        let nothing = Finish { multiplier: 0, bias: [0; 2], steps: [0.0; 2], offset: 0.0, factor: 0.0 };
        Ok(Queries { grid, n_dims, n_queries, integers, finishes: try_vec(nothing, n_queries)? })
    }

    /// Sets a query to integers, one of which stands for `step`.
    fn set(&mut self, query: usize, rounded: &[i32], step: f32, offset: f32, metric: Metric) {
        let (multiplier, levels_bias) = self.grid.affine();
        let mut sums = [0_i32; 2];
        match &mut self.integers {
            Integers::Tables(tables) => {
                let n_bytes = self.n_dims / 8;
                fill_tables(rounded, &mut tables[query * n_bytes..][..n_bytes]);
                sums[0] = rounded.iter().map(|value| value.abs()).sum();
            }
            Integers::Bytes(bytes) => {
                let (len, parts) = (self.grid.expanded_len(self.n_dims), self.grid.query_parts());
                let bytes = &mut bytes[query * len * parts..][..len * parts];
                for (dim, &value) in rounded.iter().enumerate() {
                    let place = self.grid.place(dim);
                    if parts == 1 {
                        bytes[place] = value as i8;
                        sums[0] += value;
                    } else {
                        let upper = (value + PART / 2).div_euclid(PART);
                        let lower = value - upper * PART;
                        (bytes[place], bytes[len + place]) = (upper as i8, lower as i8);
                        sums[0] += upper;
                        sums[1] += lower;
                    }
                }
            }
        }
        let is_signs = self.grid.n_bits() == 1;
        let steps = if self.grid.query_parts() == 2 { [PART as f32 * step, step] } else { [step, 0.0] };
        let factor = if metric == Metric::L2 { -2.0 } else { -1.0 };
        let bias = sums.map(|sum| if is_signs { sum } else { levels_bias * sum });
        self.finishes[query] = Finish { multiplier, bias, steps, offset, factor };
    }

    /// Number of queries.
    pub fn n_queries(&self) -> usize {
        self.n_queries
    }

    /// Dimensions of each.
    pub fn n_dims(&self) -> usize {
        self.n_dims
    }

    /// The grid of the codes that they are for.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    pub(super) fn finish(&self, query: usize) -> &Finish {
        &self.finishes[query]
    }

    /// The tables of a query; none but for one bit.
    pub(super) fn tables(&self, query: usize) -> &[[u8; 32]] {
        match &self.integers {
            Integers::Tables(tables) => &tables[query * (self.n_dims / 8)..][..self.n_dims / 8],
            Integers::Bytes(_) => &[],
        }
    }

    /// The bytes of a part of a query; none for one bit.
    pub(super) fn bytes(&self, query: usize, part: usize) -> &[i8] {
        match &self.integers {
            Integers::Bytes(bytes) => {
                let len = self.grid.expanded_len(self.n_dims);
                debug_assert!(len.is_multiple_of(LINE_BYTES));
                &bytes[(query * self.grid.query_parts() + part) * len..][..len]
            }
            Integers::Tables(_) => &[],
        }
    }
}

/// The nearest integer of a number below 2^22, an even one of two: floats from 2^23 to 2^24 are integers, the last bits of which it
/// is. Processors without an instruction for `round_ties_even` call a function instead.
#[inline]
fn rounded_to_even(value: f32) -> i32 {
    const INTEGERS: f32 = 1.5 * (1 << 23) as f32;
    (value + INTEGERS).to_bits() as i32 - INTEGERS.to_bits() as i32
}

/// Writes the tables of a query of signs: the entry of four bits is the sum of the magnitudes of the numbers whose sign they have, so
/// that the product is twice the sum of the entries less that of all magnitudes.
fn fill_tables(rounded: &[i32], tables: &mut [[u8; 32]]) {
    for (eight, tables) in rounded.as_chunks::<8>().0.iter().zip(tables) {
        let (high, low) = eight.split_at(4);
        let (low_table, high_table) = tables.split_at_mut(16);
        for (four, table) in [(low, low_table), (high, high_table)] {
            table[0] = four.iter().map(|value| if *value < 0 { value.unsigned_abs() as u8 } else { 0 }).sum();
            // The first of the four is the highest bit. Setting a bit adds the number, negative or not.
            for (bit, value) in four.iter().rev().enumerate() {
                for entry in 0..1 << bit {
                    table[entry + (1 << bit)] = (i32::from(table[entry]) + value) as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_to_even() {
        for value in (-40_000..=40_000).map(|value| value as f32 / 4.0) {
            assert_eq!(rounded_to_even(value), value.round_ties_even() as i32, "{value}");
        }
    }

    #[test]
    fn tables_hold_the_magnitudes_of_equal_signs() {
        let rounded = [31, -5, 0, 7, -31, -31, -31, -31];
        let mut tables = [[0; 32]];
        fill_tables(&rounded, &mut tables);
        for code in 0..256_usize {
            let equal = rounded
                .iter()
                .enumerate()
                .filter(|(dim, value)| (code >> (7 - dim) & 1 == 1) == (**value > 0));
            let expected: i32 = equal.map(|(_, value)| value.abs()).sum();
            let found = u32::from(tables[0][code & 15]) + u32::from(tables[0][16 + (code >> 4)]);
            assert_eq!(found, expected as u32, "{code:08b}");
        }
    }
}
