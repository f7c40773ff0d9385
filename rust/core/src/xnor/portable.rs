//! From distances to results, in plain Rust: loops that compilers turn into good vector code.

use super::planes::BLOCK;

/// `dot = (columns + row - factor * distance) / 2`, where that is whole.
#[inline(always)]
pub(super) fn to_dots(distances: &[i32], factor: i32, columns: &[i32], row: i32, dots: &mut [i32]) {
    for ((dot, distance), column) in dots.iter_mut().zip(distances).zip(columns) {
        *dot = column.wrapping_add(row).wrapping_sub(distance.wrapping_mul(factor)) >> 1;
    }
}

/// `sum -= factor * distance`.
#[inline(always)]
pub(super) fn subtract(distances: &[i32], factor: i32, sums: &mut [i32]) {
    for (sum, distance) in sums.iter_mut().zip(distances) {
        *sum = sum.wrapping_sub(distance.wrapping_mul(factor));
    }
}

/// A bit for each `dot >= threshold`, the first in the highest bit of a byte; padding is zero.
#[inline(always)]
pub(super) fn above(dots: &[i32], thresholds: &[i32], out: &mut [u8]) {
    for ((byte, dots), thresholds) in out.iter_mut().zip(dots.chunks(8)).zip(thresholds.chunks(8)) {
        let bits = dots.iter().zip(thresholds).enumerate();
        *byte = bits.fold(0, |byte, (bit, (dot, threshold))| byte | u8::from(dot >= threshold) << (7 - bit));
    }
}

/// `dot * scale + bias`, in two roundings.
#[inline(always)]
pub(super) fn scale_and_add(dots: &[i32], scale: &[f32], bias: &[f32], out: &mut [f32]) {
    for (((out, dot), scale), bias) in out.iter_mut().zip(dots).zip(scale).zip(bias) {
        *out = *dot as f32 * scale + bias;
    }
}

/// Bit `i` of number `p` is bit `p` of value `i`.
#[inline(always)]
pub(super) fn bit_planes(values: &[u8; BLOCK]) -> [u64; 8] {
    let mut planes = [0; 8];
    for (index, values) in values.as_chunks::<8>().0.iter().enumerate() {
        let values = u64::from_le_bytes(*values);
        for (plane, bits) in planes.iter_mut().enumerate() {
            // Eight bytes of 0 or 1 become eight bits: the factor moves byte i to bit 56 + i, and no two terms meet.
            let ones = values >> plane & 0x0101_0101_0101_0101;
            *bits |= (ones.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index);
        }
    }
    planes
}
