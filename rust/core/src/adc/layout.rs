//! [`Blocks`]: codes in blocks of 256 rows with one plane per subspace, so that a register holds one subspace of 64 rows.
//!
//! ```text
//! codes, as in arrays (M bytes per row)          a block of bytes, up to 256 codewords      a block of nibbles, up to 16
//!
//! row 0     a0 a1 ... aM                         a0 b0 c0 ... (256 rows)  subspace 0        a1a0 b1b0 c1c0 ...  0 (low), 1 (high)
//! row 1     b0 b1 ... bM                         a1 b1 c1 ...             subspace 1        a3a2 b3b2 c3c2 ...  2, 3
//! ...                                            ...                                        ...
//! row 255   z0 z1 ... zM                         aM bM cM ...             subspace M-1      (an odd last one alone)
//! ```
//!
//! Rows beyond the last one, and the high half of an odd last plane, are zero.

use std::ops::Range;

use super::pack_block;
use crate::error::try_resize;
use crate::{At, Codes, Error, Level};

/// Rows of a block.
pub(crate) const ROWS_PER_BLOCK: usize = 256;

/// Rows of a quarter of a block: those that share a cache line of each plane.
pub(crate) const ROWS_PER_QUARTER: usize = ROWS_PER_BLOCK / 4;

/// How a block holds a code: in a whole byte, or in half of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Byte,
    Nibble,
}

impl Width {
    /// The narrowest width for this many codewords.
    pub fn of(n_codewords: usize) -> Width {
        if n_codewords <= 16 { Width::Nibble } else { Width::Byte }
    }

    /// Codewords that it distinguishes.
    pub fn n_codewords(self) -> usize {
        match self {
            Width::Byte => 256,
            Width::Nibble => 16,
        }
    }

    /// Planes of a block.
    pub fn n_planes(self, n_subspaces: usize) -> usize {
        match self {
            Width::Byte => n_subspaces,
            Width::Nibble => n_subspaces.div_ceil(2),
        }
    }

    /// Bytes of a block.
    pub fn block_len(self, n_subspaces: usize) -> usize {
        self.n_planes(n_subspaces).saturating_mul(ROWS_PER_BLOCK)
    }
}

/// The code of a row in a subspace; `planes` are one block.
#[inline(always)]
pub(crate) fn code_at(width: Width, planes: &[u8], subspace: usize, row: usize) -> u8 {
    match width {
        Width::Byte => planes[subspace * ROWS_PER_BLOCK + row],
        Width::Nibble => planes[subspace / 2 * ROWS_PER_BLOCK + row] >> (subspace % 2 * 4) & 0xF,
    }
}

/// A database of codes to be searched: row-major, or packed before.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    source: Source<'a>,
    width: Width,
    n_rows: usize,
    n_subspaces: usize,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Rows { codes: Codes<'a>, n_codewords: usize },
    Bits(Codes<'a>),
    Packed { bytes: &'a [u8], largest: u8 },
}

impl<'a> Blocks<'a> {
    /// Row-major codes of one byte per subspace, to be searched with tables of `n_codewords`.
    pub fn from_rows(codes: Codes<'a>, n_codewords: usize) -> Self {
        let (n_rows, n_subspaces) = (codes.n_rows(), codes.n_bytes());
        let (source, width) = (Source::Rows { codes, n_codewords }, Width::of(n_codewords));
        Blocks { source, width, n_rows, n_subspaces }
    }

    /// Rows of packed bits, each half of a byte a code of 16: the low half comes first, as in a plane of nibbles.
    pub fn from_bits(codes: Codes<'a>) -> Self {
        let (n_rows, n_subspaces) = (codes.n_rows(), 2 * codes.n_bytes());
        Blocks { source: Source::Bits(codes), width: Width::Nibble, n_rows, n_subspaces }
    }

    /// The blocks of packed codes, of which `largest` is the largest; their length has been checked.
    pub(super) fn from_packed(
        bytes: &'a [u8],
        largest: u8,
        width: Width,
        n_rows: usize,
        n_subspaces: usize,
    ) -> Self {
        Blocks { source: Source::Packed { bytes, largest }, width, n_rows, n_subspaces }
    }

    /// Checks that tables of this size can search them.
    ///
    /// # Errors
    /// If they differ in subspaces, or packed codes name codewords that the tables lack. Row-major codes are checked as they
    /// are read.
    pub(crate) fn check_tables(&self, n_subspaces: usize, n_codewords: usize) -> Result<(), Error> {
        if n_subspaces != self.n_subspaces {
            return Err(Error::Mismatch {
                unit: "subspaces",
                first: ("tables", n_subspaces),
                second: ("codes", self.n_subspaces),
                hint: "were they made with the same codebooks?",
            });
        }
        if n_codewords > self.width.n_codewords() {
            return Err(Error::Mismatch {
                unit: "codewords",
                first: ("tables", n_codewords),
                second: ("packed codes", self.width.n_codewords()),
                hint: "codes of more than 16 codewords have to be packed with n_codewords=256",
            });
        }
        match self.source {
            Source::Packed { largest, .. } if largest as usize >= n_codewords => {
                let most = n_codewords - 1;
                let problem = format!(
                    "codes have {largest}, but tables have {n_codewords} codewords; expected codes from 0 to {most}"
                );
                Err(Error::Incompatible { problem })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn width(&self) -> Width {
        self.width
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Codes in a row.
    pub fn n_subspaces(&self) -> usize {
        self.n_subspaces
    }

    pub(crate) fn n_blocks(&self) -> usize {
        self.n_rows.div_ceil(ROWS_PER_BLOCK)
    }

    pub(crate) fn block_len(&self) -> usize {
        self.width.block_len(self.n_subspaces)
    }

    /// The codes of a row, if they follow each other in memory.
    pub(crate) fn row(&self, row: usize) -> Option<&'a [u8]> {
        match self.source {
            Source::Packed { .. } | Source::Bits(_) => None,
            Source::Rows { codes, .. } => Some(codes.row(row)),
        }
    }

    /// The code of a row in a subspace.
    pub(crate) fn code(&self, row: usize, subspace: usize) -> u8 {
        match self.source {
            Source::Packed { bytes, .. } => {
                let planes = &bytes[row / ROWS_PER_BLOCK * self.block_len()..];
                code_at(self.width, planes, subspace, row % ROWS_PER_BLOCK)
            }
            Source::Rows { codes, .. } => codes.row(row)[subspace],
            Source::Bits(codes) => codes.row(row)[subspace / 2] >> (subspace % 2 * 4) & 0xF,
        }
    }

    /// Checks that the codes of a row, as [`Blocks::code`] gives them, name codewords.
    ///
    /// # Errors
    /// [`Error::Value`] if one does not.
    pub(crate) fn check_row(&self, row: usize) -> Result<(), Error> {
        match self.source {
            Source::Rows { codes, n_codewords } if n_codewords < 256 => {
                let largest = codes.row(row).iter().copied().max().unwrap_or(0);
                check_codes(largest, codes.slice(row, row + 1), row, n_codewords)
            }
            _ => Ok(()),
        }
    }

    /// A block that holds a quarter of block `block`, and the row in it that the quarter starts with.
    ///
    /// # Errors
    /// [`Error::Value`] if a code names no codeword, [`Error::OutOfMemory`].
    pub(crate) fn get_quarter<'s>(
        &self,
        level: Level,
        block: usize,
        quarter: usize,
        scratch: &'s mut Vec<u8>,
    ) -> Result<(&'s [u8], usize), Error>
    where
        'a: 's,
    {
        let start = block * ROWS_PER_BLOCK + quarter * ROWS_PER_QUARTER;
        let rows = |codes: Codes<'a>| codes.slice(start, (start + ROWS_PER_QUARTER).min(codes.n_rows()));
        let len = self.block_len();
        match self.source {
            Source::Packed { .. } => {
                Ok((self.get(level, block, block + 1, scratch)?, quarter * ROWS_PER_QUARTER))
            }
            Source::Rows { codes, n_codewords } => {
                let largest = pack_blocks(level, rows(codes), self.width, 0..1, len, scratch)?;
                check_codes(largest, rows(codes), start, n_codewords)?;
                Ok((scratch, 0))
            }
            Source::Bits(codes) => {
                pack_blocks(level, rows(codes), Width::Byte, 0..1, len, scratch)?;
                Ok((scratch, 0))
            }
        }
    }

    /// A block that was packed before, or nothing.
    pub(crate) fn packed(&self, block: usize) -> &'a [u8] {
        match self.source {
            Source::Packed { bytes, .. } => {
                bytes.chunks_exact(self.block_len()).nth(block).unwrap_or_default()
            }
            Source::Rows { .. } | Source::Bits(_) => &[],
        }
    }

    /// Blocks `start..end`, one after the other; those of row-major codes are made in `scratch`.
    ///
    /// # Errors
    /// [`Error::Value`] if a code names no codeword, [`Error::OutOfMemory`].
    pub(crate) fn get<'s>(
        &self,
        level: Level,
        start: usize,
        end: usize,
        scratch: &'s mut Vec<u8>,
    ) -> Result<&'s [u8], Error>
    where
        'a: 's,
    {
        let len = self.block_len();
        match self.source {
            Source::Packed { bytes, .. } => Ok(&bytes[start * len..end * len]),
            Source::Rows { codes, n_codewords } => {
                let largest = pack_blocks(level, codes, self.width, start..end, len, scratch)?;
                check_codes(largest, codes, 0, n_codewords)?;
                Ok(scratch)
            }
            // A plane of nibbles is a byte of each row, unchanged.
            Source::Bits(codes) => {
                pack_blocks(level, codes, Width::Byte, start..end, len, scratch)?;
                Ok(scratch)
            }
        }
    }
}

/// Makes some blocks of `len` bytes of the rows, and returns the largest code.
fn pack_blocks(
    level: Level,
    codes: Codes<'_>,
    width: Width,
    blocks: Range<usize>,
    len: usize,
    out: &mut Vec<u8>,
) -> Result<u8, Error> {
    try_resize(out, blocks.len() * len, 0)?;
    let mut largest = 0;
    for (block, planes) in blocks.zip(out.chunks_exact_mut(len)) {
        // The CPU cannot predict the addresses of a gather: prefetch the next block.
        codes.prefetch((block + 1) * ROWS_PER_BLOCK, (block + 2) * ROWS_PER_BLOCK);
        let rows = codes.slice(block * ROWS_PER_BLOCK, ((block + 1) * ROWS_PER_BLOCK).min(codes.n_rows()));
        largest = largest.max(pack_block(level, rows, width, planes));
    }
    Ok(largest)
}

/// Checks that codes, of which `largest` is the largest, name codewords; their first row is row `first_row`.
pub(super) fn check_codes(
    largest: u8,
    codes: Codes<'_>,
    first_row: usize,
    n_codewords: usize,
) -> Result<(), Error> {
    if (largest as usize) < n_codewords {
        return Ok(());
    }
    let rows = (0..codes.n_rows()).map(|row| (first_row + row, codes.row(row)));
    let mut found = rows.flat_map(|(row, codes)| codes.iter().map(move |code| (row, *code)));
    // Another thread may have changed the codes since.
    let (row, code) = found.find(|(_, code)| *code as usize >= n_codewords).unwrap_or((first_row, largest));
    Err(Error::Value {
        name: "codes",
        value: code.to_string(),
        at: At::Row(row),
        expected: format!("codes from 0 to {}, since there are {n_codewords} codewords", n_codewords - 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_the_codes_of_each_row() {
        for (n_codewords, n_rows, n_subspaces) in
            [(256, 256, 8), (256, 255, 1), (256, 65, 17), (16, 256, 16), (16, 70, 9), (16, 1, 1)]
        {
            let codes: Vec<u8> = (0..n_rows * n_subspaces).map(|i| (i * 37 % n_codewords) as u8).collect();
            let view = Codes::new(&codes, n_rows, n_subspaces).unwrap();
            let width = Width::of(n_codewords);
            let mut planes = vec![0; width.block_len(n_subspaces)];
            assert_eq!(Some(&pack_block(Level::best(), view, width, &mut planes)), codes.iter().max());
            for (row, codes) in codes.chunks(n_subspaces).enumerate() {
                for (subspace, code) in codes.iter().enumerate() {
                    assert_eq!(
                        code_at(width, &planes, subspace, row),
                        *code,
                        "{n_codewords} {row} {subspace}"
                    );
                }
            }
            assert!(planes.chunks(ROWS_PER_BLOCK).all(|plane| plane[n_rows..].iter().all(|byte| *byte == 0)));
        }
    }
}
