//! NEON: a block of 64 numbers is sixteen registers, two for each row of eight, which with the signs fit the 32 registers. Three steps
//! add and subtract registers of equal halves of rows, four transpositions of four by four numbers exchange lanes and registers, and
//! three more steps follow: 96 additions and 32 shuffles per block. AVX2 takes half as many of both, with registers twice as long.
//! The steps beyond a block are loops of the portable body, which the compiler turns into four numbers at a time.
//!
//! Bottleneck: the additions, shuffles and multiplications by signs, 144 vector instructions per block; the 48 loads and stores run
//! beside them. Signs have no masks of bits here: each comparison selects its own bit of a register, which takes two instructions
//! for four numbers, and one horizontal addition for 32.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::aarch64::*;

use super::{Block, Round, portable};

/// The left or the right halves of the rows of a block.
type Half = [float32x4_t; 8];

/// Numbers whose signs are one horizontal addition.
const NUMBERS_PER_WORD: usize = 32;

#[target_feature(enable = "neon")]
pub(super) fn rotate(x: &[f32], signs: [&[f32]; 3], kept: usize, buffer: &mut [f32]) -> bool {
    portable::rotate_with(
        x,
        signs,
        kept,
        buffer,
        |given, signs, numbers| block(given, signs, numbers),
        |sums| sums.as_chunks_mut().0.iter_mut().for_each(|block| transpose(block)),
    )
}

#[inline]
#[target_feature(enable = "neon")]
fn load_four(numbers: &[f32; 4]) -> float32x4_t {
    // SAFETY: `numbers` are 4 floats.
    unsafe { vld1q_f32(numbers.as_ptr()) }
}

/// Half a row of a block.
#[inline]
#[target_feature(enable = "neon")]
fn load(block: &Block, row: usize, half: usize) -> float32x4_t {
    load_four(&block.as_chunks().0[2 * row + half])
}

#[inline]
#[target_feature(enable = "neon")]
fn store(block: &mut Block, halves: [Half; 2]) {
    for (row, numbers) in block.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        for (half, numbers) in numbers.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            // SAFETY: `numbers` are 4 floats.
            unsafe { vst1q_f32(numbers.as_mut_ptr(), halves[half][row]) };
        }
    }
}

/// The same as the portable body.
#[target_feature(enable = "neon")]
fn block(given: &Block, signs: &Block, numbers: &mut Block) {
    transform_loaded(numbers, |_, row, half| vmulq_f32(load(given, row, half), load(signs, row, half)));
}

/// The same without signs.
#[target_feature(enable = "neon")]
fn transform_block(numbers: &mut Block) {
    transform_loaded(numbers, |numbers, row, half| load(numbers, row, half));
}

/// Transforms a block of which `load` gives halves of rows, and leaves it transposed in `numbers`.
#[inline]
#[target_feature(enable = "neon")]
fn transform_loaded(numbers: &mut Block, load: impl Fn(&Block, usize, usize) -> float32x4_t) {
    let mut halves = [[vdupq_n_f32(0.0); 8]; 2];
    for half in 0..2 {
        for row in 0..8 {
            halves[half][row] = load(numbers, row, half);
        }
    }
    let [left, right] = transposed([hadamard_8(halves[0]), hadamard_8(halves[1])]);
    store(numbers, [hadamard_8(left), hadamard_8(right)]);
}

#[target_feature(enable = "neon")]
fn transpose(block: &mut Block) {
    let mut halves = [[vdupq_n_f32(0.0); 8]; 2];
    for half in 0..2 {
        for row in 0..8 {
            halves[half][row] = load(block, row, half);
        }
    }
    store(block, transposed(halves));
}

#[target_feature(enable = "neon")]
pub(super) fn transform(vector: &mut [f32], round: &Round) {
    round.transform(vector, |block| transform_block(block));
}

#[target_feature(enable = "neon")]
pub(super) fn transform_back(vector: &mut [f32], round: &Round) {
    round.transform_back(vector, |block| transform_block(block));
}

#[target_feature(enable = "neon")]
pub(super) fn butterflies(vector: &mut [f32]) {
    portable::butterflies(vector);
}

/// Three steps over eight rows, from neighbours outwards.
#[inline]
#[target_feature(enable = "neon")]
fn hadamard_8([a, b, c, d, e, f, g, h]: Half) -> Half {
    let (plus, minus) = (|a, b| vaddq_f32(a, b), |a, b| vsubq_f32(a, b));
    let [a, b, c, d] = [plus(a, b), minus(a, b), plus(c, d), minus(c, d)];
    let [e, f, g, h] = [plus(e, f), minus(e, f), plus(g, h), minus(g, h)];
    let [a, b, c, d] = [plus(a, c), plus(b, d), minus(a, c), minus(b, d)];
    let [e, f, g, h] = [plus(e, g), plus(f, h), minus(e, g), minus(f, h)];
    [plus(a, e), plus(b, f), plus(c, g), plus(d, h), minus(a, e), minus(b, f), minus(c, g), minus(d, h)]
}

/// The first lanes of all rows, then the second ones, and so on.
#[inline]
#[target_feature(enable = "neon")]
fn transposed([left, right]: [Half; 2]) -> [Half; 2] {
    let columns = |low: [float32x4_t; 4], high: [float32x4_t; 4]| {
        let ([a, b, c, d], [e, f, g, h]) = (transposed_four(low), transposed_four(high));
        [a, b, c, d, e, f, g, h]
    };
    let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) = (left, right);
    [columns([a, b, c, d], [i, j, k, l]), columns([e, f, g, h], [m, n, o, p])]
}

#[inline]
#[target_feature(enable = "neon")]
fn transposed_four([a, b, c, d]: [float32x4_t; 4]) -> [float32x4_t; 4] {
    let (even_ab, odd_ab) = (vtrn1q_f32(a, b), vtrn2q_f32(a, b));
    let (even_cd, odd_cd) = (vtrn1q_f32(c, d), vtrn2q_f32(c, d));
    let first = |a, b| vreinterpretq_f32_f64(vtrn1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
    let last = |a, b| vreinterpretq_f32_f64(vtrn2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
    [first(even_ab, even_cd), first(odd_ab, odd_cd), last(even_ab, even_cd), last(odd_ab, odd_cd)]
}

/// The bit of each of 32 numbers in a little-endian word, where the first of eight is the highest of a byte.
const BITS: [[u32; 4]; NUMBERS_PER_WORD / 4] = {
    let (mut bits, mut number) = ([[0; 4]; NUMBERS_PER_WORD / 4], 0);
    while number < NUMBERS_PER_WORD {
        bits[number / 4][number % 4] = 1 << (number / 8 * 8 + 7 - number % 8);
        number += 1;
    }
    bits
};

#[target_feature(enable = "neon")]
pub(super) fn pack_signs(values: &[f32], out: &mut [u8]) {
    let (words, rest) = values.as_chunks::<NUMBERS_PER_WORD>();
    let (whole, last) = out.split_at_mut(4 * words.len());
    for (values, out) in words.iter().zip(whole.as_chunks_mut().0) {
        let mut word = vdupq_n_u32(0);
        for (four, bits) in values.as_chunks().0.iter().zip(&BITS) {
            // SAFETY: `bits` are 4 integers.
            let bits = unsafe { vld1q_u32(bits.as_ptr()) };
            word = vbslq_u32(bits, vcgtzq_f32(load_four(four)), word);
        }
        *out = vaddvq_u32(word).to_le_bytes();
    }
    portable::pack_signs(rest, last);
}
