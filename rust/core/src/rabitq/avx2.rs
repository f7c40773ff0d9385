//! AVX2. One bit: a byte shuffle looks up 32 halves of bytes in a table of 16 entries; with two look-ups added in bytes and their sums in
//! 16 bits, eight dimensions of 32 rows take four instructions for the codes and six for each query. More bits: a multiplication adds
//! the products of two bytes, a second one widens two such sums, and a third instruction adds: 32 dimensions of a row and a query.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;

use super::encode::{Products, REFINEMENTS};
use super::grid::{Grid, Levels, MAGNITUDES};
use super::queries::Finish;
use super::{
    BlockRows, BlockSums, PLANES_PER_SUM, QUERIES_PER_PASS, ROWS_PER_BLOCK, ROWS_PER_TILE, portable,
};
use crate::Codes;

/// Registers of rows that are summed together: with four queries, their sums fill the registers.
const REGISTERS: usize = 2;

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: `bytes` is 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_signed(bytes: &[i8; 32]) -> __m256i {
    // SAFETY: `bytes` is 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(bytes: &mut [u8; 32], register: __m256i) {
    // SAFETY: `bytes` is 32 bytes.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), register) };
}

/// Sixteen bytes, twice.
#[inline]
#[target_feature(enable = "avx2")]
fn load_repeated(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: `bytes` is 16 bytes.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_floats(floats: &[f32; 8]) -> __m256 {
    // SAFETY: `floats` are 8 floats.
    unsafe { _mm256_loadu_ps(floats.as_ptr()) }
}

/// The sum of the lanes, in the order of the portable body.
#[inline]
#[target_feature(enable = "avx2")]
fn added_floats(lanes: __m256) -> f32 {
    let mut floats = [0.0; 8];
    // SAFETY: `floats` are 8 floats.
    unsafe { _mm256_storeu_ps(floats.as_mut_ptr(), lanes) };
    portable::added(floats)
}

#[inline]
#[target_feature(enable = "avx2")]
fn magnitude(values: __m256) -> __m256 {
    _mm256_andnot_ps(_mm256_set1_ps(-0.0), values)
}

#[target_feature(enable = "avx2")]
pub(super) fn quantize(x: &[f32], levels: &Levels, numbers: &mut [u8]) -> Products {
    let (mut squares, mut largest) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    for x in x.as_chunks().0 {
        let x = load_floats(x);
        squares = _mm256_add_ps(squares, _mm256_mul_ps(x, x));
        largest = _mm256_max_ps(largest, magnitude(x));
    }
    let mut lanes = [0.0; 8];
    // SAFETY: `lanes` are 8 floats.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), largest) };
    let square = added_floats(squares);
    let scale = levels.first_scale(x.len(), square, lanes.into_iter().fold(0.0, f32::max));
    let listed =
        |count: usize, magnitudes: &[f32; MAGNITUDES], middles: &[f32; MAGNITUDES], scaled: __m256| {
            let (mut values, mut indices) = (_mm256_set1_ps(magnitudes[0]), _mm256_setzero_si256());
            for index in 1..count {
                let is_above = _mm256_cmp_ps::<_CMP_GT_OQ>(scaled, _mm256_set1_ps(middles[index - 1]));
                values = _mm256_blendv_ps(values, _mm256_set1_ps(magnitudes[index]), is_above);
                indices = _mm256_sub_epi32(indices, _mm256_castps_si256(is_above));
            }
            (values, indices)
        };
    let inner = match levels {
        Levels::Signs => {
            let one = (_mm256_set1_ps(1.0), _mm256_setzero_si256());
            fitted(x, 1.0, 0, 1, numbers, |_| one)
        }
        Levels::Listed { count: 2, magnitudes, middles, .. } => {
            fitted(x, scale, REFINEMENTS, 2, numbers, |scaled| listed(2, magnitudes, middles, scaled))
        }
        Levels::Listed { count: 4, magnitudes, middles, .. } => {
            fitted(x, scale, REFINEMENTS, 4, numbers, |scaled| listed(4, magnitudes, middles, scaled))
        }
        Levels::Listed { magnitudes, middles, .. } => {
            fitted(x, scale, REFINEMENTS, 8, numbers, |scaled| listed(8, magnitudes, middles, scaled))
        }
        Levels::Uniform { count, .. } => {
            let last = _mm256_set1_ps((count - 1) as f32);
            fitted(x, scale, REFINEMENTS, *count, numbers, |scaled| {
                let halves = _mm256_min_ps(_mm256_mul_ps(scaled, _mm256_set1_ps(0.5)), last);
                let indices = _mm256_cvttps_epi32(halves);
                let odd = _mm256_add_epi32(_mm256_add_epi32(indices, indices), _mm256_set1_epi32(1));
                (_mm256_cvtepi32_ps(odd), indices)
            })
        }
    };
    Products { square, inner }
}

/// The same as the portable body; `assign` gives magnitudes and indices.
#[inline]
#[target_feature(enable = "avx2")]
fn fitted(
    x: &[f32],
    mut scale: f32,
    refinements: usize,
    count: i32,
    numbers: &mut [u8],
    assign: impl Fn(__m256) -> (__m256, __m256i),
) -> f32 {
    for _ in 0..refinements {
        let (mut inner, mut squares) = (_mm256_setzero_ps(), _mm256_setzero_ps());
        for x in x.as_chunks().0 {
            let x = load_floats(x);
            let (values, _) = assign(magnitude(_mm256_mul_ps(x, _mm256_set1_ps(scale))));
            inner = _mm256_add_ps(inner, _mm256_mul_ps(values, magnitude(x)));
            squares = _mm256_add_ps(squares, _mm256_mul_ps(values, values));
        }
        let next = added_floats(squares) / added_floats(inner);
        if next.is_finite() {
            scale = next;
        }
    }
    let mut inner = _mm256_setzero_ps();
    // The lowest byte of each lane, side by side.
    let lowest = _mm256_setr_epi8(
        0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, //
        0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    );
    for (x, numbers) in x.as_chunks().0.iter().zip(numbers.as_chunks_mut::<8>().0) {
        let x = load_floats(x);
        let (values, indices) = assign(magnitude(_mm256_mul_ps(x, _mm256_set1_ps(scale))));
        inner = _mm256_add_ps(inner, _mm256_mul_ps(values, magnitude(x)));
        // All bits flipped: -1 less the index.
        let not_positive = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_NGT_UQ>(x, _mm256_setzero_ps()));
        let signed = _mm256_xor_si256(indices, not_positive);
        let bytes = _mm256_shuffle_epi8(_mm256_add_epi32(signed, _mm256_set1_epi32(count)), lowest);
        let (low, high) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
        let eight = _mm_cvtsi128_si64(_mm_unpacklo_epi32(low, high));
        *numbers = eight.to_le_bytes();
    }
    added_floats(inner)
}

#[target_feature(enable = "avx2")]
pub(super) fn multiply_add(factor: f32, values: &[f32], sums: &mut [f32]) {
    portable::multiply_add(factor, values, sums);
}

#[target_feature(enable = "avx2")]
pub(super) fn sum_bits<const QUERIES: usize>(
    tables: [&[[u8; 32]]; QUERIES],
    planes: &[u8],
    next: &[u8],
    sums: &mut [BlockSums; QUERIES],
) {
    let (planes, _) = planes.as_chunks::<ROWS_PER_BLOCK>();
    let n_planes = tables.iter().fold(planes.len(), |len, tables| len.min(tables.len()));
    let mask = _mm256_set1_epi8(0xF);
    sums.iter_mut().for_each(|sums| *sums = [0; ROWS_PER_BLOCK]);
    for part in 0..ROWS_PER_BLOCK / (32 * REGISTERS) {
        for start in (0..n_planes).step_by(PLANES_PER_SUM) {
            // Sums of 16 bits: of both rows in a lane, where those of the odd row are 256 times as large, and of the odd row alone.
            let zeros = [[_mm256_setzero_si256(); REGISTERS]; QUERIES];
            let (mut both, mut odd) = (zeros, zeros);
            for plane in start..n_planes.min(start + PLANES_PER_SUM) {
                // One line after the other, as memory is read fastest.
                if let Some(line) = next.get((part * n_planes + plane) * 32 * REGISTERS..) {
                    _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
                }
                let (codes, _) = planes[plane].as_chunks::<{ 32 * REGISTERS }>().0[part].as_chunks::<32>();
                let (mut low, mut high) =
                    ([_mm256_setzero_si256(); REGISTERS], [_mm256_setzero_si256(); REGISTERS]);
                for register in 0..REGISTERS {
                    let codes = load(&codes[register]);
                    low[register] = _mm256_and_si256(codes, mask);
                    high[register] = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask);
                }
                for query in 0..QUERIES {
                    let (halves, _) = tables[query][plane].as_chunks::<16>();
                    let (low_table, high_table) = (load_repeated(&halves[0]), load_repeated(&halves[1]));
                    for register in 0..REGISTERS {
                        let entries = _mm256_add_epi8(
                            _mm256_shuffle_epi8(low_table, low[register]),
                            _mm256_shuffle_epi8(high_table, high[register]),
                        );
                        both[query][register] = _mm256_add_epi16(both[query][register], entries);
                        odd[query][register] =
                            _mm256_add_epi16(odd[query][register], _mm256_srli_epi16::<8>(entries));
                    }
                }
            }
            for query in 0..QUERIES {
                let (eights, _) = sums[query].as_chunks_mut::<8>();
                for register in 0..REGISTERS {
                    let odd = odd[query][register];
                    let even = _mm256_sub_epi16(both[query][register], _mm256_slli_epi16::<8>(odd));
                    // Rows 0..8 and 16..24, and those after them.
                    let (first, second) =
                        (_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd));
                    let rows = [
                        _mm256_castsi256_si128(first),
                        _mm256_castsi256_si128(second),
                        _mm256_extracti128_si256::<1>(first),
                        _mm256_extracti128_si256::<1>(second),
                    ];
                    for (eight, rows) in eights[4 * (REGISTERS * part + register)..].iter_mut().zip(rows) {
                        add(eight, _mm256_cvtepu16_epi32(rows));
                    }
                }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(sums: &mut [i32; 8], more: __m256i) {
    let pointer = sums.as_mut_ptr().cast();
    // SAFETY: `sums` are 8 integers.
    let given = unsafe { _mm256_loadu_si256(pointer) };
    let total = _mm256_add_epi32(given, more);
    // SAFETY: likewise.
    unsafe { _mm256_storeu_si256(pointer, total) };
}

#[target_feature(enable = "avx2,bmi2")]
pub(super) fn multiply(
    codes: Codes<'_>,
    rows: &[usize],
    grid: Grid,
    queries: &[&[i8]],
    expanded: &mut [u8],
    products: &mut [[i32; ROWS_PER_TILE]],
) {
    expand(codes, rows, grid, expanded);
    let (passes, rest) = queries.as_chunks::<QUERIES_PER_PASS>();
    let (of_passes, of_rest) = products[..queries.len()].as_chunks_mut::<QUERIES_PER_PASS>();
    for pass in 0..passes.len() {
        multiply_expanded(expanded, passes[pass], &mut of_passes[pass]);
    }
    let (of_rest, _) = of_rest.as_chunks_mut::<1>();
    for query in 0..rest.len() {
        multiply_expanded(expanded, [rest[query]], &mut of_rest[query]);
    }
}

/// Writes the bytes of the numbers of some rows, which queries of several passes share.
#[target_feature(enable = "avx2,bmi2")]
fn expand(codes: Codes<'_>, rows: &[usize], grid: Grid, expanded: &mut [u8]) {
    let (len, levels) = (expanded.len() / rows.len().max(1), load_repeated(grid.bytes()));
    for (row, expanded) in rows.iter().zip(expanded.chunks_exact_mut(len.max(1))) {
        let row = codes.row(*row);
        match grid.n_bits() {
            8 => portable::expand_row(row, grid, expanded),
            2 => expand_parts::<2, 4>(row, levels, expanded),
            4 => expand_parts::<4, 2>(row, levels, expanded),
            n_bits => expand_groups(row, n_bits, levels, expanded),
        }
    }
}

/// Numbers of 2 or 4 bits: shifts, and a look-up of the level.
#[inline]
#[target_feature(enable = "avx2")]
fn expand_parts<const BITS: i32, const PER_BYTE: usize>(row: &[u8], levels: __m256i, expanded: &mut [u8]) {
    let mask = _mm256_set1_epi8((1 << BITS) - 1);
    let (expanded, _) = expanded.as_chunks_mut::<32>();
    let (chunks, rest) = row.as_chunks::<32>();
    let mut last = [0; 32];
    last[..rest.len()].copy_from_slice(rest);
    let chunks = chunks.iter().chain(if rest.is_empty() { None } else { Some(&last) });
    for (chunk, expanded) in chunks.zip(expanded.as_chunks_mut::<PER_BYTE>().0) {
        let mut numbers = load(chunk);
        for out in expanded.iter_mut().rev() {
            store(out, _mm256_shuffle_epi8(levels, _mm256_and_si256(numbers, mask)));
            numbers = _mm256_srli_epi16::<BITS>(numbers);
        }
    }
}

/// Numbers of other bits: eight of them are whole bytes, which one instruction spreads.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn expand_groups(row: &[u8], n_bits: usize, levels: __m256i, expanded: &mut [u8]) {
    let mask = u64::from_ne_bytes([u8::MAX >> (8 - n_bits); 8]);
    let (eights, _) = expanded.as_chunks_mut::<8>();
    for (start, out) in (0..row.len()).step_by(n_bits).zip(eights.iter_mut()) {
        let bits = match row[start..].first_chunk() {
            Some(bytes) => u64::from_be_bytes(*bytes) >> (64 - 8 * n_bits),
            None => row[start..start + n_bits].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)),
        };
        // The last number is in the lowest bits.
        *out = _pdep_u64(bits, mask).to_be_bytes();
    }
    if n_bits == 3 {
        for out in expanded.as_chunks_mut::<32>().0 {
            let numbers = load(out);
            store(out, _mm256_shuffle_epi8(levels, numbers));
        }
    }
}

#[target_feature(enable = "avx2")]
fn multiply_expanded<const QUERIES: usize>(
    expanded: &[u8],
    queries: [&[i8]; QUERIES],
    products: &mut [[i32; ROWS_PER_TILE]; QUERIES],
) {
    let (len, ones) = (queries[0].len(), _mm256_set1_epi16(1));
    let queries = queries.map(|query| query[..len].as_chunks::<32>().0);
    for (row, levels) in expanded.chunks_exact(len).enumerate() {
        let mut sums = [_mm256_setzero_si256(); QUERIES];
        for (index, levels) in levels.as_chunks::<32>().0.iter().enumerate() {
            let levels = load(levels);
            for query in 0..QUERIES {
                let pairs = _mm256_maddubs_epi16(levels, load_signed(&queries[query][index]));
                sums[query] = _mm256_add_epi32(sums[query], _mm256_madd_epi16(pairs, ones));
            }
        }
        for query in 0..QUERIES {
            products[query][row] = added(sums[query]);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn added(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)))
}

#[target_feature(enable = "avx2")]
pub(super) fn distances(
    sums: &[&BlockSums],
    factors: &[[f32; 2]],
    finish: &Finish,
    out: &mut [f32; ROWS_PER_BLOCK],
) -> bool {
    let (multiplier, bias) =
        (_mm256_set1_epi32(finish.multiplier), finish.bias.map(|b| _mm256_set1_epi32(b)));
    let steps = finish.steps.map(|step| _mm256_set1_ps(step));
    let product = |sums: &[i32; 8], part: usize| {
        // SAFETY: `sums` are 8 integers.
        let sums = unsafe { _mm256_loadu_si256(sums.as_ptr().cast()) };
        let integers = _mm256_sub_epi32(_mm256_mullo_epi32(multiplier, sums), bias[part]);
        _mm256_mul_ps(_mm256_cvtepi32_ps(integers), steps[part])
    };
    match sums {
        [upper, lower] => {
            let (upper, lower) = (upper.as_chunks().0, lower.as_chunks().0);
            finished(factors, finish, out, |eight| {
                _mm256_add_ps(product(&upper[eight], 0), product(&lower[eight], 1))
            })
        }
        [sums, ..] => {
            let sums = sums.as_chunks().0;
            finished(factors, finish, out, |eight| product(&sums[eight], 0))
        }
        [] => true,
    }
}

/// The same as the portable body, where `product` takes eight rows.
#[inline]
#[target_feature(enable = "avx2")]
fn finished(
    factors: &[[f32; 2]],
    finish: &Finish,
    out: &mut [f32; ROWS_PER_BLOCK],
    product: impl Fn(usize) -> __m256,
) -> bool {
    let (offset, factor) = (_mm256_set1_ps(finish.offset), _mm256_set1_ps(finish.factor));
    let (zero, mut nothing) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    let (eights, rest) = factors.as_chunks::<8>();
    let mut last = [[0.0; 2]; 8];
    last[..rest.len()].copy_from_slice(rest);
    let eights = eights.iter().chain(if rest.is_empty() { None } else { Some(&last) });
    for ((eight, factors), out) in eights.enumerate().zip(out.as_chunks_mut::<8>().0) {
        let (halves, _) = factors.as_flattened().as_chunks::<8>();
        let (low, high) = (load_floats(&halves[0]), load_floats(&halves[1]));
        // The first and the second factors, of rows 0, 1, 4, 5, 2, 3, 6 and 7, and then in order.
        let in_order = |numbers: __m256| {
            _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(numbers)))
        };
        let added = in_order(_mm256_shuffle_ps::<0b10_00_10_00>(low, high));
        let multiples = in_order(_mm256_shuffle_ps::<0b11_01_11_01>(low, high));
        let of_product = _mm256_mul_ps(_mm256_mul_ps(factor, multiples), product(eight));
        let distances = _mm256_add_ps(_mm256_add_ps(_mm256_add_ps(offset, added), of_product), zero);
        nothing = _mm256_add_ps(nothing, _mm256_mul_ps(distances, zero));
        // SAFETY: `out` are 8 floats.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), distances) };
    }
    added_floats(nothing) == 0.0
}

#[target_feature(enable = "avx2")]
pub(super) fn near(distances: &[f32; ROWS_PER_BLOCK], limit: f32) -> BlockRows {
    let (mut rows, limit) = ([0; ROWS_PER_BLOCK / 64], _mm256_set1_ps(limit));
    for (index, eight) in distances.as_chunks::<8>().0.iter().enumerate() {
        // SAFETY: `eight` are 8 floats.
        let distances = unsafe { _mm256_loadu_ps(eight.as_ptr()) };
        let near = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(distances, limit));
        rows[index / 8] |= (near as u64) << (index % 8 * 8);
    }
    rows
}
