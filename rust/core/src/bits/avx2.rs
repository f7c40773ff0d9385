//! AVX2: a comparison leaves all ones or all zeros in a lane, and movemask takes one bit of each lane into a general
//! register; unpacking is a broadcast of the bits, a test of one bit in each lane, and a blend of the two values.
//!
//! Bottleneck: from memory, the loads; from the cache, the one movemask per cycle.

use std::arch::x86_64::*;
use std::array;

use super::{BitOrder, DIMS_PER_BLOCK, F16_INFINITY, Limits, Rows, pack_rows, portable, unpack_rows};
use crate::Codes;

#[target_feature(enable = "avx2")]
pub(super) fn pack_bool(x: Rows<'_>, nothing: &[Limits<()>], out: &mut [u8]) {
    pack_rows::<1, _>(x, nothing, out, |x, _| {
        let zero = _mm256_setzero_si256();
        let bits = x.as_chunks::<32>().0.iter().map(|x| {
            let is_zero = _mm256_movemask_epi8(_mm256_cmpeq_epi8(load(x), zero));
            u64::from(!is_zero as u32)
        });
        bits.rev().fold(0, |bits, next| bits << 32 | next)
    });
}

#[target_feature(enable = "avx2")]
pub(super) fn pack_f16(x: Rows<'_>, thresholds: &[Limits<i16>], out: &mut [u8]) {
    let infinity = _mm256_set1_epi16(F16_INFINITY);
    let magnitude = _mm256_set1_epi16(i16::MAX);
    let above = |x: &[[u8; 2]; 16], t: &[i16; 16]| {
        let x = load(x);
        let key = _mm256_xor_si256(x, _mm256_and_si256(_mm256_srai_epi16::<15>(x), magnitude));
        _mm256_andnot_si256(_mm256_cmpgt_epi16(key, infinity), _mm256_cmpgt_epi16(key, load(t)))
    };
    pack_rows::<2, _>(x, thresholds, out, |x, t| {
        prefetch(x);
        let ([x0, x1, x2, x3], [t0, t1, t2, t3]) = (x.as_chunks().0, t.as_chunks().0) else { unreachable!() };
        let bits = [(x0, t0, x1, t1), (x2, t2, x3, t3)].map(|(x0, t0, x1, t1)| {
            // The pack takes 64 bits of each operand in turn; the permutation puts them in order.
            let bytes = _mm256_packs_epi16(above(x0, t0), above(x1, t1));
            u64::from(_mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(bytes)) as u32)
        });
        bits[1] << 32 | bits[0]
    });
}

#[target_feature(enable = "avx2")]
pub(super) fn pack_f32(x: Rows<'_>, thresholds: &[Limits<f32>], out: &mut [u8]) {
    pack_rows::<4, _>(x, thresholds, out, |x, t| {
        prefetch(x);
        let chunks = x.as_chunks::<8>().0.iter().zip(t.as_chunks::<8>().0);
        let bits = chunks.map(|(x, t)| {
            let (x, t) = (_mm256_castsi256_ps(load(x)), _mm256_castsi256_ps(load(t)));
            _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(x, t)) as u64
        });
        bits.rev().fold(0, |bits, next| bits << 8 | next)
    });
}

#[target_feature(enable = "avx2")]
pub(super) fn pack_f64(x: Rows<'_>, thresholds: &[Limits<f64>], out: &mut [u8]) {
    pack_rows::<8, _>(x, thresholds, out, |x, t| {
        prefetch(x);
        let chunks = x.as_chunks::<4>().0.iter().zip(t.as_chunks::<4>().0);
        let bits = chunks.map(|(x, t)| {
            let (x, t) = (_mm256_castsi256_pd(load(x)), _mm256_castsi256_pd(load(t)));
            _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GT_OQ>(x, t)) as u64
        });
        bits.rev().fold(0, |bits, next| bits << 4 | next)
    });
}

/// The compiler makes two table look-ups of it, one for each half of a byte.
#[target_feature(enable = "avx2")]
pub(super) fn reverse_bits(bytes: &mut [u8]) {
    portable::reverse_bits(bytes);
}

#[target_feature(enable = "avx2")]
pub(super) fn unpack_8(
    codes: Rows<'_>,
    n_bits: usize,
    values: [u8; 2],
    order: BitOrder,
    out: &mut [[u8; 1]],
) {
    let [zero, one] = values.map(|value| _mm256_set1_epi8(value as i8));
    // Each byte of the code fills eight lanes, and a lane tests its own bit.
    let byte_of_lane = _mm256_set_epi64x(
        0x0303_0303_0303_0303,
        0x0202_0202_0202_0202,
        0x0101_0101_0101_0101,
        0x0000_0000_0000_0000,
    );
    let bit_of_lane = _mm256_set1_epi64x(order.bit_of_byte() as i64);
    unpack_rows(codes, n_bits, out, |bytes, out| {
        let bits = u64::from_le_bytes(bytes);
        for (i, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let lanes = _mm256_shuffle_epi8(_mm256_set1_epi32((bits >> (i * 32)) as i32), byte_of_lane);
            let is_one = _mm256_cmpeq_epi8(_mm256_and_si256(lanes, bit_of_lane), bit_of_lane);
            store(out, _mm256_blendv_epi8(zero, one, is_one));
        }
    });
}

#[target_feature(enable = "avx2")]
pub(super) fn unpack_16(
    codes: Rows<'_>,
    n_bits: usize,
    values: [u16; 2],
    order: BitOrder,
    out: &mut [[u8; 2]],
) {
    let [zero, one] = values.map(|value| _mm256_set1_epi16(value as i16));
    let bit_of_lane = load(&array::from_fn::<u16, 16, _>(|i| 1 << i));
    unpack_rows(codes, n_bits, out, |bytes, out| {
        let bits = order.bits(bytes);
        for (i, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let lanes = _mm256_set1_epi16((bits >> (i * 16)) as i16);
            let is_one = _mm256_cmpeq_epi16(_mm256_and_si256(lanes, bit_of_lane), bit_of_lane);
            store(out, _mm256_blendv_epi8(zero, one, is_one));
        }
    });
}

#[target_feature(enable = "avx2")]
pub(super) fn unpack_32(
    codes: Rows<'_>,
    n_bits: usize,
    values: [u32; 2],
    order: BitOrder,
    out: &mut [[u8; 4]],
) {
    let [zero, one] = values.map(|value| _mm256_set1_epi32(value as i32));
    let bit_of_lane = load(&array::from_fn::<u32, 8, _>(|i| 1 << i));
    unpack_rows(codes, n_bits, out, |bytes, out| {
        let bits = order.bits(bytes);
        for (i, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let lanes = _mm256_set1_epi32((bits >> (i * 8)) as i32);
            let is_one = _mm256_cmpeq_epi32(_mm256_and_si256(lanes, bit_of_lane), bit_of_lane);
            store(out, _mm256_blendv_epi8(zero, one, is_one));
        }
    });
}

#[target_feature(enable = "avx2")]
pub(super) fn unpack_64(
    codes: Rows<'_>,
    n_bits: usize,
    values: [u64; 2],
    order: BitOrder,
    out: &mut [[u8; 8]],
) {
    let [zero, one] = values.map(|value| _mm256_set1_epi64x(value as i64));
    let bit_of_lane = load(&array::from_fn::<u64, 4, _>(|i| 1 << i));
    unpack_rows(codes, n_bits, out, |bytes, out| {
        let bits = order.bits(bytes);
        for (i, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let lanes = _mm256_set1_epi64x((bits >> (i * 4)) as i64);
            let is_one = _mm256_cmpeq_epi64(_mm256_and_si256(lanes, bit_of_lane), bit_of_lane);
            store(out, _mm256_blendv_epi8(zero, one, is_one));
        }
    });
}

/// The portable loop, but with the CPU's own popcount: 8 bytes per cycle, as fast as memory.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn popcount(codes: Codes<'_>, out: &mut [i32]) {
    portable::popcount(codes, out);
}

/// Prefetches the bytes 4 KB after a block: the hardware prefetchers stop at the end of each page.
#[inline]
#[allow(unused_unsafe, reason = "newer compilers know that a prefetch is safe")]
#[target_feature(enable = "avx2")]
fn prefetch<const N: usize>(block: &[[u8; N]; DIMS_PER_BLOCK]) {
    for line in 0..N {
        let ahead = block.as_ptr().wrapping_byte_add(4096 + 64 * line);
        // SAFETY: a prefetch is a hint, which does nothing for an invalid address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.cast()) };
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load<T: Copy, const N: usize>(from: &[T; N]) -> __m256i {
    const { assert!(size_of::<[T; N]>() == 32) };
    // SAFETY: the array has 32 bytes, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store<const W: usize, const N: usize>(to: &mut [[u8; W]; N], value: __m256i) {
    const { assert!(W * N == 32) };
    // SAFETY: the array has 32 bytes, any bytes are valid for it, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) }
}
