//! How products are cut into tasks, and where the results of each task go.

use std::ops::Range;

use super::output::RowsOut;
use crate::error::try_collect;
use crate::{Error, Run};

/// Rows of a task; each plane of bits counts as a row.
pub(super) const ROWS_PER_TASK: usize = 64;

/// The left-hand side of a product.
pub(super) trait LeftRows: Sync {
    /// Number of rows.
    fn n_rows(&self) -> usize;

    /// Appends the bytes of some rows, all planes of a row before the next row; there has to be room for them.
    fn gather(&self, rows: Range<usize>, bytes: &mut Vec<u8>);

    /// The initial values of twice the dot products of a row, by column, where they differ between rows.
    fn columns(&self, _row: usize) -> Option<&[i32]> {
        None
    }
}

/// The rows and columns of a task, and where their results go.
pub(super) struct Piece<'a> {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub out: Vec<RowsOut<'a>>,
}

/// How a product is cut into pieces.
pub(super) struct Cut {
    pub n_rows: usize,
    pub n_columns: usize,
    pub rows_per_task: usize,
    /// The largest number of columns of a piece, so that an interrupted call ends soon.
    pub columns_per_task: usize,
    /// Pieces begin at a multiple of this many columns.
    pub undivided_columns: usize,
}

impl Cut {
    /// The pieces; `next_rows(n)` gives the next `n` rows of the results.
    fn pieces<'o>(
        &self,
        mut next_rows: impl FnMut(usize) -> Result<Vec<RowsOut<'o>>, Error>,
        threads: usize,
    ) -> Result<Vec<Piece<'o>>, Error> {
        // Fewer rows mean more pieces of columns, a few for each thread.
        let row_pieces = self.n_rows.div_ceil(self.rows_per_task);
        let wanted = if threads > 1 { (4 * threads).div_ceil(row_pieces) } else { 1 };
        let columns = self.n_columns.div_ceil(wanted).min(self.columns_per_task.max(1));
        let columns = columns.next_multiple_of(self.undivided_columns);

        let mut pieces = Vec::new();
        pieces.try_reserve_exact(row_pieces.saturating_mul(self.n_columns.div_ceil(columns)))?;
        for first_row in (0..self.n_rows).step_by(self.rows_per_task) {
            let rows = first_row..(first_row + self.rows_per_task).min(self.n_rows);
            let out = next_rows(rows.len())?;
            if columns >= self.n_columns {
                // Rows are split by the task that writes them: there may be very many.
                pieces.push(Piece { rows, columns: 0..self.n_columns, out });
                continue;
            }
            let mut block = try_collect(out.into_iter().flat_map(RowsOut::split))?;
            for start in (0..self.n_columns).step_by(columns) {
                let columns = start..(start + columns).min(self.n_columns);
                let out = RowsOut::take_columns(&mut block, columns.len())?;
                pieces.push(Piece { rows: rows.clone(), columns, out });
            }
        }
        Ok(pieces)
    }

    /// Computes each piece; every worker has a `T` of its own.
    pub fn for_each<'o, T: Default + Send>(
        &self,
        next_rows: impl FnMut(usize) -> Result<Vec<RowsOut<'o>>, Error>,
        run: &Run<'_>,
        compute: impl Fn(&mut T, Piece<'o>) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let pieces = self.pieces(next_rows, run.threads())?;
        run.for_each_part(pieces, || Ok(T::default()), |scratch, _, piece| compute(scratch, piece))?;
        Ok(())
    }
}
