//! AVX-512 with `vpopcntq`. The bottleneck is the ports for vector logic: two on Intel, only one of which counts bits.
//! Counting every word takes three instructions per word (xor, popcount, add). [`arrange`] reduces that to 2.5:
//!
//! Three differences `x0 = a0 ^ b0`, `x1`, `x2` have as many ones as `x0 ^ x1 ^ x2` has, plus twice as many as their
//! majority has (a carry-save adder). Xor being linear, `x0 ^ x1 ^ x2` comes from *one* xor if `a0 ^ a1 ^ a2` was stored
//! in place of `a2` - and then the majority follows from `x0`, `x1` and that sum by one `vpternlogq`. Two words thus cost
//! two xors, one majority, and one popcount and add for the carry; the sum is passed on to the next two words.
//!
//! The nearest row of a step is compared with the bound of its query, the queries of a group share one chain of masks, and
//! one branch, which is hardly ever taken, tests it.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;

use super::portable;
use super::tile::{Lanes, QUERIES_PER_GROUP, ROWS_PER_BLOCK, for_each_block};
use super::{Hit, Hits};
use crate::codes::for_each_word;
use crate::{Codes, Error};

/// Blocks that kernels take in one step.
const BLOCKS_PER_STEP: usize = 2;
/// The majority of `x0`, `x1`, `x2` as a truth table over (`x0`, `x1`, `x0 ^ x1 ^ x2`).
const CARRY: i32 = 0b1101_0100;
/// Quarters 0 and 2 of both operands, and quarters 1 and 3.
const EVEN: i32 = 0b10_00_10_00;
const ODD: i32 = 0b11_01_11_01;

/// Rows of a step of a tile.
#[target_feature(enable = "avx512f")]
pub(super) fn step_rows() -> usize {
    BLOCKS_PER_STEP * ROWS_PER_BLOCK
}

/// A lane has a whole word of its row.
#[target_feature(enable = "avx512f")]
pub(super) fn lanes_per_word() -> usize {
    1
}

/// Kernels scan whole groups, most of which is wasted on few queries.
#[target_feature(enable = "avx512f")]
pub(super) fn few_queries() -> usize {
    QUERIES_PER_GROUP / 2
}

/// Replaces every second word from the third on by the xor of all words up to it.
#[inline]
#[target_feature(enable = "avx512f")]
fn arrange<T: AsMut<[u64]>>(n_words: usize, words: &mut [T]) {
    for words in words.chunks_exact_mut(n_words) {
        for index in (2..n_words).step_by(2) {
            if let [.., sum, odd, even] = &mut words[..=index] {
                for ((even, odd), sum) in even.as_mut().iter_mut().zip(odd.as_mut()).zip(sum.as_mut()) {
                    *even ^= *odd ^ *sum;
                }
            }
        }
    }
}

/// Rearranges groups of queries.
#[target_feature(enable = "avx512f")]
pub(super) fn arrange_queries(n_words: usize, words: &mut [[u64; QUERIES_PER_GROUP]]) -> Result<(), Error> {
    arrange(n_words, words);
    Ok(())
}

/// Transposes rows into blocks of `n_words` words, eight words of eight rows at a time.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn transpose<'a>(
    rows: impl ExactSizeIterator<Item = &'a [u8]>,
    n_words: usize,
    words: &mut [Lanes],
) {
    for_each_block(rows, n_words, words, |rows, block| transpose_block(rows, block));
    arrange(n_words, words);
}

/// Transposes consecutive rows. Eight short ones fill few registers, which takes few shuffles.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn transpose_all(codes: Codes<'_>, words: &mut [Lanes]) {
    let contiguous = codes.stride() == codes.n_bytes();
    let done = match codes.n_bytes() {
        8 if contiguous => transpose_short::<1>(codes.as_bytes(), words),
        16 if contiguous => transpose_short::<2>(codes.as_bytes(), words),
        32 if contiguous => transpose_short::<4>(codes.as_bytes(), words),
        _ => 0,
    };
    let (short, others) = words.split_at_mut(done / ROWS_PER_BLOCK * codes.n_words());
    arrange(codes.n_words(), short);
    transpose((done..codes.n_rows()).map(|row| codes.row(row)), codes.n_words(), others);
}

/// Transposes as many whole blocks of rows of `WORDS` words as there are; returns the number of rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_short<const WORDS: usize>(rows: &[u8], words: &mut [Lanes]) -> usize {
    let (even, odd) =
        (_mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15));
    let (low, high) =
        (_mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13), _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15));
    let blocks = words.chunks_exact_mut(WORDS).zip(rows.chunks_exact(ROWS_PER_BLOCK * 8 * WORDS));
    let n_rows = blocks.len() * ROWS_PER_BLOCK;
    for (block, rows) in blocks {
        let (registers, _) = rows.as_chunks::<64>();
        let row = |index: usize| load_bytes(&registers[index]);
        match WORDS {
            1 => store_lanes(&mut block[0], row(0)),
            2 => {
                store_lanes(&mut block[0], _mm512_permutex2var_epi64(row(0), even, row(1)));
                store_lanes(&mut block[1], _mm512_permutex2var_epi64(row(0), odd, row(1)));
            }
            _ => {
                // Words 0 and 1 of four rows, then words 2 and 3; then halves of those of eight rows.
                let pairs = [low, high].map(|words| {
                    let first_rows = _mm512_permutex2var_epi64(row(0), words, row(1));
                    (first_rows, _mm512_permutex2var_epi64(row(2), words, row(3)))
                });
                for (pair, (first_rows, last_rows)) in pairs.into_iter().enumerate() {
                    let low_halves = _mm512_shuffle_i64x2::<0b01_00_01_00>(first_rows, last_rows);
                    let high_halves = _mm512_shuffle_i64x2::<0b11_10_11_10>(first_rows, last_rows);
                    store_lanes(&mut block[2 * pair], low_halves);
                    store_lanes(&mut block[2 * pair + 1], high_halves);
                }
            }
        }
    }
    n_rows
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transpose_block(rows: [&[u8]; ROWS_PER_BLOCK], block: &mut [Lanes]) {
    let len = rows[0].len();
    for (words, start) in block.chunks_mut(ROWS_PER_BLOCK).zip((0..len).step_by(64)) {
        let mut row_u64x8 = [_mm512_setzero_si512(); ROWS_PER_BLOCK];
        for lane in 0..ROWS_PER_BLOCK {
            row_u64x8[lane] = load_tail(&rows[lane][start..len.min(start + 64)]);
        }
        // Words of pairs of rows, then of four, then of eight.
        let [a, b, c, d, e, f, g, h] = row_u64x8;
        let [w0, w2, w4, w6] = transpose_quarters([
            _mm512_unpacklo_epi64(a, b),
            _mm512_unpacklo_epi64(c, d),
            _mm512_unpacklo_epi64(e, f),
            _mm512_unpacklo_epi64(g, h),
        ]);
        let [w1, w3, w5, w7] = transpose_quarters([
            _mm512_unpackhi_epi64(a, b),
            _mm512_unpackhi_epi64(c, d),
            _mm512_unpackhi_epi64(e, f),
            _mm512_unpackhi_epi64(g, h),
        ]);
        for (lanes, word) in words.iter_mut().zip([w0, w1, w2, w3, w4, w5, w6, w7]) {
            store_lanes(lanes, word);
        }
    }
}

/// Of four registers of four 128-bit quarters, the first quarters, the second ones, ...
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_quarters([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab_even, ab_odd) = (_mm512_shuffle_i64x2::<EVEN>(a, b), _mm512_shuffle_i64x2::<ODD>(a, b));
    let (cd_even, cd_odd) = (_mm512_shuffle_i64x2::<EVEN>(c, d), _mm512_shuffle_i64x2::<ODD>(c, d));
    [
        _mm512_shuffle_i64x2::<EVEN>(ab_even, cd_even),
        _mm512_shuffle_i64x2::<EVEN>(ab_odd, cd_odd),
        _mm512_shuffle_i64x2::<ODD>(ab_even, cd_even),
        _mm512_shuffle_i64x2::<ODD>(ab_odd, cd_odd),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(lanes: &Lanes) -> __m512i {
    // SAFETY: `lanes` is 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512(lanes.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn differing(word_u64x8: __m512i, query_word: u64) -> __m512i {
    _mm512_xor_si512(word_u64x8, _mm512_set1_epi64(query_word as i64))
}

/// Distances of the rows of one step to each query of a group: `[query][block]`, one row a lane. A macro, since that many
/// registers do not survive a call.
macro_rules! step_distances {
    ($words:expr, $query:expr) => {{
        let (words, query): (&[Lanes], &[[u64; QUERIES_PER_GROUP]]) = ($words, $query);
        let twos_i8x64 = _mm512_set1_epi8(2);
        let blocks: [&[Lanes]; BLOCKS_PER_STEP] = words.split_at(query.len()).into();
        let (query_pairs, query_last) = query[1..].as_chunks::<2>();

        let mut distances = [[_mm512_setzero_si512(); BLOCKS_PER_STEP]; QUERIES_PER_GROUP];
        let mut sums = [[_mm512_setzero_si512(); BLOCKS_PER_STEP]; QUERIES_PER_GROUP];
        for block in 0..BLOCKS_PER_STEP {
            let first = load(&blocks[block][0]);
            for slot in 0..QUERIES_PER_GROUP {
                sums[slot][block] = differing(first, query[0][slot]);
                // With an even number of words, the last one is in no pair.
                if let [query_last] = query_last {
                    let last = differing(load(&blocks[block][query.len() - 1]), query_last[slot]);
                    distances[slot][block] = _mm512_popcnt_epi64(last);
                }
            }
        }
        for (index, [query_odd, query_sum]) in query_pairs.iter().enumerate() {
            for block in 0..BLOCKS_PER_STEP {
                let odd = load(&blocks[block][2 * index + 1]);
                let sum = load(&blocks[block][2 * index + 2]);
                for slot in 0..QUERIES_PER_GROUP {
                    let odd = differing(odd, query_odd[slot]);
                    let sum = differing(sum, query_sum[slot]);
                    let carry = _mm512_ternarylogic_epi64::<CARRY>(sums[slot][block], odd, sum);
                    // A count is at most 64, one byte: this adds it twice.
                    let distance = &mut distances[slot][block];
                    *distance = _mm512_dpbusd_epi32(*distance, _mm512_popcnt_epi64(carry), twos_i8x64);
                    sums[slot][block] = sum;
                }
            }
        }
        for block in 0..BLOCKS_PER_STEP {
            for slot in 0..QUERIES_PER_GROUP {
                let distance = &mut distances[slot][block];
                *distance = _mm512_add_epi64(*distance, _mm512_popcnt_epi64(sums[slot][block]));
            }
        }
        distances
    }};
}

#[inline]
#[target_feature(enable = "avx512f,avx512vnni,avx512vpopcntdq")]
fn scan_words<const WORDS: usize>(
    words: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    bounds: [u32; QUERIES_PER_GROUP],
    first_row: u32,
    hits: &mut Hits,
) {
    // A width known to the compiler unrolls the loop over words; 0 stands for any width.
    let n_words = if WORDS == 0 { query.len() } else { WORDS };
    let query = &query[..n_words];
    let mut bounds_u64x8 = [_mm512_setzero_si512(); QUERIES_PER_GROUP];
    for slot in 0..QUERIES_PER_GROUP {
        bounds_u64x8[slot] = _mm512_set1_epi64(i64::from(bounds[slot]));
    }
    for (step, words) in words.chunks_exact(BLOCKS_PER_STEP * n_words).enumerate() {
        let distances = step_distances!(words, query);
        let mut far = __mmask8::MAX;
        for slot in 0..QUERIES_PER_GROUP {
            let [first, second] = distances[slot];
            let nearer = _mm512_min_epu32(first, second);
            far = _mm512_mask_cmpge_epu64_mask(far, nearer, bounds_u64x8[slot]);
        }
        if far != __mmask8::MAX {
            for slot in 0..QUERIES_PER_GROUP {
                for block in 0..BLOCKS_PER_STEP {
                    let near = _mm512_cmplt_epu64_mask(distances[slot][block], bounds_u64x8[slot]);
                    if near != 0 {
                        let mut lanes = Lanes([0; ROWS_PER_BLOCK]);
                        store_lanes(&mut lanes, distances[slot][block]);
                        collect(
                            near,
                            &lanes,
                            slot as u32,
                            first_row + ((step * BLOCKS_PER_STEP + block) * ROWS_PER_BLOCK) as u32,
                            hits,
                        );
                    }
                }
            }
        }
    }
}

/// Appends a hit for each lane of the mask.
#[cold]
#[inline(never)]
fn collect(mut near: __mmask8, distances: &Lanes, slot: u32, first_row: u32, hits: &mut Hits) {
    while near != 0 {
        let lane = near.trailing_zeros();
        near &= near - 1;
        hits.push(Hit {
            slot,
            row: first_row + lane,
            distance: distances.0[lane as usize % ROWS_PER_BLOCK] as u32,
        });
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_lanes(lanes: &mut Lanes, register: __m512i) {
    // SAFETY: `lanes` is 64 bytes, aligned to 64.
    unsafe { _mm512_store_si512(lanes.0.as_mut_ptr().cast(), register) };
}

/// Appends every (query, row) whose distance is below the bound of the query.
#[target_feature(enable = "avx512f,avx512vnni,avx512vpopcntdq")]
pub(super) fn scan(
    words: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    bounds: [u32; QUERIES_PER_GROUP],
    first_row: u32,
    hits: &mut Hits,
) {
    match query.len() {
        1 => scan_words::<1>(words, query, bounds, first_row, hits),
        2 => scan_words::<2>(words, query, bounds, first_row, hits),
        3 => scan_words::<3>(words, query, bounds, first_row, hits),
        4 => scan_words::<4>(words, query, bounds, first_row, hits),
        8 => scan_words::<8>(words, query, bounds, first_row, hits),
        _ => scan_words::<0>(words, query, bounds, first_row, hits),
    }
}

/// Writes the distance of each query of a group to each row.
#[target_feature(enable = "avx512f,avx512vl,avx512vnni,avx512vpopcntdq")]
pub(super) fn distances(
    words: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    out: [&mut [i32]; QUERIES_PER_GROUP],
) {
    let mut out = out.map(|row| row.chunks_mut(BLOCKS_PER_STEP * ROWS_PER_BLOCK));
    for words in words.chunks_exact(BLOCKS_PER_STEP * query.len()) {
        for (blocks, out) in step_distances!(words, query).iter().zip(&mut out) {
            let Some(out) = out.next() else { continue };
            // Even 32-bit halves of both registers, in order.
            let low_halves = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let distances_i32x16 = _mm512_permutex2var_epi32(blocks[0], low_halves, blocks[1]);
            store(out, distances_i32x16);
        }
    }
}

/// Stores as many of the sixteen as `out` has room for.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(out: &mut [i32], distances_i32x16: __m512i) {
    let room = ((1u32 << out.len().min(16)) - 1) as __mmask16;
    // SAFETY: no more elements are written than `out` has.
    unsafe { _mm512_mask_storeu_epi32(out.as_mut_ptr(), room, distances_i32x16) };
}

/// Appends every untransposed row whose distance to the query is below the bound.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
pub(super) fn scan_rows(query: &[u8], codes: Codes<'_>, bound: u32, first_row: u32, hits: &mut Hits) {
    let bound_u64x8 = _mm512_set1_epi64(i64::from(bound));
    for_each_eight_rows(query, codes, |row, n_rows, distances| {
        let near =
            _mm512_cmplt_epu64_mask(distances, bound_u64x8) & (__mmask8::MAX >> (ROWS_PER_BLOCK - n_rows));
        if near != 0 {
            let mut lanes = Lanes([0; ROWS_PER_BLOCK]);
            store_lanes(&mut lanes, distances);
            collect(near, &lanes, 0, first_row + row as u32, hits);
        }
    });
}

/// Writes the distance of the query to the rows with the given ids. Memory is the bottleneck.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
pub(super) fn distances_of(query: &[u8], codes: Codes<'_>, ids: &[usize], out: &mut [u32]) {
    portable::distances_of(query, codes, ids, out);
}

/// Writes the distance of the query to each untransposed row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
pub(super) fn row_distances(query: &[u8], codes: Codes<'_>, out: &mut [i32]) {
    for_each_eight_rows(query, codes, |first_row, n_rows, distances| {
        let distances_i32x8 = _mm512_cvtepi64_epi32(distances);
        store(&mut out[first_row..first_row + n_rows], _mm512_castsi256_si512(distances_i32x8));
    });
}

/// Calls `receive(first row, number of rows, distances)` for up to eight rows at a time. Memory is the bottleneck.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
fn for_each_eight_rows(query: &[u8], codes: Codes<'_>, mut receive: impl FnMut(usize, usize, __m512i)) {
    let contiguous = codes.stride() == codes.n_bytes();
    let done = match codes.n_bytes() {
        8 if contiguous => short_rows::<1>(query, codes.as_bytes(), &mut receive),
        16 if contiguous => short_rows::<2>(query, codes.as_bytes(), &mut receive),
        32 if contiguous => short_rows::<4>(query, codes.as_bytes(), &mut receive),
        64 if contiguous => short_rows::<8>(query, codes.as_bytes(), &mut receive),
        _ => 0,
    };
    for start in (done..codes.n_rows()).step_by(ROWS_PER_BLOCK) {
        let end = codes.n_rows().min(start + ROWS_PER_BLOCK);
        receive(start, end - start, long_rows(query, codes.slice(start, end)));
    }
}

/// Eight rows of `WORDS` words at a time, which fill `WORDS` registers; returns how many rows were done.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
fn short_rows<const WORDS: usize>(
    query: &[u8],
    rows: &[u8],
    receive: &mut impl FnMut(usize, usize, __m512i),
) -> usize {
    let mut repeated = Lanes([0; ROWS_PER_BLOCK]);
    for_each_word(query, |index, word| {
        for lane in repeated.0.iter_mut().skip(index).step_by(WORDS) {
            *lane = word;
        }
    });
    let query_u64x8 = load(&repeated);
    // Lane of the sums below that holds row 0, 1, ...: pairs of words are added within and then across registers.
    let lane_of_row = match WORDS {
        2 => _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7),
        4 => _mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7),
        _ => _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7),
    };
    let blocks = rows.chunks_exact(ROWS_PER_BLOCK * 8 * WORDS);
    let n_rows = blocks.len() * ROWS_PER_BLOCK;
    for (block, rows) in blocks.enumerate() {
        let (registers, _) = rows.as_chunks::<64>();
        let counts = |index: usize| {
            prefetch(&registers[index]);
            _mm512_popcnt_epi64(_mm512_xor_si512(load_bytes(&registers[index]), query_u64x8))
        };
        let sums_u64x8 = match WORDS {
            1 => counts(0),
            2 => add_pairs(counts(0), counts(1)),
            4 => add_quarters(add_pairs(counts(0), counts(1)), add_pairs(counts(2), counts(3))),
            _ => {
                let low = add_quarters(add_pairs(counts(0), counts(1)), add_pairs(counts(2), counts(3)));
                let high = add_quarters(add_pairs(counts(4), counts(5)), add_pairs(counts(6), counts(7)));
                add_quarters(low, high)
            }
        };
        receive(block * ROWS_PER_BLOCK, ROWS_PER_BLOCK, _mm512_permutexvar_epi64(lane_of_row, sums_u64x8));
    }
    n_rows
}

/// Lanes `a0 + a1, b0 + b1, a2 + a3, b2 + b3, ...`.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_pairs(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_bytes(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: `bytes` is 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Prefetches the bytes 4 KB ahead: the CPU's own prefetchers stop at the end of each page.
#[inline]
#[target_feature(enable = "avx512f")]
fn prefetch(bytes: &[u8; 64]) {
    let ahead = bytes.as_ptr().wrapping_add(4096);
    // SAFETY: a prefetch is a hint, and does nothing for an unmapped address.
    #[allow(unused_unsafe, reason = "newer compilers know that a prefetch is safe")]
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(ahead.cast())
    };
}

/// Up to 64 bytes, the rest of the register zero.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_tail(bytes: &[u8]) -> __m512i {
    let present = u64::MAX.checked_shr(64 - bytes.len().min(64) as u32).unwrap_or(0);
    // SAFETY: only the first `bytes.len()` bytes are read.
    unsafe { _mm512_maskz_loadu_epi8(present, bytes.as_ptr().cast()) }
}

/// Up to eight rows of any length, one after the other, their counts added up across lanes together.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
fn long_rows(query: &[u8], codes: Codes<'_>) -> __m512i {
    let (query_chunks, query_tail) = query.as_chunks::<64>();
    let query_tail_u8x64 = load_tail(query_tail);
    let mut counts = [_mm512_setzero_si512(); ROWS_PER_BLOCK];
    for (row, counts_u64x8) in (0..codes.n_rows()).zip(&mut counts) {
        let (chunks, tail) = codes.row(row).as_chunks::<64>();
        for (chunk, query_chunk) in chunks.iter().zip(query_chunks) {
            prefetch(chunk);
            let differing = _mm512_xor_si512(load_bytes(chunk), load_bytes(query_chunk));
            *counts_u64x8 = _mm512_add_epi64(*counts_u64x8, _mm512_popcnt_epi64(differing));
        }
        if !tail.is_empty() {
            let differing = _mm512_xor_si512(load_tail(tail), query_tail_u8x64);
            *counts_u64x8 = _mm512_add_epi64(*counts_u64x8, _mm512_popcnt_epi64(differing));
        }
    }
    // Lane pairs, then quarters, then halves: eight sums of eight lanes in 21 instructions.
    let [a, b, c, d, e, f, g, h] = counts;
    let (ab, cd, ef, gh) = (add_pairs(a, b), add_pairs(c, d), add_pairs(e, f), add_pairs(g, h));
    add_quarters(add_quarters(ab, cd), add_quarters(ef, gh))
}

/// Of four 128-bit quarters each: `a0 + a1, a2 + a3, b0 + b1, b2 + b3`.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_quarters(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi64(_mm512_shuffle_i64x2::<EVEN>(a, b), _mm512_shuffle_i64x2::<ODD>(a, b))
}
