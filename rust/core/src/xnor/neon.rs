//! NEON kernels.
//!
//! Products of bytes and signs. No instruction before I8MM multiplies unsigned by signed bytes, so `udot` (DOTPROD) reads the signs as
//! the bytes 1 and 255. Let `t` be the sum of the bytes of a row and `s` the sum of those where the sign is -1: `udot` gives
//! `u = t + 254 s`, and the product is `t - 2 s = t - (u - t) / 127`. All of it is exact modulo 2^32, where 127 has an inverse.
//! Without DOTPROD the sign masks the bytes, and pairwise additions (`uadalp`) sum up `s`.
//!
//! Bottleneck: the vector ports. A tile of 16 columns and a group of four rows take 16 `udot` for four features, 4 cycles on four
//! ports; with masks 36 instructions, of which 16 are `uadalp` with two ports, 8 cycles. The sum `t` is computed once for all tiles. A
//! single row takes a load for each `udot`, and the loads are its limit. Look-ups of sums of subsets, as in AVX2, would take as many
//! instructions as `udot`, so signs are always bytes.
//!
//! Comparisons: there is no movemask; the bits of 32 lanes are weighted and added up pairwise. Bit planes: the bits of 64 values are
//! transposed in four registers, in three rounds of exchanges: 28 instructions for the eight planes of 64 values.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

use super::layout::{
    ByteScratch, COLUMNS_PER_BLOCK, COLUMNS_PER_TILE, Quads, ROWS_PER_GROUP, SignTiles, VALUES_PER_WORD,
    quad_sums,
};
use super::portable;
use crate::level::DotProduct;
use crate::{Codes, Error};

#[target_feature(enable = "neon")]
pub(super) fn to_dots(distances: &[i32], factor: i32, columns: &[i32], row: i32, dots: &mut [i32]) {
    portable::to_dots(distances, factor, columns, row, dots);
}

#[target_feature(enable = "neon")]
pub(super) fn subtract(distances: &[i32], factor: i32, sums: &mut [i32]) {
    portable::subtract(distances, factor, sums);
}

#[target_feature(enable = "neon")]
pub(super) fn scale_and_add(dots: &[i32], scale: &[f32], bias: &[f32], out: &mut [f32]) {
    portable::scale_and_add(dots, scale, bias, out);
}

#[inline]
#[target_feature(enable = "neon")]
fn load(numbers: &[i32; 4]) -> int32x4_t {
    // SAFETY: `numbers` is 16 bytes.
    unsafe { vld1q_s32(numbers.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_bytes(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: `bytes` is 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[target_feature(enable = "neon")]
pub(super) fn above(dots: &[i32], thresholds: &[i32], out: &mut [u8]) {
    let ((dots, last_dots), (thresholds, last_thresholds)) =
        (dots.as_chunks::<32>(), thresholds.as_chunks::<32>());
    let (words, last) = out.split_at_mut(4 * dots.len());
    let weights = load_bytes(&[128, 64, 32, 16, 8, 4, 2, 1, 128, 64, 32, 16, 8, 4, 2, 1]);
    for ((dots, thresholds), word) in dots.iter().zip(thresholds).zip(words.as_chunks_mut::<4>().0) {
        let (dots, thresholds) = (dots.as_chunks::<4>().0, thresholds.as_chunks::<4>().0);
        let masks: [uint16x8_t; 8] = std::array::from_fn(|part| {
            vreinterpretq_u16_u32(vcgeq_s32(load(&dots[part]), load(&thresholds[part])))
        });
        let eight = |part: usize| vreinterpretq_u8_u16(vuzp1q_u16(masks[part], masks[part + 1]));
        let first = vandq_u8(vuzp1q_u8(eight(0), eight(2)), weights);
        let pairs = vpaddq_u8(first, vandq_u8(vuzp1q_u8(eight(4), eight(6)), weights));
        let fours = vpaddq_u8(pairs, pairs);
        let bits = vreinterpretq_u32_u8(vpaddq_u8(fours, fours));
        *word = vgetq_lane_u32::<0>(bits).to_le_bytes();
    }
    portable::above(last_dots, last_thresholds, last);
}

#[target_feature(enable = "neon")]
pub(super) fn split_planes(values: Codes<'_>, out: &mut [&mut [u8]]) {
    portable::split_rows(values, out, |values| bit_planes(values));
}

/// Transposes the bits of 64 values. Half a register has every eighth value: `[v0, v2]` those of index 0 and 2 modulo 8.
#[inline]
#[target_feature(enable = "neon")]
fn bit_planes(values: &[u8; VALUES_PER_WORD]) -> [u64; 8] {
    // SAFETY: `values` is 64 bytes.
    let fourths = unsafe { vld4q_u8(values.as_ptr()) };
    let (v02, v46) = (vuzp1q_u8(fourths.0, fourths.2), vuzp2q_u8(fourths.0, fourths.2));
    let (v13, v57) = (vuzp1q_u8(fourths.1, fourths.3), vuzp2q_u8(fourths.1, fourths.3));
    // Exchanges nibbles, then bits, then pairs of bits.
    let (v46, v02) = (vsriq_n_u8::<4>(v46, v02), vsliq_n_u8::<4>(v02, v46));
    let (v57, v13) = (vsriq_n_u8::<4>(v57, v13), vsliq_n_u8::<4>(v13, v57));
    let (v02, v13) = exchange::<1>(v02, v13, 0x55);
    let (v46, v57) = exchange::<1>(v46, v57, 0x55);
    let (p01, p23) = exchange::<2>(first_halves(v02, v13), second_halves(v02, v13), 0x33);
    let (p45, p67) = exchange::<2>(first_halves(v46, v57), second_halves(v46, v57), 0x33);
    let mut planes = [0; 8];
    for (planes, pair) in planes.as_chunks_mut::<2>().0.iter_mut().zip([p01, p23, p45, p67]) {
        let pair = vreinterpretq_u64_u8(pair);
        // SAFETY: `planes` is 16 bytes.
        unsafe { vst1q_u64(planes.as_mut_ptr(), pair) };
    }
    planes
}

/// Exchanges the bits of `low` that are not in the mask for the bits of `high` that are, `SHIFT` places further down.
#[inline]
#[target_feature(enable = "neon")]
fn exchange<const SHIFT: i32>(low: uint8x16_t, high: uint8x16_t, mask: u8) -> (uint8x16_t, uint8x16_t) {
    let mask = vdupq_n_u8(mask);
    (vbslq_u8(mask, low, vshlq_n_u8::<SHIFT>(high)), vbslq_u8(mask, vshrq_n_u8::<SHIFT>(low), high))
}

#[inline]
#[target_feature(enable = "neon")]
fn first_halves(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    vreinterpretq_u8_u64(vzip1q_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)))
}

#[inline]
#[target_feature(enable = "neon")]
fn second_halves(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    vreinterpretq_u8_u64(vzip2q_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)))
}

#[target_feature(enable = "neon")]
pub(super) fn byte_sums(
    rows: Codes<'_>,
    signs: &SignTiles,
    columns: Range<usize>,
    scratch: &mut ByteScratch,
    receive: impl FnMut(usize, Range<usize>, &[i32]),
) -> Result<(), Error> {
    match DotProduct::detected() {
        Some(_) => quad_sums(
            rows,
            signs.as_quads(),
            columns,
            scratch,
            // SAFETY: a `DotProduct` exists only if this CPU has DOTPROD.
            |groups, n_quads, tiles, sums| unsafe { byte_dots_by_udot(groups, n_quads, tiles, sums) },
            // SAFETY: as above.
            |row, tiles, sums| unsafe { byte_dots_of_one_by_udot(row, tiles, sums) },
            receive,
        ),
        None => quad_sums(
            rows,
            signs.as_quads(),
            columns,
            scratch,
            |groups, n_quads, tiles, sums| byte_dots_by_masks(groups, n_quads, tiles, sums),
            |row, tiles, sums| byte_dots_of_one_by_masks(row, tiles, sums),
            receive,
        ),
    }
}

/// Registers of a tile, four columns each.
const PARTS: usize = COLUMNS_PER_TILE / 4;

#[target_feature(enable = "neon,dotprod")]
fn byte_dots_by_udot(
    groups: &[[[u8; 4]; ROWS_PER_GROUP]],
    n_quads: usize,
    tiles: &[Quads],
    sums: &mut [i32],
) {
    for_each_tile(groups, n_quads, tiles, sums, |bytes, signs, totals| {
        let udots = group_udots(bytes, signs);
        std::array::from_fn(|row| udots[row].map(|udots| product_of_udot(udots, totals[row])))
    });
}

#[target_feature(enable = "neon")]
fn byte_dots_by_masks(
    groups: &[[[u8; 4]; ROWS_PER_GROUP]],
    n_quads: usize,
    tiles: &[Quads],
    sums: &mut [i32],
) {
    for_each_tile(groups, n_quads, tiles, sums, |bytes, signs, totals| {
        let negative = masked_sums(bytes, signs);
        std::array::from_fn(|row| negative[row].map(|sums| product_of_masked(sums, totals[row])))
    });
}

#[target_feature(enable = "neon,dotprod")]
fn byte_dots_of_one_by_udot(row: &[[u8; 4]], tiles: &[Quads], sums: &mut [i32]) {
    let total = row.as_flattened().iter().map(|byte| u32::from(*byte)).sum();
    for (signs, sums) in tiles.chunks_exact(row.len()).zip(sums.as_chunks_mut::<COLUMNS_PER_TILE>().0) {
        store(row_udots(row, signs).map(|udots| product_of_udot(udots, total)), sums);
    }
}

#[target_feature(enable = "neon")]
fn byte_dots_of_one_by_masks(row: &[[u8; 4]], tiles: &[Quads], sums: &mut [i32]) {
    let total = row.as_flattened().iter().map(|byte| u32::from(*byte)).sum();
    let (bytes, _) = row.as_chunks::<1>();
    for (signs, sums) in tiles.chunks_exact(row.len()).zip(sums.as_chunks_mut::<COLUMNS_PER_TILE>().0) {
        let [negative] = masked_sums(bytes, signs);
        store(negative.map(|negative| product_of_masked(negative, total)), sums);
    }
}

/// Stores `products(bytes, signs, totals)` for each group and tile, with the sums of the bytes of each row.
#[inline]
#[target_feature(enable = "neon")]
fn for_each_tile(
    groups: &[[[u8; 4]; ROWS_PER_GROUP]],
    n_quads: usize,
    tiles: &[Quads],
    sums: &mut [i32],
    products: impl Fn(
        &[[[u8; 4]; ROWS_PER_GROUP]],
        &[Quads],
        [u32; ROWS_PER_GROUP],
    ) -> [[int32x4_t; PARTS]; ROWS_PER_GROUP],
) {
    let groups = groups.chunks_exact(n_quads);
    let group_len = ROWS_PER_GROUP * COLUMNS_PER_BLOCK;
    // The first tile is the last one: until then the first place of each row has the sum of its bytes.
    for (bytes, sums) in groups.clone().zip(sums.chunks_exact_mut(group_len)) {
        for (sums, total) in sums.chunks_exact_mut(COLUMNS_PER_BLOCK).zip(byte_totals(bytes)) {
            sums[0] = total as i32;
        }
    }
    for (tile, signs) in tiles.chunks_exact(n_quads).enumerate().rev() {
        for (bytes, sums) in groups.clone().zip(sums.chunks_exact_mut(group_len)) {
            let totals = std::array::from_fn(|row| sums[row * COLUMNS_PER_BLOCK] as u32);
            let dots = products(bytes, signs, totals);
            for (sums, dots) in sums.chunks_exact_mut(COLUMNS_PER_BLOCK).zip(dots) {
                store(dots, &mut sums.as_chunks_mut::<COLUMNS_PER_TILE>().0[tile]);
            }
        }
    }
}

/// The sums of the bytes of each row of a group.
#[inline]
#[target_feature(enable = "neon")]
fn byte_totals(bytes: &[[[u8; 4]; ROWS_PER_GROUP]]) -> [u32; ROWS_PER_GROUP] {
    let mut totals = vdupq_n_u32(0);
    for bytes in bytes {
        totals = vpadalq_u16(totals, vpaddlq_u8(load_group(bytes)));
    }
    let mut array = [0; ROWS_PER_GROUP];
    // SAFETY: `array` is 16 bytes.
    unsafe { vst1q_u32(array.as_mut_ptr(), totals) };
    array
}

/// The inverse of 127 modulo 2^32.
const INVERSE_OF_127: u32 = {
    let mut inverse = 127_u32; // which is one modulo 2^8
    inverse = inverse.wrapping_mul(2_u32.wrapping_sub(127_u32.wrapping_mul(inverse)));
    inverse.wrapping_mul(2_u32.wrapping_sub(127_u32.wrapping_mul(inverse)))
};

const _: () = assert!(INVERSE_OF_127.wrapping_mul(127) == 1);

/// The products, from those in which -1 is 255.
#[inline]
#[target_feature(enable = "neon")]
fn product_of_udot(udots: uint32x4_t, total: u32) -> int32x4_t {
    let start = vdupq_n_u32(total.wrapping_add(total.wrapping_mul(INVERSE_OF_127)));
    vreinterpretq_s32_u32(vmlsq_u32(start, udots, vdupq_n_u32(INVERSE_OF_127)))
}

/// The products, from the sums of the bytes where signs are -1.
#[inline]
#[target_feature(enable = "neon")]
fn product_of_masked(sums: uint32x4_t, total: u32) -> int32x4_t {
    vreinterpretq_s32_u32(vsubq_u32(vdupq_n_u32(total), vshlq_n_u32::<1>(sums)))
}

/// Adds the dot products of element `ELEMENT` of four bytes with each four signs, both as unsigned numbers.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn udot<const ELEMENT: i32>(mut sums: uint32x4_t, signs: uint8x16_t, bytes: uint8x16_t) -> uint32x4_t {
    // SAFETY: `udot` belongs to DOTPROD, and works on the three registers alone.
    unsafe {
        asm!(
            "udot {sums:v}.4s, {signs:v}.16b, {bytes:v}.4b[{element}]",
            sums = inout(vreg) sums,
            signs = in(vreg) signs,
            bytes = in(vreg) bytes,
            element = const ELEMENT,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// Adds the dot products of element `ELEMENT` of four bytes with the signs of a tile.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_udots<const ELEMENT: i32>(
    sums: &mut [uint32x4_t; PARTS],
    signs: [uint8x16_t; PARTS],
    bytes: uint8x16_t,
) {
    for part in 0..PARTS {
        sums[part] = udot::<ELEMENT>(sums[part], signs[part], bytes);
    }
}

/// The products of the rows of a group by a tile of signs, in which -1 is 255.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn group_udots(
    bytes: &[[[u8; 4]; ROWS_PER_GROUP]],
    signs: &[Quads],
) -> [[uint32x4_t; PARTS]; ROWS_PER_GROUP] {
    let mut sums = [[vdupq_n_u32(0); PARTS]; ROWS_PER_GROUP];
    for (bytes, signs) in bytes.iter().zip(signs) {
        let (bytes, signs) = (load_group(bytes), load_signs(signs));
        add_udots::<0>(&mut sums[0], signs, bytes);
        add_udots::<1>(&mut sums[1], signs, bytes);
        add_udots::<2>(&mut sums[2], signs, bytes);
        add_udots::<3>(&mut sums[3], signs, bytes);
    }
    sums
}

/// The products of a row by a tile of signs, in which -1 is 255. Two sums of each column hide the latency.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn row_udots(row: &[[u8; 4]], signs: &[Quads]) -> [uint32x4_t; PARTS] {
    let [mut even, mut odd] = [[vdupq_n_u32(0); PARTS]; 2];
    let ((fours, last), (signs, last_signs)) = (row.as_chunks::<4>(), signs.as_chunks::<4>());
    for (bytes, [a, b, c, d]) in fours.iter().zip(signs) {
        let bytes = load_group(bytes);
        add_udots::<0>(&mut even, load_signs(a), bytes);
        add_udots::<1>(&mut odd, load_signs(b), bytes);
        add_udots::<2>(&mut even, load_signs(c), bytes);
        add_udots::<3>(&mut odd, load_signs(d), bytes);
    }
    for (bytes, signs) in last.iter().zip(last_signs) {
        add_udots::<0>(&mut even, load_signs(signs), broadcast(*bytes));
    }
    std::array::from_fn(|part| vaddq_u32(even[part], odd[part]))
}

/// Quads whose sums of two bytes each, 510 at most, fit 16 bits.
const QUADS_PER_SUM: usize = 128;

/// The sums of the bytes of some rows where the signs of a tile are -1.
#[inline]
#[target_feature(enable = "neon")]
fn masked_sums<const ROWS: usize>(bytes: &[[[u8; 4]; ROWS]], signs: &[Quads]) -> [[uint32x4_t; PARTS]; ROWS] {
    let mut sums = [[vdupq_n_u32(0); PARTS]; ROWS];
    for (bytes, signs) in bytes.chunks(QUADS_PER_SUM).zip(signs.chunks(QUADS_PER_SUM)) {
        let mut pairs = [[vdupq_n_u16(0); PARTS]; ROWS];
        for (bytes, signs) in bytes.iter().zip(signs) {
            let masks = load_signs(signs).map(|signs| vcltzq_s8(vreinterpretq_s8_u8(signs)));
            for row in 0..ROWS {
                let bytes = broadcast(bytes[row]);
                for part in 0..PARTS {
                    pairs[row][part] = vpadalq_u8(pairs[row][part], vandq_u8(bytes, masks[part]));
                }
            }
        }
        for row in 0..ROWS {
            for part in 0..PARTS {
                sums[row][part] = vpadalq_u16(sums[row][part], pairs[row][part]);
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "neon")]
fn load_group(bytes: &[[u8; 4]; ROWS_PER_GROUP]) -> uint8x16_t {
    // SAFETY: `bytes` is 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn broadcast(bytes: [u8; 4]) -> uint8x16_t {
    vreinterpretq_u8_u32(vdupq_n_u32(u32::from_le_bytes(bytes)))
}

#[inline]
#[target_feature(enable = "neon")]
fn load_signs(signs: &Quads) -> [uint8x16_t; PARTS] {
    let (parts, _) = signs.0.as_chunks::<4>();
    // SAFETY: each part is 16 bytes.
    std::array::from_fn(|part| unsafe { vld1q_u8(parts[part].as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "neon")]
fn store(dots: [int32x4_t; PARTS], sums: &mut [i32; COLUMNS_PER_TILE]) {
    for (part, dots) in sums.as_chunks_mut::<4>().0.iter_mut().zip(dots) {
        // SAFETY: `part` is 16 bytes.
        unsafe { vst1q_s32(part.as_mut_ptr(), dots) };
    }
}
