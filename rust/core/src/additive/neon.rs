//! NEON: products of four vectors with sixteen codewords in sixteen registers of sums; sums of 64 entries of 16 bits in eight.
//!
//! Bottlenecks. Products: a multiplication by an element of two loaded values and an addition for four of them, which are not fused, so
//! that all levels round alike; 8 cycles for 64 products on four ports. AVX2 broadcasts each value. Sums: loads of lines from the
//! second-level cache; a line of 128 bytes takes eight loads and eight additions.
//!
//! The least sum of a line, and then its place, are found by minima across a register, where AVX2 has `phminposuw` and movemask: codewords
//! with another sum get the place 255.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::aarch64::*;

use super::{
    Best, Candidates, Constrained, ENTRIES_PER_LINE, FLOATS_PER_LINE, FloatLine, LANES, Line, ROWS_PER_GROUP,
    portable,
};

/// Rows whose sums are in registers.
const ROWS: usize = 4;

/// Registers of a panel.
const PARTS: usize = LANES / 4;

/// Registers of a line of either kind.
const PARTS_PER_LINE: usize = ENTRIES_PER_LINE / 8;

#[target_feature(enable = "neon")]
pub(super) fn products(
    rows: &[f32],
    n_dims: usize,
    panels: &[[f32; LANES]],
    start: &[[f32; LANES]],
    out: &mut [f32],
) {
    let width = LANES * start.len();
    for (index, (panel, start)) in panels.chunks_exact(n_dims).zip(start).enumerate() {
        let (panel, last_dims) = panel.as_chunks::<2>();
        let groups = rows[..ROWS_PER_GROUP * n_dims].chunks_exact(ROWS * n_dims);
        for (rows, out) in groups.zip(out.chunks_exact_mut(ROWS * width)) {
            let (a, bcd) = rows.split_at(n_dims);
            let (b, cd) = bcd.split_at(n_dims);
            let (c, d) = cd.split_at(n_dims);
            let [(a, last_a), (b, last_b), (c, last_c), (d, last_d)] =
                [a, b, c, d].map(|row| row.as_chunks::<2>());
            let mut sums = [load(start); ROWS];
            for ((((coordinates, a), b), c), d) in panel.iter().zip(a).zip(b).zip(c).zip(d) {
                let values = [a, b, c, d].map(|values| load_pair(values));
                add_products::<0>(&mut sums, values, &coordinates[0]);
                add_products::<1>(&mut sums, values, &coordinates[1]);
            }
            for (dim, coordinates) in last_dims.iter().enumerate() {
                let values = [last_a, last_b, last_c, last_d].map(|values| vdup_n_f32(values[dim]));
                add_products::<0>(&mut sums, values, coordinates);
            }
            for (out, sums) in out.chunks_exact_mut(width).zip(sums) {
                for (out, sums) in out[LANES * index..].as_chunks_mut::<4>().0.iter_mut().zip(sums) {
                    // SAFETY: `out` are 4 floats.
                    unsafe { vst1q_f32(out.as_mut_ptr(), sums) };
                }
            }
        }
    }
}

/// Adds the products of coordinates with an element of the values of each row.
#[inline]
#[target_feature(enable = "neon")]
fn add_products<const ELEMENT: i32>(
    sums: &mut [[float32x4_t; PARTS]; ROWS],
    values: [float32x2_t; ROWS],
    coordinates: &[f32; LANES],
) {
    let coordinates = load(coordinates);
    for row in 0..ROWS {
        for part in 0..PARTS {
            let product = vmulq_lane_f32::<ELEMENT>(coordinates[part], values[row]);
            sums[row][part] = vaddq_f32(sums[row][part], product);
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_pair(values: &[f32; 2]) -> float32x2_t {
    // SAFETY: `values` are 2 floats.
    unsafe { vld1_f32(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_part(values: &[f32; 4]) -> float32x4_t {
    // SAFETY: `values` are 4 floats.
    unsafe { vld1q_f32(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(values: &[f32; LANES]) -> [float32x4_t; PARTS] {
    let (parts, _) = values.as_chunks();
    std::array::from_fn(|part| load_part(&parts[part]))
}

#[inline]
#[target_feature(enable = "neon")]
fn load_line(line: &Line) -> [uint16x8_t; PARTS_PER_LINE] {
    let (parts, _) = line.0.as_chunks::<8>();
    std::array::from_fn(|part| {
        // SAFETY: a part is 8 numbers of 16 bits.
        unsafe { vld1q_u16(parts[part].as_ptr()) }
    })
}

/// The places of a line in the order of its entries.
static PLACES: [[u8; 16]; ENTRIES_PER_LINE / 16] = {
    let mut places = [[0; 16]; ENTRIES_PER_LINE / 16];
    let mut place = 0;
    while place < ENTRIES_PER_LINE {
        places[place / 16][place % 16] = place as u8;
        place += 1;
    }
    places
};

/// The first place that masks of a line mark, 255 if there is none.
#[inline]
#[target_feature(enable = "neon")]
fn first_place<const N: usize>(masks: [uint8x16_t; N]) -> u8 {
    let mut first = vdupq_n_u8(u8::MAX);
    for (masks, places) in masks.iter().zip(&PLACES) {
        // SAFETY: `places` are 16 bytes.
        let places = unsafe { vld1q_u8(places.as_ptr()) };
        first = vminq_u8(first, vornq_u8(places, *masks));
    }
    vminvq_u8(first)
}

/// Masks of bytes from masks of 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn narrow(low: uint16x8_t, high: uint16x8_t) -> uint8x16_t {
    vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high))
}

#[target_feature(enable = "neon")]
pub(super) fn improve(candidates: &Candidates<'_, Line>, best: &mut [Best]) {
    let Candidates { first, unaries, pairs, n_books, others, codes, rows, .. } = *candidates;
    for &row in rows {
        let row = row as usize;
        let mut sums = load_line(&unaries[row]);
        let codes = &codes[row * n_books..][..n_books];
        for &(start, book) in others {
            let entries = load_line(&pairs[start + codes[book] as usize]);
            for part in 0..PARTS_PER_LINE {
                sums[part] = vqaddq_u16(sums[part], entries[part]);
            }
        }
        let [a, b, c, d, e, f, g, h] = sums;
        let low = vminq_u16(vminq_u16(a, b), vminq_u16(c, d));
        let high = vminq_u16(vminq_u16(e, f), vminq_u16(g, h));
        let sum = vminvq_u16(vminq_u16(low, high));
        let wanted = vdupq_n_u16(sum);
        let [a, b, c, d, e, f, g, h] = sums.map(|sums| vceqq_u16(sums, wanted));
        let place = first_place([narrow(a, b), narrow(c, d), narrow(e, f), narrow(g, h)]);
        let found = Best { sum, codeword: first as u16 + u16::from(place) };
        let best = &mut best[row];
        *best = if sum < best.sum { found } else { *best };
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_floats(line: &FloatLine) -> [float32x4_t; PARTS_PER_LINE] {
    let (parts, _) = line.0.as_chunks();
    std::array::from_fn(|part| load_part(&parts[part]))
}

/// The numbers of a line of registers.
#[inline]
#[target_feature(enable = "neon")]
fn numbers(line: [float32x4_t; PARTS_PER_LINE]) -> [f32; FLOATS_PER_LINE] {
    let mut numbers = [0.0; FLOATS_PER_LINE];
    for (numbers, part) in numbers.as_chunks_mut::<4>().0.iter_mut().zip(line) {
        // SAFETY: `numbers` are 4 floats.
        unsafe { vst1q_f32(numbers.as_mut_ptr(), part) };
    }
    numbers
}

#[target_feature(enable = "neon")]
pub(super) fn improve_constrained(
    candidates: &Candidates<'_, FloatLine>,
    penalty: f32,
    best: &mut [Constrained],
) {
    const { assert!(FLOATS_PER_LINE == 4 * PARTS_PER_LINE) };
    let Candidates { first, unaries, pairs, n_books, others, codes, rows } = *candidates;
    let penalty = vdupq_n_f32(penalty);
    for &row in rows {
        let row = row as usize;
        let mut sums = [vdupq_n_f32(0.0); PARTS_PER_LINE];
        let codes = &codes[row * n_books..][..n_books];
        for &(start, book) in others {
            let entries = load_floats(&pairs[start + codes[book] as usize]);
            for part in 0..PARTS_PER_LINE {
                sums[part] = vaddq_f32(sums[part], entries[part]);
            }
        }
        let best = &mut best[row];
        let rest = vdupq_n_f32(best.rest);
        let mut costs = load_floats(&unaries[row]);
        let mut least = vdupq_n_f32(f32::INFINITY);
        for part in 0..PARTS_PER_LINE {
            let deviation = vaddq_f32(rest, sums[part]);
            let price = vmulq_f32(vmulq_f32(penalty, deviation), deviation);
            costs[part] = vaddq_f32(vaddq_f32(costs[part], sums[part]), price);
            // The other operand is taken if one is not a number.
            least = vminnmq_f32(least, costs[part]);
        }
        let least = vminnmvq_f32(least);
        if least < best.cost {
            let wanted = vdupq_n_f32(least);
            // A zero may have either sign, so that the cost is taken from its place.
            let masks = costs.map(|costs| vreinterpretq_u16_u32(vceqq_f32(costs, wanted)));
            let eight = |part: usize| vuzp1q_u16(masks[part], masks[part + 1]);
            let place = first_place([narrow(eight(0), eight(2)), narrow(eight(4), eight(6))]);
            let (codeword, index) =
                ((first + usize::from(place)) as u32, usize::from(place) % FLOATS_PER_LINE);
            *best = Constrained { cost: numbers(costs)[index], codeword, sum: numbers(sums)[index], ..*best };
        }
    }
}

#[target_feature(enable = "neon")]
pub(super) fn squared_error<'a>(
    x: &[[f32; LANES]],
    codewords: impl Iterator<Item = &'a [[f32; LANES]]> + Clone,
) -> f32 {
    portable::squared_error(x, codewords)
}

#[target_feature(enable = "neon")]
pub(super) fn add(sums: &mut [[f32; LANES]], entries: &[[f32; LANES]]) {
    portable::add(sums, entries);
}
