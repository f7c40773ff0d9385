//! Asymmetric distance computation: vectors are kept as codes of M parts, queries as tables; a distance is a sum of M look-ups.
//!
//! Product quantisation cuts a vector into M parts and keeps of each the number of the nearest of K codewords. A query stays
//! exact: its table has the distance of each of its parts to each codeword, and `sum_m T[m][code_m]` is its distance to a row.
//! Sums are float32, added up over m = 0, 1, .. from zero, so that they are the same everywhere, to the bit.
//!
//! | file | what it is for |
//! |---|---|
//! | `blocks` | codes in blocks of 256 rows, where a register holds one subspace of 64 of them |
//! | `bound` | tables in bytes whose sums bound the float sums from below, and the proof |
//! | `search` | brings each block before each query: bounds all rows, sums up the few that are left |
//! | `codewords` | tables, nearest codewords, and the sums of what belongs to a codeword |

mod blocks;
mod bound;
mod codewords;
mod portable;
mod search;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::borrow::Cow;

use crate::level::at_level;
use crate::{Codes, Error, Level};

pub use blocks::{Blocks, pack, packed_bytes, unpack};
pub use codewords::{Codebooks, Metric, Vectors, add_up, encode, tables};
pub use search::{knn, radius, scan};

use blocks::{ROWS, Width};
use bound::Floor;
use codewords::{Codebook, LANES, Nearest};

/// The look-up tables of some queries: `values[query][subspace][codeword]`.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    values: &'a [f32],
    n_queries: usize,
    n_subspaces: usize,
    n_codewords: usize,
}

impl<'a> Tables<'a> {
    /// Tables of up to 256 codewords.
    ///
    /// # Errors
    /// [`Error::Codewords`] for none or too many of them, [`Error::EmptyAxis`] without subspaces, [`Error::InputLength`] if
    /// `values` are not that many, [`Error::NotFinite`] if one of them is NaN or infinite.
    pub fn new(
        values: &'a [f32],
        n_queries: usize,
        n_subspaces: usize,
        n_codewords: usize,
    ) -> Result<Self, Error> {
        check_codewords("tables", n_codewords)?;
        if n_subspaces == 0 {
            return Err(Error::EmptyAxis { name: "tables", axis: "subspaces" });
        }
        check_length("tables", values, &[n_queries, n_subspaces, n_codewords])?;
        check_finite("tables", values)?;
        Ok(Tables { values, n_queries, n_subspaces, n_codewords })
    }

    /// Queries.
    pub fn n_queries(&self) -> usize {
        self.n_queries
    }

    /// Subspaces of each query.
    pub fn n_subspaces(&self) -> usize {
        self.n_subspaces
    }

    /// Codewords of each subspace.
    pub fn n_codewords(&self) -> usize {
        self.n_codewords
    }

    /// Tables of `N` entries, one after the other; entries without a codeword are infinite.
    fn padded<const N: usize>(&self) -> Result<Cow<'a, [[f32; N]]>, Error> {
        if self.n_codewords == N {
            return Ok(Cow::Borrowed(self.values.as_chunks().0));
        }
        let mut padded = crate::error::try_vec([f32::INFINITY; N], self.n_queries * self.n_subspaces)?;
        for (padded, table) in padded.iter_mut().zip(self.values.chunks_exact(self.n_codewords)) {
            padded[..self.n_codewords].copy_from_slice(table);
        }
        Ok(Cow::Owned(padded))
    }
}

fn check_codewords(name: &'static str, n_codewords: usize) -> Result<(), Error> {
    if (1..=256).contains(&n_codewords) { Ok(()) } else { Err(Error::Codewords { name, n_codewords }) }
}

fn check_length(name: &'static str, values: &[f32], shape: &[usize]) -> Result<(), Error> {
    let expected = shape.iter().fold(1_usize, |product, n| product.saturating_mul(*n));
    if values.len() == expected {
        Ok(())
    } else {
        Err(Error::InputLength { name, given: values.len(), expected })
    }
}

fn check_finite(name: &'static str, values: &[f32]) -> Result<(), Error> {
    // In chunks, each without a branch: vector code.
    let bad = |chunk: &[f32]| chunk.iter().fold(false, |bad, value| bad | !value.is_finite());
    match values.chunks(4096).position(bad) {
        None => Ok(()),
        Some(chunk) => {
            let index = (chunk * 4096..).zip(&values[chunk * 4096..]).find(|(_, value)| !value.is_finite());
            let (index, value) = index.map_or((0, f32::NAN), |(index, value)| (index, *value));
            Err(Error::NotFinite { name, index, value: value.to_string() })
        }
    }
}

// --- kernels ---------------------------------------------------------------------------------------------------------

/// Rows of a block, a bit each.
type Lanes = [u64; ROWS / 64];

/// Rows of a block whose bound is within the limit of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hit {
    /// Which of the queries.
    slot: u32,
    /// Which of the blocks.
    block: u32,
    lanes: Lanes,
}

/// Writes up to [`ROWS`] rows as one block, and returns the largest code among them.
fn pack_block(level: Level, rows: Codes<'_>, width: Width, planes: &mut [u8]) -> u8 {
    at_level!(level, pack_block(rows, width, planes))
}

/// Writes `min(255, (entry - smallest) * scale)`, rounded towards zero, for each entry of each table.
fn floor<const N: usize>(
    level: Level,
    tables: &[[f32; N]],
    smallest: &[f32],
    scale: f64,
    floors: &mut [[u8; N]],
) {
    at_level!(level, floor(tables, smallest, scale, floors));
}

/// Appends the rows of whole blocks whose sums of floors are within the limit, for each of a few queries.
fn bound_sums<const N: usize, const QUERIES: usize>(
    level: Level,
    floors: [&Floor<N>; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<Hit>,
) {
    let tables = floors.map(|floor| floor.tables.as_flattened());
    let limits = floors.map(|floor| floor.limit);
    match N {
        16 => at_level!(level, bound_nibbles(tables, limits, blocks, hits)),
        _ => at_level!(level, bound_bytes(tables, limits, blocks, hits)),
    }
}

/// Writes the float sums of rows `first_row..` of one block, as many as `out` has room for; both are multiples of [`LANES`].
fn sums<const N: usize>(level: Level, tables: &[[f32; N]], planes: &[u8], first_row: usize, out: &mut [f32]) {
    match N {
        16 => at_level!(level, sum_nibbles(tables.as_flattened(), planes, first_row, out)),
        _ => at_level!(level, sum_bytes(tables.as_flattened(), planes, first_row, out)),
    }
}

/// The rows of a block that have the same code as one of them.
fn alike(level: Level, planes: &[u8], row: usize) -> Lanes {
    at_level!(level, alike(planes, row))
}

/// Writes how near each codeword is to a part of a query; `transposed` codewords have one dimension after the other.
fn table(level: Level, part: &[f32], transposed: &[f32], metric: Metric, table: &mut [f32]) {
    at_level!(level, table(part, transposed, metric, table));
}

/// Likewise, with codewords one after the other.
fn table_as_is(level: Level, part: &[f32], codewords: &[f32], metric: Metric, table: &mut [f32]) {
    at_level!(level, table_as_is(part, codewords, metric, table));
}

/// Finds for each lane of `columns` (one array a dimension) the nearest codeword, the lowest of equal ones.
fn nearest(level: Level, columns: &[[f32; LANES]], codebook: Codebook<'_>, found: &mut Nearest) {
    at_level!(level, nearest(columns, codebook, found));
}

#[cfg(test)]
mod tests {
    use std::array;

    use bound::{ALONE, GROUP};

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
        let blocks: Vec<u8> = (0..N_BLOCKS * n_planes * ROWS).map(|_| code()).collect();
        let tables: [Vec<u8>; QUERIES] = array::from_fn(|_| (0..n_subspaces * N).map(|_| entry()).collect());
        let sum = |table: &[u8], block: usize, row: usize| {
            let mut entries = (0..n_subspaces).map(|subspace| {
                let plane = if N == 16 { subspace / 2 } else { subspace };
                let byte = blocks[(block * n_planes + plane) * ROWS + row];
                let code = if N == 16 { byte >> (subspace % 2 * 4) & 15 } else { byte };
                u16::from(table[subspace * N + code as usize])
            });
            let group = if n_subspaces > ALONE { GROUP } else { n_subspaces };
            let groups = n_subspaces.div_ceil(group);
            (0..groups).map(|_| entries.by_ref().take(group).sum::<u16>().min(255)).sum::<u16>()
        };
        let sums = tables.each_ref().map(|table| {
            array::from_fn::<_, N_BLOCKS, _>(|block| {
                array::from_fn::<_, ROWS, _>(|row| sum(table, block, row))
            })
        });
        let largest = if n_subspaces > ALONE { u16::MAX } else { 254 };
        for row in [0, 77, 255] {
            let limits = sums.map(|sums| sums[0][row].min(largest));
            let mut expected = Vec::new();
            for (slot, (sums, limit)) in sums.iter().zip(limits).enumerate() {
                for (block, sums) in sums.iter().enumerate() {
                    let mut lanes = [0; ROWS / 64];
                    for (row, _) in sums.iter().enumerate().filter(|(_, sum)| **sum <= limit) {
                        lanes[row / 64] |= 1 << (row % 64);
                    }
                    if lanes != [0; ROWS / 64] {
                        expected.push(Hit { slot: slot as u32, block: block as u32, lanes });
                    }
                }
            }
            for level in Level::available() {
                let (mut hits, tables) = (Vec::new(), tables.each_ref().map(Vec::as_slice));
                match N {
                    16 => at_level!(level, bound_nibbles(tables, limits, &blocks, &mut hits)),
                    _ => at_level!(level, bound_bytes(tables, limits, &blocks, &mut hits)),
                }
                hits.sort_by_key(|hit| (hit.slot, hit.block));
                assert_eq!(hits, expected, "{level:?}, {n_subspaces} subspaces of {N}, limits {limits:?}");
            }
        }
    }

    #[test]
    fn a_row_hits_if_its_sum_is_at_most_the_limit() {
        for n_subspaces in [2, 4, 16, 30, 32, 34, 48, 64, 96, 130] {
            // Sums about the limits of a byte, sums that stop there, and small ones that are often equal.
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
