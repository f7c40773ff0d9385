//! RaBitQ: vectors as a few bits per dimension, with an unbiased estimate of their inner products.
//!
//! A vector `x`, rotated by a random rotation, is replaced by the grid point `u` whose direction is near its own, one number of
//! `n_bits` bits per dimension. With the factor `f = |x|^2 / <u, x>`, the vector `f u` has the inner product `|x|^2` with `x`, and
//! what it errs by is orthogonal to `x` and, since the rotation is random, of no preferred direction: `<f u, q>` is `<x, q>` on
//! average over rotations, for every `q` (Gao and Long, *RaBitQ*, SIGMOD 2024, theorem 3.2; for more bits Gao et al., SIGMOD 2025).
//!
//! ```text
//! n_bits   grid per dimension                                                       levels u, for the numbers 0, 1, ...
//! 1        signs                                                                    -1, 1
//! 2..4     the quantiser of a Gaussian with the smallest error (Max, 1960)          integers from -63 to 63: see `Grid`
//! 5..8     uniform                                                                  odd integers: 2 number + 1 - 2^n_bits
//! ```
//!
//! A query is rounded to integers, so that its product with a grid point is a sum of integers, which is the same in any order.
//! Distances are made of it by the same float operations at every level:
//!
//! ```text
//! inner = step * <u, w>                        query q ~ step * w
//! l2    = (offset + added) + (-2 f) * inner    offset = |q|^2, added = |x|^2
//! ip    = (offset + added) + (-f) * inner      both 0, or what a model knows exactly
//! ```
//!
//! | file | contents |
//! |---|---|
//! | `grid` | the levels of each number of bits, and the order of the bits in a row |
//! | `encode` | rows to numbers and factors |
//! | `refine` | levels chosen by the error that queries see |
//! | `queries` | queries as integers: tables of the sums of four, or bytes |
//! | `search` | `knn`, `radius` and `scan`; the first two in inverted lists, too |

mod encode;
mod grid;
mod portable;
mod queries;
mod refine;
mod search;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

use crate::level::at_level;
use crate::{Codes, Level};

pub use encode::{decode, encode, errors};
pub use grid::Grid;
pub use queries::{Metric, Queries};
pub use refine::Weights;
pub use search::{Database, cdist, knn, lists_knn, lists_radius, radius, scan};

use encode::Products;
use grid::Levels;
use queries::Finish;

/// The most dimensions: with more, sums of products might not fit 32 bits.
pub const MAX_DIMS: usize = 1 << 16;

/// Dimensions are a multiple of this, so that rows are whole bytes for any number of bits.
pub const DIMS_PER_GROUP: usize = 8;

/// Rows of a block, as in [`adc`](crate::adc).
const ROWS_PER_BLOCK: usize = crate::adc::ROWS_PER_BLOCK;

/// Rows whose levels are expanded together.
const ROWS_PER_TILE: usize = 16;

/// Queries that share the loads of codes.
const QUERIES_PER_PASS: usize = 4;

/// Bytes of the longest register that is used, to which levels and queries are padded with zeros.
const LINE_BYTES: usize = 64;

/// Planes of bits after which sums of 16 bits are widened: each adds at most 248.
const PLANES_PER_SUM: usize = 256;

/// Rows of a block, one bit each.
type BlockRows = [u64; ROWS_PER_BLOCK / 64];

/// Sums of one query over the rows of a block.
type BlockSums = [i32; ROWS_PER_BLOCK];

/// Assigns a level to each dimension, and returns the sums that the factors are made of.
fn quantize(level: Level, x: &[f32], levels: &Levels, numbers: &mut [u8]) -> Products {
    at_level!(level, quantize(x, levels, numbers))
}

/// Adds `factor` times each value to the sums, rounding twice.
fn multiply_add(level: Level, factor: f32, values: &[f32], sums: &mut [f32]) {
    at_level!(level, multiply_add(factor, values, sums));
}

/// Writes the sums of the entries for the halves of bytes of `planes`, one plane of [`ROWS_PER_BLOCK`] bytes after the other. Each
/// query has two tables of 16 entries up to 124 per plane: for the low and the high half. `next` is the block that will be read then, or nothing.
fn sum_bits<const QUERIES: usize>(
    level: Level,
    tables: [&[[u8; 32]]; QUERIES],
    planes: &[u8],
    next: &[u8],
    sums: &mut [BlockSums; QUERIES],
) {
    at_level!(level, sum_bits(tables, planes, next, sums));
}

/// Writes the product of each query with each of up to [`ROWS_PER_TILE`] rows, the levels of which are bytes in the order of
/// [`Grid::place`]. No sum of two neighbouring products is beyond 16 bits. `expanded` has [`Grid::expanded_len`] bytes for each row,
/// for levels that are not multiplied in registers.
fn multiply(
    level: Level,
    codes: Codes<'_>,
    rows: &[usize],
    grid: Grid,
    queries: &[&[i8]],
    expanded: &mut [u8],
    products: &mut [[i32; ROWS_PER_TILE]],
) {
    at_level!(level, multiply(codes, rows, grid, queries, expanded, products));
}

/// Writes the distances of the rows of a block, as many as there are factors, and returns whether all are finite.
fn distances(
    level: Level,
    sums: &[&BlockSums],
    factors: &[[f32; 2]],
    finish: &Finish,
    out: &mut [f32; ROWS_PER_BLOCK],
) -> bool {
    at_level!(level, distances(sums, factors, finish, out))
}

/// The rows with a distance of at most this.
fn near(level: Level, distances: &[f32; ROWS_PER_BLOCK], limit: f32) -> BlockRows {
    at_level!(level, near(distances, limit))
}
