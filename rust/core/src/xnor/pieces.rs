//! What the products have in common: rows and columns that a task takes on, and where their results go.

use std::ops::Range;
use std::sync::Mutex;

use super::output::RowsOut;
use crate::{Error, Parallel};

/// Columns whose results are in the cache together.
pub(super) const COLUMNS: usize = 256;

/// Rows of a task; each plane of bits counts as one.
pub(super) const TASK_ROWS: usize = 64;

/// The left-hand side of a product: where its rows come from.
pub(super) trait Rows: Sync {
    /// Rows.
    fn n_rows(&self) -> usize;

    /// Appends the bytes of some rows, all planes of one before the next.
    fn gather(&self, rows: Range<usize>, bytes: &mut Vec<u8>);

    /// What twice the dot products of a row begin with, by column, if it is not the same for all rows.
    fn columns(&self, _row: usize) -> Option<&[i32]> {
        None
    }
}

/// Some rows and columns of a product, and where they go.
pub(super) struct Piece<'a> {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub out: Vec<RowsOut<'a>>,
}

/// How a product is cut up.
pub(super) struct Cut {
    pub n_rows: usize,
    pub n_columns: usize,
    /// Rows of a piece.
    pub task_rows: usize,
    /// Columns of a piece at most, so that an interrupted call ends soon.
    pub task_columns: usize,
    /// Pieces begin with a multiple of so many columns.
    pub together: usize,
}

impl Cut {
    /// The pieces; `next_rows` gives so many more rows of the results.
    fn pieces<'o>(
        &self,
        mut next_rows: impl FnMut(usize) -> Vec<RowsOut<'o>>,
        threads: usize,
    ) -> Result<Vec<Mutex<Piece<'o>>>, Error> {
        // Fewer rows mean more pieces of columns, a few for each thread.
        let row_pieces = self.n_rows.div_ceil(self.task_rows);
        let wanted = if threads > 1 { (4 * threads).div_ceil(row_pieces) } else { 1 };
        let columns = self.n_columns.div_ceil(wanted).min(self.task_columns.max(1));
        let columns = columns.next_multiple_of(self.together);

        let mut pieces = Vec::new();
        pieces.try_reserve_exact(row_pieces.saturating_mul(self.n_columns.div_ceil(columns)))?;
        for first_row in (0..self.n_rows).step_by(self.task_rows) {
            let rows = first_row..(first_row + self.task_rows).min(self.n_rows);
            let out = next_rows(rows.len());
            if columns >= self.n_columns {
                // Rows stay together until their turn comes: there may be very many of them.
                pieces.push(Mutex::new(Piece { rows, columns: 0..self.n_columns, out }));
                continue;
            }
            let mut block: Vec<_> = out.into_iter().flat_map(RowsOut::split).collect();
            for start in (0..self.n_columns).step_by(columns) {
                let columns = start..(start + columns).min(self.n_columns);
                let out = RowsOut::take_columns(&mut block, columns.len());
                pieces.push(Mutex::new(Piece { rows: rows.clone(), columns, out }));
            }
        }
        Ok(pieces)
    }

    /// Computes each piece, by any thread, which has a `T` of its own.
    pub fn for_each<'o, T: Default + Send>(
        &self,
        next_rows: impl FnMut(usize) -> Vec<RowsOut<'o>>,
        parallel: &Parallel<'_>,
        compute: impl Fn(&mut T, &mut Piece<'o>) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let pieces = self.pieces(next_rows, parallel.threads())?;
        let workers =
            parallel.run(pieces.len(), <(T, Option<Error>)>::default, |(scratch, error), piece| {
                // One worker a piece: the lock is how the compiler sees that.
                let Ok(mut piece) = pieces[piece].lock() else { return };
                if let Err(found) = compute(scratch, &mut piece) {
                    error.get_or_insert(found);
                }
            })?;
        workers.into_iter().find_map(|(_, error)| error).map_or(Ok(()), Err)
    }
}
