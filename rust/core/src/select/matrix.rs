//! Matrices of all distances, cut into pieces that threads fill.

use std::ops::Range;

use crate::codes::check_same_bytes;
use crate::error::{check_len, try_collect, try_push};
use crate::{Codes, Error, Run};

/// Rows of `a` in a piece: enough that transposing `b` costs little.
const PIECE_ROWS: usize = 64;

/// Rows of `b` in a piece, at least and at most.
const MIN_COLUMNS: usize = 16;
const MAX_COLUMNS: usize = 1 << 18;

/// Bytes that a piece compares at most, so that an interrupted call ends soon: some tenths of a second at any level.
const PIECE_BYTES: usize = 1 << 30;

/// Calls `write` for pieces that cover all pairs of rows of `a` and `b`: with the row ranges of both, and the rows of the
/// output that belong to them.
pub(crate) fn write_pieces<D: Send>(
    a: Codes<'_>,
    b: Codes<'_>,
    out: &mut [D],
    run: &Run<'_>,
    write: impl Fn(Range<usize>, Range<usize>, &mut [&mut [D]]) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    check_same_bytes(("a", a), ("b", b))?;
    let expected = a.n_rows().saturating_mul(b.n_rows());
    check_len("out", "elements", out.len(), expected)?;
    if expected == 0 {
        return Ok(());
    }
    let run = run.for_words(expected.saturating_mul(a.n_words()));
    let rows = (PIECE_BYTES / MIN_COLUMNS / b.n_bytes()).clamp(1, PIECE_ROWS);
    // A few pieces for each thread: fewer rows of `a` mean more pieces of `b`.
    let wanted = (4 * run.threads()).div_ceil(a.n_rows().div_ceil(rows));
    let columns = b.n_rows().div_ceil(wanted).next_multiple_of(MIN_COLUMNS).max(1024);
    let columns = columns.min((PIECE_BYTES / rows / b.n_bytes()).clamp(MIN_COLUMNS, MAX_COLUMNS));

    let mut pieces = Vec::new();
    for (row_piece, out) in out.chunks_mut(rows * b.n_rows()).enumerate() {
        let first_row = row_piece * rows;
        let mut out_rows = try_collect(out.chunks_mut(b.n_rows()).map(|row| row.chunks_mut(columns)))?;
        for first_column in (0..b.n_rows()).step_by(columns) {
            let out = try_collect(out_rows.iter_mut().filter_map(Iterator::next))?;
            let columns = first_column..(first_column + columns).min(b.n_rows());
            try_push(&mut pieces, (first_row..first_row + out.len(), columns, out))?;
        }
    }
    let new_state = || Ok(());
    run.for_each_part(pieces, new_state, |(), _, (rows, columns, mut out)| write(rows, columns, &mut out))?;
    Ok(())
}
