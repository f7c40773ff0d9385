//! Block motion in plain Rust: the meaning of all levels.

use super::{COSTS_PER_CHUNK, MAX_RADIUS, WINDOW_BYTES};

pub(super) fn sad_16(block: &[[u8; 16]; 16], window: &[u8], stride: usize, n: usize, costs: &mut [u16]) {
    sads(block, window, stride, n, costs);
}

pub(super) fn sad_8(block: &[[u8; 8]; 8], window: &[u8], stride: usize, n: usize, costs: &mut [u16]) {
    sads(block, window, stride, n, costs);
}

fn sads<const SIDE: usize>(
    block: &[[u8; SIDE]; SIDE],
    window: &[u8],
    stride: usize,
    n: usize,
    costs: &mut [u16],
) {
    for (dy, costs) in costs.chunks_exact_mut(n.next_multiple_of(COSTS_PER_CHUNK)).take(n).enumerate() {
        for (dx, cost) in costs[..n].iter_mut().enumerate() {
            *cost = sad_of(block, &window[dy * stride + dx..], stride) as u16;
        }
    }
}

/// The SAD of one candidate.
#[inline(always)]
pub(super) fn sad_of<const SIDE: usize>(block: &[[u8; SIDE]; SIDE], window: &[u8], stride: usize) -> u32 {
    let mut sum = 0;
    for (row, block) in block.iter().enumerate() {
        let samples = &window[row * stride..][..SIDE];
        sum += block.iter().zip(samples).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
    }
    sum
}

/// Adds the bits by which a block, given by its rows, differs from each candidate.
pub(super) fn one_bit(rows: &[u16], window: &[u16], stride: usize, n: usize, costs: &mut [u16]) {
    one_bit_from(0, rows, window, stride, n, costs);
}

/// The same from column `first` of the candidates on: four rows are a word.
#[inline(always)]
pub(super) fn one_bit_from(
    first: usize,
    rows: &[u16],
    window: &[u16],
    stride: usize,
    n: usize,
    costs: &mut [u16],
) {
    let word = |rows: &[u16; 4]| rows.iter().fold(0, |word, row| word << 16 | u64::from(*row));
    let mut block = [0; 4];
    let block = &mut block[..rows.len() / 4];
    block.iter_mut().zip(rows.as_chunks().0).for_each(|(out, rows)| *out = word(rows));
    let mut words = [0; 2 * MAX_RADIUS + 16];
    for column in first..n {
        let words = &mut words[..n + rows.len() - 4];
        let mut last = 0;
        let windows = window[column..].iter().step_by(stride).map(|window| u64::from(*window));
        for (place, window) in windows.take(n + rows.len() - 1).enumerate() {
            last = last << 16 | window;
            if place >= 3 {
                words[place - 3] = last;
            }
        }
        let costs = costs[column..].iter_mut().step_by(n.next_multiple_of(COSTS_PER_CHUNK));
        for (cost, words) in costs.zip(words.windows(rows.len() - 3)) {
            let differ = block.iter().zip(words.iter().step_by(4)).map(|(a, b)| (a ^ b).count_ones());
            *cost += differ.sum::<u32>() as u16;
        }
    }
}

/// The least cost of each row of `n` candidates.
#[inline(always)]
pub(super) fn minima(costs: &[u16], n: usize, minima: &mut [u16]) {
    for (minimum, row) in minima.iter_mut().zip(costs.chunks_exact(n.next_multiple_of(COSTS_PER_CHUNK))) {
        *minimum = row[..n].iter().fold(u16::MAX, |least, cost| least.min(*cost));
    }
}

/// The windows of a row of bits: at each place, the `side` bits from there on.
#[inline(always)]
pub(super) fn windows(bytes: &[u8], side: usize, windows: &mut [u16]) {
    for (bytes, windows) in bytes.windows(WINDOW_BYTES).zip(windows.as_chunks_mut::<8>().0) {
        let word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        *windows = std::array::from_fn(|place| (word << place >> (32 - side)) as u16);
    }
}
