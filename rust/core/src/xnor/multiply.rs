//! Products of packed bits: scans each tile of the right-hand side against the rows of a task.
//!
//! With planes `A_p` of weight `w_p` and an offset `a0` (a number is `a0 + sum_p w_p A_p`), likewise `B_q`, `v_q` and `b0`, and
//! `A_p . B_q = (|A_p| + |B_q| - d_pq) / 2`, twice the dot product of two rows of `n` numbers is
//!
//! ```text
//!   - sum_pq w_p v_q d_pq                                    from the popcount kernels
//!   + sum_p w_p |A_p| (2 b0 + sum_q v_q)                     one number per row
//!   + sum_q v_q |B_q| (2 a0 + sum_p w_p) + 2 a0 b0 n         one number per column
//! ```
//!
//! It fits an int32 and is computed modulo 2^32.

use std::ops::Range;

use super::layout::COLUMNS_PER_BLOCK;
use super::operand::{Matrix, Operand, Values, check_range};
use super::output::{Finish, Output, RowOut, RowsOut};
use super::pieces::{Cut, LeftRows, Piece, ROWS_PER_TASK};
use super::{subtract, to_dots};
use crate::error::{try_collect, try_resize, try_vec};
use crate::popcount::tile::{QUERIES_PER_GROUP, QueryGroups};
use crate::{Codes, Error, Level, Run, bits, popcount};

/// The largest number of words of columns that a task compares.
const WORDS_PER_TASK: usize = 1 << 21;

/// A left-hand side of packed bits.
pub(super) trait LeftBits: LeftRows {
    /// What the bits stand for, and the number of planes.
    fn values(&self) -> (Values, usize);
}

impl LeftRows for Operand<'_> {
    fn n_rows(&self) -> usize {
        self.n_rows()
    }

    fn gather(&self, rows: Range<usize>, bytes: &mut Vec<u8>) {
        for row in rows {
            self.planes().iter().for_each(|plane| bytes.extend_from_slice(plane.row(row)));
        }
    }
}

impl LeftBits for Operand<'_> {
    fn values(&self) -> (Values, usize) {
        (self.values(), self.planes().len())
    }
}

/// Multiplies the rows of `a` by the rows of a matrix: `out[i, j] = sum_c a[i, c] * matrix[j, c]`, exactly.
///
/// # Errors
/// [`Error::Mismatch`] if the rows differ in length, [`Error::Incompatible`] if sums can overflow int32,
/// [`Error::Length`] if the output does not fit, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn matmul(a: &Operand<'_>, matrix: &Matrix, output: Output<'_>, run: &Run<'_>) -> Result<(), Error> {
    if a.n_features() != matrix.n_features {
        return Err(Error::Mismatch {
            unit: "bits per row",
            first: ("a", a.n_features()),
            second: ("b", matrix.n_features),
            hint: "the rows of both must have the same length",
        });
    }
    let (finish, mut rows) = output.into_rows(a.n_rows(), matrix.n_rows)?;
    multiply(a, matrix, finish, |n_rows| Ok(vec![rows.take_rows(n_rows)]), run)
}

/// What all tasks of a product share.
struct BitProduct<'a, L> {
    left: &'a L,
    matrix: &'a Matrix,
    finish: Finish<'a>,
    /// The value of a one in each plane.
    left_weights: Vec<i32>,
    weights: Vec<i32>,
    /// The factor of the ones of a row: `2 b0 + sum_q v_q`.
    row_factor: i32,
    /// The terms of twice the dot products that depend on the column alone.
    columns: Vec<i32>,
}

#[derive(Default)]
struct BitTaskScratch {
    bytes: Vec<u8>,
    row_terms: Vec<i32>,
    distances: Vec<i32>,
    /// The sums of each row so far.
    sums: Vec<i32>,
    /// The dot products of one row.
    dots: Vec<i32>,
}

/// The product for any left-hand side; `next_rows(n)` gives the next `n` rows of the results.
pub(super) fn multiply<'o, L: LeftBits>(
    left: &L,
    matrix: &Matrix,
    finish: Finish<'_>,
    next_rows: impl FnMut(usize) -> Result<Vec<RowsOut<'o>>, Error>,
    run: &Run<'_>,
) -> Result<(), Error> {
    let (values, n_planes) = left.values();
    check_range(values.largest(n_planes) * matrix.values.largest(matrix.planes.len()), matrix.n_features)?;
    if left.n_rows() == 0 || matrix.n_rows == 0 {
        return Ok(());
    }
    let (left_weights, weights) = (values.weights(n_planes), matrix.values.weights(matrix.planes.len()));
    let column_factor = left_weights.iter().sum::<i32>() + 2 * values.offset();
    let constant = 2 * values.offset() * matrix.values.offset() * matrix.n_features as i32;
    let mut columns = try_vec(constant, matrix.n_rows)?;
    for (plane, weight) in matrix.planes.iter().zip(&weights) {
        let factor = weight * column_factor;
        for (column, ones) in columns.iter_mut().zip(&plane.ones) {
            *column = column.wrapping_add(factor.wrapping_mul(*ones));
        }
    }
    let row_factor = weights.iter().sum::<i32>() + 2 * matrix.values.offset();
    let product = BitProduct { left, matrix, finish, left_weights, weights, row_factor, columns };

    let words = n_planes * matrix.planes.len() * matrix.n_bytes.div_ceil(8);
    let run = &run.for_words(left.n_rows().saturating_mul(matrix.n_rows).saturating_mul(words));
    product.cut().for_each(next_rows, run, |scratch, piece| product.compute(piece, scratch))
}

impl<L: LeftBits> BitProduct<'_, L> {
    /// Rows whose planes fill groups of the kernels exactly.
    fn block_rows(&self) -> usize {
        match self.left_weights.len() % QUERIES_PER_GROUP {
            0 => 1,
            2 => QUERIES_PER_GROUP / 2,
            _ => QUERIES_PER_GROUP,
        }
    }

    fn cut(&self) -> Cut {
        let matrix = self.matrix;
        Cut {
            n_rows: self.left.n_rows(),
            n_columns: matrix.n_rows,
            rows_per_task: (ROWS_PER_TASK / self.left_weights.len()).next_multiple_of(self.block_rows()),
            columns_per_task: WORDS_PER_TASK / (matrix.planes.len() * matrix.n_bytes.div_ceil(8)),
            undivided_columns: matrix.tile_rows(),
        }
    }

    fn compute(&self, mut piece: Piece<'_>, scratch: &mut BitTaskScratch) -> Result<(), Error> {
        let (matrix, n_planes) = (self.matrix, self.left_weights.len());
        let level = matrix.level;
        let mut out = try_collect(piece.out.drain(..).flat_map(RowsOut::rows))?;
        let mut bytes = std::mem::take(&mut scratch.bytes);
        bytes.clear();
        bytes.try_reserve(piece.rows.len() * n_planes * matrix.n_bytes)?;
        self.left.gather(piece.rows.clone(), &mut bytes);
        let rows = Codes::new(&bytes, piece.rows.len() * n_planes, matrix.n_bytes)?;
        row_terms(level, rows, &self.left_weights, self.row_factor, &mut scratch.row_terms)?;
        try_resize(&mut scratch.distances, self.block_rows() * n_planes * COLUMNS_PER_BLOCK, 0)?;
        try_resize(&mut scratch.sums, self.block_rows() * COLUMNS_PER_BLOCK, 0)?;
        try_resize(&mut scratch.dots, COLUMNS_PER_BLOCK, 0)?;

        let tiled = rows.n_rows() > popcount::few_queries(level) && !matrix.planes[0].tiles.is_empty();
        let all_rows = (0..rows.n_rows()).map(|row| rows.row(row));
        let groups = if tiled { Some(QueryGroups::new(level, rows.n_words(), all_rows)?) } else { None };
        let step = if tiled { matrix.tile_rows() } else { COLUMNS_PER_BLOCK };
        for tile_start in piece.columns.clone().step_by(step) {
            let tile_end = (tile_start + step).min(piece.columns.end);
            for start in (tile_start..tile_end).step_by(COLUMNS_PER_BLOCK) {
                let columns = start..(start + COLUMNS_PER_BLOCK).min(tile_end);
                for first in (0..piece.rows.len()).step_by(self.block_rows()) {
                    let block = first..(first + self.block_rows()).min(piece.rows.len());
                    let planes = block.start * n_planes..block.end * n_planes;
                    for plane in 0..matrix.planes.len() {
                        let distances = &mut scratch.distances;
                        match &groups {
                            Some(groups) => {
                                self.tile_distances(
                                    plane,
                                    groups,
                                    planes.clone(),
                                    columns.clone(),
                                    distances,
                                );
                            }
                            None => {
                                let rows = rows.slice(planes.start, planes.end);
                                self.row_distances(plane, rows, columns.clone(), distances)?;
                            }
                        }
                        self.add_up(plane, &piece, &mut out, block.clone(), columns.clone(), scratch);
                    }
                }
            }
        }
        scratch.bytes = bytes;
        Ok(())
    }

    /// Distances of some rows to some columns of one tile; each row has [`COLUMNS_PER_BLOCK`] elements.
    fn tile_distances(
        &self,
        plane: usize,
        groups: &QueryGroups,
        rows: Range<usize>,
        columns: Range<usize>,
        distances: &mut [i32],
    ) {
        let tile_rows = self.matrix.tile_rows();
        let tile = columns.start / tile_rows;
        let in_tile = columns.start - tile * tile_rows..columns.end - tile * tile_rows;
        let words = self.matrix.planes[plane].tiles[tile].words(in_tile);
        let mut rows_of_distances = distances.chunks_mut(COLUMNS_PER_BLOCK).take(rows.len());
        for group in rows.start / QUERIES_PER_GROUP..rows.end.div_ceil(QUERIES_PER_GROUP) {
            let mut rows = rows_of_distances.by_ref().take(QUERIES_PER_GROUP);
            // The results of missing rows of the last group are not written.
            let out =
                std::array::from_fn(|_| rows.next().map_or(&mut [][..], |row| &mut row[..columns.len()]));
            popcount::distances(self.matrix.level, words, groups.get(group), out);
        }
    }

    /// Distances of rows that are not grouped: there are too few for a group, or they are too long for a tile.
    fn row_distances(
        &self,
        plane: usize,
        rows: Codes<'_>,
        columns: Range<usize>,
        distances: &mut [i32],
    ) -> Result<(), Error> {
        let codes = self.matrix.rows(plane)?.slice(columns.start, columns.end);
        for (row, distances) in distances.chunks_mut(COLUMNS_PER_BLOCK).take(rows.n_rows()).enumerate() {
            popcount::row_distances(self.matrix.level, rows.row(row), codes, &mut distances[..columns.len()]);
        }
        Ok(())
    }

    /// Adds the distances to one plane of the matrix to the sums of some rows, and writes these after the last plane.
    fn add_up(
        &self,
        plane: usize,
        piece: &Piece<'_>,
        out: &mut [RowOut<'_>],
        rows: Range<usize>,
        columns: Range<usize>,
        scratch: &mut BitTaskScratch,
    ) {
        let (level, n_planes) = (self.matrix.level, self.left_weights.len());
        let BitTaskScratch { distances, sums, dots, row_terms, .. } = scratch;
        let in_piece = columns.start - piece.columns.start..columns.end - piece.columns.start;
        let by_row = distances.chunks(n_planes * COLUMNS_PER_BLOCK).zip(sums.chunks_mut(COLUMNS_PER_BLOCK));
        for (row, (distances, sums)) in rows.zip(by_row) {
            let sums = &mut sums[..columns.len()];
            let start = self.left.columns(piece.rows.start + row).unwrap_or(&self.columns);
            let mut so_far = &start[columns.clone()];
            if self.weights.len() * n_planes > 1 {
                if plane == 0 {
                    sums.copy_from_slice(so_far);
                }
                let is_last = plane + 1 == self.weights.len();
                let n_subtracted = n_planes - usize::from(is_last);
                for (distances, weight) in
                    distances.chunks(COLUMNS_PER_BLOCK).zip(&self.left_weights[..n_subtracted])
                {
                    subtract(level, distances, weight * self.weights[plane], sums);
                }
                if !is_last {
                    continue;
                }
                so_far = sums;
            }
            let last = &distances[(n_planes - 1) * COLUMNS_PER_BLOCK..][..columns.len()];
            let factor = self.left_weights[n_planes - 1] * self.weights[plane];
            let finish = self.finish.from(columns.start);
            out[row].write(level, in_piece.clone(), finish, dots, |dots| {
                to_dots(level, last, factor, so_far, row_terms[row], dots);
            });
        }
    }
}

/// Writes the terms of twice the dot products that depend on the row alone.
fn row_terms(
    level: Level,
    planes: Codes<'_>,
    weights: &[i32],
    factor: i32,
    terms: &mut Vec<i32>,
) -> Result<(), Error> {
    terms.clear();
    try_resize(terms, planes.n_rows() / weights.len(), 0)?;
    if factor == 0 {
        return Ok(());
    }
    let mut ones = try_vec(0, planes.n_rows())?;
    bits::popcount(planes, &mut ones, &Run::serial(level))?;
    for (term, ones) in terms.iter_mut().zip(ones.chunks(weights.len())) {
        let sum = ones
            .iter()
            .zip(weights)
            .fold(0_i32, |sum, (ones, weight)| sum.wrapping_add(ones.wrapping_mul(*weight)));
        *term = sum.wrapping_mul(factor);
    }
    Ok(())
}
