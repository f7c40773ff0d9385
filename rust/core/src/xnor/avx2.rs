//! AVX2 kernels. A comparison fills a lane with ones, and movemask takes one bit of each byte of 32 lanes.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;
use std::ops::Range;

use super::layout::{
    ByteScratch, COLUMNS_PER_BLOCK, COLUMNS_PER_TILE, Quads, ROWS_PER_GROUP, SignTiles, VALUES_PER_WORD,
    quad_sums,
};
use super::{portable, subsets};
use crate::{Codes, Error};

#[target_feature(enable = "avx2")]
pub(super) fn to_dots(distances: &[i32], factor: i32, columns: &[i32], row: i32, dots: &mut [i32]) {
    portable::to_dots(distances, factor, columns, row, dots);
}

#[target_feature(enable = "avx2")]
pub(super) fn subtract(distances: &[i32], factor: i32, sums: &mut [i32]) {
    portable::subtract(distances, factor, sums);
}

#[target_feature(enable = "avx2")]
pub(super) fn scale_and_add(dots: &[i32], scale: &[f32], bias: &[f32], out: &mut [f32]) {
    portable::scale_and_add(dots, scale, bias, out);
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(numbers: &[i32; 8]) -> __m256i {
    // SAFETY: `numbers` is 32 bytes.
    unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
pub(super) fn above(dots: &[i32], thresholds: &[i32], out: &mut [u8]) {
    let ((dots, last_dots), (thresholds, last_thresholds)) =
        (dots.as_chunks::<32>(), thresholds.as_chunks::<32>());
    let (words, last) = out.split_at_mut(4 * dots.len());
    // The packs below interleave quarters; this puts them in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for ((dots, thresholds), word) in dots.iter().zip(thresholds).zip(words.as_chunks_mut::<4>().0) {
        let (dots, thresholds) = (dots.as_chunks::<8>().0, thresholds.as_chunks::<8>().0);
        let [a, b, c, d] =
            [0, 1, 2, 3].map(|part| _mm256_cmpgt_epi32(load(&thresholds[part]), load(&dots[part])));
        let below = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        let below = _mm256_movemask_epi8(_mm256_permutevar8x32_epi32(below, order)) as u32;
        *word = (!below).reverse_bits().to_be_bytes();
    }
    portable::above(last_dots, last_thresholds, last);
}

#[target_feature(enable = "avx2")]
pub(super) fn split_planes(values: Codes<'_>, out: &mut [&mut [u8]]) {
    portable::split_rows(values, out, |values| bit_planes(values));
}

#[inline]
#[target_feature(enable = "avx2")]
fn bit_planes(values: &[u8; VALUES_PER_WORD]) -> [u64; 8] {
    let mut planes = [0; 8];
    let [low, high] = values.as_chunks::<32>().0 else { unreachable!() };
    let mut halves = [low, high].map(|half| load_bytes(half));
    // The highest bit of each byte first; an addition brings the next one there.
    for bits in planes.iter_mut().rev() {
        let [low, high] = halves.map(|half| u64::from(_mm256_movemask_epi8(half) as u32));
        *bits = high << 32 | low;
        halves = halves.map(|half| _mm256_add_epi8(half, half));
    }
    planes
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_bytes(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: `bytes` is 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// With fewer columns or features, quads are faster than sums of subsets.
const SIZE_WORTH_SUBSETS: usize = 256;

#[target_feature(enable = "avx2")]
pub(super) fn keeps_bits(n_columns: usize, n_features: usize) -> bool {
    n_columns.min(n_features) >= SIZE_WORTH_SUBSETS
}

#[target_feature(enable = "avx2")]
pub(super) fn byte_sums(
    rows: Codes<'_>,
    signs: &SignTiles,
    columns: Range<usize>,
    scratch: &mut ByteScratch,
    receive: impl FnMut(usize, Range<usize>, &[i32]),
) -> Result<(), Error> {
    match signs {
        SignTiles::Quads { tiles, n_quads } => quad_sums(
            rows,
            (tiles, *n_quads),
            columns,
            scratch,
            |groups, n_quads, tiles, sums| byte_dots(groups, n_quads, tiles, sums),
            |row, tiles, sums| byte_dots_of_one(row, tiles, sums),
            receive,
        ),
        SignTiles::Bits { steps, n_words } => {
            subsets::byte_sums(rows, (steps, *n_words), columns, scratch, receive)
        }
    }
}

/// Quads whose sums of two products each, 510 at most, fit 16 bits.
const QUADS_PER_SUM: usize = 64;

#[target_feature(enable = "avx2")]
fn byte_dots(groups: &[[[u8; 4]; ROWS_PER_GROUP]], n_quads: usize, tiles: &[Quads], sums: &mut [i32]) {
    for (tile, signs) in tiles.chunks_exact(n_quads).enumerate() {
        for (bytes, sums) in
            groups.chunks_exact(n_quads).zip(sums.chunks_exact_mut(ROWS_PER_GROUP * COLUMNS_PER_BLOCK))
        {
            let dots = tile_dots(bytes, signs);
            for (sums, dots) in sums.chunks_exact_mut(COLUMNS_PER_BLOCK).zip(dots) {
                store(dots, &mut sums.as_chunks_mut::<COLUMNS_PER_TILE>().0[tile]);
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn byte_dots_of_one(row: &[[u8; 4]], tiles: &[Quads], sums: &mut [i32]) {
    let (row, _) = row.as_chunks::<1>();
    for (signs, sums) in tiles.chunks_exact(row.len()).zip(sums.as_chunks_mut::<COLUMNS_PER_TILE>().0) {
        let [dots] = tile_dots(row, signs);
        store(dots, sums);
    }
}

/// The products of some rows of bytes by a tile of signs: two registers of eight lanes for each.
#[inline]
#[target_feature(enable = "avx2")]
fn tile_dots<const ROWS: usize>(bytes: &[[[u8; 4]; ROWS]], signs: &[Quads]) -> [[__m256i; 2]; ROWS] {
    let ones = _mm256_set1_epi16(1);
    let mut dots = [[_mm256_setzero_si256(); 2]; ROWS];
    for (bytes, signs) in bytes.chunks(QUADS_PER_SUM).zip(signs.chunks(QUADS_PER_SUM)) {
        let mut pairs = [[_mm256_setzero_si256(); 2]; ROWS];
        for (bytes, Quads(signs)) in bytes.iter().zip(signs) {
            let (halves, _) = signs.as_chunks::<8>();
            for half in 0..2 {
                let signs = load_signs(&halves[half]);
                for row in 0..ROWS {
                    let byte = _mm256_set1_epi32(i32::from_le_bytes(bytes[row]));
                    pairs[row][half] = _mm256_add_epi16(pairs[row][half], _mm256_maddubs_epi16(byte, signs));
                }
            }
        }
        for row in 0..ROWS {
            for half in 0..2 {
                let fours = _mm256_madd_epi16(pairs[row][half], ones);
                dots[row][half] = _mm256_add_epi32(dots[row][half], fours);
            }
        }
    }
    dots
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_signs(signs: &[[i8; 4]; 8]) -> __m256i {
    // SAFETY: `signs` is 32 bytes.
    unsafe { _mm256_loadu_si256(signs.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(dots: [__m256i; 2], sums: &mut [i32; COLUMNS_PER_TILE]) {
    for (half, dots) in sums.as_chunks_mut::<8>().0.iter_mut().zip(dots) {
        // SAFETY: `half` is 32 bytes.
        unsafe { _mm256_storeu_si256(half.as_mut_ptr().cast(), dots) };
    }
}
