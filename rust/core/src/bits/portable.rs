//! The definition of the family, in plain Rust. The loops are written so that a compiler can vectorize them: 64 elements at a
//! time without branches.

use super::{BitOrder, DIMS_PER_BLOCK, F16_INFINITY, Limits, Rows, f16_key, pack_rows, unpack_rows};
use crate::Codes;

pub(super) fn pack_bool(x: Rows<'_>, nothing: &[Limits<()>], out: &mut [u8]) {
    pack_rows::<1, _>(x, nothing, out, |x, nothing| above(x, nothing, |[x], ()| x != 0));
}

pub(super) fn pack_f16(x: Rows<'_>, thresholds: &[Limits<i16>], out: &mut [u8]) {
    pack_rows::<2, _>(x, thresholds, out, |x, t| {
        above(x, t, |x, t| {
            let x = f16_key(u16::from_ne_bytes(x));
            (x > t) & (x <= F16_INFINITY)
        })
    });
}

pub(super) fn pack_f32(x: Rows<'_>, thresholds: &[Limits<f32>], out: &mut [u8]) {
    pack_rows::<4, _>(x, thresholds, out, |x, t| above(x, t, |x, t| f32::from_ne_bytes(x) > t));
}

pub(super) fn pack_f64(x: Rows<'_>, thresholds: &[Limits<f64>], out: &mut [u8]) {
    pack_rows::<8, _>(x, thresholds, out, |x, t| above(x, t, |x, t| f64::from_ne_bytes(x) > t));
}

/// Bit `i` is `is_above(x[i], thresholds[i])`.
#[inline(always)]
fn above<X: Copy, T: Copy>(
    x: &[X; DIMS_PER_BLOCK],
    thresholds: &[T; DIMS_PER_BLOCK],
    is_above: impl Fn(X, T) -> bool,
) -> u64 {
    let mut flags = [0_u8; DIMS_PER_BLOCK];
    for ((flag, &x), &t) in flags.iter_mut().zip(x).zip(thresholds) {
        *flag = is_above(x, t).into();
    }
    // Eight bytes of 0 or 1 become eight bits: the factor moves byte i to bit 56 + i, and no two terms meet.
    let gathered = flags.as_chunks::<8>().0.iter().map(|flags| {
        let flags = u64::from_le_bytes(*flags);
        flags.wrapping_mul(0x0102_0408_1020_4080) >> 56
    });
    gathered.rev().fold(0, |bits, byte| bits << 8 | byte)
}

#[inline(always)]
pub(super) fn reverse_bits(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = byte.reverse_bits();
    }
}

pub(super) fn unpack_8(
    codes: Rows<'_>,
    n_bits: usize,
    values: [u8; 2],
    order: BitOrder,
    out: &mut [[u8; 1]],
) {
    const EVERY: u64 = 0x0101_0101_0101_0101;
    let [zero, one] = values.map(|value| u64::from(value) * EVERY);
    unpack_rows(codes, n_bits, out, |bytes, out| {
        for (byte, out) in bytes.into_iter().zip(out.as_chunks_mut::<8>().0) {
            // Bit i becomes byte i: every byte gets all bits and keeps its own, which then becomes all ones.
            let bits = (u64::from(byte) * EVERY) & order.bit_of_byte();
            let is_one = (((bits + 0x7f * EVERY) >> 7) & EVERY) * 0xff;
            *out = (zero ^ ((zero ^ one) & is_one)).to_le_bytes().map(|byte| [byte]);
        }
    });
}

/// Elements of more than a byte.
macro_rules! unpack {
    ($name:ident, $element:ident) => {
        pub(super) fn $name(
            codes: Rows<'_>,
            n_bits: usize,
            values: [$element; 2],
            order: BitOrder,
            out: &mut [[u8; size_of::<$element>()]],
        ) {
            unpack_rows(codes, n_bits, out, |bytes, out| {
                let bits = order.bits(bytes);
                for (i, out) in out.iter_mut().enumerate() {
                    let value = if (bits >> i) & 1 == 0 { values[0] } else { values[1] };
                    *out = value.to_ne_bytes();
                }
            });
        }
    };
}

unpack!(unpack_16, u16);
unpack!(unpack_32, u32);
unpack!(unpack_64, u64);

#[inline(always)]
pub(super) fn popcount(codes: Codes<'_>, out: &mut [i32]) {
    for (index, out) in out.iter_mut().enumerate() {
        let (words, rest) = codes.row(index).as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_ne_bytes(*word).count_ones());
        *out = (words.sum::<u32>() + rest.iter().map(|byte| byte.count_ones()).sum::<u32>()) as i32;
    }
}
