//! AVX2. SAD: `vpsadbw` of a row of the block with 32 samples of the reference, which compares two candidates 16 columns apart, or four
//! that are 8 apart; eight such sums at neighbouring columns share the row. Bottleneck: the one port of `vpsadbw` on Intel, 8 cycles a
//! candidate of 16 x 16; two loads a cycle elsewhere. One-bit: lanes are candidates, bits are counted by `vpshufb` of both nibbles, in
//! bytes, which 16 rows cannot overflow. Bottleneck: the three vector ports, 8 instructions for 16 candidates and a row.

use std::arch::x86_64::*;

use super::{COSTS_PER_CHUNK, LANES, portable, whole_lanes};

/// Columns that share the row of a block.
const COLUMNS: usize = 8;

/// Samples that those columns take.
const SAMPLES: usize = COLUMNS + LANES;

#[target_feature(enable = "avx2")]
pub(super) fn sad_16(block: &[[u8; 16]; 16], window: &[u8], stride: usize, n: usize, costs: &mut [u16]) {
    let whole = whole_lanes(n);
    for (dy, costs) in costs.chunks_exact_mut(n.next_multiple_of(COSTS_PER_CHUNK)).take(n).enumerate() {
        for first in (0..whole).step_by(LANES).flat_map(|group| [group, group + COLUMNS]) {
            if first >= whole {
                break;
            }
            let rows = block.iter().map(|row| {
                // SAFETY: a row is 16 bytes.
                let row = unsafe { _mm_loadu_si128(row.as_ptr().cast()) };
                _mm256_broadcastsi128_si256(row)
            });
            let (low, high) = sums(rows, &window[dy * stride + first..], stride);
            // Of each candidate the sums of columns 0 to 7 and 8 to 15.
            let sums = _mm256_add_epi16(_mm256_unpacklo_epi64(low, high), _mm256_unpackhi_epi64(low, high));
            store(_mm256_castsi256_si128(sums), costs, first);
            store(_mm256_extracti128_si256::<1>(sums), costs, first + 16);
        }
        for column in whole..n {
            costs[column] = portable::sad_of(block, &window[dy * stride + column..], stride) as u16;
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn sad_8(block: &[[u8; 8]; 8], window: &[u8], stride: usize, n: usize, costs: &mut [u16]) {
    let whole = whole_lanes(n);
    for (dy, costs) in costs.chunks_exact_mut(n.next_multiple_of(COSTS_PER_CHUNK)).take(n).enumerate() {
        for first in (0..whole).step_by(LANES) {
            let rows = block.iter().map(|row| _mm256_set1_epi64x(i64::from_ne_bytes(*row)));
            let (low, high) = sums(rows, &window[dy * stride + first..], stride);
            let (even, odd) = (_mm256_unpacklo_epi64(low, high), _mm256_unpackhi_epi64(low, high));
            store(_mm256_castsi256_si128(even), costs, first);
            store(_mm256_castsi256_si128(odd), costs, first + 8);
            store(_mm256_extracti128_si256::<1>(even), costs, first + 16);
            store(_mm256_extracti128_si256::<1>(odd), costs, first + 24);
        }
        for column in whole..n {
            costs[column] = portable::sad_of(block, &window[dy * stride + column..], stride) as u16;
        }
    }
}

/// For each eight samples of a register the SADs at eight neighbouring columns: of the first four, and of the others.
#[inline]
#[target_feature(enable = "avx2")]
fn sums(rows: impl Iterator<Item = __m256i>, window: &[u8], stride: usize) -> (__m256i, __m256i) {
    let mut sums = [_mm256_setzero_si256(); COLUMNS];
    for (index, row) in rows.enumerate() {
        let Some(samples) = window[index * stride..].first_chunk::<SAMPLES>() else { break };
        for (column, sum) in sums.iter_mut().enumerate() {
            let at = samples.as_ptr().wrapping_add(column);
            // SAFETY: `samples` are 8 more than a register holds, and `column` is at most 7.
            let samples = unsafe { _mm256_loadu_si256(at.cast()) };
            *sum = _mm256_add_epi64(*sum, _mm256_sad_epu8(samples, row));
        }
    }
    let packed = |[a, b, c, d]: [__m256i; 4]| {
        let (low, high) = (
            _mm256_or_si256(a, _mm256_slli_epi64::<16>(b)),
            _mm256_or_si256(_mm256_slli_epi64::<32>(c), _mm256_slli_epi64::<48>(d)),
        );
        _mm256_or_si256(low, high)
    };
    let [a, b, c, d, e, f, g, h] = sums;
    (packed([a, b, c, d]), packed([e, f, g, h]))
}

/// Writes eight costs, unless they are those of candidates beyond the last one.
#[inline]
#[target_feature(enable = "avx2")]
fn store(values: __m128i, costs: &mut [u16], first: usize) {
    if let Some(costs) = costs.get_mut(first..).and_then(<[u16]>::first_chunk_mut::<COSTS_PER_CHUNK>) {
        // SAFETY: `costs` are 16 bytes.
        unsafe { _mm_storeu_si128(costs.as_mut_ptr().cast(), values) };
    }
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn one_bit(rows: &[u16], window: &[u16], stride: usize, n: usize, costs: &mut [u16]) {
    let whole = whole_lanes(n);
    let nibbles = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let mask = _mm256_set1_epi8(15);
    for (dy, costs) in costs.chunks_exact_mut(n.next_multiple_of(COSTS_PER_CHUNK)).take(n).enumerate() {
        for first in (0..whole).step_by(LANES) {
            let mut counts = [_mm256_setzero_si256(); 2];
            for (index, row) in rows.iter().enumerate() {
                let windows = window[(dy + index) * stride + first..].first_chunk::<LANES>();
                let Some(windows) = windows else { break };
                let bits = _mm256_set1_epi16(row.cast_signed());
                for (count, windows) in counts.iter_mut().zip(windows.as_chunks::<16>().0) {
                    // SAFETY: `windows` are 32 bytes.
                    let windows = unsafe { _mm256_loadu_si256(windows.as_ptr().cast()) };
                    let differ = _mm256_xor_si256(windows, bits);
                    let low = _mm256_shuffle_epi8(nibbles, _mm256_and_si256(differ, mask));
                    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(differ), mask);
                    *count =
                        _mm256_add_epi8(*count, _mm256_add_epi8(low, _mm256_shuffle_epi8(nibbles, high)));
                }
            }
            for (index, count) in counts.into_iter().enumerate() {
                let count = _mm256_maddubs_epi16(count, _mm256_set1_epi8(1));
                add(_mm256_castsi256_si128(count), costs, first + 16 * index);
                add(_mm256_extracti128_si256::<1>(count), costs, first + 16 * index + 8);
            }
        }
    }
    portable::one_bit_from(whole, rows, window, stride, n, costs);
}

/// Adds eight costs, unless they are those of candidates beyond the last one.
#[inline]
#[target_feature(enable = "avx2")]
fn add(values: __m128i, costs: &mut [u16], first: usize) {
    if let Some(so_far) = costs.get(first..).and_then(<[u16]>::first_chunk::<COSTS_PER_CHUNK>) {
        // SAFETY: `so_far` are 16 bytes.
        let so_far = unsafe { _mm_loadu_si128(so_far.as_ptr().cast()) };
        store(_mm_add_epi16(values, so_far), costs, first);
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn minima(costs: &[u16], n: usize, minima: &mut [u16]) {
    portable::minima(costs, n, minima);
}

#[target_feature(enable = "avx2")]
pub(super) fn windows(bytes: &[u8], side: usize, windows: &mut [u16]) {
    portable::windows(bytes, side, windows);
}
