//! Tables, nearest codewords, and blocks. Sixteen rows are four registers of floats.
//!
//! A score takes one fused operation per dimension for four rows. Four codewords share the loads of 16 rows, so that 16 operations come
//! with 8 loads, and 16 of the 32 registers hold sums: four cycles, limited by the vector ports. The two largest scores take 20
//! operations for each codeword, as many as five dimensions.
//!
//! Sixteen bytes of sixteen rows are transposed by 64 `zip`, a quarter of an instruction for each byte, which has all four vector ports.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::aarch64::*;

use super::{REGISTERS_PER_PLANE, load_floats, store, store_floats};
use crate::Codes;
use crate::adc::encode::{Codebook, Nearest, ROWS_PER_STRIP, Scores};
use crate::adc::layout::{ROWS_PER_BLOCK, Width};
use crate::adc::{TableMetric, portable};

#[target_feature(enable = "neon")]
pub(in crate::adc) fn quantize<const N: usize>(
    tables: &[[f32; N]],
    smallest: &[f32],
    scale: f64,
    quantized: &mut [[u8; N]],
) {
    for ((table, smallest), bytes) in tables.iter().zip(smallest).zip(quantized) {
        let smallest = vdupq_n_f64(f64::from(*smallest));
        for (entries, bytes) in table.as_chunks::<8>().0.iter().zip(bytes.as_chunks_mut::<8>().0) {
            let mut integers = [vdupq_n_s32(0); 2];
            for (integers, entries) in integers.iter_mut().zip(entries.as_chunks().0) {
                let entries = load_floats(entries);
                let low = scaled(vcvt_f64_f32(vget_low_f32(entries)), smallest, scale);
                *integers = vcombine_s32(low, scaled(vcvt_high_f64_f32(entries), smallest, scale));
            }
            let integers = vuzp1q_s16(vreinterpretq_s16_s32(integers[0]), vreinterpretq_s16_s32(integers[1]));
            let lowest_bytes = vmovn_u16(vreinterpretq_u16_s16(integers));
            // SAFETY: `bytes` is 8 bytes.
            unsafe { vst1_u8(bytes.as_mut_ptr(), lowest_bytes) };
        }
    }
}

/// `min(255, (entry - smallest) * scale)`, towards zero.
#[inline]
#[target_feature(enable = "neon")]
fn scaled(entries: float64x2_t, smallest: float64x2_t, scale: f64) -> int32x2_t {
    let scaled = vmulq_n_f64(vsubq_f64(entries, smallest), scale);
    // Like `f64::min`, this prefers a number to NaN.
    vqmovn_s64(vcvtq_s64_f64(vminnmq_f64(scaled, vdupq_n_f64(255.0))))
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn table(part: &[f32], transposed: &[f32], metric: TableMetric, table: &mut [f32]) {
    portable::table(part, transposed, metric, table);
}

/// Four codewords at a time, of which it transposes four dimensions.
#[target_feature(enable = "neon")]
pub(in crate::adc) fn table_as_is(part: &[f32], codewords: &[f32], metric: TableMetric, table: &mut [f32]) {
    let n_dims = part.len();
    let whole = table.len() / 4 * 4;
    for (four, entries) in codewords.chunks_exact(4 * n_dims).zip(table.as_chunks_mut::<4>().0) {
        let mut rows = [four; 4];
        for which in 0..4 {
            rows[which] = &four[which * n_dims..][..n_dims];
        }
        let (mut sum, mut dim) = (vdupq_n_f32(0.0), 0);
        while let Some(values) = part[dim..].first_chunk::<4>() {
            let columns = columns(rows, dim);
            for which in 0..4 {
                sum = add_term(metric, sum, values[which], columns[which]);
            }
            dim += 4;
        }
        for dim in dim..n_dims {
            let coordinates = [rows[0][dim], rows[1][dim], rows[2][dim], rows[3][dim]];
            sum = add_term(metric, sum, part[dim], load_floats(&coordinates));
        }
        store_floats(entries, sum);
    }
    portable::table_as_is(part, &codewords[whole * n_dims..], metric, &mut table[whole..]);
}

/// Adds the terms of one dimension of four codewords.
#[inline]
#[target_feature(enable = "neon")]
fn add_term(metric: TableMetric, sum: float32x4_t, value: f32, coordinates: float32x4_t) -> float32x4_t {
    match metric {
        TableMetric::L2 => add_square(sum, coordinates, value),
        TableMetric::Ip => vsubq_f32(sum, vmulq_n_f32(coordinates, value)),
    }
}

/// `sum + (value - coordinate)^2`, each operation rounded.
#[inline]
#[target_feature(enable = "neon")]
fn add_square(sum: float32x4_t, values: float32x4_t, coordinate: f32) -> float32x4_t {
    let difference = vsubq_f32(values, vdupq_n_f32(coordinate));
    vaddq_f32(sum, vmulq_f32(difference, difference))
}

/// Four columns of four rows.
#[inline]
#[target_feature(enable = "neon")]
fn columns(rows: [&[f32]; 4], first: usize) -> [float32x4_t; 4] {
    let mut fours = [vdupq_n_f32(0.0); 4];
    for which in 0..4 {
        if let Some(four) = rows[which][first..].first_chunk() {
            fours[which] = load_floats(four);
        }
    }
    let [a, b, c, d] = fours;
    let mut columns = fours;
    for (odd, (ab, cd)) in
        [(vtrn1q_f32(a, b), vtrn1q_f32(c, d)), (vtrn2q_f32(a, b), vtrn2q_f32(c, d))].into_iter().enumerate()
    {
        let (ab, cd) = (vreinterpretq_f64_f32(ab), vreinterpretq_f64_f32(cd));
        columns[odd] = vreinterpretq_f32_f64(vtrn1q_f64(ab, cd));
        columns[2 + odd] = vreinterpretq_f32_f64(vtrn2q_f64(ab, cd));
    }
    columns
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn nearest(
    columns: &[[f32; ROWS_PER_STRIP]],
    codebook: Codebook<'_>,
    found: &mut Nearest,
) {
    if !scores(columns, codebook).settle(columns, codebook, found) {
        nearest_by_distances(columns, codebook.values, found);
    }
}

/// The largest scores of the codewords: one fused operation per dimension.
#[inline]
#[target_feature(enable = "neon")]
fn scores(columns: &[[f32; ROWS_PER_STRIP]], codebook: Codebook<'_>) -> Scores {
    let lowest = vdupq_n_f32(f32::NEG_INFINITY);
    let (mut largest, mut second, mut indices) = ([lowest; 4], [lowest; 4], [vdupq_n_u32(0); 4]);
    for_each_codeword(
        columns,
        codebook.values,
        |index| -codebook.half_squares[index],
        |sum, values, coordinate| vfmaq_n_f32(sum, values, coordinate),
        |index, scores| {
            for quarter in 0..4 {
                let scores = scores[quarter];
                let is_more = vcgtq_f32(scores, largest[quarter]);
                second[quarter] = vmaxq_f32(second[quarter], vminq_f32(largest[quarter], scores));
                largest[quarter] = vmaxq_f32(largest[quarter], scores);
                indices[quarter] = vbslq_u32(is_more, vdupq_n_u32(index as u32), indices[quarter]);
            }
        },
    );
    let mut scores = Scores {
        largest: [0.0; ROWS_PER_STRIP],
        second: [0.0; ROWS_PER_STRIP],
        indices: [0; ROWS_PER_STRIP],
    };
    for quarter in 0..4 {
        store_floats(&mut scores.largest.as_chunks_mut().0[quarter], largest[quarter]);
        store_floats(&mut scores.second.as_chunks_mut().0[quarter], second[quarter]);
        store_indices(&mut scores.indices.as_chunks_mut().0[quarter], indices[quarter]);
    }
    scores
}

#[target_feature(enable = "neon")]
fn nearest_by_distances(columns: &[[f32; ROWS_PER_STRIP]], codewords: &[f32], found: &mut Nearest) {
    let (mut distances, mut indices) = ([vdupq_n_f32(0.0); 4], [vdupq_n_u32(0); 4]);
    for quarter in 0..4 {
        distances[quarter] = load_floats(&found.distances.as_chunks().0[quarter]);
        indices[quarter] = load_indices(&found.indices.as_chunks().0[quarter]);
    }
    for_each_codeword(
        columns,
        codewords,
        |_| 0.0,
        |sum, values, coordinate| add_square(sum, values, coordinate),
        |index, sums| {
            for quarter in 0..4 {
                let is_nearer = vcltq_f32(sums[quarter], distances[quarter]);
                distances[quarter] = vbslq_f32(is_nearer, sums[quarter], distances[quarter]);
                indices[quarter] = vbslq_u32(is_nearer, vdupq_n_u32(index as u32), indices[quarter]);
            }
        },
    );
    for quarter in 0..4 {
        store_floats(&mut found.distances.as_chunks_mut().0[quarter], distances[quarter]);
        store_indices(&mut found.indices.as_chunks_mut().0[quarter], indices[quarter]);
    }
}

/// Gives `take` the sum of each codeword over all dimensions, which begins with `initial`, for 16 rows.
#[inline]
#[target_feature(enable = "neon")]
fn for_each_codeword(
    columns: &[[f32; ROWS_PER_STRIP]],
    codewords: &[f32],
    initial: impl Fn(usize) -> f32,
    add: impl Fn(float32x4_t, float32x4_t, f32) -> float32x4_t,
    mut take: impl FnMut(usize, [float32x4_t; 4]),
) {
    let n_dims = columns.len();
    let fours = codewords.chunks_exact(4 * n_dims);
    let (rest, first_of_rest) = (fours.remainder(), 4 * fours.len());
    for (step, four) in fours.enumerate() {
        // Sums that do not wait for each other, and share the loads of the columns.
        let (mut sums, mut codewords) = ([[vdupq_n_f32(0.0); 4]; 4], [four; 4]);
        for which in 0..4 {
            codewords[which] = &four[which * n_dims..][..n_dims];
            sums[which] = [vdupq_n_f32(initial(4 * step + which)); 4];
        }
        for dim in 0..n_dims {
            let (column, _) = columns[dim].as_chunks();
            for quarter in 0..4 {
                let values = load_floats(&column[quarter]);
                for which in 0..4 {
                    sums[which][quarter] = add(sums[which][quarter], values, codewords[which][dim]);
                }
            }
        }
        for which in 0..4 {
            take(4 * step + which, sums[which]);
        }
    }
    for (index, codeword) in (first_of_rest..).zip(rest.chunks_exact(n_dims)) {
        let mut sums = [vdupq_n_f32(initial(index)); 4];
        for (column, coordinate) in columns.iter().zip(codeword) {
            for (sum, values) in sums.iter_mut().zip(column.as_chunks().0) {
                *sum = add(*sum, load_floats(values), *coordinate);
            }
        }
        take(index, sums);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_indices(values: &[u32; 4]) -> uint32x4_t {
    // SAFETY: `values` is 4 integers of 32 bits.
    unsafe { vld1q_u32(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store_indices(out: &mut [u32; 4], indices: uint32x4_t) {
    // SAFETY: `out` is 4 integers of 32 bits.
    unsafe { vst1q_u32(out.as_mut_ptr(), indices) };
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn pack_block(rows: Codes<'_>, width: Width, planes: &mut [u8]) -> u8 {
    match (width, rows.n_bytes()) {
        (Width::Byte, 16..) => pack_columns::<16, 1>(rows, planes),
        (Width::Byte, 8..) => pack_columns::<8, 1>(rows, planes),
        (Width::Nibble, n_bytes @ 16..) if n_bytes % 2 == 0 => pack_columns::<16, 2>(rows, planes),
        (Width::Nibble, n_bytes @ 8..) if n_bytes % 2 == 0 => pack_columns::<8, 2>(rows, planes),
        _ => portable::pack_block(rows, width, planes),
    }
}

/// Packs `COLUMNS` columns (8 or 16) of 16 rows at a time, the last ones overlapping those before, `IN_PLANE` to a plane.
#[inline]
#[target_feature(enable = "neon")]
fn pack_columns<const COLUMNS: usize, const IN_PLANE: usize>(rows: Codes<'_>, planes: &mut [u8]) -> u8 {
    let n_bytes = rows.n_bytes();
    let (planes, _) = planes[..n_bytes / IN_PLANE * ROWS_PER_BLOCK].as_chunks_mut::<ROWS_PER_BLOCK>();
    let mut largest = vdupq_n_u8(0);
    for group in 0..REGISTERS_PER_PLANE {
        let first = (16 * group).min(rows.n_rows());
        let rows = rows.slice(first, (first + 16).min(rows.n_rows()));
        for start in (0..n_bytes).step_by(COLUMNS) {
            let start = start.min(n_bytes - COLUMNS);
            let mut padded;
            let (bytes, stride) = if rows.n_rows() == 16 {
                (&rows.as_bytes()[start..], rows.stride())
            } else {
                padded = [[0; COLUMNS]; 16];
                for (row, padded) in padded[..rows.n_rows()].iter_mut().enumerate() {
                    padded.copy_from_slice(&rows.row(row)[start..start + COLUMNS]);
                }
                (padded.as_flattened(), COLUMNS)
            };
            let columns = transposed::<COLUMNS>(bytes, stride);
            let planes = &mut planes[start / IN_PLANE..][..COLUMNS / IN_PLANE];
            for index in 0..COLUMNS / IN_PLANE {
                let mut codes = columns[IN_PLANE * index];
                largest = vmaxq_u8(largest, codes);
                if IN_PLANE == 2 {
                    let high = columns[IN_PLANE * index + 1];
                    largest = vmaxq_u8(largest, high);
                    codes = vorrq_u8(codes, vshlq_n_u8::<4>(high));
                }
                store(&mut planes[index].as_chunks_mut().0[group], codes);
            }
        }
    }
    vmaxvq_u8(largest)
}

/// The first `COLUMNS` bytes (8 or 16) of 16 rows that start `stride` bytes apart: the first byte of each row, then the
/// second of each, ...
///
/// Four perfect shuffles of sixteen registers move the four bits of the number of a row to where those of the number of a
/// column were.
#[inline]
#[target_feature(enable = "neon")]
fn transposed<const COLUMNS: usize>(bytes: &[u8], stride: usize) -> [uint8x16_t; COLUMNS] {
    const { assert!(COLUMNS == 8 || COLUMNS == 16) };
    assert!(bytes.len() >= 15 * stride + COLUMNS, "rows beyond the end");
    let mut registers = [vdupq_n_u8(0); 16];
    for (row, register) in registers.iter_mut().enumerate() {
        let start = bytes[row * stride..].as_ptr();
        *register = if COLUMNS == 16 {
            // SAFETY: row 15 at most has 16 bytes within `bytes`.
            unsafe { vld1q_u8(start) }
        } else {
            // SAFETY: row 15 at most has 8 bytes within `bytes`.
            let low = unsafe { vld1_u8(start) };
            vcombine_u8(low, vdup_n_u8(0))
        };
    }
    for _ in 0..4 {
        let mut shuffled = [vdupq_n_u8(0); 16];
        for pair in 0..8 {
            let [a, b] = [registers[pair], registers[pair + 8]];
            shuffled[2 * pair] = vzip1q_u8(a, b);
            shuffled[2 * pair + 1] = vzip2q_u8(a, b);
        }
        registers = shuffled;
    }
    let mut columns = [vdupq_n_u8(0); COLUMNS];
    columns.copy_from_slice(&registers[..COLUMNS]);
    columns
}
