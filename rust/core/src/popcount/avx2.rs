//! AVX2 has no vector popcount, but a byte shuffle looks 32 nibbles up in a table of 16 bytes: how many bits differ from a nibble of
//! a query. A table serves two queries, with the count for one in the low half of its entries and for the other in the high half; so
//! one shuffle and one addition count four bits of 32 rows for both. Tiles hold the same nibble of 64 rows side by side:
//!
//! ```text
//! step 0   a0 b0 c0 ...   low nibble of byte 0 of rows 0..64, 32 in each of two registers
//!          a0 b0 c0 ...   high nibble of byte 0
//!          a1 b1 c1 ...   low nibble of byte 1
//!          ...
//! step 1   ...            low nibble of byte 0 of rows 64..128
//! ```
//!
//! Halves hold the counts of three nibbles, 12 at most. Then the whole bytes are added up modulo 256, and the high halves exactly;
//! which gives both counts for up to 63 nibbles. These are added up in bytes that saturate if all bounds fit a byte, else in 16 bits.
//!
//! The bottleneck is the vector ports: 9 instructions for three nibbles of 32 rows and two queries, or 6 cycles for a byte of 64 rows
//! and four queries on four ports. Zen 3 takes 8.8: half of the operands come from memory.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;

use super::portable;
use super::tile::{Lanes, QUERIES_PER_GROUP};
use super::{Hit, Hits};
use crate::error::try_vec;
use crate::{Codes, Error};

/// Rows whose bytes lie side by side.
const ROWS_PER_STEP: usize = 64;

/// Rows whose bytes share a register.
const ROWS_PER_REGISTER: usize = ROWS_PER_STEP / 2;

/// Bytes of a word.
const BYTES_PER_WORD: usize = 8;

/// Nibbles of a byte, which follow each other in a tile.
const NIBBLES_PER_BYTE: usize = 2;

const NIBBLES_PER_WORD: usize = NIBBLES_PER_BYTE * BYTES_PER_WORD;

/// Nibbles whose counts fit half a byte.
const NIBBLES_PER_TRIPLE: usize = 3;

/// Nibbles whose counts fit a byte.
const SHORT_NIBBLES: usize = u8::MAX as usize / 4;

/// Queries that share a table.
const QUERIES_PER_PAIR: usize = 2;

const PAIRS_PER_GROUP: usize = QUERIES_PER_GROUP / QUERIES_PER_PAIR;

/// Bytes of a row that are transposed together: half a register.
const BYTES_PER_PIECE: usize = 16;

/// Words whose counts fit 16 bits, and stay below the largest such number.
const LONG_WORDS: usize = u16::MAX as usize / 64;

/// By nibble of a row: how many bits differ from a nibble of a first query, plus 16 times those that differ from one of a second.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Table([u8; 16]);

/// The tables, by the nibble of the first query plus 16 times that of the second.
static TABLES: [Table; 256] = {
    let mut tables = [Table([0; 16]); 256];
    let mut index = 0;
    while index < 256 * 16 {
        let (pair, nibble) = (index / 16, index % 16);
        let (first, second) = ((pair % 16) ^ nibble, (pair / 16) ^ nibble);
        tables[pair].0[nibble] = (first.count_ones() + 16 * second.count_ones()) as u8;
        index += 1;
    }
    tables
};

/// Rows of a step of a tile.
#[target_feature(enable = "avx2")]
pub(super) fn step_rows() -> usize {
    ROWS_PER_STEP
}

/// A lane has the nibbles of eight rows.
#[target_feature(enable = "avx2")]
pub(super) fn lanes_per_word() -> usize {
    NIBBLES_PER_BYTE
}

/// Look-ups are faster than counting words even for one query.
#[target_feature(enable = "avx2")]
pub(super) fn few_queries() -> usize {
    0
}

/// Writes the numbers of the tables of the first two queries of a group, nibble by nibble, and then those of the other two.
#[target_feature(enable = "avx2")]
pub(super) fn arrange_queries(n_words: usize, queries: &mut [[u64; QUERIES_PER_GROUP]]) -> Result<(), Error> {
    let mut tables = try_vec([0; NIBBLES_PER_WORD], PAIRS_PER_GROUP * n_words)?;
    for group in queries.chunks_exact_mut(n_words) {
        for (index, words) in group.iter().enumerate() {
            for (pair, [first, second]) in words.as_chunks::<QUERIES_PER_PAIR>().0.iter().enumerate() {
                let bytes = first.to_le_bytes().into_iter().zip(second.to_le_bytes());
                let (nibbles, _) = tables[pair * n_words + index].as_chunks_mut::<NIBBLES_PER_BYTE>();
                for (nibbles, (first, second)) in nibbles.iter_mut().zip(bytes) {
                    *nibbles = [first & 0x0F | second << 4, first >> 4 | second & 0xF0];
                }
            }
        }
        let (words, _) = tables.as_flattened().as_chunks();
        for (word, bytes) in group.as_flattened_mut().iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
    }
    Ok(())
}

/// Transposes consecutive rows. The addresses of short ones are known at compile time.
#[target_feature(enable = "avx2")]
pub(super) fn transpose_all(codes: Codes<'_>, words: &mut [Lanes]) {
    for (index, step) in words.chunks_exact_mut(NIBBLES_PER_WORD * codes.n_words()).enumerate() {
        let (start, end) = (index * ROWS_PER_STEP, codes.n_rows().min((index + 1) * ROWS_PER_STEP));
        // The CPU's own prefetchers do not follow this many rows at a time.
        codes.prefetch(end, end + ROWS_PER_STEP);
        let rows = codes.slice(start, end);
        let contiguous = rows.n_rows() == ROWS_PER_STEP && rows.stride() == rows.n_bytes();
        match rows.n_bytes() {
            8 if contiguous => transpose_short::<8>(rows.as_bytes(), step),
            16 if contiguous => transpose_short::<16>(rows.as_bytes(), step),
            32 if contiguous => transpose_short::<32>(rows.as_bytes(), step),
            64 if contiguous => transpose_short::<64>(rows.as_bytes(), step),
            128 if contiguous => transpose_short::<128>(rows.as_bytes(), step),
            _ => transpose((0..rows.n_rows()).map(|row| rows.row(row)), rows.n_words(), step),
        }
    }
}

/// Transposes a step of rows of `BYTES` bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_short<const BYTES: usize>(rows: &[u8], step: &mut [Lanes]) {
    let (rows, _) = rows.as_chunks::<BYTES>();
    if let Some(rows) = rows.first_chunk::<ROWS_PER_STEP>() {
        transpose_step(|row| &rows[row], step);
    }
}

/// Transposes rows into steps of `n_words` words. The last rows of all are filled up by the first of them.
#[target_feature(enable = "avx2")]
pub(super) fn transpose<'a>(
    mut rows: impl ExactSizeIterator<Item = &'a [u8]>,
    n_words: usize,
    words: &mut [Lanes],
) {
    for step in words.chunks_exact_mut(NIBBLES_PER_WORD * n_words) {
        let Some(first) = rows.next() else { break };
        let mut step_rows = [first; ROWS_PER_STEP];
        for (place, row) in step_rows[1..].iter_mut().zip(&mut rows) {
            *place = row;
        }
        transpose_step(|row| step_rows[row], step);
    }
}

/// Writes the nibbles of byte 0 of each row, of byte 1, ...; all rows have the same length.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_step<'a>(row: impl Fn(usize) -> &'a [u8], step: &mut [Lanes]) {
    let n_pieces = row(0).len() / BYTES_PER_PIECE;
    let (pieces, last) = step.split_at_mut(n_pieces * BYTES_PER_PIECE * NIBBLES_PER_BYTE);
    for half in 0..2 {
        for (index, lanes) in pieces.chunks_exact_mut(BYTES_PER_PIECE * NIBBLES_PER_BYTE).enumerate() {
            transpose_piece(
                |place| &row(ROWS_PER_REGISTER * half + place).as_chunks::<BYTES_PER_PIECE>().0[index],
                half,
                lanes,
            );
        }
    }
    if last.is_empty() {
        return;
    }
    for half in 0..2 {
        let mut tails = [[0; BYTES_PER_PIECE]; ROWS_PER_REGISTER];
        for (place, tail) in tails.iter_mut().enumerate() {
            let (_, bytes) = row(ROWS_PER_REGISTER * half + place).as_chunks::<BYTES_PER_PIECE>();
            tail[..bytes.len()].copy_from_slice(bytes);
        }
        transpose_piece(|place| &tails[place], half, last);
    }
}

/// Writes one piece of half of the rows, as many bytes of it as there is room for.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_piece<'a>(piece: impl Fn(usize) -> &'a [u8; BYTES_PER_PIECE], half: usize, lanes: &mut [Lanes]) {
    // Rows 16 apart in the halves of a register.
    let mut bytes = [_mm256_setzero_si256(); BYTES_PER_PIECE];
    for place in 0..BYTES_PER_PIECE {
        bytes[place] = _mm256_set_m128i(load_half(piece(place + BYTES_PER_PIECE)), load_half(piece(place)));
    }
    // Each round moves the highest bit of a byte's place, which is (row, byte), to the lowest: after four it is (byte, row).
    for _ in 0..4 {
        let last = bytes;
        for pair in 0..BYTES_PER_PIECE / 2 {
            bytes[2 * pair] = _mm256_unpacklo_epi8(last[pair], last[pair + BYTES_PER_PIECE / 2]);
            bytes[2 * pair + 1] = _mm256_unpackhi_epi8(last[pair], last[pair + BYTES_PER_PIECE / 2]);
        }
    }
    let nibbles = _mm256_set1_epi8(0x0f);
    for ([low, high], bytes) in lanes.as_chunks_mut().0.iter_mut().zip(bytes) {
        store(&mut low.0.as_chunks_mut::<4>().0[half], _mm256_and_si256(bytes, nibbles));
        let shifted = _mm256_srli_epi16::<4>(bytes);
        store(&mut high.0.as_chunks_mut::<4>().0[half], _mm256_and_si256(shifted, nibbles));
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_half(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: `bytes` is 16 bytes.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u64; 4]) -> __m256i {
    // SAFETY: `bytes` is 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// The tables of a pair of queries of a group, as they were arranged.
#[inline]
fn tables_of(query: &[[u64; QUERIES_PER_GROUP]], pair: usize) -> &[u8] {
    let words = &query.as_flattened()[pair * 2 * query.len()..][..2 * query.len()];
    // SAFETY: the same memory; any byte is valid, and needs no alignment.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len() * BYTES_PER_WORD) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(bytes: &mut [u64; 4], register: __m256i) {
    // SAFETY: `bytes` is 32 bytes.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), register) };
}

/// A table in both halves of a register.
#[inline]
#[target_feature(enable = "avx2")]
fn load_table(table: &[u8; 16]) -> __m256i {
    _mm256_broadcastsi128_si256(load_half(table))
}

/// Counts of 8 bits for a query and 32 rows.
type Short = __m256i;

/// Counts of 16 bits for a query and 32 rows: those of even rows, and of odd ones.
type Long = [__m256i; 2];

/// Sums of the entries of the tables of a pair of queries for 32 rows: whole bytes modulo 256, and their high halves.
type PairSums = [__m256i; 2];

/// Adds the entries of up to three nibbles.
#[inline]
#[target_feature(enable = "avx2")]
fn add_nibbles<const NIBBLES: usize, const HALVES: usize>(
    lanes: &[Lanes; NIBBLES],
    tables: &[u8; NIBBLES],
    sums: &mut [PairSums; HALVES],
) {
    const { assert!(NIBBLES <= NIBBLES_PER_TRIPLE) };
    let nibbles = _mm256_set1_epi8(0x0f);
    for half in 0..HALVES {
        let mut entries = _mm256_setzero_si256();
        for (Lanes(lanes), table) in lanes.iter().zip(tables) {
            let table = load_table(&TABLES[usize::from(*table)].0);
            entries =
                _mm256_add_epi8(entries, _mm256_shuffle_epi8(table, load(&lanes.as_chunks::<4>().0[half])));
        }
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(entries), nibbles);
        sums[half][0] = _mm256_add_epi8(sums[half][0], entries);
        sums[half][1] = _mm256_add_epi8(sums[half][1], high);
    }
}

/// The bits that differ from each query of a pair, in up to [`SHORT_NIBBLES`]; 256 bits in one more nibble wrap around.
#[inline]
#[target_feature(enable = "avx2")]
fn pair_counts<const HALVES: usize>(lanes: &[Lanes], tables: &[u8]) -> [[Short; HALVES]; QUERIES_PER_PAIR] {
    let mut sums = [[_mm256_setzero_si256(); 2]; HALVES];
    // Two triples at a time: the instructions of a loop cost as much as those of a look-up.
    let (sixes, lanes) = lanes.as_chunks::<{ 2 * NIBBLES_PER_TRIPLE }>();
    let (table_sixes, tables) = tables.as_chunks::<{ 2 * NIBBLES_PER_TRIPLE }>();
    for (lanes, tables) in sixes.iter().zip(table_sixes) {
        let (lanes, tables) = (lanes.as_chunks::<NIBBLES_PER_TRIPLE>().0, tables.as_chunks().0);
        add_nibbles(&lanes[0], &tables[0], &mut sums);
        add_nibbles(&lanes[1], &tables[1], &mut sums);
    }
    let ((triples, lanes), (table_triples, tables)) = (lanes.as_chunks(), tables.as_chunks());
    if let ([lanes], [tables]) = (triples, table_triples) {
        add_nibbles::<NIBBLES_PER_TRIPLE, HALVES>(lanes, tables, &mut sums);
    }
    match (lanes.as_chunks::<2>().0, tables.as_chunks::<2>().0) {
        ([lanes], [tables]) => add_nibbles(lanes, tables, &mut sums),
        _ => {
            if let ([lanes], [tables]) = (lanes.as_chunks::<1>().0, tables.as_chunks::<1>().0) {
                add_nibbles(lanes, tables, &mut sums);
            }
        }
    }
    let high_nibbles = _mm256_set1_epi8(0xf0_u8 as i8);
    let mut counts = [[_mm256_setzero_si256(); HALVES]; QUERIES_PER_PAIR];
    for half in 0..HALVES {
        let [both, high] = sums[half];
        let sixteenfold = _mm256_and_si256(_mm256_slli_epi16::<4>(high), high_nibbles);
        counts[0][half] = _mm256_sub_epi8(both, sixteenfold);
        counts[1][half] = high;
    }
    counts
}

/// Distances of the rows of a step to the queries of a group; what is above 255 becomes that, or 0 if rows have 256 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn short_counts(lanes: &[Lanes], query: &[[u64; QUERIES_PER_GROUP]]) -> [[Short; 2]; QUERIES_PER_GROUP] {
    let mut counts = [[_mm256_setzero_si256(); 2]; QUERIES_PER_GROUP];
    for (pair, counts) in counts.as_chunks_mut::<QUERIES_PER_PAIR>().0.iter_mut().enumerate() {
        let tables = tables_of(query, pair);
        if lanes.len() <= SHORT_NIBBLES + 1 {
            *counts = pair_counts::<2>(lanes, tables);
            continue;
        }
        for (lanes, tables) in lanes.chunks(SHORT_NIBBLES).zip(tables.chunks(SHORT_NIBBLES)) {
            let more = pair_counts::<2>(lanes, tables);
            for (counts, more) in counts.as_flattened_mut().iter_mut().zip(more.as_flattened()) {
                *counts = _mm256_adds_epu8(*counts, *more);
            }
        }
    }
    counts
}

/// Distances of rows of a step to the queries of the first pairs of a group, in up to [`LONG_WORDS`] words from one on.
#[inline]
#[target_feature(enable = "avx2")]
fn long_counts<const PAIRS: usize, const HALVES: usize>(
    lanes: &[Lanes],
    tables: [&[u8]; PAIRS],
) -> [[[Long; HALVES]; QUERIES_PER_PAIR]; PAIRS] {
    let mut sums = [[[[_mm256_setzero_si256(); 2]; HALVES]; QUERIES_PER_PAIR]; PAIRS];
    for pair in 0..PAIRS {
        for (lanes, tables) in lanes.chunks(SHORT_NIBBLES).zip(tables[pair].chunks(SHORT_NIBBLES)) {
            let counts = pair_counts::<HALVES>(lanes, tables);
            for (sums, counts) in sums[pair].as_flattened_mut().iter_mut().zip(counts.as_flattened()) {
                for (sum, counts) in sums.iter_mut().zip(widen(*counts)) {
                    *sum = _mm256_add_epi16(*sum, counts);
                }
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2")]
fn widen(counts: Short) -> Long {
    [_mm256_and_si256(counts, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(counts)]
}

/// Counts in the order of rows, eight in each register.
#[inline]
#[target_feature(enable = "avx2")]
fn in_order([even, odd]: Long) -> [__m256i; 4] {
    let (low, high) = (_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd));
    [
        _mm256_cvtepu16_epi32(_mm256_castsi256_si128(low)),
        _mm256_cvtepu16_epi32(_mm256_castsi256_si128(high)),
        _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(low)),
        _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(high)),
    ]
}

/// Appends every (query, row) whose distance is below the bound of the query.
#[target_feature(enable = "avx2")]
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
    for (step, lanes) in words.chunks_exact(NIBBLES_PER_WORD * query.len()).enumerate() {
        if query.len() > LONG_WORDS {
            step_distances(lanes, query, distances.each_mut().map(|row| &mut row[..]));
        } else {
            let near =
                if is_short { near_short(lanes, query, bounds) } else { near_long(lanes, query, bounds) };
            let Some(counts) = near else { continue };
            write_all(&counts, distances.each_mut().map(|row| &mut row[..]));
        }
        collect(&distances, bounds, first_row + (step * ROWS_PER_STEP) as u32, hits);
    }
}

/// Distances, if any of them is below its bound; bounds fit a byte.
#[inline]
#[target_feature(enable = "avx2")]
fn near_short(
    lanes: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    bounds: [u32; QUERIES_PER_GROUP],
) -> Option<[[Long; 2]; QUERIES_PER_GROUP]> {
    let counts = short_counts(lanes, query);
    let mut near = _mm256_setzero_si256();
    for slot in 0..QUERIES_PER_GROUP {
        let bound = _mm256_set1_epi8(bounds[slot] as i8);
        for counts in counts[slot] {
            near = _mm256_or_si256(near, _mm256_subs_epu8(bound, counts));
        }
    }
    if _mm256_testz_si256(near, near) != 0 {
        return None;
    }
    let mut least = counts[0][0];
    let mut long = [[[_mm256_setzero_si256(); 2]; 2]; QUERIES_PER_GROUP];
    for (long, counts) in long.as_flattened_mut().iter_mut().zip(counts.as_flattened()) {
        least = _mm256_min_epu8(least, *counts);
        *long = widen(*counts);
    }
    let has_zero = _mm256_movemask_epi8(_mm256_cmpeq_epi8(least, _mm256_setzero_si256())) != 0;
    let may_be_256 = has_zero && lanes.len() == SHORT_NIBBLES + 1;
    if may_be_256 { near_long(lanes, query, bounds) } else { Some(long) }
}

/// [`near_short`] for any bounds, and up to [`LONG_WORDS`] words.
#[inline]
#[target_feature(enable = "avx2")]
fn near_long(
    lanes: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    bounds: [u32; QUERIES_PER_GROUP],
) -> Option<[[Long; 2]; QUERIES_PER_GROUP]> {
    let counts = long_counts::<PAIRS_PER_GROUP, 2>(lanes, [tables_of(query, 0), tables_of(query, 1)]);
    let [[first, second], [third, fourth]] = counts;
    let counts = [first, second, third, fourth];
    let mut near = _mm256_setzero_si256();
    for slot in 0..QUERIES_PER_GROUP {
        let bound = _mm256_set1_epi16(bounds[slot].min(u32::from(u16::MAX)) as i16);
        for counts in counts[slot].as_flattened() {
            near = _mm256_or_si256(near, _mm256_subs_epu16(bound, *counts));
        }
    }
    let is_far = _mm256_testz_si256(near, near) != 0;
    (!is_far).then_some(counts)
}

#[cold]
#[inline(never)]
#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
pub(super) fn distances(
    words: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    out: [&mut [i32]; QUERIES_PER_GROUP],
) {
    let mut out = out.map(|row| row.chunks_mut(ROWS_PER_STEP));
    for lanes in words.chunks_exact(NIBBLES_PER_WORD * query.len()) {
        step_distances(lanes, query, out.each_mut().map(|row| row.next().unwrap_or_default()));
    }
}

/// [`distances`] for the rows of one step, as many as there is room for.
#[inline]
#[target_feature(enable = "avx2")]
fn step_distances(lanes: &[Lanes], query: &[[u64; QUERIES_PER_GROUP]], out: [&mut [i32]; QUERIES_PER_GROUP]) {
    let [first, second] = [tables_of(query, 0), tables_of(query, 1)];
    if query.len() <= LONG_WORDS {
        return part_distances(lanes, [first, second], out);
    }
    let mut sums = [[0; ROWS_PER_STEP]; QUERIES_PER_GROUP];
    let part_len = NIBBLES_PER_WORD * LONG_WORDS;
    let parts = first.chunks(part_len).zip(second.chunks(part_len));
    for (lanes, (first, second)) in lanes.chunks(part_len).zip(parts) {
        let mut part = [[0; ROWS_PER_STEP]; QUERIES_PER_GROUP];
        part_distances(lanes, [first, second], part.each_mut().map(|row| &mut row[..]));
        for (sum, part) in sums.as_flattened_mut().iter_mut().zip(part.as_flattened()) {
            *sum += part;
        }
    }
    for (out, sums) in out.into_iter().zip(sums) {
        out.copy_from_slice(&sums[..out.len()]);
    }
}

/// [`step_distances`] for up to [`LONG_WORDS`] words.
#[inline]
#[target_feature(enable = "avx2")]
fn part_distances(lanes: &[Lanes], tables: [&[u8]; PAIRS_PER_GROUP], out: [&mut [i32]; QUERIES_PER_GROUP]) {
    match (out[1].is_empty(), out[0].len() > ROWS_PER_REGISTER) {
        (true, _) => write_all(long_counts::<1, 2>(lanes, [tables[0]]).as_flattened(), out),
        (false, true) => write_all(long_counts::<PAIRS_PER_GROUP, 2>(lanes, tables).as_flattened(), out),
        (false, false) => write_all(long_counts::<PAIRS_PER_GROUP, 1>(lanes, tables).as_flattened(), out),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn write_all<const HALVES: usize>(counts: &[[Long; HALVES]], out: [&mut [i32]; QUERIES_PER_GROUP]) {
    for (counts, out) in counts.iter().zip(out) {
        write(counts, out);
    }
}

/// Writes counts for as many rows as there is room for.
#[inline]
#[target_feature(enable = "avx2")]
fn write(counts: &[Long], out: &mut [i32]) {
    for (counts, out) in counts.iter().zip(out.chunks_mut(ROWS_PER_REGISTER)) {
        let (eights, last) = out.as_chunks_mut::<8>();
        let mut distances = in_order(*counts).into_iter();
        for (eight, distances) in eights.iter_mut().zip(&mut distances) {
            store_distances(eight, distances);
        }
        if let (false, Some(distances)) = (last.is_empty(), distances.next()) {
            let mut eight = [0; 8];
            store_distances(&mut eight, distances);
            last.copy_from_slice(&eight[..last.len()]);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_distances(eight: &mut [i32; 8], distances: __m256i) {
    // SAFETY: `eight` is 32 bytes.
    unsafe { _mm256_storeu_si256(eight.as_mut_ptr().cast(), distances) };
}

/// Appends every untransposed row whose distance to the query is below the bound. Memory is the bottleneck, and the scalar
/// `popcnt` keeps up with it.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn scan_rows(query: &[u8], codes: Codes<'_>, bound: u32, first_row: u32, hits: &mut Hits) {
    portable::scan_rows(query, codes, bound, first_row, hits);
}

/// Writes the distance of the query to the rows with the given ids. Memory is the bottleneck.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn distances_of(query: &[u8], codes: Codes<'_>, ids: &[usize], out: &mut [u32]) {
    portable::distances_of(query, codes, ids, out);
}

/// Writes the distance of the query to each untransposed row.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn row_distances(query: &[u8], codes: Codes<'_>, out: &mut [i32]) {
    portable::row_distances(query, codes, out);
}
