//! [`PackedCodes`]: codes kept in blocks, for repeated searches.

use std::ops::Range;
use std::sync::Arc;

use super::layout::{Blocks, ROWS_PER_BLOCK, Width, check_codes, code_at};
use super::pack_block;
use crate::error::{check_len, try_resize, try_vec};
use crate::select::mask::RowMask;
use crate::{Codes, Error, Mask, Run};

/// Blocks that are packed or unpacked in one task.
const BLOCKS_PER_TASK: usize = 16;

/// Bytes of a cache line, which is as long as the longest register.
const LINE_BYTES: usize = 64;

/// Codes in blocks (see the picture in `layout.rs`), with 16 codewords two to a byte. Rows can be appended and removed.
pub struct PackedCodes {
    bytes: BlockBytes,
    width: Width,
    n_rows: usize,
    n_subspaces: usize,
    largest: u8,
}

/// The blocks of all rows.
enum BlockBytes {
    Owned(AlignedBytes),
    /// Memory of someone else, for example a mapped file; copied by the first append.
    Borrowed(Arc<dyn AsRef<[u8]> + Send + Sync>),
}

impl BlockBytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            BlockBytes::Owned(bytes) => bytes.as_slice(),
            BlockBytes::Borrowed(bytes) => (**bytes).as_ref(),
        }
    }

    /// The bytes, if there is room for `len` of them without moving.
    fn with_room(&mut self, len: usize) -> Option<&mut AlignedBytes> {
        match self {
            BlockBytes::Owned(bytes) if len <= bytes.capacity() => Some(bytes),
            _ => None,
        }
    }
}

/// Bytes that start on a cache line.
struct AlignedBytes {
    /// `start` unused bytes, then those that count. Never grows beyond its capacity, since then it would move.
    buffer: Vec<u8>,
    start: usize,
}

impl AlignedBytes {
    /// A copy of `bytes` with room for `capacity` bytes.
    fn copied(bytes: &[u8], capacity: usize) -> Result<Self, Error> {
        let mut buffer: Vec<u8> = Vec::new();
        buffer.try_reserve_exact(capacity.saturating_add(LINE_BYTES - 1))?;
        let start = buffer.as_ptr().align_offset(LINE_BYTES).min(LINE_BYTES - 1);
        buffer.resize(start, 0);
        buffer.extend_from_slice(bytes);
        Ok(AlignedBytes { buffer, start })
    }

    fn capacity(&self) -> usize {
        self.buffer.capacity() - self.start
    }

    fn as_slice(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..]
    }

    /// Makes them `len` bytes, for which there is room; new ones are zero.
    fn resize(&mut self, len: usize) {
        debug_assert!(len <= self.capacity());
        self.buffer.resize(self.start + len, 0);
    }
}

impl PackedCodes {
    /// No rows yet, of codes below `n_codewords`: 16 or 256.
    ///
    /// # Errors
    /// [`Error::Incompatible`] for another number of codewords, [`Error::Range`] without subspaces.
    pub fn new(n_subspaces: usize, n_codewords: usize) -> Result<Self, Error> {
        PackedCodes::from_blocks(Arc::new([0_u8; 0]), 0, n_subspaces, n_codewords, 0)
    }

    /// Takes the blocks of `n_rows` rows, as [`PackedCodes::as_bytes`] returns them, without copying them.
    ///
    /// # Errors
    /// As [`PackedCodes::new`], and [`Error::Length`] if the blocks do not have the bytes of the rows, [`Error::Range`] if the
    /// largest code names no codeword.
    pub fn from_blocks(
        bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
        n_rows: usize,
        n_subspaces: usize,
        n_codewords: usize,
        largest: usize,
    ) -> Result<Self, Error> {
        let width = match n_codewords {
            256 => Width::Byte,
            16 => Width::Nibble,
            _ => {
                let problem = format!("n_codewords must be 16 or 256; got {n_codewords}");
                return Err(Error::Incompatible { problem });
            }
        };
        if n_subspaces == 0 {
            let (name, unit, high) = ("codes", "subspaces", usize::MAX);
            return Err(Error::Range { name, unit, given: 0, low: 1, high });
        }
        if largest >= n_codewords {
            let (name, high) = ("largest", n_codewords - 1);
            return Err(Error::Range { name, unit: "", given: largest, low: 0, high });
        }
        let largest = largest as u8;
        let packed = PackedCodes { bytes: BlockBytes::Borrowed(bytes), width, n_rows, n_subspaces, largest };
        check_len("blocks", "bytes", packed.as_bytes().len(), packed.len_of(n_rows))?;
        Ok(packed)
    }

    /// The same rows without copying them; each can change without the other.
    pub fn shared(packed: &Arc<PackedCodes>) -> Self {
        PackedCodes { bytes: BlockBytes::Borrowed(packed.clone()), ..**packed }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Codes in a row.
    pub fn n_subspaces(&self) -> usize {
        self.n_subspaces
    }

    /// 16 or 256: every code is below this.
    pub fn n_codewords(&self) -> usize {
        self.width.n_codewords()
    }

    /// The largest code, or 0 without rows; one that was removed may still count.
    pub fn largest(&self) -> u8 {
        self.largest
    }

    /// The blocks, one after the other.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The rows as they are searched.
    pub fn blocks(&self) -> Blocks<'_> {
        Blocks::from_packed(self.as_bytes(), self.largest, self.width, self.n_rows, self.n_subspaces)
    }

    /// Bytes of the blocks of `n_rows` rows.
    fn len_of(&self, n_rows: usize) -> usize {
        n_rows.div_ceil(ROWS_PER_BLOCK).saturating_mul(self.width.block_len(self.n_subspaces))
    }

    /// Adds rows of one byte per subspace at the end; where it fails, it changes nothing.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if they differ in subspaces, [`Error::Value`] if a code names no codeword,
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn append(&mut self, codes: Codes<'_>, run: &Run<'_>) -> Result<(), Error> {
        if codes.n_bytes() != self.n_subspaces {
            return Err(Error::Mismatch {
                unit: "subspaces",
                first: ("codes", codes.n_bytes()),
                second: ("packed codes", self.n_subspaces),
                hint: "were they encoded with the same codebooks?",
            });
        }
        let (width, first_row) = (self.width, self.n_rows);
        let n_rows = first_row.saturating_add(codes.n_rows());
        let (used, len) = (self.len_of(first_row), self.len_of(n_rows));
        let largest = match self.bytes.with_room(len) {
            Some(bytes) => {
                bytes.resize(len);
                let largest = pack_rows(codes, width, first_row, bytes.as_mut_slice(), run);
                if largest.is_err() {
                    bytes.resize(used);
                    clear_rows(bytes.as_mut_slice(), first_row, width.block_len(codes.n_bytes()));
                }
                largest?
            }
            None => {
                let mut bytes = AlignedBytes::copied(self.as_bytes(), len.max(used.saturating_mul(3) / 2))?;
                bytes.resize(len);
                let largest = pack_rows(codes, width, first_row, bytes.as_mut_slice(), run)?;
                self.bytes = BlockBytes::Owned(bytes);
                largest
            }
        };
        (self.n_rows, self.largest) = (n_rows, self.largest.max(largest));
        Ok(())
    }

    /// Writes rows as row-major codes.
    ///
    /// # Errors
    /// [`Error::Row`] for rows beyond the last one, [`Error::Length`] if `out` does not have their elements,
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn unpack(&self, rows: Range<usize>, out: &mut [u8], run: &Run<'_>) -> Result<(), Error> {
        if rows.start > rows.end || rows.end > self.n_rows {
            return Err(Error::Row { name: "rows", row: rows.end as i64, n_rows: self.n_rows });
        }
        self.write_rows(out, rows.len(), |index| rows.start + index, run)
    }

    /// Writes the rows of these ids, in their order, as row-major codes.
    ///
    /// # Errors
    /// [`Error::Row`] if an id is not a row, [`Error::Length`] if `out` does not have the elements of the rows,
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn take(&self, ids: &[i64], out: &mut [u8], run: &Run<'_>) -> Result<(), Error> {
        let is_row = |id: i64| usize::try_from(id).is_ok_and(|row| row < self.n_rows);
        if let Some(&row) = ids.iter().find(|id| !is_row(**id)) {
            return Err(Error::Row { name: "ids", row, n_rows: self.n_rows });
        }
        // Another thread may change the ids after they have been checked.
        let last = self.n_rows.saturating_sub(1);
        self.write_rows(out, ids.len(), |index| usize::try_from(ids[index]).unwrap_or(0).min(last), run)
    }

    fn write_rows(
        &self,
        out: &mut [u8],
        n_rows: usize,
        row_of: impl Fn(usize) -> usize + Sync,
        run: &Run<'_>,
    ) -> Result<(), Error> {
        check_len("out", "elements", out.len(), n_rows.saturating_mul(self.n_subspaces))?;
        let rows_per_task = ROWS_PER_BLOCK * BLOCKS_PER_TASK;
        let task_len = self.n_subspaces.saturating_mul(rows_per_task);
        run.for_words(out.len()).for_each_chunk(out, task_len, |task, out| {
            for (index, out) in (task * rows_per_task..).zip(out.chunks_exact_mut(self.n_subspaces)) {
                self.write_row(row_of(index), out);
            }
            Ok(())
        })
    }

    fn write_row(&self, row: usize, out: &mut [u8]) {
        let len = self.width.block_len(self.n_subspaces);
        let planes = &self.as_bytes()[row / ROWS_PER_BLOCK * len..][..len];
        for (subspace, code) in out.iter_mut().enumerate() {
            *code = code_at(self.width, planes, subspace, row % ROWS_PER_BLOCK);
        }
    }

    /// Removes the selected rows, whose followers move up, and returns how many they are; where it fails, it changes nothing.
    ///
    /// # Errors
    /// If the mask does not fit the rows, [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn remove(&mut self, mask: Mask<'_>, run: &Run<'_>) -> Result<usize, Error> {
        let removed = RowMask::new(mask, self.n_rows)?;
        if removed.n_selected() == 0 {
            return Ok(0);
        }
        let mut kept = try_vec(1, self.n_rows)?;
        removed.rows(0..usize::MAX).for_each(|row| kept[row] = 0);
        let kept = RowMask::new(Mask::Booleans(&kept), self.n_rows)?;

        let (n_kept, n_subspaces, level) = (kept.n_selected(), self.n_subspaces, run.level());
        let mut bytes = AlignedBytes::copied(&[], self.len_of(n_kept))?;
        bytes.resize(self.len_of(n_kept));
        let blocks = bytes.as_mut_slice().chunks_mut(self.width.block_len(n_subspaces));
        let largest = run.for_each_part(
            blocks,
            || Ok((Vec::new(), 0)),
            |(rows, largest): &mut (Vec<u8>, u8), block, planes| {
                let ranks = block * ROWS_PER_BLOCK..n_kept.min((block + 1) * ROWS_PER_BLOCK);
                try_resize(rows, ranks.len() * n_subspaces, 0)?;
                let n_rows = ranks.len();
                for (row, out) in kept.rows(ranks).zip(rows.chunks_exact_mut(n_subspaces)) {
                    self.write_row(row, out);
                }
                let rows = Codes::new(rows, n_rows, n_subspaces)?;
                *largest = pack_block(level, rows, self.width, planes).max(*largest);
                Ok(())
            },
        )?;
        self.largest = largest.into_iter().map(|(_, largest)| largest).max().unwrap_or(0);
        (self.bytes, self.n_rows) = (BlockBytes::Owned(bytes), n_kept);
        Ok(removed.n_selected())
    }
}

impl AsRef<[u8]> for PackedCodes {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Writes row-major codes as rows `first_row..` into blocks that hold the rows before already, and returns the largest code.
fn pack_rows(
    codes: Codes<'_>,
    width: Width,
    first_row: usize,
    blocks: &mut [u8],
    run: &Run<'_>,
) -> Result<u8, Error> {
    let (len, level) = (width.block_len(codes.n_bytes()), run.level());
    // Rows that complete the last block are written one by one.
    let n_single = codes.n_rows().min((ROWS_PER_BLOCK - first_row % ROWS_PER_BLOCK) % ROWS_PER_BLOCK);
    let (begun, whole) = blocks.split_at_mut(first_row.div_ceil(ROWS_PER_BLOCK) * len);
    let mut largest = 0;
    if n_single > 0 {
        let planes = &mut begun[first_row / ROWS_PER_BLOCK * len..];
        for (index, row) in (0..n_single).zip(first_row % ROWS_PER_BLOCK..) {
            for (subspace, code) in codes.row(index).iter().enumerate() {
                match width {
                    Width::Byte => planes[subspace * ROWS_PER_BLOCK + row] = *code,
                    Width::Nibble => {
                        let byte = &mut planes[subspace / 2 * ROWS_PER_BLOCK + row];
                        let shift = subspace % 2 * 4;
                        *byte = *byte & !(0xF << shift) | (code & 0xF) << shift;
                    }
                }
                largest = largest.max(*code);
            }
        }
    }
    let tasks = whole.chunks_mut(len.saturating_mul(BLOCKS_PER_TASK));
    let run = run.for_words(codes.n_rows().saturating_mul(codes.n_bytes()));
    let workers = run.for_each_part(
        tasks,
        || Ok(0),
        |largest, task, blocks| {
            for (block, planes) in (task * BLOCKS_PER_TASK..).zip(blocks.chunks_exact_mut(len)) {
                let start = n_single + block * ROWS_PER_BLOCK;
                let rows = codes.slice(start, (start + ROWS_PER_BLOCK).min(codes.n_rows()));
                *largest = pack_block(level, rows, width, planes).max(*largest);
            }
            Ok(())
        },
    )?;
    let largest = workers.into_iter().fold(largest, u8::max);
    check_codes(largest, codes, 0, width.n_codewords())?;
    Ok(largest)
}

/// Sets the rows from `first_row` on to zero in the block that it is in, the last of `blocks`, of `len` bytes each.
fn clear_rows(blocks: &mut [u8], first_row: usize, len: usize) {
    if !first_row.is_multiple_of(ROWS_PER_BLOCK)
        && let Some(planes) = blocks.chunks_exact_mut(len).last()
    {
        planes.chunks_exact_mut(ROWS_PER_BLOCK).for_each(|plane| plane[first_row % ROWS_PER_BLOCK..].fill(0));
    }
}
