//! NEON: four slots per register. The multipliers and minima of 64 slots are 24 of the 32 registers, and a product takes its token from
//! a lane, so that only the low halves are broadcast.
//!
//! A token takes four multiplications, four additions and eight minima for 32 slots, and one broadcast for 64: 33 vector instructions for
//! 64 slots, where AVX2 takes 18 with registers twice as long. Bottleneck: the vector units. Larger groups of slots would
//! not fit the registers.
//!
//! `mix_tokens` is scalar: a product of 64 bits is one scalar instruction, and a token takes ten instructions with load and store. Vectors
//! multiply 32 bits at most, so that two tokens take six instructions for each of two products, and 20 in all: as many
//! per token, on the units that the minima need.
//!
//! Slots in planes are counted 16 bytes at a time by the popcount of bytes, which vectors have and scalar registers do not.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::aarch64::*;

use super::{LANES, Minima, portable};

/// The four registers of a group of slots.
type Group = [uint32x4_t; LANES / 4];

/// The step between the numbers that are added to the minima of successive slots.
const STEP: u32 = 0x9E37_79B9;

#[target_feature(enable = "neon")]
pub(super) fn mix_tokens(key: u64, tokens: &[u64], out: &mut [[u32; 2]]) {
    portable::mix_tokens(key, tokens, out);
}

#[target_feature(enable = "neon")]
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

/// The minima of `N` groups, of products and of their sums with the low halves.
struct Least<const N: usize> {
    factors: [Group; N],
    products: [Group; N],
    sums: [Group; N],
}

impl<const N: usize> Least<N> {
    #[inline]
    #[target_feature(enable = "neon")]
    fn take(&mut self, token: &[u32; 2]) {
        // SAFETY: `token` is 2 integers.
        let halves = unsafe { vld1_u32(token.as_ptr()) };
        let low = vdupq_lane_u32::<1>(halves);
        for i in 0..N {
            for four in 0..LANES / 4 {
                let product = vmulq_lane_u32::<0>(self.factors[i][four], halves);
                let sum = vaddq_u32(product, low);
                self.products[i][four] = vminq_u32(self.products[i][four], product);
                self.sums[i][four] = vminq_u32(self.sums[i][four], sum);
            }
        }
    }
}

/// Updates `N` times 32 slots.
#[inline]
#[target_feature(enable = "neon")]
fn update<const N: usize>(block: &[[u32; 2]], multipliers: &[[u32; LANES]; N], minima: &mut [Minima; N]) {
    let zeros = [[vdupq_n_u32(0); LANES / 4]; N];
    let mut least = Least { factors: zeros, products: zeros, sums: zeros };
    for i in 0..N {
        least.factors[i] = load_group(&multipliers[i]);
        [least.products[i], least.sums[i]] = [load_group(&minima[i][0]), load_group(&minima[i][1])];
    }
    for token in block {
        least.take(token);
    }
    for i in 0..N {
        store_group(&mut minima[i][0], least.products[i]);
        store_group(&mut minima[i][1], least.sums[i]);
    }
}

#[target_feature(enable = "neon")]
pub(super) fn finish(minima: &[u32], signature: &mut [u32]) {
    let (fours, rest) = minima.as_chunks::<4>();
    let (slots, last_slots) = signature.as_chunks_mut::<4>();
    let mut added = load(&[0, STEP, STEP.wrapping_mul(2), STEP.wrapping_mul(3)]);
    for (minima, slots) in fours.iter().zip(slots) {
        store(slots, fmix32(vaddq_u32(load(minima), added)));
        added = vaddq_u32(added, vdupq_n_u32(STEP.wrapping_mul(4)));
    }
    let (mut last, len) = ([0; 4], rest.len().min(last_slots.len()));
    last[..len].copy_from_slice(&rest[..len]);
    let minima = load(&last);
    store(&mut last, fmix32(vaddq_u32(minima, added)));
    last_slots[..len].copy_from_slice(&last[..len]);
}

/// The same as that of the parent, four times.
#[inline]
#[target_feature(enable = "neon")]
fn fmix32(mut h: uint32x4_t) -> uint32x4_t {
    h = vmulq_u32(veorq_u32(h, vshrq_n_u32::<16>(h)), vdupq_n_u32(0x85EB_CA6B));
    h = vmulq_u32(veorq_u32(h, vshrq_n_u32::<13>(h)), vdupq_n_u32(0xC2B2_AE35));
    veorq_u32(h, vshrq_n_u32::<16>(h))
}

#[target_feature(enable = "neon")]
pub(super) fn differing_words<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>, out: &mut [i32]) {
    for ((a, b), out) in pairs.zip(out) {
        let n_words = a.len().min(b.len()) / 4;
        *out = n_words as i32 - equal_words(a, b) as i32;
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn equal_words(a: &[u8], b: &[u8]) -> u32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let ((a_blocks, a), (b_blocks, b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    // An equal word is all ones, minus one.
    let mut counts = [vdupq_n_u32(0); 4];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..4 {
            counts[i] = vsubq_u32(counts[i], are_equal(&a[i], &b[i]));
        }
    }
    for (a, b) in a.iter().zip(b) {
        counts[0] = vsubq_u32(counts[0], are_equal(a, b));
    }
    let rest = a_rest.as_chunks::<4>().0.iter().zip(b_rest.as_chunks::<4>().0);
    let count = vaddq_u32(vaddq_u32(counts[0], counts[1]), vaddq_u32(counts[2], counts[3]));
    vaddvq_u32(count) + rest.map(|(a, b)| u32::from(a == b)).sum::<u32>()
}

#[inline]
#[target_feature(enable = "neon")]
fn are_equal(a: &[u8; 16], b: &[u8; 16]) -> uint32x4_t {
    vceqq_u32(vreinterpretq_u32_u8(load_bytes(a)), vreinterpretq_u32_u8(load_bytes(b)))
}

#[target_feature(enable = "neon")]
pub(super) fn differing_planes<'a>(
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    n_planes: usize,
    out: &mut [i32],
) {
    for ((a, b), out) in pairs.zip(out) {
        *out = match a.len() / n_planes {
            ..16 => portable::differing_in_planes(a, b, n_planes),
            n_bytes => differing_in_planes(a, b, n_bytes),
        } as i32;
    }
}

/// Sixteen zeros and sixteen ones: the last bytes of a register, as many as the start of its mask.
const LAST_BYTES: [u8; 32] = {
    let (mut bytes, mut index) = ([0; 32], 16);
    while index < 32 {
        bytes[index] = 0xFF;
        index += 1;
    }
    bytes
};

/// Planes of at least 16 bytes.
#[inline]
#[target_feature(enable = "neon")]
fn differing_in_planes(a: &[u8], b: &[u8], n_bytes: usize) -> u32 {
    let (mut differing, mut start) = (0, 0);
    while start + 64 <= n_bytes {
        let [c, d, e, f] = differing_bits::<4>(a, b, n_bytes, start).map(|bits| vcntq_u8(bits));
        differing += u32::from(vaddlvq_u8(vaddq_u8(vaddq_u8(c, d), vaddq_u8(e, f))));
        start += 64;
    }
    while start + 16 <= n_bytes {
        let [bits] = differing_bits::<1>(a, b, n_bytes, start);
        differing += u32::from(vaddlvq_u8(vcntq_u8(bits)));
        start += 16;
    }
    if let Some(mask) = LAST_BYTES[n_bytes - start..].first_chunk()
        && start < n_bytes
    {
        // The last 16 bytes again, without those that were counted.
        let [bits] = differing_bits::<1>(a, b, n_bytes, n_bytes - 16);
        differing += u32::from(vaddlvq_u8(vcntq_u8(vandq_u8(bits, load_bytes(mask)))));
    }
    differing
}

/// The bits of slots that differ in any plane, `N` times 16 bytes from `start` on.
#[inline]
#[target_feature(enable = "neon")]
fn differing_bits<const N: usize>(a: &[u8], b: &[u8], n_bytes: usize, start: usize) -> [uint8x16_t; N] {
    let mut bits = [vdupq_n_u8(0); N];
    for (a, b) in a.chunks_exact(n_bytes).zip(b.chunks_exact(n_bytes)) {
        let (a, b) = (a[start..].as_chunks().0, b[start..].as_chunks().0);
        for ((bits, a), b) in bits.iter_mut().zip(a).zip(b) {
            *bits = vorrq_u8(*bits, veorq_u8(load_bytes(a), load_bytes(b)));
        }
    }
    bits
}

#[inline]
#[target_feature(enable = "neon")]
fn load_bytes(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: `bytes` are 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(from: &[u32; 4]) -> uint32x4_t {
    // SAFETY: `from` are 4 integers.
    unsafe { vld1q_u32(from.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(to: &mut [u32; 4], value: uint32x4_t) {
    // SAFETY: `to` are 4 integers.
    unsafe { vst1q_u32(to.as_mut_ptr(), value) };
}

#[inline]
#[target_feature(enable = "neon")]
fn load_group(from: &[u32; LANES]) -> Group {
    let mut group = [vdupq_n_u32(0); LANES / 4];
    for (register, four) in group.iter_mut().zip(from.as_chunks().0) {
        *register = load(four);
    }
    group
}

#[inline]
#[target_feature(enable = "neon")]
fn store_group(to: &mut [u32; LANES], group: Group) {
    for (four, register) in to.as_chunks_mut().0.iter_mut().zip(group) {
        store(four, register);
    }
}
