//! From vectors to codes: the nearest codeword of each part, and the sums of the parts of each codeword.
//!
//! Distances are those of the tables. Sixteen rows stand side by side, a lane each, and no sum crosses lanes.
//!
//! The nearest codeword is found in two steps. `|x - c|^2` is `|x|^2 - 2 (x . c - |c|^2 / 2)`: the score in brackets takes one
//! fused operation per dimension where the distance takes three. If the largest score exceeds the second by more than all
//! roundings together can make up, it is that of the nearest codeword; else the distances decide.

#![allow(clippy::needless_range_loop, reason = "indices run over the lanes of several arrays in step")]

use super::layout::check_codes;
use super::tables::{Codebooks, Vectors};
use crate::error::{check_len, try_resize, try_vec};
use crate::{Codes, Error, Run};

/// Rows that are compared with codewords side by side.
pub(super) const ROWS_PER_STRIP: usize = 16;

/// Rows of a task.
const ROWS_PER_TASK: usize = 16 * ROWS_PER_STRIP;

/// Values of a cache line.
const FLOATS_PER_LINE: usize = 16;

/// The nearest codewords of a strip of rows so far.
pub(super) struct Nearest {
    pub distances: [f32; ROWS_PER_STRIP],
    pub indices: [u32; ROWS_PER_STRIP],
}

/// The codewords of a subspace.
#[derive(Clone, Copy)]
pub(super) struct Codebook<'a> {
    pub values: &'a [f32],
    /// Half the sum of the squares of each codeword, rounded.
    pub half_squares: &'a [f32],
    pub largest_square: f32,
}

impl<'a> Codebook<'a> {
    fn new(values: &'a [f32], half_squares: &'a [f32]) -> Self {
        let largest_square = 2.0 * half_squares.iter().fold(0.0_f32, |largest, half| largest.max(*half));
        Codebook { values, half_squares, largest_square }
    }
}

/// Half the sum of the squares of each codeword of each subspace.
fn half_squares(codebooks: Codebooks<'_>) -> Result<Vec<f32>, Error> {
    let mut half_squares = try_vec(0.0, codebooks.n_subspaces() * codebooks.n_codewords())?;
    for (half, codeword) in half_squares.iter_mut().zip(codebooks.codewords()) {
        let square: f64 = codeword.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
        *half = (square / 2.0) as f32;
    }
    Ok(half_squares)
}

/// The two largest scores of each row of a strip, and which codeword has the largest.
pub(super) struct Scores {
    pub largest: [f32; ROWS_PER_STRIP],
    pub second: [f32; ROWS_PER_STRIP],
    pub indices: [u32; ROWS_PER_STRIP],
}

impl Scores {
    /// Writes the nearest codewords if the scores leave no doubt about any of them, and says whether it did.
    ///
    /// With `d` dimensions, unit roundoff `u` and `q = |x|^2 + max |c|^2`: a score is off by `(d + 2) u q` at most, in whatever order
    /// and with or without fused operations twice that; a distance by `(d + 3) u` of itself, which is at most `2 q`. So
    /// the codeword of the least distance has a score within `(6 d + 16) u q` of the largest one. Where numbers are so small
    /// that products underflow, less than the smallest normal number is lost.
    #[inline(always)]
    pub fn settle(
        &self,
        columns: &[[f32; ROWS_PER_STRIP]],
        codebook: Codebook<'_>,
        found: &mut Nearest,
    ) -> bool {
        let n_dims = columns.len();
        let mut squares = [codebook.largest_square; ROWS_PER_STRIP];
        for column in columns {
            for lane in 0..ROWS_PER_STRIP {
                squares[lane] += column[lane] * column[lane];
            }
        }
        let factor = (6 * n_dims + 16) as f32 * (f32::EPSILON / 2.0);
        let mut is_settled = true;
        for lane in 0..ROWS_PER_STRIP {
            let margin = squares[lane] * factor + f32::MIN_POSITIVE;
            is_settled &= self.second[lane] < self.largest[lane] - margin;
        }
        if is_settled {
            found.indices = self.indices;
            found.distances = [0.0; ROWS_PER_STRIP];
            for (dim, column) in columns.iter().enumerate() {
                for lane in 0..ROWS_PER_STRIP {
                    let coordinate = codebook.values[self.indices[lane] as usize * n_dims + dim];
                    let difference = column[lane] - coordinate;
                    found.distances[lane] += difference * difference;
                }
            }
        }
        is_settled
    }
}

/// Writes the number of the nearest codeword for each part of each row, ties to the lower; and to `errors`, if given, its
/// squared distance.
///
/// # Errors
/// [`Error::Mismatch`] if vectors and codebooks differ in dimensions, [`Error::Value`] if a vector is not finite,
/// [`Error::Length`] if an output does not have an element per part, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn encode(
    x: Vectors<'_>,
    codebooks: Codebooks<'_>,
    codes: &mut [u8],
    errors: Option<&mut [f32]>,
    run: &Run<'_>,
) -> Result<(), Error> {
    codebooks.check_dims(x)?;
    let (n_subspaces, n_dims) = (codebooks.n_subspaces(), codebooks.n_dims());
    let n_codewords = codebooks.n_codewords();
    let expected = x.n_rows().saturating_mul(n_subspaces);
    check_len("codes", "elements", codes.len(), expected)?;
    check_len("errors", "elements", errors.as_ref().map_or(expected, |errors| errors.len()), expected)?;
    if expected == 0 {
        return Ok(());
    }
    let half_squares = half_squares(codebooks)?;
    let mut errors = errors.map(|errors| errors.chunks_mut(ROWS_PER_TASK * n_subspaces));
    let parts = codes.chunks_mut(ROWS_PER_TASK * n_subspaces);
    let parts = parts.map(|codes| (codes, errors.as_mut().and_then(Iterator::next)));
    let (level, words) = (run.level(), expected.saturating_mul(n_codewords * n_dims) / 8);
    let new_columns = || Ok(Vec::new());
    run.for_words(words).for_each_part(parts, new_columns, |columns, task, (codes, mut errors)| {
        let (first_row, n_rows) = (task * ROWS_PER_TASK, codes.len() / n_subspaces);
        x.check_finite(first_row..first_row + n_rows)?;
        try_resize(columns, n_dims, [0.0; ROWS_PER_STRIP])?;
        let books = half_squares.chunks_exact(n_codewords).enumerate();
        for (subspace, half_squares) in books {
            let codebook = Codebook::new(codebooks.of(subspace), half_squares);
            for start in (0..n_rows).step_by(ROWS_PER_STRIP) {
                let rows = start..n_rows.min(start + ROWS_PER_STRIP);
                for (lane, row) in rows.clone().enumerate() {
                    let part = x.part(first_row + row, subspace, n_dims);
                    columns.iter_mut().zip(part).for_each(|(column, value)| column[lane] = *value);
                }
                let mut found =
                    Nearest { distances: [f32::INFINITY; ROWS_PER_STRIP], indices: [0; ROWS_PER_STRIP] };
                super::nearest(level, columns, codebook, &mut found);
                for (lane, row) in rows.enumerate() {
                    codes[row * n_subspaces + subspace] = found.indices[lane] as u8;
                    if let Some(errors) = &mut errors {
                        errors[row * n_subspaces + subspace] = found.distances[lane];
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Adds up, for each codeword, the parts of the rows that have it as their code, in float64 and in the order of rows; and
/// counts them. Vectors are not checked: a value that is not finite makes its sum NaN or infinite.
///
/// # Errors
/// [`Error::Length`] if the outputs do not have `n_subspaces * n_codewords * n_dims` sums and `n_subspaces * n_codewords`
/// counts, [`Error::Mismatch`] if codes and vectors do not go together, [`Error::Value`] if a code names no codeword,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn add_up(
    x: Vectors<'_>,
    codes: Codes<'_>,
    sums: &mut [f64],
    counts: &mut [i64],
    run: &Run<'_>,
) -> Result<(), Error> {
    let n_subspaces = codes.n_bytes();
    let (n_codewords, n_dims) = (counts.len() / n_subspaces, x.n_dims() / n_subspaces);
    if !(1..=256).contains(&n_codewords) {
        let (name, unit, high) = ("counts", "codewords", 256);
        return Err(Error::Range { name, unit, given: n_codewords, low: 1, high });
    }
    for (unit, given, of_codes) in
        [("rows", x.n_rows(), codes.n_rows()), ("dimensions", x.n_dims(), n_dims * n_subspaces)]
    {
        if given != of_codes {
            let (first, second, hint) = (("x", given), ("codes", of_codes), "expected the codes of x");
            return Err(Error::Mismatch { unit, first, second, hint });
        }
    }
    check_len("counts", "elements", counts.len(), n_subspaces * n_codewords)?;
    check_len("sums", "elements", sums.len(), counts.len().saturating_mul(n_dims))?;
    // Each thread reads rows from one end of its subspaces to the other, at least a cache line of each.
    let per_line = (FLOATS_PER_LINE / n_dims.max(1)).max(1);
    let words = x.n_rows().saturating_mul(x.n_dims()) / 8;
    let run = &run.for_words(words);
    let together = n_subspaces.div_ceil(run.threads()).next_multiple_of(per_line);
    let sums = sums.chunks_mut((together * n_codewords * n_dims).max(1));
    let parts = sums.zip(counts.chunks_mut(together * n_codewords));
    run.for_each_part(
        parts,
        || Ok(()),
        |(), task, (sums, counts)| {
            sums.fill(0.0);
            counts.fill(0);
            let first = task * together;
            for row in 0..x.n_rows() {
                let row_codes = &codes.row(row)[first..n_subspaces.min(first + together)];
                for (subspace, &code) in row_codes.iter().enumerate() {
                    if code as usize >= n_codewords {
                        return check_codes(code, codes.slice(row, row + 1), row, n_codewords);
                    }
                    let index = subspace * n_codewords + code as usize;
                    counts[index] += 1;
                    let sums = &mut sums[index * n_dims..][..n_dims];
                    add_part(sums, x.part(row, first + subspace, n_dims));
                }
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// Adds the values of a part to sums, eight at a time, which the compiler vectorises.
#[inline]
fn add_part(sums: &mut [f64], part: &[f32]) {
    let (eights, rest) = sums.as_chunks_mut::<8>();
    let (values, last_values) = part.as_chunks::<8>();
    for (sums, values) in eights.iter_mut().zip(values) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += f64::from(*value);
        }
    }
    for (sum, value) in rest.iter_mut().zip(last_values) {
        *sum += f64::from(*value);
    }
}
