//! AVX-512: a comparison is a mask of bits.

use std::arch::x86_64::*;

use super::planes::BLOCK;
use super::portable;

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn to_dots(distances: &[i32], factor: i32, columns: &[i32], row: i32, dots: &mut [i32]) {
    portable::to_dots(distances, factor, columns, row, dots);
}

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn subtract(distances: &[i32], factor: i32, sums: &mut [i32]) {
    portable::subtract(distances, factor, sums);
}

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn scale_and_add(dots: &[i32], scale: &[f32], bias: &[f32], out: &mut [f32]) {
    portable::scale_and_add(dots, scale, bias, out);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(numbers: &[i32; 16]) -> __m512i {
    // SAFETY: `numbers` is 64 bytes.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn above(dots: &[i32], thresholds: &[i32], out: &mut [u8]) {
    let ((dots, last_dots), (thresholds, last_thresholds)) =
        (dots.as_chunks::<16>(), thresholds.as_chunks::<16>());
    let (pairs, last) = out.split_at_mut(2 * dots.len());
    for ((dots, thresholds), pair) in dots.iter().zip(thresholds).zip(pairs.as_chunks_mut::<2>().0) {
        *pair = _mm512_cmpge_epi32_mask(load(dots), load(thresholds)).reverse_bits().to_be_bytes();
    }
    portable::above(last_dots, last_thresholds, last);
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn bit_planes(values: &[u8; BLOCK]) -> [u64; 8] {
    // SAFETY: `values` is 64 bytes.
    let values = unsafe { _mm512_loadu_si512(values.as_ptr().cast()) };
    let mut planes = [0; 8];
    for (plane, bits) in planes.iter_mut().enumerate() {
        *bits = _mm512_test_epi8_mask(values, _mm512_set1_epi8((1_u8 << plane) as i8));
    }
    planes
}
