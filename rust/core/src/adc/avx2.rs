//! AVX2: a byte shuffle looks up 32 codes in 16 entries, twice a cycle on most CPUs.
//!
//! 256 entries are sixteen rows of 16. With `x` the codes less 16 for each row before, a shuffle gives an entry of this row to
//! every lane that is not yet below zero, and zero to the others; rows that hold their difference (xor) to the row before leave
//! the entry of the last such row. That is three instructions per row, for all sixteen rows: about 50 instructions for 32
//! look-ups, compared with 32 loads and as many additions one by one.
//!
//! Entries of four bits take half of that: a byte holds the entries of two codes, the rows are eight, and the highest bit of a code
//! selects the half of a byte. That is 8 shuffles, 7 xors, 7 additions and 5 more for 32 look-ups of one query; four queries share
//! the additions, so that 22 vector operations remain of each. Shuffles and shifts have two of the four vector ports: the limit is 7
//! cycles for one query, 5.5 for each of four. The bound is looser, and of a thousand random rows one at most is summed in float.
//!
//! 16 entries take 8 vector operations for 64 look-ups of one query, two cycles: a third of what reading those 32 bytes from memory
//! takes. One query hence reads codes in the order of memory, and prefetches them.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;

use super::bound::{CoarseTable, SUBSPACES_PER_BYTE, SUBSPACES_PER_GROUP};
use super::encode::{Codebook, Nearest, ROWS_PER_STRIP, Scores};
use super::layout::{ROWS_PER_BLOCK, Width};
use super::{BlockHits, BlockRows, TableMetric, portable};
use crate::error::try_collect;
use crate::{Codes, Error};

/// Registers of codes that share the loads of the rows of a table.
const REGISTERS_PER_PASS: usize = 4;

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
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    for (slot, (tables, limit)) in tables.iter().zip(limits).enumerate() {
        let differences = try_collect(tables.as_chunks().0.iter().map(differences))?;
        bound(slot, limit, blocks, differences.len(), 1, hits, |plane, codes, sums| {
            add_bytes(&differences[plane], codes, sums);
        });
    }
    Ok(())
}

/// Sums `n_planes` planes of each block, of `in_plane` subspaces each, and appends the rows within the limit.
#[inline]
#[target_feature(enable = "avx2")]
fn bound(
    slot: usize,
    limit: u16,
    blocks: &[u8],
    n_planes: usize,
    in_plane: usize,
    hits: &mut Vec<BlockHits>,
    add: impl Fn(usize, &[u8; ROWS_PER_BLOCK], &mut [u8; ROWS_PER_BLOCK]),
) {
    let group =
        if n_planes > SUBSPACES_PER_BYTE / in_plane { SUBSPACES_PER_GROUP / in_plane } else { n_planes };
    for (block, planes) in blocks.chunks_exact(n_planes * ROWS_PER_BLOCK).enumerate() {
        let mut totals = [0_u16; ROWS_PER_BLOCK];
        for (index, planes) in planes.chunks(group * ROWS_PER_BLOCK).enumerate() {
            let mut sums = [0_u8; ROWS_PER_BLOCK];
            for (plane, codes) in (index * group..).zip(planes.as_chunks().0) {
                add(plane, codes, &mut sums);
            }
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = total.saturating_add(u16::from(sum));
            }
        }
        let within: [bool; ROWS_PER_BLOCK] = totals.map(|total| total <= limit);
        if within.contains(&true) {
            hits.push(BlockHits {
                slot: slot as u32,
                block: block as u32,
                rows: portable::block_rows(&within),
            });
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
fn add_bytes(differences: &[u8; 256], codes: &[u8; ROWS_PER_BLOCK], sums: &mut [u8; ROWS_PER_BLOCK]) {
    let (halves, _) = differences.as_chunks::<128>();
    let (codes, _) = codes.as_chunks::<32>();
    let (sums, _) = sums.as_chunks_mut::<32>();
    let row_i8x32 = _mm256_set1_epi8(16);
    for (codes, sums) in
        codes.as_chunks::<REGISTERS_PER_PASS>().0.iter().zip(sums.as_chunks_mut::<REGISTERS_PER_PASS>().0)
    {
        let mut entries = [_mm256_setzero_si256(); REGISTERS_PER_PASS];
        for (half, flipped) in halves.iter().zip([0, 0x80_u8]) {
            let mut x = [_mm256_setzero_si256(); REGISTERS_PER_PASS];
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
pub(super) fn coarse_is_faster() -> bool {
    true
}

#[target_feature(enable = "avx2")]
pub(super) fn bound_coarse<const QUERIES: usize>(
    tables: [&[CoarseTable]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    let n_planes = tables.iter().map(|tables| tables.len()).min().unwrap_or(0);
    if n_planes == 0 {
        return Ok(());
    }
    // The tables of all queries of a plane, one after the other.
    let mut differences = Vec::new();
    differences.try_reserve_exact(n_planes)?;
    for plane in 0..n_planes {
        differences.push(tables.map(|tables| coarse_differences(&tables[plane])));
    }
    let group = if n_planes > SUBSPACES_PER_BYTE { SUBSPACES_PER_GROUP } else { n_planes };
    for (block, planes) in blocks.chunks_exact(n_planes * ROWS_PER_BLOCK).enumerate() {
        let (planes, _) = planes.as_chunks::<ROWS_PER_BLOCK>();
        let mut rows: [BlockRows; QUERIES] = [[0; ROWS_PER_BLOCK / 64]; QUERIES];
        if n_planes <= SUBSPACES_PER_BYTE {
            let mut sums = [[0_u8; ROWS_PER_BLOCK]; QUERIES];
            for (plane, differences) in planes.iter().zip(&differences) {
                add_coarse(differences, plane, &mut sums);
            }
            for slot in 0..QUERIES {
                rows[slot] = rows_within(&sums[slot], limits[slot] as u8);
            }
        } else {
            let mut totals = [[0_u16; ROWS_PER_BLOCK]; QUERIES];
            for (planes, differences) in planes.chunks(group).zip(differences.chunks(group)) {
                let mut sums = [[0_u8; ROWS_PER_BLOCK]; QUERIES];
                for (plane, differences) in planes.iter().zip(differences) {
                    add_coarse(differences, plane, &mut sums);
                }
                for (totals, sums) in totals.iter_mut().zip(&sums) {
                    for (total, sum) in totals.iter_mut().zip(sums) {
                        *total = total.saturating_add(u16::from(*sum));
                    }
                }
            }
            for slot in 0..QUERIES {
                rows[slot] = portable::block_rows(&totals[slot].map(|total| total <= limits[slot]));
            }
        }
        for slot in 0..QUERIES {
            if rows[slot] != [0; ROWS_PER_BLOCK / 64] {
                hits.push(BlockHits { slot: slot as u32, block: block as u32, rows: rows[slot] });
            }
        }
    }
    Ok(())
}

/// Row 0 of a table as it is, and of the others the difference to the row before.
fn coarse_differences(table: &CoarseTable) -> CoarseTable {
    let mut differences = *table;
    for index in 16..128 {
        differences[index] ^= table[index - 16];
    }
    differences
}

/// The rows of a block whose sums are at most the limit.
#[inline]
#[target_feature(enable = "avx2")]
fn rows_within(sums: &[u8; ROWS_PER_BLOCK], limit: u8) -> BlockRows {
    let limit = _mm256_set1_epi8(limit as i8);
    let (mut rows, (sums, _)) = ([0; ROWS_PER_BLOCK / 64], sums.as_chunks::<32>());
    for (index, sums) in sums.iter().enumerate() {
        let sums = load(sums);
        let within = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(sums, limit), sums)) as u32;
        rows[index / 2] |= u64::from(within) << (index % 2 * 32);
    }
    rows
}

/// Adds the entry for each code to the sums of each query. The steps of the codes from row to row are shared.
#[inline]
#[target_feature(enable = "avx2")]
fn add_coarse<const QUERIES: usize>(
    differences: &[CoarseTable; QUERIES],
    codes: &[u8; ROWS_PER_BLOCK],
    sums: &mut [[u8; ROWS_PER_BLOCK]; QUERIES],
) {
    if QUERIES == 1 {
        add_coarse_to::<QUERIES, REGISTERS_PER_PASS>(differences, codes, sums);
    } else {
        add_coarse_to::<QUERIES, { REGISTERS_PER_PASS / 2 }>(differences, codes, sums);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_coarse_to<const QUERIES: usize, const REGISTERS: usize>(
    differences: &[CoarseTable; QUERIES],
    codes: &[u8; ROWS_PER_BLOCK],
    sums: &mut [[u8; ROWS_PER_BLOCK]; QUERIES],
) {
    let (row_i8x32, low_bits, nibble) = (_mm256_set1_epi8(16), _mm256_set1_epi8(0x7F), _mm256_set1_epi8(0xF));
    let (codes, _) = codes.as_chunks::<32>();
    for (pass, codes) in codes.as_chunks::<REGISTERS>().0.iter().enumerate() {
        let mut entries = [[_mm256_setzero_si256(); REGISTERS]; QUERIES];
        let mut x = [_mm256_setzero_si256(); REGISTERS];
        for (x, codes) in x.iter_mut().zip(codes) {
            *x = _mm256_and_si256(load(codes), low_bits);
        }
        for row in 0..8 {
            for slot in 0..QUERIES {
                let row = load_repeated(&differences[slot].as_chunks::<16>().0[row]);
                for register in 0..REGISTERS {
                    let entry = _mm256_shuffle_epi8(row, x[register]);
                    entries[slot][register] = _mm256_xor_si256(entries[slot][register], entry);
                }
            }
            for x in &mut x {
                *x = _mm256_subs_epi8(*x, row_i8x32);
            }
        }
        for slot in 0..QUERIES {
            let (sums, _) = sums[slot].as_chunks_mut::<32>();
            for register in 0..REGISTERS {
                let entry = entries[slot][register];
                // The sign of a code selects the half.
                let half = _mm256_blendv_epi8(entry, _mm256_srli_epi16::<4>(entry), load(&codes[register]));
                let sum = &mut sums[pass * REGISTERS + register];
                let total = _mm256_adds_epu8(load(sum), _mm256_and_si256(half, nibble));
                store(sum, total);
            }
        }
    }
}

/// Registers of rows whose sums, for all queries together, leave enough of the sixteen registers for codes and tables.
const REGISTERS_OF_SUMS: usize = 8;

/// How far ahead codes are prefetched for a single query.
const PREFETCHED_BYTES: usize = 4096;

#[target_feature(enable = "avx2")]
pub(super) fn bound_nibbles<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    match QUERIES {
        // A whole block at a time, in the order of memory.
        1 => bound_nibbles_of::<QUERIES, REGISTERS_OF_SUMS>(tables, limits, blocks, hits),
        2 => bound_nibbles_of::<QUERIES, { REGISTERS_OF_SUMS / 2 }>(tables, limits, blocks, hits),
        _ => bound_nibbles_of::<QUERIES, { REGISTERS_OF_SUMS / 4 }>(tables, limits, blocks, hits),
    }
    Ok(())
}

/// [`bound_nibbles`] for `REGISTERS` of rows at a time.
#[inline]
#[target_feature(enable = "avx2")]
fn bound_nibbles_of<const QUERIES: usize, const REGISTERS: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) {
    let mut chunked: [&[[u8; 32]]; QUERIES] = [&[]; QUERIES];
    for slot in 0..QUERIES {
        chunked[slot] = tables[slot].as_chunks().0;
    }
    let tables = chunked;
    let n_planes = tables.iter().map(|tables| tables.len()).min().unwrap_or(0);
    if n_planes == 0 {
        return;
    }
    let group = SUBSPACES_PER_GROUP / 2;
    for (block, planes) in blocks.chunks_exact(n_planes * ROWS_PER_BLOCK).enumerate() {
        let (planes, _) = planes.as_chunks::<ROWS_PER_BLOCK>();
        let mut rows: [BlockRows; QUERIES] = [[0; ROWS_PER_BLOCK / 64]; QUERIES];
        for part in 0..ROWS_PER_BLOCK / 32 / REGISTERS {
            let mut within = [[0_u32; REGISTERS]; QUERIES];
            if n_planes <= SUBSPACES_PER_BYTE / 2 {
                let sums = sum_planes::<QUERIES, REGISTERS>(tables, planes, part);
                for slot in 0..QUERIES {
                    let limit = _mm256_set1_epi8(limits[slot] as i8);
                    for register in 0..REGISTERS {
                        let sums = sums[slot][register];
                        let within_i8x32 = _mm256_cmpeq_epi8(_mm256_min_epu8(sums, limit), sums);
                        within[slot][register] = _mm256_movemask_epi8(within_i8x32) as u32;
                    }
                }
            } else {
                let mut totals = [[[_mm256_setzero_si256(); 2]; REGISTERS]; QUERIES];
                for start in (0..n_planes).step_by(group) {
                    let end = n_planes.min(start + group);
                    let mut tables_of_group = tables;
                    for tables in &mut tables_of_group {
                        *tables = &tables[start..end];
                    }
                    let sums = sum_planes::<QUERIES, REGISTERS>(tables_of_group, &planes[start..end], part);
                    for slot in 0..QUERIES {
                        for register in 0..REGISTERS {
                            widen(&mut totals[slot][register], sums[slot][register]);
                        }
                    }
                }
                for slot in 0..QUERIES {
                    for register in 0..REGISTERS {
                        within[slot][register] = totals_within(totals[slot][register], limits[slot]);
                    }
                }
            }
            for slot in 0..QUERIES {
                for register in 0..REGISTERS {
                    let position = part * REGISTERS + register;
                    rows[slot][position / 2] |= u64::from(within[slot][register]) << (position % 2 * 32);
                }
            }
        }
        for slot in 0..QUERIES {
            if rows[slot] != [0; ROWS_PER_BLOCK / 64] {
                hits.push(BlockHits { slot: slot as u32, block: block as u32, rows: rows[slot] });
            }
        }
    }
}

/// Sums of the entries of some planes, for the registers of one part of a block.
#[inline]
#[target_feature(enable = "avx2")]
fn sum_planes<const QUERIES: usize, const REGISTERS: usize>(
    tables: [&[[u8; 32]]; QUERIES],
    planes: &[[u8; ROWS_PER_BLOCK]],
    part: usize,
) -> [[__m256i; REGISTERS]; QUERIES] {
    let mask = _mm256_set1_epi8(0xF);
    let mut sums = [[_mm256_setzero_si256(); REGISTERS]; QUERIES];
    for (plane, codes) in planes.iter().enumerate() {
        let (codes, _) = codes.as_chunks::<32>();
        let codes = &codes[part * REGISTERS..][..REGISTERS];
        for register in 0..REGISTERS {
            if QUERIES == 1 && register % 2 == 0 {
                let ahead = codes[register].as_ptr().wrapping_add(PREFETCHED_BYTES);
                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
            }
            let codes = load(&codes[register]);
            let low_codes = _mm256_and_si256(codes, mask);
            let high_codes = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask);
            for slot in 0..QUERIES {
                let (halves, _) = tables[slot][plane].as_chunks::<16>();
                let (low, high) = (load_repeated(&halves[0]), load_repeated(&halves[1]));
                let sum = _mm256_adds_epu8(sums[slot][register], _mm256_shuffle_epi8(low, low_codes));
                sums[slot][register] = _mm256_adds_epu8(sum, _mm256_shuffle_epi8(high, high_codes));
            }
        }
    }
    sums
}

/// Adds the even bytes of some sums to the first totals, and the odd ones to the second.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(totals: &mut [__m256i; 2], sums: __m256i) {
    let even = _mm256_and_si256(sums, _mm256_set1_epi16(0xFF));
    totals[0] = _mm256_adds_epu16(totals[0], even);
    totals[1] = _mm256_adds_epu16(totals[1], _mm256_srli_epi16::<8>(sums));
}

/// One bit per row: whether its total, of even or odd bytes, is at most the limit.
#[inline]
#[target_feature(enable = "avx2")]
fn totals_within([even, odd]: [__m256i; 2], limit: u16) -> u32 {
    let limit = _mm256_set1_epi16(limit as i16);
    let even = _mm256_cmpeq_epi16(_mm256_min_epu16(even, limit), even);
    let odd = _mm256_cmpeq_epi16(_mm256_min_epu16(odd, limit), odd);
    // The bytes of each, at the positions of its sums.
    _mm256_movemask_epi8(_mm256_blendv_epi8(even, odd, _mm256_set1_epi16(0xFF00_u16 as i16))) as u32
}

#[target_feature(enable = "avx2")]
pub(super) fn sum_bytes(tables: &[f32], planes: &[u8], first_row: usize, out: &mut [f32]) {
    portable::sum_bytes(tables, planes, first_row, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn sum_nibbles(tables: &[f32], planes: &[u8], first_row: usize, out: &mut [f32]) {
    let (planes, _) = planes.as_chunks::<ROWS_PER_BLOCK>();
    for (sixteen, out) in (first_row / 16..).zip(out.as_chunks_mut::<16>().0) {
        let mut sums = [_mm256_setzero_ps(); 2];
        for (pair, plane) in tables.chunks(32).zip(planes) {
            let eights = &plane.as_chunks::<16>().0[sixteen].as_chunks::<8>().0;
            let mut codes = [load_codes(&eights[0]), load_codes(&eights[1])];
            for table in pair.as_chunks::<16>().0 {
                let (eights, _) = table.as_chunks::<8>();
                let (lower, upper) = (load_floats(&eights[0]), load_floats(&eights[1]));
                for (sum, codes) in sums.iter_mut().zip(&mut codes) {
                    // The permutations look at the lowest three bits alone, and the blend at the sign: the fourth bit.
                    let fourth = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(*codes));
                    let lower = _mm256_permutevar8x32_ps(lower, *codes);
                    let upper = _mm256_permutevar8x32_ps(upper, *codes);
                    *sum = _mm256_add_ps(*sum, _mm256_blendv_ps(lower, upper, fourth));
                    *codes = _mm256_srli_epi32::<4>(*codes);
                }
            }
        }
        for (sum, out) in sums.iter().zip(out.as_chunks_mut::<8>().0) {
            // SAFETY: `out` is 8 floats.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), *sum) };
        }
    }
}

/// Eight codes, widened.
#[inline]
#[target_feature(enable = "avx2")]
fn load_codes(codes: &[u8; 8]) -> __m256i {
    _mm256_cvtepu8_epi32(_mm_set_epi64x(0, i64::from_le_bytes(*codes)))
}

#[target_feature(enable = "avx2")]
pub(super) fn quantize<const N: usize>(
    tables: &[[f32; N]],
    smallest: &[f32],
    scale: f64,
    quantized: &mut [[u8; N]],
) {
    let (scale, largest) = (_mm256_set1_pd(scale), _mm256_set1_pd(255.0));
    for ((table, smallest), bytes) in tables.iter().zip(smallest).zip(quantized) {
        let smallest = _mm256_set1_pd(f64::from(*smallest));
        for (entries, bytes) in table.as_chunks::<4>().0.iter().zip(bytes.as_chunks_mut::<4>().0) {
            // SAFETY: `entries` is 4 floats.
            let entries = _mm256_cvtps_pd(unsafe { _mm_loadu_ps(entries.as_ptr()) });
            let scaled = _mm256_mul_pd(_mm256_sub_pd(entries, smallest), scale);
            let bytes_i32x4 = _mm256_cvttpd_epi32(_mm256_min_pd(scaled, largest));
            // Each fits a byte: the lowest byte of each lane is all of it.
            let lowest_bytes = _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
            let four = _mm_cvtsi128_si32(_mm_shuffle_epi8(bytes_i32x4, lowest_bytes));
            *bytes = four.to_le_bytes();
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn alike(planes: &[u8], row: usize) -> BlockRows {
    portable::alike(planes, row)
}

#[target_feature(enable = "avx2")]
pub(super) fn table_as_is(part: &[f32], codewords: &[f32], metric: TableMetric, table: &mut [f32]) {
    portable::table_as_is(part, codewords, metric, table);
}

#[target_feature(enable = "avx2")]
pub(super) fn table(part: &[f32], transposed: &[f32], metric: TableMetric, table: &mut [f32]) {
    portable::table(part, transposed, metric, table);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn nearest(columns: &[[f32; ROWS_PER_STRIP]], codebook: Codebook<'_>, found: &mut Nearest) {
    let scores = scores(columns, codebook);
    if !scores.settle(columns, codebook, found) {
        nearest_by_distances(columns, codebook.values, found);
    }
}

/// The largest scores of the codewords: one fused operation per dimension.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn scores(columns: &[[f32; ROWS_PER_STRIP]], codebook: Codebook<'_>) -> Scores {
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
    let mut scores = Scores {
        largest: [0.0; ROWS_PER_STRIP],
        second: [0.0; ROWS_PER_STRIP],
        indices: [0; ROWS_PER_STRIP],
    };
    for half in 0..2 {
        store_floats(&mut scores.largest.as_chunks_mut().0[half], largest[half]);
        store_floats(&mut scores.second.as_chunks_mut().0[half], second[half]);
        store_indices(&mut scores.indices.as_chunks_mut().0[half], indices[half]);
    }
    scores
}

#[target_feature(enable = "avx2")]
fn nearest_by_distances(columns: &[[f32; ROWS_PER_STRIP]], codewords: &[f32], found: &mut Nearest) {
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
    match (width, rows.n_bytes()) {
        (Width::Byte, 16..) => pack_columns::<16>(rows, planes),
        (Width::Byte, 8..) => pack_columns::<8>(rows, planes),
        _ => portable::pack_block(rows, width, planes),
    }
}

/// Packs bytes, `COLUMNS` columns (8 or 16) of 32 rows at a time, the last ones overlapping those before.
#[inline]
#[target_feature(enable = "avx2")]
fn pack_columns<const COLUMNS: usize>(rows: Codes<'_>, planes: &mut [u8]) -> u8 {
    let n_bytes = rows.n_bytes();
    let (planes, _) = planes[..n_bytes * ROWS_PER_BLOCK].as_chunks_mut::<ROWS_PER_BLOCK>();
    let mut largest = _mm256_setzero_si256();
    for group in 0..ROWS_PER_BLOCK / 32 {
        let first = (32 * group).min(rows.n_rows());
        let rows = rows.slice(first, (first + 32).min(rows.n_rows()));
        for start in (0..n_bytes).step_by(COLUMNS) {
            let start = start.min(n_bytes - COLUMNS);
            let columns = if rows.n_rows() == 32 {
                transposed::<COLUMNS>(&rows.as_bytes()[start..], rows.stride())
            } else {
                let mut padded = [[0; COLUMNS]; 32];
                for (row, padded) in padded[..rows.n_rows()].iter_mut().enumerate() {
                    padded.copy_from_slice(&rows.row(row)[start..start + COLUMNS]);
                }
                transposed::<COLUMNS>(padded.as_flattened(), COLUMNS)
            };
            for (plane, column) in planes[start..start + COLUMNS].iter_mut().zip(columns) {
                largest = _mm256_max_epu8(largest, column);
                store(&mut plane.as_chunks_mut().0[group], column);
            }
        }
    }
    let mut bytes = [0; 32];
    store(&mut bytes, largest);
    bytes.into_iter().max().unwrap_or(0)
}

/// The first `COLUMNS` bytes (8 or 16) of 32 rows that start `stride` bytes apart: the first byte of each row, then the
/// second of each, ...
///
/// Four perfect shuffles of sixteen registers move the four bits of the number of a row within its half of a register to
/// where those of the number of a column were.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed<const COLUMNS: usize>(bytes: &[u8], stride: usize) -> [__m256i; COLUMNS] {
    const { assert!(COLUMNS == 8 || COLUMNS == 16) };
    assert!(bytes.len() >= 31 * stride + COLUMNS, "rows beyond the end");
    let mut registers = [_mm256_setzero_si256(); 16];
    for (row, register) in registers.iter_mut().enumerate() {
        let [low, high] = [row, row + 16].map(|row| {
            let start = bytes[row * stride..].as_ptr().cast();
            if COLUMNS == 16 {
                // SAFETY: row 31 at most has 16 bytes within `bytes`.
                unsafe { _mm_loadu_si128(start) }
            } else {
                // SAFETY: row 31 at most has 8 bytes within `bytes`.
                unsafe { _mm_loadl_epi64(start) }
            }
        });
        *register = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high);
    }
    for _ in 0..4 {
        let mut shuffled = [_mm256_setzero_si256(); 16];
        for pair in 0..8 {
            let [a, b] = [registers[pair], registers[pair + 8]];
            shuffled[2 * pair] = _mm256_unpacklo_epi8(a, b);
            shuffled[2 * pair + 1] = _mm256_unpackhi_epi8(a, b);
        }
        registers = shuffled;
    }
    let mut columns = [_mm256_setzero_si256(); COLUMNS];
    columns.copy_from_slice(&registers[..COLUMNS]);
    columns
}
