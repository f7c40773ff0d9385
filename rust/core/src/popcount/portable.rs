//! The specification in plain Rust. The compiler vectorises the loops over lanes.

use super::tile::{Lanes, QUERIES_PER_GROUP, ROWS_PER_BLOCK, for_each_block};
use super::{Hit, Hits};
use crate::codes::for_each_word;
use crate::{Codes, Error};

/// Rows of a step of a tile: two blocks.
pub(super) fn step_rows() -> usize {
    2 * ROWS_PER_BLOCK
}

/// A lane has a whole word of its row.
pub(super) fn lanes_per_word() -> usize {
    1
}

/// Kernels scan whole groups, most of which is wasted on few queries.
pub(super) fn few_queries() -> usize {
    QUERIES_PER_GROUP / 2
}

/// The words of a query, in the order of the query.
pub(super) fn arrange_queries(_n_words: usize, _words: &mut [[u64; QUERIES_PER_GROUP]]) -> Result<(), Error> {
    Ok(())
}

/// Transposes rows into blocks of `n_words` words.
#[inline(always)]
pub(super) fn transpose<'a>(
    rows: impl ExactSizeIterator<Item = &'a [u8]>,
    n_words: usize,
    words: &mut [Lanes],
) {
    for_each_block(rows, n_words, words, |rows, block| {
        for (lane, row) in rows.into_iter().enumerate() {
            for_each_word(row, |index, word| block[index].0[lane] = word);
        }
    });
}

/// Transposes consecutive rows.
#[inline(always)]
pub(super) fn transpose_all(codes: Codes<'_>, words: &mut [Lanes]) {
    transpose((0..codes.n_rows()).map(|row| codes.row(row)), codes.n_words(), words);
}

/// Distances of one block of a tile to each query of a group.
fn block_distances(
    block: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
) -> [[u32; ROWS_PER_BLOCK]; QUERIES_PER_GROUP] {
    let mut distances = [[0; ROWS_PER_BLOCK]; QUERIES_PER_GROUP];
    for (lanes, query_words) in block.iter().zip(query) {
        for (distances, query_word) in distances.iter_mut().zip(query_words) {
            for (distance, word) in distances.iter_mut().zip(lanes.0) {
                *distance += (word ^ query_word).count_ones();
            }
        }
    }
    distances
}

/// Appends every (query, row) whose distance is below the bound of the query.
pub(super) fn scan(
    words: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    bounds: [u32; QUERIES_PER_GROUP],
    first_row: u32,
    hits: &mut Hits,
) {
    for (block, words) in words.chunks_exact(query.len()).enumerate() {
        for (slot, distances) in block_distances(words, query).iter().enumerate() {
            if distances.iter().all(|distance| *distance >= bounds[slot]) {
                continue;
            }
            for (lane, &distance) in distances.iter().enumerate() {
                if distance < bounds[slot] {
                    hits.push(Hit {
                        slot: slot as u32,
                        row: first_row + (block * ROWS_PER_BLOCK + lane) as u32,
                        distance,
                    });
                }
            }
        }
    }
}

/// Writes the distance of each query of a group to each row.
pub(super) fn distances(
    words: &[Lanes],
    query: &[[u64; QUERIES_PER_GROUP]],
    out: [&mut [i32]; QUERIES_PER_GROUP],
) {
    let mut out = out.map(|row| row.chunks_mut(ROWS_PER_BLOCK));
    for words in words.chunks_exact(query.len()) {
        for (distances, out) in block_distances(words, query).iter().zip(&mut out) {
            for (out, distance) in out.next().into_iter().flatten().zip(distances) {
                *out = *distance as i32;
            }
        }
    }
}

/// Appends every untransposed row whose distance to the query is below the bound.
#[inline(always)]
pub(super) fn scan_rows(query: &[u8], codes: Codes<'_>, bound: u32, first_row: u32, hits: &mut Hits) {
    let contiguous = codes.stride() == codes.n_bytes();
    let done = match codes.n_bytes() {
        8 if contiguous => scan_short_rows::<1>(query, codes.as_bytes(), bound, first_row, hits),
        16 if contiguous => scan_short_rows::<2>(query, codes.as_bytes(), bound, first_row, hits),
        32 if contiguous => scan_short_rows::<4>(query, codes.as_bytes(), bound, first_row, hits),
        _ => 0,
    };
    for row in done..codes.n_rows() {
        let distance = row_distance(query, codes.row(row));
        if distance < bound {
            hits.push(Hit { slot: 0, row: first_row + row as u32, distance });
        }
    }
}

/// [`scan_rows`] for the whole blocks of rows of `WORDS` words; returns the number of their rows. One branch per block, and no
/// loop over words.
#[inline(always)]
fn scan_short_rows<const WORDS: usize>(
    query: &[u8],
    rows: &[u8],
    bound: u32,
    first_row: u32,
    hits: &mut Hits,
) -> usize {
    let word = |bytes: &[u8], index: usize| {
        bytes.as_chunks().0.get(index).map_or(0, |word| u64::from_ne_bytes(*word))
    };
    let query: [u64; WORDS] = std::array::from_fn(|index| word(query, index));
    let blocks = rows.chunks_exact(ROWS_PER_BLOCK * WORDS * 8);
    let n_rows = blocks.len() * ROWS_PER_BLOCK;
    for (block, rows) in blocks.enumerate() {
        let (words, _) = rows.as_chunks::<8>();
        let distances: [u64; ROWS_PER_BLOCK] = std::array::from_fn(|lane| {
            let row = words[lane * WORDS..][..WORDS].iter().zip(query);
            row.map(|(word, query)| u64::from((u64::from_ne_bytes(*word) ^ query).count_ones())).sum()
        });
        if distances.iter().fold(false, |any, distance| any | (*distance < u64::from(bound))) {
            for (lane, distance) in distances.iter().enumerate().filter(|(_, d)| **d < u64::from(bound)) {
                let row = first_row + (block * ROWS_PER_BLOCK + lane) as u32;
                hits.push(Hit { slot: 0, row, distance: *distance as u32 });
            }
        }
    }
    n_rows
}

/// Writes the distance of the query to each untransposed row.
#[inline(always)]
pub(super) fn row_distances(query: &[u8], codes: Codes<'_>, out: &mut [i32]) {
    for (row, out) in (0..codes.n_rows()).zip(out) {
        *out = row_distance(query, codes.row(row)) as i32;
    }
}

/// Writes the distance of the query to the rows with the given ids.
#[inline(always)]
pub(super) fn distances_of(query: &[u8], codes: Codes<'_>, ids: &[usize], out: &mut [u32]) {
    for (id, out) in ids.iter().zip(out) {
        *out = row_distance(query, codes.row(*id));
    }
}

// Always inlined, like its callers, so that a level which uses it compiles it with its own instructions.
#[inline(always)]
fn row_distance(query: &[u8], row: &[u8]) -> u32 {
    let (words, tail) = row.as_chunks();
    let (query_words, query_tail) = query.as_chunks();
    let in_words = words
        .iter()
        .zip(query_words)
        .map(|(word, query_word)| (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(*query_word)).count_ones());
    let in_tail = tail.iter().zip(query_tail).map(|(byte, query_byte)| (byte ^ query_byte).count_ones());
    in_words.sum::<u32>() + in_tail.sum::<u32>()
}
