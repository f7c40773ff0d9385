//! AVX-512. One bit: as with AVX2, 64 rows at a time. More bits: one instruction multiplies, adds and widens 64 dimensions of a row and a
//! query.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;

use super::encode::Products;
use super::grid::{Grid, Levels};
use super::queries::Finish;
use super::{BlockRows, BlockSums, PLANES_PER_SUM, ROWS_PER_BLOCK, avx2, portable};
use crate::Codes;

/// Registers of rows that are summed together.
const REGISTERS: usize = 2;

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: `bytes` is 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_signed(bytes: &[i8; 64]) -> __m512i {
    // SAFETY: `bytes` is 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Sixteen bytes, four times.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_repeated(bytes: &[u8; 16]) -> __m512i {
    // SAFETY: `bytes` is 16 bytes.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[target_feature(enable = "avx2,avx512f")]
pub(super) fn quantize(x: &[f32], levels: &Levels, numbers: &mut [u8]) -> Products {
    avx2::quantize(x, levels, numbers)
}

#[target_feature(enable = "avx512f")]
pub(super) fn multiply_add(factor: f32, values: &[f32], sums: &mut [f32]) {
    portable::multiply_add(factor, values, sums);
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn sum_bits<const QUERIES: usize>(
    tables: [&[[u8; 32]]; QUERIES],
    planes: &[u8],
    next: &[u8],
    sums: &mut [BlockSums; QUERIES],
) {
    let (planes, _) = planes.as_chunks::<ROWS_PER_BLOCK>();
    let n_planes = tables.iter().fold(planes.len(), |len, tables| len.min(tables.len()));
    let mask = _mm512_set1_epi8(0xF);
    sums.iter_mut().for_each(|sums| *sums = [0; ROWS_PER_BLOCK]);
    for part in 0..ROWS_PER_BLOCK / (64 * REGISTERS) {
        for start in (0..n_planes).step_by(PLANES_PER_SUM) {
            // Sums of 16 bits: of both rows in a lane, where those of the odd row are 256 times as large, and of the odd row alone.
            let zeros = [[_mm512_setzero_si512(); REGISTERS]; QUERIES];
            let (mut both, mut odd) = (zeros, zeros);
            for plane in start..n_planes.min(start + PLANES_PER_SUM) {
                // One line after the other, as memory is read fastest.
                if let Some(line) = next.get((part * n_planes + plane) * 64 * REGISTERS..) {
                    _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
                }
                let (codes, _) = planes[plane].as_chunks::<{ 64 * REGISTERS }>().0[part].as_chunks::<64>();
                let (mut low, mut high) =
                    ([_mm512_setzero_si512(); REGISTERS], [_mm512_setzero_si512(); REGISTERS]);
                for register in 0..REGISTERS {
                    let codes = load(&codes[register]);
                    low[register] = _mm512_and_si512(codes, mask);
                    high[register] = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), mask);
                }
                for query in 0..QUERIES {
                    let (halves, _) = tables[query][plane].as_chunks::<16>();
                    let (low_table, high_table) = (load_repeated(&halves[0]), load_repeated(&halves[1]));
                    for register in 0..REGISTERS {
                        let entries = _mm512_add_epi8(
                            _mm512_shuffle_epi8(low_table, low[register]),
                            _mm512_shuffle_epi8(high_table, high[register]),
                        );
                        both[query][register] = _mm512_add_epi16(both[query][register], entries);
                        odd[query][register] =
                            _mm512_add_epi16(odd[query][register], _mm512_srli_epi16::<8>(entries));
                    }
                }
            }
            for query in 0..QUERIES {
                let (sixteens, _) = sums[query].as_chunks_mut::<16>();
                for register in 0..REGISTERS {
                    let odd = odd[query][register];
                    let even = _mm512_sub_epi16(both[query][register], _mm512_slli_epi16::<8>(odd));
                    // The even rows and the odd rows in turn, within each quarter of a register.
                    let (first, second) =
                        (_mm512_unpacklo_epi16(even, odd), _mm512_unpackhi_epi16(even, odd));
                    let quarters = [
                        (_mm512_castsi512_si128(first), _mm512_castsi512_si128(second)),
                        (_mm512_extracti32x4_epi32::<1>(first), _mm512_extracti32x4_epi32::<1>(second)),
                        (_mm512_extracti32x4_epi32::<2>(first), _mm512_extracti32x4_epi32::<2>(second)),
                        (_mm512_extracti32x4_epi32::<3>(first), _mm512_extracti32x4_epi32::<3>(second)),
                    ];
                    let out = &mut sixteens[4 * (REGISTERS * part + register)..];
                    for (sixteen, (first, second)) in out.iter_mut().zip(quarters) {
                        add(sixteen, _mm512_cvtepu16_epi32(_mm256_set_m128i(second, first)));
                    }
                }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(sums: &mut [i32; 16], more: __m512i) {
    let pointer = sums.as_mut_ptr();
    // SAFETY: `sums` are 16 integers.
    let given = unsafe { _mm512_loadu_epi32(pointer) };
    let total = _mm512_add_epi32(given, more);
    // SAFETY: likewise.
    unsafe { _mm512_storeu_epi32(pointer, total) };
}

#[target_feature(enable = "avx2,bmi2,avx512f")]
pub(super) fn expand(codes: Codes<'_>, rows: &[usize], grid: Grid, expanded: &mut [u8]) {
    avx2::expand(codes, rows, grid, expanded);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn multiply<const QUERIES: usize>(
    expanded: &[u8],
    queries: [&[i8]; QUERIES],
    products: &mut [[i32; QUERIES]],
) {
    let len = queries[0].len();
    let mut chunks: [&[[i8; 64]]; QUERIES] = [&[]; QUERIES];
    for query in 0..QUERIES {
        chunks[query] = queries[query][..len].as_chunks().0;
    }
    let n_rows = products.len().min(expanded.len() / len.max(1));
    // Loops without iterators: what does not become a part of this function would have no AVX-512.
    for row in 0..n_rows {
        let levels = expanded[row * len..(row + 1) * len].as_chunks::<64>().0;
        let mut sums = [_mm512_setzero_si512(); QUERIES];
        for index in 0..levels.len() {
            let levels = load(&levels[index]);
            for query in 0..QUERIES {
                sums[query] = _mm512_dpbusd_epi32(sums[query], levels, load_signed(&chunks[query][index]));
            }
        }
        for query in 0..QUERIES {
            products[row][query] = _mm512_reduce_add_epi32(sums[query]);
        }
    }
}

#[target_feature(enable = "avx2,avx512f")]
pub(super) fn distances(
    sums: &[&BlockSums],
    factors: &[[f32; 2]],
    finish: &Finish,
    out: &mut [f32; ROWS_PER_BLOCK],
) -> bool {
    avx2::distances(sums, factors, finish, out)
}

#[target_feature(enable = "avx512f")]
pub(super) fn near(distances: &[f32; ROWS_PER_BLOCK], limit: f32) -> BlockRows {
    let (mut rows, limit) = ([0; ROWS_PER_BLOCK / 64], _mm512_set1_ps(limit));
    for (index, sixteen) in distances.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: `sixteen` are 16 floats.
        let distances = unsafe { _mm512_loadu_ps(sixteen.as_ptr()) };
        let near = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(distances, limit);
        rows[index / 4] |= u64::from(near) << (index % 4 * 16);
    }
    rows
}
