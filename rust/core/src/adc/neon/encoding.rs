//! Tables, codes and blocks. Sixteen rows are four registers of floats.
//!
//! A score takes one fused multiplication and addition per dimension for four rows. Four codewords share the loads of 16 rows: 16
//! of the 32 registers hold their sums, so that 16 operations come with 8 loads. Finding the two largest scores takes 20 operations
//! for each codeword, as many as five dimensions: the limit are the four vector ports.
//!
//! Sixteen columns of sixteen rows are transposed by 64 `zip`, a quarter of an instruction for each byte; the limit is the ports that
//! shuffle.

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
        let integers = |entries: float64x2_t| {
            let scaled = vmulq_n_f64(vsubq_f64(entries, smallest), scale);
            // As with `f64::min`, the lesser number: not NaN if one of them is a number.
            vqmovn_s64(vcvtq_s64_f64(vminnmq_f64(scaled, vdupq_n_f64(255.0))))
        };
        for (entries, bytes) in table.as_chunks::<8>().0.iter().zip(bytes.as_chunks_mut::<8>().0) {
            let [low, high] = [0, 1].map(|half| {
                let entries = load_floats(&entries.as_chunks().0[half]);
                let low = integers(vcvt_f64_f32(vget_low_f32(entries)));
                vmovn_s32(vcombine_s32(low, integers(vcvt_high_f64_f32(entries))))
            });
            let eight = vmovn_u16(vreinterpretq_u16_s16(vcombine_s16(low, high)));
            // SAFETY: `bytes` is 8 bytes.
            unsafe { vst1_u8(bytes.as_mut_ptr(), eight) };
        }
    }
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn table(part: &[f32], transposed: &[f32], metric: TableMetric, table: &mut [f32]) {
    portable::table(part, transposed, metric, table);
}

/// Transposes four coordinates of four codewords at a time.
#[target_feature(enable = "neon")]
pub(in crate::adc) fn table_as_is(part: &[f32], codewords: &[f32], metric: TableMetric, table: &mut [f32]) {
    let n_dims = part.len();
    let add = |sum: float32x4_t, value: f32, coordinates: float32x4_t| match metric {
        TableMetric::L2 => {
            let difference = vsubq_f32(vdupq_n_f32(value), coordinates);
            vaddq_f32(sum, vmulq_f32(difference, difference))
        }
        TableMetric::Ip => vsubq_f32(sum, vmulq_n_f32(coordinates, value)),
    };
    let (values, last_values) = part.as_chunks::<4>();
    let whole = table.len() / 4 * 4;
    for (four, entries) in codewords.chunks_exact(4 * n_dims).zip(table.as_chunks_mut::<4>().0) {
        let codewords = [0, 1, 2, 3].map(|which| four[which * n_dims..][..n_dims].as_chunks::<4>());
        let (squares, rest) =
            (codewords.map(|(fours, _)| &fours[..values.len()]), codewords.map(|(_, rest)| rest));
        let mut sum = vdupq_n_f32(0.0);
        for (index, values) in values.iter().enumerate() {
            let columns = transposed_floats(squares.map(|fours| load_floats(&fours[index])));
            for (value, coordinates) in values.iter().zip(columns) {
                sum = add(sum, *value, coordinates);
            }
        }
        for (dim, value) in last_values.iter().enumerate() {
            sum = add(sum, *value, load_floats(&rest.map(|rest| rest[dim])));
        }
        store_floats(entries, sum);
    }
    portable::table_as_is(part, &codewords[whole * n_dims..], metric, &mut table[whole..]);
}

/// The columns of four rows.
#[inline]
#[target_feature(enable = "neon")]
fn transposed_floats([a, b, c, d]: [float32x4_t; 4]) -> [float32x4_t; 4] {
    let [even_ab, odd_ab] = [vtrn1q_f32(a, b), vtrn2q_f32(a, b)].map(|pairs| vreinterpretq_f64_f32(pairs));
    let [even_cd, odd_cd] = [vtrn1q_f32(c, d), vtrn2q_f32(c, d)].map(|pairs| vreinterpretq_f64_f32(pairs));
    [
        vtrn1q_f64(even_ab, even_cd),
        vtrn1q_f64(odd_ab, odd_cd),
        vtrn2q_f64(even_ab, even_cd),
        vtrn2q_f64(odd_ab, odd_cd),
    ]
    .map(|columns| vreinterpretq_f32_f64(columns))
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn nearest(
    columns: &[[f32; ROWS_PER_STRIP]],
    codebook: Codebook<'_>,
    found: &mut Nearest,
) {
    if !scores(columns, codebook).settle(columns, codebook, found) {
        portable::nearest(columns, codebook, found);
    }
}

/// The largest scores of the codewords so far, for 16 rows.
struct Largest {
    largest: [float32x4_t; 4],
    second: [float32x4_t; 4],
    indices: [uint32x4_t; 4],
    next: uint32x4_t,
}

impl Largest {
    /// Takes the scores of the next codeword.
    #[inline]
    #[target_feature(enable = "neon")]
    fn take(&mut self, scores: [float32x4_t; 4]) {
        for quarter in 0..4 {
            let (scores, largest) = (scores[quarter], self.largest[quarter]);
            let is_more = vcgtq_f32(scores, largest);
            self.second[quarter] = vmaxq_f32(self.second[quarter], vminq_f32(largest, scores));
            self.largest[quarter] = vmaxq_f32(largest, scores);
            self.indices[quarter] = vbslq_u32(is_more, self.next, self.indices[quarter]);
        }
        self.next = vaddq_u32(self.next, vdupq_n_u32(1));
    }
}

/// The largest scores of the codewords: one fused operation per dimension.
#[inline]
#[target_feature(enable = "neon")]
fn scores(columns: &[[f32; ROWS_PER_STRIP]], codebook: Codebook<'_>) -> Scores {
    let n_dims = columns.len();
    let (lowest, zero) = ([vdupq_n_f32(f32::NEG_INFINITY); 4], vdupq_n_u32(0));
    let mut found = Largest { largest: lowest, second: lowest, indices: [zero; 4], next: zero };
    let fours = codebook.values.chunks_exact(4 * n_dims);
    let rest = fours.remainder().chunks_exact(n_dims);
    let (half_squares, last_squares) = codebook.half_squares.as_chunks::<4>();
    for (four, half_squares) in fours.zip(half_squares) {
        // Sums that do not wait for each other, and share the loads of the columns.
        let codewords = [0, 1, 2, 3].map(|which| &four[which * n_dims..][..n_dims]);
        let mut sums = half_squares.map(|half_square| [vdupq_n_f32(-half_square); 4]);
        for dim in 0..n_dims {
            add_products(&columns[dim], codewords.map(|codeword| codeword[dim]), &mut sums);
        }
        sums.into_iter().for_each(|sums| found.take(sums));
    }
    for (codeword, half_square) in rest.zip(last_squares) {
        let mut sums = [[vdupq_n_f32(-half_square); 4]];
        for (column, coordinate) in columns.iter().zip(codeword) {
            add_products(column, [*coordinate], &mut sums);
        }
        found.take(sums[0]);
    }
    let mut scores = Scores {
        largest: [0.0; ROWS_PER_STRIP],
        second: [0.0; ROWS_PER_STRIP],
        indices: [0; ROWS_PER_STRIP],
    };
    for quarter in 0..4 {
        store_floats(&mut scores.largest.as_chunks_mut().0[quarter], found.largest[quarter]);
        store_floats(&mut scores.second.as_chunks_mut().0[quarter], found.second[quarter]);
        let indices = &mut scores.indices.as_chunks_mut::<4>().0[quarter];
        // SAFETY: `indices` is 4 integers of 32 bits.
        unsafe { vst1q_u32(indices.as_mut_ptr(), found.indices[quarter]) };
    }
    scores
}

/// Adds the products of a column with one coordinate of each of some codewords.
#[inline]
#[target_feature(enable = "neon")]
fn add_products<const CODEWORDS: usize>(
    column: &[f32; ROWS_PER_STRIP],
    coordinates: [f32; CODEWORDS],
    sums: &mut [[float32x4_t; 4]; CODEWORDS],
) {
    for (quarter, values) in column.as_chunks().0.iter().enumerate() {
        let values = load_floats(values);
        for which in 0..CODEWORDS {
            sums[which][quarter] = vfmaq_n_f32(sums[which][quarter], values, coordinates[which]);
        }
    }
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
            let columns = if rows.n_rows() == 16 {
                transposed::<COLUMNS>(&rows.as_bytes()[start..], rows.stride())
            } else {
                let mut padded = [[0; COLUMNS]; 16];
                for (row, padded) in padded[..rows.n_rows()].iter_mut().enumerate() {
                    padded.copy_from_slice(&rows.row(row)[start..start + COLUMNS]);
                }
                transposed::<COLUMNS>(padded.as_flattened(), COLUMNS)
            };
            for column in columns {
                largest = vmaxq_u8(largest, column);
            }
            for (plane, columns) in
                planes[start / IN_PLANE..].iter_mut().zip(columns.as_chunks::<IN_PLANE>().0)
            {
                let codes = columns
                    .iter()
                    .rev()
                    .fold(vdupq_n_u8(0), |codes, column| vorrq_u8(vshlq_n_u8::<4>(codes), *column));
                store(&mut plane.as_chunks_mut().0[group], codes);
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
