//! Brings each tile of a prepared right-hand side before the rows of a task.
//!
//! With planes `A_p` of weight `w_p` and an offset `a0` (a number is `a0 + sum_p w_p A_p`), likewise `B_q`, `v_q` and `b0`, and
//! `A_p . B_q = (|A_p| + |B_q| - d_pq) / 2`, twice the dot product of two rows of `n` numbers is
//!
//! ```text
//!   - sum_pq w_p v_q d_pq                                    from the kernels
//!   + sum_p w_p |A_p| (2 b0 + sum_q v_q)                     one number for a row
//!   + sum_q v_q |B_q| (2 a0 + sum_p w_p) + 2 a0 b0 n         one number for a column
//! ```
//!
//! It is computed modulo 2^32, in which it fits.

use std::ops::Range;

use super::operand::{Matrix, Operand, Values, check_range};
use super::output::{Finish, Output, RowOut, RowsOut};
use super::pieces::{COLUMNS, Cut, Piece, Rows, TASK_ROWS};
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::level::at_level;
use crate::popcount::tile::{GROUP, QueryGroups};
use crate::{Codes, Error, Level, Parallel, bits, popcount};

/// Words of columns that a task compares at most.
const TASK_WORDS: usize = 1 << 21;

/// A left-hand side of bits.
pub(super) trait Left: Rows {
    /// What the bits stand for, and how many planes there are.
    fn values(&self) -> (Values, usize);
}

impl Rows for Operand<'_> {
    fn n_rows(&self) -> usize {
        self.n_rows()
    }

    fn gather(&self, rows: Range<usize>, bytes: &mut Vec<u8>) {
        for row in rows {
            self.planes().iter().for_each(|plane| bytes.extend_from_slice(plane.row(row)));
        }
    }
}

impl Left for Operand<'_> {
    fn values(&self) -> (Values, usize) {
        (self.values(), self.planes().len())
    }
}

/// Multiplies the rows of `a` by the rows of a matrix: `out[i, j] = sum_c a[i, c] * matrix[j, c]`, exactly.
///
/// # Errors
/// [`Error::FeaturesDiffer`] if their rows do not have the same length, [`Error::Features`] if the sums may not fit an int32,
/// [`Error::InputLength`] or [`Error::OutputLength`] if the output does not fit them, [`Error::Interrupted`].
pub fn matmul(
    a: &Operand<'_>,
    matrix: &Matrix,
    output: Output<'_>,
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    if a.n_features() != matrix.n_features {
        return Err(Error::FeaturesDiffer { a: a.n_features(), b: matrix.n_features });
    }
    let (finish, mut rows) = output.into_rows(a.n_rows(), matrix.n_rows)?;
    multiply(a, matrix, finish, |n_rows| vec![rows.take_rows(n_rows)], parallel)
}

/// The product as one task needs it.
struct Product<'a, L> {
    left: &'a L,
    matrix: &'a Matrix,
    finish: Finish<'a>,
    /// What a one counts in each plane.
    left_weights: Vec<i32>,
    weights: Vec<i32>,
    /// What the ones of a row count, beyond their part in distances.
    row_factor: i32,
    /// Twice the dot product without distances, by column.
    columns: Vec<i32>,
}

#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
    row_terms: Vec<i32>,
    distances: Vec<i32>,
    /// Of each row, what has been taken in so far; and the dot products of one.
    sums: Vec<i32>,
    dots: Vec<i32>,
}

/// Multiplies, for rows of whatever source; `next_rows` gives so many more rows of the results.
pub(super) fn multiply<'o, L: Left>(
    left: &L,
    matrix: &Matrix,
    finish: Finish<'_>,
    next_rows: impl FnMut(usize) -> Vec<RowsOut<'o>>,
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    let (values, n_planes) = left.values();
    check_range(values.largest(n_planes) * matrix.values.largest(matrix.planes.len()), matrix.n_features)?;
    if left.n_rows() == 0 || matrix.n_rows == 0 {
        return Ok(());
    }
    let (left_weights, weights) = (values.weights(n_planes), matrix.values.weights(matrix.planes.len()));
    let column_factor = left_weights.iter().sum::<i32>() + 2 * values.offset();
    let constant = 2 * values.offset() * matrix.values.offset() * matrix.n_features as i32;
    let mut columns = crate::error::try_vec(constant, matrix.n_rows)?;
    for (plane, weight) in matrix.planes.iter().zip(&weights) {
        let factor = weight * column_factor;
        for (column, ones) in columns.iter_mut().zip(&plane.ones) {
            *column = column.wrapping_add(factor.wrapping_mul(*ones));
        }
    }
    let row_factor = weights.iter().sum::<i32>() + 2 * matrix.values.offset();
    let product = Product { left, matrix, finish, left_weights, weights, row_factor, columns };

    let words = n_planes * matrix.planes.len() * matrix.n_bytes.div_ceil(8);
    let parallel = &parallel.for_words(left.n_rows().saturating_mul(matrix.n_rows).saturating_mul(words));
    product.cut().for_each(next_rows, parallel, |scratch, piece| product.compute(piece, scratch))
}

impl<L: Left> Product<'_, L> {
    /// Rows that fill groups of the kernels exactly.
    fn block_rows(&self) -> usize {
        match self.left_weights.len() % GROUP {
            0 => 1,
            2 => GROUP / 2,
            _ => GROUP,
        }
    }

    fn cut(&self) -> Cut {
        let matrix = self.matrix;
        Cut {
            n_rows: self.left.n_rows(),
            n_columns: matrix.n_rows,
            task_rows: (TASK_ROWS / self.left_weights.len()).next_multiple_of(self.block_rows()),
            task_columns: TASK_WORDS / (matrix.planes.len() * matrix.n_bytes.div_ceil(8)),
            together: matrix.tile_rows(),
        }
    }

    fn compute(&self, piece: &mut Piece<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        let (matrix, n_planes) = (self.matrix, self.left_weights.len());
        let level = matrix.level;
        let mut out: Vec<_> = piece.out.drain(..).flat_map(RowsOut::rows).collect();
        let mut bytes = std::mem::take(&mut scratch.bytes);
        bytes.clear();
        self.left.gather(piece.rows.clone(), &mut bytes);
        let rows = Codes::new(&bytes, piece.rows.len() * n_planes, matrix.n_bytes)?;
        row_terms(level, rows, &self.left_weights, self.row_factor, &mut scratch.row_terms)?;
        scratch.distances.resize(self.block_rows() * n_planes * COLUMNS, 0);
        scratch.sums.resize(self.block_rows() * COLUMNS, 0);
        scratch.dots.resize(COLUMNS, 0);

        let tiled = rows.n_rows() > popcount::few_queries(level) && !matrix.planes[0].tiles.is_empty();
        let groups = tiled
            .then(|| QueryGroups::new(level, rows.n_words(), (0..rows.n_rows()).map(|row| rows.row(row))));
        let step = if tiled { matrix.tile_rows() } else { COLUMNS };
        for tile_start in piece.columns.clone().step_by(step) {
            let tile_end = (tile_start + step).min(piece.columns.end);
            for start in (tile_start..tile_end).step_by(COLUMNS) {
                let columns = start..(start + COLUMNS).min(tile_end);
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
                        self.add_up(plane, piece, &mut out, block.clone(), columns.clone(), scratch);
                    }
                }
            }
        }
        scratch.bytes = bytes;
        Ok(())
    }

    /// Distances of some rows to some columns within a tile; each row has [`COLUMNS`] places.
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
        let mut places = distances.chunks_mut(COLUMNS).take(rows.len());
        for group in rows.start / GROUP..rows.end.div_ceil(GROUP) {
            let mut rows = places.by_ref().take(GROUP);
            // A last group that is not full has nowhere to write what its zeros give.
            let out =
                std::array::from_fn(|_| rows.next().map_or(&mut [][..], |row| &mut row[..columns.len()]));
            popcount::distances(self.matrix.level, words, groups.get(group), out);
        }
    }

    /// The same for rows as they lie: few of them fill no group, and long ones no tile.
    fn row_distances(
        &self,
        plane: usize,
        rows: Codes<'_>,
        columns: Range<usize>,
        distances: &mut [i32],
    ) -> Result<(), Error> {
        let codes = self.matrix.rows(plane)?.slice(columns.start, columns.end);
        for (row, distances) in distances.chunks_mut(COLUMNS).take(rows.n_rows()).enumerate() {
            popcount::row_distances(self.matrix.level, rows.row(row), codes, &mut distances[..columns.len()]);
        }
        Ok(())
    }

    /// Takes the distances to one plane of the matrix into the dot products of some rows; after the last plane these are
    /// written.
    fn add_up(
        &self,
        plane: usize,
        piece: &Piece<'_>,
        out: &mut [RowOut<'_>],
        rows: Range<usize>,
        columns: Range<usize>,
        scratch: &mut Scratch,
    ) {
        let (level, n_planes) = (self.matrix.level, self.left_weights.len());
        let Scratch { distances, sums, dots, row_terms, .. } = scratch;
        let in_piece = columns.start - piece.columns.start..columns.end - piece.columns.start;
        let places = distances.chunks(n_planes * COLUMNS).zip(sums.chunks_mut(COLUMNS));
        for (row, (distances, sums)) in rows.zip(places) {
            let sums = &mut sums[..columns.len()];
            let start = self.left.columns(piece.rows.start + row).unwrap_or(&self.columns);
            let mut so_far = &start[columns.clone()];
            if self.weights.len() * n_planes > 1 {
                if plane == 0 {
                    sums.copy_from_slice(so_far);
                }
                let is_last = plane + 1 == self.weights.len();
                let n_taken = n_planes - usize::from(is_last);
                for (distances, weight) in distances.chunks(COLUMNS).zip(&self.left_weights[..n_taken]) {
                    at_level!(level, subtract(distances, weight * self.weights[plane], sums));
                }
                if !is_last {
                    continue;
                }
                so_far = sums;
            }
            let last = &distances[(n_planes - 1) * COLUMNS..][..columns.len()];
            let factor = self.left_weights[n_planes - 1] * self.weights[plane];
            let finish = self.finish.from(columns.start);
            out[row].write(level, in_piece.clone(), finish, dots, |dots| {
                at_level!(level, to_dots(last, factor, so_far, row_terms[row], dots));
            });
        }
    }
}

/// Writes what the ones of each row count.
fn row_terms(
    level: Level,
    planes: Codes<'_>,
    weights: &[i32],
    factor: i32,
    terms: &mut Vec<i32>,
) -> Result<(), Error> {
    terms.clear();
    terms.resize(planes.n_rows() / weights.len(), 0);
    if factor == 0 {
        return Ok(());
    }
    let mut ones = vec![0; planes.n_rows()];
    bits::popcount(planes, &mut ones, &crate::Run::serial(level))?;
    for (term, ones) in terms.iter_mut().zip(ones.chunks(weights.len())) {
        let sum = ones
            .iter()
            .zip(weights)
            .fold(0_i32, |sum, (ones, weight)| sum.wrapping_add(ones.wrapping_mul(*weight)));
        *term = sum.wrapping_mul(factor);
    }
    Ok(())
}
