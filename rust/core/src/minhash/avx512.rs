//! AVX-512: sixteen slots to a register; the multipliers and minima of 128 slots fit the registers.
//!
//! A token costs one multiplication and one minimum for sixteen slots, and a broadcast for 128. Bottleneck: the
//! multiplications, of which AMD starts one or two a cycle and Intel one in two cycles.

use std::arch::x86_64::*;

use super::{LANES, portable};

/// Registers of multipliers that are taken together.
const TOGETHER: usize = 8;

/// Eight tokens to a register: AVX-512 multiplies 64 bits.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
pub(super) fn mix_high(key: u64, tokens: &[u64], out: &mut [u32]) {
    portable::mix_high(key, tokens, out);
}

#[target_feature(enable = "avx512f")]
pub(super) fn take_minima(block: &[u32], multipliers: &[[u32; LANES]], minima: &mut [[u32; LANES]]) {
    let ((groups, rest), (minima_of_groups, minima_of_rest)) =
        (multipliers.as_chunks::<TOGETHER>(), minima.as_chunks_mut::<TOGETHER>());
    for (multipliers, minima) in groups.iter().zip(minima_of_groups) {
        together(block, multipliers, minima);
    }
    for (multipliers, minima) in rest.iter().zip(minima_of_rest) {
        together(block, &[*multipliers], std::array::from_mut(minima));
    }
}

/// `N` times sixteen slots.
#[inline]
#[target_feature(enable = "avx512f")]
fn together<const N: usize>(block: &[u32], multipliers: &[[u32; LANES]; N], minima: &mut [[u32; LANES]; N]) {
    let (mut factors, mut least) = ([_mm512_setzero_si512(); N], [_mm512_setzero_si512(); N]);
    for i in 0..N {
        (factors[i], least[i]) = (load(&multipliers[i]), load(&minima[i]));
    }
    for &x in block {
        let x = _mm512_set1_epi32(x as i32);
        for (factor, least) in factors.iter().zip(&mut least) {
            *least = _mm512_min_epu32(*least, _mm512_mullo_epi32(x, *factor));
        }
    }
    for (minima, least) in minima.iter_mut().zip(least) {
        store(minima, least);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn differing_words(a: &[u8], b: &[u8]) -> u32 {
    portable::differing_words(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
pub(super) fn differing_planes(a: &[u8], b: &[u8], n_planes: usize) -> u32 {
    portable::differing_planes(a, b, n_planes)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(from: &[u32; LANES]) -> __m512i {
    // SAFETY: the array has 64 bytes, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(to: &mut [u32; LANES], value: __m512i) {
    // SAFETY: the array has 64 bytes, any bytes are valid for it, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), value) }
}
