//! Messages of one model: how symbols are divided into runs, and what every model's encoder and decoder have in common.
//!
//! ```text
//! fewer than 8192 symbols     one message of the range coder
//! up to 2^20 symbols          one run of 32 lanes
//! more                        l1 ... ln      the bytes of all runs but the last, in 4 bytes each, lowest first
//!                             run 1 ...      of 2^20 symbols each, the last of those that are left
//! ```

use std::ops::Range;

use super::range::{Decoder, Encoder};
use super::rans::LANE_BYTES;
use super::tables::Tables;
use crate::error::{try_collect, try_push, try_vec};
use crate::{Error, Run};

/// Fewer symbols than this are range coded: 32 lanes take 112 bytes more than their symbols, on average.
pub const SHORT: usize = 1 << 13;

/// Symbols of a run.
pub const SYMBOLS_PER_RUN: usize = 1 << 20;

/// Makes what encoders of `n` symbols need, so that threads do not each.
pub(super) fn prepare(n: usize, tables: &[&Tables]) -> Result<(), Error> {
    if n < SHORT { Ok(()) } else { tables.iter().try_for_each(|tables| tables.slots().map(|_| ())) }
}

/// Encodes `n` symbols: `short` writes all of them with the range coder, `run_of` appends a run of some.
pub(super) fn encode(
    n: usize,
    short: impl FnOnce(&mut Encoder<'_>) -> Result<(), Error>,
    run_of: impl Fn(Range<usize>, &mut Vec<u8>) -> Result<(), Error> + Sync,
    run: &Run<'_>,
) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    if n < SHORT {
        let mut encoder = Encoder::new(&mut data);
        short(&mut encoder)?;
        encoder.finish()?;
        return Ok(data);
    }
    let runs = run.map_tasks(
        n.div_ceil(SYMBOLS_PER_RUN),
        || Ok(()),
        |(), index| {
            let mut bytes = Vec::new();
            run_of(index * SYMBOLS_PER_RUN..n.min((index + 1) * SYMBOLS_PER_RUN), &mut bytes)?;
            Ok(bytes)
        },
    )?;
    data.try_reserve_exact(runs.iter().map(|bytes| 4 + bytes.len()).sum())?;
    for bytes in &runs[..runs.len() - 1] {
        data.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    }
    runs.iter().for_each(|bytes| data.extend_from_slice(bytes));
    Ok(data)
}

/// Decodes as many symbols as `out` has. `short` reads all of them with the range coder; `run_of(bytes, first, out)` reads a run that
/// begins with symbol `first`, and returns whether it took all its bytes and ended as an encoder ends it.
pub(super) fn decode<T: Send>(
    data: &[u8],
    out: &mut [T],
    short: impl FnOnce(&mut Decoder<'_>, &mut [T]),
    run_of: impl Fn(&[u8], usize, &mut [T]) -> Result<bool, Error> + Sync,
    run: &Run<'_>,
) -> Result<(), Error> {
    let n = out.len();
    if n < SHORT {
        let mut decoder = Decoder::new(data);
        short(&mut decoder, out);
        return if decoder.is_complete() { Ok(()) } else { Err(damaged(n)) };
    }
    let n_lengths = n.div_ceil(SYMBOLS_PER_RUN) - 1;
    let (lengths, mut rest) = data.split_at_checked(4 * n_lengths).ok_or_else(|| damaged(n))?;
    let mut runs = try_vec(&data[..0], 0)?;
    for length in lengths.as_chunks().0 {
        let bytes;
        (bytes, rest) =
            rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(|| damaged(n))?;
        try_push(&mut runs, bytes)?;
    }
    try_push(&mut runs, rest)?;
    let parts = try_collect(runs.into_iter().zip(out.chunks_mut(SYMBOLS_PER_RUN)))?;
    run.for_each_part(
        parts,
        || Ok(()),
        |(), index, (bytes, out)| match run_of(bytes, index * SYMBOLS_PER_RUN, out)? {
            true => Ok(()),
            false => Err(damaged(n)),
        },
    )?;
    Ok(())
}

/// Checks, before memory is allocated for them, that `n` symbols of at least `least_bits` each fit in `n_bytes` bytes.
///
/// # Errors
/// [`Error::Incompatible`] if they cannot.
pub(super) fn check_n(n: usize, least_bits: f64, n_bytes: usize) -> Result<(), Error> {
    let n_runs = if n < SHORT { 0 } else { n.div_ceil(SYMBOLS_PER_RUN) };
    if are_enough(n_bytes, n, least_bits) && n_runs * LANE_BYTES <= n_bytes {
        Ok(())
    } else {
        Err(damaged(n))
    }
}

/// Whether `n_bytes` bytes can hold `n` symbols or rows of at least `least_bits` each.
pub(super) fn are_enough(n_bytes: usize, n: usize, least_bits: f64) -> bool {
    // Lanes hold some hundred bits, and the code lengths of a coder differ a little from those of its model.
    n as f64 * least_bits <= 16.0 * n_bytes as f64 + 1024.0
}

/// What is wrong with data that no encoder writes.
pub(super) fn damaged(n: usize) -> Error {
    Error::Incompatible {
        problem: format!(
            "data are not the code of {n} symbols of this model: they were cut or altered, or belong to another model or \
             number of symbols"
        ),
    }
}

/// What is wrong with a symbol that a model does not have.
pub(super) fn no_symbol(value: impl ToString, index: usize, expected: String) -> Error {
    Error::Value { name: "symbols", value: value.to_string(), at: crate::At::Element(index), expected }
}
