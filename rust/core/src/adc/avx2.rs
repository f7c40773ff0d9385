//! AVX2: a byte shuffle looks up 32 codes in 16 entries, twice a cycle on most CPUs.
//!
//! 256 entries are sixteen rows of 16. With `x` the codes less 16 for each row before, a shuffle gives an entry of this row to
//! every lane that is not yet below zero, and zero to the others; rows that hold their difference (xor) to the row before leave
//! the entry of the last such row. That is three instructions for a row, and all sixteen are taken: about 50 instructions for
//! 32 look-ups, against 32 loads and as many additions one by one.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;

use super::blocks::{ROWS, Width};
use super::bound::{ALONE, GROUP};
use super::codewords::{Codebook, LANES, Nearest, Scores};
use super::{Hit, Lanes, Metric, portable};
use crate::Codes;

/// Registers that are taken through the rows of a table together.
const TOGETHER: usize = 4;

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: `bytes` is 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(bytes: &mut [u8; 32], register: __m256i) {
    // SAFETY: `bytes` is 32 bytes.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), register) };
}

/// Sixteen bytes, twice.
#[inline]
#[target_feature(enable = "avx2")]
fn load_repeated(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: `bytes` is 16 bytes.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[target_feature(enable = "avx2")]
pub(super) fn bound_bytes<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<Hit>,
) {
    for (slot, (tables, limit)) in tables.iter().zip(limits).enumerate() {
        let differences: Vec<[u8; 256]> = tables.as_chunks().0.iter().map(differences).collect();
        bound(slot, limit, blocks, differences.len(), 1, hits, |plane, codes, sums| {
            add_bytes(&differences[plane], codes, sums);
        });
    }
}

/// Adds up `n_planes` planes of each block, of `in_plane` subspaces each, and appends the rows within the limit.
#[inline]
#[target_feature(enable = "avx2")]
fn bound(
    slot: usize,
    limit: u16,
    blocks: &[u8],
    n_planes: usize,
    in_plane: usize,
    hits: &mut Vec<Hit>,
    add: impl Fn(usize, &[u8; ROWS], &mut [u8; ROWS]),
) {
    let group = if n_planes > ALONE / in_plane { GROUP / in_plane } else { n_planes };
    for (block, planes) in blocks.chunks_exact(n_planes * ROWS).enumerate() {
        let mut totals = [0_u16; ROWS];
        for (index, planes) in planes.chunks(group * ROWS).enumerate() {
            let mut sums = [0_u8; ROWS];
            for (plane, codes) in (index * group..).zip(planes.as_chunks().0) {
                add(plane, codes, &mut sums);
            }
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = total.saturating_add(u16::from(sum));
            }
        }
        let within: [bool; ROWS] = totals.map(|total| total <= limit);
        if within.contains(&true) {
            hits.push(Hit { slot: slot as u32, block: block as u32, lanes: portable::lanes(&within) });
        }
    }
}

/// Rows 0 and 8 of a table as they are, and of the others the difference to the row before.
fn differences(table: &[u8; 256]) -> [u8; 256] {
    let mut differences = *table;
    for half in [16..128, 144..256] {
        for index in half {
            differences[index] ^= table[index - 16];
        }
    }
    differences
}

/// Adds the entry for each code.
#[inline]
#[target_feature(enable = "avx2")]
fn add_bytes(differences: &[u8; 256], codes: &[u8; ROWS], sums: &mut [u8; ROWS]) {
    let (halves, _) = differences.as_chunks::<128>();
    let (codes, _) = codes.as_chunks::<32>();
    let (sums, _) = sums.as_chunks_mut::<32>();
    let row_i8x32 = _mm256_set1_epi8(16);
    for (codes, sums) in codes.as_chunks::<TOGETHER>().0.iter().zip(sums.as_chunks_mut::<TOGETHER>().0) {
        let mut entries = [_mm256_setzero_si256(); TOGETHER];
        for (half, flipped) in halves.iter().zip([0, 0x80_u8]) {
            let mut x = [_mm256_setzero_si256(); TOGETHER];
            for (x, codes) in x.iter_mut().zip(codes) {
                *x = _mm256_xor_si256(load(codes), _mm256_set1_epi8(flipped as i8));
            }
            for row in half.as_chunks::<16>().0 {
                let row = load_repeated(row);
                for (entry, x) in entries.iter_mut().zip(&mut x) {
                    *entry = _mm256_xor_si256(*entry, _mm256_shuffle_epi8(row, *x));
                    *x = _mm256_subs_epi8(*x, row_i8x32);
                }
            }
        }
        for (sum, entry) in sums.iter_mut().zip(entries) {
            let total = _mm256_adds_epu8(load(sum), entry);
            store(sum, total);
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn bound_nibbles<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<Hit>,
) {
    for (slot, (tables, limit)) in tables.iter().zip(limits).enumerate() {
        let (tables, _) = tables.as_chunks::<32>();
        bound(slot, limit, blocks, tables.len(), 2, hits, |plane, codes, sums| {
            add_nibbles(&tables[plane], codes, sums);
        });
    }
}

/// Adds the entries for the low and the high code of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn add_nibbles(tables: &[u8; 32], codes: &[u8; ROWS], sums: &mut [u8; ROWS]) {
    let (tables, _) = tables.as_chunks::<16>();
    let (low, high) = (load_repeated(&tables[0]), load_repeated(&tables[1]));
    let mask = _mm256_set1_epi8(0xF);
    for (codes, sum) in codes.as_chunks().0.iter().zip(sums.as_chunks_mut().0) {
        let codes = load(codes);
        let low_codes = _mm256_and_si256(codes, mask);
        let high_codes = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask);
        let total = _mm256_adds_epu8(load(sum), _mm256_shuffle_epi8(low, low_codes));
        let total = _mm256_adds_epu8(total, _mm256_shuffle_epi8(high, high_codes));
        store(sum, total);
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn sum_bytes(tables: &[f32], planes: &[u8], first_row: usize, out: &mut [f32]) {
    portable::sum_bytes(tables, planes, first_row, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn sum_nibbles(tables: &[f32], planes: &[u8], first_row: usize, out: &mut [f32]) {
    portable::sum_nibbles(tables, planes, first_row, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn floor<const N: usize>(
    tables: &[[f32; N]],
    smallest: &[f32],
    scale: f64,
    floors: &mut [[u8; N]],
) {
    let (scale, largest) = (_mm256_set1_pd(scale), _mm256_set1_pd(255.0));
    for ((table, smallest), floor) in tables.iter().zip(smallest).zip(floors) {
        let smallest = _mm256_set1_pd(f64::from(*smallest));
        for (entries, floor) in table.as_chunks::<4>().0.iter().zip(floor.as_chunks_mut::<4>().0) {
            // SAFETY: `entries` is 4 floats.
            let entries = _mm256_cvtps_pd(unsafe { _mm_loadu_ps(entries.as_ptr()) });
            let scaled = _mm256_mul_pd(_mm256_sub_pd(entries, smallest), scale);
            let floors_i32x4 = _mm256_cvttpd_epi32(_mm256_min_pd(scaled, largest));
            // Each fits a byte: the lowest byte of each lane is all of it.
            let lowest_bytes = _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
            let four = _mm_cvtsi128_si32(_mm_shuffle_epi8(floors_i32x4, lowest_bytes));
            *floor = four.to_le_bytes();
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn alike(planes: &[u8], row: usize) -> Lanes {
    portable::alike(planes, row)
}

#[target_feature(enable = "avx2")]
pub(super) fn table_as_is(part: &[f32], codewords: &[f32], metric: Metric, table: &mut [f32]) {
    portable::table_as_is(part, codewords, metric, table);
}

#[target_feature(enable = "avx2")]
pub(super) fn table(part: &[f32], transposed: &[f32], metric: Metric, table: &mut [f32]) {
    portable::table(part, transposed, metric, table);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn nearest(columns: &[[f32; LANES]], codebook: Codebook<'_>, found: &mut Nearest) {
    let scores = scores(columns, codebook);
    if !scores.settle(columns, codebook, found) {
        nearest_by_distances(columns, codebook.values, found);
    }
}

/// The largest scores of the codewords: a fused operation for each dimension.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn scores(columns: &[[f32; LANES]], codebook: Codebook<'_>) -> Scores {
    let n_dims = columns.len();
    let lowest = _mm256_set1_ps(f32::NEG_INFINITY);
    let (mut largest, mut second, mut indices) = ([lowest; 2], [lowest; 2], [_mm256_setzero_si256(); 2]);
    let mut index = _mm256_setzero_si256();
    let mut take = |scores: [__m256; 2]| {
        for half in 0..2 {
            let is_more = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GT_OQ>(scores[half], largest[half]));
            second[half] = _mm256_max_ps(second[half], _mm256_min_ps(largest[half], scores[half]));
            largest[half] = _mm256_max_ps(largest[half], scores[half]);
            indices[half] = _mm256_blendv_epi8(indices[half], index, is_more);
        }
        index = _mm256_add_epi32(index, _mm256_set1_epi32(1));
    };
    let fours = codebook.values.chunks_exact(4 * n_dims);
    let rest = fours.remainder().chunks_exact(n_dims);
    let (half_squares, last_squares) = codebook.half_squares.as_chunks::<4>();
    for (four, half_squares) in fours.zip(half_squares) {
        // Sums that do not wait for each other, and share the loads of columns and codewords.
        let (mut sums, mut codewords) = ([[_mm256_setzero_ps(); 2]; 4], [four; 4]);
        for which in 0..4 {
            codewords[which] = &four[which * n_dims..][..n_dims];
            sums[which] = [_mm256_set1_ps(-half_squares[which]); 2];
        }
        for dim in 0..n_dims {
            let (halves, _) = columns[dim].as_chunks();
            let values = [load_floats(&halves[0]), load_floats(&halves[1])];
            for which in 0..4 {
                let coordinate = _mm256_set1_ps(codewords[which][dim]);
                for half in 0..2 {
                    sums[which][half] = _mm256_fmadd_ps(values[half], coordinate, sums[which][half]);
                }
            }
        }
        for which in 0..4 {
            take(sums[which]);
        }
    }
    for (codeword, half_square) in rest.zip(last_squares) {
        let mut sums = [_mm256_set1_ps(-half_square); 2];
        for (column, coordinate) in columns.iter().zip(codeword) {
            let (halves, coordinate) = (column.as_chunks().0, _mm256_set1_ps(*coordinate));
            for half in 0..2 {
                sums[half] = _mm256_fmadd_ps(load_floats(&halves[half]), coordinate, sums[half]);
            }
        }
        take(sums);
    }
    let mut scores = Scores { largest: [0.0; LANES], second: [0.0; LANES], indices: [0; LANES] };
    for half in 0..2 {
        store_floats(&mut scores.largest.as_chunks_mut().0[half], largest[half]);
        store_floats(&mut scores.second.as_chunks_mut().0[half], second[half]);
        store_indices(&mut scores.indices.as_chunks_mut().0[half], indices[half]);
    }
    scores
}

#[target_feature(enable = "avx2")]
fn nearest_by_distances(columns: &[[f32; LANES]], codewords: &[f32], found: &mut Nearest) {
    let n_dims = columns.len();
    for half in 0..2 {
        let lanes = 8 * half..8 * half + 8;
        let (mut distances, mut indices) = ([f32::INFINITY; 8], [0; 8]);
        distances.copy_from_slice(&found.distances[lanes.clone()]);
        indices.copy_from_slice(&found.indices[lanes.clone()]);
        let (mut best, mut best_indices) = (load_floats(&distances), load_indices(&indices));
        let mut take = |index: usize, sums: __m256| {
            let is_nearer = _mm256_cmp_ps::<_CMP_LT_OQ>(sums, best);
            best = _mm256_blendv_ps(best, sums, is_nearer);
            let index = _mm256_set1_epi32(index as i32);
            best_indices = _mm256_blendv_epi8(best_indices, index, _mm256_castps_si256(is_nearer));
        };
        let fours = codewords.chunks_exact(4 * n_dims);
        let (rest, first_of_rest) = (fours.remainder(), fours.len() * 4);
        for (step, four) in fours.enumerate() {
            // Sums that do not wait for each other, and share the loads of the columns.
            let mut sums = [_mm256_setzero_ps(); 4];
            for (dim, column) in columns.iter().enumerate() {
                let values = load_floats(&column.as_chunks().0[half]);
                for which in 0..4 {
                    sums[which] = add_square(sums[which], values, four[which * n_dims + dim]);
                }
            }
            for which in 0..4 {
                take(4 * step + which, sums[which]);
            }
        }
        for (which, codeword) in rest.chunks_exact(n_dims).enumerate() {
            let mut sum = _mm256_setzero_ps();
            for (column, coordinate) in columns.iter().zip(codeword) {
                sum = add_square(sum, load_floats(&column.as_chunks().0[half]), *coordinate);
            }
            take(first_of_rest + which, sum);
        }
        store_floats(&mut distances, best);
        store_indices(&mut indices, best_indices);
        found.distances[lanes.clone()].copy_from_slice(&distances);
        found.indices[lanes].copy_from_slice(&indices);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_floats(values: &[f32; 8]) -> __m256 {
    // SAFETY: `values` is 8 floats.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_floats(out: &mut [f32; 8], floats: __m256) {
    // SAFETY: `out` is 8 floats.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), floats) };
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_indices(out: &mut [u32; 8], indices: __m256i) {
    // SAFETY: `out` is 8 integers of 32 bits.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), indices) };
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_indices(values: &[u32; 8]) -> __m256i {
    // SAFETY: `values` is 8 integers of 32 bits.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

/// `sum + (value - coordinate)^2`, each operation rounded.
#[inline]
#[target_feature(enable = "avx2")]
fn add_square(sum: __m256, values: __m256, coordinate: f32) -> __m256 {
    let difference = _mm256_sub_ps(values, _mm256_set1_ps(coordinate));
    _mm256_add_ps(sum, _mm256_mul_ps(difference, difference))
}

#[target_feature(enable = "avx2")]
pub(super) fn pack_block(rows: Codes<'_>, width: Width, planes: &mut [u8]) -> u8 {
    portable::pack_block(rows, width, planes)
}
