//! Plain Rust: the definition for all levels, with the order of the additions.
//!
//! A block of 64 numbers is eight rows of eight. [`block`] adds and subtracts rows that are 4, 2 and 1 apart, and leaves the
//! block transposed. The transform is symmetric under any permutation of the bits of an index, so only the signs of the second
//! diagonal have to be in the same order. The second pass transposes the blocks back.
//!
//! ```text
//! first diagonal     blocks: bits 3 4 5, then 0 1 2 of an index, transposed      then bits 6 7 ... upwards
//! second diagonal    blocks: bits 0 1 2, then 3 4 5, in the original order       then bits 6 7 ...
//! third diagonal     the parts of as many numbers as are kept, added up in order;
//!                    blocks: bits 3 4 5, then 0 1 2, and transposed once more    then bits 6 7 ...
//! ```

use std::f32::consts::FRAC_1_SQRT_2;

use super::{Block, NUMBERS_PER_BLOCK, Round};

/// Numbers of a row of a block.
const SIDE: usize = 8;

pub(super) fn rotate(x: &[f32], signs: [&[f32]; 3], kept: usize, buffer: &mut [f32]) -> bool {
    rotate_with(x, signs, kept, buffer, block, transpose_blocks)
}

/// [`rotate`] with another implementation of [`block`] and of the transposition.
#[inline(always)]
pub(super) fn rotate_with(
    x: &[f32],
    [first, second, third]: [&[f32]; 3],
    kept: usize,
    buffer: &mut [f32],
    block: impl Fn(&Block, &Block, &mut Block),
    transpose_blocks: impl Fn(&mut [f32]),
) -> bool {
    let (blocks, _) = buffer.as_chunks_mut();
    let (whole, rest) = x.as_chunks();
    let mut parts = blocks.iter_mut().zip(first.as_chunks().0);
    for (x, (numbers, signs)) in whole.iter().zip(&mut parts) {
        block(x, signs, numbers);
    }
    if !rest.is_empty()
        && let Some((numbers, signs)) = parts.next()
    {
        let mut padded = [0.0; NUMBERS_PER_BLOCK];
        padded[..rest.len()].copy_from_slice(rest);
        block(&padded, signs, numbers);
    }
    // Zeros stay zeros.
    parts.for_each(|(numbers, _)| *numbers = [0.0; NUMBERS_PER_BLOCK]);
    add_and_subtract(buffer);
    for (numbers, signs) in buffer.as_chunks_mut().0.iter_mut().zip(second.as_chunks().0) {
        let given = *numbers;
        block(&given, signs, numbers);
    }
    add_and_subtract(buffer);
    let (sums, others) = buffer.split_at_mut(kept);
    for (sum, sign) in sums.iter_mut().zip(third) {
        *sum *= sign;
    }
    for (others, signs) in others.chunks_exact(kept).zip(third[kept..].chunks_exact(kept)) {
        for ((sum, other), sign) in sums.iter_mut().zip(others).zip(signs) {
            *sum += other * sign;
        }
    }
    for numbers in sums.as_chunks_mut().0 {
        let given = *numbers;
        block(&given, &[1.0; NUMBERS_PER_BLOCK], numbers);
    }
    transpose_blocks(sums);
    add_and_subtract(sums);
    // A number that is not finite has spread to at least one of the sums.
    sums.iter().fold(true, |is_finite, sum| is_finite & sum.is_finite())
}

/// Bits 6 and upwards, up to three at a time, so that numbers are loaded and stored once for them.
#[inline(always)]
pub(super) fn add_and_subtract(buffer: &mut [f32]) {
    let mut distance = NUMBERS_PER_BLOCK;
    while distance < buffer.len() {
        let n_left = (buffer.len() / distance).trailing_zeros();
        if n_left == 1 {
            for numbers in buffer.chunks_exact_mut(2 * distance) {
                let (a, b) = numbers.split_at_mut(distance);
                for (a, b) in a.iter_mut().zip(b) {
                    (*a, *b) = (*a + *b, *a - *b);
                }
            }
            distance *= 2;
        } else if n_left == 3 {
            for numbers in buffer.chunks_exact_mut(8 * distance) {
                eight(numbers, distance);
            }
            distance *= 8;
        } else {
            for numbers in buffer.chunks_exact_mut(4 * distance) {
                four(numbers, distance);
            }
            distance *= 4;
        }
    }
}

#[inline(always)]
fn four(numbers: &mut [f32], distance: usize) {
    let (low, high) = numbers.split_at_mut(2 * distance);
    let ((a, b), (c, d)) = (low.split_at_mut(distance), high.split_at_mut(distance));
    for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
        let [e, f, g, h] = [*a + *b, *a - *b, *c + *d, *c - *d];
        (*a, *b, *c, *d) = (e + g, f + h, e - g, f - h);
    }
}

#[inline(always)]
fn eight(numbers: &mut [f32], distance: usize) {
    let (low, high) = numbers.split_at_mut(4 * distance);
    let ((ab, cd), (ef, gh)) = (low.split_at_mut(2 * distance), high.split_at_mut(2 * distance));
    let ((a, b), (c, d)) = (ab.split_at_mut(distance), cd.split_at_mut(distance));
    let ((e, f), (g, h)) = (ef.split_at_mut(distance), gh.split_at_mut(distance));
    let (low, high) =
        (a.iter_mut().zip(b).zip(c.iter_mut().zip(d)), e.iter_mut().zip(f).zip(g.iter_mut().zip(h)));
    for (((a, b), (c, d)), ((e, f), (g, h))) in low.zip(high) {
        let sums = hadamard_8([*a, *b, *c, *d, *e, *f, *g, *h]);
        [*a, *b, *c, *d, *e, *f, *g, *h] = sums;
    }
}

/// Three steps over eight numbers, from neighbours outwards.
#[inline(always)]
fn hadamard_8([a, b, c, d, e, f, g, h]: [f32; SIDE]) -> [f32; SIDE] {
    let [a, b, c, d, e, f, g, h] = [a + b, a - b, c + d, c - d, e + f, e - f, g + h, g - h];
    let [a, b, c, d, e, f, g, h] = [a + c, b + d, a - c, b - d, e + g, f + h, e - g, f - h];
    [a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h]
}

/// Multiplies a block by its signs, transforms it, and writes it transposed.
fn block(given: &Block, signs: &Block, numbers: &mut Block) {
    *numbers = std::array::from_fn(|index| given[index] * signs[index]);
    transform_block(numbers);
}

/// Transforms a block, and leaves it transposed.
fn transform_block(numbers: &mut Block) {
    for _ in 0..2 {
        let rows = *numbers;
        for column in 0..SIDE {
            let sums = hadamard_8(std::array::from_fn(|row| rows[row * SIDE + column]));
            numbers[column * SIDE..][..SIDE].copy_from_slice(&sums);
        }
    }
    *numbers = transposed(numbers);
}

fn transpose_blocks(numbers: &mut [f32]) {
    for block in numbers.as_chunks_mut().0 {
        *block = transposed(block);
    }
}

pub(super) fn transposed(block: &Block) -> Block {
    std::array::from_fn(|index| block[index % SIDE * SIDE + index / SIDE])
}

pub(super) fn transform(vector: &mut [f32], round: &Round) {
    round.transform(vector, transform_block);
}

pub(super) fn transform_back(vector: &mut [f32], round: &Round) {
    round.transform_back(vector, transform_block);
}

/// Rotates each number and the one half of the vector after it by an eighth of a turn, and reflects.
#[inline(always)]
pub(super) fn butterflies(vector: &mut [f32]) {
    let (a, b) = vector.split_at_mut(vector.len() / 2);
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = ((*a + *b) * FRAC_1_SQRT_2, (*a - *b) * FRAC_1_SQRT_2);
    }
}

/// Packs `value > 0` with the first value as the highest bit; the rest of the last byte is zero.
pub(super) fn pack_signs(values: &[f32], out: &mut [u8]) {
    for (values, out) in values.chunks(8).zip(out) {
        let bits = values.iter().fold(0_u8, |bits, value| bits << 1 | u8::from(*value > 0.0));
        *out = bits << (8 - values.len());
    }
}
