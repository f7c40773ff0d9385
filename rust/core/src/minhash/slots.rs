//! Slots of signatures: packed to their lowest bits, and how many differ.
//!
//! `b`-bit MinHash (Li and König, 2010) keeps the lowest `b` bits of each slot. They lie in planes, so that slots are compared 64 at
//! a time whatever `b` is, and with one bit the rows are what the Hamming family searches:
//!
//! ```text
//! k = 12 slots, b = 2      | plane 0: lowest bits  | plane 1: second bits  |
//! bytes of a row           | 01234567 | 89AB....   | 01234567 | 89AB....   |   slot 0 is the highest bit
//! differing                popcount((a0 ^ b0) | (a1 ^ b1))
//! ```

use super::LANES;
use crate::level::at_level;
use crate::select::matrix::write_pieces;
use crate::{Codes, Error, Level, Parallel};

use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// Rows of `b` that are compared while they are in the first-level cache: about so many bytes.
const TILE_BYTES: usize = 1 << 14;

/// Signatures that a task packs.
const TASK_ROWS: usize = 1024;

/// Pairs that a task compares.
const TASK_PAIRS: usize = 1 << 14;

/// What the slots of a row are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// 32 bits each.
    Words,
    /// So many bits each, in planes.
    Bits(usize),
}

impl Slots {
    /// As many bits as packed slots may have.
    pub const MAX_BITS: usize = 16;

    /// Checks that rows have whole slots.
    fn check(self, name: &'static str, rows: Codes<'_>) -> Result<(), Error> {
        let unit = match self {
            Slots::Words => 4,
            Slots::Bits(n_bits) => check_bits(n_bits)?,
        };
        match rows.n_bytes().is_multiple_of(unit) {
            true => Ok(()),
            false => Err(Error::SlotBytes { name, n_bytes: rows.n_bytes(), unit }),
        }
    }

    #[inline]
    fn differing(self, level: Level, a: &[u8], b: &[u8]) -> i32 {
        let differing = match self {
            Slots::Words => at_level!(level, differing_words(a, b)),
            Slots::Bits(n_bits) => at_level!(level, differing_planes(a, b, n_bits)),
        };
        differing as i32
    }
}

fn check_bits(n_bits: usize) -> Result<usize, Error> {
    match n_bits {
        1..=Slots::MAX_BITS => Ok(n_bits),
        _ => Err(Error::SlotBits { n_bits, most: Slots::MAX_BITS }),
    }
}

/// The bytes of a row of packed slots.
///
/// # Errors
/// [`Error::SlotBits`] if there are no bits, or more than [`Slots::MAX_BITS`].
pub fn packed_bytes(n_hashes: usize, n_bits: usize) -> Result<usize, Error> {
    Ok(check_bits(n_bits)? * n_hashes.div_ceil(8))
}

/// Writes the lowest `n_bits` of each slot: `packed_bytes(n_hashes, n_bits)` for each row of `signatures`.
///
/// # Errors
/// If the lengths do not fit each other, or the call was interrupted.
pub fn pack(
    signatures: &[u32],
    n_hashes: usize,
    n_bits: usize,
    parallel: &Parallel<'_>,
    out: &mut [u8],
) -> Result<(), Error> {
    let n_bytes = packed_bytes(n_hashes, n_bits)?;
    let n_rows = signatures.len() / n_hashes.max(1);
    if out.len() != n_rows * n_bytes {
        return Err(Error::OutputLength { given: out.len(), expected: n_rows * n_bytes });
    }
    if out.is_empty() {
        return Ok(());
    }
    parallel.for_each_chunk(out, TASK_ROWS * n_bytes, |task, out| {
        let rows = signatures[task * TASK_ROWS * n_hashes..].chunks_exact(n_hashes);
        for (row, out) in rows.zip(out.chunks_exact_mut(n_bytes)) {
            for (plane, out) in out.chunks_exact_mut(n_bytes / n_bits).enumerate() {
                for (slots, byte) in row.chunks(8).zip(out) {
                    let bits = slots.iter().fold(0, |bits, slot| bits << 1 | (slot >> plane & 1) as u8);
                    *byte = bits << (8 - slots.len());
                }
            }
        }
    })
}

/// Writes in how many slots the rows differ: row `i` of `out` is about row `i` of `a` and all rows of `b`.
///
/// # Errors
/// If the rows differ in bytes or have no whole slots, `out` has not one element for each pair, or the call was interrupted.
pub fn cdist(
    level: Level,
    slots: Slots,
    a: Codes<'_>,
    b: Codes<'_>,
    parallel: &Parallel<'_>,
    out: &mut [i32],
) -> Result<(), Error> {
    slots.check("a", a)?;
    slots.check("b", b)?;
    write_pieces(a, b, out, &parallel.as_run(level), |rows, columns, out| {
        let tile = (TILE_BYTES / b.n_bytes()).max(1);
        for start in columns.clone().step_by(tile) {
            let tile = start..(start + tile).min(columns.end);
            for (row, out) in rows.clone().zip(out.iter_mut()) {
                let out = &mut out[tile.start - columns.start..tile.end - columns.start];
                for (column, out) in tile.clone().zip(out) {
                    *out = slots.differing(level, a.row(row), b.row(column));
                }
            }
        }
        Ok(())
    })
}

/// Writes in how many slots row `i[p]` of `a` and row `j[p]` of `b` differ, for each pair `p`.
///
/// # Errors
/// If the rows differ in bytes or have no whole slots, an index names no row, the lengths of `i`, `j` and `out` differ, or
/// the call was interrupted.
#[allow(clippy::too_many_arguments, reason = "they are the arguments of the public function")]
pub fn paired(
    level: Level,
    slots: Slots,
    a: Codes<'_>,
    b: Codes<'_>,
    i: &[i64],
    j: &[i64],
    parallel: &Parallel<'_>,
    out: &mut [i32],
) -> Result<(), Error> {
    slots.check("a", a)?;
    slots.check("b", b)?;
    if a.n_bytes() != b.n_bytes() {
        return Err(Error::BytesDiffer { first: ("a", a.n_bytes()), second: ("b", b.n_bytes()) });
    }
    let rows = pairs_of(i, j, a.n_rows(), b.n_rows(), out.len())?;
    parallel.for_each_chunk(out, TASK_PAIRS, |task, out| {
        for ((i, j), out) in rows[task * TASK_PAIRS..].iter().zip(out) {
            *out = slots.differing(level, a.row(*i), b.row(*j));
        }
    })
}

/// Pairs of rows that there are.
pub(super) fn pairs_of(
    i: &[i64],
    j: &[i64],
    n_a: usize,
    n_b: usize,
    n_out: usize,
) -> Result<Vec<(usize, usize)>, Error> {
    if i.len() != j.len() {
        return Err(Error::PairsDiffer { i: i.len(), j: j.len() });
    }
    if n_out != i.len() {
        return Err(Error::OutputLength { given: n_out, expected: i.len() });
    }
    let row = |name: &'static str, index: i64, n_rows: usize| match usize::try_from(index) {
        Ok(row) if row < n_rows => Ok(row),
        _ => Err(Error::PairRow { name, row: index, n_rows }),
    };
    let mut pairs = Vec::new();
    pairs.try_reserve_exact(i.len())?;
    for (&i, &j) in i.iter().zip(j) {
        pairs.push((row("i", i, n_a)?, row("j", j, n_b)?));
    }
    Ok(pairs)
}

/// Slots of 32 bits in which two signatures agree.
#[inline]
pub(super) fn agreeing(a: &[u32], b: &[u32]) -> usize {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let equal = |a: &[u32], b: &[u32]| a.iter().zip(b).map(|(a, b)| u32::from(a == b)).sum::<u32>();
    let blocks: u32 = a.iter().zip(b).map(|(a, b)| equal(a, b)).sum();
    (blocks + equal(a_rest, b_rest)) as usize
}
