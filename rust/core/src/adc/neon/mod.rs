//! NEON: 128-bit registers, but 32 of them, and look-ups (`tbl`) in up to four at once.
//!
//! | file | contents |
//! |---|---|
//! | `scans` | bounds and sums of the rows of blocks |
//! | `encoding` | tables, quantised tables, nearest codewords, blocks from rows |

mod encoding;
mod scans;

use std::arch::aarch64::*;

use super::layout::ROWS_PER_BLOCK;

pub(super) use encoding::{nearest, pack_block, quantize, table, table_as_is};
pub(super) use scans::{
    alike, bound_bytes, bound_coarse, bound_nibbles, coarse_is_faster, sum_bytes, sum_nibbles,
};

/// Registers that hold a plane of a block.
const REGISTERS_PER_PLANE: usize = ROWS_PER_BLOCK / 16;

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: `bytes` is 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// A table of 64 entries.
#[inline]
#[target_feature(enable = "neon")]
fn load_table(bytes: &[u8; 64]) -> uint8x16x4_t {
    // SAFETY: `bytes` is 64 bytes.
    unsafe { vld1q_u8_x4(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(bytes: &mut [u8; 16], register: uint8x16_t) {
    // SAFETY: `bytes` is 16 bytes.
    unsafe { vst1q_u8(bytes.as_mut_ptr(), register) };
}

#[inline]
#[target_feature(enable = "neon")]
fn load_floats(floats: &[f32; 4]) -> float32x4_t {
    // SAFETY: `floats` is 4 floats.
    unsafe { vld1q_f32(floats.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store_floats(floats: &mut [f32; 4], register: float32x4_t) {
    // SAFETY: `floats` is 4 floats.
    unsafe { vst1q_f32(floats.as_mut_ptr(), register) };
}
