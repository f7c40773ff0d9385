//! Portable kernels: plain loops that the compiler vectorizes. They define what the kernels of other levels compute.

use std::ops::Range;

use super::layout::{
    ByteScratch, COLUMNS_PER_BLOCK, COLUMNS_PER_TILE, Quads, ROWS_PER_GROUP, SignTiles, VALUES_PER_WORD,
    quad_sums,
};
use crate::{Codes, Error};

/// `dot = (column + row - factor * distance) / 2`, which is a whole number.
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

/// `dot * scale + bias`, rounded after each operation.
#[inline(always)]
pub(super) fn scale_and_add(dots: &[i32], scale: &[f32], bias: &[f32], out: &mut [f32]) {
    for (((out, dot), scale), bias) in out.iter_mut().zip(dots).zip(scale).zip(bias) {
        *out = *dot as f32 * scale + bias;
    }
}

pub(super) fn split_planes(values: Codes<'_>, out: &mut [&mut [u8]]) {
    split_rows(values, out, bit_planes);
}

/// Writes the first planes of rows of bytes, one slice of `out` for each. `bit_planes` splits 64 of them: bit `i` of number
/// `p` is bit `p` of value `i`.
#[inline(always)]
pub(super) fn split_rows(
    values: Codes<'_>,
    out: &mut [&mut [u8]],
    bit_planes: impl Fn(&[u8; VALUES_PER_WORD]) -> [u64; 8],
) {
    let n_bytes = values.n_bytes().div_ceil(8);
    for row in 0..values.n_rows() {
        for (word, values) in values.row(row).chunks(VALUES_PER_WORD).enumerate() {
            let mut padded = [0; VALUES_PER_WORD];
            let values = values.first_chunk().unwrap_or_else(|| {
                padded[..values.len()].copy_from_slice(values);
                &padded
            });
            let start = row * n_bytes + word * (VALUES_PER_WORD / 8);
            let end = (row * n_bytes + n_bytes).min(start + VALUES_PER_WORD / 8);
            for (out, bits) in out.iter_mut().zip(bit_planes(values)) {
                out[start..end].copy_from_slice(&bits.reverse_bits().to_be_bytes()[..end - start]);
            }
        }
    }
}

#[inline(always)]
fn bit_planes(values: &[u8; VALUES_PER_WORD]) -> [u64; 8] {
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

#[cfg(target_arch = "x86_64")]
pub(super) fn keeps_bits(_n_columns: usize, _n_features: usize) -> bool {
    false
}

pub(super) fn byte_sums(
    rows: Codes<'_>,
    signs: &SignTiles,
    columns: Range<usize>,
    scratch: &mut ByteScratch,
    receive: impl FnMut(usize, Range<usize>, &[i32]),
) -> Result<(), Error> {
    quad_sums(rows, signs.as_quads(), columns, scratch, byte_dots, byte_dots_of_one, receive)
}

/// Products of groups of rows of bytes by tiles of signs; `sums` has [`COLUMNS_PER_BLOCK`] elements for each row.
fn byte_dots(groups: &[[[u8; 4]; ROWS_PER_GROUP]], n_quads: usize, tiles: &[Quads], sums: &mut [i32]) {
    for (tile, signs) in tiles.chunks_exact(n_quads).enumerate() {
        for (bytes, sums) in
            groups.chunks_exact(n_quads).zip(sums.chunks_exact_mut(ROWS_PER_GROUP * COLUMNS_PER_BLOCK))
        {
            let mut dots = [[0; COLUMNS_PER_TILE]; ROWS_PER_GROUP];
            for (signs, bytes) in signs.iter().zip(bytes) {
                dots.iter_mut().zip(bytes).for_each(|(dots, bytes)| add_quad(*bytes, signs, dots));
            }
            for (sums, dots) in sums.chunks_exact_mut(COLUMNS_PER_BLOCK).zip(dots) {
                sums[tile * COLUMNS_PER_TILE..][..COLUMNS_PER_TILE].copy_from_slice(&dots);
            }
        }
    }
}

/// [`byte_dots`] for one row.
fn byte_dots_of_one(row: &[[u8; 4]], tiles: &[Quads], sums: &mut [i32]) {
    for (signs, sums) in tiles.chunks_exact(row.len()).zip(sums.as_chunks_mut::<COLUMNS_PER_TILE>().0) {
        *sums = [0; COLUMNS_PER_TILE];
        signs.iter().zip(row).for_each(|(signs, bytes)| add_quad(*bytes, signs, sums));
    }
}

/// Adds four products of each lane.
#[inline(always)]
fn add_quad(bytes: [u8; 4], signs: &Quads, dots: &mut [i32; COLUMNS_PER_TILE]) {
    for (dot, signs) in dots.iter_mut().zip(&signs.0) {
        for (byte, sign) in bytes.iter().zip(signs) {
            *dot += i32::from(*byte) * i32::from(*sign);
        }
    }
}
