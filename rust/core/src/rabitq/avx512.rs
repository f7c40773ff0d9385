//! AVX-512. One bit: as with AVX2, 64 rows at a time, or all 256 of a block for one query. More bits: numbers become bytes in registers,
//! 64 of them by one to three instructions that move bytes or bits, and one more instruction multiplies them with a query, adds and
//! widens: nothing is stored before the sums are. One query of many dimensions mostly waits for memory: it prefetches what it reads.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;

use super::encode::Products;
use super::grid::{Grid, Levels};
use super::queries::Finish;
use super::{
    BlockRows, BlockSums, PLANES_PER_SUM, QUERIES_PER_PASS, ROWS_PER_BLOCK, ROWS_PER_TILE, avx2, portable,
};
use crate::Codes;

/// Rows that are multiplied together.
const ROWS: usize = 4;

/// Bytes between what is read and what is fetched: the best of 2, 4, 8 and 16 KiB on Zen 5.
const AHEAD: usize = 8192;

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: `bytes` is 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_signed(bytes: &[i8; 64]) -> __m512i {
    // SAFETY: `bytes` is 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_pairs(pairs: &[[f32; 2]; 8]) -> __m512 {
    // SAFETY: `pairs` are 16 floats.
    unsafe { _mm512_loadu_ps(pairs.as_ptr().cast()) }
}

/// Sixteen bytes, four times.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_repeated(bytes: &[u8; 16]) -> __m512i {
    // SAFETY: `bytes` is 16 bytes.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[target_feature(enable = "avx2,avx512f")]
pub(super) fn quantize(x: &[f32], levels: &Levels, numbers: &mut [u8]) -> Products {
    avx2::quantize(x, levels, numbers)
}

#[target_feature(enable = "avx512f")]
pub(super) fn multiply_add(factor: f32, values: &[f32], sums: &mut [f32]) {
    portable::multiply_add(factor, values, sums);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn sum_bits<const QUERIES: usize>(
    tables: [&[[u8; 32]]; QUERIES],
    planes: &[u8],
    next: &[u8],
    sums: &mut [BlockSums; QUERIES],
) {
    // The sums of one query fit the registers for all rows of a block, which is read in one go then.
    match QUERIES {
        1 => sum_registers::<QUERIES, 4>(tables, planes, next, sums),
        _ => sum_registers::<QUERIES, 2>(tables, planes, next, sums),
    }
}

/// The same, `REGISTERS` registers of rows at a time.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn sum_registers<const QUERIES: usize, const REGISTERS: usize>(
    tables: [&[[u8; 32]]; QUERIES],
    planes: &[u8],
    next: &[u8],
    sums: &mut [BlockSums; QUERIES],
) {
    // A block that is read in one go is followed by the next one. If it is read in parts, the next one is not to be waited for.
    let ahead = match next {
        [] => planes.as_ptr(),
        _ if 64 * REGISTERS == ROWS_PER_BLOCK => planes.as_ptr().wrapping_add(AHEAD),
        _ => next.as_ptr(),
    };
    let planes = planes.as_chunks::<ROWS_PER_BLOCK>().0;
    let mut n_planes = planes.len();
    for query in 0..QUERIES {
        n_planes = n_planes.min(tables[query].len());
        sums[query] = [0; ROWS_PER_BLOCK];
    }
    for part in 0..ROWS_PER_BLOCK / (64 * REGISTERS) {
        for start in (0..n_planes).step_by(PLANES_PER_SUM) {
            // Sums of 16 bits: of both rows in a lane, where those of the odd row are 256 times as large, and of the odd row alone.
            let zeros = [[_mm512_setzero_si512(); REGISTERS]; QUERIES];
            let (mut both, mut odd) = (zeros, zeros);
            for plane in start..n_planes.min(start + PLANES_PER_SUM) {
                let codes = planes[plane].as_chunks::<64>().0;
                let (mut low, mut high) =
                    ([_mm512_setzero_si512(); REGISTERS], [_mm512_setzero_si512(); REGISTERS]);
                for register in 0..REGISTERS {
                    // One line after the other, as memory is read fastest.
                    let line = (part * n_planes + plane) * REGISTERS + register;
                    _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64 * line).cast());
                    // Bits above the half do not matter: the tables are repeated.
                    low[register] = load(&codes[part * REGISTERS + register]);
                    high[register] = _mm512_srli_epi16::<4>(low[register]);
                }
                for query in 0..QUERIES {
                    let (halves, _) = tables[query][plane].as_chunks::<16>();
                    let (low_table, high_table) = (load_repeated(&halves[0]), load_repeated(&halves[1]));
                    for register in 0..REGISTERS {
                        let entries = _mm512_add_epi8(
                            _mm512_permutexvar_epi8(low[register], low_table),
                            _mm512_permutexvar_epi8(high[register], high_table),
                        );
                        both[query][register] = _mm512_add_epi16(both[query][register], entries);
                        odd[query][register] =
                            _mm512_add_epi16(odd[query][register], _mm512_srli_epi16::<8>(entries));
                    }
                }
            }
            for query in 0..QUERIES {
                let sixteens = sums[query].as_chunks_mut::<16>().0;
                for register in 0..REGISTERS {
                    let odd = odd[query][register];
                    let even = _mm512_sub_epi16(both[query][register], _mm512_slli_epi16::<8>(odd));
                    // The even rows and the odd rows in turn, within each quarter of a register.
                    let (first, second) =
                        (_mm512_unpacklo_epi16(even, odd), _mm512_unpackhi_epi16(even, odd));
                    let quarters = [
                        (_mm512_castsi512_si128(first), _mm512_castsi512_si128(second)),
                        (_mm512_extracti32x4_epi32::<1>(first), _mm512_extracti32x4_epi32::<1>(second)),
                        (_mm512_extracti32x4_epi32::<2>(first), _mm512_extracti32x4_epi32::<2>(second)),
                        (_mm512_extracti32x4_epi32::<3>(first), _mm512_extracti32x4_epi32::<3>(second)),
                    ];
                    for quarter in 0..4 {
                        let (first, second) = quarters[quarter];
                        let rows = _mm512_cvtepu16_epi32(_mm256_set_m128i(second, first));
                        add(&mut sixteens[4 * (REGISTERS * part + register) + quarter], rows);
                    }
                }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(sums: &mut [i32; 16], more: __m512i) {
    let pointer = sums.as_mut_ptr();
    // SAFETY: `sums` are 16 integers.
    let given = unsafe { _mm512_loadu_epi32(pointer) };
    let total = _mm512_add_epi32(given, more);
    // SAFETY: likewise.
    unsafe { _mm512_storeu_epi32(pointer, total) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
pub(super) fn multiply(
    codes: Codes<'_>,
    rows: &[usize],
    grid: Grid,
    queries: &[&[i8]],
    _expanded: &mut [u8],
    products: &mut [[i32; ROWS_PER_TILE]],
) {
    // A chunk is the bytes of 64 numbers; or 32 bytes, as they lie in the order of `Grid::place`.
    match grid.n_bits() {
        2 => multiply_codes::<2, 32, 2>(codes, rows, grid, queries, products),
        3 => multiply_codes::<3, 24, 1>(codes, rows, grid, queries, products),
        4 => multiply_codes::<4, 32, 1>(codes, rows, grid, queries, products),
        5 => multiply_codes::<5, 40, 1>(codes, rows, grid, queries, products),
        6 => multiply_codes::<6, 48, 1>(codes, rows, grid, queries, products),
        7 => multiply_codes::<7, 56, 1>(codes, rows, grid, queries, products),
        _ => multiply_codes::<8, 64, 1>(codes, rows, grid, queries, products),
    }
}

/// How the numbers of a chunk of codes become bytes in registers.
struct Unpacking<const REGISTERS: usize> {
    /// The byte of the chunk that each byte of a register begins as.
    spread: __m512i,
    /// The lowest bit of each number in its 64 bits; for 2 and 4 bits in its 16 bits.
    shifts: [__m512i; REGISTERS],
    /// The bytes of numbers of up to 4 bits, repeated to fill the table: bits beyond the number do not matter.
    bytes: __m512i,
    /// The bits of a number of 5 to 7.
    mask: __m512i,
}

impl<const REGISTERS: usize> Unpacking<REGISTERS> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new<const BITS: usize>(grid: Grid) -> Self {
        let (mut spread, mut shifts) = ([0_u8; 64], [[0_u8; 64]; REGISTERS]);
        for byte in 0..64 {
            // The first byte of a group of eight numbers is the highest.
            spread[byte] = (byte / 8 * BITS + (BITS - 1).saturating_sub(byte % 8)) as u8;
            for register in 0..REGISTERS {
                shifts[register][byte] = match BITS {
                    // Both halves begin as the same 32 bytes, and take different numbers of each.
                    2 | 4 if byte % 2 == 0 => (8 - BITS - BITS * (2 * register + byte / 32)) as u8,
                    2 | 4 => 0,
                    _ => (BITS * (7 - byte % 8)) as u8,
                };
            }
        }
        let mut registers = [_mm512_setzero_si512(); REGISTERS];
        for register in 0..REGISTERS {
            registers[register] = load(&shifts[register]);
        }
        Unpacking {
            spread: load(&spread),
            shifts: registers,
            bytes: load_repeated(grid.bytes()),
            mask: _mm512_set1_epi8((u8::MAX >> (8 - BITS)) as i8),
        }
    }

    /// The bytes of the numbers of a chunk, in the order of [`Grid::place`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    fn unpack<const BITS: usize>(&self, chunk: __m512i) -> [__m512i; REGISTERS] {
        let mut numbers = [chunk; REGISTERS];
        for register in 0..REGISTERS {
            numbers[register] = match BITS {
                // On Zen 5, unlike the other shift, this one leaves the ports of products alone.
                2 | 4 => _mm512_srlv_epi16(chunk, self.shifts[register]),
                8 => chunk,
                _ => {
                    let groups = _mm512_permutexvar_epi8(self.spread, chunk);
                    _mm512_multishift_epi64_epi8(self.shifts[register], groups)
                }
            };
            numbers[register] = match BITS {
                ..=4 => _mm512_permutexvar_epi8(numbers[register], self.bytes),
                8 => chunk,
                _ => _mm512_and_si512(numbers[register], self.mask),
            };
        }
        numbers
    }
}

/// A chunk of a row: its bytes in the lower part of a register, or in both halves if there are 32 of them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_chunk<const CHUNK: usize>(chunk: &[u8]) -> __m512i {
    let mask = if chunk.len() < 64 { (1 << chunk.len()) - 1 } else { u64::MAX };
    match CHUNK {
        // SAFETY: bytes beyond the chunk are not read.
        32 => _mm512_broadcast_i64x4(unsafe { _mm256_maskz_loadu_epi8(mask as u32, chunk.as_ptr().cast()) }),
        // SAFETY: likewise.
        _ => unsafe { _mm512_maskz_loadu_epi8(mask, chunk.as_ptr().cast()) },
    }
}

/// The same of a whole chunk.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_whole_chunk<const CHUNK: usize>(chunk: &[u8; CHUNK]) -> __m512i {
    match CHUNK {
        // SAFETY: the chunk is 32 bytes.
        32 => _mm512_broadcast_i64x4(unsafe { _mm256_loadu_si256(chunk.as_ptr().cast()) }),
        _ => load_chunk::<CHUNK>(chunk),
    }
}

/// Multiplies all rows with all queries, where a chunk of `CHUNK` bytes becomes `REGISTERS` registers of levels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn multiply_codes<const BITS: usize, const CHUNK: usize, const REGISTERS: usize>(
    codes: Codes<'_>,
    rows: &[usize],
    grid: Grid,
    queries: &[&[i8]],
    products: &mut [[i32; ROWS_PER_TILE]],
) {
    let unpacking = Unpacking::<REGISTERS>::new::<BITS>(grid);
    let n_rows = rows.len().min(ROWS_PER_TILE);
    let mut of_rows: [&[u8]; ROWS_PER_TILE] = [&[]; ROWS_PER_TILE];
    for row in 0..n_rows.next_multiple_of(ROWS) {
        // Beyond the last row, it is multiplied again.
        of_rows[row] = codes.row(rows[row.min(n_rows - 1)]);
    }
    let fours = &of_rows.as_chunks::<ROWS>().0[..n_rows.div_ceil(ROWS)];
    // The rows stay in the first-level cache while queries are read once.
    let mut query = 0;
    while query < queries.len() {
        let (queries, products) = (&queries[query..], &mut products[query..]);
        query += match queries.len() {
            QUERIES_PER_PASS.. => multiply_pass::<BITS, CHUNK, REGISTERS, QUERIES_PER_PASS>(
                fours, queries, &unpacking, products,
            ),
            2.. => multiply_pass::<BITS, CHUNK, REGISTERS, 2>(fours, queries, &unpacking, products),
            _ => multiply_pass::<BITS, CHUNK, REGISTERS, 1>(fours, queries, &unpacking, products),
        };
    }
}

/// Multiplies rows with the first `QUERIES` queries, and returns how many those are.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn multiply_pass<const BITS: usize, const CHUNK: usize, const REGISTERS: usize, const QUERIES: usize>(
    rows: &[[&[u8]; ROWS]],
    queries: &[&[i8]],
    unpacking: &Unpacking<REGISTERS>,
    products: &mut [[i32; ROWS_PER_TILE]],
) -> usize {
    let mut lines: [&[[[i8; 64]; REGISTERS]]; QUERIES] = [&[]; QUERIES];
    for query in 0..QUERIES {
        lines[query] = queries[query].as_chunks::<64>().0.as_chunks::<REGISTERS>().0;
    }
    for four in 0..rows.len() {
        let sums = multiply_rows::<BITS, CHUNK, REGISTERS, QUERIES>(rows[four], lines, unpacking);
        for query in 0..QUERIES {
            products[query].as_chunks_mut::<ROWS>().0[four] = added(sums[query]);
        }
    }
    QUERIES
}

/// Multiplies a few rows with a few queries, each by each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn multiply_rows<const BITS: usize, const CHUNK: usize, const REGISTERS: usize, const QUERIES: usize>(
    rows: [&[u8]; ROWS],
    lines: [&[[[i8; 64]; REGISTERS]]; QUERIES],
    unpacking: &Unpacking<REGISTERS>,
) -> [[__m512i; ROWS]; QUERIES] {
    let n_chunks = rows[0].len() / CHUNK;
    let mut chunks: [&[[u8; CHUNK]]; ROWS] = [&[]; ROWS];
    for row in 0..ROWS {
        chunks[row] = &rows[row].as_chunks::<CHUNK>().0[..n_chunks];
    }
    let mut whole: [&[[[i8; 64]; REGISTERS]]; QUERIES] = [&[]; QUERIES];
    for query in 0..QUERIES {
        whole[query] = &lines[query][..n_chunks];
    }
    let mut sums = [[_mm512_setzero_si512(); ROWS]; QUERIES];
    for index in 0..n_chunks {
        let mut levels = [[_mm512_setzero_si512(); REGISTERS]; ROWS];
        for row in 0..ROWS {
            let chunk = &chunks[row][index];
            _mm_prefetch::<_MM_HINT_T0>(chunk.as_ptr().wrapping_add(AHEAD).cast());
            levels[row] = unpacking.unpack::<BITS>(load_whole_chunk(chunk));
        }
        for query in 0..QUERIES {
            multiply_add_levels(&mut sums[query], &levels, &whole[query][index]);
        }
    }
    if !rows[0].len().is_multiple_of(CHUNK) {
        let mut levels = [[_mm512_setzero_si512(); REGISTERS]; ROWS];
        for row in 0..ROWS {
            levels[row] = unpacking.unpack::<BITS>(load_chunk::<CHUNK>(rows[row].as_chunks::<CHUNK>().1));
        }
        for query in 0..QUERIES {
            multiply_add_levels(&mut sums[query], &levels, &lines[query][n_chunks]);
        }
    }
    sums
}

/// Adds the products of the levels of rows and a query.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn multiply_add_levels<const REGISTERS: usize>(
    sums: &mut [__m512i; ROWS],
    levels: &[[__m512i; REGISTERS]; ROWS],
    query: &[[i8; 64]; REGISTERS],
) {
    for register in 0..REGISTERS {
        let query = load_signed(&query[register]);
        for row in 0..ROWS {
            sums[row] = _mm512_dpbusd_epi32(sums[row], levels[row][register], query);
        }
    }
}

/// The sum of each register.
#[inline]
#[target_feature(enable = "avx512f")]
fn added(sums: [__m512i; ROWS]) -> [i32; ROWS] {
    let [a, b, c, d] = sums;
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    // One sum of each in every quarter.
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
    let quarter = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    let mut out = [0; ROWS];
    // SAFETY: `out` are 4 integers.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), quarter) };
    out
}

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn distances(
    sums: &[&BlockSums],
    factors: &[[f32; 2]],
    finish: &Finish,
    out: &mut [f32; ROWS_PER_BLOCK],
) -> bool {
    match sums {
        [upper, lower] => finished::<2>([upper, lower], factors, finish, out),
        [sums, ..] => finished::<1>([sums], factors, finish, out),
        [] => true,
    }
}

/// The same as the portable body, 16 rows at a time.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn finished<const PARTS: usize>(
    sums: [&BlockSums; PARTS],
    factors: &[[f32; 2]],
    finish: &Finish,
    out: &mut [f32; ROWS_PER_BLOCK],
) -> bool {
    let (offset, factor) = (_mm512_set1_ps(finish.offset), _mm512_set1_ps(finish.factor));
    let multiplier = _mm512_set1_epi32(finish.multiplier);
    let (zero, mut nothing) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    let evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    let odds = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    let (sixteens, rest) = factors.as_chunks::<16>();
    let mut last = [[0.0; 2]; 16];
    last[..rest.len()].copy_from_slice(rest);
    for index in 0..factors.len().div_ceil(16).min(ROWS_PER_BLOCK / 16) {
        let factors = if index < sixteens.len() { &sixteens[index] } else { &last };
        let halves = factors.as_chunks::<8>().0;
        for half in 0..2 {
            _mm_prefetch::<_MM_HINT_T0>(halves[half].as_ptr().wrapping_byte_add(AHEAD).cast());
        }
        let (low, high) = (load_pairs(&halves[0]), load_pairs(&halves[1]));
        let added = _mm512_permutex2var_ps(low, evens, high);
        let multiples = _mm512_permutex2var_ps(low, odds, high);
        let mut products = [zero; PARTS];
        for part in 0..PARTS {
            // SAFETY: a chunk is 16 integers.
            let sums = unsafe { _mm512_loadu_epi32(sums[part].as_chunks::<16>().0[index].as_ptr()) };
            let bias = _mm512_set1_epi32(finish.bias[part]);
            let integers = _mm512_sub_epi32(_mm512_mullo_epi32(multiplier, sums), bias);
            products[part] = _mm512_mul_ps(_mm512_cvtepi32_ps(integers), _mm512_set1_ps(finish.steps[part]));
        }
        let product = if PARTS == 1 { products[0] } else { _mm512_add_ps(products[0], products[PARTS - 1]) };
        let of_product = _mm512_mul_ps(_mm512_mul_ps(factor, multiples), product);
        let distances = _mm512_add_ps(_mm512_add_ps(_mm512_add_ps(offset, added), of_product), zero);
        nothing = _mm512_add_ps(nothing, _mm512_mul_ps(distances, zero));
        // SAFETY: a chunk is 16 floats.
        unsafe { _mm512_storeu_ps(out.as_chunks_mut::<16>().0[index].as_mut_ptr(), distances) };
    }
    _mm512_reduce_add_ps(nothing) == 0.0
}

#[target_feature(enable = "avx512f")]
pub(super) fn near(distances: &[f32; ROWS_PER_BLOCK], limit: f32) -> BlockRows {
    let (mut rows, limit) = ([0; ROWS_PER_BLOCK / 64], _mm512_set1_ps(limit));
    for (index, sixteen) in distances.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: `sixteen` are 16 floats.
        let distances = unsafe { _mm512_loadu_ps(sixteen.as_ptr()) };
        let near = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(distances, limit);
        rows[index / 4] |= u64::from(near) << (index % 4 * 16);
    }
    rows
}
