//! AVX-512. SAD: the registers of 32 samples of AVX2, since twice as many candidates 16 columns apart are more than most windows have.
//! One-bit: 32 candidates in a register, whose bits `vpopcntw` counts. Bottleneck: the two ports of 512-bit instructions, 3 of them for
//! 32 candidates and a row, so 0.75 cycles a candidate of 16 x 16.

use std::arch::x86_64::*;

use super::{COSTS_PER_CHUNK, LANES, avx2, portable, whole_lanes};

#[target_feature(enable = "avx2")]
pub(super) fn sad_16(block: &[[u8; 16]; 16], window: &[u8], stride: usize, n: usize, costs: &mut [u16]) {
    avx2::sad_16(block, window, stride, n, costs);
}

#[target_feature(enable = "avx2")]
pub(super) fn sad_8(block: &[[u8; 8]; 8], window: &[u8], stride: usize, n: usize, costs: &mut [u16]) {
    avx2::sad_8(block, window, stride, n, costs);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bitalg,popcnt")]
pub(super) fn one_bit(rows: &[u16], window: &[u16], stride: usize, n: usize, costs: &mut [u16]) {
    let whole = whole_lanes(n);
    for (dy, costs) in costs.chunks_exact_mut(n.next_multiple_of(COSTS_PER_CHUNK)).take(n).enumerate() {
        for first in (0..whole).step_by(LANES) {
            let mut count = _mm512_setzero_si512();
            for (index, row) in rows.iter().enumerate() {
                let windows = window[(dy + index) * stride + first..].first_chunk::<LANES>();
                let Some(windows) = windows else { break };
                // SAFETY: `windows` are 64 bytes.
                let windows = unsafe { _mm512_loadu_si512(windows.as_ptr().cast()) };
                let differ = _mm512_xor_si512(windows, _mm512_set1_epi16(row.cast_signed()));
                count = _mm512_add_epi16(count, _mm512_popcnt_epi16(differ));
            }
            let left = costs.len() - first;
            let mask = u32::MAX >> (LANES - left.min(LANES));
            let costs = costs[first..].as_mut_ptr().cast();
            // SAFETY: the mask leaves out what is beyond the end of the costs.
            let so_far = unsafe { _mm512_maskz_loadu_epi16(mask, costs) };
            let sums = _mm512_add_epi16(count, so_far);
            // SAFETY: as above.
            unsafe { _mm512_mask_storeu_epi16(costs, mask, sums) };
        }
    }
    portable::one_bit_from(whole, rows, window, stride, n, costs);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn minima(costs: &[u16], n: usize, minima: &mut [u16]) {
    portable::minima(costs, n, minima);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn windows(bytes: &[u8], side: usize, windows: &mut [u16]) {
    portable::windows(bytes, side, windows);
}
