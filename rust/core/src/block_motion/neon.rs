//! NEON. SAD: `uabal` of both halves of a row, in eight lanes of 16 bits, which 16 rows cannot overflow; four candidates at neighbouring
//! columns share the row. One-bit: eight candidates in a register, whose bits `cnt` counts in bytes. Bottleneck: the vector ports, with
//! 32 instructions for a candidate of 16 x 16 by SAD, and 3 for eight candidates and a row of bits.

use std::arch::aarch64::*;

use super::{COSTS_PER_CHUNK, LANES, portable, whole_lanes};

/// Candidates that share the row of a block.
const COLUMNS: usize = 4;

#[target_feature(enable = "neon")]
pub(super) fn sad_16(block: &[[u8; 16]; 16], window: &[u8], stride: usize, n: usize, costs: &mut [u16]) {
    for (dy, costs) in costs.chunks_exact_mut(n.next_multiple_of(COSTS_PER_CHUNK)).take(n).enumerate() {
        for (index, costs) in costs.as_chunks_mut::<COLUMNS>().0.iter_mut().enumerate() {
            let mut sums = [vdupq_n_u16(0); COLUMNS];
            for (row, samples) in block.iter().zip(window[dy * stride + index * COLUMNS..].chunks(stride)) {
                let Some(samples) = samples.first_chunk::<{ COLUMNS + 16 }>() else { break };
                // SAFETY: a row is 16 bytes.
                let row = unsafe { vld1q_u8(row.as_ptr()) };
                for (column, sum) in sums.iter_mut().enumerate() {
                    let at = samples.as_ptr().wrapping_add(column);
                    // SAFETY: `samples` are 4 more than a register holds, and `column` is at most 3.
                    let samples = unsafe { vld1q_u8(at) };
                    *sum = vabal_u8(*sum, vget_low_u8(row), vget_low_u8(samples));
                    *sum = vabal_high_u8(*sum, row, samples);
                }
            }
            *costs = sums.map(|sum| vaddvq_u16(sum));
        }
    }
}

#[target_feature(enable = "neon")]
pub(super) fn sad_8(block: &[[u8; 8]; 8], window: &[u8], stride: usize, n: usize, costs: &mut [u16]) {
    for (dy, costs) in costs.chunks_exact_mut(n.next_multiple_of(COSTS_PER_CHUNK)).take(n).enumerate() {
        for (index, costs) in costs.as_chunks_mut::<COLUMNS>().0.iter_mut().enumerate() {
            let mut sums = [vdupq_n_u16(0); COLUMNS];
            for (row, samples) in block.iter().zip(window[dy * stride + index * COLUMNS..].chunks(stride)) {
                let Some(samples) = samples.first_chunk::<{ COLUMNS + 8 }>() else { break };
                // SAFETY: a row is 8 bytes.
                let row = unsafe { vld1_u8(row.as_ptr()) };
                for (column, sum) in sums.iter_mut().enumerate() {
                    let at = samples.as_ptr().wrapping_add(column);
                    // SAFETY: `samples` are 4 more than a register holds, and `column` is at most 3.
                    let samples = unsafe { vld1_u8(at) };
                    *sum = vabal_u8(*sum, row, samples);
                }
            }
            *costs = sums.map(|sum| vaddvq_u16(sum));
        }
    }
}

#[target_feature(enable = "neon")]
pub(super) fn one_bit(rows: &[u16], window: &[u16], stride: usize, n: usize, costs: &mut [u16]) {
    let whole = whole_lanes(n);
    for (dy, costs) in costs.chunks_exact_mut(n.next_multiple_of(COSTS_PER_CHUNK)).take(n).enumerate() {
        for first in (0..whole).step_by(LANES) {
            let mut counts = [vdupq_n_u8(0); LANES / COSTS_PER_CHUNK];
            for (row, windows) in rows.iter().zip(window[dy * stride + first..].chunks(stride)) {
                let Some(windows) = windows.first_chunk::<LANES>() else { break };
                let bits = vdupq_n_u16(*row);
                for (count, windows) in counts.iter_mut().zip(windows.as_chunks::<COSTS_PER_CHUNK>().0) {
                    // SAFETY: `windows` are 16 bytes.
                    let windows = unsafe { vld1q_u16(windows.as_ptr()) };
                    let differ = vreinterpretq_u8_u16(veorq_u16(windows, bits));
                    *count = vaddq_u8(*count, vcntq_u8(differ));
                }
            }
            for (costs, count) in costs[first..].as_chunks_mut::<COSTS_PER_CHUNK>().0.iter_mut().zip(counts) {
                // SAFETY: `costs` are 16 bytes.
                let sum = vpadalq_u8(unsafe { vld1q_u16(costs.as_ptr()) }, count);
                // SAFETY: as above.
                unsafe { vst1q_u16(costs.as_mut_ptr(), sum) };
            }
        }
    }
    portable::one_bit_from(whole, rows, window, stride, n, costs);
}

#[target_feature(enable = "neon")]
pub(super) fn minima(costs: &[u16], n: usize, minima: &mut [u16]) {
    portable::minima(costs, n, minima);
}

#[target_feature(enable = "neon")]
pub(super) fn windows(bytes: &[u8], side: usize, windows: &mut [u16]) {
    portable::windows(bytes, side, windows);
}
