//! [`Blocks`]: codes in blocks of 256 rows, a plane for each subspace, so that a register holds one subspace of 64 rows.
//!
//! ```text
//! codes, as arrays have them (M bytes a row)     a block of bytes, up to 256 codewords      a block of nibbles, up to 16
//!
//! row 0     a0 a1 .. aM                          a0 b0 c0 .. (256 rows)   subspace 0        a1a0 b1b0 c1c0 ..   0 (low), 1 (high)
//! row 1     b0 b1 .. bM                          a1 b1 c1 ..              subspace 1        a3a2 b3b2 c3c2 ..   2, 3
//! ..                                             ..                                         ..
//! row 255   z0 z1 .. zM                          aM bM cM ..              subspace M-1      (an odd last one alone)
//! ```
//!
//! Rows beyond the last one, and the high half of an odd last plane, are zero.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

use super::pack_block;
use crate::{Codes, Error, Level, Parallel};

/// Rows of a block.
pub(crate) const ROWS: usize = 256;

/// Rows of a quarter of a block: those that share a cache line of each plane.
pub(super) const QUARTER: usize = ROWS / 4;

/// How a block holds a code: a whole byte, or half of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Byte,
    Nibble,
}

impl Width {
    /// The narrowest that holds so many codewords.
    pub fn of(n_codewords: usize) -> Width {
        if n_codewords <= 16 { Width::Nibble } else { Width::Byte }
    }

    /// Codewords that it can tell apart.
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
}

/// The code of a row in a subspace; `planes` are one block.
#[inline(always)]
pub(super) fn code_at(width: Width, planes: &[u8], subspace: usize, row: usize) -> u8 {
    match width {
        Width::Byte => planes[subspace * ROWS + row],
        Width::Nibble => planes[subspace / 2 * ROWS + row] >> (subspace % 2 * 4) & 0xF,
    }
}

/// A database of codes: as arrays have them, or packed before.
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
    Packed(&'a [u8]),
}

impl<'a> Blocks<'a> {
    /// Row-major codes of one byte a subspace, to be searched with tables of `n_codewords`.
    pub fn from_rows(codes: Codes<'a>, n_codewords: usize) -> Self {
        let (n_rows, n_subspaces) = (codes.n_rows(), codes.n_bytes());
        Blocks {
            source: Source::Rows { codes, n_codewords },
            width: Width::of(n_codewords),
            n_rows,
            n_subspaces,
        }
    }

    /// Rows of packed bits, each half of a byte a code of 16: the low half comes first, as in a plane of nibbles.
    pub fn from_bits(codes: Codes<'a>) -> Self {
        let (n_rows, n_subspaces) = (codes.n_rows(), 2 * codes.n_bytes());
        Blocks { source: Source::Bits(codes), width: Width::Nibble, n_rows, n_subspaces }
    }

    /// The bytes that [`pack`] wrote for `n_rows` rows.
    ///
    /// # Errors
    /// [`Error::PackedLength`] if there are not as many bytes, [`Error::PackedCodewords`] if packed codes do not come
    /// with so many codewords.
    pub fn from_packed(
        bytes: &'a [u8],
        n_rows: usize,
        n_subspaces: usize,
        n_codewords: usize,
    ) -> Result<Self, Error> {
        let width = packed_width(n_codewords)?;
        let expected = packed_len(n_rows, n_subspaces, width);
        if n_subspaces == 0 {
            return Err(Error::Range {
                name: "codes",
                unit: "subspaces",
                given: 0,
                low: 1,
                high: usize::MAX,
            });
        }
        if bytes.len() != expected {
            return Err(Error::PackedLength { given: bytes.len(), expected });
        }
        Ok(Blocks { source: Source::Packed(bytes), width, n_rows, n_subspaces })
    }

    pub(super) fn width(&self) -> Width {
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

    pub(super) fn n_blocks(&self) -> usize {
        self.n_rows.div_ceil(ROWS)
    }

    pub(super) fn block_len(&self) -> usize {
        self.width.n_planes(self.n_subspaces) * ROWS
    }

    /// Rows of a block: fewer than [`ROWS`] in the last one.
    pub(super) fn rows_of(&self, block: usize) -> usize {
        (self.n_rows - block * ROWS).min(ROWS)
    }

    /// The codes of a row, if they lie side by side.
    pub(super) fn row(&self, row: usize) -> Option<&'a [u8]> {
        match self.source {
            Source::Packed(_) | Source::Bits(_) => None,
            Source::Rows { codes, .. } => Some(codes.row(row)),
        }
    }

    /// The code of a row in a subspace, wherever it lies.
    pub(super) fn code(&self, row: usize, subspace: usize) -> u8 {
        match self.source {
            Source::Packed(bytes) => {
                let planes = &bytes[row / ROWS * self.block_len()..];
                code_at(self.width, planes, subspace, row % ROWS)
            }
            Source::Rows { codes, .. } => codes.row(row)[subspace],
            Source::Bits(codes) => codes.row(row)[subspace / 2] >> (subspace % 2 * 4) & 0xF,
        }
    }

    /// Whether the codes of a row, as [`Blocks::code`] gives them, name codewords.
    ///
    /// # Errors
    /// [`Error::CodeOutOfRange`] if one does not.
    pub(super) fn check_row(&self, row: usize) -> Result<(), Error> {
        match self.source {
            Source::Rows { codes, n_codewords } if n_codewords < 256 => {
                match codes.row(row).iter().find(|code| **code as usize >= n_codewords) {
                    Some(code) => Err(Error::CodeOutOfRange { code: *code, row, n_codewords }),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// A block that holds a quarter of block `block`, and the row in it that the quarter starts with.
    ///
    /// # Errors
    /// [`Error::CodeOutOfRange`] if a code names no codeword.
    pub(super) fn get_quarter<'s>(
        &self,
        level: Level,
        block: usize,
        part: usize,
        scratch: &'s mut Vec<u8>,
    ) -> Result<(&'s [u8], usize), Error>
    where
        'a: 's,
    {
        let start = block * ROWS + part * QUARTER;
        let quarter = |codes: Codes<'a>| codes.slice(start, (start + QUARTER).min(codes.n_rows()));
        let quarter = match self.source {
            Source::Packed(_) => return Ok((self.get(level, block, block + 1, scratch)?, part * QUARTER)),
            Source::Rows { codes, n_codewords } => Source::Rows { codes: quarter(codes), n_codewords },
            Source::Bits(codes) => Source::Bits(quarter(codes)),
        };
        match (Blocks { source: quarter, ..*self }).get(level, 0, 1, scratch) {
            Ok(planes) => Ok((planes, 0)),
            Err(Error::CodeOutOfRange { code, row, n_codewords }) => {
                Err(Error::CodeOutOfRange { code, row: start + row, n_codewords })
            }
            Err(error) => Err(error),
        }
    }

    /// Blocks `start..end`, one after the other; those of row-major codes are made in `scratch`.
    ///
    /// # Errors
    /// [`Error::CodeOutOfRange`] if a code names no codeword.
    pub(super) fn get<'s>(
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
            Source::Packed(bytes) => Ok(&bytes[start * len..end * len]),
            Source::Rows { codes, n_codewords } => {
                match pack_blocks(level, codes, self.width, start..end, len, scratch) as usize {
                    largest if largest >= n_codewords => Err(out_of_range(codes, n_codewords)),
                    _ => Ok(scratch),
                }
            }
            // A plane of nibbles is a byte of each row, as it stands.
            Source::Bits(codes) => {
                pack_blocks(level, codes, Width::Byte, start..end, len, scratch);
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
) -> u8 {
    out.resize(blocks.len() * len, 0);
    let mut largest = 0;
    for (block, planes) in blocks.zip(out.chunks_exact_mut(len)) {
        // Gathering gives the CPU nothing to go by: it is told what comes next.
        codes.prefetch((block + 1) * ROWS, (block + 2) * ROWS);
        let rows = codes.slice(block * ROWS, (block * ROWS + ROWS).min(codes.n_rows()));
        largest = largest.max(pack_block(level, rows, width, planes));
    }
    largest
}

/// Bytes that [`pack`] needs for `n_rows` rows.
///
/// # Errors
/// [`Error::PackedCodewords`] if packed codes do not come with so many codewords.
pub fn packed_bytes(n_rows: usize, n_subspaces: usize, n_codewords: usize) -> Result<usize, Error> {
    Ok(packed_len(n_rows, n_subspaces, packed_width(n_codewords)?))
}

fn packed_width(n_codewords: usize) -> Result<Width, Error> {
    match n_codewords {
        256 => Ok(Width::Byte),
        16 => Ok(Width::Nibble),
        _ => Err(Error::PackedCodewords { n_codewords }),
    }
}

fn packed_len(n_rows: usize, n_subspaces: usize, width: Width) -> usize {
    n_rows.div_ceil(ROWS).saturating_mul(width.n_planes(n_subspaces).saturating_mul(ROWS))
}

/// Writes row-major codes as rows `first_row..` into blocks that hold the rows before already, and returns the largest code.
///
/// # Errors
/// [`Error::PackedCodewords`], [`Error::PackedLength`] if `blocks` are not those of all rows together,
/// [`Error::CodeOutOfRange`] if a code names no codeword, or the call was interrupted.
pub fn pack(
    level: Level,
    codes: Codes<'_>,
    n_codewords: usize,
    first_row: usize,
    blocks: &mut [u8],
    parallel: &Parallel<'_>,
) -> Result<u8, Error> {
    let width = packed_width(n_codewords)?;
    let n_rows = first_row.saturating_add(codes.n_rows());
    let expected = packed_len(n_rows, codes.n_bytes(), width);
    if blocks.len() != expected {
        return Err(Error::PackedLength { given: blocks.len(), expected });
    }
    let len = width.n_planes(codes.n_bytes()) * ROWS;
    // Rows that complete a block begun before are put in one by one.
    let n_single = codes.n_rows().min((ROWS - first_row % ROWS) % ROWS);
    let largest = AtomicU8::new(0);
    let (begun, whole) = blocks.split_at_mut(first_row.div_ceil(ROWS) * len);
    if n_single > 0 {
        let planes = &mut begun[first_row / ROWS * len..];
        for (row, place) in (0..n_single).zip(first_row % ROWS..) {
            for (subspace, code) in codes.row(row).iter().enumerate() {
                match width {
                    Width::Byte => planes[subspace * ROWS + place] = *code,
                    Width::Nibble => {
                        let byte = &mut planes[subspace / 2 * ROWS + place];
                        let shift = subspace % 2 * 4;
                        *byte = *byte & !(0xF << shift) | (code & 0xF) << shift;
                    }
                }
                largest.fetch_max(*code, Ordering::Relaxed);
            }
        }
    }
    parallel.for_each_chunk(whole, len * PACKED_BLOCKS, |chunk, blocks| {
        for (block, planes) in (chunk * PACKED_BLOCKS..).zip(blocks.chunks_exact_mut(len)) {
            let start = n_single + block * ROWS;
            let rows = codes.slice(start, (start + ROWS).min(codes.n_rows()));
            largest.fetch_max(pack_block(level, rows, width, planes), Ordering::Relaxed);
        }
    })?;
    let largest = largest.into_inner();
    if largest as usize >= n_codewords { Err(out_of_range(codes, n_codewords)) } else { Ok(largest) }
}

/// Writes rows `first_row..` of packed blocks as row-major codes, as many as `out` has room for.
///
/// # Panics
/// If there are not so many rows.
pub fn unpack(
    blocks: &Blocks<'_>,
    first_row: usize,
    out: &mut [u8],
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    let (n_subspaces, len) = (blocks.n_subspaces, blocks.block_len());
    assert!(first_row + out.len() / n_subspaces <= blocks.n_rows, "rows beyond the last one");
    let Source::Packed(bytes) = blocks.source else { return Ok(()) };
    parallel.for_each_chunk(out, n_subspaces * ROWS * PACKED_BLOCKS, |chunk, out| {
        let first_row = first_row + chunk * ROWS * PACKED_BLOCKS;
        for (row, out) in (first_row..).zip(out.chunks_exact_mut(n_subspaces)) {
            let planes = &bytes[row / ROWS * len..][..len];
            for (subspace, code) in out.iter_mut().enumerate() {
                *code = code_at(blocks.width, planes, subspace, row % ROWS);
            }
        }
    })
}

/// Blocks that are packed in one task.
const PACKED_BLOCKS: usize = 16;

/// The error for the first code that names no codeword; another thread may have mended it since.
fn out_of_range(codes: Codes<'_>, n_codewords: usize) -> Error {
    let rows = (0..codes.n_rows()).map(|row| (row, codes.row(row)));
    let found = rows.flat_map(|(row, codes)| codes.iter().map(move |code| (row, *code)));
    let (row, code) = found.into_iter().find(|(_, code)| *code as usize >= n_codewords).unwrap_or_default();
    Error::CodeOutOfRange { code, row, n_codewords }
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
            let mut planes = vec![0; width.n_planes(n_subspaces) * ROWS];
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
            assert!(planes.chunks(ROWS).all(|plane| plane[n_rows..].iter().all(|byte| *byte == 0)));
        }
    }

    #[test]
    fn packing_in_parts_gives_the_same_blocks_and_unpacks_to_the_same_codes() {
        let serial = Parallel::serial();
        for n_codewords in [16, 256] {
            let (n_rows, n_subspaces) = (1000, 5);
            let codes: Vec<u8> = (0..n_rows * n_subspaces).map(|i| (i * 7919 % n_codewords) as u8).collect();
            let view = Codes::new(&codes, n_rows, n_subspaces).unwrap();
            let mut whole = vec![0; packed_bytes(n_rows, n_subspaces, n_codewords).unwrap()];
            pack(Level::best(), view, n_codewords, 0, &mut whole, &serial).unwrap();
            for cut in [1, 255, 256, 257, 999] {
                let mut parts = vec![0; whole.len()];
                let first = packed_bytes(cut, n_subspaces, n_codewords).unwrap();
                pack(Level::best(), view.slice(0, cut), n_codewords, 0, &mut parts[..first], &serial)
                    .unwrap();
                pack(Level::best(), view.slice(cut, n_rows), n_codewords, cut, &mut parts, &serial).unwrap();
                assert!(parts == whole, "{n_codewords} {cut}");
            }
            let blocks = Blocks::from_packed(&whole, n_rows, n_subspaces, n_codewords).unwrap();
            let mut unpacked = vec![0; 300 * n_subspaces];
            unpack(&blocks, 100, &mut unpacked, &serial).unwrap();
            assert_eq!(unpacked, codes[100 * n_subspaces..400 * n_subspaces]);
        }
    }
}
