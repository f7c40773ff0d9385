//! AVX-512: comparisons write masks, so 64 of them fill a general register; unpacking is a blend under a mask. Row counts use the vector popcount.
//!
//! Bottleneck: the loads of pack and the stores of unpack, from memory as from the second-level cache.

use std::arch::x86_64::*;

use super::{BitOrder, DIMS_PER_BLOCK, F16_INFINITY, Limits, Rows, pack_rows, portable, unpack_rows};
use crate::Codes;

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn pack_bool(x: Rows<'_>, nothing: &[Limits<()>], out: &mut [u8]) {
    pack_rows::<1, _>(x, nothing, out, |x, _| {
        let x = load(x);
        _mm512_test_epi8_mask(x, x)
    });
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn pack_f16(x: Rows<'_>, thresholds: &[Limits<i16>], out: &mut [u8]) {
    let infinity = _mm512_set1_epi16(F16_INFINITY);
    let magnitude = _mm512_set1_epi16(i16::MAX);
    pack_rows::<2, _>(x, thresholds, out, |x, t| {
        prefetch(x);
        let chunks = x.as_chunks::<32>().0.iter().zip(t.as_chunks::<32>().0);
        let bits = chunks.map(|(x, t)| {
            let x = load(x);
            let key = _mm512_xor_si512(x, _mm512_and_si512(_mm512_srai_epi16::<15>(x), magnitude));
            let is_number = _mm512_cmple_epi16_mask(key, infinity);
            u64::from(_mm512_mask_cmpgt_epi16_mask(is_number, key, load(t)))
        });
        bits.rev().fold(0, |bits, next| bits << 32 | next)
    });
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn pack_f32(x: Rows<'_>, thresholds: &[Limits<f32>], out: &mut [u8]) {
    pack_rows::<4, _>(x, thresholds, out, |x, t| {
        prefetch(x);
        let chunks = x.as_chunks::<16>().0.iter().zip(t.as_chunks::<16>().0);
        let bits = chunks.map(|(x, t)| {
            let (x, t) = (_mm512_castsi512_ps(load(x)), _mm512_castsi512_ps(load(t)));
            u64::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, t))
        });
        bits.rev().fold(0, |bits, next| bits << 16 | next)
    });
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn pack_f64(x: Rows<'_>, thresholds: &[Limits<f64>], out: &mut [u8]) {
    pack_rows::<8, _>(x, thresholds, out, |x, t| {
        prefetch(x);
        let chunks = x.as_chunks::<8>().0.iter().zip(t.as_chunks::<8>().0);
        let bits = chunks.map(|(x, t)| {
            let (x, t) = (_mm512_castsi512_pd(load(x)), _mm512_castsi512_pd(load(t)));
            u64::from(_mm512_cmp_pd_mask::<_CMP_GT_OQ>(x, t))
        });
        bits.rev().fold(0, |bits, next| bits << 8 | next)
    });
}

/// The compiler makes two table look-ups of it, one for each half of a byte.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn reverse_bits(bytes: &mut [u8]) {
    portable::reverse_bits(bytes);
}

/// Bit `i` is dimension `i`, in either order: each byte of the code fills eight lanes, and a lane tests its own bit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn bits_of(bytes: [u8; 8], order: BitOrder) -> u64 {
    let bit_of_lane = _mm512_set1_epi64(order.bit_of_byte() as i64);
    let byte_of_lane = _mm512_set_epi64(
        0x0707_0707_0707_0707,
        0x0606_0606_0606_0606,
        0x0505_0505_0505_0505,
        0x0404_0404_0404_0404,
        0x0303_0303_0303_0303,
        0x0202_0202_0202_0202,
        0x0101_0101_0101_0101,
        0x0000_0000_0000_0000,
    );
    let lanes = _mm512_shuffle_epi8(_mm512_set1_epi64(i64::from_le_bytes(bytes)), byte_of_lane);
    _mm512_test_epi8_mask(lanes, bit_of_lane)
}

/// `$lanes` elements to a register.
macro_rules! unpack {
    ($name:ident, $element:ident, $signed:ident, $lanes:literal, $mask:ident, $set1:ident, $blend:ident) => {
        #[target_feature(enable = "avx512f,avx512bw")]
        pub(super) fn $name(
            codes: Rows<'_>,
            n_bits: usize,
            values: [$element; 2],
            order: BitOrder,
            out: &mut [[u8; size_of::<$element>()]],
        ) {
            let [zero, one] = values.map(|value| $set1(value as $signed));
            unpack_rows(codes, n_bits, out, |bytes, out| {
                let bits = bits_of(bytes, order);
                for (i, out) in out.as_chunks_mut::<$lanes>().0.iter_mut().enumerate() {
                    store(out, $blend((bits >> (i * $lanes)) as $mask, zero, one));
                }
            });
        }
    };
}

unpack!(unpack_8, u8, i8, 64, __mmask64, _mm512_set1_epi8, _mm512_mask_blend_epi8);
unpack!(unpack_16, u16, i16, 32, __mmask32, _mm512_set1_epi16, _mm512_mask_blend_epi16);
unpack!(unpack_32, u32, i32, 16, __mmask16, _mm512_set1_epi32, _mm512_mask_blend_epi32);
unpack!(unpack_64, u64, i64, 8, __mmask8, _mm512_set1_epi64, _mm512_mask_blend_epi64);

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
pub(super) fn popcount(codes: Codes<'_>, out: &mut [i32]) {
    match codes.n_bytes() {
        8 if codes.stride() == 8 => popcount_words(codes.as_bytes(), out),
        ..=16 => popcount_short(codes, out),
        _ => popcount_long(codes, out),
    }
}

/// Rows of eight bytes without gaps: eight rows to a register, one count to a lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
fn popcount_words(bytes: &[u8], out: &mut [i32]) {
    let ((blocks, rest), (out_blocks, out_rest)) = (bytes.as_chunks::<64>(), out.as_chunks_mut::<8>());
    for (block, out) in blocks.iter().zip(out_blocks) {
        let counts = _mm512_cvtepi64_epi32(_mm512_popcnt_epi64(load(block)));
        // SAFETY: the array has 8 elements of 4 bytes, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), counts) }
    }
    for (row, out) in rest.as_chunks::<8>().0.iter().zip(out_rest) {
        *out = u64::from_ne_bytes(*row).count_ones() as i32;
    }
}

/// Rows of at most 16 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
fn popcount_short(codes: Codes<'_>, out: &mut [i32]) {
    let lanes = ((1_u32 << codes.n_bytes()) - 1) as __mmask16;
    for (index, out) in out.iter_mut().enumerate() {
        let row = codes.row(index);
        // SAFETY: the mask has one bit for each byte of the row, and bytes without one are not read.
        let row16 = unsafe { _mm_maskz_loadu_epi8(lanes, row.as_ptr().cast()) };
        let counts = _mm_popcnt_epi64(row16);
        *out = _mm_cvtsi128_si32(_mm_add_epi64(counts, _mm_unpackhi_epi64(counts, counts)));
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
fn popcount_long(codes: Codes<'_>, out: &mut [i32]) {
    let lanes = (1_u64 << (codes.n_bytes() % 64)) - 1;
    for (index, out) in out.iter_mut().enumerate() {
        let (blocks, rest) = codes.row(index).as_chunks::<64>();
        // SAFETY: the mask has one bit for each byte of the rest, and bytes without one are not read.
        let rest = unsafe { _mm512_maskz_loadu_epi8(lanes, rest.as_ptr().cast()) };
        let mut counts = _mm512_popcnt_epi64(rest);
        for block in blocks {
            counts = _mm512_add_epi64(counts, _mm512_popcnt_epi64(load(block)));
        }
        *out = _mm512_reduce_add_epi64(counts) as i32;
    }
}

/// Prefetches the bytes 4 KB after a block: the hardware prefetchers stop at the end of each page.
#[inline]
#[allow(unused_unsafe, reason = "newer compilers know that a prefetch is safe")]
#[target_feature(enable = "avx512f")]
fn prefetch<const N: usize>(block: &[[u8; N]; DIMS_PER_BLOCK]) {
    for line in 0..N {
        let ahead = block.as_ptr().wrapping_byte_add(4096 + 64 * line);
        // SAFETY: a prefetch is a hint, which does nothing for an invalid address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.cast()) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load<T: Copy, const N: usize>(from: &[T; N]) -> __m512i {
    const { assert!(size_of::<[T; N]>() == 64) };
    // SAFETY: the array has 64 bytes, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store<const W: usize, const N: usize>(to: &mut [[u8; W]; N], value: __m512i) {
    const { assert!(W * N == 64) };
    // SAFETY: the array has 64 bytes, any bytes are valid for it, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), value) }
}
