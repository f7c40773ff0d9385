//! AVX2: eight slots per register, four registers of multipliers and eight of minima at a time.
//!
//! A token takes two multiplications, two additions and four minima for 32 slots, and two broadcasts for 64. Bottleneck: the vector
//! units, of which an AMD core has four; a multiplication occupies one for two cycles, so that 128 slots take 10 cycles.

use std::arch::x86_64::*;

use super::{LANES, Minima, portable};

/// The compiler builds each 64-bit multiplication from three of 32 bits.
#[target_feature(enable = "avx2,bmi2")]
pub(super) fn mix_tokens(key: u64, tokens: &[u64], out: &mut [[u32; 2]]) {
    portable::mix_tokens(key, tokens, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn take_minima(block: &[[u32; 2]], multipliers: &[[u32; LANES]], minima: &mut [Minima]) {
    let ((pairs, rest), (minima_of_pairs, minima_of_rest)) =
        (multipliers.as_chunks::<2>(), minima.as_chunks_mut::<2>());
    for (multipliers, minima) in pairs.iter().zip(minima_of_pairs) {
        update(block, multipliers, minima);
    }
    for (multipliers, minima) in rest.iter().zip(minima_of_rest) {
        update(block, &[*multipliers], std::array::from_mut(minima));
    }
}

/// Updates `N` times 32 slots.
#[inline]
#[target_feature(enable = "avx2")]
fn update<const N: usize>(block: &[[u32; 2]], multipliers: &[[u32; LANES]; N], minima: &mut [Minima; N]) {
    let mut factors = [[_mm256_setzero_si256(); 2]; N];
    let (mut least, mut least_sums) = (factors, factors);
    for i in 0..N {
        factors[i] = load(&multipliers[i]);
        [least[i], least_sums[i]] = [load(&minima[i][0]), load(&minima[i][1])];
    }
    for &[high, low] in block {
        let (high, low) = (_mm256_set1_epi32(high as i32), _mm256_set1_epi32(low as i32));
        for i in 0..N {
            for half in 0..2 {
                let product = _mm256_mullo_epi32(high, factors[i][half]);
                let sum = _mm256_add_epi32(product, low);
                least[i][half] = _mm256_min_epu32(least[i][half], product);
                least_sums[i][half] = _mm256_min_epu32(least_sums[i][half], sum);
            }
        }
    }
    for i in 0..N {
        store(&mut minima[i][0], least[i]);
        store(&mut minima[i][1], least_sums[i]);
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn finish(minima: &[u32], signature: &mut [u32]) {
    portable::finish(minima, signature);
}

#[target_feature(enable = "avx2")]
pub(super) fn differing_words<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>, out: &mut [i32]) {
    portable::differing_words(pairs, out);
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn differing_planes<'a>(
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    n_planes: usize,
    out: &mut [i32],
) {
    portable::differing_planes(pairs, n_planes, out);
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
