//! From vectors to tables and codes: distances of the parts of vectors to codewords, the nearest of them, and the sums of
//! what belongs to each.
//!
//! A distance is `sum_j (x_j - c_j)^2` in float32 over j = 0, 1, ..; products and sums are rounded one by one, so that every
//! level and every compiler gives the same. Sixteen rows (for codes) or codewords (for tables) stand side by side, a lane
//! each, and no sum ever crosses lanes.
//!
//! The nearest codeword is found in two steps. `|x - c|^2` is `|x|^2 - 2 (x . c - |c|^2 / 2)`: the score in brackets takes one
//! fused operation a dimension where the distance takes three. If the largest score is beyond the second by more than all
//! roundings together can make up, it is that of the nearest codeword; else the distances decide.

#![allow(clippy::needless_range_loop, reason = "indices run over the lanes of several arrays in step")]

use std::sync::Mutex;

use super::{check_codewords, check_finite, check_length};
use crate::{Codes, Error, Level, Parallel};

/// Rows that are compared with codewords side by side.
pub(super) const LANES: usize = 16;

/// Rows of one task.
const TASK_ROWS: usize = 16 * LANES;

/// Queries of one task: enough that transposing the codebooks costs little beside comparing.
const TASK_QUERIES: usize = 16;

/// Fewer are compared with codewords as they lie.
const QUERIES_WORTH_TRANSPOSING: usize = 3;

/// How near a codeword is to a part of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The squared Euclidean distance.
    L2,
    /// The negative inner product: smaller is nearer, as with distances.
    Ip,
}

/// Vectors: `values[row][dimension]`.
#[derive(Clone, Copy, Debug)]
pub struct Vectors<'a> {
    values: &'a [f32],
    n_rows: usize,
    n_dims: usize,
}

impl<'a> Vectors<'a> {
    /// Rows of `n_dims` values; `name` is what errors call them.
    ///
    /// # Errors
    /// [`Error::InputLength`] if `values` are not that many, [`Error::NotFinite`] if one of them is NaN or infinite.
    pub fn new(name: &'static str, values: &'a [f32], n_rows: usize, n_dims: usize) -> Result<Self, Error> {
        check_length(name, values, &[n_rows, n_dims])?;
        check_finite(name, values)?;
        Ok(Vectors { values, n_rows, n_dims })
    }

    /// The values of a row for a subspace of some dimensions.
    fn part(&self, row: usize, subspace: usize, n_dims: usize) -> &'a [f32] {
        &self.values[row * self.n_dims + subspace * n_dims..][..n_dims]
    }
}

/// Codebooks: `values[subspace][codeword][dimension]`.
#[derive(Clone, Copy, Debug)]
pub struct Codebooks<'a> {
    values: &'a [f32],
    n_subspaces: usize,
    n_codewords: usize,
    n_dims: usize,
}

impl<'a> Codebooks<'a> {
    /// Codebooks of up to 256 codewords.
    ///
    /// # Errors
    /// [`Error::Codewords`] for none or too many of them, [`Error::EmptyAxis`] without subspaces or dimensions,
    /// [`Error::InputLength`] if `values` are not that many, [`Error::NotFinite`] if one of them is NaN or infinite.
    pub fn new(
        values: &'a [f32],
        n_subspaces: usize,
        n_codewords: usize,
        n_dims: usize,
    ) -> Result<Self, Error> {
        check_codewords("codebooks", n_codewords)?;
        for (n, axis) in [(n_subspaces, "subspaces"), (n_dims, "dimensions")] {
            if n == 0 {
                return Err(Error::EmptyAxis { name: "codebooks", axis });
            }
        }
        check_length("codebooks", values, &[n_subspaces, n_codewords, n_dims])?;
        check_finite("codebooks", values)?;
        Ok(Codebooks { values, n_subspaces, n_codewords, n_dims })
    }

    fn of(&self, subspace: usize) -> &'a [f32] {
        let len = self.n_codewords * self.n_dims;
        &self.values[subspace * len..][..len]
    }

    fn check_dims(&self, name: &'static str, vectors: Vectors<'_>) -> Result<(), Error> {
        let expected = self.n_subspaces.saturating_mul(self.n_dims);
        if vectors.n_dims == expected {
            Ok(())
        } else {
            Err(Error::DimensionsDiffer { name, given: vectors.n_dims, expected })
        }
    }
}

/// Writes the table of each query: how near each codeword is to the query's part.
///
/// # Errors
/// If queries and codebooks differ in dimensions, `out` has not one element for each codeword and query, or the call was
/// interrupted.
pub fn tables(
    level: Level,
    queries: Vectors<'_>,
    codebooks: Codebooks<'_>,
    metric: Metric,
    parallel: &Parallel<'_>,
    out: &mut [f32],
) -> Result<(), Error> {
    codebooks.check_dims("queries", queries)?;
    let Codebooks { n_subspaces, n_codewords, n_dims, .. } = codebooks;
    check_length("out", out, &[queries.n_rows, n_subspaces, n_codewords])?;
    if out.is_empty() {
        return Ok(());
    }
    let parallel = &parallel.for_words(out.len().saturating_mul(n_dims) / 8);
    let table_len = n_subspaces * n_codewords;
    if queries.n_rows < QUERIES_WORTH_TRANSPOSING {
        return parallel.for_each_chunk(out, n_codewords, |table, out| {
            let (query, subspace) = (table / n_subspaces, table % n_subspaces);
            let part = queries.part(query, subspace, n_dims);
            super::table_as_is(level, part, codebooks.of(subspace), metric, out);
        });
    }
    parallel.for_each_chunk(out, TASK_QUERIES * table_len, |task, out| {
        let mut transposed = vec![0.0; n_dims * n_codewords];
        for subspace in 0..n_subspaces {
            for (index, codeword) in codebooks.of(subspace).chunks_exact(n_dims).enumerate() {
                for (dim, coordinate) in codeword.iter().enumerate() {
                    transposed[dim * n_codewords + index] = *coordinate;
                }
            }
            let tables = out.chunks_exact_mut(table_len);
            for (query, table) in (task * TASK_QUERIES..).zip(tables) {
                let part = queries.part(query, subspace, n_dims);
                let table = &mut table[subspace * n_codewords..][..n_codewords];
                super::table(level, part, &transposed, metric, table);
            }
        }
    })
}

/// The nearest codewords so far of some rows.
pub(super) struct Nearest {
    pub distances: [f32; LANES],
    pub indices: [u32; LANES],
}

/// The codewords of a subspace.
#[derive(Clone, Copy)]
pub(super) struct Codebook<'a> {
    pub values: &'a [f32],
    /// Half the sum of the squares of each, rounded.
    pub half_squares: &'a [f32],
    pub largest_square: f32,
}

impl<'a> Codebook<'a> {
    fn new(values: &'a [f32], n_dims: usize, half_squares: &'a mut Vec<f32>) -> Self {
        half_squares.clear();
        half_squares.extend(values.chunks_exact(n_dims).map(|codeword| {
            let square: f64 = codeword.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
            (square / 2.0) as f32
        }));
        let largest_square = 2.0 * half_squares.iter().fold(0.0_f32, |largest, half| largest.max(*half));
        Codebook { values, half_squares, largest_square }
    }
}

/// Of some rows, the largest score, the second, and which codeword has the largest.
pub(super) struct Scores {
    pub largest: [f32; LANES],
    pub second: [f32; LANES],
    pub indices: [u32; LANES],
}

impl Scores {
    /// Gives the nearest codewords if the scores leave no doubt about any of them.
    ///
    /// With `d` dimensions, unit roundoff `u` and `q = |x|^2 + max |c|^2`: a score is off by `(d + 2) u q` at most, in whatever order
    /// and with or without fused operations twice that; a distance by `(d + 3) u` of itself, which is at most `2 q`. So
    /// the codeword of the least distance has a score within `(6 d + 16) u q` of the largest one. Where numbers are so small
    /// that products underflow, less than the smallest normal number is lost.
    #[inline(always)]
    pub fn settle(&self, columns: &[[f32; LANES]], codebook: Codebook<'_>, found: &mut Nearest) -> bool {
        let n_dims = columns.len();
        let mut squares = [codebook.largest_square; LANES];
        for column in columns {
            for lane in 0..LANES {
                squares[lane] += column[lane] * column[lane];
            }
        }
        let factor = (6 * n_dims + 16) as f32 * (f32::EPSILON / 2.0);
        let mut is_settled = true;
        for lane in 0..LANES {
            let margin = squares[lane] * factor + f32::MIN_POSITIVE;
            is_settled &= self.second[lane] < self.largest[lane] - margin;
        }
        if is_settled {
            found.indices = self.indices;
            found.distances = [0.0; LANES];
            for (dim, column) in columns.iter().enumerate() {
                for lane in 0..LANES {
                    let coordinate = codebook.values[self.indices[lane] as usize * n_dims + dim];
                    let difference = column[lane] - coordinate;
                    found.distances[lane] += difference * difference;
                }
            }
        }
        is_settled
    }
}

/// Writes the number of the nearest codeword for each part of each row, ties to the lower; and, where `errors` are wanted,
/// its squared distance.
///
/// # Errors
/// If vectors and codebooks differ in dimensions, an output has not one element for each part, or the call was
/// interrupted.
pub fn encode(
    level: Level,
    x: Vectors<'_>,
    codebooks: Codebooks<'_>,
    parallel: &Parallel<'_>,
    codes: &mut [u8],
    errors: Option<&mut [f32]>,
) -> Result<(), Error> {
    codebooks.check_dims("x", x)?;
    let Codebooks { n_subspaces, n_codewords, n_dims, .. } = codebooks;
    let expected = x.n_rows.saturating_mul(n_subspaces);
    for given in [Some(codes.len()), errors.as_ref().map(|errors| errors.len())].into_iter().flatten() {
        if given != expected {
            return Err(Error::OutputLength { given, expected });
        }
    }
    if expected == 0 {
        return Ok(());
    }
    let mut errors = errors.map(|errors| errors.chunks_mut(TASK_ROWS * n_subspaces));
    let tasks: Vec<_> = codes
        .chunks_mut(TASK_ROWS * n_subspaces)
        .map(|codes| Mutex::new((codes, errors.as_mut().and_then(Iterator::next))))
        .collect();
    let parallel = &parallel.for_words(expected.saturating_mul(n_codewords * n_dims) / 8);
    parallel.run(
        tasks.len(),
        || (vec![[0.0; LANES]; n_dims], Vec::new()),
        |(columns, half_squares), task| {
            // One worker a task: the lock is how the compiler sees that.
            let Ok(mut outputs) = tasks[task].lock() else { return };
            let (codes, errors) = &mut *outputs;
            let n_rows = codes.len() / n_subspaces;
            for subspace in 0..n_subspaces {
                let codebook = Codebook::new(codebooks.of(subspace), n_dims, half_squares);
                for start in (0..n_rows).step_by(LANES) {
                    let rows = start..n_rows.min(start + LANES);
                    for (lane, row) in rows.clone().enumerate() {
                        let part = x.part(task * TASK_ROWS + row, subspace, n_dims);
                        columns.iter_mut().zip(part).for_each(|(column, value)| column[lane] = *value);
                    }
                    let mut found = Nearest { distances: [f32::INFINITY; LANES], indices: [0; LANES] };
                    super::nearest(level, columns, codebook, &mut found);
                    for (lane, row) in rows.enumerate() {
                        codes[row * n_subspaces + subspace] = found.indices[lane] as u8;
                        if let Some(errors) = errors {
                            errors[row * n_subspaces + subspace] = found.distances[lane];
                        }
                    }
                }
            }
        },
    )?;
    Ok(())
}

/// Adds up, for each codeword, the parts of the rows that have it as their code, in float64 and in the order of rows; and
/// counts them.
///
/// # Errors
/// If the outputs do not have `n_subspaces * n_codewords * n_dims` sums and `n_subspaces * n_codewords` counts, codes and
/// vectors do not go together, a code names no codeword, or the call was interrupted.
pub fn add_up(
    x: Vectors<'_>,
    codes: Codes<'_>,
    parallel: &Parallel<'_>,
    sums: &mut [f64],
    counts: &mut [i64],
) -> Result<(), Error> {
    let n_subspaces = codes.n_bytes();
    let n_codewords = counts.len() / n_subspaces;
    check_codewords("counts", n_codewords)?;
    let n_dims = x.n_dims / n_subspaces;
    if n_dims * n_subspaces != x.n_dims || codes.n_rows() != x.n_rows {
        return Err(Error::DimensionsDiffer { name: "x", given: x.n_dims, expected: n_dims * n_subspaces });
    }
    for (given, expected) in [
        (counts.len(), n_subspaces * n_codewords),
        (sums.len(), n_subspaces.saturating_mul(n_codewords).saturating_mul(n_dims)),
    ] {
        if given != expected {
            return Err(Error::OutputLength { given, expected });
        }
    }
    // So many subspaces at a time that the values of a row fill a cache line.
    let together = (LANES / n_dims.max(1)).max(1);
    let tasks: Vec<_> = sums
        .chunks_mut((together * n_codewords * n_dims).max(1))
        .zip(counts.chunks_mut(together * n_codewords))
        .map(Mutex::new)
        .collect();
    let parallel = &parallel.for_words(x.values.len() / 8);
    let found = parallel.run(
        tasks.len(),
        || None,
        |error, task| {
            let Ok(mut outputs) = tasks[task].lock() else { return };
            let (sums, counts) = &mut *outputs;
            sums.fill(0.0);
            counts.fill(0);
            for row in 0..x.n_rows {
                let first = task * together;
                let row_codes = &codes.row(row)[first..n_subspaces.min(first + together)];
                for (place, code) in row_codes.iter().enumerate() {
                    if *code as usize >= n_codewords {
                        *error = error.or(Some((row, *code)));
                        continue;
                    }
                    let index = place * n_codewords + *code as usize;
                    counts[index] += 1;
                    let sums = &mut sums[index * n_dims..][..n_dims];
                    for (sum, value) in sums.iter_mut().zip(x.part(row, first + place, n_dims)) {
                        *sum += f64::from(*value);
                    }
                }
            }
        },
    )?;
    match found.into_iter().flatten().min() {
        Some((row, code)) => Err(Error::CodeOutOfRange { code, row, n_codewords }),
        None => Ok(()),
    }
}
