//! Slots of signatures: packed to their lowest bits, and how many differ.
//!
//! `b`-bit MinHash (Li and König, 2010) keeps the lowest `b` bits of each slot. The bits are stored in planes, so that slots are
//! compared 64 at a time for any `b`, and rows with one bit per slot are codes of the Hamming family:
//!
//! ```text
//! k = 12 slots, b = 2      | plane 0: lowest bits  | plane 1: second bits  |
//! bytes of a row           | 01234567 | 89AB....   | 01234567 | 89AB....   |   slot 0 is the highest bit
//! differing                popcount((a0 ^ b0) | (a1 ^ b1))
//! ```

use super::{LANES, differing};
use crate::codes::check_same_bytes;
use crate::error::{check_len, try_vec};
use crate::select::matrix::write_pieces;
use crate::{Codes, Error, Run};

/// Rows of `b` that are compared with all rows of a block of `a` while they are in the first-level cache have about this many bytes.
const BYTES_PER_TILE: usize = 1 << 14;

/// Signatures that a task packs.
const ROWS_PER_TASK: usize = 1024;

/// Pairs that a task compares.
const PAIRS_PER_TASK: usize = 1 << 14;

/// How the slots of a row are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// 32 bits each.
    Words,
    /// This many bits each, in planes.
    Bits(usize),
}

impl Slots {
    /// The largest number of bits of a packed slot.
    pub const MAX_BITS: usize = 16;

    /// Checks that rows consist of whole slots.
    fn check(self, name: &'static str, rows: Codes<'_>) -> Result<(), Error> {
        let unit = match self {
            Slots::Words => 4,
            Slots::Bits(n_bits) => check_bits(n_bits)?,
        };
        if rows.n_bytes().is_multiple_of(unit) {
            return Ok(());
        }
        let (n_bytes, parts) = (rows.n_bytes(), if self == Slots::Words { "bytes" } else { "planes" });
        let problem = format!(
            "{name} has {n_bytes} bytes per row; expected a multiple of {unit}, the {parts} of a slot"
        );
        Err(Error::Incompatible { problem })
    }
}

fn check_bits(n_bits: usize) -> Result<usize, Error> {
    match n_bits {
        1..=Slots::MAX_BITS => Ok(n_bits),
        _ => Err(Error::Range { name: "n_bits", unit: "", given: n_bits, low: 1, high: Slots::MAX_BITS }),
    }
}

/// The bytes of a row of packed slots.
///
/// # Errors
/// [`Error::Range`] if `n_bits` is not from 1 to [`Slots::MAX_BITS`].
pub fn packed_bytes(n_hashes: usize, n_bits: usize) -> Result<usize, Error> {
    Ok(check_bits(n_bits)? * n_hashes.div_ceil(8))
}

/// Writes the lowest `n_bits` of each slot: `packed_bytes(n_hashes, n_bits)` for each row of `signatures`.
///
/// # Errors
/// [`Error::Range`] for a wrong `n_bits`, [`Error::Length`] for the wrong length of `out`, [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn pack(
    signatures: &[u32],
    n_hashes: usize,
    n_bits: usize,
    out: &mut [u8],
    run: &Run<'_>,
) -> Result<(), Error> {
    let n_bytes = packed_bytes(n_hashes, n_bits)?;
    let n_rows = signatures.len() / n_hashes.max(1);
    check_len("out", "bytes", out.len(), n_rows * n_bytes)?;
    if out.is_empty() {
        return Ok(());
    }
    run.for_each_chunk(out, ROWS_PER_TASK * n_bytes, |task, out| {
        let rows = signatures[task * ROWS_PER_TASK * n_hashes..].chunks_exact(n_hashes);
        for (row, out) in rows.zip(out.chunks_exact_mut(n_bytes)) {
            for (plane, out) in out.chunks_exact_mut(n_bytes / n_bits).enumerate() {
                for (slots, byte) in row.chunks(8).zip(out) {
                    let bits = slots.iter().fold(0, |bits, slot| bits << 1 | (slot >> plane & 1) as u8);
                    *byte = bits << (8 - slots.len());
                }
            }
        }
        Ok(())
    })
}

/// Writes the number of slots in which rows differ: row `i` of `out` compares row `i` of `a` with all rows of `b`.
///
/// # Errors
/// [`Error::Range`] for a wrong number of bits, [`Error::Incompatible`] if rows do not consist of whole slots, [`Error::Mismatch`] if
/// the rows of `a` and `b` differ in bytes, [`Error::Length`] if `out` does not have one element per pair, [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn cdist(a: Codes<'_>, b: Codes<'_>, slots: Slots, out: &mut [i32], run: &Run<'_>) -> Result<(), Error> {
    slots.check("a", a)?;
    slots.check("b", b)?;
    let level = run.level();
    write_pieces(a, b, out, run, |rows, columns, out| {
        let rows_per_tile = (BYTES_PER_TILE / b.n_bytes()).max(1);
        for start in columns.clone().step_by(rows_per_tile) {
            let tile = start..(start + rows_per_tile).min(columns.end);
            for (row, out) in rows.clone().zip(out.iter_mut()) {
                let out = &mut out[tile.start - columns.start..tile.end - columns.start];
                differing(level, slots, tile.clone().map(|column| (a.row(row), b.row(column))), out);
            }
        }
        Ok(())
    })
}

/// Writes the number of slots in which row `i[p]` of `a` and row `j[p]` of `b` differ, for each pair `p`.
///
/// # Errors
/// The same as [`cdist`]; [`Error::Row`] if an index is not a row, [`Error::Mismatch`] if the lengths of `i` and `j` differ,
/// [`Error::OutOfMemory`].
pub fn paired(
    a: Codes<'_>,
    b: Codes<'_>,
    i: &[i64],
    j: &[i64],
    slots: Slots,
    out: &mut [i32],
    run: &Run<'_>,
) -> Result<(), Error> {
    slots.check("a", a)?;
    slots.check("b", b)?;
    check_same_bytes(("a", a), ("b", b))?;
    let (level, pairs) = (run.level(), pairs_of(i, j, a.n_rows(), b.n_rows(), out.len())?);
    run.for_each_chunk(out, PAIRS_PER_TASK, |task, out| {
        let pairs = &pairs[task * PAIRS_PER_TASK..][..out.len()];
        differing(level, slots, pairs.iter().map(|&(i, j)| (a.row(i), b.row(j))), out);
        Ok(())
    })
}

/// The pairs that two arrays of rows name, checked.
pub(super) fn pairs_of(
    i: &[i64],
    j: &[i64],
    n_a: usize,
    n_b: usize,
    n_out: usize,
) -> Result<Vec<(usize, usize)>, Error> {
    if i.len() != j.len() {
        let hint = "expected two for each pair";
        return Err(Error::Mismatch { unit: "rows", first: ("i", i.len()), second: ("j", j.len()), hint });
    }
    check_len("out", "elements", n_out, i.len())?;
    let row = |name: &'static str, row: i64, n_rows: usize| match usize::try_from(row) {
        Ok(index) if index < n_rows => Ok(index),
        _ => Err(Error::Row { name, row, n_rows }),
    };
    let mut pairs = try_vec((0, 0), i.len())?;
    for (pair, (&i, &j)) in pairs.iter_mut().zip(i.iter().zip(j)) {
        *pair = (row("i", i, n_a)?, row("j", j, n_b)?);
    }
    Ok(pairs)
}

/// The number of slots of 32 bits in which two signatures agree.
#[inline]
pub(super) fn agreeing(a: &[u32], b: &[u32]) -> usize {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let equal = |a: &[u32], b: &[u32]| a.iter().zip(b).map(|(a, b)| u32::from(a == b)).sum::<u32>();
    let blocks: u32 = a.iter().zip(b).map(|(a, b)| equal(a, b)).sum();
    (blocks + equal(a_rest, b_rest)) as usize
}
