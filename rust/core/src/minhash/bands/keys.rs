//! [`band_keys`]: one number for each band of a signature, by which other programs group candidates.

use super::{check_bands, hash, n_signatures};
use crate::error::check_len;
use crate::{Error, Run};

/// Keys that a task computes, unless one row has more.
const KEYS_PER_TASK: usize = 1 << 14;

/// Writes a key for each band of `n_rows` slots: row `i` of `out` has the `n_bands` keys of signature `i`. Signatures with equal slots
/// in a band have the same key there; others have it by chance, once in `2^64` pairs. Keys are the same on every platform:
///
/// ```text
/// key = 0, then for each slot of the band: key = mix(key ^ slot)        mix: see the module
/// ```
///
/// # Errors
/// [`Error::Incompatible`] if there are no bands, no slots in them, or more slots than a signature has; [`Error::Length`] if `signatures`
/// are not whole rows or `out` does not have one element for each band; [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn band_keys(
    signatures: &[u32],
    n_hashes: usize,
    n_bands: usize,
    n_rows: usize,
    out: &mut [u64],
    run: &Run<'_>,
) -> Result<(), Error> {
    check_bands(n_hashes, n_bands, n_rows)?;
    let n_keys = n_signatures(signatures, n_hashes)?.saturating_mul(n_bands);
    check_len("out", "elements", out.len(), n_keys)?;
    let rows_per_task = KEYS_PER_TASK.div_ceil(n_bands);
    let run = run.for_words(signatures.len());
    run.for_each_chunk(out, rows_per_task * n_bands, |task, out| {
        let rows = signatures[task * rows_per_task * n_hashes..].chunks_exact(n_hashes);
        for (row, keys) in rows.zip(out.chunks_exact_mut(n_bands)) {
            for (slots, key) in row.chunks_exact(n_rows).zip(keys) {
                *key = hash(slots);
            }
        }
        Ok(())
    })
}
