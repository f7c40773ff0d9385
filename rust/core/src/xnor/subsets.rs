//! AVX2 products of bytes and signs by look-ups. The signs stay bits, four in a byte: a quarter of the memory of signs as bytes.
//!
//! A product is `2 s - t`, with `s` the sum of the bytes where signs are +1, and `t` the sum of all bytes. The four signs in a
//! nibble are an index into a table of the sums of all sixteen subsets of four bytes. A shuffle looks up 32 columns, once for
//! the low nibbles of the bytes and once for the high ones, since sums of four nibbles fit a byte. The sums take 40
//! instructions for sixteen bytes of two rows and 32 columns; multiplication takes 64.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;
use std::ops::Range;

use super::layout::{ByteScratch, COLUMNS_PER_BLOCK, Subsets};
use crate::error::try_resize;
use crate::popcount::tile::Lanes;
use crate::{Codes, Error};

/// Columns of a register of bytes: half a step of a popcount tile.
const COLUMNS_PER_HALF: usize = 32;

/// Fours of bytes whose sums of nibbles, 60 each at most, fit 16 bits.
const FOURS_PER_SUM: usize = 1024;

/// Calls `receive(row, columns, sums)` for the products of rows of bytes by signs: steps of a popcount tile with `n_words`
/// words per row.
#[target_feature(enable = "avx2")]
pub(super) fn byte_sums(
    rows: Codes<'_>,
    (steps, n_words): (&[Lanes], usize),
    columns: Range<usize>,
    scratch: &mut ByteScratch,
    mut receive: impl FnMut(usize, Range<usize>, &[i32]),
) -> Result<(), Error> {
    let ByteScratch { subsets, sums, .. } = scratch;
    try_resize(sums, 2 * COLUMNS_PER_BLOCK, 0)?;
    // Bytes of signs, in pairs. A step has zeros after them, up to a whole word.
    let n_bytes = 2 * rows.n_bytes().div_ceil(16);
    for first in (0..rows.n_rows()).step_by(2) {
        let pair = first..rows.n_rows().min(first + 2);
        let mut totals = [0; 2];
        for (row, (total, subsets)) in pair.clone().zip(totals.iter_mut().zip(&mut *subsets)) {
            *total = rows.row(row).iter().map(|byte| i32::from(*byte)).sum();
            fill_subsets(rows.row(row), 2 * n_bytes, subsets)?;
        }
        let [(one, _), (other, _)] = subsets.each_ref().map(|subsets| subsets.as_chunks::<4>());
        for start in columns.clone().step_by(COLUMNS_PER_BLOCK) {
            let columns = start..columns.end.min(start + COLUMNS_PER_BLOCK);
            for start in columns.clone().step_by(COLUMNS_PER_HALF) {
                let step = &steps[start / (2 * COLUMNS_PER_HALF) * 16 * n_words..][..2 * n_bytes];
                let (half, place) = (start / COLUMNS_PER_HALF % 2, start - columns.start);
                if pair.len() == 2 {
                    let pair_sums = subset_sums(step, half, [one, other]);
                    for (row, pair_sums) in pair_sums.into_iter().enumerate() {
                        store_products(pair_sums, totals[row], &mut sums[row * COLUMNS_PER_BLOCK + place..]);
                    }
                } else {
                    let [row_sums] = subset_sums(step, half, [one]);
                    store_products(row_sums, totals[0], &mut sums[place..]);
                }
            }
            for (row, sums) in pair.clone().zip(sums.chunks(COLUMNS_PER_BLOCK)) {
                receive(row, columns.clone(), &sums[..columns.len()]);
            }
        }
    }
    Ok(())
}

/// For each of four bytes: its index in the subsets that contain it; elsewhere an index for which shuffles give zero.
const PICKS: [[u8; 16]; 4] = {
    let mut picks = [[0x80; 16]; 4];
    let mut index = 0;
    while index < 4 * 16 {
        let (byte, subset) = (index / 16, index % 16);
        if subset >> (3 - byte) & 1 == 1 {
            picks[byte][subset] = byte as u8;
        }
        index += 1;
    }
    picks
};

/// Writes the subset sums of each four bytes of a row, `n_fours` in all.
#[target_feature(enable = "avx2")]
fn fill_subsets(row: &[u8], n_fours: usize, subsets: &mut Vec<Subsets>) -> Result<(), Error> {
    let picks = [0, 1, 2, 3].map(|byte| load_table(&PICKS[byte]));
    let low_nibbles = _mm256_set1_epi8(0x0f);
    try_resize(subsets, n_fours, Subsets::default())?;
    let (fours, tail) = row.as_chunks::<4>();
    let mut last = [0; 4];
    last[..tail.len()].copy_from_slice(tail);
    for (four, Subsets(sums)) in fours.iter().chain([&last]).zip(&mut *subsets) {
        let bytes = _mm256_set1_epi32(i32::from_le_bytes(*four));
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), low_nibbles);
        let halves = _mm256_blend_epi32::<0b1111_0000>(_mm256_and_si256(bytes, low_nibbles), high);
        let [a, b, c, d] = picks.map(|pick| _mm256_shuffle_epi8(halves, pick));
        let sum = _mm256_add_epi8(_mm256_add_epi8(a, b), _mm256_add_epi8(c, d));
        // SAFETY: `sums` is 32 bytes.
        unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), sum) };
    }
    subsets.iter_mut().skip(fours.len() + 1).for_each(|sums| *sums = Subsets::default());
    Ok(())
}

/// Sums of bytes of some rows for the columns of half a step, eight in each register.
#[inline]
#[target_feature(enable = "avx2")]
fn subset_sums<const ROWS: usize>(
    step: &[Lanes],
    half: usize,
    subsets: [&[[Subsets; 4]]; ROWS],
) -> [[__m256i; 4]; ROWS] {
    let mut sums = [[_mm256_setzero_si256(); 4]; ROWS];
    let pairs = step.as_chunks::<4>().0;
    for (index, pairs) in pairs.chunks(FOURS_PER_SUM / 4).enumerate() {
        let subsets = subsets.map(|subsets| &subsets[index * (FOURS_PER_SUM / 4)..][..pairs.len()]);
        // For low and high nibbles: 16 bits with an even column plus 256 times the odd one, and the odd one alone.
        let mut both = [[_mm256_setzero_si256(); 2]; ROWS];
        let mut odd = [[_mm256_setzero_si256(); 2]; ROWS];
        for (index, pair) in pairs.iter().enumerate() {
            let mut indices = [_mm256_setzero_si256(); 4];
            for nibble in 0..4 {
                // The first signs of a byte are in its high nibble, which a tile has after the low one.
                indices[nibble ^ 1] = load_bits(&pair[nibble].0.as_chunks::<4>().0[half]);
            }
            for row in 0..ROWS {
                for plane in 0..2 {
                    // Four sums of 60 at most fit a byte.
                    let mut sum = _mm256_setzero_si256();
                    for four in 0..4 {
                        let table = load_table(&subsets[row][index][four].0[plane]);
                        sum = _mm256_add_epi8(sum, _mm256_shuffle_epi8(table, indices[four]));
                    }
                    both[row][plane] = _mm256_add_epi16(both[row][plane], sum);
                    odd[row][plane] = _mm256_add_epi16(odd[row][plane], _mm256_srli_epi16::<8>(sum));
                }
            }
        }
        for row in 0..ROWS {
            let [low, high] = [0, 1].map(|plane| in_order(both[row][plane], odd[row][plane]));
            for part in 0..4 {
                let bytes = _mm256_add_epi32(low[part], _mm256_slli_epi32::<4>(high[part]));
                sums[row][part] = _mm256_add_epi32(sums[row][part], bytes);
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_bits(bits: &[u64; 4]) -> __m256i {
    // SAFETY: `bits` is 32 bytes.
    unsafe { _mm256_loadu_si256(bits.as_ptr().cast()) }
}

/// The table in both halves of a register.
#[inline]
#[target_feature(enable = "avx2")]
fn load_table(table: &[u8; 16]) -> __m256i {
    // SAFETY: `table` is 16 bytes.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
}

/// Even and odd columns in order, eight in each register.
#[inline]
#[target_feature(enable = "avx2")]
fn in_order(both: __m256i, odd: __m256i) -> [__m256i; 4] {
    let even = _mm256_sub_epi16(both, _mm256_slli_epi16::<8>(odd));
    let (low, high) = (_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd));
    [
        _mm256_cvtepu16_epi32(_mm256_castsi256_si128(low)),
        _mm256_cvtepu16_epi32(_mm256_castsi256_si128(high)),
        _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(low)),
        _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(high)),
    ]
}

/// Writes `2 sum - total` to the first [`COLUMNS_PER_HALF`] elements.
#[inline]
#[target_feature(enable = "avx2")]
fn store_products(sums: [__m256i; 4], total: i32, out: &mut [i32]) {
    for (sums, eight) in sums.into_iter().zip(out.as_chunks_mut::<8>().0) {
        let products = _mm256_sub_epi32(_mm256_slli_epi32::<1>(sums), _mm256_set1_epi32(total));
        // SAFETY: `eight` is 32 bytes.
        unsafe { _mm256_storeu_si256(eight.as_mut_ptr().cast(), products) };
    }
}
