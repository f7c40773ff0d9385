//! Packed bits: [`pack`], [`unpack`], [`popcount`], and integers of 1 to 16 bits.
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
//! Pack and unpack work on blocks of 64 dimensions. A level provides one block: 64 comparisons into a `u64` whose bit `i` is
//! dimension `i`, and the inverse. Rows, tails, bit order and threads are written once, here.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod columns;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod rows;
mod uint;

pub use rows::Rows;
pub(crate) use uint::pack_bytes;
pub use uint::{FromBits, pack_uint, unpack_uint};

use crate::error::{check_len, try_collect};
use crate::level::at_level;
use crate::{Codes, Error, Level, Run};

/// Dimensions in a block.
const DIMS_PER_BLOCK: usize = 64;

/// Bytes that a task reads or writes: about 50 microseconds, long enough to be worth starting a thread.
const BYTES_PER_TASK: usize = 1 << 20;

/// The position of the first dimension in a byte.
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

/// The type of the values, and what each must exceed for its bit to be one: one threshold for all dimensions, or one for each.
#[derive(Clone, Copy, Debug)]
pub enum Thresholds<'a> {
    /// Values are bytes; those other than zero are ones.
    NonZero,
    /// Values are IEEE half floats, given by their bits.
    F16(&'a [u16]),
    /// Values are single floats.
    F32(&'a [f32]),
    /// Values are double floats.
    F64(&'a [f64]),
}

/// The axis of an array along which codes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// Each row is packed into a code: its elements are the dimensions.
    Rows,
    /// Each column is packed into a code, as if the array were transposed: the rows are the dimensions.
    Columns,
}

/// Writes `ceil(dims / 8)` bytes for each row or column of `x`: its bits are `x > threshold`, false for NaN; padding
/// is zero.
///
/// # Errors
/// [`Error::Incompatible`] if rows do not hold whole elements, [`Error::Mismatch`] for the wrong number of thresholds,
/// [`Error::Length`] for the wrong length of `out`, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn pack(
    x: Rows<'_>,
    along: Along,
    thresholds: Thresholds<'_>,
    order: BitOrder,
    out: &mut [u8],
    run: &Run<'_>,
) -> Result<(), Error> {
    let level = run.level();
    match thresholds {
        Thresholds::NonZero => pack_with::<1, _>(x, along, &[()], order, out, run, |x, t, out| {
            at_level!(level, pack_bool(x, t, out));
        }),
        Thresholds::F16(t) => {
            let keys = try_collect(t.iter().copied().map(f16_threshold_key))?;
            pack_with::<2, _>(x, along, &keys, order, out, run, |x, t, out| {
                at_level!(level, pack_f16(x, t, out));
            })
        }
        Thresholds::F32(t) => pack_with::<4, _>(x, along, t, order, out, run, |x, t, out| {
            at_level!(level, pack_f32(x, t, out));
        }),
        Thresholds::F64(t) => pack_with::<8, _>(x, along, t, order, out, run, |x, t, out| {
            at_level!(level, pack_f64(x, t, out));
        }),
    }
}

/// Checks the arguments; the elements of `x` have `N` bytes. The kernel packs rows in little-endian order, given one
/// block of thresholds that is for all columns, or one for each block of columns.
fn pack_with<const N: usize, T: Copy + Sync>(
    x: Rows<'_>,
    along: Along,
    thresholds: &[T],
    order: BitOrder,
    out: &mut [u8],
    run: &Run<'_>,
    kernel: impl Fn(Rows<'_>, &[Limits<T>], &mut [u8]) + Sync,
) -> Result<(), Error> {
    if !x.n_bytes.is_multiple_of(N) {
        return Err(partial_element("x", x.n_bytes, N));
    }
    let (n_codes, dims) = match along {
        Along::Rows => (x.n_rows, x.n_bytes / N),
        Along::Columns => (x.n_bytes / N, x.n_rows),
    };
    if thresholds.len() != 1 && thresholds.len() != dims {
        let (first, second) = (("threshold", thresholds.len()), ("x", dims));
        let hint = "expected one threshold, or one for each dimension of x";
        return Err(Error::Mismatch { unit: "values", first, second, hint });
    }
    check_len("out", "bytes", out.len(), n_codes.saturating_mul(dims.div_ceil(8)))?;
    if out.is_empty() {
        return Ok(());
    }
    match along {
        Along::Rows => pack_split_rows::<N, T>(x, thresholds, order, out, run, kernel),
        Along::Columns => columns::pack::<N, T>(x, thresholds, order, out, run, kernel),
    }
}

/// Packs rows, split over the threads.
fn pack_split_rows<const N: usize, T: Copy + Sync>(
    x: Rows<'_>,
    thresholds: &[T],
    order: BitOrder,
    out: &mut [u8],
    run: &Run<'_>,
    kernel: impl Fn(Rows<'_>, &[Limits<T>], &mut [u8]) + Sync,
) -> Result<(), Error> {
    let dims = x.n_bytes / N;
    let blocks = match thresholds {
        [threshold] => vec![Limits([*threshold; DIMS_PER_BLOCK])],
        _ => {
            try_collect(thresholds.chunks(DIMS_PER_BLOCK).map(|chunk| Limits(padded(chunk, thresholds[0]))))?
        }
    };
    // Rows without padding between them are one long row, which has at most one tail.
    let x = x.flat().filter(|_| thresholds.len() == 1 && dims.is_multiple_of(8)).unwrap_or(x);
    let level = run.level();
    let pack = |x: Rows<'_>, thresholds: &[Limits<T>], out: &mut [u8]| {
        kernel(x, thresholds, out);
        // While the bytes are in the cache, many are reversed at once.
        if order == BitOrder::Big {
            at_level!(level, reverse_bits(out));
        }
    };
    if x.n_rows == 1 {
        return run.for_each_chunk(out, BYTES_PER_TASK / N / 8, |task, out| {
            let first_block = (task * BYTES_PER_TASK / N / DIMS_PER_BLOCK).min(blocks.len() - 1);
            pack(x.columns(task * BYTES_PER_TASK, BYTES_PER_TASK), &blocks[first_block..], out);
            Ok(())
        });
    }
    let rows = (BYTES_PER_TASK / x.n_bytes).max(1);
    run.for_each_chunk(out, rows * dims.div_ceil(8), |task, out| {
        pack(x.rows(task * rows, rows), &blocks, out);
        Ok(())
    })
}

/// The thresholds of a block of columns, aligned so that no load of them touches two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Limits<T>([T; DIMS_PER_BLOCK]);

/// Packs row by row in little-endian order; `above` returns which elements of a block exceed their thresholds. Inlined into a
/// function that has the CPU features of `above`.
#[inline(always)]
fn pack_rows<const N: usize, T>(
    x: Rows<'_>,
    thresholds: &[Limits<T>],
    out: &mut [u8],
    above: impl Fn(&[[u8; N]; DIMS_PER_BLOCK], &[T; DIMS_PER_BLOCK]) -> u64,
) {
    match thresholds {
        // A separate loop, in which the thresholds stay in registers.
        [all] => pack_rows_with(x, |_| all, out, above),
        _ => pack_rows_with(x, |block| &thresholds[block], out, above),
    }
}

#[inline(always)]
fn pack_rows_with<'t, const N: usize, T: 't>(
    x: Rows<'_>,
    limits_of: impl Fn(usize) -> &'t Limits<T>,
    out: &mut [u8],
    above: impl Fn(&[[u8; N]; DIMS_PER_BLOCK], &[T; DIMS_PER_BLOCK]) -> u64,
) {
    let dims = x.n_bytes / N;
    let (n_full, n_rest) = (dims / DIMS_PER_BLOCK, dims % DIMS_PER_BLOCK);
    for (index, out) in out.chunks_exact_mut(dims.div_ceil(8)).enumerate() {
        let elements = x.bytes_from_row(index).as_chunks::<N>().0;
        let (full, rest) = elements.split_at(n_full * DIMS_PER_BLOCK);
        let (out_full, out_rest) = out.split_at_mut(n_full * DIMS_PER_BLOCK / 8);
        let blocks = full.as_chunks::<DIMS_PER_BLOCK>().0.iter().zip(out_full.as_chunks_mut::<8>().0);
        for (number, (block, out)) in blocks.enumerate() {
            *out = above(block, &limits_of(number).0).to_le_bytes();
        }
        if n_rest > 0 {
            let limits = &limits_of(n_full).0;
            // What follows the row in memory is read too and then dropped; nothing follows the last row.
            let ones = match rest.first_chunk::<DIMS_PER_BLOCK>() {
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
/// [`Error::Incompatible`] for elements of another size, [`Error::Length`] for the wrong number of bytes in a row of `codes` or
/// elements in `out`, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn unpack(
    codes: Rows<'_>,
    n_bits: usize,
    values: [&[u8]; 2],
    order: BitOrder,
    out: &mut [u8],
    run: &Run<'_>,
) -> Result<(), Error> {
    let level = run.level();
    match (values[0].len(), values[1].len()) {
        (1, 1) => unpack_with::<1>(codes, n_bits, values, out, run, |codes, n_bits, [zero, one], out| {
            let values = [u8::from_ne_bytes(zero), u8::from_ne_bytes(one)];
            at_level!(level, unpack_8(codes, n_bits, values, order, out))
        }),
        (2, 2) => unpack_with::<2>(codes, n_bits, values, out, run, |codes, n_bits, [zero, one], out| {
            let values = [u16::from_ne_bytes(zero), u16::from_ne_bytes(one)];
            at_level!(level, unpack_16(codes, n_bits, values, order, out))
        }),
        (4, 4) => unpack_with::<4>(codes, n_bits, values, out, run, |codes, n_bits, [zero, one], out| {
            let values = [u32::from_ne_bytes(zero), u32::from_ne_bytes(one)];
            at_level!(level, unpack_32(codes, n_bits, values, order, out))
        }),
        (8, 8) => unpack_with::<8>(codes, n_bits, values, out, run, |codes, n_bits, [zero, one], out| {
            let values = [u64::from_ne_bytes(zero), u64::from_ne_bytes(one)];
            at_level!(level, unpack_64(codes, n_bits, values, order, out))
        }),
        (size, _) => {
            let problem = format!("values have {size} bytes; expected two elements of 1, 2, 4 or 8 bytes");
            Err(Error::Incompatible { problem })
        }
    }
}

/// Splits `codes` over the threads; the elements of `out` have `N` bytes.
fn unpack_with<const N: usize>(
    codes: Rows<'_>,
    n_bits: usize,
    values: [&[u8]; 2],
    out: &mut [u8],
    run: &Run<'_>,
    kernel: impl Fn(Rows<'_>, usize, [[u8; N]; 2], &mut [[u8; N]]) + Sync,
) -> Result<(), Error> {
    let values = values.map(|value| padded(value, 0));
    let (out, partial) = out.as_chunks_mut::<N>();
    if !partial.is_empty() {
        return Err(partial_element("out", out.len() * N + partial.len(), N));
    }
    check_len("codes", "bytes per row", codes.n_bytes, n_bits.div_ceil(8))?;
    check_len("out", "elements", out.len(), codes.n_rows.saturating_mul(n_bits))?;
    if out.is_empty() {
        return Ok(());
    }
    // Rows without padding between them are one long row, which has at most one tail.
    let codes = codes.flat().filter(|_| n_bits.is_multiple_of(8)).unwrap_or(codes);
    if codes.n_rows == 1 {
        return run.for_each_chunk(out, BYTES_PER_TASK / N, |task, out| {
            let n_bytes = BYTES_PER_TASK / N / 8;
            kernel(codes.columns(task * n_bytes, n_bytes), out.len(), values, out);
            Ok(())
        });
    }
    let rows = (BYTES_PER_TASK / N / n_bits).max(1);
    run.for_each_chunk(out, rows * n_bits, |task, out| {
        kernel(codes.rows(task * rows, rows), n_bits, values, out);
        Ok(())
    })
}

/// Unpacks row by row; `spread` writes the elements of a block. Inlined into a function that has the CPU features of `spread`.
#[inline(always)]
fn unpack_rows<const N: usize>(
    codes: Rows<'_>,
    n_bits: usize,
    out: &mut [[u8; N]],
    spread: impl Fn([u8; 8], &mut [[u8; N]; DIMS_PER_BLOCK]),
) {
    for index in 0..codes.n_rows {
        // The row and all rows after it: a tail may be written as a whole block, which the next row overwrites.
        let mut out = &mut out[index * n_bits..];
        let mut codes = codes.bytes_from_row(index);
        let mut n_bits = n_bits;
        // The blocks of a long row start at a cache line, if that is at a whole byte of the code: a store across two
        // lines costs twice. The elements before it are the head of one more block, which overlaps the next.
        let head = out.as_ptr().align_offset(64);
        if n_bits >= 8 * DIMS_PER_BLOCK && head > 0 && head < DIMS_PER_BLOCK && head.is_multiple_of(8) {
            if let (Some(bytes), Some(out)) = (codes.first_chunk(), out.first_chunk_mut()) {
                spread(*bytes, out);
            }
            (out, codes, n_bits) = (&mut out[head..], &codes[head / 8..], n_bits - head);
        }
        let (n_full, n_rest) = (n_bits / DIMS_PER_BLOCK, n_bits % DIMS_PER_BLOCK);
        let (full, rest) = codes.split_at(n_full * 8);
        let (out_full, out_rest) = out.split_at_mut(n_full * DIMS_PER_BLOCK);
        for (bytes, out) in full.as_chunks::<8>().0.iter().zip(out_full.as_chunks_mut::<DIMS_PER_BLOCK>().0) {
            spread(*bytes, out);
        }
        if n_rest > 0 {
            let bytes = match rest.first_chunk::<8>() {
                Some(bytes) => *bytes,
                None => padded(rest, 0),
            };
            match out_rest.first_chunk_mut::<DIMS_PER_BLOCK>() {
                Some(out) => spread(bytes, out),
                None => {
                    let mut block = [[0; N]; DIMS_PER_BLOCK];
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
/// [`Error::Length`] if `out` does not have one element for each row, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn popcount(codes: Codes<'_>, out: &mut [i32], run: &Run<'_>) -> Result<(), Error> {
    check_len("out", "elements", out.len(), codes.n_rows())?;
    let level = run.level();
    let rows = (BYTES_PER_TASK / codes.n_bytes()).max(1);
    run.for_each_chunk(out, rows, |task, out| {
        popcount_rows(level, codes.slice(task * rows, task * rows + out.len()), out);
        Ok(())
    })
}

/// [`popcount`] on this thread.
pub(crate) fn popcount_rows(level: Level, codes: Codes<'_>, out: &mut [i32]) {
    assert!(out.len() == codes.n_rows(), "kernel called with wrong lengths");
    at_level!(level, popcount(codes, out));
}

/// Positive infinity; a value with a greater [`f16_key`] is NaN.
const F16_INFINITY: i16 = 0x7c00;

/// An integer that orders half floats as their values do: negative ones have their magnitude flipped. Minus zero is just below
/// zero, and NaN beyond the infinities.
#[inline(always)]
fn f16_key(bits: u16) -> i16 {
    let signed = bits as i16;
    signed ^ ((signed >> 15) & i16::MAX)
}

/// The key that is exceeded by the keys of greater values and no others.
fn f16_threshold_key(bits: u16) -> i16 {
    match bits {
        0x8000 => f16_key(0),                        // minus zero equals zero
        _ if bits & 0x7fff > 0x7c00 => F16_INFINITY, // nothing exceeds NaN
        _ => f16_key(bits),
    }
}

/// The error of an array whose bytes do not make up whole elements.
fn partial_element(name: &str, n_bytes: usize, size: usize) -> Error {
    Error::Incompatible {
        problem: format!(
            "{name} has {n_bytes} bytes; expected a multiple of {size}, the bytes of an element"
        ),
    }
}

/// The elements of `short` and then `padding`.
#[inline(always)]
fn padded<T: Copy, const N: usize>(short: &[T], padding: T) -> [T; N] {
    let mut long = [padding; N];
    long[..short.len()].copy_from_slice(short);
    long
}
