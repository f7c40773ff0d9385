//! Plain Rust: the definition for all levels.

use super::{
    Best, Candidates, Constrained, ENTRIES_PER_LINE, FLOATS_PER_LINE, FloatLine, LANES, Line, ROWS_PER_GROUP,
};

pub(super) fn products(
    rows: &[f32],
    n_dims: usize,
    panels: &[[f32; LANES]],
    start: &[[f32; LANES]],
    out: &mut [f32],
) {
    let width = LANES * start.len();
    for (index, (panel, start)) in panels.chunks_exact(n_dims).zip(start).enumerate() {
        for (row, out) in rows.chunks_exact(n_dims).zip(out.chunks_exact_mut(width)).take(ROWS_PER_GROUP) {
            let mut sums = *start;
            for (value, coordinates) in row.iter().zip(panel) {
                for (sum, coordinate) in sums.iter_mut().zip(coordinates) {
                    *sum += value * coordinate;
                }
            }
            out[LANES * index..][..LANES].copy_from_slice(&sums);
        }
    }
}

pub(super) fn improve(candidates: &Candidates<'_, Line>, best: &mut [Best]) {
    let Candidates { first, unaries, pairs, n_books, others, codes, rows, .. } = *candidates;
    for &row in rows {
        let row = row as usize;
        let mut sums = unaries[row].0;
        let codes = &codes[row * n_books..][..n_books];
        for &(start, book) in others {
            let entries = &pairs[start + codes[book] as usize].0;
            for (sum, entry) in sums.iter_mut().zip(entries) {
                *sum = sum.saturating_add(*entry);
            }
        }
        let best = &mut best[row];
        for (index, &sum) in sums.iter().enumerate() {
            if sum < best.sum {
                *best = Best { sum, codeword: (first + index) as u16 };
            }
        }
    }
    debug_assert!(first % ENTRIES_PER_LINE == 0);
}

pub(super) fn improve_constrained(
    candidates: &Candidates<'_, FloatLine>,
    penalty: f32,
    best: &mut [Constrained],
) {
    let Candidates { first, unaries, pairs, n_books, others, codes, rows } = *candidates;
    for &row in rows {
        let row = row as usize;
        let mut sums = [0.0_f32; FLOATS_PER_LINE];
        let codes = &codes[row * n_books..][..n_books];
        for &(start, book) in others {
            let entries = &pairs[start + codes[book] as usize].0;
            for (sum, entry) in sums.iter_mut().zip(entries) {
                *sum += entry;
            }
        }
        let best = &mut best[row];
        for (index, (sum, unary)) in sums.into_iter().zip(unaries[row].0).enumerate() {
            let deviation = best.rest + sum;
            let cost = unary + sum + penalty * deviation * deviation;
            if cost < best.cost {
                *best = Constrained { cost, codeword: (first + index) as u32, sum, ..*best };
            }
        }
    }
}

#[inline(always)]
pub(super) fn squared_error<'a>(
    x: &[[f32; LANES]],
    codewords: impl Iterator<Item = &'a [[f32; LANES]]> + Clone,
) -> f32 {
    let mut squares = [0.0_f32; LANES];
    for (index, x) in x.iter().enumerate() {
        let mut rest = *x;
        for codeword in codewords.clone() {
            for (rest, coordinate) in rest.iter_mut().zip(&codeword[index]) {
                *rest -= coordinate;
            }
        }
        for (square, rest) in squares.iter_mut().zip(rest) {
            *square += rest * rest;
        }
    }
    squares.iter().fold(0.0, |sum, square| sum + square)
}

#[inline(always)]
pub(super) fn add(sums: &mut [[f32; LANES]], entries: &[[f32; LANES]]) {
    for (sums, entries) in sums.iter_mut().zip(entries) {
        for (sum, entry) in sums.iter_mut().zip(entries) {
            *sum += entry;
        }
    }
}
