//! AVX2 has no vector popcount, but a byte shuffle looks 32 nibbles up in a table of 16 bytes. For each half of a byte of a
//! query there is a table of the bits that differ from it, so one shuffle and one addition count four bits of 32 rows; xor
//! followed by a count takes eight instructions for eight bits. Tiles hold the same byte of 64 rows side by side:
//!
//! ```text
//! step 0   a0 b0 c0 ...   byte 0 of rows 0..64, 32 in each of two registers
//!          a1 b1 c1 ...   byte 1
//!          ...
//! step 1   ...            byte 0 of rows 64..128
//! ```
//!
//! Counts are bytes while they fit: for whole rows if the bounds fit a byte, else for 31 bytes, after which they are added to
//! counts of 16 bits. The bottleneck is the vector ports, with 38 instructions per byte of 64 rows and four queries.

#![allow(clippy::needless_range_loop, reason = "indices run over arrays of registers in step")]

use std::arch::x86_64::*;

use super::portable;
use super::tile::{Lanes, QUERIES_PER_GROUP};
use super::{Hit, Hits};
use crate::Codes;

/// Rows whose bytes lie side by side.
const ROWS_PER_STEP: usize = 64;

/// Rows whose bytes share a register.
const ROWS_PER_REGISTER: usize = ROWS_PER_STEP / 2;

/// Bytes of a word.
const BYTES_PER_WORD: usize = 8;

/// Bytes of codes whose counts fit a byte.
const SHORT_BYTES: usize = u8::MAX as usize / 8;

/// Bytes of a row that are transposed together: half a register.
const BYTES_PER_PIECE: usize = 16;

/// Words whose counts fit 16 bits, and stay below the largest such number.
const LONG_WORDS: usize = u16::MAX as usize / 64;

/// Bits that differ from the low half of a byte, by nibble; and from its high half.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Tables([[u8; 16]; 2]);

static TABLES: [Tables; 256] = {
    let mut tables = [Tables([[0; 16]; 2]); 256];
    let mut index = 0;
    while index < 256 * 16 {
        let (byte, nibble) = (index / 16, index % 16);
        tables[byte].0[0][nibble] = ((byte % 16) ^ nibble).count_ones() as u8;
        tables[byte].0[1][nibble] = ((byte / 16) ^ nibble).count_ones() as u8;
        index += 1;
    }
    tables
};

/// Rows of a step of a tile.
#[target_feature(enable = "avx2")]
pub(super) fn step_rows() -> usize {
    ROWS_PER_STEP
}

/// Look-ups are faster than counting words even for one query.
#[target_feature(enable = "avx2")]
pub(super) fn few_queries() -> usize {
    0
}

/// Puts the same byte of all queries of a group side by side.
#[target_feature(enable = "avx2")]
pub(super) fn arrange_queries(_n_words: usize, queries: &mut [[u64; QUERIES_PER_GROUP]]) {
    let pairs =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    for words in queries {
        let pairs = _mm256_shuffle_epi8(load(words), pairs);
        let (first, last) = (_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
        store(words, _mm256_set_m128i(_mm_unpackhi_epi16(first, last), _mm_unpacklo_epi16(first, last)));
    }
}

/// Transposes consecutive rows. The addresses of short ones are known at compile time.
#[target_feature(enable = "avx2")]
pub(super) fn transpose_all(codes: Codes<'_>, words: &mut [Lanes]) {
    for (index, step) in words.chunks_exact_mut(BYTES_PER_WORD * codes.n_words()).enumerate() {
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
    for step in words.chunks_exact_mut(BYTES_PER_WORD * n_words) {
        let Some(first) = rows.next() else { break };
        let mut step_rows = [first; ROWS_PER_STEP];
        for (place, row) in step_rows[1..].iter_mut().zip(&mut rows) {
            *place = row;
        }
        transpose_step(|row| step_rows[row], step);
    }
}

/// Writes byte 0 of each row, byte 1, ...; all rows have the same length.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_step<'a>(row: impl Fn(usize) -> &'a [u8], step: &mut [Lanes]) {
    let (pieces, last) = step.split_at_mut(row(0).len() / BYTES_PER_PIECE * BYTES_PER_PIECE);
    for half in 0..2 {
        for (index, lanes) in pieces.chunks_exact_mut(BYTES_PER_PIECE).enumerate() {
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
    for (lanes, bytes) in lanes.iter_mut().zip(bytes) {
        store(&mut lanes.0.as_chunks_mut::<4>().0[half], bytes);
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

/// The bytes of a group, as they were arranged.
#[inline]
fn query_bytes(query: &[[u64; QUERIES_PER_GROUP]]) -> &[[u8; QUERIES_PER_GROUP]] {
    // SAFETY: the same memory; any byte is valid, and needs no alignment.
    unsafe { std::slice::from_raw_parts(query.as_ptr().cast(), query.len() * BYTES_PER_WORD) }
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

/// Adds the bits that differ in some bytes. Saturating additions take longer, and are needed after [`SHORT_BYTES`] only.
#[inline]
#[target_feature(enable = "avx2")]
fn add_counts<const QUERIES: usize, const HALVES: usize, const SATURATING: bool>(
    lanes: &[Lanes],
    query: &[[u8; QUERIES_PER_GROUP]],
    counts: &mut [[Short; HALVES]; QUERIES],
) {
    let nibbles = _mm256_set1_epi8(0x0f);
    let add = |counts: &mut Short, bits| {
        *counts = if SATURATING { _mm256_adds_epu8(*counts, bits) } else { _mm256_add_epi8(*counts, bits) };
    };
    for (Lanes(lanes), query) in lanes.iter().zip(query) {
        let (halves, _) = lanes.as_chunks::<4>();
        let bytes: [__m256i; HALVES] = std::array::from_fn(|half| load(&halves[half]));
        for slot in 0..QUERIES {
            let Tables(tables) = &TABLES[usize::from(query[slot])];
            let [low_table, high_table] = [load_table(&tables[0]), load_table(&tables[1])];
            for half in 0..HALVES {
                let low = _mm256_and_si256(bytes[half], nibbles);
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes[half]), nibbles);
                add(&mut counts[slot][half], _mm256_shuffle_epi8(low_table, low));
                add(&mut counts[slot][half], _mm256_shuffle_epi8(high_table, high));
            }
        }
    }
}

/// Distances of the rows of a step to the queries of a group; what is above 255 becomes that.
#[inline]
#[target_feature(enable = "avx2")]
fn short_counts(lanes: &[Lanes], query: &[[u8; QUERIES_PER_GROUP]]) -> [[Short; 2]; QUERIES_PER_GROUP] {
    let mut counts = [[_mm256_setzero_si256(); 2]; QUERIES_PER_GROUP];
    let first = lanes.len().min(SHORT_BYTES);
    add_counts::<QUERIES_PER_GROUP, 2, false>(&lanes[..first], query, &mut counts);
    add_counts::<QUERIES_PER_GROUP, 2, true>(&lanes[first..], &query[first..], &mut counts);
    counts
}

/// Distances of rows of a step to the first queries of a group, up to [`LONG_WORDS`] of their words.
#[inline]
#[target_feature(enable = "avx2")]
fn long_counts<const QUERIES: usize, const HALVES: usize>(
    lanes: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
) -> [[Long; HALVES]; QUERIES] {
    let mut sums = [[[_mm256_setzero_si256(); 2]; HALVES]; QUERIES];
    for (lanes, query) in lanes.chunks(SHORT_BYTES).zip(query_bytes(query).chunks(SHORT_BYTES)) {
        let mut counts = [[_mm256_setzero_si256(); HALVES]; QUERIES];
        add_counts::<QUERIES, HALVES, false>(lanes, query, &mut counts);
        for slot in 0..QUERIES {
            for half in 0..HALVES {
                for (sum, counts) in sums[slot][half].iter_mut().zip(widen(counts[slot][half])) {
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
    for (step, lanes) in words.chunks_exact(BYTES_PER_WORD * query.len()).enumerate() {
        let out = distances.each_mut().map(|row| &mut row[..]);
        if query.len() > LONG_WORDS {
            step_distances(lanes, query, out);
        } else {
            let near =
                if is_short { near_short(lanes, query, bounds) } else { near_long(lanes, query, bounds) };
            let Some(counts) = near else { continue };
            write_all(&counts, out);
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
    let counts = short_counts(lanes, query_bytes(query));
    let mut near = _mm256_setzero_si256();
    for slot in 0..QUERIES_PER_GROUP {
        let bound = _mm256_set1_epi8(bounds[slot] as i8);
        for counts in counts[slot] {
            near = _mm256_or_si256(near, _mm256_subs_epu8(bound, counts));
        }
    }
    let is_far = _mm256_testz_si256(near, near) != 0;
    (!is_far).then(|| counts.map(|halves| halves.map(|counts| widen(counts))))
}

/// [`near_short`] for any bounds, and up to [`LONG_WORDS`] words.
#[inline]
#[target_feature(enable = "avx2")]
fn near_long(
    lanes: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    bounds: [u32; QUERIES_PER_GROUP],
) -> Option<[[Long; 2]; QUERIES_PER_GROUP]> {
    let counts = long_counts::<QUERIES_PER_GROUP, 2>(lanes, query);
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
fn collect(
    distances: &[[i32; ROWS_PER_STEP]; QUERIES_PER_GROUP],
    bounds: [u32; QUERIES_PER_GROUP],
    first_row: u32,
    hits: &mut Hits,
) {
    for (slot, (distances, bound)) in distances.iter().zip(bounds).enumerate() {
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
    for lanes in words.chunks_exact(BYTES_PER_WORD * query.len()) {
        step_distances(lanes, query, out.each_mut().map(|row| row.next().unwrap_or_default()));
    }
}

/// [`distances`] for the rows of one step, as many as there is room for.
#[inline]
#[target_feature(enable = "avx2")]
fn step_distances(lanes: &[Lanes], query: &[[u64; QUERIES_PER_GROUP]], out: [&mut [i32]; QUERIES_PER_GROUP]) {
    if query.len() <= LONG_WORDS {
        return short_distances(lanes, query, out);
    }
    let mut sums = [[0; ROWS_PER_STEP]; QUERIES_PER_GROUP];
    for (lanes, query) in lanes.chunks(BYTES_PER_WORD * LONG_WORDS).zip(query.chunks(LONG_WORDS)) {
        let mut part = [[0; ROWS_PER_STEP]; QUERIES_PER_GROUP];
        short_distances(lanes, query, part.each_mut().map(|row| &mut row[..]));
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
fn short_distances(
    lanes: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    out: [&mut [i32]; QUERIES_PER_GROUP],
) {
    match (out[1].is_empty(), out[0].len() > ROWS_PER_REGISTER) {
        (true, _) => write_all(&long_counts::<1, 2>(lanes, query), out),
        (false, true) => write_all(&long_counts::<QUERIES_PER_GROUP, 2>(lanes, query), out),
        (false, false) => write_all(&long_counts::<QUERIES_PER_GROUP, 1>(lanes, query), out),
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
