//! AVX-512: products of eight vectors with sixteen codewords in eight registers; sums of 64 entries of 16 bits in two. The limits
//! are those of AVX2, with half of the instructions.

use std::arch::x86_64::*;

use super::{
    Best, Candidates, Constrained, FLOATS_PER_LINE, FloatLine, LANES, Line, ROWS_PER_GROUP, portable,
};

/// Rows whose sums are in registers.
const ROWS: usize = 8;

#[target_feature(enable = "avx512f")]
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
            let mut sums = [load(start); ROWS];
            for (dim, coordinates) in panel.iter().enumerate() {
                let coordinates = load(coordinates);
                for (row, sum) in sums.iter_mut().enumerate() {
                    let value = _mm512_set1_ps(rows[row * n_dims + dim]);
                    *sum = _mm512_add_ps(*sum, _mm512_mul_ps(value, coordinates));
                }
            }
            for (out, sum) in out.chunks_exact_mut(width).zip(sums) {
                let out: &mut [f32] = &mut out[LANES * index..][..LANES];
                // SAFETY: `out` are 16 floats.
                unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[f32; LANES]) -> __m512 {
    // SAFETY: `values` are 16 floats.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_half(entries: &[u16; 32]) -> __m512i {
    // SAFETY: `entries` are 32 numbers of 16 bits.
    unsafe { _mm512_loadu_si512(entries.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn improve(candidates: &Candidates<'_, Line>, best: &mut [Best]) {
    let Candidates { first, unaries, pairs, n_books, others, codes, rows, .. } = *candidates;
    for &row in rows {
        let row = row as usize;
        let (halves, _) = unaries[row].0.as_chunks();
        let mut sums = [load_half(&halves[0]), load_half(&halves[1])];
        let codes = &codes[row * n_books..][..n_books];
        for &(start, book) in others {
            let (halves, _) = pairs[start + codes[book] as usize].0.as_chunks();
            for (sum, half) in sums.iter_mut().zip(halves) {
                *sum = _mm512_adds_epu16(*sum, load_half(half));
            }
        }
        let least = _mm512_min_epu16(sums[0], sums[1]);
        let least = _mm256_min_epu16(_mm512_castsi512_si256(least), _mm512_extracti64x4_epi64::<1>(least));
        let least = _mm_min_epu16(_mm256_castsi256_si128(least), _mm256_extracti128_si256::<1>(least));
        let sum = _mm_cvtsi128_si32(_mm_minpos_epu16(least)) as u16;
        let wanted = _mm512_set1_epi16(sum as i16);
        let [low, high] = sums.map(|sums| u64::from(_mm512_cmpeq_epi16_mask(sums, wanted)));
        let found = Best { sum, codeword: first as u16 + (high << 32 | low).trailing_zeros() as u16 };
        let best = &mut best[row];
        *best = if sum < best.sum { found } else { *best };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_floats(line: &FloatLine) -> [__m512; 2] {
    let (halves, _) = line.0.as_chunks();
    [load(&halves[0]), load(&halves[1])]
}

#[target_feature(enable = "avx512f")]
pub(super) fn improve_constrained(
    candidates: &Candidates<'_, FloatLine>,
    penalty: f32,
    best: &mut [Constrained],
) {
    let Candidates { first, unaries, pairs, n_books, others, codes, rows } = *candidates;
    let penalty = _mm512_set1_ps(penalty);
    for &row in rows {
        let row = row as usize;
        let mut sums = [_mm512_setzero_ps(); 2];
        let codes = &codes[row * n_books..][..n_books];
        for &(start, book) in others {
            let entries = load_floats(&pairs[start + codes[book] as usize]);
            for (sum, entries) in sums.iter_mut().zip(entries) {
                *sum = _mm512_add_ps(*sum, entries);
            }
        }
        let best = &mut best[row];
        let rest = _mm512_set1_ps(best.rest);
        let mut costs = load_floats(&unaries[row]);
        let mut least = _mm512_set1_ps(f32::INFINITY);
        for (cost, sum) in costs.iter_mut().zip(sums) {
            let deviation = _mm512_add_ps(rest, sum);
            let price = _mm512_mul_ps(_mm512_mul_ps(penalty, deviation), deviation);
            *cost = _mm512_add_ps(_mm512_add_ps(*cost, sum), price);
            // The second operand is taken if the first is not a number.
            least = _mm512_min_ps(*cost, least);
        }
        let cost = _mm512_reduce_min_ps(least);
        if cost < best.cost {
            let wanted = _mm512_set1_ps(cost);
            let [low, high] = costs.map(|costs| u32::from(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(costs, wanted)));
            let index = (high << 16 | low).trailing_zeros() as usize;
            let mut parts = [0.0_f32; FLOATS_PER_LINE];
            for (part, sum) in parts.chunks_exact_mut(16).zip(sums) {
                // SAFETY: `part` are 16 floats.
                unsafe { _mm512_storeu_ps(part.as_mut_ptr(), sum) };
            }
            *best = Constrained { cost, codeword: (first + index) as u32, sum: parts[index], ..*best };
        }
    }
}

#[target_feature(enable = "avx512f")]
pub(super) fn squared_error<'a>(
    x: &[[f32; LANES]],
    codewords: impl Iterator<Item = &'a [[f32; LANES]]> + Clone,
) -> f32 {
    portable::squared_error(x, codewords)
}

#[target_feature(enable = "avx512f")]
pub(super) fn add(sums: &mut [[f32; LANES]], entries: &[[f32; LANES]]) {
    portable::add(sums, entries);
}
