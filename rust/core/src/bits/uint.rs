//! Unsigned integers of 1 to 16 bits, side by side, highest bit first. One body for every level.
//!
//! Eight integers of `N` bits are `N` whole bytes, so a group of eight passes through one 128-bit number:
//!
//! ```text
//! N = 3, values      5   1   7   0   2   6   3   4
//! bits               101 001 111 000 010 110 011 100
//! bytes              10100111 10000101 10011100
//! ```

use super::{BYTES_PER_TASK, padded};
use crate::error::{At, check_len};
use crate::{Error, Run};

/// Calls `$function::<n_bits, ...>`, so that the shifts of the loops inside are constants.
macro_rules! with_bits {
    ($n_bits:expr, $function:ident($($argument:expr),*)) => {
        with_bits!(@ $n_bits, $function($($argument),*), 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    };
    (@ $n_bits:expr, $function:ident $arguments:tt, $($n:literal)*) => {
        match $n_bits {
            $($n => with_bits!(@call $function, $n, $arguments),)*
            given => Err(Error::Range { name: "n_bits", unit: "", given, low: 1, high: 16 }),
        }
    };
    (@call $function:ident, $n:literal, ($($argument:expr),*)) => { $function::<$n, _>($($argument),*) };
}

/// Writes the `n_bits` lowest bits of each value, for `d` values per row; rows start on byte boundaries.
///
/// # Errors
/// [`Error::Range`] if `n_bits` is not from 1 to 16, [`Error::Value`] if a value has more bits, [`Error::Length`] if there are no
/// whole rows of `values`, or not `ceil(d * n_bits / 8)` bytes of `out` for each, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn pack_uint<T: Copy + Into<u16> + Sync>(
    values: &[T],
    d: usize,
    n_bits: usize,
    out: &mut [u8],
    run: &Run<'_>,
) -> Result<(), Error> {
    with_bits!(n_bits, pack_with(values, d, out, run))
}

/// Reads `count` integers of `n_bits` bits from each row.
///
/// # Errors
/// [`Error::Range`] if `n_bits` is not from 1 to 16, [`Error::Length`] if `out` has no whole rows or `packed` does not have as many,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn unpack_uint<T: FromBits>(
    packed: &[u8],
    count: usize,
    n_bits: usize,
    out: &mut [T],
    run: &Run<'_>,
) -> Result<(), Error> {
    with_bits!(n_bits, unpack_with(packed, count, out, run))
}

/// The elements that [`unpack_uint`] can write.
pub trait FromBits: Copy + Send {
    /// The value with these bits; those that do not fit are dropped.
    fn from_bits(bits: u16) -> Self;
}

impl FromBits for u8 {
    fn from_bits(bits: u16) -> Self {
        bits as u8
    }
}

impl FromBits for u16 {
    fn from_bits(bits: u16) -> Self {
        bits
    }
}

fn pack_with<const N: usize, T: Copy + Into<u16> + Sync>(
    values: &[T],
    d: usize,
    out: &mut [u8],
    run: &Run<'_>,
) -> Result<(), Error> {
    let n_rows = values.len().checked_div(d).unwrap_or(0);
    let row_bytes = (d * N).div_ceil(8);
    check_len("values", "elements", values.len(), n_rows * d)?;
    check_len("out", "bytes", out.len(), n_rows * row_bytes)?;
    if let Some((index, value)) = first_out_of_range::<N, T>(values) {
        let expected = format!("integers from 0 to {}, which fit {N} bits", mask::<N>());
        return Err(Error::Value {
            name: "values",
            value: value.to_string(),
            at: At::Element(index),
            expected,
        });
    }
    if out.is_empty() {
        return Ok(());
    }
    let rows = (BYTES_PER_TASK / row_bytes).max(1);
    run.for_each_chunk(out, rows * row_bytes, |task, out| {
        let values = values[task * rows * d..].chunks_exact(d);
        for (values, out) in values.zip(out.chunks_exact_mut(row_bytes)) {
            pack_row::<N, T>(values, out);
        }
        Ok(())
    })
}

/// The index of the first value with more than `N` bits, and that value. A pass without branches decides whether there is one.
fn first_out_of_range<const N: usize, T: Copy + Into<u16>>(values: &[T]) -> Option<(usize, u16)> {
    let fits = |value: T| value.into() >> (N - 1) <= 1;
    let all_fit = values.chunks(1024).all(|chunk| chunk.iter().fold(true, |all, &value| all & fits(value)));
    if all_fit {
        return None;
    }
    let index = values.iter().position(|value| !fits(*value))?;
    Some((index, values[index].into()))
}

/// Packs one row of values below `2^n_bits`, for 1 to 8 bits.
pub(crate) fn pack_bytes(values: &[u8], n_bits: usize, out: &mut [u8]) {
    match n_bits {
        1 => pack_row::<1, u8>(values, out),
        2 => pack_row::<2, u8>(values, out),
        3 => pack_row::<3, u8>(values, out),
        4 => pack_row::<4, u8>(values, out),
        5 => pack_row::<5, u8>(values, out),
        6 => pack_row::<6, u8>(values, out),
        7 => pack_row::<7, u8>(values, out),
        _ => out.copy_from_slice(values),
    }
}

fn pack_row<const N: usize, T: Copy + Into<u16>>(values: &[T], out: &mut [u8]) {
    let (groups, rest) = values.as_chunks::<8>();
    let (out_groups, out_rest) = out.split_at_mut(groups.len() * N);
    for (group, out) in groups.iter().zip(out_groups.as_chunks_mut::<N>().0) {
        *out = pack_group(group.map(T::into));
    }
    if !rest.is_empty() {
        let mut group = [0; 8];
        for (place, &value) in group.iter_mut().zip(rest) {
            *place = value.into();
        }
        out_rest.copy_from_slice(&pack_group::<N>(group)[..out_rest.len()]);
    }
}

/// Masks the values: another thread may have changed them since they were checked.
#[inline]
fn pack_group<const N: usize>(values: [u16; 8]) -> [u8; N] {
    let bits = values.into_iter().fold(0_u128, |bits, value| bits << N | u128::from(value & mask::<N>()));
    let bytes = (bits << (128 - 8 * N)).to_be_bytes();
    std::array::from_fn(|i| bytes[i])
}

fn unpack_with<const N: usize, T: FromBits>(
    packed: &[u8],
    count: usize,
    out: &mut [T],
    run: &Run<'_>,
) -> Result<(), Error> {
    let row_bytes = (count * N).div_ceil(8);
    let n_rows = out.len().checked_div(count).unwrap_or(0);
    check_len("out", "elements", out.len(), n_rows * count)?;
    check_len("packed", "bytes", packed.len(), n_rows * row_bytes)?;
    if out.is_empty() {
        return Ok(());
    }
    let rows = (BYTES_PER_TASK / row_bytes).max(1);
    run.for_each_chunk(out, rows * count, |task, out| {
        let packed = packed[task * rows * row_bytes..].chunks_exact(row_bytes);
        for (packed, out) in packed.zip(out.chunks_exact_mut(count)) {
            unpack_row::<N, T>(packed, out);
        }
        Ok(())
    })
}

fn unpack_row<const N: usize, T: FromBits>(packed: &[u8], out: &mut [T]) {
    let (groups, rest) = packed.split_at(out.len() / 8 * N);
    let (out_groups, out_rest) = out.as_chunks_mut::<8>();
    for (group, out) in groups.as_chunks::<N>().0.iter().zip(out_groups) {
        *out = unpack_group(*group).map(T::from_bits);
    }
    let last = unpack_group::<N>(padded(rest, 0));
    for (out, value) in out_rest.iter_mut().zip(last) {
        *out = T::from_bits(value);
    }
}

#[inline]
fn unpack_group<const N: usize>(bytes: [u8; N]) -> [u16; 8] {
    let bits = u128::from_be_bytes(padded(&bytes, 0)) >> (128 - 8 * N);
    std::array::from_fn(|i| (bits >> (N * (7 - i))) as u16 & mask::<N>())
}

const fn mask<const N: usize>() -> u16 {
    u16::MAX >> (16 - N)
}
