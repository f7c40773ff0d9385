//! AVX2: eight slots to a register, four registers of multipliers and as many of minima at a time.
//!
//! A token costs one multiplication and one minimum for eight slots, and a broadcast for 64. Bottleneck: the multiplications, of
//! which AMD starts two a cycle and Intel one; 128 slots take 8 cycles a token there and 16 here. The first step of a
//! token is scalar multiplications of 64 bits, which run beside.

use std::arch::x86_64::*;

use super::{LANES, portable};

/// The compiler keeps it scalar: there is no multiplication of 64 bits in AVX2.
#[target_feature(enable = "avx2,bmi2")]
pub(super) fn mix_high(key: u64, tokens: &[u64], out: &mut [u32]) {
    portable::mix_high(key, tokens, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn take_minima(block: &[u32], multipliers: &[[u32; LANES]], minima: &mut [[u32; LANES]]) {
    let ((fours, rest), (minima_of_fours, minima_of_rest)) =
        (multipliers.as_chunks::<3>(), minima.as_chunks_mut::<3>());
    for (multipliers, minima) in fours.iter().zip(minima_of_fours) {
        together(block, multipliers, minima);
    }
    for (multipliers, minima) in rest.iter().zip(minima_of_rest) {
        together(block, &[*multipliers], std::array::from_mut(minima));
    }
}

/// `N` times sixteen slots.
#[inline]
#[target_feature(enable = "avx2")]
fn together<const N: usize>(block: &[u32], multipliers: &[[u32; LANES]; N], minima: &mut [[u32; LANES]; N]) {
    let mut factors = [[_mm256_setzero_si256(); 2]; N];
    let mut least = [[_mm256_setzero_si256(); 2]; N];
    for i in 0..N {
        (factors[i], least[i]) = (load(&multipliers[i]), load(&minima[i]));
    }
    for &x in block {
        let x = _mm256_set1_epi32(x as i32);
        for (factors, least) in factors.iter().zip(&mut least) {
            for (factor, least) in factors.iter().zip(least) {
                *least = _mm256_min_epu32(*least, _mm256_mullo_epi32(x, *factor));
            }
        }
    }
    for (minima, least) in minima.iter_mut().zip(least) {
        store(minima, least);
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn differing_words(a: &[u8], b: &[u8]) -> u32 {
    portable::differing_words(a, b)
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn differing_planes(a: &[u8], b: &[u8], n_planes: usize) -> u32 {
    portable::differing_planes(a, b, n_planes)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(from: &[u32; LANES]) -> [__m256i; 2] {
    let (halves, _) = from.as_chunks::<8>();
    // SAFETY: the array has 32 bytes, and the load needs no alignment.
    [&halves[0], &halves[1]].map(|half| unsafe { _mm256_loadu_si256(half.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(to: &mut [u32; LANES], values: [__m256i; 2]) {
    for (half, value) in to.as_chunks_mut::<8>().0.iter_mut().zip(values) {
        // SAFETY: the array has 32 bytes, any bytes are valid for it, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(half.as_mut_ptr().cast(), value) };
    }
}
