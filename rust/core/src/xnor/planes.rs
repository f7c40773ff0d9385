//! Small integers as bit planes: what [`super::Operand`] takes.

use std::sync::Mutex;

use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::level::at_level;
use crate::{Codes, Error, Level, Parallel};

/// Integers that are taken apart together.
pub(super) const BLOCK: usize = 64;

/// Integers of a task.
const TASK_VALUES: usize = 1 << 18;

/// Writes the lowest `n_planes` bits of rows of bytes: `out[p, i, c]` has bit `p` of eight integers of row `i`, the first in the
/// highest bit. Padding is zero.
///
/// # Errors
/// [`Error::Planes`] for none or more than eight of them, [`Error::OutputLength`], [`Error::Interrupted`].
pub fn planes(
    level: Level,
    values: Codes<'_>,
    n_planes: usize,
    out: &mut [u8],
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    if !(1..=8).contains(&n_planes) {
        return Err(Error::Planes { name: "values", n_planes, most: 8 });
    }
    let n_bytes = values.n_bytes().div_ceil(8);
    let plane_len = values.n_rows() * n_bytes;
    if out.len() != plane_len * n_planes {
        return Err(Error::OutputLength { given: out.len(), expected: plane_len * n_planes });
    }
    if plane_len == 0 {
        return Ok(());
    }
    let n_rows = (TASK_VALUES / values.n_bytes()).max(1);
    let mut parts: Vec<_> =
        out.chunks_mut(plane_len).map(|plane| plane.chunks_mut(n_rows * n_bytes)).collect();
    let tasks: Vec<_> = (0..values.n_rows().div_ceil(n_rows))
        .map(|_| Mutex::new(parts.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>()))
        .collect();
    parallel.run(
        tasks.len(),
        || (),
        |(), task| {
            // One worker a task: the lock is how the compiler sees that.
            if let Ok(mut out) = tasks[task].lock() {
                let end = values.n_rows().min((task + 1) * n_rows);
                take_apart(level, values.slice(task * n_rows, end), &mut out);
            }
        },
    )?;
    Ok(())
}

fn take_apart(level: Level, values: Codes<'_>, out: &mut [&mut [u8]]) {
    let n_bytes = values.n_bytes().div_ceil(8);
    for row in 0..values.n_rows() {
        for (block, values) in values.row(row).chunks(BLOCK).enumerate() {
            let mut padded = [0; BLOCK];
            let values = values.first_chunk().unwrap_or_else(|| {
                padded[..values.len()].copy_from_slice(values);
                &padded
            });
            let bits = at_level!(level, bit_planes(values));
            let start = row * n_bytes + block * (BLOCK / 8);
            let end = (row * n_bytes + n_bytes).min(start + BLOCK / 8);
            for (out, bits) in out.iter_mut().zip(bits) {
                out[start..end].copy_from_slice(&bits.reverse_bits().to_be_bytes()[..end - start]);
            }
        }
    }
}
