//! AVX2 has no vector popcount: bits are counted by a byte shuffle that looks up both halves of each byte, and summed
//! as bytes for up to 31 words before `vpsadbw` widens them. Bound by the eight instructions per 32 bytes, of which two
//! are shuffles; the scalar `popcnt` gets one word a cycle on Intel, this about 1.5.

use std::arch::x86_64::*;

use super::portable;
use super::tile::{GROUP, LANES, Lanes};
use super::{Hit, Hits};
use crate::Codes;

/// Lanes of a 256-bit register.
const HALF: usize = LANES / 2;

/// Words whose byte counts fit a byte: each adds at most 8.
const WORDS_PER_BYTE: usize = u8::MAX as usize / 8;

/// The words of a row, in the order of the row.
#[target_feature(enable = "avx2")]
pub(super) fn arrange<T>(_n_words: usize, _words: &mut [T]) {}

/// Transposes rows into blocks of `n_words` words.
#[target_feature(enable = "avx2")]
pub(super) fn transpose<'a>(
    rows: impl ExactSizeIterator<Item = &'a [u8]>,
    n_words: usize,
    words: &mut [Lanes],
) {
    portable::transpose(rows, n_words, words);
}

/// Transposes rows that lie one after the other.
#[target_feature(enable = "avx2")]
pub(super) fn transpose_all(codes: Codes<'_>, words: &mut [Lanes]) {
    portable::transpose_all(codes, words);
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(half: &[u64; HALF]) -> __m256i {
    // SAFETY: `half` is 32 bytes.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

/// The number of ones in each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn byte_counts(bits: __m256i) -> __m256i {
    let ones_u8x32 = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let low_nibbles = _mm256_set1_epi8(0x0f);
    let low_u8x32 = _mm256_and_si256(bits, low_nibbles);
    let high_u8x32 = _mm256_and_si256(_mm256_srli_epi16::<4>(bits), low_nibbles);
    _mm256_add_epi8(_mm256_shuffle_epi8(ones_u8x32, low_u8x32), _mm256_shuffle_epi8(ones_u8x32, high_u8x32))
}

/// Distances of four rows (one half of the lanes of a block) to each query of a group.
#[inline]
#[target_feature(enable = "avx2")]
fn half_block_distances<const H: usize>(block: &[Lanes], query: &[[u64; GROUP]]) -> [__m256i; GROUP] {
    let mut distances_u64x4 = [_mm256_setzero_si256(); GROUP];
    for (words, query_words) in block.chunks(WORDS_PER_BYTE).zip(query.chunks(WORDS_PER_BYTE)) {
        let mut counts_u8x32 = [_mm256_setzero_si256(); GROUP];
        for (lanes, query_words) in words.iter().zip(query_words) {
            let word_u64x4 = load(&lanes.0.as_chunks::<HALF>().0[H]);
            for (counts, query_word) in counts_u8x32.iter_mut().zip(query_words) {
                let differing = _mm256_xor_si256(word_u64x4, _mm256_set1_epi64x(*query_word as i64));
                *counts = _mm256_add_epi8(*counts, byte_counts(differing));
            }
        }
        for (distances, counts) in distances_u64x4.iter_mut().zip(counts_u8x32) {
            *distances = _mm256_add_epi64(*distances, _mm256_sad_epu8(counts, _mm256_setzero_si256()));
        }
    }
    distances_u64x4
}

#[inline]
#[target_feature(enable = "avx2")]
fn to_array(lanes: __m256i) -> [u64; HALF] {
    let mut array = [0; HALF];
    // SAFETY: `array` is 32 bytes.
    unsafe { _mm256_storeu_si256(array.as_mut_ptr().cast(), lanes) };
    array
}

/// Appends every (query, row) whose distance is below the bound of the query.
#[target_feature(enable = "avx2")]
pub(super) fn scan(
    words: &[Lanes],
    query: &[[u64; GROUP]],
    bounds: [u32; GROUP],
    first_row: u32,
    hits: &mut Hits,
) {
    let bounds_u64x4 = bounds.map(|bound| _mm256_set1_epi64x(i64::from(bound)));
    for (block, words) in words.chunks_exact(query.len()).enumerate() {
        let halves = [half_block_distances::<0>(words, query), half_block_distances::<1>(words, query)];
        let mut any = _mm256_setzero_si256();
        for half in &halves {
            for (distances, bounds) in half.iter().zip(bounds_u64x4) {
                any = _mm256_or_si256(any, _mm256_cmpgt_epi64(bounds, *distances));
            }
        }
        if _mm256_testz_si256(any, any) == 0 {
            let row = first_row + (block * LANES) as u32;
            collect(halves.map(|half| half.map(|lanes| to_array(lanes))), bounds, row, hits);
        }
    }
}

#[cold]
fn collect(halves: [[[u64; HALF]; GROUP]; 2], bounds: [u32; GROUP], first_row: u32, hits: &mut Hits) {
    for (half, distances) in halves.iter().enumerate() {
        for (slot, distances) in distances.iter().enumerate() {
            for (lane, &distance) in distances.iter().enumerate() {
                if distance < u64::from(bounds[slot]) {
                    let row = first_row + (half * HALF + lane) as u32;
                    hits.push(Hit { slot: slot as u32, row, distance: distance as u32 });
                }
            }
        }
    }
}

/// Writes the distance of each query of a group to each row.
#[target_feature(enable = "avx2")]
pub(super) fn distances(words: &[Lanes], query: &[[u64; GROUP]], out: [&mut [i32]; GROUP]) {
    let mut out = out.map(|row| row.chunks_mut(HALF));
    for words in words.chunks_exact(query.len()) {
        for half in [half_block_distances::<0>(words, query), half_block_distances::<1>(words, query)] {
            for (distances, out) in half.iter().zip(&mut out) {
                for (out, distance) in out.next().into_iter().flatten().zip(to_array(*distances)) {
                    *out = distance as i32;
                }
            }
        }
    }
}

/// Appends every row whose distance to the query is below the bound, with rows taken as they lie: memory is the limit,
/// and the scalar `popcnt` keeps up with it.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn scan_rows(query: &[u8], codes: Codes<'_>, bound: u32, first_row: u32, hits: &mut Hits) {
    portable::scan_rows(query, codes, bound, first_row, hits);
}

/// Writes the distance of the query to the rows with the given ids. Rows far from each other come from memory: that is the
/// limit.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn distances_of(query: &[u8], codes: Codes<'_>, ids: &[u32], out: &mut [u32]) {
    portable::distances_of(query, codes, ids, out);
}

/// Writes the distance of the query to each of the rows, taken as they lie.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn row_distances(query: &[u8], codes: Codes<'_>, out: &mut [i32]) {
    portable::row_distances(query, codes, out);
}
