//! From queries to look-up tables: how far the parts of a vector are from the codewords.
//!
//! A distance is `sum_j (x_j - c_j)^2` in float32 over j = 0, 1, ...; products and sums are rounded one by one, so that every
//! level and every compiler gives the same. Sixteen codewords stand side by side, a lane each, and no sum crosses lanes.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::{check_finite, check_len, first_bad, try_vec};
use crate::{At, Error, Run};

/// Queries of a task: enough that transposing the codebooks costs little compared with the tables.
const QUERIES_PER_TASK: usize = 16;

/// Fewer queries are compared with codewords that are not transposed.
const QUERIES_WORTH_TRANSPOSING: usize = 3;

/// How near a codeword is to a part of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableMetric {
    /// The squared Euclidean distance.
    L2,
    /// The negative inner product: smaller is nearer, as with distances.
    Ip,
}

/// The look-up tables of some queries: `values[query][subspace][codeword]`.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    values: &'a [f32],
    n_queries: usize,
    n_subspaces: usize,
    n_codewords: usize,
}

impl<'a> Tables<'a> {
    /// Tables of up to 256 codewords.
    ///
    /// # Errors
    /// [`Error::Range`] without subspaces, without codewords or with too many of them, [`Error::Length`] if `values` do not
    /// have the shape, [`Error::NotFinite`] if one of them is NaN or infinite.
    pub fn new(
        values: &'a [f32],
        n_queries: usize,
        n_subspaces: usize,
        n_codewords: usize,
    ) -> Result<Self, Error> {
        check_axis("tables", "codewords", n_codewords, 256)?;
        check_axis("tables", "subspaces", n_subspaces, usize::MAX)?;
        check_shape("tables", values, &[n_queries, n_subspaces, n_codewords])?;
        check_finite("tables", values)?;
        Ok(Tables { values, n_queries, n_subspaces, n_codewords })
    }

    /// Number of queries.
    pub fn n_queries(&self) -> usize {
        self.n_queries
    }

    /// Subspaces of each query.
    pub fn n_subspaces(&self) -> usize {
        self.n_subspaces
    }

    /// Codewords of each subspace.
    pub fn n_codewords(&self) -> usize {
        self.n_codewords
    }

    /// Tables of `N` entries, one after the other; entries without a codeword are infinite.
    pub(crate) fn padded<const N: usize>(&self) -> Result<Cow<'a, [[f32; N]]>, Error> {
        if self.n_codewords == N {
            return Ok(Cow::Borrowed(self.values.as_chunks().0));
        }
        let mut padded = try_vec([f32::INFINITY; N], self.n_queries * self.n_subspaces)?;
        for (padded, table) in padded.iter_mut().zip(self.values.chunks_exact(self.n_codewords)) {
            padded[..self.n_codewords].copy_from_slice(table);
        }
        Ok(Cow::Owned(padded))
    }
}

/// Checks that an axis has at least one element and at most `high`.
fn check_axis(name: &'static str, unit: &'static str, given: usize, high: usize) -> Result<(), Error> {
    if (1..=high).contains(&given) { Ok(()) } else { Err(Error::Range { name, unit, given, low: 1, high }) }
}

fn check_shape(name: &'static str, values: &[f32], shape: &[usize]) -> Result<(), Error> {
    let expected = shape.iter().fold(1_usize, |product, n| product.saturating_mul(*n));
    check_len(name, "elements", values.len(), expected)
}

/// Vectors: `values[row][dimension]`. Whoever reads them checks that they are finite.
#[derive(Clone, Copy, Debug)]
pub struct Vectors<'a> {
    name: &'static str,
    values: &'a [f32],
    n_rows: usize,
    n_dims: usize,
}

impl<'a> Vectors<'a> {
    /// Rows of `n_dims` values; `name` is what errors call them.
    ///
    /// # Errors
    /// [`Error::Length`] if `values` do not have the shape.
    pub fn new(name: &'static str, values: &'a [f32], n_rows: usize, n_dims: usize) -> Result<Self, Error> {
        check_shape(name, values, &[n_rows, n_dims])?;
        Ok(Vectors { name, values, n_rows, n_dims })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Values of a row.
    pub fn n_dims(&self) -> usize {
        self.n_dims
    }

    /// The values of a row for a subspace of `n_dims` dimensions.
    pub(crate) fn part(&self, row: usize, subspace: usize, n_dims: usize) -> &'a [f32] {
        &self.values[row * self.n_dims + subspace * n_dims..][..n_dims]
    }

    /// Checks that the values of some rows are finite.
    ///
    /// # Errors
    /// [`Error::Value`] with the row and the column of the first that is not.
    pub(crate) fn check_finite(&self, rows: Range<usize>) -> Result<(), Error> {
        let first = rows.start * self.n_dims;
        match first_bad(&self.values[first..rows.end * self.n_dims], |value| !value.is_finite()) {
            None => Ok(()),
            Some((index, value)) => {
                let (row, column) = ((first + index) / self.n_dims, (first + index) % self.n_dims);
                let (value, expected) = (value.to_string(), "finite numbers".to_owned());
                Err(Error::Value { name: self.name, value, at: At::Cell(row, column), expected })
            }
        }
    }
}

/// Codebooks: `values[subspace][codeword][dimension]`, checked once.
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
    /// [`Error::Range`] without subspaces, dimensions or codewords, or with too many codewords, [`Error::Length`] if `values`
    /// do not have the shape, [`Error::NotFinite`] if one of them is NaN or infinite.
    pub fn new(
        values: &'a [f32],
        n_subspaces: usize,
        n_codewords: usize,
        n_dims: usize,
    ) -> Result<Self, Error> {
        check_axis("codebooks", "codewords", n_codewords, 256)?;
        check_axis("codebooks", "subspaces", n_subspaces, usize::MAX)?;
        check_axis("codebooks", "dimensions", n_dims, usize::MAX)?;
        check_shape("codebooks", values, &[n_subspaces, n_codewords, n_dims])?;
        check_finite("codebooks", values)?;
        Ok(Codebooks { values, n_subspaces, n_codewords, n_dims })
    }

    /// Number of subspaces.
    pub fn n_subspaces(&self) -> usize {
        self.n_subspaces
    }

    /// Codewords of each subspace.
    pub fn n_codewords(&self) -> usize {
        self.n_codewords
    }

    /// Dimensions of each subspace.
    pub fn n_dims(&self) -> usize {
        self.n_dims
    }

    /// The codewords of a subspace, one after the other.
    pub(super) fn of(&self, subspace: usize) -> &'a [f32] {
        let len = self.n_codewords * self.n_dims;
        &self.values[subspace * len..][..len]
    }

    /// The coordinates of all codewords of all subspaces.
    pub(crate) fn codewords(&self) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.n_dims)
    }

    pub(super) fn check_dims(&self, vectors: Vectors<'_>) -> Result<(), Error> {
        let expected = self.n_subspaces.saturating_mul(self.n_dims);
        if vectors.n_dims == expected {
            return Ok(());
        }
        let (first, second) = ((vectors.name, vectors.n_dims), ("codebooks", expected));
        let hint = "were the codebooks trained on such vectors?";
        Err(Error::Mismatch { unit: "dimensions", first, second, hint })
    }
}

/// Writes the tables of each query: how near each codeword is to the query's part.
///
/// # Errors
/// [`Error::Mismatch`] if queries and codebooks differ in dimensions, [`Error::Value`] if a query is not finite,
/// [`Error::Length`] if `out` does not have an element per query, subspace and codeword, [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn tables(
    queries: Vectors<'_>,
    codebooks: Codebooks<'_>,
    metric: TableMetric,
    out: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    codebooks.check_dims(queries)?;
    let Codebooks { n_subspaces, n_codewords, n_dims, .. } = codebooks;
    check_shape("out", out, &[queries.n_rows, n_subspaces, n_codewords])?;
    queries.check_finite(0..queries.n_rows)?;
    if out.is_empty() {
        return Ok(());
    }
    let (run, level) = (run.for_words(out.len().saturating_mul(n_dims) / 8), run.level());
    let tables_len = n_subspaces * n_codewords;
    if queries.n_rows < QUERIES_WORTH_TRANSPOSING {
        return run.for_each_chunk(out, n_codewords, |table, out| {
            let (query, subspace) = (table / n_subspaces, table % n_subspaces);
            let part = queries.part(query, subspace, n_dims);
            super::table_as_is(level, part, codebooks.of(subspace), metric, out);
            Ok(())
        });
    }
    run.for_each_chunk(out, QUERIES_PER_TASK * tables_len, |task, out| {
        let mut transposed = try_vec(0.0, n_dims * n_codewords)?;
        for subspace in 0..n_subspaces {
            for (index, codeword) in codebooks.of(subspace).chunks_exact(n_dims).enumerate() {
                for (dim, coordinate) in codeword.iter().enumerate() {
                    transposed[dim * n_codewords + index] = *coordinate;
                }
            }
            let tables = out.chunks_exact_mut(tables_len);
            for (query, table) in (task * QUERIES_PER_TASK..).zip(tables) {
                let part = queries.part(query, subspace, n_dims);
                let table = &mut table[subspace * n_codewords..][..n_codewords];
                super::table(level, part, &transposed, metric, table);
            }
        }
        Ok(())
    })
}
