//! Rows of symbols in cells of a fixed number of bytes, each decodable alone. Each symbol is coded by the table that is chosen for it, which
//! may depend on the symbols before it: a decoder that knows only the first tables reads the first symbols.
//!
//! ```text
//! cell    a message of the range coder, then zeros
//! ```

use super::range::{Decoder, Encoder};
use super::tables::Tables;
use crate::error::check_len;
use crate::{At, Error, Run};

/// Rows of a task.
const ROWS_PER_TASK: usize = 256;

/// Checks that there are columns, and that the tables of rows exist.
///
/// # Errors
/// [`Error::Range`], [`Error::Value`] for a table that does not.
pub(super) fn check_which(which: &[u8], n_columns: usize, tables: &Tables) -> Result<(), Error> {
    if n_columns == 0 {
        return Err(Error::Range { name: "which", unit: "columns", given: 0, low: 1, high: usize::MAX });
    }
    match which.iter().position(|table| usize::from(*table) >= tables.n_tables()) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            name: "which",
            value: which[index].to_string(),
            at: At::Cell(index / n_columns, index % n_columns),
            expected: format!("numbers of tables below {}", tables.n_tables()),
        }),
    }
}

/// Checks that cells have bytes.
pub(super) fn check_n_bytes(n_bytes: usize) -> Result<(), Error> {
    match n_bytes {
        0 => Err(Error::Range { name: "n_bytes", unit: "", given: 0, low: 1, high: usize::MAX }),
        _ => Ok(()),
    }
}

/// Appends the message of a row. An error is the column of a symbol that its table does not have, or `None` if there is no memory.
pub(super) fn write(
    symbols: &[u8],
    which: &[u8],
    tables: &Tables,
    bytes: &mut Vec<u8>,
) -> Result<(), Option<usize>> {
    let mut encoder = Encoder::new(bytes);
    for (column, (symbol, table)) in symbols.iter().zip(which).enumerate() {
        let part = tables.part(*table, *symbol);
        if part.size == 0 {
            return Err(Some(column));
        }
        encoder.part(part).map_err(|_| None)?;
    }
    encoder.finish().map_err(|_| None)
}

/// Writes rows of `n_columns` symbols to the cells of `out`, and the bytes that the message of each row takes to `lens`. A cell is zeros if
/// its message takes more than `n_bytes`.
///
/// # Errors
/// [`Error::Length`] if arguments do not have the same rows, [`Error::Value`] for a table that does not exist or a symbol that its table
/// does not have, [`Error::OutOfMemory`], [`Error::Interrupted`].
#[allow(clippy::too_many_arguments)]
pub fn encode(
    symbols: &[u8],
    which: &[u8],
    n_columns: usize,
    tables: &Tables,
    n_bytes: usize,
    out: &mut [u8],
    lens: &mut [i64],
    run: &Run<'_>,
) -> Result<(), Error> {
    check_len("which", "elements", which.len(), symbols.len())?;
    check_len("symbols", "elements", symbols.len(), lens.len().saturating_mul(n_columns))?;
    check_len("out", "bytes", out.len(), lens.len().saturating_mul(n_bytes))?;
    check_which(which, n_columns, tables)?;
    check_n_bytes(n_bytes)?;
    let parts =
        out.chunks_mut(ROWS_PER_TASK.saturating_mul(n_bytes)).zip(lens.chunks_mut(ROWS_PER_TASK)).enumerate();
    run.for_each_part(
        parts,
        || Ok(Vec::new()),
        |bytes, _, (task, (cells, lens))| {
            for (index, (cell, len)) in cells.chunks_exact_mut(n_bytes).zip(lens).enumerate() {
                let row = task * ROWS_PER_TASK + index;
                let columns = row * n_columns..(row + 1) * n_columns;
                bytes.clear();
                write(&symbols[columns.clone()], &which[columns.clone()], tables, bytes).map_err(
                    |column| match column {
                        None => Error::OutOfMemory,
                        Some(column) => Error::Value {
                            name: "symbols",
                            value: symbols[columns.start + column].to_string(),
                            at: At::Cell(row, column),
                            expected: "symbols that have a frequency in their table".to_owned(),
                        },
                    },
                )?;
                *len = bytes.len() as i64;
                cell.fill(0);
                if let Some(start) = cell.get_mut(..bytes.len()) {
                    start.copy_from_slice(bytes);
                }
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// Reads the first `n_columns` symbols of cells, and says of each cell whether a message ends there: whether it has no other symbols and was
/// not altered.
///
/// # Errors
/// [`Error::Length`] if arguments do not have the same rows, [`Error::Value`] for a table that does not exist, [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
#[allow(clippy::too_many_arguments)]
pub fn decode(
    cells: &[u8],
    n_bytes: usize,
    which: &[u8],
    n_columns: usize,
    tables: &Tables,
    out: &mut [u8],
    is_whole: &mut [bool],
    run: &Run<'_>,
) -> Result<(), Error> {
    check_len("codes", "bytes", cells.len(), is_whole.len().saturating_mul(n_bytes))?;
    check_len("which", "elements", which.len(), is_whole.len().saturating_mul(n_columns))?;
    check_len("out", "elements", out.len(), which.len())?;
    check_which(which, n_columns, tables)?;
    check_n_bytes(n_bytes)?;
    let parts = out.chunks_mut(ROWS_PER_TASK * n_columns).zip(is_whole.chunks_mut(ROWS_PER_TASK)).enumerate();
    run.for_each_part(
        parts,
        || Ok(()),
        |(), _, (task, (out, is_whole))| {
            for (index, (out, is_whole)) in out.chunks_exact_mut(n_columns).zip(is_whole).enumerate() {
                let row = task * ROWS_PER_TASK + index;
                let mut decoder = Decoder::new(&cells[row * n_bytes..(row + 1) * n_bytes]);
                for (symbol, table) in out.iter_mut().zip(&which[row * n_columns..]) {
                    let part;
                    (*symbol, part) = tables.symbol_at(*table, decoder.piece());
                    decoder.consume(part);
                }
                *is_whole = decoder.is_complete_cell();
            }
            Ok(())
        },
    )?;
    Ok(())
}
