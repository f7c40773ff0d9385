//! NEON counts the bits of each byte, but `eor`, `cnt` and `add` are three instructions for 16 bytes and a query, and 2.5 with the carry-save
//! adder of `avx512` (two `eor`, `bsl`, `cnt` and `add` for two words); besides which each word of a query is broadcast. Look-ups take
//! 1.94: a `tbl` with a table of two registers is as fast as one of a single register, and looks 16 numbers of five bits up: how many bits
//! differ from such a piece of a query. A table serves two queries, with the count for one in the low half of its entries and for the
//! other in the high half. (AVX2 does the same with four bits.) Tiles hold the same piece of 64 rows side by side, 13 for a word:
//!
//! ```text
//! pieces 0 to 7     bits 0 to 4 of byte 0, 1, ... 7
//! pieces 8 to 11    bits 5 to 7 of byte 0, 1, 2, 3; then bits 5 and 6 of byte 4, 5, 6, 7
//! piece 12          bit 7 of bytes 4 to 7
//! ```
//!
//! Halves hold the counts of three pieces, 15 at most. Then the whole bytes are added up modulo 256, and the high halves exactly, by one
//! `usra`; which gives both counts for up to 255 bits. These are added up in bytes that saturate if all bounds fit a byte, else in
//! 16 bits. A lane belongs to one row, so nothing is added across a register: with whole words in lanes, that would take a tree of
//! `addp`, a third of the work for codes of 64 bits.
//!
//! The bottleneck is the vector ports: 31 instructions for a word of 16 rows and two queries, or 62 cycles for a word of 64 rows and
//! four queries on four ports (Neoverse V2, Apple M1), two of which need to have `tbl`, and 124 on two (Neoverse N1). Counting bytes
//! takes 104 and 208, with carry-save adders 88 and 176. The sums of all 64 rows and four queries, and the tables of a piece, fill
//! 31 registers of 32.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::aarch64::*;
use std::arch::asm;

use super::tile::{Lanes, QUERIES_PER_GROUP, ROWS_PER_BLOCK};
use super::{Hit, Hits};
use crate::{Codes, Error};

/// Rows whose pieces lie side by side.
const ROWS_PER_STEP: usize = 64;

/// Rows whose pieces share a register.
const ROWS_PER_REGISTER: usize = 16;

/// Registers for the rows of a step.
const REGISTERS_PER_STEP: usize = ROWS_PER_STEP / ROWS_PER_REGISTER;

/// Bytes of a word.
const BYTES_PER_WORD: usize = 8;

/// Bits of all pieces of a word but the last.
const BITS_PER_PIECE: usize = 5;

/// Bits of the last piece.
const LAST_BITS: usize = 4;

/// Pieces of a word: twelve of five bits, and one of four.
const PIECES_PER_WORD: usize = 13;

/// Pieces whose counts fit half a byte.
const PIECES_PER_TRIPLE: usize = 3;

/// Elements of a tile for a word of each row of a step: one for each piece, and three that are not used.
const LANES_PER_WORD: usize = 2 * ROWS_PER_STEP / ROWS_PER_BLOCK;

/// Queries that share a table.
const QUERIES_PER_PAIR: usize = 2;

const PAIRS_PER_GROUP: usize = QUERIES_PER_GROUP / QUERIES_PER_PAIR;

/// Words whose counts fit a byte.
const SHORT_WORDS: usize = u8::MAX as usize / 64;

/// Words whose counts fit 16 bits, and stay below the largest such number.
const LONG_WORDS: usize = u16::MAX as usize / 64;

/// By piece of a row: how many bits differ from a piece of a first query, plus 16 times those that differ from one of a second.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Table([[u8; 16]; 2]);

/// The tables, by the piece of the first query plus 32 times that of the second.
static TABLES: [Table; 1 << (2 * BITS_PER_PIECE)] = {
    let mut tables = [Table([[0; 16]; 2]); 1 << (2 * BITS_PER_PIECE)];
    let mut index = 0;
    while index < 1024 * 32 {
        let (pair, piece) = (index / 32, index % 32);
        let (first, second) = ((pair % 32) ^ piece, (pair / 32) ^ piece);
        tables[pair].0[piece / 16][piece % 16] = (first.count_ones() + 16 * second.count_ones()) as u8;
        index += 1;
    }
    tables
};

/// Rows of a step of a tile.
#[target_feature(enable = "neon")]
pub(super) fn step_rows() -> usize {
    ROWS_PER_STEP
}

/// A byte has five bits of a row, but for the last of a word.
#[target_feature(enable = "neon")]
pub(super) fn lanes_per_word() -> usize {
    LANES_PER_WORD * ROWS_PER_BLOCK / ROWS_PER_STEP
}

/// A table serves two queries, half of which is wasted on one.
#[target_feature(enable = "neon")]
pub(super) fn few_queries() -> usize {
    1
}

/// Replaces each word of a pair of queries by the numbers of their tables: ten bits for each piece, but eight for the last.
#[target_feature(enable = "neon")]
pub(super) fn arrange_queries(_n_words: usize, words: &mut [[u64; QUERIES_PER_GROUP]]) -> Result<(), Error> {
    for pair in words.as_flattened_mut().as_chunks_mut::<QUERIES_PER_PAIR>().0 {
        let [first, second] = pair.map(pieces_of);
        let numbers =
            first.into_iter().zip(second).enumerate().fold(0, |numbers, (piece, (first, second))| {
                let n_bits = if piece + 1 == PIECES_PER_WORD { LAST_BITS } else { BITS_PER_PIECE };
                numbers | u128::from(first | second << n_bits) << (2 * BITS_PER_PIECE * piece)
            });
        *pair = [numbers as u64, (numbers >> 64) as u64];
    }
    Ok(())
}

/// The pieces of a word.
fn pieces_of(word: u64) -> [u64; PIECES_PER_WORD] {
    let byte = word.to_le_bytes().map(u64::from);
    std::array::from_fn(|piece| match piece {
        0..8 => byte[piece] & 0x1f,
        8..12 => byte[piece - 8] >> 5 | (byte[piece - 4] >> 5 & 3) << 3,
        _ => (4..8).map(|index| byte[index] >> 7 << (index - 4)).sum(),
    })
}

/// Transposes consecutive rows.
#[target_feature(enable = "neon")]
pub(super) fn transpose_all(codes: Codes<'_>, words: &mut [Lanes]) {
    let step_words = LANES_PER_WORD * codes.n_words();
    for (index, step) in words.chunks_exact_mut(step_words).enumerate() {
        let (start, end) = (index * ROWS_PER_STEP, codes.n_rows().min((index + 1) * ROWS_PER_STEP));
        // The CPU's own prefetchers need not follow this many rows at a time.
        codes.prefetch(end, end + ROWS_PER_STEP);
        let rows = codes.slice(start, end);
        let contiguous = rows.n_rows() == ROWS_PER_STEP && rows.stride() == rows.n_bytes();
        match rows.n_bytes() {
            8 if contiguous => transpose_short::<8>(rows.as_bytes(), step),
            16 if contiguous => transpose_short::<16>(rows.as_bytes(), step),
            32 if contiguous => transpose_short::<32>(rows.as_bytes(), step),
            64 if contiguous => transpose_short::<64>(rows.as_bytes(), step),
            _ => transpose((0..rows.n_rows()).map(|row| rows.row(row)), rows.n_words(), step),
        }
    }
}

/// Transposes a step of rows of `BYTES` bytes, the addresses of which are known at compile time.
#[inline]
#[target_feature(enable = "neon")]
fn transpose_short<const BYTES: usize>(rows: &[u8], step: &mut [Lanes]) {
    let (rows, _) = rows.as_chunks::<BYTES>();
    if let Some(rows) = rows.first_chunk::<ROWS_PER_STEP>() {
        transpose_step(|row| &rows[row], step);
    }
}

/// Transposes rows into steps of `n_words` words. The last rows of all are filled up by the first of them.
#[target_feature(enable = "neon")]
pub(super) fn transpose<'a>(
    mut rows: impl ExactSizeIterator<Item = &'a [u8]>,
    n_words: usize,
    words: &mut [Lanes],
) {
    for step in words.chunks_exact_mut(LANES_PER_WORD * n_words) {
        let Some(first) = rows.next() else { break };
        let mut step_rows = [first; ROWS_PER_STEP];
        for (place, row) in step_rows[1..].iter_mut().zip(&mut rows) {
            *place = row;
        }
        transpose_step(|row| step_rows[row], step);
    }
}

/// Writes the pieces of all words; all rows have the same length.
#[inline]
#[target_feature(enable = "neon")]
fn transpose_step<'a>(row: impl Fn(usize) -> &'a [u8], step: &mut [Lanes]) {
    let (words, last) = step.as_chunks_mut().0.split_at_mut(row(0).len() / BYTES_PER_WORD);
    for register in 0..REGISTERS_PER_STEP {
        let row = |place: usize| row(ROWS_PER_REGISTER * register + place).as_chunks();
        for (index, lanes) in words.iter_mut().enumerate() {
            transpose_word(|place| row(place).0[index], register, lanes);
        }
        if let [lanes] = last {
            let tail = |place| {
                let (mut word, (_, bytes)) = ([0; BYTES_PER_WORD], row(place));
                word[..bytes.len()].copy_from_slice(bytes);
                word
            };
            transpose_word(tail, register, lanes);
        }
    }
}

/// Writes the pieces of a word of 16 rows.
#[inline]
#[target_feature(enable = "neon")]
fn transpose_word(
    word: impl Fn(usize) -> [u8; BYTES_PER_WORD],
    register: usize,
    lanes: &mut [Lanes; LANES_PER_WORD],
) {
    let mut bytes = [vdupq_n_u8(0); BYTES_PER_WORD];
    for pair in 0..BYTES_PER_WORD {
        let [even, odd] = [2 * pair, 2 * pair + 1].map(|row| vcreate_u8(u64::from_le_bytes(word(row))));
        bytes[pair] = vcombine_u8(even, odd);
    }
    // Each round moves the highest bit of a byte's place, which is (row, byte), to the lowest: after four it is (byte, row).
    for _ in 0..4 {
        let last = bytes;
        for pair in 0..BYTES_PER_WORD / 2 {
            bytes[2 * pair] = vzip1q_u8(last[pair], last[pair + BYTES_PER_WORD / 2]);
            bytes[2 * pair + 1] = vzip2q_u8(last[pair], last[pair + BYTES_PER_WORD / 2]);
        }
    }
    let five_bits = vdupq_n_u8(0x1f);
    for index in 0..BYTES_PER_WORD {
        store(&mut lanes[index], register, vandq_u8(bytes[index], five_bits));
    }
    for index in 0..4 {
        let [three, two] = [index, index + 4].map(|index| vshrq_n_u8::<5>(bytes[index]));
        store(&mut lanes[8 + index], register, vandq_u8(vsliq_n_u8::<3>(three, two), five_bits));
    }
    // The highest bits of the last bytes, one below the other.
    let highest = bytes[5..].iter().fold(bytes[4], |below, byte| vsriq_n_u8::<1>(*byte, below));
    store(&mut lanes[12], register, vshrq_n_u8::<4>(highest));
}

#[inline]
#[target_feature(enable = "neon")]
fn store(Lanes(lanes): &mut Lanes, register: usize, bytes: uint8x16_t) {
    let lanes: &mut [u64; 2] = &mut lanes.as_chunks_mut().0[register];
    // SAFETY: `lanes` is 16 bytes.
    unsafe { vst1q_u8(lanes.as_mut_ptr().cast(), bytes) };
}

#[inline]
#[target_feature(enable = "neon")]
fn load_lanes(Lanes(lanes): &Lanes, register: usize) -> uint8x16_t {
    let lanes: &[u64; 2] = &lanes.as_chunks().0[register];
    // SAFETY: `lanes` is 16 bytes.
    unsafe { vld1q_u8(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: `bytes` is 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// Counts of 8 bits for a query and 16 rows.
type Short = uint8x16_t;

/// Counts of 16 bits for a query and 16 rows, in their order.
type Long = [uint16x8_t; 2];

/// Sums of the entries of the tables of a pair of queries for 16 rows: whole bytes modulo 256, and their high halves.
type PairSums = [uint8x16_t; 2];

/// Adds the entries of up to three pieces; the lowest bits of `numbers` are the tables of each pair.
#[inline]
#[target_feature(enable = "neon")]
fn add_pieces<const PAIRS: usize, const REGISTERS: usize>(
    lanes: &[Lanes],
    numbers: [u64; PAIRS],
    sums: &mut [[PairSums; REGISTERS]; PAIRS],
) {
    let mut entries = [[vdupq_n_u8(0); REGISTERS]; PAIRS];
    for (piece, lanes) in lanes.iter().enumerate() {
        let tables = numbers.map(|numbers| load_table(numbers >> (2 * BITS_PER_PIECE * piece)));
        for register in 0..REGISTERS {
            let pieces = load_lanes(lanes, register);
            for pair in 0..PAIRS {
                let entry = vqtbl2q_u8(tables[pair], pieces);
                entries[pair][register] = vaddq_u8(entries[pair][register], entry);
            }
            // No more loads are ahead of additions than there are registers for.
            for pair in 0..PAIRS {
                compute_now(&mut entries[pair][register]);
            }
        }
    }
    for pair in 0..PAIRS {
        for register in 0..REGISTERS {
            let [both, high] = &mut sums[pair][register];
            *both = vaddq_u8(*both, entries[pair][register]);
            *high = vsraq_n_u8::<4>(*high, entries[pair][register]);
        }
    }
}

/// Keeps the compiler from computing it later, and from loading anything for later before.
#[inline]
#[target_feature(enable = "neon")]
fn compute_now(register: &mut uint8x16_t) {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0:v} */", inout(vreg) * register, options(nomem, nostack, preserves_flags)) };
}

/// The table that the lowest bits of `numbers` are the number of.
#[inline]
#[target_feature(enable = "neon")]
fn load_table(numbers: u64) -> uint8x16x2_t {
    let Table([low, high]) = &TABLES[numbers as usize % TABLES.len()];
    uint8x16x2_t(load(low), load(high))
}

/// The bits that differ from each query of the first pairs of a group, in up to [`SHORT_WORDS`]; 256 bits in one more word wrap around.
#[inline]
#[target_feature(enable = "neon")]
fn group_counts<const PAIRS: usize, const REGISTERS: usize>(
    words: &[[Lanes; LANES_PER_WORD]],
    query: &[[u64; QUERIES_PER_GROUP]],
) -> [[[Short; REGISTERS]; QUERIES_PER_PAIR]; PAIRS] {
    let mut sums = [[[vdupq_n_u8(0); 2]; REGISTERS]; PAIRS];
    for (lanes, query) in words.iter().zip(query) {
        let (pairs, _) = query.as_chunks::<QUERIES_PER_PAIR>();
        let mut numbers: [_; PAIRS] =
            std::array::from_fn(|pair| u128::from(pairs[pair][0]) | u128::from(pairs[pair][1]) << 64);
        let (triples, last) = lanes[..PIECES_PER_WORD].as_chunks::<PIECES_PER_TRIPLE>();
        for triple in triples {
            add_pieces(triple, numbers.map(|numbers| numbers as u64), &mut sums);
            numbers = numbers.map(|numbers| numbers >> (2 * BITS_PER_PIECE * PIECES_PER_TRIPLE));
        }
        let last_numbers = numbers
            .map(|numbers| numbers as u64 & 0x0f | (numbers as u64 & 0xf0) << (BITS_PER_PIECE - LAST_BITS));
        add_pieces(last, last_numbers, &mut sums);
    }
    let mut counts = [[[vdupq_n_u8(0); REGISTERS]; QUERIES_PER_PAIR]; PAIRS];
    for pair in 0..PAIRS {
        for register in 0..REGISTERS {
            let [both, high] = sums[pair][register];
            counts[pair][0][register] = vmlsq_u8(both, high, vdupq_n_u8(16));
            counts[pair][1][register] = high;
        }
    }
    counts
}

/// Distances of the rows of a step to the queries of a group; what is above 255 becomes that, or 0 if rows have 256 bits.
#[inline]
#[target_feature(enable = "neon")]
fn short_counts(
    words: &[[Lanes; LANES_PER_WORD]],
    query: &[[u64; QUERIES_PER_GROUP]],
) -> [[Short; REGISTERS_PER_STEP]; QUERIES_PER_GROUP] {
    if words.len() <= SHORT_WORDS + 1 {
        return in_group(group_counts::<PAIRS_PER_GROUP, REGISTERS_PER_STEP>(words, query));
    }
    let mut counts = [[vdupq_n_u8(0); REGISTERS_PER_STEP]; QUERIES_PER_GROUP];
    for (words, query) in words.chunks(SHORT_WORDS).zip(query.chunks(SHORT_WORDS)) {
        let more = group_counts::<PAIRS_PER_GROUP, REGISTERS_PER_STEP>(words, query);
        let more = more.as_flattened().as_flattened();
        for (counts, more) in counts.as_flattened_mut().iter_mut().zip(more) {
            *counts = vqaddq_u8(*counts, *more);
        }
    }
    counts
}

/// What pairs of queries have, for each query of a group.
#[inline]
fn in_group<T>([[first, second], [third, fourth]]: [[T; QUERIES_PER_PAIR]; 2]) -> [T; QUERIES_PER_GROUP] {
    [first, second, third, fourth]
}

/// Distances of rows of a step to the queries of the first pairs of a group, in up to [`LONG_WORDS`].
#[inline]
#[target_feature(enable = "neon")]
fn long_counts<const PAIRS: usize, const REGISTERS: usize>(
    words: &[[Lanes; LANES_PER_WORD]],
    query: &[[u64; QUERIES_PER_GROUP]],
) -> [[[Long; REGISTERS]; QUERIES_PER_PAIR]; PAIRS] {
    let mut sums = [[[[vdupq_n_u16(0); 2]; REGISTERS]; QUERIES_PER_PAIR]; PAIRS];
    for (words, query) in words.chunks(SHORT_WORDS).zip(query.chunks(SHORT_WORDS)) {
        let counts = group_counts::<PAIRS, REGISTERS>(words, query);
        let counts = counts.as_flattened().as_flattened();
        for ([low, high], counts) in sums.as_flattened_mut().as_flattened_mut().iter_mut().zip(counts) {
            *low = vaddw_u8(*low, vget_low_u8(*counts));
            *high = vaddw_high_u8(*high, *counts);
        }
    }
    sums
}

/// Appends every (query, row) whose distance is below the bound of the query.
#[target_feature(enable = "neon")]
pub(super) fn scan(
    words: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    bounds: [u32; QUERIES_PER_GROUP],
    first_row: u32,
    hits: &mut Hits,
) {
    let mut distances = [[0; ROWS_PER_STEP]; QUERIES_PER_GROUP];
    // What became 255 is below no bound of a byte.
    let is_short = bounds.iter().all(|bound| *bound <= u32::from(u8::MAX));
    for (step, words) in words.as_chunks().0.chunks_exact(query.len()).enumerate() {
        if query.len() > LONG_WORDS {
            step_distances(words, query, distances.each_mut().map(|row| &mut row[..]));
        } else {
            let near =
                if is_short { near_short(words, query, bounds) } else { near_long(words, query, bounds) };
            let Some(counts) = near else { continue };
            write_all(&counts, distances.each_mut().map(|row| &mut row[..]));
        }
        collect(&distances, bounds, first_row + (step * ROWS_PER_STEP) as u32, hits);
    }
}

/// The counts of each query of a group.
type GroupCounts = [[Long; REGISTERS_PER_STEP]; QUERIES_PER_GROUP];

/// Distances, if any of them is below its bound; bounds fit a byte.
#[inline]
#[target_feature(enable = "neon")]
fn near_short(
    words: &[[Lanes; LANES_PER_WORD]],
    query: &[[u64; QUERIES_PER_GROUP]],
    bounds: [u32; QUERIES_PER_GROUP],
) -> Option<GroupCounts> {
    let counts = short_counts(words, query);
    let mut near = vdupq_n_u8(0);
    for slot in 0..QUERIES_PER_GROUP {
        let [a, b, c, d] = counts[slot];
        let nearest = vminq_u8(vminq_u8(a, b), vminq_u8(c, d));
        near = vorrq_u8(near, vcltq_u8(nearest, vdupq_n_u8(bounds[slot] as u8)));
    }
    if !any(near) {
        return None;
    }
    let mut is_zero = vdupq_n_u8(0);
    let mut long = [[[vdupq_n_u16(0); 2]; REGISTERS_PER_STEP]; QUERIES_PER_GROUP];
    for (long, counts) in long.as_flattened_mut().iter_mut().zip(counts.as_flattened()) {
        is_zero = vorrq_u8(is_zero, vceqzq_u8(*counts));
        *long = [vmovl_u8(vget_low_u8(*counts)), vmovl_high_u8(*counts)];
    }
    let may_be_256 = words.len() == SHORT_WORDS + 1 && any(is_zero);
    if may_be_256 { near_long(words, query, bounds) } else { Some(long) }
}

/// [`near_short`] for any bounds, and up to [`LONG_WORDS`].
#[inline]
#[target_feature(enable = "neon")]
fn near_long(
    words: &[[Lanes; LANES_PER_WORD]],
    query: &[[u64; QUERIES_PER_GROUP]],
    bounds: [u32; QUERIES_PER_GROUP],
) -> Option<GroupCounts> {
    let counts = in_group(long_counts::<PAIRS_PER_GROUP, REGISTERS_PER_STEP>(words, query));
    let mut near = vdupq_n_u16(0);
    for slot in 0..QUERIES_PER_GROUP {
        let mut nearest = vdupq_n_u16(u16::MAX);
        for counts in counts[slot].as_flattened() {
            nearest = vminq_u16(nearest, *counts);
        }
        let bound = vdupq_n_u16(bounds[slot].min(u32::from(u16::MAX)) as u16);
        near = vorrq_u16(near, vcltq_u16(nearest, bound));
    }
    any(vreinterpretq_u8_u16(near)).then_some(counts)
}

/// Whether a lane is not zero.
#[inline]
#[target_feature(enable = "neon")]
fn any(lanes: uint8x16_t) -> bool {
    let lanes = vreinterpretq_u32_u8(lanes);
    vgetq_lane_u64::<0>(vreinterpretq_u64_u32(vpmaxq_u32(lanes, lanes))) != 0
}

#[cold]
#[inline(never)]
#[target_feature(enable = "neon")]
fn collect(
    distances: &[[i32; ROWS_PER_STEP]; QUERIES_PER_GROUP],
    bounds: [u32; QUERIES_PER_GROUP],
    first_row: u32,
    hits: &mut Hits,
) {
    for (slot, (distances, bound)) in distances.iter().zip(bounds).enumerate() {
        // Most queries have no hit. The compiler vectorises this test, but not the loop that pushes.
        if !distances.iter().fold(false, |is_near, distance| is_near | ((*distance as u32) < bound)) {
            continue;
        }
        for (row, &distance) in distances.iter().enumerate() {
            if (distance as u32) < bound {
                hits.push(Hit { slot: slot as u32, row: first_row + row as u32, distance: distance as u32 });
            }
        }
    }
}

/// Writes the distance of each query of a group to each row.
#[target_feature(enable = "neon")]
pub(super) fn distances(
    words: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    out: [&mut [i32]; QUERIES_PER_GROUP],
) {
    let mut out = out.map(|row| row.chunks_mut(ROWS_PER_STEP));
    for words in words.as_chunks().0.chunks_exact(query.len()) {
        step_distances(words, query, out.each_mut().map(|row| row.next().unwrap_or_default()));
    }
}

/// [`distances`] for the rows of one step, as many as there is room for.
#[inline]
#[target_feature(enable = "neon")]
fn step_distances(
    words: &[[Lanes; LANES_PER_WORD]],
    query: &[[u64; QUERIES_PER_GROUP]],
    out: [&mut [i32]; QUERIES_PER_GROUP],
) {
    if query.len() <= LONG_WORDS {
        return part_distances(words, query, out);
    }
    let mut sums = [[0; ROWS_PER_STEP]; QUERIES_PER_GROUP];
    for (words, query) in words.chunks(LONG_WORDS).zip(query.chunks(LONG_WORDS)) {
        let mut part = [[0; ROWS_PER_STEP]; QUERIES_PER_GROUP];
        part_distances(words, query, part.each_mut().map(|row| &mut row[..]));
        for (sum, part) in sums.as_flattened_mut().iter_mut().zip(part.as_flattened()) {
            *sum += part;
        }
    }
    for (out, sums) in out.into_iter().zip(sums) {
        out.copy_from_slice(&sums[..out.len()]);
    }
}

/// [`step_distances`] for up to [`LONG_WORDS`].
#[inline]
#[target_feature(enable = "neon")]
fn part_distances(
    words: &[[Lanes; LANES_PER_WORD]],
    query: &[[u64; QUERIES_PER_GROUP]],
    out: [&mut [i32]; QUERIES_PER_GROUP],
) {
    const HALF: usize = REGISTERS_PER_STEP / 2;
    match (out[QUERIES_PER_PAIR].is_empty(), out[0].len() > HALF * ROWS_PER_REGISTER) {
        (true, _) => write_all(long_counts::<1, REGISTERS_PER_STEP>(words, query).as_flattened(), out),
        (false, true) => {
            let counts = long_counts::<PAIRS_PER_GROUP, REGISTERS_PER_STEP>(words, query);
            write_all(counts.as_flattened(), out);
        }
        (false, false) => write_all(long_counts::<PAIRS_PER_GROUP, HALF>(words, query).as_flattened(), out),
    }
}

/// Writes the counts of each query for as many rows as there is room for.
#[inline]
#[target_feature(enable = "neon")]
fn write_all<const REGISTERS: usize>(counts: &[[Long; REGISTERS]], out: [&mut [i32]; QUERIES_PER_GROUP]) {
    for (counts, out) in counts.iter().zip(out) {
        for (counts, out) in counts.iter().zip(out.chunks_mut(ROWS_PER_REGISTER)) {
            store_distances(out, widen(*counts));
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn widen([low, high]: Long) -> [uint32x4_t; 4] {
    [vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low), vmovl_u16(vget_low_u16(high)), vmovl_high_u16(high)]
}

/// Distances of 16 rows, in their order.
type Distances = [uint32x4_t; 4];

/// Stores as many of the distances as there is room for.
#[inline]
#[target_feature(enable = "neon")]
fn store_distances(out: &mut [i32], distances: Distances) {
    if let Some(out) = out.first_chunk_mut() {
        store_all(out, distances);
    } else {
        let mut all = [0; ROWS_PER_REGISTER];
        store_all(&mut all, distances);
        out.copy_from_slice(&all[..out.len()]);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn store_all(out: &mut [i32; ROWS_PER_REGISTER], distances: Distances) {
    for (four, distances) in out.as_chunks_mut::<4>().0.iter_mut().zip(distances) {
        // SAFETY: `four` is 16 bytes.
        unsafe { vst1q_u32(four.as_mut_ptr().cast(), distances) };
    }
}

/// Bytes of a row whose counts are added up before anything else: four registers.
const BYTES_PER_CHUNK: usize = 64;

/// Chunks whose counts, of 32 at most, fit a byte; and one register more.
const CHUNKS_PER_BYTE: usize = 7;

/// Appends every untransposed row whose distance to the query is below the bound. Memory is the bottleneck.
#[target_feature(enable = "neon")]
pub(super) fn scan_rows(query: &[u8], codes: Codes<'_>, bound: u32, first_row: u32, hits: &mut Hits) {
    let bounds = vdupq_n_u32(bound);
    for_each_16_rows(query, codes, |row, n_rows, distances| {
        let [a, b, c, d] = distances;
        let nearest = vminq_u32(vminq_u32(a, b), vminq_u32(c, d));
        if any(vreinterpretq_u8_u32(vcltq_u32(nearest, bounds))) {
            let mut all = [0; ROWS_PER_REGISTER];
            store_all(&mut all, distances);
            push_near(&all[..n_rows], bound, first_row + row as u32, hits);
        }
    });
}

#[cold]
#[inline(never)]
fn push_near(distances: &[i32], bound: u32, first_row: u32, hits: &mut Hits) {
    for (row, &distance) in (first_row..).zip(distances) {
        if (distance as u32) < bound {
            hits.push(Hit { slot: 0, row, distance: distance as u32 });
        }
    }
}

/// Writes the distance of the query to each untransposed row.
#[target_feature(enable = "neon")]
pub(super) fn row_distances(query: &[u8], codes: Codes<'_>, out: &mut [i32]) {
    for_each_16_rows(query, codes, |row, n_rows, distances| {
        store_distances(&mut out[row..row + n_rows], distances);
    });
}

/// Writes the distance of the query to the rows with the given ids. Memory is the bottleneck.
#[target_feature(enable = "neon")]
pub(super) fn distances_of(query: &[u8], codes: Codes<'_>, ids: &[usize], out: &mut [u32]) {
    let query = RowQuery::new(query);
    for (id, out) in ids.iter().zip(out) {
        *out = vaddvq_u32(query.counts(codes, *id));
    }
}

/// Calls `receive(first row, number of rows, distances)` for up to 16 rows at a time; what is beyond the number is anything.
#[inline]
#[target_feature(enable = "neon")]
fn for_each_16_rows(query: &[u8], codes: Codes<'_>, mut receive: impl FnMut(usize, usize, Distances)) {
    let contiguous = codes.stride() == codes.n_bytes();
    let done = match codes.n_bytes() {
        8 if contiguous => short_rows::<8>(query, codes.as_bytes(), &mut receive),
        16 if contiguous => short_rows::<16>(query, codes.as_bytes(), &mut receive),
        32 if contiguous => short_rows::<32>(query, codes.as_bytes(), &mut receive),
        _ => 0,
    };
    let query = RowQuery::new(query);
    for start in (done..codes.n_rows()).step_by(ROWS_PER_REGISTER) {
        let mut distances = [vdupq_n_u32(0); 4];
        let n_rows = ROWS_PER_REGISTER.min(codes.n_rows() - start);
        for (index, distances) in distances.iter_mut().enumerate() {
            let mut counts = [vdupq_n_u32(0); 4];
            for (row, counts) in (start + 4 * index..start + n_rows).zip(&mut counts) {
                *counts = query.counts(codes, row);
            }
            let [a, b, c, d] = counts;
            *distances = vpaddq_u32(vpaddq_u32(a, b), vpaddq_u32(c, d));
        }
        receive(start, n_rows, distances);
    }
}

/// 16 rows of `BYTES` bytes at a time, which fill `BYTES` registers; returns how many rows were done.
#[inline]
#[target_feature(enable = "neon")]
fn short_rows<const BYTES: usize>(
    query: &[u8],
    rows: &[u8],
    receive: &mut impl FnMut(usize, usize, Distances),
) -> usize {
    let repeated: [u8; 32] = std::array::from_fn(|index| query.get(index % BYTES).map_or(0, |byte| *byte));
    let (queries, _) = repeated.as_chunks();
    let queries = [load(&queries[0]), load(&queries[1])];
    let (blocks, _) = rows.as_chunks::<BYTES>().0.as_chunks::<ROWS_PER_REGISTER>();
    for (block, rows) in blocks.iter().enumerate() {
        let (registers, _) = rows.as_flattened().as_chunks::<16>();
        let counts = |index: usize| differing(load(&registers[index]), queries[index % 2]);
        let eight = |from: usize| {
            std::array::from_fn(|index| match BYTES {
                32 => vaddq_u8(counts(2 * (from + index)), counts(2 * (from + index) + 1)),
                _ => counts(from + index),
            })
        };
        let long = match BYTES {
            8 => {
                let sums = add_within(eight(0));
                [vmovl_u8(vget_low_u8(sums)), vmovl_high_u8(sums)]
            }
            _ => [vpaddlq_u8(add_within(eight(0))), vpaddlq_u8(add_within(eight(8)))],
        };
        receive(block * ROWS_PER_REGISTER, ROWS_PER_REGISTER, widen(long));
    }
    blocks.len() * ROWS_PER_REGISTER
}

/// The sums of each eight numbers, those of the first operand first.
#[inline]
#[target_feature(enable = "neon")]
fn add_within([a, b, c, d, e, f, g, h]: [uint8x16_t; 8]) -> uint8x16_t {
    let [a, b, c, d] = [vpaddq_u8(a, b), vpaddq_u8(c, d), vpaddq_u8(e, f), vpaddq_u8(g, h)];
    vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d))
}

#[inline]
#[target_feature(enable = "neon")]
fn differing(bytes: uint8x16_t, query: uint8x16_t) -> uint8x16_t {
    vcntq_u8(veorq_u8(bytes, query))
}

/// A query for untransposed rows of any length.
struct RowQuery<'a> {
    chunks: &'a [[u8; BYTES_PER_CHUNK]],
    registers: &'a [[u8; 16]],
    /// The bytes that do not fill a register, and which of its bytes they are.
    tail: [u8; 16],
    in_tail: [u8; 16],
    n_tail: usize,
}

impl<'a> RowQuery<'a> {
    fn new(query: &'a [u8]) -> Self {
        let (chunks, rest) = query.as_chunks();
        let (registers, bytes) = rest.as_chunks();
        let (mut tail, mut in_tail) = ([0; 16], [0; 16]);
        tail[..bytes.len()].copy_from_slice(bytes);
        in_tail[..bytes.len()].fill(u8::MAX);
        RowQuery { chunks, registers, tail, in_tail, n_tail: bytes.len() }
    }

    /// Four numbers whose sum is the distance of a row.
    #[inline]
    #[target_feature(enable = "neon")]
    fn counts(&self, codes: Codes<'_>, row: usize) -> uint32x4_t {
        let (chunks, rest) = codes.row(row).as_chunks::<BYTES_PER_CHUNK>();
        let (registers, tail) = rest.as_chunks::<16>();
        let mut sums = vdupq_n_u32(0);
        let parts = chunks.chunks(CHUNKS_PER_BYTE).zip(self.chunks.chunks(CHUNKS_PER_BYTE));
        for (chunks, query) in parts {
            let mut counts = vdupq_n_u8(0);
            for (chunk, query) in chunks.iter().zip(query) {
                let (bytes, query) = (chunk.as_chunks::<16>().0, query.as_chunks::<16>().0);
                let four = |index: usize| differing(load(&bytes[index]), load(&query[index]));
                let four = vaddq_u8(vaddq_u8(four(0), four(1)), vaddq_u8(four(2), four(3)));
                counts = vaddq_u8(counts, four);
            }
            sums = vpadalq_u16(sums, vpaddlq_u8(counts));
        }
        let mut counts = vdupq_n_u8(0);
        for (bytes, query) in registers.iter().zip(self.registers) {
            counts = vaddq_u8(counts, differing(load(bytes), load(query)));
        }
        if self.n_tail > 0 {
            // What follows the row in memory is read too and then dropped; nothing follows the last row.
            let start = row * codes.stride() + codes.n_bytes() - self.n_tail;
            let bytes = match codes.as_bytes().get(start..).and_then(<[u8]>::first_chunk) {
                Some(bytes) => load(bytes),
                None => {
                    let mut bytes = [0; 16];
                    bytes[..tail.len()].copy_from_slice(tail);
                    load(&bytes)
                }
            };
            let bytes = vandq_u8(bytes, load(&self.in_tail));
            counts = vaddq_u8(counts, differing(bytes, load(&self.tail)));
        }
        vpadalq_u16(sums, vpaddlq_u8(counts))
    }
}
