//! Decoding of interleaved rANS with AVX-512: two vectors of sixteen lanes, which take in bytes by expansion.

use std::arch::x86_64::*;

use super::frequencies::MAX_SYMBOLS;
use super::rans::{GROUP_BYTES, Lanes, N_LANES};
use super::tables::{N_BUCKETS, Tables};

/// Lanes of a vector.
const WIDTH: usize = 16;

/// Vectors of a group.
const N_VECTORS: usize = N_LANES / WIDTH;

/// Bytes that are loaded at a time.
const LOADED_BYTES: usize = 16;

/// See `portable`. Reads whole groups as long as there are bytes for any group.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
pub(super) fn decode_groups(
    tables: &Tables,
    which: Option<&[u8]>,
    lanes: &mut Lanes<'_>,
    out: &mut [u8],
) -> usize {
    match which {
        None => decode_of(tables, lanes, out, |_, _| _mm512_setzero_si512()),
        Some(which) => {
            let last = _mm512_set1_epi32(tables.n_tables() as i32 - 1);
            let (which, _) = which.as_chunks::<N_LANES>();
            let n_groups = which.len().min(out.len() / N_LANES);
            decode_of(tables, lanes, &mut out[..n_groups * N_LANES], |group, vector| {
                let numbers = _mm512_cvtepu8_epi32(load(&which[group].as_chunks().0[vector]));
                _mm512_slli_epi32::<8>(_mm512_min_epi32(numbers, last))
            })
        }
    }
}

/// `base_of(group, vector)` are the numbers of the first entries of the tables of sixteen lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
fn decode_of(
    tables: &Tables,
    lanes: &mut Lanes<'_>,
    out: &mut [u8],
    base_of: impl Fn(usize, usize) -> __m512i,
) -> usize {
    const { assert!(MAX_SYMBOLS == N_BUCKETS) };
    let mut x = [_mm512_setzero_si512(); N_VECTORS];
    for (x, lanes) in x.iter_mut().zip(lanes.x.as_chunks::<WIDTH>().0) {
        // SAFETY: sixteen numbers of four bytes.
        *x = unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) };
    }
    let mut n_groups = 0;
    for (group, out) in out.as_chunks_mut::<N_LANES>().0.iter_mut().enumerate() {
        let Some(bytes) = lanes.bytes.get(lanes.position..lanes.position + GROUP_BYTES + LOADED_BYTES) else {
            break;
        };
        for ((vector, x), out) in x.iter_mut().enumerate().zip(out.as_chunks_mut::<WIDTH>().0) {
            let symbols;
            (*x, symbols) = step(tables, *x, base_of(group, vector));
            // SAFETY: sixteen bytes.
            unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(symbols)) };
        }
        let mut position = 0;
        let needs = x.map(|x| _mm512_cmplt_epu32_mask(x, _mm512_set1_epi32(1 << 16)));
        for x in &mut x {
            let needs = _mm512_cmplt_epu32_mask(*x, _mm512_set1_epi32(1 << 24));
            *x = take_bytes(*x, needs, bytes, &mut position);
        }
        for (x, needs) in x.iter_mut().zip(needs) {
            *x = take_bytes(*x, needs, bytes, &mut position);
        }
        lanes.position += position;
        n_groups += 1;
    }
    for (x, lanes) in x.iter().zip(lanes.x.as_chunks_mut::<WIDTH>().0) {
        // SAFETY: sixteen numbers of four bytes.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), *x) };
    }
    n_groups * N_LANES
}

/// The lanes before they take in bytes, and their symbols.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn step(tables: &Tables, x: __m512i, base: __m512i) -> (__m512i, __m512i) {
    let byte = _mm512_set1_epi32(0xff);
    let place = _mm512_and_si512(x, byte);
    let bucket = _mm512_and_si512(_mm512_srli_epi32::<8>(x), byte);
    let entry = gather(&tables.buckets, _mm512_add_epi32(base, bucket));
    let is_alias = _mm512_cmple_epu32_mask(_mm512_and_si512(entry, byte), place);
    let alias = _mm512_and_si512(_mm512_srli_epi32::<8>(entry), byte);
    let symbol = _mm512_mask_mov_epi32(bucket, is_alias, alias);
    let frequency = gather(&tables.frequencies, _mm512_add_epi32(base, symbol));
    let number = _mm512_mask_add_epi32(place, is_alias, place, _mm512_srli_epi32::<16>(entry));
    let product = _mm512_mullo_epi32(frequency, _mm512_srli_epi32::<16>(x));
    (_mm512_add_epi32(product, number), symbol)
}

/// The entries of tables of 256 entries each; `indices` are `256 table + n`, with a table that exists and `n` below 256.
#[inline]
#[target_feature(enable = "avx512f")]
fn gather(entries: &[u32], indices: __m512i) -> __m512i {
    // SAFETY: callers make `indices` of a table that exists and a byte.
    unsafe { _mm512_i32gather_epi32::<4>(indices, entries.as_ptr().cast()) }
}

/// Appends a byte to the lanes that need one, in order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,popcnt")]
fn take_bytes(x: __m512i, needs: __mmask16, bytes: &[u8], position: &mut usize) -> __m512i {
    // At most 64 bytes are taken of a group, and there are 16 more.
    let next = bytes.get(*position..*position + LOADED_BYTES).and_then(|next| next.first_chunk()).copied();
    *position += needs.count_ones() as usize;
    let next = _mm512_cvtepu8_epi32(load(&next.unwrap_or_default()));
    let taken = _mm512_maskz_expand_epi32(needs, next);
    _mm512_or_si512(_mm512_mask_slli_epi32::<8>(x, needs, x), taken)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; WIDTH]) -> __m128i {
    // SAFETY: sixteen bytes.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}
