//! AVX-512 kernels. A comparison gives a mask of bits.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;
use std::ops::Range;

use super::layout::{
    ByteScratch, COLUMNS_PER_BLOCK, COLUMNS_PER_TILE, Quads, ROWS_PER_GROUP, SignTiles, VALUES_PER_WORD,
    quad_sums,
};
use super::portable;
use crate::{Codes, Error};

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn to_dots(distances: &[i32], factor: i32, columns: &[i32], row: i32, dots: &mut [i32]) {
    portable::to_dots(distances, factor, columns, row, dots);
}

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn subtract(distances: &[i32], factor: i32, sums: &mut [i32]) {
    portable::subtract(distances, factor, sums);
}

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn scale_and_add(dots: &[i32], scale: &[f32], bias: &[f32], out: &mut [f32]) {
    portable::scale_and_add(dots, scale, bias, out);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(numbers: &[i32; 16]) -> __m512i {
    // SAFETY: `numbers` is 64 bytes.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn above(dots: &[i32], thresholds: &[i32], out: &mut [u8]) {
    let ((dots, last_dots), (thresholds, last_thresholds)) =
        (dots.as_chunks::<16>(), thresholds.as_chunks::<16>());
    let (pairs, last) = out.split_at_mut(2 * dots.len());
    for ((dots, thresholds), pair) in dots.iter().zip(thresholds).zip(pairs.as_chunks_mut::<2>().0) {
        *pair = _mm512_cmpge_epi32_mask(load(dots), load(thresholds)).reverse_bits().to_be_bytes();
    }
    portable::above(last_dots, last_thresholds, last);
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn split_planes(values: Codes<'_>, out: &mut [&mut [u8]]) {
    portable::split_rows(values, out, |values| bit_planes(values));
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn bit_planes(values: &[u8; VALUES_PER_WORD]) -> [u64; 8] {
    // SAFETY: `values` is 64 bytes.
    let values = unsafe { _mm512_loadu_si512(values.as_ptr().cast()) };
    let mut planes = [0; 8];
    for (plane, bits) in planes.iter_mut().enumerate() {
        *bits = _mm512_test_epi8_mask(values, _mm512_set1_epi8((1_u8 << plane) as i8));
    }
    planes
}

#[target_feature(enable = "avx512f")]
pub(super) fn keeps_bits(_n_columns: usize, _n_features: usize) -> bool {
    false
}

#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn byte_sums(
    rows: Codes<'_>,
    signs: &SignTiles,
    columns: Range<usize>,
    scratch: &mut ByteScratch,
    receive: impl FnMut(usize, Range<usize>, &[i32]),
) -> Result<(), Error> {
    quad_sums(
        rows,
        signs.as_quads(),
        columns,
        scratch,
        |groups, n_quads, tiles, sums| byte_dots(groups, n_quads, tiles, sums),
        |row, tiles, sums| byte_dots_of_one(row, tiles, sums),
        receive,
    )
}

/// Two groups by two tiles: sixteen independent sums, of signs that stay in the first-level cache.
#[target_feature(enable = "avx512f,avx512vnni")]
fn byte_dots(groups: &[[[u8; 4]; ROWS_PER_GROUP]], n_quads: usize, tiles: &[Quads], sums: &mut [i32]) {
    for (pair, tiles) in tiles.chunks(2 * n_quads).enumerate() {
        for (groups, sums) in
            groups.chunks(2 * n_quads).zip(sums.chunks_mut(2 * ROWS_PER_GROUP * COLUMNS_PER_BLOCK))
        {
            let ((first, second), (left, right)) = (groups.split_at(n_quads), tiles.split_at(n_quads));
            match (second.is_empty(), right.is_empty()) {
                (false, false) => store(tile_dots([first, second], [left, right]), 2 * pair, sums),
                (false, true) => store(tile_dots([first, second], [left]), 2 * pair, sums),
                (true, false) => store(tile_dots([first], [left, right]), 2 * pair, sums),
                (true, true) => store(tile_dots([first], [left]), 2 * pair, sums),
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn byte_dots_of_one(row: &[[u8; 4]], tiles: &[Quads], sums: &mut [i32]) {
    let (row, _) = row.as_chunks::<1>();
    let n_quads = row.len();
    for (four, tiles) in tiles.chunks(4 * n_quads).enumerate() {
        if tiles.len() == 4 * n_quads {
            let tiles = [0, 1, 2, 3].map(|tile| &tiles[tile * n_quads..][..n_quads]);
            store(tile_dots([row], tiles), 4 * four, sums);
            continue;
        }
        for (tile, signs) in tiles.chunks_exact(n_quads).enumerate() {
            store(tile_dots([row], [signs]), 4 * four + tile, sums);
        }
    }
}

/// The products of some groups of rows of bytes by some tiles of signs.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn tile_dots<const GROUPS: usize, const ROWS: usize, const TILES: usize>(
    groups: [&[[[u8; 4]; ROWS]]; GROUPS],
    tiles: [&[Quads]; TILES],
) -> [[[__m512i; TILES]; ROWS]; GROUPS] {
    let n_quads = tiles[0].len();
    let (groups, tiles) = (groups.map(|group| &group[..n_quads]), tiles.map(|tile| &tile[..n_quads]));
    let mut dots = [[[_mm512_setzero_si512(); TILES]; ROWS]; GROUPS];
    for quad in 0..n_quads {
        let mut signs = [_mm512_setzero_si512(); TILES];
        for tile in 0..TILES {
            signs[tile] = load_signs(&tiles[tile][quad]);
        }
        for group in 0..GROUPS {
            for row in 0..ROWS {
                let bytes = _mm512_set1_epi32(i32::from_le_bytes(groups[group][quad][row]));
                for tile in 0..TILES {
                    dots[group][row][tile] = _mm512_dpbusd_epi32(dots[group][row][tile], bytes, signs[tile]);
                }
            }
        }
    }
    dots
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_signs(signs: &Quads) -> __m512i {
    // SAFETY: `signs` is 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512(signs.0.as_ptr().cast()) }
}

/// Writes the products by some tiles from `first` on; `sums` has [`COLUMNS_PER_BLOCK`] elements for each row.
#[inline]
#[target_feature(enable = "avx512f")]
fn store<const GROUPS: usize, const ROWS: usize, const TILES: usize>(
    dots: [[[__m512i; TILES]; ROWS]; GROUPS],
    first: usize,
    sums: &mut [i32],
) {
    for (row, sums) in sums.chunks_mut(COLUMNS_PER_BLOCK).take(GROUPS * ROWS).enumerate() {
        let places = &mut sums.as_chunks_mut::<COLUMNS_PER_TILE>().0[first..first + TILES];
        for tile in 0..TILES {
            // SAFETY: each of `places` is 64 bytes.
            unsafe {
                _mm512_storeu_si512(places[tile].as_mut_ptr().cast(), dots[row / ROWS][row % ROWS][tile])
            };
        }
    }
}
