//! From distances to results, in plain Rust: loops that compilers turn into good vector code.

use std::ops::Range;

use super::bytes::{GROUP, LANES, LeftScratch, Quads, SignTiles, quad_sums};
use super::pieces::COLUMNS;
use super::planes::BLOCK;
use crate::{Codes, Error, Level, Parallel};

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

/// The signs as bytes.
pub(super) fn sign_tiles(
    _level: Level,
    rows: Codes<'_>,
    n_channels: usize,
    parallel: &Parallel<'_>,
) -> Result<SignTiles, Error> {
    SignTiles::quads(rows, n_channels, parallel)
}

/// Calls `receive(row, columns, sums)` for the products of rows of bytes by signs.
pub(super) fn byte_sums(
    rows: Codes<'_>,
    signs: &SignTiles,
    columns: Range<usize>,
    scratch: &mut LeftScratch,
    receive: impl FnMut(usize, Range<usize>, &[i32]),
) {
    quad_sums(rows, signs.as_quads(), columns, scratch, byte_dots, byte_dots_of_one, receive);
}

/// Products of groups of rows of bytes by tiles of signs; `sums` has [`COLUMNS`] places for each row.
fn byte_dots(groups: &[[[u8; 4]; GROUP]], n_quads: usize, tiles: &[Quads], sums: &mut [i32]) {
    for (tile, signs) in tiles.chunks_exact(n_quads).enumerate() {
        for (bytes, sums) in groups.chunks_exact(n_quads).zip(sums.chunks_exact_mut(GROUP * COLUMNS)) {
            let mut dots = [[0; LANES]; GROUP];
            for (signs, bytes) in signs.iter().zip(bytes) {
                dots.iter_mut().zip(bytes).for_each(|(dots, bytes)| add_quad(*bytes, signs, dots));
            }
            for (sums, dots) in sums.chunks_exact_mut(COLUMNS).zip(dots) {
                sums[tile * LANES..][..LANES].copy_from_slice(&dots);
            }
        }
    }
}

/// The same for one row.
fn byte_dots_of_one(row: &[[u8; 4]], tiles: &[Quads], sums: &mut [i32]) {
    for (signs, sums) in tiles.chunks_exact(row.len()).zip(sums.as_chunks_mut::<LANES>().0) {
        *sums = [0; LANES];
        signs.iter().zip(row).for_each(|(signs, bytes)| add_quad(*bytes, signs, sums));
    }
}

/// Adds four products of each lane.
#[inline(always)]
fn add_quad(bytes: [u8; 4], signs: &Quads, dots: &mut [i32; LANES]) {
    for (dot, signs) in dots.iter_mut().zip(&signs.0) {
        for (byte, sign) in bytes.iter().zip(signs) {
            *dot += i32::from(*byte) * i32::from(*sign);
        }
    }
}
