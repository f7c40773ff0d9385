//! Plain Rust: the specification of every other level. The bodies that compilers vectorise well are `inline(always)`, so that the
//! other levels compile them with their instructions.

#![allow(clippy::needless_range_loop, reason = "indices run over the lanes of several arrays in step")]

use super::encode::{Products, REFINEMENTS};
use super::grid::{Grid, Levels, MAGNITUDES};
use super::queries::Finish;
use super::{BlockRows, BlockSums, ROWS_PER_BLOCK, ROWS_PER_TILE};
use crate::Codes;

/// Sums are kept in this many lanes and added up in the end, in this order at every level.
const LANES: usize = 8;

pub(super) fn added(lanes: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[inline(always)]
pub(super) fn quantize(x: &[f32], levels: &Levels, numbers: &mut [u8]) -> Products {
    let (mut squares, mut largest) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    for x in x.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            squares[lane] += x[lane] * x[lane];
            largest[lane] = largest[lane].max(x[lane].abs());
        }
    }
    let (square, largest) = (added(squares), largest.into_iter().fold(0.0, f32::max));
    let scale = levels.first_scale(x.len(), square, largest);
    let inner = match levels {
        Levels::Signs => signs(x, numbers),
        Levels::Listed { count: 2, magnitudes, middles, .. } => {
            fitted(x, scale, numbers, |x, scale| listed::<2>(x, scale, magnitudes, middles))
        }
        Levels::Listed { count: 4, magnitudes, middles, .. } => {
            fitted(x, scale, numbers, |x, scale| listed::<4>(x, scale, magnitudes, middles))
        }
        Levels::Listed { magnitudes, middles, .. } => {
            fitted(x, scale, numbers, |x, scale| listed::<MAGNITUDES>(x, scale, magnitudes, middles))
        }
        Levels::Uniform { count, .. } => fitted(x, scale, numbers, |x, scale| uniform(x, scale, *count)),
    };
    Products { square, inner }
}

/// Eight levels, with the numbers of the positive ones less the half of all numbers.
struct Assigned {
    magnitudes: [f32; LANES],
    indices: [i32; LANES],
    /// Half of all numbers.
    count: i32,
}

/// Writes the numbers of the levels that `assign` gives to eight numbers at a scale, after fitting the scale to them, and returns their
/// product with the row.
#[inline(always)]
fn fitted(
    x: &[f32],
    mut scale: f32,
    numbers: &mut [u8],
    assign: impl Fn(&[f32; LANES], f32) -> Assigned,
) -> f32 {
    for _ in 0..REFINEMENTS {
        let (mut inner, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for x in x.as_chunks().0 {
            let magnitudes = assign(x, scale).magnitudes;
            for lane in 0..LANES {
                inner[lane] += magnitudes[lane] * x[lane].abs();
                squares[lane] += magnitudes[lane] * magnitudes[lane];
            }
        }
        // With the best multiple of these levels, assigning them anew can only lower the angle.
        let next = added(squares) / added(inner);
        if next.is_finite() {
            scale = next;
        }
    }
    let mut inner = [0.0_f32; LANES];
    for (x, numbers) in x.as_chunks().0.iter().zip(numbers.as_chunks_mut::<LANES>().0) {
        let Assigned { magnitudes, indices, count } = assign(x, scale);
        for lane in 0..LANES {
            inner[lane] += magnitudes[lane] * x[lane].abs();
            let index = if x[lane] > 0.0 { indices[lane] } else { -1 - indices[lane] };
            numbers[lane] = (count + index) as u8;
        }
    }
    added(inner)
}

#[inline(always)]
fn signs(x: &[f32], numbers: &mut [u8]) -> f32 {
    let mut inner = [0.0_f32; LANES];
    for (x, numbers) in x.as_chunks::<LANES>().0.iter().zip(numbers.as_chunks_mut::<LANES>().0) {
        for lane in 0..LANES {
            inner[lane] += x[lane].abs();
            numbers[lane] = u8::from(x[lane] > 0.0);
        }
    }
    added(inner)
}

/// The nearest of listed levels.
#[inline(always)]
fn listed<const COUNT: usize>(
    x: &[f32; LANES],
    scale: f32,
    magnitudes: &[f32; MAGNITUDES],
    middles: &[f32; MAGNITUDES],
) -> Assigned {
    let mut assigned =
        Assigned { magnitudes: [magnitudes[0]; LANES], indices: [0; LANES], count: COUNT as i32 };
    for index in 1..COUNT {
        for lane in 0..LANES {
            let is_above = (x[lane] * scale).abs() > middles[index - 1];
            assigned.indices[lane] += i32::from(is_above);
            assigned.magnitudes[lane] = if is_above { magnitudes[index] } else { assigned.magnitudes[lane] };
        }
    }
    assigned
}

/// The nearest of uniform levels.
#[inline(always)]
fn uniform(x: &[f32; LANES], scale: f32, count: i32) -> Assigned {
    let mut assigned = Assigned { magnitudes: [0.0; LANES], indices: [0; LANES], count };
    for lane in 0..LANES {
        assigned.indices[lane] = uniform_index(x[lane], scale, count);
        assigned.magnitudes[lane] = (2 * assigned.indices[lane] + 1) as f32;
    }
    assigned
}

#[inline(always)]
fn uniform_index(x: f32, scale: f32, count: i32) -> i32 {
    ((x * scale).abs() * 0.5).min((count - 1) as f32) as i32
}

#[inline(always)]
pub(super) fn multiply_add(factor: f32, values: &[f32], sums: &mut [f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

pub(super) fn sum_bits<const QUERIES: usize>(
    tables: [&[[u8; 32]]; QUERIES],
    planes: &[u8],
    _next: &[u8],
    sums: &mut [BlockSums; QUERIES],
) {
    for (tables, sums) in tables.into_iter().zip(sums) {
        *sums = [0; ROWS_PER_BLOCK];
        for (table, plane) in tables.iter().zip(planes.as_chunks::<ROWS_PER_BLOCK>().0) {
            for (sum, byte) in sums.iter_mut().zip(plane) {
                let entries = [table[(byte & 0xF) as usize], table[16 + (byte >> 4) as usize]];
                *sum += i32::from(entries[0]) + i32::from(entries[1]);
            }
        }
    }
}

pub(super) fn multiply(
    codes: Codes<'_>,
    rows: &[usize],
    grid: Grid,
    queries: &[&[i8]],
    expanded: &mut [u8],
    products: &mut [[i32; ROWS_PER_TILE]],
) {
    let len = expanded.len() / rows.len().max(1);
    for (index, (row, expanded)) in rows.iter().zip(expanded.chunks_exact_mut(len.max(1))).enumerate() {
        expand_row(codes.row(*row), grid, expanded);
        for (query, products) in queries.iter().zip(&mut *products) {
            let of_dims =
                expanded.iter().zip(*query).map(|(level, value)| i32::from(*level) * i32::from(*value));
            products[index] = of_dims.sum();
        }
    }
}

/// Writes the bytes of the numbers of a row; what is beyond the last number means nothing.
#[inline(always)]
pub(super) fn expand_row(row: &[u8], grid: Grid, expanded: &mut [u8]) {
    match grid.n_bits() {
        8 => expanded[..row.len()].copy_from_slice(row),
        n_bits @ (2 | 4) => {
            let (bytes, per_byte, mask) = (grid.bytes(), 8 / n_bits, (1 << n_bits) - 1);
            for (row, expanded) in row.chunks(32).zip(expanded.chunks_exact_mut(32 * per_byte)) {
                for (part, expanded) in expanded.chunks_exact_mut(32).enumerate() {
                    let shift = n_bits * (per_byte - 1 - part);
                    for (byte, out) in row.iter().zip(expanded) {
                        *out = bytes[(byte >> shift & mask) as usize];
                    }
                }
            }
        }
        n_bits => {
            let bytes = grid.bytes();
            for (group, expanded) in row.chunks_exact(n_bits).zip(expanded.as_chunks_mut::<8>().0) {
                let bits = group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
                for (index, out) in expanded.iter_mut().enumerate() {
                    let number = (bits >> (n_bits * (7 - index))) as u8 & (u8::MAX >> (8 - n_bits));
                    *out = if n_bits == 3 { bytes[usize::from(number & 15)] } else { number };
                }
            }
        }
    }
}

#[inline(always)]
pub(super) fn distances(
    sums: &[&BlockSums],
    factors: &[[f32; 2]],
    finish: &Finish,
    out: &mut [f32; ROWS_PER_BLOCK],
) -> bool {
    let Finish { multiplier, bias, steps, .. } = *finish;
    match sums {
        [upper, lower] => finished(factors, finish, out, |row| {
            let upper = (multiplier * upper[row] - bias[0]) as f32 * steps[0];
            upper + (multiplier * lower[row] - bias[1]) as f32 * steps[1]
        }),
        [sums, ..] => {
            finished(factors, finish, out, |row| (multiplier * sums[row] - bias[0]) as f32 * steps[0])
        }
        [] => true,
    }
}

/// Distances from the products of rows with a query, and whether all are finite.
#[inline(always)]
fn finished(
    factors: &[[f32; 2]],
    finish: &Finish,
    out: &mut [f32; ROWS_PER_BLOCK],
    product: impl Fn(usize) -> f32,
) -> bool {
    let Finish { offset, factor, .. } = *finish;
    // Zeros if all are finite, else NaN. In lanes: the order of additions would keep compilers from vector code.
    let mut nothing = [0.0_f32; LANES];
    let (eights, rest) = factors.as_chunks::<LANES>();
    let mut last = [[0.0; 2]; LANES];
    last[..rest.len()].copy_from_slice(rest);
    let eights = eights.iter().chain(if rest.is_empty() { None } else { Some(&last) });
    for ((index, factors), out) in eights.enumerate().zip(out.as_chunks_mut::<LANES>().0) {
        for lane in 0..LANES {
            let [added, multiple] = factors[lane];
            // Plus zero: no distance is minus zero.
            out[lane] = (offset + added) + (factor * multiple) * product(index * LANES + lane) + 0.0;
            nothing[lane] += out[lane] * 0.0;
        }
    }
    added(nothing) == 0.0
}

pub(super) fn near(distances: &[f32; ROWS_PER_BLOCK], limit: f32) -> BlockRows {
    let mut rows = [0; ROWS_PER_BLOCK / 64];
    for (rows, distances) in rows.iter_mut().zip(distances.as_chunks::<64>().0) {
        let near = distances.iter().enumerate();
        *rows = near.fold(0, |rows, (row, distance)| rows | u64::from(*distance <= limit) << row);
    }
    rows
}
