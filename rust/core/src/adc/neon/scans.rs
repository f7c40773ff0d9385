//! Bounds and sums of the rows of blocks, by look-ups of 16 codes at a time.
//!
//! 256 entries are four quarters of 64. Flipping the two highest bits of the codes brings those of a quarter below 64, where `tbl` finds
//! their entries; it gives zero for all others, and each sum takes what the four quarters give. That is 3 flips, 4 look-ups and 4
//! additions for 16 codes, where AVX2 needs three instructions for each 16 of the entries. A `tbl` of four registers is three operations of
//! two ports in LLVM's model of the Neoverse V1: 6 cycles for 16 codes, hardly less than 16 loads.
//!
//! Entries of four bits take half of that. A byte holds the entries of two codes, so 128 bytes are two look-ups, and a shift moves the
//! entry of each code to the upper half of its byte, from where the addition (`usra`) shifts it back and drops the other one. It does
//! not saturate: 16 entries of four bits fit a byte. That is 5 instructions for 16 codes, and 4 that queries share; the look-ups limit it
//! to 3 cycles there.
//!
//! 16 entries take 2 look-ups and 2 additions for the 32 codes of 16 bytes, and 2 instructions that queries share: with four vector
//! ports, 1.5 cycles for one query, 1.1 for each of four.
//!
//! Sums stay in registers over the planes of a group. There is no instruction that packs the signs of bytes to bits, so that happens
//! only for blocks with rows within the limit.
//!
//! A float of 16 is looked up byte by byte: `ld4` splits a table into four registers, and `zip` puts the bytes together again, in 16
//! instructions for 16 codes (with the addition). A float of 256 is one load, one extraction of its code and one addition: three
//! load ports limit eight codes to 3 cycles.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::aarch64::*;

use super::{REGISTERS_PER_PLANE, load, load_table, store, store_floats};
use crate::Error;
use crate::adc::bound::{CoarseTable, SUBSPACES_PER_BYTE, SUBSPACES_PER_GROUP};
use crate::adc::encode::ROWS_PER_STRIP;
use crate::adc::layout::ROWS_PER_BLOCK;
use crate::adc::{BlockHits, BlockRows};

/// Sums of some rows for each query.
type Sums<const QUERIES: usize, const REGISTERS: usize> = [[uint8x16_t; REGISTERS]; QUERIES];

/// Calls [`bound`] for as many rows as have eight registers of sums: with more, the tables would not stay in registers.
macro_rules! bound_with {
    ($add:ident, $($argument:expr),*) => {
        match QUERIES {
            1 => bound($($argument,)* |tables, codes, sums| $add::<QUERIES, 8>(tables, codes, sums)),
            2 => bound($($argument,)* |tables, codes, sums| $add::<QUERIES, 4>(tables, codes, sums)),
            _ => bound($($argument,)* |tables, codes, sums| $add::<QUERIES, 2>(tables, codes, sums)),
        }
    };
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn bound_bytes<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    let tables = tables.map(|tables| tables.as_chunks::<256>().0);
    bound_with!(add_bytes, tables, 1, usize::MAX, limits, blocks, hits);
    Ok(())
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn coarse_is_faster() -> bool {
    true
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn bound_coarse<const QUERIES: usize>(
    tables: [&[CoarseTable]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    bound_with!(add_coarse, tables, 1, SUBSPACES_PER_GROUP, limits, blocks, hits);
    Ok(())
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn bound_nibbles<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    let tables = tables.map(|tables| tables.as_chunks::<32>().0);
    bound_with!(add_nibbles, tables, 2, usize::MAX, limits, blocks, hits);
    Ok(())
}

/// Sums the planes of each block, of `in_plane` subspaces each, `REGISTERS` of rows at a time and at most `most_planes` without
/// saturation in between, and appends the rows within the limits.
#[inline]
#[target_feature(enable = "neon")]
fn bound<T, const QUERIES: usize, const REGISTERS: usize>(
    tables: [&[T]; QUERIES],
    in_plane: usize,
    most_planes: usize,
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
    add: impl Fn([&T; QUERIES], &[[u8; 16]; REGISTERS], &mut Sums<QUERIES, REGISTERS>),
) {
    let n_planes = tables.iter().map(|tables| tables.len()).min().unwrap_or(0);
    if n_planes == 0 {
        return;
    }
    let is_wide = n_planes > SUBSPACES_PER_BYTE / in_plane;
    let group = if is_wide { SUBSPACES_PER_GROUP / in_plane } else { n_planes.min(most_planes) };
    let mut within = [[[0; 16]; REGISTERS_PER_PLANE]; QUERIES];
    for (block, planes) in blocks.chunks_exact(n_planes * ROWS_PER_BLOCK).enumerate() {
        let (planes, _) = planes.as_chunks::<ROWS_PER_BLOCK>();
        let mut any = [vdupq_n_u8(0); QUERIES];
        for part in 0..REGISTERS_PER_PLANE / REGISTERS {
            let mut totals = [[Total::new(is_wide); REGISTERS]; QUERIES];
            for start in (0..n_planes).step_by(group) {
                let end = n_planes.min(start + group);
                let mut tables_of_group = tables;
                for tables in &mut tables_of_group {
                    *tables = &tables[start..end];
                }
                let sums = sum_planes(tables_of_group, &planes[start..end], part, &add);
                for slot in 0..QUERIES {
                    for register in 0..REGISTERS {
                        totals[slot][register].add(sums[slot][register]);
                    }
                }
            }
            for slot in 0..QUERIES {
                for register in 0..REGISTERS {
                    let rows = totals[slot][register].within(limits[slot]);
                    any[slot] = vorrq_u8(any[slot], rows);
                    store(&mut within[slot][part * REGISTERS + register], rows);
                }
            }
        }
        for slot in 0..QUERIES {
            if vmaxvq_u32(vreinterpretq_u32_u8(any[slot])) != 0 {
                let rows = block_rows(&within[slot]);
                hits.push(BlockHits { slot: slot as u32, block: block as u32, rows });
            }
        }
    }
}

/// The sums of some planes, for one part of the rows.
#[inline]
#[target_feature(enable = "neon")]
fn sum_planes<T, const QUERIES: usize, const REGISTERS: usize>(
    tables: [&[T]; QUERIES],
    planes: &[[u8; ROWS_PER_BLOCK]],
    part: usize,
    add: &impl Fn([&T; QUERIES], &[[u8; 16]; REGISTERS], &mut Sums<QUERIES, REGISTERS>),
) -> Sums<QUERIES, REGISTERS> {
    let mut sums = [[vdupq_n_u8(0); REGISTERS]; QUERIES];
    for (plane, codes) in planes.iter().enumerate() {
        let mut of_plane = [&tables[0][plane]; QUERIES];
        for slot in 1..QUERIES {
            of_plane[slot] = &tables[slot][plane];
        }
        let (codes, _) = codes.as_chunks::<16>().0.as_chunks();
        add(of_plane, &codes[part], &mut sums);
    }
    sums
}

/// The sums of sixteen rows over groups of planes, in bytes or in words; both saturate.
#[derive(Clone, Copy)]
struct Total {
    is_wide: bool,
    bytes: uint8x16_t,
    words: [uint16x8_t; 2],
}

impl Total {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(is_wide: bool) -> Self {
        Total { is_wide, bytes: vdupq_n_u8(0), words: [vdupq_n_u16(0); 2] }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn add(&mut self, sums: uint8x16_t) {
        if self.is_wide {
            let [low, high] = self.words;
            self.words =
                [vqaddq_u16(low, vmovl_u8(vget_low_u8(sums))), vqaddq_u16(high, vmovl_high_u8(sums))];
        } else {
            self.bytes = vqaddq_u8(self.bytes, sums);
        }
    }

    /// All ones for each row whose sum is at most the limit.
    #[inline]
    #[target_feature(enable = "neon")]
    fn within(&self, limit: u16) -> uint8x16_t {
        if self.is_wide {
            let [low, high] = self.words;
            let (low, high) = (vcleq_u16(low, vdupq_n_u16(limit)), vcleq_u16(high, vdupq_n_u16(limit)));
            vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high))
        } else {
            vcleq_u8(self.bytes, vdupq_n_u8(limit.min(255) as u8))
        }
    }
}

/// One bit for each row, of bytes that are all ones or zero.
#[target_feature(enable = "neon")]
fn block_rows(within: &[[u8; 16]; REGISTERS_PER_PLANE]) -> BlockRows {
    let bits = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
    let mut rows = [0; ROWS_PER_BLOCK / 64];
    for (rows, within) in rows.iter_mut().zip(within.as_chunks::<4>().0) {
        let (a, b) = (vandq_u8(load(&within[0]), bits), vandq_u8(load(&within[1]), bits));
        let (c, d) = (vandq_u8(load(&within[2]), bits), vandq_u8(load(&within[3]), bits));
        let sums = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
        *rows = vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)));
    }
    rows
}

/// Adds the entries for the codes of one plane to the sums of each query.
#[inline]
#[target_feature(enable = "neon")]
fn add_bytes<const QUERIES: usize, const REGISTERS: usize>(
    tables: [&[u8; 256]; QUERIES],
    codes: &[[u8; 16]; REGISTERS],
    sums: &mut Sums<QUERIES, REGISTERS>,
) {
    for quarter in 0..4 {
        for slot in 0..QUERIES {
            let entries = load_table(&tables[slot].as_chunks().0[quarter as usize]);
            for register in 0..REGISTERS {
                let flipped = veorq_u8(load(&codes[register]), vdupq_n_u8(64 * quarter));
                let sum = &mut sums[slot][register];
                *sum = vqaddq_u8(*sum, vqtbl4q_u8(entries, flipped));
            }
        }
    }
}

/// The same for entries of four bits, at most 16 times before a sum overflows.
#[inline]
#[target_feature(enable = "neon")]
fn add_coarse<const QUERIES: usize, const REGISTERS: usize>(
    tables: [&CoarseTable; QUERIES],
    codes: &[[u8; 16]; REGISTERS],
    sums: &mut Sums<QUERIES, REGISTERS>,
) {
    for slot in 0..QUERIES {
        let (halves, _) = tables[slot].as_chunks();
        let (lower, upper) = (load_table(&halves[0]), load_table(&halves[1]));
        for register in 0..REGISTERS {
            let codes = load(&codes[register]);
            let low = vandq_u8(codes, vdupq_n_u8(0x7F));
            let high = veorq_u8(low, vdupq_n_u8(64));
            // Entries of codes below 128 are in the low half.
            let shift = vbicq_u8(vdupq_n_u8(4), vcltzq_s8(vreinterpretq_s8_u8(codes)));
            let entries = vorrq_u8(vqtbl4q_u8(lower, low), vqtbl4q_u8(upper, high));
            let sum = &mut sums[slot][register];
            *sum = vsraq_n_u8::<4>(*sum, vshlq_u8(entries, vreinterpretq_s8_u8(shift)));
        }
    }
}

/// The same for one plane of nibbles.
#[inline]
#[target_feature(enable = "neon")]
fn add_nibbles<const QUERIES: usize, const REGISTERS: usize>(
    tables: [&[u8; 32]; QUERIES],
    codes: &[[u8; 16]; REGISTERS],
    sums: &mut Sums<QUERIES, REGISTERS>,
) {
    let mut entries = [[vdupq_n_u8(0); 2]; QUERIES];
    for slot in 0..QUERIES {
        let (halves, _) = tables[slot].as_chunks();
        entries[slot] = [load(&halves[0]), load(&halves[1])];
    }
    for register in 0..REGISTERS {
        let [low_codes, high_codes] = nibbles(load(&codes[register]));
        for slot in 0..QUERIES {
            let [low, high] = entries[slot];
            let sum = &mut sums[slot][register];
            *sum = vqaddq_u8(*sum, vqtbl1q_u8(low, low_codes));
            *sum = vqaddq_u8(*sum, vqtbl1q_u8(high, high_codes));
        }
    }
}

/// The low and the high halves of bytes.
#[inline]
#[target_feature(enable = "neon")]
fn nibbles(bytes: uint8x16_t) -> [uint8x16_t; 2] {
    [vandq_u8(bytes, vdupq_n_u8(0xF)), vshrq_n_u8::<4>(bytes)]
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn sum_bytes(tables: &[f32], planes: &[u8], first_row: usize, out: &mut [f32]) {
    let (tables, _) = tables.as_chunks::<256>();
    for (eight, out) in (first_row / 8..).zip(out.as_chunks_mut::<8>().0) {
        let mut sums = [0.0; 8];
        for (table, plane) in tables.iter().zip(planes.as_chunks::<ROWS_PER_BLOCK>().0) {
            // One load of eight codes: loads are the bottleneck.
            let mut codes = u64::from_le_bytes(plane.as_chunks().0[eight]);
            for sum in &mut sums {
                *sum += table[(codes & 0xFF) as usize];
                codes >>= 8;
            }
        }
        *out = sums;
    }
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn sum_nibbles(tables: &[f32], planes: &[u8], first_row: usize, out: &mut [f32]) {
    let (planes, _) = planes.as_chunks::<ROWS_PER_BLOCK>();
    let (strips, _) = out.as_chunks_mut::<ROWS_PER_STRIP>();
    let first_strip = first_row / ROWS_PER_STRIP;
    let (pairs, rest) = strips.as_chunks_mut::<2>();
    let first_of_rest = first_strip + 2 * pairs.len();
    for (strip, pair) in (first_strip..).step_by(2).zip(pairs) {
        sum_strips(tables, planes, strip, pair);
    }
    for (strip, one) in (first_of_rest..).zip(rest.as_chunks_mut::<1>().0) {
        sum_strips(tables, planes, strip, one);
    }
}

/// [`sum_nibbles`] for some strips of rows, which share the loads of tables.
#[inline]
#[target_feature(enable = "neon")]
fn sum_strips<const STRIPS: usize>(
    tables: &[f32],
    planes: &[[u8; ROWS_PER_BLOCK]],
    first_strip: usize,
    out: &mut [[f32; ROWS_PER_STRIP]; STRIPS],
) {
    let mut sums = [[vdupq_n_f32(0.0); 4]; STRIPS];
    for (pair, plane) in tables.chunks(32).zip(planes) {
        let (codes, _) = plane.as_chunks::<16>().0[first_strip..].as_chunks::<STRIPS>();
        for (half, table) in pair.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: `table` is 64 bytes.
            let bytes = unsafe { vld4q_u8(table.as_ptr().cast()) };
            for strip in 0..STRIPS {
                let entries = entries(bytes, nibbles(load(&codes[0][strip]))[half]);
                for quarter in 0..4 {
                    sums[strip][quarter] = vaddq_f32(sums[strip][quarter], entries[quarter]);
                }
            }
        }
    }
    for (out, sums) in out.iter_mut().zip(sums) {
        for (out, sums) in out.as_chunks_mut().0.iter_mut().zip(sums) {
            store_floats(out, sums);
        }
    }
}

/// The floats for sixteen codes below 16, of a table in four registers: the first bytes of its floats, the second ones, ...
#[inline]
#[target_feature(enable = "neon")]
fn entries(bytes: uint8x16x4_t, codes: uint8x16_t) -> [float32x4_t; 4] {
    let (a, b) = (vqtbl1q_u8(bytes.0, codes), vqtbl1q_u8(bytes.1, codes));
    let (c, d) = (vqtbl1q_u8(bytes.2, codes), vqtbl1q_u8(bytes.3, codes));
    let mut floats = [vdupq_n_f32(0.0); 4];
    for (half, (low, high)) in
        [(vzip1q_u8(a, b), vzip1q_u8(c, d)), (vzip2q_u8(a, b), vzip2q_u8(c, d))].into_iter().enumerate()
    {
        let (low, high) = (vreinterpretq_u16_u8(low), vreinterpretq_u16_u8(high));
        floats[2 * half] = vreinterpretq_f32_u16(vzip1q_u16(low, high));
        floats[2 * half + 1] = vreinterpretq_f32_u16(vzip2q_u16(low, high));
    }
    floats
}

#[target_feature(enable = "neon")]
pub(in crate::adc) fn alike(planes: &[u8], row: usize) -> BlockRows {
    let mut differing = [vdupq_n_u8(0); REGISTERS_PER_PLANE];
    for plane in planes.as_chunks::<ROWS_PER_BLOCK>().0 {
        let code = vdupq_n_u8(plane[row]);
        for (differing, others) in differing.iter_mut().zip(plane.as_chunks().0) {
            *differing = vorrq_u8(*differing, veorq_u8(load(others), code));
        }
    }
    let mut alike = [[0; 16]; REGISTERS_PER_PLANE];
    for (alike, differing) in alike.iter_mut().zip(differing) {
        store(alike, vceqzq_u8(differing));
    }
    block_rows(&alike)
}
