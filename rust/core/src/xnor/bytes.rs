//! Products of bytes and signs: how images, or integers of up to eight bits, enter a network of signs.

use std::ops::Range;

use super::layout::{ByteScratch, COLUMNS_PER_BLOCK, ROWS_PER_GROUP, SignTiles};
use super::operand::{Matrix, check_range};
use super::output::{Finish, Output, RowsOut};
use super::pieces::{Cut, LeftRows, Piece, ROWS_PER_TASK};
use super::{byte_sums, to_dots};
use crate::error::{try_collect, try_resize, try_vec};
use crate::{Codes, Error, Run};

/// Columns that pieces do not divide: a multiple of those that lie side by side in either layout.
const UNDIVIDED_COLUMNS: usize = 64;

/// Bytes of the left-hand side in a task, if these are at least two groups of rows: they stay in the second-level cache.
const BYTES_PER_TASK: usize = 1 << 18;

/// The largest number of products in a task, so that an interrupted call ends soon.
const PRODUCTS_PER_TASK: usize = 1 << 29;

/// The number that a byte of the left-hand side stands for: `offset + scale * byte`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteValues {
    /// The difference between consecutive bytes.
    pub scale: i32,
    /// The number of byte 0.
    pub offset: i32,
}

impl ByteValues {
    /// The largest magnitude; padding of convolutions may be 1.
    fn largest(self) -> usize {
        let last = i64::from(self.offset) + 255 * i64::from(self.scale);
        last.unsigned_abs().max(i64::from(self.offset).unsigned_abs()).max(1) as usize
    }
}

impl LeftRows for Codes<'_> {
    fn n_rows(&self) -> usize {
        self.n_rows()
    }

    fn gather(&self, rows: Range<usize>, bytes: &mut Vec<u8>) {
        rows.for_each(|row| bytes.extend_from_slice(self.row(row)));
    }
}

/// Multiplies rows of bytes by the rows of a matrix of signs: `out[i, j] = sum_c number(a[i, c]) * matrix[j, c]`, exactly.
///
/// # Errors
/// [`Error::Mismatch`] if the rows differ in length, [`Error::Incompatible`] if the matrix is not of signs or sums can
/// overflow int32, [`Error::Length`] if the output does not fit, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn byte_matmul(
    a: Codes<'_>,
    byte_values: ByteValues,
    matrix: &Matrix,
    output: Output<'_>,
    run: &Run<'_>,
) -> Result<(), Error> {
    if a.n_bytes() != matrix.n_features {
        return Err(Error::Mismatch {
            unit: "numbers per row",
            first: ("a", a.n_bytes()),
            second: ("b", matrix.n_features),
            hint: "expected one byte for each sign",
        });
    }
    let (finish, mut rows) = output.into_rows(a.n_rows(), matrix.n_rows)?;
    multiply(&a, byte_values, matrix, finish, |n_rows| Ok(vec![rows.take_rows(n_rows)]), run)
}

/// Twice the dot products of zero bytes with each row of a matrix of signs.
///
/// # Errors
/// [`Error::Incompatible`] if sums can overflow int32, [`Error::OutOfMemory`].
pub(super) fn columns_of_zeros(matrix: &Matrix, byte_values: ByteValues) -> Result<Vec<i32>, Error> {
    check_range(byte_values.largest(), matrix.n_features)?;
    let mut columns = try_vec(0, matrix.n_rows)?;
    for (column, ones) in columns.iter_mut().zip(&matrix.planes[0].ones) {
        *column = 2 * byte_values.offset * (2 * ones - matrix.n_features as i32);
    }
    Ok(columns)
}

/// The product for any left-hand side; `next_rows(n)` gives the next `n` rows of the results.
pub(super) fn multiply<'o, L: LeftRows>(
    left: &L,
    byte_values: ByteValues,
    matrix: &Matrix,
    finish: Finish<'_>,
    next_rows: impl FnMut(usize) -> Result<Vec<RowsOut<'o>>, Error>,
    run: &Run<'_>,
) -> Result<(), Error> {
    let (signs, columns) = (matrix.signs(run)?, columns_of_zeros(matrix, byte_values)?);
    if left.n_rows() == 0 || matrix.n_rows == 0 {
        return Ok(());
    }
    let product = ByteProduct { left, byte_values, matrix, signs, finish, columns };
    // A word of bits takes about as long as sixteen bytes.
    let words = left.n_rows().saturating_mul(matrix.n_rows).saturating_mul(matrix.n_features.div_ceil(16));
    let rows_per_task = (BYTES_PER_TASK / matrix.n_features)
        .next_multiple_of(2 * ROWS_PER_GROUP)
        .clamp(2 * ROWS_PER_GROUP, ROWS_PER_TASK);
    let cut = Cut {
        n_rows: left.n_rows(),
        n_columns: matrix.n_rows,
        rows_per_task,
        columns_per_task: PRODUCTS_PER_TASK / rows_per_task / matrix.n_features,
        undivided_columns: UNDIVIDED_COLUMNS,
    };
    cut.for_each(next_rows, &run.for_words(words), |scratch, piece| product.compute(piece, scratch))
}

/// What all tasks of a product share.
struct ByteProduct<'a, L> {
    left: &'a L,
    byte_values: ByteValues,
    matrix: &'a Matrix,
    signs: &'a SignTiles,
    finish: Finish<'a>,
    /// Twice the dot products of zero bytes, by column.
    columns: Vec<i32>,
}

#[derive(Default)]
struct ByteTaskScratch {
    bytes: Vec<u8>,
    left: ByteScratch,
    dots: Vec<i32>,
}

impl<L: LeftRows> ByteProduct<'_, L> {
    fn compute(&self, piece: Piece<'_>, scratch: &mut ByteTaskScratch) -> Result<(), Error> {
        let ByteTaskScratch { bytes, left, dots } = scratch;
        let level = self.matrix.level;
        let mut out = try_collect(piece.out.into_iter().flat_map(RowsOut::rows))?;
        bytes.clear();
        bytes.try_reserve(piece.rows.len() * self.matrix.n_features)?;
        self.left.gather(piece.rows.clone(), bytes);
        try_resize(dots, COLUMNS_PER_BLOCK, 0)?;
        let rows = Codes::new(bytes, piece.rows.len(), self.matrix.n_features)?;
        let receive = |row: usize, columns: Range<usize>, sums: &[i32]| {
            let zeros = self.left.columns(piece.rows.start + row).unwrap_or(&self.columns);
            let (zeros, finish) = (&zeros[columns.clone()], self.finish.from(columns.start));
            let in_piece = columns.start - piece.columns.start..columns.end - piece.columns.start;
            out[row].write(level, in_piece, finish, dots, |dots| {
                to_dots(level, sums, -2 * self.byte_values.scale, zeros, 0, dots);
            });
        };
        byte_sums(level, rows, self.signs, piece.columns.clone(), left, receive)
    }
}
