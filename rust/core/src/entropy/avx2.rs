//! Decoding of interleaved rANS with AVX2: four vectors of eight lanes.
//!
//! A step takes two gathers from tables of 1 KiB, and each of the two bytes that a lane may take in a look-up of the order in which the lanes
//! of a vector take them.

use std::arch::x86_64::*;

use super::frequencies::MAX_SYMBOLS;
use super::rans::{GROUP_BYTES, Lanes, N_LANES};
use super::tables::{N_BUCKETS, Tables};

/// Lanes of a vector.
const WIDTH: usize = 8;

/// Vectors of a group.
const N_VECTORS: usize = N_LANES / WIDTH;

/// Bytes that are loaded at a time.
const LOADED_BYTES: usize = 8;

/// For each set of lanes, the place of the byte of each lane among those of the set: `0x80`, which clears a byte, for the others.
const ORDER: [[u8; WIDTH]; 256] = {
    let mut order = [[0x80; WIDTH]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut place) = (0, 0);
        while lane < WIDTH {
            if set >> lane & 1 == 1 {
                order[set][lane] = place;
                place += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    order
};

/// See `portable`. Reads whole groups as long as there are bytes for any group.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(super) fn decode_groups(
    tables: &Tables,
    which: Option<&[u8]>,
    lanes: &mut Lanes<'_>,
    out: &mut [u8],
) -> usize {
    match which {
        None => decode_of(tables, lanes, out, |_, _| _mm256_setzero_si256()),
        Some(which) => {
            let last = _mm256_set1_epi32(tables.n_tables() as i32 - 1);
            let (which, _) = which.as_chunks::<N_LANES>();
            let n_groups = which.len().min(out.len() / N_LANES);
            decode_of(tables, lanes, &mut out[..n_groups * N_LANES], |group, vector| {
                let eight = which[group].as_chunks::<WIDTH>().0[vector];
                let numbers = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(eight)));
                _mm256_slli_epi32::<8>(_mm256_min_epi32(numbers, last))
            })
        }
    }
}

/// `base_of(group, vector)` are the numbers of the first entries of the tables of eight lanes.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn decode_of(
    tables: &Tables,
    lanes: &mut Lanes<'_>,
    out: &mut [u8],
    base_of: impl Fn(usize, usize) -> __m256i,
) -> usize {
    const { assert!(MAX_SYMBOLS == N_BUCKETS) };
    let mut x = [_mm256_setzero_si256(); N_VECTORS];
    for (x, lanes) in x.iter_mut().zip(lanes.x.as_chunks::<WIDTH>().0) {
        // SAFETY: eight numbers of four bytes.
        *x = unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) };
    }
    let mut n_groups = 0;
    for (group, out) in out.as_chunks_mut::<N_LANES>().0.iter_mut().enumerate() {
        let Some(bytes) = lanes.bytes.get(lanes.position..lanes.position + GROUP_BYTES + LOADED_BYTES) else {
            break;
        };
        let mut symbols = [_mm256_setzero_si256(); N_VECTORS];
        for vector in 0..N_VECTORS {
            (x[vector], symbols[vector]) = step(tables, x[vector], base_of(group, vector));
        }
        let mut position = 0;
        let needs: [__m256i; N_VECTORS] = std::array::from_fn(|vector| {
            _mm256_cmpeq_epi32(_mm256_srli_epi32::<16>(x[vector]), _mm256_setzero_si256())
        });
        for x in &mut x {
            let needs = _mm256_cmpeq_epi32(_mm256_srli_epi32::<24>(*x), _mm256_setzero_si256());
            *x = take_bytes(*x, needs, bytes, &mut position);
        }
        for (x, needs) in x.iter_mut().zip(needs) {
            *x = take_bytes(*x, needs, bytes, &mut position);
        }
        lanes.position += position;
        let low = _mm256_packus_epi32(symbols[0], symbols[1]);
        let high = _mm256_packus_epi32(symbols[2], symbols[3]);
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let symbols = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order);
        // SAFETY: `out` has 32 bytes.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), symbols) };
        n_groups += 1;
    }
    for (x, lanes) in x.iter().zip(lanes.x.as_chunks_mut::<WIDTH>().0) {
        // SAFETY: eight numbers of four bytes.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), *x) };
    }
    n_groups * N_LANES
}

/// The lanes before they take in bytes, and their symbols.
#[inline]
#[target_feature(enable = "avx2")]
fn step(tables: &Tables, x: __m256i, base: __m256i) -> (__m256i, __m256i) {
    let byte = _mm256_set1_epi32(0xff);
    let place = _mm256_and_si256(x, byte);
    let bucket = _mm256_and_si256(_mm256_srli_epi32::<8>(x), byte);
    let entry = gather(&tables.buckets, _mm256_add_epi32(base, bucket));
    let is_own = _mm256_cmpgt_epi32(_mm256_and_si256(entry, byte), place);
    let alias = _mm256_and_si256(_mm256_srli_epi32::<8>(entry), byte);
    let symbol = _mm256_blendv_epi8(alias, bucket, is_own);
    let offset = _mm256_andnot_si256(is_own, _mm256_srli_epi32::<16>(entry));
    let frequency = gather(&tables.frequencies, _mm256_add_epi32(base, symbol));
    let product = _mm256_mullo_epi32(frequency, _mm256_srli_epi32::<16>(x));
    (_mm256_add_epi32(product, _mm256_add_epi32(place, offset)), symbol)
}

/// The entries of tables of 256 entries each; `indices` are `256 table + n`, with a table that exists and `n` below 256.
#[inline]
#[target_feature(enable = "avx2")]
fn gather(entries: &[u32], indices: __m256i) -> __m256i {
    // SAFETY: callers make `indices` of a table that exists and a byte.
    unsafe { _mm256_i32gather_epi32::<4>(entries.as_ptr().cast(), indices) }
}

/// Appends a byte to the lanes that need one, in order.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn take_bytes(x: __m256i, needs: __m256i, bytes: &[u8], position: &mut usize) -> __m256i {
    let set = _mm256_movemask_ps(_mm256_castsi256_ps(needs)) as u8;
    // At most 64 bytes are taken of a group, and there are 8 more.
    let next = bytes.get(*position..*position + LOADED_BYTES).and_then(|next| next.first_chunk()).copied();
    *position += set.count_ones() as usize;
    let next = _mm_cvtsi64_si128(i64::from_le_bytes(next.unwrap_or_default()));
    let order = _mm_cvtsi64_si128(i64::from_le_bytes(ORDER[usize::from(set)]));
    let taken = _mm256_cvtepu8_epi32(_mm_shuffle_epi8(next, order));
    _mm256_or_si256(_mm256_sllv_epi32(x, _mm256_and_si256(needs, _mm256_set1_epi32(8))), taken)
}
