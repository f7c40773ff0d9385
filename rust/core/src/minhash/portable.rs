//! Plain Rust: the definition for all levels.

use super::{LANES, Minima, fmix32, mix};

/// The high and the low half of each token's random bits.
#[inline(always)]
pub(super) fn mix_tokens(key: u64, tokens: &[u64], out: &mut [[u32; 2]]) {
    for (out, token) in out.iter_mut().zip(tokens) {
        let z = mix(token ^ key);
        *out = [(z >> 32) as u32, z as u32];
    }
}

/// Updates the minima with the products of each of `block` and all multipliers, and with their sums with the low halves.
#[inline(always)]
pub(super) fn take_minima(block: &[[u32; 2]], multipliers: &[[u32; LANES]], minima: &mut [Minima]) {
    for (multipliers, minima) in multipliers.iter().zip(minima) {
        let [mut least, mut least_sums] = *minima;
        for &[high, low] in block {
            for lane in 0..LANES {
                let product = high.wrapping_mul(multipliers[lane]);
                least[lane] = least[lane].min(product);
                least_sums[lane] = least_sums[lane].min(product.wrapping_add(low));
            }
        }
        *minima = [least, least_sums];
    }
}

/// Turns minima into slots, whose bits are all uniform.
#[inline(always)]
pub(super) fn finish(minima: &[u32], signature: &mut [u32]) {
    for ((i, minimum), slot) in (0_u32..).zip(minima).zip(signature) {
        *slot = fmix32(minimum.wrapping_add(i.wrapping_mul(0x9E37_79B9)));
    }
}

/// Counts the slots of 32 bits in which the two rows of each pair differ.
#[inline(always)]
pub(super) fn differing_words<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>, out: &mut [i32]) {
    for ((a, b), out) in pairs.zip(out) {
        let words = a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0);
        let differ =
            |(a, b): (&[u8; 4], &[u8; 4])| u32::from(u32::from_ne_bytes(*a) != u32::from_ne_bytes(*b));
        *out = words.map(differ).sum::<u32>() as i32;
    }
}

/// Counts the slots of `n_planes` bits in which the two rows of each pair differ: those that differ in any plane.
#[inline(always)]
pub(super) fn differing_planes<'a>(
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    n_planes: usize,
    out: &mut [i32],
) {
    for ((a, b), out) in pairs.zip(out) {
        *out = differing_in_planes(a, b, n_planes) as i32;
    }
}

#[inline(always)]
pub(super) fn differing_in_planes(a: &[u8], b: &[u8], n_planes: usize) -> u32 {
    let n_bytes = a.len() / n_planes;
    let (mut differing, mut start) = (0, 0);
    while start + 8 <= n_bytes {
        let mut word = 0;
        for plane in 0..n_planes {
            let at = plane * n_bytes + start;
            word |= word_at(a, at) ^ word_at(b, at);
        }
        differing += word.count_ones();
        start += 8;
    }
    for at in start..n_bytes {
        let byte =
            (0..n_planes).fold(0, |byte, plane| byte | (a[plane * n_bytes + at] ^ b[plane * n_bytes + at]));
        differing += byte.count_ones();
    }
    differing
}

#[inline(always)]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_ne_bytes(*word))
}
