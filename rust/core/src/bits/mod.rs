//! Bits in and out of bytes: [`pack`], [`unpack`], [`popcount`], and integers of 1 to 16 bits.
//!
//! Eight dimensions share a byte, and rows start on byte boundaries:
//!
//! ```text
//! dimension           0 1 2 3 4 5 6 7   8 9
//! x > threshold       1 0 1 1 0 0 0 1   1 1
//! BitOrder::Big       0b10110001        0b11_000000      dimension 0 is the highest bit of byte 0
//! BitOrder::Little    0b10001101        0b000000_11      dimension 0 is the lowest bit of byte 0
//! ```
//!
//! Pack and unpack work on blocks of 64 dimensions. What a level provides is one block: 64 comparisons into a
//! `u64` whose bit `i` is dimension `i`, and the way back. Rows, tails, bit order and threads are written once,
//! here.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod uint;

pub use uint::{FromBits, pack_uint, unpack_uint};

use crate::level::at_level;
use crate::{Codes, Error, Level, Parallel};

/// Dimensions in a block.
const BLOCK: usize = 64;

/// Bytes that a task reads or writes: long enough to be worth waking a thread for, about 50 microseconds.
const TASK_BYTES: usize = 1 << 20;

/// Where in a byte its first dimension is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOrder {
    /// The highest bit, as `numpy.packbits` does by default.
    Big,
    /// The lowest bit.
    Little,
}

impl BitOrder {
    /// Bit `i` is dimension `i` of a block of these bytes.
    #[inline(always)]
    fn bits(self, bytes: [u8; 8]) -> u64 {
        match self {
            BitOrder::Little => u64::from_le_bytes(bytes),
            BitOrder::Big => u64::from_be_bytes(bytes).reverse_bits(),
        }
    }

    /// Byte `i` has the bit of dimension `i`.
    #[inline(always)]
    fn bit_of_byte(self) -> u64 {
        match self {
            BitOrder::Little => 0x8040_2010_0804_0201,
            BitOrder::Big => 0x0102_0408_1020_4080,
        }
    }
}

/// Rows of bytes, whatever they mean; row `i` starts `i * stride` bytes into the buffer. Elements of several bytes
/// need no alignment.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    bytes: &'a [u8],
    n_rows: usize,
    n_bytes: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    /// `n_rows` rows of `n_bytes` bytes, `stride` bytes apart.
    ///
    /// # Errors
    /// [`Error::Length`] if `bytes` ends before the last row does.
    pub fn new(bytes: &'a [u8], n_rows: usize, n_bytes: usize, stride: usize) -> Result<Self, Error> {
        let needed = match n_rows {
            0 => 0,
            _ => (n_rows - 1).saturating_mul(stride).saturating_add(n_bytes),
        };
        if needed > bytes.len() {
            return Err(Error::Length { name: "rows", unit: "bytes", given: bytes.len(), expected: needed });
        }
        Ok(Rows { bytes: &bytes[..needed], n_rows, n_bytes, stride })
    }

    /// The bytes from the first row to the end of the last, gaps included.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All rows as one, if there are no gaps between them.
    fn flat(self) -> Option<Self> {
        let n_bytes = self.bytes.len();
        (self.stride == self.n_bytes).then_some(Rows { n_rows: 1, n_bytes, stride: n_bytes, ..self })
    }

    /// The bytes from the start of row `index` to the end of the buffer.
    #[inline(always)]
    fn bytes_from_row(&self, index: usize) -> &'a [u8] {
        &self.bytes[index * self.stride..]
    }

    /// The rows from `start` on, at most `n_rows` of them.
    fn rows(&self, start: usize, n_rows: usize) -> Self {
        let n_rows = n_rows.min(self.n_rows - start);
        let bytes = &self.bytes_from_row(start)[..(n_rows - 1) * self.stride + self.n_bytes];
        Rows { bytes, n_rows, ..*self }
    }

    /// The columns from `start` on, at most `n_bytes` of them.
    fn columns(&self, start: usize, n_bytes: usize) -> Self {
        let n_bytes = n_bytes.min(self.n_bytes - start);
        let bytes = &self.bytes[start..][..(self.n_rows - 1) * self.stride + n_bytes];
        Rows { bytes, n_bytes, ..*self }
    }
}

/// What the values are, and what each must exceed for its bit to be one. One threshold is for every dimension; else
/// there is one for each.
#[derive(Clone, Copy, Debug)]
pub enum Thresholds<'a> {
    /// Values are single bytes; all but zero are ones.
    NonZero,
    /// Values are IEEE half floats, here by their bits.
    F16(&'a [u16]),
    /// Values are single floats.
    F32(&'a [f32]),
    /// Values are double floats.
    F64(&'a [f64]),
}

/// What of an array becomes one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// Each row: its elements are the dimensions.
    Rows,
    /// Each column: the rows are the dimensions. The same codes as those of the transposed array.
    Columns,
}

/// Writes `ceil(dims / 8)` bytes for each row or column of `x`: its bits are `x > threshold`, false for NaN; padding
/// is zero.
///
/// # Errors
/// [`Error::ElementSize`], [`Error::ThresholdsLength`] or [`Error::OutputLength`] for arguments that do not fit
/// each other, [`Error::Interrupted`].
pub fn pack(
    level: Level,
    x: Rows<'_>,
    along: Along,
    thresholds: Thresholds<'_>,
    order: BitOrder,
    out: &mut [u8],
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    match thresholds {
        Thresholds::NonZero => {
            pack_with::<1, _>(level, x, along, &[()], order, out, parallel, |x, t, out| {
                at_level!(level, pack_bool(x, t, out));
            })
        }
        Thresholds::F16(t) => {
            let keys: Vec<i16> = t.iter().copied().map(f16_threshold_key).collect();
            pack_with::<2, _>(level, x, along, &keys, order, out, parallel, |x, t, out| {
                at_level!(level, pack_f16(x, t, out));
            })
        }
        Thresholds::F32(t) => pack_with::<4, _>(level, x, along, t, order, out, parallel, |x, t, out| {
            at_level!(level, pack_f32(x, t, out));
        }),
        Thresholds::F64(t) => pack_with::<8, _>(level, x, along, t, order, out, parallel, |x, t, out| {
            at_level!(level, pack_f64(x, t, out));
        }),
    }
}

/// Checks the arguments; the elements of `x` have `N` bytes. The kernel packs rows in little-endian order, given one
/// block of thresholds that is for all columns, or one for each block of columns.
#[allow(clippy::too_many_arguments, reason = "those of pack, and the kernel")]
fn pack_with<const N: usize, T: Copy + Sync>(
    level: Level,
    x: Rows<'_>,
    along: Along,
    thresholds: &[T],
    order: BitOrder,
    out: &mut [u8],
    parallel: &Parallel<'_>,
    kernel: impl Fn(Rows<'_>, &[Limits<T>], &mut [u8]) + Sync,
) -> Result<(), Error> {
    if !x.n_bytes.is_multiple_of(N) {
        return Err(Error::ElementSize { size: N });
    }
    let (n_codes, dims) = match along {
        Along::Rows => (x.n_rows, x.n_bytes / N),
        Along::Columns => (x.n_bytes / N, x.n_rows),
    };
    if thresholds.len() != 1 && thresholds.len() != dims {
        return Err(Error::ThresholdsLength { given: thresholds.len(), expected: dims });
    }
    check_length(out.len(), n_codes, dims.div_ceil(8))?;
    if out.is_empty() {
        return Ok(());
    }
    match along {
        Along::Rows => split_rows::<N, T>(level, x, thresholds, order, out, parallel, kernel),
        Along::Columns => split_columns::<N, T>(x, thresholds, order, out, parallel, kernel),
    }
}

/// Packs rows, split over the threads.
fn split_rows<const N: usize, T: Copy + Sync>(
    level: Level,
    x: Rows<'_>,
    thresholds: &[T],
    order: BitOrder,
    out: &mut [u8],
    parallel: &Parallel<'_>,
    kernel: impl Fn(Rows<'_>, &[Limits<T>], &mut [u8]) + Sync,
) -> Result<(), Error> {
    let dims = x.n_bytes / N;
    let blocks: Vec<Limits<T>> = match thresholds {
        [threshold] => vec![Limits([*threshold; BLOCK])],
        _ => thresholds.chunks(BLOCK).map(|chunk| Limits(padded(chunk, thresholds[0]))).collect(),
    };
    // Without padding between the rows they are one long row, which has one tail at most.
    let x = x.flat().filter(|_| thresholds.len() == 1 && dims.is_multiple_of(8)).unwrap_or(x);
    let pack = |x: Rows<'_>, thresholds: &[Limits<T>], out: &mut [u8]| {
        kernel(x, thresholds, out);
        // Afterwards, while they are in the cache, many bytes can be turned round at once.
        if order == BitOrder::Big {
            at_level!(level, reverse_bits(out));
        }
    };
    if x.n_rows == 1 {
        return parallel.for_each_chunk(out, TASK_BYTES / N / 8, |task, out| {
            let first_block = (task * TASK_BYTES / N / BLOCK).min(blocks.len() - 1);
            pack(x.columns(task * TASK_BYTES, TASK_BYTES), &blocks[first_block..], out);
        });
    }
    let rows = (TASK_BYTES / x.n_bytes).max(1);
    parallel.for_each_chunk(out, rows * dims.div_ceil(8), |task, out| {
        pack(x.rows(task * rows, rows), &blocks, out);
    })
}

/// Packs columns, split over the threads: 64 rows of a few columns are packed, and their bits transposed.
fn split_columns<const N: usize, T: Copy + Sync>(
    x: Rows<'_>,
    thresholds: &[T],
    order: BitOrder,
    out: &mut [u8],
    parallel: &Parallel<'_>,
    kernel: impl Fn(Rows<'_>, &[Limits<T>], &mut [u8]) + Sync,
) -> Result<(), Error> {
    let n_bytes = x.n_rows.div_ceil(8);
    let columns = match TASK_BYTES / N / x.n_rows {
        0 => BLOCK,
        fitting => fitting.next_multiple_of(TILE_COLUMNS),
    };
    parallel.for_each_chunk(out, columns * n_bytes, |task, out| {
        let mut bits = [0; BLOCK * TILE_COLUMNS / 8];
        for (tile, out) in out.chunks_mut(TILE_COLUMNS * n_bytes).enumerate() {
            let n_codes = out.len() / n_bytes;
            let x = x.columns((task * columns + tile * TILE_COLUMNS) * N, n_codes * N);
            let width = n_codes.div_ceil(8);
            for first in (0..x.n_rows).step_by(BLOCK) {
                let rows = x.rows(first, BLOCK);
                let bits = &mut bits[..rows.n_rows * width];
                match thresholds {
                    [all] => kernel(rows, &[Limits([*all; BLOCK])], bits),
                    _ => {
                        for (row, bits) in bits.chunks_exact_mut(width).enumerate() {
                            kernel(rows.rows(row, 1), &[Limits([thresholds[first + row]; BLOCK])], bits);
                        }
                    }
                }
                for (block, out) in out.chunks_mut(BLOCK * n_bytes).enumerate() {
                    let square = transposed(bits, width, block, order);
                    for (bits, code) in square.into_iter().zip(out.chunks_exact_mut(n_bytes)) {
                        let code = &mut code[first / 8..];
                        match code.first_chunk_mut() {
                            Some(bytes) => *bytes = bits.to_le_bytes(),
                            None => code.copy_from_slice(&bits.to_le_bytes()[..code.len()]),
                        }
                    }
                }
            }
        }
    })
}

/// Columns that are packed at a time: some cache lines of each row.
const TILE_COLUMNS: usize = 256;

/// The bits of 64 columns in up to 64 rows of `width` little-endian bytes: word `j` is column `64 * block + j`, and
/// its byte `i` has the rows from `8 * i` on, in the given order.
#[inline(always)]
fn transposed(rows: &[u8], width: usize, block: usize, order: BitOrder) -> [u64; BLOCK] {
    let mut square = [0; BLOCK];
    for (row, bits) in rows.chunks_exact(width).enumerate() {
        let bits = &bits[8 * block..];
        let bits = bits.first_chunk().map_or_else(|| padded(bits, 0), |bytes| *bytes);
        square[if order == BitOrder::Big { row ^ 7 } else { row }] = u64::from_le_bytes(bits);
    }
    // The upper right and the lower left quarter change places, and then those of all quarters (Warren, Hacker's
    // Delight, 7-3).
    let (mut size, mut mask) = (BLOCK / 2, u64::MAX >> (BLOCK / 2));
    while size > 0 {
        for part in square.chunks_exact_mut(2 * size) {
            let (upper, lower) = part.split_at_mut(size);
            for (upper, lower) in upper.iter_mut().zip(lower) {
                let swapped = ((*upper >> size) ^ *lower) & mask;
                *upper ^= swapped << size;
                *lower ^= swapped;
            }
        }
        size /= 2;
        mask ^= mask << size;
    }
    square
}

/// The thresholds of a block of columns, aligned so that no load of them touches two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Limits<T>([T; BLOCK]);

/// Packs row by row in little-endian order; `above` says which elements of a block exceed their thresholds. To be
/// inlined into a function that has the CPU features of `above`.
#[inline(always)]
fn pack_rows<const N: usize, T>(
    x: Rows<'_>,
    thresholds: &[Limits<T>],
    out: &mut [u8],
    above: impl Fn(&[[u8; N]; BLOCK], &[T; BLOCK]) -> u64,
) {
    match thresholds {
        // A loop of its own, in which the thresholds stay in registers.
        [all] => pack_rows_with(x, |_| all, out, above),
        _ => pack_rows_with(x, |block| &thresholds[block], out, above),
    }
}

#[inline(always)]
fn pack_rows_with<'t, const N: usize, T: 't>(
    x: Rows<'_>,
    limits_of: impl Fn(usize) -> &'t Limits<T>,
    out: &mut [u8],
    above: impl Fn(&[[u8; N]; BLOCK], &[T; BLOCK]) -> u64,
) {
    let dims = x.n_bytes / N;
    let (n_full, n_rest) = (dims / BLOCK, dims % BLOCK);
    for (index, out) in out.chunks_exact_mut(dims.div_ceil(8)).enumerate() {
        let elements = x.bytes_from_row(index).as_chunks::<N>().0;
        let (full, rest) = elements.split_at(n_full * BLOCK);
        let (out_full, out_rest) = out.split_at_mut(n_full * BLOCK / 8);
        let blocks = full.as_chunks::<BLOCK>().0.iter().zip(out_full.as_chunks_mut::<8>().0);
        for (number, (block, out)) in blocks.enumerate() {
            *out = above(block, &limits_of(number).0).to_le_bytes();
        }
        if n_rest > 0 {
            let limits = &limits_of(n_full).0;
            // What follows the row in memory is read too and then dropped; after the last row there is nothing.
            let ones = match rest.first_chunk::<BLOCK>() {
                Some(block) => above(block, limits),
                None => above(&padded(&rest[..n_rest], [0; N]), limits),
            };
            let bytes = (ones & ((1 << n_rest) - 1)).to_le_bytes();
            out_rest.copy_from_slice(&bytes[..out_rest.len()]);
        }
    }
}

/// Writes for each of the first `n_bits` bits of each row `values[bit]`: elements of 1, 2, 4 or 8 bytes.
///
/// # Errors
/// [`Error::ElementSize`], [`Error::BitsLength`] or [`Error::OutputLength`] for arguments that do not fit each
/// other, [`Error::Interrupted`].
pub fn unpack(
    level: Level,
    codes: Rows<'_>,
    n_bits: usize,
    values: [&[u8]; 2],
    order: BitOrder,
    out: &mut [u8],
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    match (values[0].len(), values[1].len()) {
        (1, 1) => {
            unpack_with::<1>(codes, n_bits, values, out, parallel, |codes, n_bits, [zero, one], out| {
                let values = [u8::from_ne_bytes(zero), u8::from_ne_bytes(one)];
                at_level!(level, unpack_8(codes, n_bits, values, order, out))
            })
        }
        (2, 2) => {
            unpack_with::<2>(codes, n_bits, values, out, parallel, |codes, n_bits, [zero, one], out| {
                let values = [u16::from_ne_bytes(zero), u16::from_ne_bytes(one)];
                at_level!(level, unpack_16(codes, n_bits, values, order, out))
            })
        }
        (4, 4) => {
            unpack_with::<4>(codes, n_bits, values, out, parallel, |codes, n_bits, [zero, one], out| {
                let values = [u32::from_ne_bytes(zero), u32::from_ne_bytes(one)];
                at_level!(level, unpack_32(codes, n_bits, values, order, out))
            })
        }
        (8, 8) => {
            unpack_with::<8>(codes, n_bits, values, out, parallel, |codes, n_bits, [zero, one], out| {
                let values = [u64::from_ne_bytes(zero), u64::from_ne_bytes(one)];
                at_level!(level, unpack_64(codes, n_bits, values, order, out))
            })
        }
        (size, _) => Err(Error::ElementSize { size }),
    }
}

/// Splits `codes` over the threads; the elements of `out` have `N` bytes.
fn unpack_with<const N: usize>(
    codes: Rows<'_>,
    n_bits: usize,
    values: [&[u8]; 2],
    out: &mut [u8],
    parallel: &Parallel<'_>,
    kernel: impl Fn(Rows<'_>, usize, [[u8; N]; 2], &mut [[u8; N]]) + Sync,
) -> Result<(), Error> {
    let values = values.map(|value| padded(value, 0));
    let (out, partial) = out.as_chunks_mut::<N>();
    if !partial.is_empty() {
        return Err(Error::ElementSize { size: N });
    }
    if codes.n_bytes != n_bits.div_ceil(8) {
        return Err(Error::BitsLength { n_bytes: codes.n_bytes, n_bits });
    }
    check_length(out.len(), codes.n_rows, n_bits)?;
    if out.is_empty() {
        return Ok(());
    }
    // Without padding between the rows they are one long row, which has one tail at most.
    let codes = codes.flat().filter(|_| n_bits.is_multiple_of(8)).unwrap_or(codes);
    if codes.n_rows == 1 {
        return parallel.for_each_chunk(out, TASK_BYTES / N, |task, out| {
            let n_bytes = TASK_BYTES / N / 8;
            kernel(codes.columns(task * n_bytes, n_bytes), out.len(), values, out);
        });
    }
    let rows = (TASK_BYTES / N / n_bits).max(1);
    parallel.for_each_chunk(out, rows * n_bits, |task, out| {
        kernel(codes.rows(task * rows, rows), n_bits, values, out);
    })
}

/// Unpacks row by row; `spread` writes the elements of a block. To be inlined into a function that has the CPU
/// features of `spread`.
#[inline(always)]
fn unpack_rows<const N: usize>(
    codes: Rows<'_>,
    n_bits: usize,
    out: &mut [[u8; N]],
    spread: impl Fn([u8; 8], &mut [[u8; N]; BLOCK]),
) {
    for index in 0..codes.n_rows {
        // The row and all rows after it: a tail may be written in full where the next row overwrites it.
        let mut out = &mut out[index * n_bits..];
        let mut codes = codes.bytes_from_row(index);
        let mut n_bits = n_bits;
        // A long row is written from a cache line on, if that is at a whole byte of the code: a store across two
        // lines costs twice. What lies before is the head of one more block, which overlaps the next.
        let head = out.as_ptr().align_offset(64);
        if n_bits >= 8 * BLOCK && head > 0 && head < BLOCK && head.is_multiple_of(8) {
            if let (Some(bytes), Some(out)) = (codes.first_chunk(), out.first_chunk_mut()) {
                spread(*bytes, out);
            }
            (out, codes, n_bits) = (&mut out[head..], &codes[head / 8..], n_bits - head);
        }
        let (n_full, n_rest) = (n_bits / BLOCK, n_bits % BLOCK);
        let (full, rest) = codes.split_at(n_full * 8);
        let (out_full, out_rest) = out.split_at_mut(n_full * BLOCK);
        for (bytes, out) in full.as_chunks::<8>().0.iter().zip(out_full.as_chunks_mut::<BLOCK>().0) {
            spread(*bytes, out);
        }
        if n_rest > 0 {
            let bytes = match rest.first_chunk::<8>() {
                Some(bytes) => *bytes,
                None => padded(rest, 0),
            };
            match out_rest.first_chunk_mut::<BLOCK>() {
                Some(out) => spread(bytes, out),
                None => {
                    let mut block = [[0; N]; BLOCK];
                    spread(bytes, &mut block);
                    out_rest[..n_rest].copy_from_slice(&block[..n_rest]);
                }
            }
        }
    }
}

/// Writes the number of ones of each row.
///
/// # Errors
/// [`Error::OutputLength`] if `out` has not one element for each row, [`Error::Interrupted`].
pub fn popcount(
    level: Level,
    codes: Codes<'_>,
    out: &mut [i32],
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    check_length(out.len(), codes.n_rows(), 1)?;
    let rows = (TASK_BYTES / codes.n_bytes()).max(1);
    parallel.for_each_chunk(out, rows, |task, out| {
        popcount_rows(level, codes.slice(task * rows, task * rows + out.len()), out);
    })
}

/// [`popcount`] on this thread.
pub(crate) fn popcount_rows(level: Level, codes: Codes<'_>, out: &mut [i32]) {
    assert!(out.len() == codes.n_rows(), "kernel called with wrong lengths");
    at_level!(level, popcount(codes, out));
}

/// Positive infinity; what has a greater [`f16_key`] is NaN.
const F16_INFINITY: i16 = 0x7c00;

/// An integer that orders half floats as their values do: negative ones have their magnitude flipped. Minus zero
/// comes just below zero, and NaN beyond the infinities.
#[inline(always)]
fn f16_key(bits: u16) -> i16 {
    let signed = bits as i16;
    signed ^ ((signed >> 15) & i16::MAX)
}

/// The key that exactly the keys of greater values exceed.
fn f16_threshold_key(bits: u16) -> i16 {
    match bits {
        0x8000 => f16_key(0),                        // minus zero equals zero
        _ if bits & 0x7fff > 0x7c00 => F16_INFINITY, // nothing exceeds NaN
        _ => f16_key(bits),
    }
}

fn check_length(given: usize, n_rows: usize, per_row: usize) -> Result<(), Error> {
    let expected = n_rows.saturating_mul(per_row);
    if given == expected { Ok(()) } else { Err(Error::OutputLength { given, expected }) }
}

/// The elements of `short` and then `padding`.
#[inline(always)]
fn padded<T: Copy, const N: usize>(short: &[T], padding: T) -> [T; N] {
    let mut long = [padding; N];
    long[..short.len()].copy_from_slice(short);
    long
}
