//! AVX-512: the steps beyond a block take sixteen numbers at a time. A block is eight registers of eight, as with AVX2:
//! registers of sixteen would need as many additional shuffles as they save additions.

use std::arch::x86_64::*;

use super::{Round, avx2, portable};

#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn rotate(x: &[f32], signs: [&[f32]; 3], kept: usize, buffer: &mut [f32]) -> bool {
    portable::rotate_with(
        x,
        signs,
        kept,
        buffer,
        |given, signs, numbers| avx2::block(given, signs, numbers),
        |sums| {
            for block in sums.as_chunks_mut().0 {
                let registers = avx2::transposed(avx2::load(block));
                avx2::store(block, registers);
            }
        },
    )
}

#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn transform(vector: &mut [f32], round: &Round) {
    round.transform(vector, |block| avx2::transform_block(block));
}

#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn transform_back(vector: &mut [f32], round: &Round) {
    round.transform_back(vector, |block| avx2::transform_block(block));
}

#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn butterflies(vector: &mut [f32]) {
    portable::butterflies(vector);
}

#[target_feature(enable = "avx512f")]
pub(super) fn pack_signs(values: &[f32], out: &mut [u8]) {
    let (sixteens, rest) = values.as_chunks::<16>();
    let (whole, last) = out.split_at_mut(2 * sixteens.len());
    for (sixteen, out) in sixteens.iter().zip(whole.as_chunks_mut().0) {
        // SAFETY: `sixteen` are 16 floats.
        let values = unsafe { _mm512_loadu_ps(sixteen.as_ptr()) };
        let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(values, _mm512_setzero_ps());
        *out = above.to_le_bytes().map(u8::reverse_bits);
    }
    portable::pack_signs(rest, last);
}
