//! AVX-512: sixteen slots per register; the multipliers and minima of 128 slots fit in the registers.
//!
//! A token takes one multiplication, one addition and two minima for 32 slots, and two broadcasts for 128. Bottleneck: the vector
//! ports, of which a core has two to four; a multiplication occupies one for two cycles on Intel.

use std::arch::x86_64::*;

use super::{LANES, Minima, portable};

/// Registers of multipliers that are used at a time.
const REGISTERS_PER_GROUP: usize = 4;

/// Eight tokens per register: AVX-512 multiplies 64 bits.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
pub(super) fn mix_tokens(key: u64, tokens: &[u64], out: &mut [[u32; 2]]) {
    portable::mix_tokens(key, tokens, out);
}

#[target_feature(enable = "avx512f")]
pub(super) fn take_minima(block: &[[u32; 2]], multipliers: &[[u32; LANES]], minima: &mut [Minima]) {
    let ((groups, rest), (minima_of_groups, minima_of_rest)) =
        (multipliers.as_chunks::<REGISTERS_PER_GROUP>(), minima.as_chunks_mut::<REGISTERS_PER_GROUP>());
    for (multipliers, minima) in groups.iter().zip(minima_of_groups) {
        update(block, multipliers, minima);
    }
    for (multipliers, minima) in rest.iter().zip(minima_of_rest) {
        update(block, &[*multipliers], std::array::from_mut(minima));
    }
}

/// Updates `N` times 32 slots.
#[inline]
#[target_feature(enable = "avx512f")]
fn update<const N: usize>(block: &[[u32; 2]], multipliers: &[[u32; LANES]; N], minima: &mut [Minima; N]) {
    let mut factors = [_mm512_setzero_si512(); N];
    let (mut least, mut least_sums) = (factors, factors);
    for i in 0..N {
        factors[i] = load(&multipliers[i]);
        [least[i], least_sums[i]] = [load(&minima[i][0]), load(&minima[i][1])];
    }
    for &[high, low] in block {
        let (high, low) = (_mm512_set1_epi32(high as i32), _mm512_set1_epi32(low as i32));
        for i in 0..N {
            let product = _mm512_mullo_epi32(high, factors[i]);
            let sum = _mm512_add_epi32(product, low);
            least[i] = _mm512_min_epu32(least[i], product);
            least_sums[i] = _mm512_min_epu32(least_sums[i], sum);
        }
    }
    for i in 0..N {
        store(&mut minima[i][0], least[i]);
        store(&mut minima[i][1], least_sums[i]);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn finish(minima: &[u32], signature: &mut [u32]) {
    portable::finish(minima, signature);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn differing_words<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>, out: &mut [i32]) {
    portable::differing_words(pairs, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
pub(super) fn differing_planes<'a>(
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    n_planes: usize,
    out: &mut [i32],
) {
    portable::differing_planes(pairs, n_planes, out);
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
