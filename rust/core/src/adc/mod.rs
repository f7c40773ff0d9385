//! Asymmetric distance computation: the database is product-quantised codes, queries are look-up tables, and a distance is a
//! sum of M look-ups.
//!
//! Product quantisation cuts a vector into M parts and replaces each by the number of the nearest of K codewords. A query stays
//! exact: its table holds the distance of each of its parts to each codeword, and `sum_m T[m][code_m]` is its distance to a row.
//! Sums are float32, added over m = 0, 1, ... from zero, so that they are the same everywhere, to the bit.
//!
//! | file | contents |
//! |---|---|
//! | `layout` | codes in blocks of 256 rows, where a register holds one subspace of 64 of them |
//! | `packed` | codes kept in blocks: rows appended, taken and removed |
//! | `tables` | look-up tables from queries and codebooks |
//! | `encode` | nearest codewords, and sums of the parts of each codeword |
//! | `bound` | tables in bytes whose sums bound the float sums from below, and the proof |
//! | `search` | bounds the sums of all rows, and sums the few that are left in float |

mod bound;
mod encode;
mod layout;
mod packed;
mod portable;
mod search;
mod tables;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

use crate::level::at_level;
use crate::{Codes, Error, Level};

pub use encode::{add_up, encode};
pub use layout::Blocks;
pub use packed::PackedCodes;
pub use search::{knn, lists_knn, lists_radius, radius, scan};
pub use tables::{Codebooks, TableMetric, Tables, Vectors, tables};

use bound::QuantizedTables;
use encode::{Codebook, Nearest, ROWS_PER_STRIP};
pub(crate) use layout::ROWS_PER_BLOCK;
use layout::Width;

/// Rows of a block, one bit each.
type BlockRows = [u64; ROWS_PER_BLOCK / 64];

/// Rows of a block whose bound is within the limit of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockHits {
    /// The query, by its position among those of the call.
    slot: u32,
    /// The block, likewise.
    block: u32,
    rows: BlockRows,
}

/// Writes up to [`ROWS_PER_BLOCK`] rows as one block, and returns the largest code among them.
fn pack_block(level: Level, rows: Codes<'_>, width: Width, planes: &mut [u8]) -> u8 {
    at_level!(level, pack_block(rows, width, planes))
}

/// Writes `min(255, (entry - smallest) * scale)`, rounded towards zero, for each entry of each table.
fn quantize<const N: usize>(
    level: Level,
    tables: &[[f32; N]],
    smallest: &[f32],
    scale: f64,
    quantized: &mut [[u8; N]],
) {
    at_level!(level, quantize(tables, smallest, scale, quantized));
}

/// Appends the rows of whole blocks whose quantised sums are within the limit, for each of a few queries: at most one element for
/// each block and query, for which there has to be room.
fn bound_sums<const N: usize, const QUERIES: usize>(
    level: Level,
    queries: [&QuantizedTables<N>; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    let tables = queries.map(|query| query.tables.as_flattened());
    let limits = queries.map(|query| query.limit);
    let is_coarse = |query: &&QuantizedTables<N>| !query.coarse.is_empty();
    match N {
        16 => at_level!(level, bound_nibbles(tables, limits, blocks, hits)),
        _ if queries.iter().all(is_coarse) => {
            let tables = queries.map(|query| query.coarse.as_slice());
            at_level!(level, bound_coarse(tables, limits, blocks, hits))
        }
        _ => at_level!(level, bound_bytes(tables, limits, blocks, hits)),
    }
}

/// Whether looking up 256 entries of four bits takes much less time than of eight.
fn coarse_is_faster(level: Level) -> bool {
    at_level!(level, coarse_is_faster())
}

/// Writes the float sums of rows `first_row..` of one block to all of `out`; `first_row` and its length are multiples of
/// [`ROWS_PER_STRIP`].
fn sums<const N: usize>(level: Level, tables: &[[f32; N]], planes: &[u8], first_row: usize, out: &mut [f32]) {
    match N {
        16 => at_level!(level, sum_nibbles(tables.as_flattened(), planes, first_row, out)),
        _ => at_level!(level, sum_bytes(tables.as_flattened(), planes, first_row, out)),
    }
}

/// The rows of a block that have the same code as one of them.
fn alike(level: Level, planes: &[u8], row: usize) -> BlockRows {
    at_level!(level, alike(planes, row))
}

/// Writes how near each codeword is to a part of a query; `transposed` codewords have one dimension after the other.
fn table(level: Level, part: &[f32], transposed: &[f32], metric: TableMetric, table: &mut [f32]) {
    at_level!(level, table(part, transposed, metric, table));
}

/// The same with codewords one after the other.
fn table_as_is(level: Level, part: &[f32], codewords: &[f32], metric: TableMetric, table: &mut [f32]) {
    at_level!(level, table_as_is(part, codewords, metric, table));
}

/// Finds the nearest codeword of each lane of `columns` (one array per dimension), the lowest of equal ones.
fn nearest(level: Level, columns: &[[f32; ROWS_PER_STRIP]], codebook: Codebook<'_>, found: &mut Nearest) {
    at_level!(level, nearest(columns, codebook, found));
}

#[cfg(test)]
mod tests {
    use std::array;

    use bound::{SUBSPACES_PER_BYTE, SUBSPACES_PER_GROUP};

    use super::*;

    /// Small numbers, from a fixed sequence.
    fn bytes(seed: u64, below: u64) -> impl FnMut() -> u8 {
        let mut state = seed * 2 + 1;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % below) as u8
        }
    }

    /// Compares the hits of `QUERIES` queries with sums taken one by one, where limits are sums that occur.
    fn check_hits<const N: usize, const QUERIES: usize>(n_subspaces: usize, entries_below: u64) {
        const N_BLOCKS: usize = 2;
        let (n_planes, seed) = (if N == 16 { n_subspaces / 2 } else { n_subspaces }, n_subspaces as u64);
        let (mut code, mut entry) = (bytes(seed, 256), bytes(seed + 1, entries_below));
        let blocks: Vec<u8> = (0..N_BLOCKS * n_planes * ROWS_PER_BLOCK).map(|_| code()).collect();
        let tables: [Vec<u8>; QUERIES] = array::from_fn(|_| (0..n_subspaces * N).map(|_| entry()).collect());
        let sum = |table: &[u8], block: usize, row: usize| {
            let mut entries = (0..n_subspaces).map(|subspace| {
                let plane = if N == 16 { subspace / 2 } else { subspace };
                let byte = blocks[(block * n_planes + plane) * ROWS_PER_BLOCK + row];
                let code = if N == 16 { byte >> (subspace % 2 * 4) & 15 } else { byte };
                u16::from(table[subspace * N + code as usize])
            });
            let group = if n_subspaces > SUBSPACES_PER_BYTE { SUBSPACES_PER_GROUP } else { n_subspaces };
            let groups = n_subspaces.div_ceil(group);
            (0..groups).map(|_| entries.by_ref().take(group).sum::<u16>().min(255)).sum::<u16>()
        };
        let sums = tables.each_ref().map(|table| {
            array::from_fn::<_, N_BLOCKS, _>(|block| {
                array::from_fn::<_, ROWS_PER_BLOCK, _>(|row| sum(table, block, row))
            })
        });
        let largest = if n_subspaces > SUBSPACES_PER_BYTE { u16::MAX } else { 254 };
        for row in [0, 77, 255] {
            let limits = sums.map(|sums| sums[0][row].min(largest));
            let mut expected = Vec::new();
            for (slot, (sums, limit)) in sums.iter().zip(limits).enumerate() {
                for (block, sums) in sums.iter().enumerate() {
                    let mut rows = [0; ROWS_PER_BLOCK / 64];
                    for (row, _) in sums.iter().enumerate().filter(|(_, sum)| **sum <= limit) {
                        rows[row / 64] |= 1 << (row % 64);
                    }
                    if rows != [0; ROWS_PER_BLOCK / 64] {
                        expected.push(BlockHits { slot: slot as u32, block: block as u32, rows });
                    }
                }
            }
            for level in Level::available() {
                let (mut hits, tables) = (Vec::new(), tables.each_ref().map(Vec::as_slice));
                match N {
                    16 => at_level!(level, bound_nibbles(tables, limits, &blocks, &mut hits)),
                    _ => at_level!(level, bound_bytes(tables, limits, &blocks, &mut hits)),
                }
                .unwrap();
                hits.sort_by_key(|hit| (hit.slot, hit.block));
                assert_eq!(hits, expected, "{level:?}, {n_subspaces} subspaces of {N}, limits {limits:?}");
            }
        }
    }

    /// The hits of coarse tables on every level, compared with those of the portable body: of `bound_bytes` with the entries in
    /// a byte each.
    fn check_coarse<const QUERIES: usize>(n_subspaces: usize) {
        let (mut code, mut entry) = (bytes(n_subspaces as u64, 256), bytes(n_subspaces as u64 + 1, 256));
        let blocks: Vec<u8> = (0..3 * n_subspaces * ROWS_PER_BLOCK).map(|_| code()).collect();
        let tables: [Vec<[u8; 128]>; QUERIES] =
            array::from_fn(|_| (0..n_subspaces).map(|_| array::from_fn(|_| entry())).collect());
        let whole = tables.each_ref().map(|tables| -> Vec<u8> {
            let halves = |table: &[u8; 128]| [table.map(|byte| byte & 0xF), table.map(|byte| byte >> 4)];
            tables.iter().flat_map(halves).flatten().collect()
        });
        for mean_entry in [3, 5, 7] {
            let limits = [mean_entry * n_subspaces as u16; QUERIES].map(|limit| match n_subspaces {
                ..=SUBSPACES_PER_BYTE => limit.min(254),
                _ => limit,
            });
            let mut expected = Vec::new();
            portable::bound_bytes(whole.each_ref().map(Vec::as_slice), limits, &blocks, &mut expected)
                .unwrap();
            expected.sort_by_key(|hit| (hit.slot, hit.block));
            for level in Level::available() {
                let (mut hits, tables) = (Vec::new(), tables.each_ref().map(Vec::as_slice));
                at_level!(level, bound_coarse(tables, limits, &blocks, &mut hits)).unwrap();
                hits.sort_by_key(|hit| (hit.slot, hit.block));
                assert_eq!(hits, expected, "{level:?}, {n_subspaces} subspaces, {mean_entry}");
            }
        }
    }

    #[test]
    fn coarse_tables_hit_the_rows_of_their_entries() {
        for n_subspaces in [1, 2, 8, 16, 17, 32, 33, 48, 96, 130] {
            check_coarse::<1>(n_subspaces);
            check_coarse::<2>(n_subspaces);
            check_coarse::<4>(n_subspaces);
        }
    }

    #[test]
    fn a_row_hits_if_its_sum_is_at_most_the_limit() {
        for n_subspaces in [2, 4, 16, 30, 32, 34, 48, 64, 96, 130] {
            // Sums about the limits of a byte, sums that saturate, and small ones that are often equal.
            for entries_below in [512 / n_subspaces as u64, 256, 3] {
                check_hits::<16, 1>(n_subspaces, entries_below);
                check_hits::<16, 2>(n_subspaces, entries_below);
                check_hits::<16, 4>(n_subspaces, entries_below);
                check_hits::<256, 1>(n_subspaces, entries_below);
                check_hits::<256, 2>(n_subspaces, entries_below);
                check_hits::<256, 1>(n_subspaces - 1, entries_below);
                check_hits::<256, 2>(n_subspaces - 1, entries_below);
            }
        }
    }
}
