//! AVX2: a comparison leaves all ones in a lane, and movemask takes one bit of each byte of 32 lanes.

use std::arch::x86_64::*;

use super::planes::BLOCK;
use super::portable;

#[target_feature(enable = "avx2")]
pub(super) fn to_dots(distances: &[i32], factor: i32, columns: &[i32], row: i32, dots: &mut [i32]) {
    portable::to_dots(distances, factor, columns, row, dots);
}

#[target_feature(enable = "avx2")]
pub(super) fn subtract(distances: &[i32], factor: i32, sums: &mut [i32]) {
    portable::subtract(distances, factor, sums);
}

#[target_feature(enable = "avx2")]
pub(super) fn scale_and_add(dots: &[i32], scale: &[f32], bias: &[f32], out: &mut [f32]) {
    portable::scale_and_add(dots, scale, bias, out);
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(numbers: &[i32; 8]) -> __m256i {
    // SAFETY: `numbers` is 32 bytes.
    unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
pub(super) fn above(dots: &[i32], thresholds: &[i32], out: &mut [u8]) {
    let ((dots, last_dots), (thresholds, last_thresholds)) =
        (dots.as_chunks::<32>(), thresholds.as_chunks::<32>());
    let (words, last) = out.split_at_mut(4 * dots.len());
    // The packs below interleave quarters; this puts them in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for ((dots, thresholds), word) in dots.iter().zip(thresholds).zip(words.as_chunks_mut::<4>().0) {
        let (dots, thresholds) = (dots.as_chunks::<8>().0, thresholds.as_chunks::<8>().0);
        let [a, b, c, d] =
            [0, 1, 2, 3].map(|part| _mm256_cmpgt_epi32(load(&thresholds[part]), load(&dots[part])));
        let below = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        let below = _mm256_movemask_epi8(_mm256_permutevar8x32_epi32(below, order)) as u32;
        *word = (!below).reverse_bits().to_be_bytes();
    }
    portable::above(last_dots, last_thresholds, last);
}

#[target_feature(enable = "avx2")]
pub(super) fn bit_planes(values: &[u8; BLOCK]) -> [u64; 8] {
    let mut planes = [0; 8];
    let [low, high] = values.as_chunks::<32>().0 else { unreachable!() };
    let mut halves = [low, high].map(|half| load_bytes(half));
    // The highest bit of each byte first; an addition brings the next one there.
    for bits in planes.iter_mut().rev() {
        let [low, high] = halves.map(|half| u64::from(_mm256_movemask_epi8(half) as u32));
        *bits = high << 32 | low;
        halves = halves.map(|half| _mm256_add_epi8(half, half));
    }
    planes
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_bytes(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: `bytes` is 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
