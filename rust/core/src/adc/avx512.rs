//! AVX-512 with VBMI: a table of 256 bytes is four registers, and a look-up of 64 codes four `vpermb`, two of them masked by
//! bits 6 and 7 of the codes, and a blend by bit 7. (Two `vpermi2b` are the same four operations on Intel, and their masks cannot be
//! shared by queries.) A table of 16 bytes, repeated, is one register; `vpermb` ignores the higher bits of a byte, so the low
//! codes of a plane need no mask, and the high ones only a shift.
//!
//! The bottleneck is the one port that shuffles: four cycles for 64 look-ups in 256 entries, one in 16. Two queries share the loads
//! and masks of codes. A block ends early once all its rows are above the limit: one branch every few planes checks that.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;

use super::bound::{CoarseTable, SUBSPACES_PER_BYTE, SUBSPACES_PER_GROUP};
use super::encode::{Codebook, Nearest, ROWS_PER_STRIP, Scores};
use super::layout::{ROWS_PER_BLOCK, Width};
use super::{BlockHits, BlockRows, TableMetric, avx2, portable};
use crate::{Codes, Error};

/// Registers that hold a plane of a block.
const REGISTERS_PER_PLANE: usize = ROWS_PER_BLOCK / 64;

/// How far ahead memory is prefetched.
const PREFETCH_BYTES: usize = 4096;

/// Planes between checks whether any row is still within the limit.
const PLANES_PER_CHECK: usize = 2;

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: `bytes` is 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Prefetches a page ahead: the CPU's own prefetchers stop at the end of each page, and wait for computation.
#[inline]
#[target_feature(enable = "avx512f")]
fn prefetch(bytes: &[u8; 64]) {
    let ahead = bytes.as_ptr().wrapping_add(PREFETCH_BYTES);
    // SAFETY: a prefetch is a hint, and of an address that is not there it does nothing.
    #[allow(unused_unsafe, reason = "newer compilers know that a prefetch is safe")]
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(ahead.cast())
    };
}

/// Sixteen bytes, four times.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_repeated(bytes: &[u8; 16]) -> __m512i {
    // SAFETY: `bytes` is 16 bytes.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

/// Adds the entries of the tables of each query for the codes of one plane of bytes. A macro, since a call would spill that
/// many registers.
macro_rules! add_bytes {
    ($plane:expr, $tables:expr, $index:expr, $sums:expr) => {
        let codes: &[[u8; 64]; REGISTERS_PER_PLANE] = $plane;
        let mut entries = [[_mm512_setzero_si512(); 4]; QUERIES];
        for slot in 0..QUERIES {
            let (quarters, _) = $tables[slot][$index].as_chunks::<64>();
            for quarter in 0..4 {
                entries[slot][quarter] = load(&quarters[quarter]);
            }
        }
        for register in 0..REGISTERS_PER_PLANE {
            prefetch(&codes[register]);
            let codes = load(&codes[register]);
            let upper_half = _mm512_movepi8_mask(codes);
            // Bits 6 and 7 differ. Bit 6 alone would be tested by the port that shuffles.
            let inner_quarter = _mm512_movepi8_mask(_mm512_add_epi8(codes, _mm512_set1_epi8(0x40)));
            for slot in 0..QUERIES {
                let [a, b, c, d] = entries[slot];
                let low = _mm512_permutexvar_epi8(codes, a);
                let low = _mm512_mask_permutexvar_epi8(low, inner_quarter, codes, b);
                let high = _mm512_permutexvar_epi8(codes, d);
                let high = _mm512_mask_permutexvar_epi8(high, inner_quarter, codes, c);
                let entry = _mm512_mask_blend_epi8(upper_half, low, high);
                $sums[slot][register] = _mm512_adds_epu8($sums[slot][register], entry);
            }
        }
    };
}

/// The same for one plane of nibbles.
macro_rules! add_nibbles {
    ($plane:expr, $tables:expr, $index:expr, $sums:expr) => {
        let codes: &[[u8; 64]; REGISTERS_PER_PLANE] = $plane;
        let mut entries = [[_mm512_setzero_si512(); 2]; QUERIES];
        for slot in 0..QUERIES {
            let (halves, _) = $tables[slot][$index].as_chunks::<16>();
            entries[slot] = [load_repeated(&halves[0]), load_repeated(&halves[1])];
        }
        for register in 0..REGISTERS_PER_PLANE {
            prefetch(&codes[register]);
            let low_codes = load(&codes[register]);
            let high_codes = _mm512_srli_epi16::<4>(low_codes);
            for slot in 0..QUERIES {
                let [low, high] = entries[slot];
                let low = _mm512_permutexvar_epi8(low_codes, low);
                let high = _mm512_permutexvar_epi8(high_codes, high);
                let sum = _mm512_adds_epu8($sums[slot][register], low);
                $sums[slot][register] = _mm512_adds_epu8(sum, high);
            }
        }
    };
}

/// Defines a function that bounds the sums of whole blocks: the bytes of the tables of a plane, how to add them, how many planes
/// one byte can sum, and the planes of a group if there are more.
macro_rules! bound_function {
    ($name:ident, $table_bytes:expr, $add:ident, $alone:expr, $group:expr) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
        pub(super) fn $name<const QUERIES: usize>(
            tables: [&[u8]; QUERIES],
            limits: [u16; QUERIES],
            blocks: &[u8],
            hits: &mut Vec<BlockHits>,
        ) -> Result<(), Error> {
            let mut chunked: [&[[u8; $table_bytes]]; QUERIES] = [&[]; QUERIES];
            for slot in 0..QUERIES {
                chunked[slot] = tables[slot].as_chunks().0;
            }
            let tables = chunked;
            let n_planes = tables.iter().map(|tables| tables.len()).min().unwrap_or(0);
            if n_planes == 0 {
                return Ok(());
            }
            let (registers, _) = blocks.as_chunks::<64>();
            let (planes, _) = registers.as_chunks::<REGISTERS_PER_PLANE>();
            if n_planes > $alone {
                for (block, planes) in planes.chunks_exact(n_planes).enumerate() {
                    let mut totals = [[[_mm512_setzero_si512(); 2]; REGISTERS_PER_PLANE]; QUERIES];
                    for (group, planes) in planes.chunks($group).enumerate() {
                        let mut sums = [[_mm512_setzero_si512(); REGISTERS_PER_PLANE]; QUERIES];
                        for (index, plane) in (group * $group..).zip(planes) {
                            $add!(plane, tables, index, sums);
                        }
                        for slot in 0..QUERIES {
                            for register in 0..REGISTERS_PER_PLANE {
                                widen(&mut totals[slot][register], sums[slot][register]);
                            }
                        }
                    }
                    for slot in 0..QUERIES {
                        collect_wide(&totals[slot], limits[slot], slot, block, hits);
                    }
                }
                return Ok(());
            }
            let mut limits_u8x64 = [_mm512_setzero_si512(); QUERIES];
            for slot in 0..QUERIES {
                limits_u8x64[slot] = _mm512_set1_epi8(limits[slot].min(254) as i8);
            }
            'blocks: for (block, planes) in planes.chunks_exact(n_planes).enumerate() {
                let mut sums = [[_mm512_setzero_si512(); REGISTERS_PER_PLANE]; QUERIES];
                // Few sums exceed the limit in the first half.
                let (mut index, mut end) = (0, n_planes.div_ceil(2));
                while index < n_planes {
                    for plane in &planes[index..end] {
                        $add!(plane, tables, index, sums);
                        index += 1;
                    }
                    end = (end + PLANES_PER_CHECK).min(n_planes);
                    let mut far = u64::MAX;
                    for slot in 0..QUERIES {
                        let [a, b, c, d] = sums[slot];
                        let lowest = _mm512_min_epu8(_mm512_min_epu8(a, b), _mm512_min_epu8(c, d));
                        far = _mm512_mask_cmpgt_epu8_mask(far, lowest, limits_u8x64[slot]);
                    }
                    if far == u64::MAX {
                        continue 'blocks;
                    }
                }
                for slot in 0..QUERIES {
                    let mut lanes: BlockRows = [0; REGISTERS_PER_PLANE];
                    for register in 0..REGISTERS_PER_PLANE {
                        lanes[register] = _mm512_cmple_epu8_mask(sums[slot][register], limits_u8x64[slot]);
                    }
                    push(lanes, slot, block, hits);
                }
            }
            Ok(())
        }
    };
}

bound_function!(bound_bytes, 256, add_bytes, SUBSPACES_PER_BYTE, SUBSPACES_PER_GROUP);
bound_function!(bound_nibbles, 32, add_nibbles, SUBSPACES_PER_BYTE / 2, SUBSPACES_PER_GROUP / 2);

/// Adds the even bytes of some sums to the first totals, and the odd ones to the second.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn widen(totals: &mut [__m512i; 2], sums: __m512i) {
    let even = _mm512_and_si512(sums, _mm512_set1_epi16(0xFF));
    totals[0] = _mm512_adds_epu16(totals[0], even);
    totals[1] = _mm512_adds_epu16(totals[1], _mm512_srli_epi16::<8>(sums));
}

/// Appends the rows whose sums, in even and odd bytes, are within the limit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn collect_wide(
    totals: &[[__m512i; 2]; REGISTERS_PER_PLANE],
    limit: u16,
    slot: usize,
    block: usize,
    hits: &mut Vec<BlockHits>,
) {
    let limits_u16x32 = _mm512_set1_epi16(limit as i16);
    let mut far = u32::MAX;
    for [even, odd] in totals {
        far = _mm512_mask_cmpgt_epu16_mask(far, _mm512_min_epu16(*even, *odd), limits_u16x32);
    }
    if far == u32::MAX {
        return;
    }
    let mut lanes: BlockRows = [0; REGISTERS_PER_PLANE];
    for register in 0..REGISTERS_PER_PLANE {
        let [even, odd] = totals[register];
        let even_rows = _mm512_movm_epi16(_mm512_cmple_epu16_mask(even, limits_u16x32));
        let odd_rows = _mm512_movm_epi16(_mm512_cmple_epu16_mask(odd, limits_u16x32));
        // The bytes of both, at the positions of their sums.
        let rows = _mm512_mask_mov_epi8(even_rows, 0xAAAA_AAAA_AAAA_AAAA, odd_rows);
        lanes[register] = _mm512_movepi8_mask(rows);
    }
    push(lanes, slot, block, hits);
}

#[cold]
#[inline(never)]
fn push(lanes: BlockRows, slot: usize, block: usize, hits: &mut Vec<BlockHits>) {
    if lanes != [0; REGISTERS_PER_PLANE] {
        hits.push(BlockHits { slot: slot as u32, block: block as u32, rows: lanes });
    }
}

/// Sixteen codes, widened.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_codes(codes: &[u8; 16]) -> __m512i {
    // SAFETY: `codes` is 16 bytes.
    _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(codes.as_ptr().cast()) })
}

/// A shuffle of 256 entries is no slower than one of 128.
#[target_feature(enable = "avx512f")]
pub(super) fn coarse_is_faster() -> bool {
    false
}

#[target_feature(enable = "avx512f")]
pub(super) fn bound_coarse<const QUERIES: usize>(
    tables: [&[CoarseTable]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    avx2::bound_coarse(tables, limits, blocks, hits)
}

#[target_feature(enable = "avx512f")]
pub(super) fn sum_bytes(tables: &[f32], planes: &[u8], first_row: usize, out: &mut [f32]) {
    let (tables, _) = tables.as_chunks::<256>();
    let (planes, _) = planes.as_chunks::<ROWS_PER_BLOCK>();
    for (sixteen, out) in (first_row / ROWS_PER_STRIP..).zip(out.as_chunks_mut::<ROWS_PER_STRIP>().0) {
        let mut sums = _mm512_setzero_ps();
        for (table, plane) in tables.iter().zip(planes) {
            let codes = load_codes(&plane.as_chunks().0[sixteen]);
            // SAFETY: an index is a byte, and `table` has 256 entries.
            let entries = unsafe { _mm512_i32gather_ps::<4>(codes, table.as_ptr()) };
            sums = _mm512_add_ps(sums, entries);
        }
        store_floats(out, sums);
    }
}

#[target_feature(enable = "avx512f")]
pub(super) fn sum_nibbles(tables: &[f32], planes: &[u8], first_row: usize, out: &mut [f32]) {
    let (planes, _) = planes.as_chunks::<ROWS_PER_BLOCK>();
    for (sixteen, out) in (first_row / ROWS_PER_STRIP..).zip(out.as_chunks_mut::<ROWS_PER_STRIP>().0) {
        let mut sums = _mm512_setzero_ps();
        for (pair, plane) in tables.chunks(32).zip(planes) {
            // The permutation looks at the lowest four bits alone.
            let codes = load_codes(&plane.as_chunks().0[sixteen]);
            let (tables, _) = pair.as_chunks::<ROWS_PER_STRIP>();
            sums = _mm512_add_ps(sums, _mm512_permutexvar_ps(codes, load_floats(&tables[0])));
            if let Some(table) = tables.get(1) {
                let codes = _mm512_srli_epi32::<4>(codes);
                sums = _mm512_add_ps(sums, _mm512_permutexvar_ps(codes, load_floats(table)));
            }
        }
        store_floats(out, sums);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_floats(out: &mut [f32; ROWS_PER_STRIP], floats: __m512) {
    // SAFETY: `out` is 16 floats.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), floats) };
}

#[target_feature(enable = "avx512f")]
pub(super) fn quantize<const N: usize>(
    tables: &[[f32; N]],
    smallest: &[f32],
    scale: f64,
    quantized: &mut [[u8; N]],
) {
    let (scale, largest) = (_mm512_set1_pd(scale), _mm512_set1_pd(255.0));
    for ((table, smallest), bytes) in tables.iter().zip(smallest).zip(quantized) {
        let smallest = _mm512_set1_pd(f64::from(*smallest));
        for (entries, bytes) in table.as_chunks::<16>().0.iter().zip(bytes.as_chunks_mut::<16>().0) {
            let mut halves = [_mm256_setzero_si256(); 2];
            for (half, entries) in halves.iter_mut().zip(entries.as_chunks::<8>().0) {
                // SAFETY: `entries` is 8 floats.
                let entries = _mm512_cvtps_pd(unsafe { _mm256_loadu_ps(entries.as_ptr()) });
                let scaled = _mm512_mul_pd(_mm512_sub_pd(entries, smallest), scale);
                *half = _mm512_cvttpd_epi32(_mm512_min_pd(scaled, largest));
            }
            let whole = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(halves[0]), halves[1]);
            let whole = _mm512_cvtepi32_epi8(whole);
            // SAFETY: `bytes` is 16 bytes.
            unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), whole) };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn alike(planes: &[u8], row: usize) -> BlockRows {
    portable::alike(planes, row)
}

#[target_feature(enable = "avx512f")]
pub(super) fn table_as_is(part: &[f32], codewords: &[f32], metric: TableMetric, table: &mut [f32]) {
    let n_dims = part.len();
    let whole = table.len() / ROWS_PER_STRIP * ROWS_PER_STRIP;
    let starts = _mm512_mullo_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        _mm512_set1_epi32(n_dims as i32),
    );
    let sixteens = codewords.chunks_exact(ROWS_PER_STRIP * n_dims);
    for (codewords, entries) in sixteens.zip(table.as_chunks_mut::<ROWS_PER_STRIP>().0) {
        let mut sums = _mm512_setzero_ps();
        for (dim, value) in part.iter().enumerate() {
            // SAFETY: the last of the sixteen indices is that of dimension `dim` of the last codeword of sixteen.
            let coordinates = unsafe { _mm512_i32gather_ps::<4>(starts, codewords[dim..].as_ptr()) };
            let value = _mm512_set1_ps(*value);
            sums = match metric {
                TableMetric::L2 => {
                    let difference = _mm512_sub_ps(value, coordinates);
                    _mm512_add_ps(sums, _mm512_mul_ps(difference, difference))
                }
                TableMetric::Ip => _mm512_sub_ps(sums, _mm512_mul_ps(value, coordinates)),
            };
        }
        store_floats(entries, sums);
    }
    portable::table_as_is(part, &codewords[whole * n_dims..], metric, &mut table[whole..]);
}

#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn table(part: &[f32], transposed: &[f32], metric: TableMetric, table: &mut [f32]) {
    portable::table(part, transposed, metric, table);
}

#[target_feature(enable = "avx512f")]
pub(super) fn nearest(columns: &[[f32; ROWS_PER_STRIP]], codebook: Codebook<'_>, found: &mut Nearest) {
    let scores = match columns.len() {
        4 => scores::<4>(columns, codebook),
        8 => scores::<8>(columns, codebook),
        16 => scores::<16>(columns, codebook),
        _ => scores::<0>(columns, codebook),
    };
    if !scores.settle(columns, codebook, found) {
        nearest_by_distances(columns, codebook.values, found);
    }
}

/// The largest scores of the codewords: one fused operation per dimension.
#[inline]
#[target_feature(enable = "avx512f")]
fn scores<const DIMS: usize>(columns: &[[f32; ROWS_PER_STRIP]], codebook: Codebook<'_>) -> Scores {
    // A number of dimensions known to the compiler unrolls the loops over them; 0 stands for any.
    let n_dims = if DIMS == 0 { columns.len() } else { DIMS };
    let columns = &columns[..n_dims];
    let lowest = _mm512_set1_ps(f32::NEG_INFINITY);
    let (mut largest, mut second) = (lowest, lowest);
    let mut indices = _mm512_setzero_si512();
    let mut take = |index: usize, scores: __m512| {
        let is_more = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(scores, largest);
        second = _mm512_max_ps(second, _mm512_min_ps(largest, scores));
        largest = _mm512_max_ps(largest, scores);
        indices = _mm512_mask_mov_epi32(indices, is_more, _mm512_set1_epi32(index as i32));
    };
    let eights = codebook.values.chunks_exact(8 * n_dims);
    let rest = eights.remainder().chunks_exact(n_dims);
    let (half_squares, last_squares) = codebook.half_squares.as_chunks::<8>();
    for (step, (eight, half_squares)) in eights.zip(half_squares).enumerate() {
        // Sums that do not wait for each other, and share the loads of the columns.
        let (mut sums, mut codewords) = ([_mm512_setzero_ps(); 8], [eight; 8]);
        for which in 0..8 {
            codewords[which] = &eight[which * n_dims..][..n_dims];
            sums[which] = _mm512_set1_ps(-half_squares[which]);
        }
        for dim in 0..n_dims {
            let values = load_floats(&columns[dim]);
            for which in 0..8 {
                let coordinate = _mm512_set1_ps(codewords[which][dim]);
                sums[which] = _mm512_fmadd_ps(values, coordinate, sums[which]);
            }
        }
        for which in 0..8 {
            take(8 * step + which, sums[which]);
        }
    }
    let first_of_rest = 8 * half_squares.len();
    for (which, (codeword, half_square)) in rest.zip(last_squares).enumerate() {
        let mut sum = _mm512_set1_ps(-half_square);
        for (column, coordinate) in columns.iter().zip(codeword) {
            sum = _mm512_fmadd_ps(load_floats(column), _mm512_set1_ps(*coordinate), sum);
        }
        take(first_of_rest + which, sum);
    }
    let mut scores = Scores {
        largest: [0.0; ROWS_PER_STRIP],
        second: [0.0; ROWS_PER_STRIP],
        indices: [0; ROWS_PER_STRIP],
    };
    store_floats(&mut scores.largest, largest);
    store_floats(&mut scores.second, second);
    // SAFETY: the indices are 16 integers of 32 bits.
    unsafe { _mm512_storeu_si512(scores.indices.as_mut_ptr().cast(), indices) };
    scores
}

#[target_feature(enable = "avx512f")]
fn nearest_by_distances(columns: &[[f32; ROWS_PER_STRIP]], codewords: &[f32], found: &mut Nearest) {
    let n_dims = columns.len();
    let mut distances = load_floats(&found.distances);
    // SAFETY: the indices are 16 integers of 32 bits.
    let mut indices = unsafe { _mm512_loadu_si512(found.indices.as_ptr().cast()) };
    let mut take = |index: usize, sums: __m512| {
        let is_nearer = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(sums, distances);
        distances = _mm512_mask_mov_ps(distances, is_nearer, sums);
        indices = _mm512_mask_mov_epi32(indices, is_nearer, _mm512_set1_epi32(index as i32));
    };
    let fours = codewords.chunks_exact(4 * n_dims);
    let (rest, first_of_rest) = (fours.remainder(), fours.len() * 4);
    for (step, four) in fours.enumerate() {
        // Sums that do not wait for each other, and share the loads of the columns.
        let mut sums = [_mm512_setzero_ps(); 4];
        for (dim, column) in columns.iter().enumerate() {
            let values = load_floats(column);
            for which in 0..4 {
                sums[which] = add_square(sums[which], values, four[which * n_dims + dim]);
            }
        }
        for which in 0..4 {
            take(4 * step + which, sums[which]);
        }
    }
    for (which, codeword) in rest.chunks_exact(n_dims).enumerate() {
        let mut sum = _mm512_setzero_ps();
        for (column, coordinate) in columns.iter().zip(codeword) {
            sum = add_square(sum, load_floats(column), *coordinate);
        }
        take(first_of_rest + which, sum);
    }
    store_floats(&mut found.distances, distances);
    // SAFETY: the indices are 16 integers of 32 bits.
    unsafe { _mm512_storeu_si512(found.indices.as_mut_ptr().cast(), indices) };
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_floats(values: &[f32; ROWS_PER_STRIP]) -> __m512 {
    // SAFETY: `values` is 16 floats.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

/// `sum + (value - coordinate)^2`, each operation rounded.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_square(sum: __m512, values: __m512, coordinate: f32) -> __m512 {
    let difference = _mm512_sub_ps(values, _mm512_set1_ps(coordinate));
    _mm512_add_ps(sum, _mm512_mul_ps(difference, difference))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
pub(super) fn pack_block(rows: Codes<'_>, width: Width, planes: &mut [u8]) -> u8 {
    portable::pack_block_with(rows, width, planes, |rows, word| {
        let is_whole = rows.n_rows() == 64 && 8 * word + 8 <= rows.n_bytes();
        if is_whole { transposed(rows, word) } else { portable::transposed(rows, word) }
    })
}

/// As in the portable body, for 64 rows that have all eight bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vbmi")]
fn transposed(rows: Codes<'_>, word: usize) -> [[u8; 64]; 8] {
    let mut words = [_mm512_setzero_si512(); 8];
    for (group, words) in words.iter_mut().enumerate() {
        // Byte j of each of the eight rows, for j = 0, 1, ...
        *words = _mm512_permutexvar_epi8(load(&TRANSPOSED), eight_words(rows, 8 * group, word));
    }
    let mut planes = [[0; 64]; 8];
    for (plane, register) in planes.iter_mut().zip(transpose_words(words)) {
        // SAFETY: `plane` is 64 bytes.
        unsafe { _mm512_storeu_si512(plane.as_mut_ptr().cast(), register) };
    }
    planes
}

/// One word of eight rows.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn eight_words(rows: Codes<'_>, first_row: usize, word: usize) -> __m512i {
    let (bytes, stride) = (&rows.as_bytes()[first_row * rows.stride()..], rows.stride());
    if stride == 16
        && let Some([low, high]) = bytes.as_chunks::<64>().0.first_chunk()
    {
        // Rows of two words fill two registers, which takes one shuffle and no gathering.
        let places = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        let places = _mm512_add_epi64(places, _mm512_set1_epi64(word as i64));
        return _mm512_permutex2var_epi64(load(low), places, load(high));
    }
    if stride == 8
        && let Some(whole) = bytes.first_chunk()
    {
        return load(whole);
    }
    let bytes = &bytes[8 * word..];
    assert!(bytes.len() >= 7 * stride + 8, "rows beyond the end");
    let rows_i64x8 = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    let starts = _mm512_mullo_epi64(rows_i64x8, _mm512_set1_epi64(stride as i64));
    // SAFETY: the last of the eight words starts 7 strides into `bytes`, and ends within it.
    unsafe { _mm512_i64gather_epi64::<1>(starts, bytes.as_ptr().cast()) }
}

/// The positions of the bytes of an 8 x 8 square after transposition.
const TRANSPOSED: [u8; 64] = {
    let mut indices = [0; 64];
    let mut index = 0;
    while index < 64 {
        indices[index] = (index % 8 * 8 + index / 8) as u8;
        index += 1;
    }
    indices
};

/// Of eight registers of eight words, the first words, the second ones, ...
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_words(rows: [__m512i; 8]) -> [__m512i; 8] {
    let mut pairs = rows;
    for pair in 0..4 {
        let [even, odd] = [rows[2 * pair], rows[2 * pair + 1]];
        pairs[pair] = _mm512_unpacklo_epi64(even, odd);
        pairs[pair + 4] = _mm512_unpackhi_epi64(even, odd);
    }
    let mut words = rows;
    for (half, first) in [0, 4].into_iter().enumerate() {
        let [a, b, c, d] = [pairs[first], pairs[first + 1], pairs[first + 2], pairs[first + 3]];
        let (ab_even, ab_odd) = (_mm512_shuffle_i64x2::<EVEN>(a, b), _mm512_shuffle_i64x2::<ODD>(a, b));
        let (cd_even, cd_odd) = (_mm512_shuffle_i64x2::<EVEN>(c, d), _mm512_shuffle_i64x2::<ODD>(c, d));
        words[half] = _mm512_shuffle_i64x2::<EVEN>(ab_even, cd_even);
        words[half + 2] = _mm512_shuffle_i64x2::<EVEN>(ab_odd, cd_odd);
        words[half + 4] = _mm512_shuffle_i64x2::<ODD>(ab_even, cd_even);
        words[half + 6] = _mm512_shuffle_i64x2::<ODD>(ab_odd, cd_odd);
    }
    words
}

/// Quarters 0 and 2 of both operands, and quarters 1 and 3.
const EVEN: i32 = 0b10_00_10_00;
const ODD: i32 = 0b11_01_11_01;
