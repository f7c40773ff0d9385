//! AVX2: a block of 64 numbers is eight registers. Three steps add and subtract registers, a transposition exchanges lanes and
//! registers, and three more steps follow: 48 additions and 24 shuffles per block, all in registers. The steps beyond a block are
//! loops of the portable body, four or eight numbers at a time.
//!
//! Bottleneck: the additions, two registers per cycle.

use std::arch::x86_64::*;

use super::{Block, Round, portable};

#[target_feature(enable = "avx2")]
pub(super) fn rotate(x: &[f32], signs: [&[f32]; 3], kept: usize, buffer: &mut [f32]) -> bool {
    portable::rotate_with(
        x,
        signs,
        kept,
        buffer,
        |given, signs, numbers| block(given, signs, numbers),
        |sums| {
            for block in sums.as_chunks_mut().0 {
                let registers = transposed(load(block));
                store(block, registers);
            }
        },
    )
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(block: &Block) -> [__m256; 8] {
    let mut registers = [_mm256_setzero_ps(); 8];
    for (register, numbers) in registers.iter_mut().zip(block.as_chunks::<8>().0) {
        // SAFETY: `numbers` are 8 floats.
        *register = unsafe { _mm256_loadu_ps(numbers.as_ptr()) };
    }
    registers
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store(block: &mut Block, registers: [__m256; 8]) {
    for (numbers, register) in block.as_chunks_mut::<8>().0.iter_mut().zip(registers) {
        // SAFETY: `numbers` are 8 floats.
        unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), register) };
    }
}

/// The same as the portable body.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn block(given: &Block, signs: &Block, numbers: &mut Block) {
    let (mut registers, signs) = (load(given), load(signs));
    for (register, signs) in registers.iter_mut().zip(signs) {
        *register = _mm256_mul_ps(*register, signs);
    }
    store(numbers, hadamard_8(transposed(hadamard_8(registers))));
}

/// The same without signs.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn transform_block(numbers: &mut Block) {
    let registers = load(numbers);
    store(numbers, hadamard_8(transposed(hadamard_8(registers))));
}

#[target_feature(enable = "avx2")]
pub(super) fn transform(vector: &mut [f32], round: &Round) {
    round.transform(vector, |block| transform_block(block));
}

#[target_feature(enable = "avx2")]
pub(super) fn transform_back(vector: &mut [f32], round: &Round) {
    round.transform_back(vector, |block| transform_block(block));
}

#[target_feature(enable = "avx2")]
pub(super) fn butterflies(vector: &mut [f32]) {
    portable::butterflies(vector);
}

/// Three steps over eight registers, from neighbours outwards.
#[inline]
#[target_feature(enable = "avx2")]
fn hadamard_8(mut registers: [__m256; 8]) -> [__m256; 8] {
    for distance in [1, 2, 4] {
        for index in 0..4 {
            let low = index / distance * 2 * distance + index % distance;
            let [a, b] = [registers[low], registers[low + distance]];
            registers[low] = _mm256_add_ps(a, b);
            registers[low + distance] = _mm256_sub_ps(a, b);
        }
    }
    registers
}

/// The first lanes of all registers, then the second ones, and so on.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn transposed(rows: [__m256; 8]) -> [__m256; 8] {
    let mut pairs = rows;
    for index in 0..4 {
        let [even, odd] = [rows[2 * index], rows[2 * index + 1]];
        pairs[2 * index] = _mm256_unpacklo_ps(even, odd);
        pairs[2 * index + 1] = _mm256_unpackhi_ps(even, odd);
    }
    let mut fours = rows;
    for half in [0, 4] {
        for high in 0..2 {
            let [a, b] = [pairs[half + high], pairs[half + high + 2]];
            fours[half + 2 * high] = _mm256_shuffle_ps::<0b01_00_01_00>(a, b);
            fours[half + 2 * high + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(a, b);
        }
    }
    let mut columns = rows;
    for index in 0..4 {
        let [a, b] = [fours[index], fours[index + 4]];
        columns[index] = _mm256_permute2f128_ps::<0x20>(a, b);
        columns[index + 4] = _mm256_permute2f128_ps::<0x31>(a, b);
    }
    columns
}

#[target_feature(enable = "avx2")]
pub(super) fn pack_signs(values: &[f32], out: &mut [u8]) {
    let (eights, rest) = values.as_chunks::<8>();
    let (whole, last) = out.split_at_mut(eights.len());
    for (eight, out) in eights.iter().zip(whole) {
        // SAFETY: `eight` are 8 floats.
        let values = unsafe { _mm256_loadu_ps(eight.as_ptr()) };
        let above = _mm256_cmp_ps::<_CMP_GT_OQ>(values, _mm256_setzero_ps());
        *out = (_mm256_movemask_ps(above) as u8).reverse_bits();
    }
    portable::pack_signs(rest, last);
}
