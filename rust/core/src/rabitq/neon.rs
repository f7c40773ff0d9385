//! NEON. One bit: `tbl` looks up sixteen halves of bytes in a table of 16 entries; two look-ups are added in bytes and widened into 16
//! bits by two additions, so that eight dimensions of 16 rows take two instructions for the codes and five for each query. The 32
//! registers hold the sums of four queries and 32 rows, or of one query and 128. AVX2 takes six for each query and 32 rows.
//! Bottleneck: the vector units, or the look-ups where a CPU starts one per cycle.
//!
//! More bits: numbers become bytes in registers, sixteen of them by one to seven instructions, and where the CPU has DOTPROD one more
//! instruction multiplies them with a query and adds four products to each lane. Four rows and four queries share their loads, with
//! their sums in sixteen registers: 16 products for 8 loads. Operands of `sdot` are signed, hence numbers of eight bits lose 128, and
//! products regain that many times the sum of the query. More than four queries read rows that were expanded once, instead
//! of unpacking them for each pass; fewer keep them in registers. Without DOTPROD three instructions take the
//! place of one: two that multiply, the second of which adds as well, and one that widens. Bottleneck: the vector units.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::aarch64::*;
use std::arch::asm;

use super::encode::{Products, REFINEMENTS};
use super::grid::{Grid, Levels, MAGNITUDES};
use super::queries::Finish;
use super::{
    BlockRows, BlockSums, PLANES_PER_SUM, QUERIES_PER_PASS, ROWS_PER_BLOCK, ROWS_PER_TILE, portable,
};
use crate::Codes;
use crate::codes::prefetch;
use crate::level::DotProduct;

/// Rows that are multiplied together.
const ROWS: usize = 4;

/// In the place of a number of bits: bytes that are levels already.
const EXPANDED: usize = 0;

/// What numbers of eight bits lose to become signed.
const BIAS: i32 = 128;

/// Registers of a query whose bytes are added in lanes of 16 bits, two to each lane.
const REGISTERS_PER_SUM: usize = 128;

/// Eight floats: the lanes in which sums are kept.
type Eight = [float32x4_t; 2];

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: `bytes` is 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(bytes: &mut [u8; 16], register: uint8x16_t) {
    // SAFETY: `bytes` is 16 bytes.
    unsafe { vst1q_u8(bytes.as_mut_ptr(), register) };
}

#[inline]
#[target_feature(enable = "neon")]
fn load_signed(bytes: &[i8; 16]) -> int8x16_t {
    // SAFETY: `bytes` is 16 bytes.
    unsafe { vld1q_s8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_integers(integers: &[i32; 4]) -> int32x4_t {
    // SAFETY: `integers` are 4 integers.
    unsafe { vld1q_s32(integers.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store_integers(integers: &mut [i32; 4], register: int32x4_t) {
    // SAFETY: `integers` are 4 integers.
    unsafe { vst1q_s32(integers.as_mut_ptr(), register) };
}

#[inline]
#[target_feature(enable = "neon")]
fn load_floats(floats: &[f32; 4]) -> float32x4_t {
    // SAFETY: `floats` are 4 floats.
    unsafe { vld1q_f32(floats.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_eight(floats: &[f32; 8]) -> Eight {
    let (halves, _) = floats.as_chunks();
    [load_floats(&halves[0]), load_floats(&halves[1])]
}

/// The sum of the lanes, in the order of the portable body.
#[inline]
#[target_feature(enable = "neon")]
fn added_floats([low, high]: Eight) -> f32 {
    let four = vaddq_f32(low, high);
    vaddv_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)))
}

#[target_feature(enable = "neon")]
pub(super) fn quantize(x: &[f32], levels: &Levels, numbers: &mut [u8]) -> Products {
    let zeros = [vdupq_n_f32(0.0); 2];
    let (mut squares, mut largest) = (zeros, zeros);
    for x in x.as_chunks().0 {
        let x = load_eight(x);
        for half in 0..2 {
            squares[half] = vaddq_f32(squares[half], vmulq_f32(x[half], x[half]));
            largest[half] = vmaxnmq_f32(largest[half], vabsq_f32(x[half]));
        }
    }
    let (square, largest) = (added_floats(squares), vmaxnmvq_f32(vmaxnmq_f32(largest[0], largest[1])));
    let scale = levels.first_scale(x.len(), square, largest);
    let listed =
        |count: usize, magnitudes: &[f32; MAGNITUDES], middles: &[f32; MAGNITUDES], scaled: float32x4_t| {
            let (mut values, mut indices) = (vdupq_n_f32(magnitudes[0]), vdupq_n_u32(0));
            for index in 1..count {
                // Compares magnitudes.
                let is_above = vcagtq_f32(scaled, vdupq_n_f32(middles[index - 1]));
                values = vbslq_f32(is_above, vdupq_n_f32(magnitudes[index]), values);
                indices = vsubq_u32(indices, is_above);
            }
            (values, indices)
        };
    let inner = match levels {
        Levels::Signs => {
            let one = (vdupq_n_f32(1.0), vdupq_n_u32(0));
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
            let last = vdupq_n_f32((count - 1) as f32);
            fitted(x, scale, REFINEMENTS, *count as u32, numbers, |scaled| {
                // The lesser number of the two, also if the first is none.
                let halves = vminnmq_f32(vmulq_n_f32(vabsq_f32(scaled), 0.5), last);
                let indices = vcvtq_u32_f32(halves);
                (vcvtq_f32_u32(vorrq_u32(vaddq_u32(indices, indices), vdupq_n_u32(1))), indices)
            })
        }
    };
    Products { square, inner }
}

/// The same as the portable body; `assign` gives magnitudes and indices.
#[inline]
#[target_feature(enable = "neon")]
fn fitted(
    x: &[f32],
    mut scale: f32,
    refinements: usize,
    count: u32,
    numbers: &mut [u8],
    assign: impl Fn(float32x4_t) -> (float32x4_t, uint32x4_t),
) -> f32 {
    let zeros = [vdupq_n_f32(0.0); 2];
    for _ in 0..refinements {
        let (mut inner, mut squares) = (zeros, zeros);
        for x in x.as_chunks().0 {
            let x = load_eight(x);
            for half in 0..2 {
                let (values, _) = assign(vmulq_n_f32(x[half], scale));
                inner[half] = vaddq_f32(inner[half], vmulq_f32(values, vabsq_f32(x[half])));
                squares[half] = vaddq_f32(squares[half], vmulq_f32(values, values));
            }
        }
        let next = added_floats(squares) / added_floats(inner);
        if next.is_finite() {
            scale = next;
        }
    }
    let mut inner = zeros;
    for (x, numbers) in x.as_chunks().0.iter().zip(numbers.as_chunks_mut::<8>().0) {
        let x = load_eight(x);
        let mut words = [vdupq_n_u16(0); 2];
        for half in 0..2 {
            let (values, indices) = assign(vmulq_n_f32(x[half], scale));
            inner[half] = vaddq_f32(inner[half], vmulq_f32(values, vabsq_f32(x[half])));
            // Of a positive number all bits are flipped: -1 less the index.
            let signed = veorq_u32(indices, vcgtzq_f32(x[half]));
            words[half] = vreinterpretq_u16_u32(vsubq_u32(vdupq_n_u32(count - 1), signed));
        }
        let bytes = vmovn_u16(vuzp1q_u16(words[0], words[1]));
        // SAFETY: `numbers` are 8 bytes.
        unsafe { vst1_u8(numbers.as_mut_ptr(), bytes) };
    }
    added_floats(inner)
}

#[target_feature(enable = "neon")]
pub(super) fn multiply_add(factor: f32, values: &[f32], sums: &mut [f32]) {
    portable::multiply_add(factor, values, sums);
}

#[target_feature(enable = "neon")]
pub(super) fn sum_bits<const QUERIES: usize>(
    tables: [&[[u8; 32]]; QUERIES],
    planes: &[u8],
    next: &[u8],
    sums: &mut [BlockSums; QUERIES],
) {
    match QUERIES {
        1 => sum_registers::<QUERIES, 8>(tables, planes, next, sums),
        _ => sum_registers::<QUERIES, 2>(tables, planes, next, sums),
    }
}

/// The same, `REGISTERS` registers of rows at a time.
#[inline]
#[target_feature(enable = "neon")]
fn sum_registers<const QUERIES: usize, const REGISTERS: usize>(
    tables: [&[[u8; 32]]; QUERIES],
    planes: &[u8],
    next: &[u8],
    sums: &mut [BlockSums; QUERIES],
) {
    let (planes, _) = planes.as_chunks::<ROWS_PER_BLOCK>();
    let n_planes = tables.iter().fold(planes.len(), |len, tables| len.min(tables.len()));
    let (mask, n_lines) = (vdupq_n_u8(0xF), (16 * REGISTERS).div_ceil(64));
    sums.iter_mut().for_each(|sums| *sums = [0; ROWS_PER_BLOCK]);
    for part in 0..ROWS_PER_BLOCK / (16 * REGISTERS) {
        for start in (0..n_planes).step_by(PLANES_PER_SUM) {
            // Sums of 16 bits, of eight rows each.
            let mut totals = [[[vdupq_n_u16(0); 2]; REGISTERS]; QUERIES];
            let len = PLANES_PER_SUM.min(n_planes - start);
            let (planes, tables) = (&planes[start..][..len], tables.map(|tables| &tables[start..][..len]));
            for index in 0..len {
                // One line after the other, as memory is read fastest.
                for line in 0..n_lines {
                    prefetch(next, 64 * ((part * n_planes + start + index) * n_lines + line));
                }
                let codes = &planes[index].as_chunks::<16>().0.as_chunks::<REGISTERS>().0[part];
                // Few at a time: more would leave no registers for their sums.
                for pair in 0..REGISTERS / 2 {
                    let (mut low, mut high) = ([mask; 2], [mask; 2]);
                    for half in 0..2 {
                        let codes = load(&codes[2 * pair + half]);
                        (low[half], high[half]) = (vandq_u8(codes, mask), vshrq_n_u8::<4>(codes));
                    }
                    for query in 0..QUERIES {
                        let (halves, _) = tables[query][index].as_chunks::<16>();
                        let (low_table, high_table) = (load(&halves[0]), load(&halves[1]));
                        for half in 0..2 {
                            let entries = vaddq_u8(
                                vqtbl1q_u8(low_table, low[half]),
                                vqtbl1q_u8(high_table, high[half]),
                            );
                            let [first, second] = &mut totals[query][2 * pair + half];
                            *first = vaddw_u8(*first, vget_low_u8(entries));
                            *second = vaddw_high_u8(*second, entries);
                        }
                    }
                }
            }
            for query in 0..QUERIES {
                let (sixteens, _) = sums[query].as_chunks_mut::<4>().0.as_chunks_mut::<4>();
                for register in 0..REGISTERS {
                    let ([first, second], [a, b, c, d]) =
                        (totals[query][register], &mut sixteens[REGISTERS * part + register]);
                    add(a, vmovl_u16(vget_low_u16(first)));
                    add(b, vmovl_high_u16(first));
                    add(c, vmovl_u16(vget_low_u16(second)));
                    add(d, vmovl_high_u16(second));
                }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn add(sums: &mut [i32; 4], more: uint32x4_t) {
    let total = vaddq_s32(load_integers(sums), vreinterpretq_s32_u32(more));
    store_integers(sums, total);
}

#[target_feature(enable = "neon")]
pub(super) fn multiply(
    codes: Codes<'_>,
    rows: &[usize],
    grid: Grid,
    queries: &[&[i8]],
    expanded: &mut [u8],
    products: &mut [[i32; ROWS_PER_TILE]],
) {
    // A step takes the bytes of 16 numbers; or 16 bytes, which are half of those that lie together in the order of `Grid::place`.
    let tile = Tile { codes, rows, grid, queries };
    match grid.n_bits() {
        2 => multiply_codes::<2, 16, 2, 8>(tile, expanded, products),
        3 => multiply_codes::<3, 6, 1, 1>(tile, expanded, products),
        4 => multiply_codes::<4, 16, 2, 4>(tile, expanded, products),
        5 => multiply_codes::<5, 10, 1, 1>(tile, expanded, products),
        6 => multiply_codes::<6, 12, 1, 1>(tile, expanded, products),
        7 => multiply_codes::<7, 14, 1, 1>(tile, expanded, products),
        _ => multiply_codes::<8, 16, 1, 1>(tile, expanded, products),
    }
}

/// What is multiplied.
#[derive(Clone, Copy)]
struct Tile<'a> {
    codes: Codes<'a>,
    rows: &'a [usize],
    grid: Grid,
    queries: &'a [&'a [i8]],
}

/// How numbers become bytes.
struct Unpacking {
    /// The levels of numbers of up to 4 bits, repeated to fill the table.
    bytes: uint8x16_t,
    /// The two bytes that hold each number of other bits, the first one in the higher half of a lane: eight numbers, and eight more.
    pairs: [uint8x16_t; 2],
    /// How far the last bit of each of eight numbers is from the last bit of its lane, as a negative number.
    shifts: int16x8_t,
    mask: uint8x16_t,
}

impl Unpacking {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new<const BITS: usize>(grid: Grid) -> Self {
        let (mut pairs, mut shifts) = ([[0_u8; 16]; 2], [0_i16; 8]);
        for number in 0..8 {
            let (byte, bit) = (number * BITS / 8, number * BITS % 8);
            for (group, pairs) in pairs.iter_mut().enumerate() {
                pairs[2 * number] = (group * BITS + byte + 1) as u8;
                pairs[2 * number + 1] = (group * BITS + byte) as u8;
            }
            shifts[number] = (bit + BITS) as i16 - 16;
        }
        Unpacking {
            bytes: load(grid.bytes()),
            pairs: [load(&pairs[0]), load(&pairs[1])],
            // SAFETY: `shifts` are 8 integers of 16 bits.
            shifts: unsafe { vld1q_s16(shifts.as_ptr()) },
            // Bits of another number do not matter to a table that is repeated.
            mask: vdupq_n_u8(if BITS <= 4 { 0xF } else { u8::MAX >> (8 - BITS) }),
        }
    }

    /// The bytes of 16 numbers: those of a part of all bytes for 2 and 4 bits, else those of the first bytes.
    #[inline]
    #[target_feature(enable = "neon")]
    fn levels<const BITS: usize>(&self, codes: uint8x16_t, part: usize) -> int8x16_t {
        let levels = match (BITS, part) {
            (2, 0) => vqtbl1q_u8(self.bytes, vshrq_n_u8::<6>(codes)),
            (2, 1) | (4, 0) => vqtbl1q_u8(self.bytes, vshrq_n_u8::<4>(codes)),
            (2, 2) => vqtbl1q_u8(self.bytes, vandq_u8(vshrq_n_u8::<2>(codes), self.mask)),
            (2 | 4, _) => vqtbl1q_u8(self.bytes, vandq_u8(codes, self.mask)),
            (3, _) => vqtbl1q_u8(self.bytes, self.numbers(codes)),
            (8, _) => veorq_u8(codes, vdupq_n_u8(BIAS as u8)),
            (EXPANDED, _) => codes,
            _ => self.numbers(codes),
        };
        vreinterpretq_s8_u8(levels)
    }

    /// Numbers that may lie across bytes.
    #[inline]
    #[target_feature(enable = "neon")]
    fn numbers(&self, codes: uint8x16_t) -> uint8x16_t {
        let mut numbers = [codes; 2];
        for group in 0..2 {
            let pairs = vreinterpretq_u16_u8(vqtbl1q_u8(codes, self.pairs[group]));
            numbers[group] = vreinterpretq_u8_u16(vshlq_u16(pairs, self.shifts));
        }
        vandq_u8(vuzp1q_u8(numbers[0], numbers[1]), self.mask)
    }
}

/// The end of a row and zeros after it, for registers that cannot be loaded from the row.
struct Ends {
    bytes: [u8; 2 * Ends::LEN],
}

impl Ends {
    const LEN: usize = 16;

    #[inline]
    fn new(row: &[u8]) -> Self {
        let mut bytes = [0; 2 * Ends::LEN];
        match row.last_chunk::<{ Ends::LEN }>() {
            Some(last) => bytes[..Ends::LEN].copy_from_slice(last),
            None => bytes[Ends::LEN - row.len()..Ends::LEN].copy_from_slice(row),
        }
        Ends { bytes }
    }

    /// The last `len` bytes of the row, and zeros.
    #[inline]
    fn last(&self, len: usize) -> &[u8] {
        &self.bytes[Ends::LEN - len..]
    }
}

/// How many steps of a row load a whole register.
#[inline]
fn whole_steps<const STEP: usize>(n_bytes: usize) -> usize {
    n_bytes.checked_sub(16).map_or(0, |left| left / STEP + 1)
}

/// The register of a step, if it is within `bytes`.
#[inline]
#[target_feature(enable = "neon")]
fn load_step<const STEP: usize>(bytes: &[u8], step: usize) -> Option<uint8x16_t> {
    Some(load(bytes.get(STEP * step..)?.first_chunk()?))
}

/// Multiplies all rows with all queries. A step takes `STEP` bytes; `HALVES` steps give the levels of `LINES` registers of a query.
#[inline]
#[target_feature(enable = "neon")]
fn multiply_codes<const BITS: usize, const STEP: usize, const HALVES: usize, const LINES: usize>(
    tile: Tile<'_>,
    expanded: &mut [u8],
    products: &mut [[i32; ROWS_PER_TILE]],
) {
    let (unpacking, n_rows) = (Unpacking::new::<BITS>(tile.grid), tile.rows.len().min(ROWS_PER_TILE));
    let row = |row: usize| tile.codes.row(tile.rows[row.min(n_rows - 1)]);
    let dot_product = DotProduct::detected();
    // Beyond the last row, it is multiplied again.
    let mut rows: [&[u8]; ROWS_PER_TILE] = [&[]; ROWS_PER_TILE];
    if dot_product.is_some() && tile.queries.len() <= QUERIES_PER_PASS {
        for index in 0..n_rows.next_multiple_of(ROWS) {
            rows[index] = row(index);
        }
        let rows = &rows.as_chunks::<ROWS>().0[..n_rows.div_ceil(ROWS)];
        multiply_passes::<BITS, STEP, HALVES, LINES>(rows, tile, &unpacking, dot_product, products);
    } else {
        let len = expanded.len() / n_rows.max(1);
        for (index, expanded) in (0..n_rows).zip(expanded.chunks_exact_mut(len.max(1))) {
            expand::<BITS, STEP, HALVES, LINES>(row(index), &unpacking, expanded);
        }
        for index in 0..n_rows.next_multiple_of(ROWS) {
            rows[index] = &expanded[len * index.min(n_rows - 1)..][..len];
        }
        let rows = &rows.as_chunks::<ROWS>().0[..n_rows.div_ceil(ROWS)];
        multiply_passes::<EXPANDED, 16, 1, 1>(rows, tile, &unpacking, dot_product, products);
    }
}

/// Writes the levels of a row, which queries of several passes share.
#[inline]
#[target_feature(enable = "neon")]
fn expand<const BITS: usize, const STEP: usize, const HALVES: usize, const LINES: usize>(
    row: &[u8],
    unpacking: &Unpacking,
    expanded: &mut [u8],
) {
    let (n_steps, n_whole, ends) = (row.len().div_ceil(STEP), whole_steps::<STEP>(row.len()), Ends::new(row));
    let out = expanded.as_chunks_mut::<16>().0.as_chunks_mut::<LINES>().0;
    for (bytes, first, end) in [(row, 0, n_whole), (ends.last(row.len() - n_whole * STEP), n_whole, n_steps)]
    {
        for step in first..end {
            let (Some(codes), Some(out)) =
                (load_step::<STEP>(bytes, step - first), out.get_mut(step / HALVES))
            else {
                break;
            };
            for part in 0..LINES / HALVES {
                let levels = unpacking.levels::<BITS>(codes, part);
                store(&mut out[HALVES * part + step % HALVES], vreinterpretq_u8_s8(levels));
            }
        }
    }
}

/// Multiplies rows with all queries, a few at a time.
#[inline]
#[target_feature(enable = "neon")]
fn multiply_passes<const BITS: usize, const STEP: usize, const HALVES: usize, const LINES: usize>(
    rows: &[[&[u8]; ROWS]],
    tile: Tile<'_>,
    unpacking: &Unpacking,
    dot_product: Option<DotProduct>,
    products: &mut [[i32; ROWS_PER_TILE]],
) {
    let mut query = 0;
    while query < tile.queries.len() {
        let (tile, products) = (Tile { queries: &tile.queries[query..], ..tile }, &mut products[query..]);
        query += match tile.queries.len() {
            QUERIES_PER_PASS.. => multiply_pass::<BITS, STEP, HALVES, LINES, QUERIES_PER_PASS>(
                rows,
                tile,
                unpacking,
                dot_product,
                products,
            ),
            2.. => {
                multiply_pass::<BITS, STEP, HALVES, LINES, 2>(rows, tile, unpacking, dot_product, products)
            }
            _ => multiply_pass::<BITS, STEP, HALVES, LINES, 1>(rows, tile, unpacking, dot_product, products),
        };
    }
}

/// Multiplies rows with the first `QUERIES` queries, and returns how many those are.
#[target_feature(enable = "neon")]
fn multiply_pass<
    const BITS: usize,
    const STEP: usize,
    const HALVES: usize,
    const LINES: usize,
    const QUERIES: usize,
>(
    rows: &[[&[u8]; ROWS]],
    tile: Tile<'_>,
    unpacking: &Unpacking,
    dot_product: Option<DotProduct>,
    products: &mut [[i32; ROWS_PER_TILE]],
) -> usize {
    let (mut lines, mut added_again): ([&[[[i8; 16]; LINES]]; QUERIES], _) = ([&[]; QUERIES], [0; QUERIES]);
    for query in 0..QUERIES {
        lines[query] = tile.queries[query].as_chunks::<16>().0.as_chunks::<LINES>().0;
        if tile.grid.n_bits() == 8 {
            added_again[query] = BIAS * sum(tile.queries[query]);
        }
    }
    for four in 0..rows.len() {
        let sums = match dot_product {
            // SAFETY: the value proves that this CPU has DOTPROD.
            Some(_) => unsafe {
                multiply_rows::<BITS, STEP, HALVES, LINES, QUERIES>(rows[four], lines, unpacking)
            },
            None => {
                multiply_rows_widening::<BITS, STEP, HALVES, LINES, QUERIES>(rows[four], lines, unpacking)
            }
        };
        for query in 0..QUERIES {
            let [a, b, c, d] = sums[query];
            let sums = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
            let out = &mut products[query].as_chunks_mut::<ROWS>().0[four];
            store_integers(out, vaddq_s32(sums, vdupq_n_s32(added_again[query])));
        }
    }
    QUERIES
}

/// The sum of the numbers of a query.
#[inline]
#[target_feature(enable = "neon")]
fn sum(query: &[i8]) -> i32 {
    let mut sum = 0;
    for lines in query.as_chunks().0.chunks(REGISTERS_PER_SUM) {
        let mut pairs = vdupq_n_s16(0);
        for line in lines {
            pairs = vpadalq_s8(pairs, load_signed(line));
        }
        sum += vaddlvq_s16(pairs);
    }
    sum
}

/// Adds the products of 16 bytes, four to each lane.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot(mut sums: int32x4_t, levels: int8x16_t, query: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction touches the named registers only, and the CPU features of this function include it.
    unsafe {
        asm!(
            "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b",
            inout(vreg) sums,
            in(vreg) levels,
            in(vreg) query,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// The same without the instruction; no two products are beyond 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn dot_widening(sums: int32x4_t, levels: int8x16_t, query: int8x16_t) -> int32x4_t {
    let pairs = vmull_s8(vget_low_s8(levels), vget_low_s8(query));
    vpadalq_s16(sums, vmlal_high_s8(pairs, levels, query))
}

/// Adds the products of a part of the codes of a step. A macro, so that the part is a constant for sure.
macro_rules! add_part {
    ($part:literal, $dot:ident, $sums:ident, $codes:ident, $lines:ident, $half:expr, $unpacking:ident) => {
        if $part < LINES / HALVES {
            let mut levels = [vdupq_n_s8(0); ROWS];
            for row in 0..ROWS {
                levels[row] = $unpacking.levels::<BITS>($codes[row], $part);
            }
            for query in 0..QUERIES {
                let numbers = load_signed(&$lines[query][HALVES * $part + $half]);
                for row in 0..ROWS {
                    $sums[query][row] = $dot($sums[query][row], levels[row], numbers);
                }
            }
        }
    };
}

/// A function that multiplies a few rows with a few queries, each by each, compiled for a way to multiply.
macro_rules! multiply_rows {
    ($name:ident, $features:literal, $dot:ident) => {
        #[target_feature(enable = $features)]
        fn $name<
            const BITS: usize,
            const STEP: usize,
            const HALVES: usize,
            const LINES: usize,
            const QUERIES: usize,
        >(
            rows: [&[u8]; ROWS],
            queries: [&[[[i8; 16]; LINES]]; QUERIES],
            unpacking: &Unpacking,
        ) -> [[int32x4_t; ROWS]; QUERIES] {
            let n_bytes = rows[0].len();
            let (n_steps, n_whole) = (n_bytes.div_ceil(STEP), whole_steps::<STEP>(n_bytes));
            let ends = rows.map(|row| Ends::new(row));
            let mut sums = [[vdupq_n_s32(0); ROWS]; QUERIES];
            for (is_end, first, end) in [(false, 0, n_whole), (true, n_whole, n_steps)] {
                let mut bytes = rows;
                for row in 0..ROWS {
                    bytes[row] = match is_end {
                        false => &rows[row][..n_bytes],
                        true => ends[row].last(n_bytes - n_whole * STEP),
                    };
                }
                // Leaving the loop instead of a panic keeps the sums in registers.
                'steps: for step in first..end {
                    let mut codes = [vdupq_n_u8(0); ROWS];
                    for row in 0..ROWS {
                        let Some(loaded) = load_step::<STEP>(bytes[row], step - first) else { break 'steps };
                        codes[row] = loaded;
                    }
                    let mut lines = [&[[0; 16]; LINES]; QUERIES];
                    for query in 0..QUERIES {
                        let Some(of_query) = queries[query].get(step / HALVES) else { break 'steps };
                        lines[query] = of_query;
                    }
                    add_part!(0, $dot, sums, codes, lines, step % HALVES, unpacking);
                    add_part!(1, $dot, sums, codes, lines, step % HALVES, unpacking);
                    add_part!(2, $dot, sums, codes, lines, step % HALVES, unpacking);
                    add_part!(3, $dot, sums, codes, lines, step % HALVES, unpacking);
                }
            }
            sums
        }
    };
}

multiply_rows!(multiply_rows, "neon,dotprod", dot);
multiply_rows!(multiply_rows_widening, "neon", dot_widening);

#[target_feature(enable = "neon")]
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

/// The same as the portable body, eight rows at a time.
#[inline]
#[target_feature(enable = "neon")]
fn finished<const PARTS: usize>(
    sums: [&BlockSums; PARTS],
    factors: &[[f32; 2]],
    finish: &Finish,
    out: &mut [f32; ROWS_PER_BLOCK],
) -> bool {
    let (offset, zero) = (vdupq_n_f32(finish.offset), vdupq_n_f32(0.0));
    let mut nothing = [zero; 2];
    let (eights, rest) = factors.as_chunks::<8>();
    let mut last = [[0.0; 2]; 8];
    last[..rest.len()].copy_from_slice(rest);
    for index in 0..factors.len().div_ceil(8).min(ROWS_PER_BLOCK / 8) {
        let factors = if index < eights.len() { &eights[index] } else { &last };
        let out = &mut out.as_chunks_mut::<4>().0.as_chunks_mut::<2>().0[index];
        for half in 0..2 {
            let factors = &factors.as_chunks::<4>().0[half];
            // SAFETY: `factors` are 8 floats.
            let float32x4x2_t(added, multiples) = unsafe { vld2q_f32(factors.as_ptr().cast()) };
            let mut products = [zero; PARTS];
            for part in 0..PARTS {
                let sums = load_integers(&sums[part].as_chunks::<4>().0.as_chunks::<2>().0[index][half]);
                let integers =
                    vsubq_s32(vmulq_n_s32(sums, finish.multiplier), vdupq_n_s32(finish.bias[part]));
                products[part] = vmulq_n_f32(vcvtq_f32_s32(integers), finish.steps[part]);
            }
            let product = if PARTS == 1 { products[0] } else { vaddq_f32(products[0], products[PARTS - 1]) };
            let of_product = vmulq_f32(vmulq_n_f32(multiples, finish.factor), product);
            let distances = vaddq_f32(vaddq_f32(vaddq_f32(offset, added), of_product), zero);
            // Zero times a finite number, rounded once or twice, is zero.
            nothing[half] = vfmaq_f32(nothing[half], distances, zero);
            // SAFETY: `out[half]` are 4 floats.
            unsafe { vst1q_f32(out[half].as_mut_ptr(), distances) };
        }
    }
    added_floats(nothing) == 0.0
}

/// The bit of each of 32 rows.
const BITS: [[u32; 4]; 8] = {
    let (mut bits, mut row) = ([[0; 4]; 8], 0);
    while row < 32 {
        bits[row / 4][row % 4] = 1 << row;
        row += 1;
    }
    bits
};

#[target_feature(enable = "neon")]
pub(super) fn near(distances: &[f32; ROWS_PER_BLOCK], limit: f32) -> BlockRows {
    // Each lane has the bits of every fourth row of 32.
    let (mut words, limit) = ([vdupq_n_u32(0); ROWS_PER_BLOCK / 32], vdupq_n_f32(limit));
    for (word, distances) in words.iter_mut().zip(distances.as_chunks::<32>().0) {
        for (distances, bits) in distances.as_chunks().0.iter().zip(&BITS) {
            // SAFETY: `bits` are 4 integers.
            let bits = unsafe { vld1q_u32(bits.as_ptr()) };
            *word = vbslq_u32(bits, vcleq_f32(load_floats(distances), limit), *word);
        }
    }
    let mut rows = [0; ROWS_PER_BLOCK / 64];
    for (pair, [a, b, c, d]) in rows.as_chunks_mut::<2>().0.iter_mut().zip(words.as_chunks().0) {
        let sums = vreinterpretq_u64_u32(vpaddq_u32(vpaddq_u32(*a, *b), vpaddq_u32(*c, *d)));
        *pair = [vgetq_lane_u64::<0>(sums), vgetq_lane_u64::<1>(sums)];
    }
    rows
}
