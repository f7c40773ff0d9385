//! Splits small integers into bit planes, which [`super::Operand`] takes.

use super::operand::Operand;
use super::split_planes;
use crate::error::check_len;
use crate::{Codes, Error, Run};

/// Integers of a task.
const VALUES_PER_TASK: usize = 1 << 18;

/// Writes the lowest `n_planes` bits of rows of bytes: `out[p, i, c]` has bit `p` of eight integers of row `i`, the first in
/// the highest bit. Padding is zero.
///
/// # Errors
/// [`Error::Range`] for no planes or more than eight, [`Error::Length`] for an output of another length,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn planes(values: Codes<'_>, n_planes: usize, out: &mut [u8], run: &Run<'_>) -> Result<(), Error> {
    if !(1..=Operand::MAX_PLANES).contains(&n_planes) {
        let high = Operand::MAX_PLANES;
        return Err(Error::Range { name: "n_planes", unit: "", given: n_planes, low: 1, high });
    }
    let n_bytes = values.n_bytes().div_ceil(8);
    let plane_len = values.n_rows() * n_bytes;
    check_len("out", "elements", out.len(), plane_len * n_planes)?;
    if plane_len == 0 {
        return Ok(());
    }
    let rows_per_task = (VALUES_PER_TASK / values.n_bytes()).max(1);
    let mut planes: Vec<_> =
        out.chunks_mut(plane_len).map(|plane| plane.chunks_mut(rows_per_task * n_bytes)).collect();
    let n_tasks = values.n_rows().div_ceil(rows_per_task);
    let parts = (0..n_tasks).map(|_| planes.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>());
    let level = run.level();
    run.for_each_part(
        parts,
        || Ok(()),
        |(), task, mut out| {
            let rows = task * rows_per_task..values.n_rows().min((task + 1) * rows_per_task);
            split_planes(level, values.slice(rows.start, rows.end), &mut out);
            Ok(())
        },
    )?;
    Ok(())
}
