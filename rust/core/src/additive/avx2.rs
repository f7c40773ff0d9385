//! AVX2: products of four vectors with sixteen codewords in eight registers of sums; sums of 64 entries of 16 bits in four.
//!
//! Bottlenecks. Products: a multiplication and an addition for eight of them, which are not fused, so that all levels round alike; two
//! of each per cycle where they have ports of their own (AMD), one of each elsewhere. Sums: loads of lines from the second-level
//! cache, 32 bytes per cycle; a line is loaded once for the addition of 64 entries, or of 32 entries in floats.

use std::arch::x86_64::*;

use super::{
    Best, Candidates, Constrained, FLOATS_PER_LINE, FloatLine, LANES, Line, ROWS_PER_GROUP, portable,
};

/// Rows whose sums are in registers.
const ROWS: usize = 4;

#[target_feature(enable = "avx2")]
pub(super) fn products(
    rows: &[f32],
    n_dims: usize,
    panels: &[[f32; LANES]],
    start: &[[f32; LANES]],
    out: &mut [f32],
) {
    let width = LANES * start.len();
    for (index, (panel, start)) in panels.chunks_exact(n_dims).zip(start).enumerate() {
        let groups = rows[..ROWS_PER_GROUP * n_dims].chunks_exact(ROWS * n_dims);
        for (rows, out) in groups.zip(out.chunks_exact_mut(ROWS * width)) {
            let (a, bcd) = rows.split_at(n_dims);
            let (b, cd) = bcd.split_at(n_dims);
            let (c, d) = cd.split_at(n_dims);
            let mut sums = [load(start); ROWS];
            for ((((coordinates, a), b), c), d) in panel.iter().zip(a).zip(b).zip(c).zip(d) {
                let [low, high] = load(coordinates);
                for (sums, value) in sums.iter_mut().zip([a, b, c, d]) {
                    let value = _mm256_set1_ps(*value);
                    sums[0] = _mm256_add_ps(sums[0], _mm256_mul_ps(value, low));
                    sums[1] = _mm256_add_ps(sums[1], _mm256_mul_ps(value, high));
                }
            }
            for (out, [low, high]) in out.chunks_exact_mut(width).zip(sums) {
                for (out, sums) in out[LANES * index..].chunks_exact_mut(8).zip([low, high]) {
                    // SAFETY: `out` are 8 floats.
                    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sums) };
                }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_half(values: &[f32; 8]) -> __m256 {
    // SAFETY: `values` are 8 floats.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(values: &[f32; LANES]) -> [__m256; 2] {
    let (halves, _) = values.as_chunks();
    [load_half(&halves[0]), load_half(&halves[1])]
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_part(entries: &[u16; 16]) -> __m256i {
    // SAFETY: `entries` are 16 numbers of 16 bits.
    unsafe { _mm256_loadu_si256(entries.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_line(line: &Line) -> [__m256i; 4] {
    let (parts, _) = line.0.as_chunks();
    [load_part(&parts[0]), load_part(&parts[1]), load_part(&parts[2]), load_part(&parts[3])]
}

#[target_feature(enable = "avx2")]
pub(super) fn improve(candidates: &Candidates<'_, Line>, best: &mut [Best]) {
    let Candidates { first, unaries, pairs, n_books, others, codes, rows, .. } = *candidates;
    for &row in rows {
        let row = row as usize;
        let mut sums = load_line(&unaries[row]);
        let codes = &codes[row * n_books..][..n_books];
        for &(start, book) in others {
            let entries = load_line(&pairs[start + codes[book] as usize]);
            for (sum, entries) in sums.iter_mut().zip(entries) {
                *sum = _mm256_adds_epu16(*sum, entries);
            }
        }
        let [a, b, c, d] = sums;
        let least = _mm256_min_epu16(_mm256_min_epu16(a, b), _mm256_min_epu16(c, d));
        let least = _mm_min_epu16(_mm256_castsi256_si128(least), _mm256_extracti128_si256::<1>(least));
        let sum = _mm_cvtsi128_si32(_mm_minpos_epu16(least)) as u16;
        let wanted = _mm256_set1_epi16(sum as i16);
        // Packing interleaves the halves of two registers.
        let bits = |low, high| {
            let equal = _mm256_packs_epi16(_mm256_cmpeq_epi16(low, wanted), _mm256_cmpeq_epi16(high, wanted));
            _mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(equal)) as u32
        };
        let equal = u64::from(bits(c, d)) << 32 | u64::from(bits(a, b));
        let found = Best { sum, codeword: first as u16 + equal.trailing_zeros() as u16 };
        let best = &mut best[row];
        *best = if sum < best.sum { found } else { *best };
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_floats(line: &FloatLine) -> [__m256; 4] {
    let (parts, _) = line.0.as_chunks();
    [load_half(&parts[0]), load_half(&parts[1]), load_half(&parts[2]), load_half(&parts[3])]
}

#[target_feature(enable = "avx2")]
pub(super) fn improve_constrained(
    candidates: &Candidates<'_, FloatLine>,
    penalty: f32,
    best: &mut [Constrained],
) {
    let Candidates { first, unaries, pairs, n_books, others, codes, rows } = *candidates;
    let penalty = _mm256_set1_ps(penalty);
    for &row in rows {
        let row = row as usize;
        let mut sums = [_mm256_setzero_ps(); 4];
        let codes = &codes[row * n_books..][..n_books];
        for &(start, book) in others {
            let entries = load_floats(&pairs[start + codes[book] as usize]);
            for (sum, entries) in sums.iter_mut().zip(entries) {
                *sum = _mm256_add_ps(*sum, entries);
            }
        }
        let best = &mut best[row];
        let rest = _mm256_set1_ps(best.rest);
        let mut costs = load_floats(&unaries[row]);
        let mut least = _mm256_set1_ps(f32::INFINITY);
        for (cost, sum) in costs.iter_mut().zip(sums) {
            let deviation = _mm256_add_ps(rest, sum);
            let price = _mm256_mul_ps(_mm256_mul_ps(penalty, deviation), deviation);
            *cost = _mm256_add_ps(_mm256_add_ps(*cost, sum), price);
            // The second operand is taken if the first is not a number.
            least = _mm256_min_ps(*cost, least);
        }
        let least = _mm_min_ps(_mm256_castps256_ps128(least), _mm256_extractf128_ps::<1>(least));
        let least = _mm_min_ps(least, _mm_movehl_ps(least, least));
        let least = _mm_min_ss(least, _mm_movehdup_ps(least));
        let cost = _mm_cvtss_f32(least);
        if cost < best.cost {
            let wanted = _mm256_broadcastss_ps(least);
            let equal = costs.iter().rev().fold(0, |equal, costs| {
                equal << 8 | _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(*costs, wanted)) as u32
            });
            let index = equal.trailing_zeros() as usize;
            let mut parts = [0.0_f32; FLOATS_PER_LINE];
            for (part, sum) in parts.chunks_exact_mut(8).zip(sums) {
                // SAFETY: `part` are 8 floats.
                unsafe { _mm256_storeu_ps(part.as_mut_ptr(), sum) };
            }
            *best = Constrained { cost, codeword: (first + index) as u32, sum: parts[index], ..*best };
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn squared_error<'a>(
    x: &[[f32; LANES]],
    codewords: impl Iterator<Item = &'a [[f32; LANES]]> + Clone,
) -> f32 {
    portable::squared_error(x, codewords)
}

#[target_feature(enable = "avx2")]
pub(super) fn add(sums: &mut [[f32; LANES]], entries: &[[f32; LANES]]) {
    portable::add(sums, entries);
}
