//! Additive quantisation: a vector is approximated by the sum of one codeword from each of M codebooks, all of the dimension of the
//! vector. Finding the best M codewords is hard (a Markov random field over M variables of K values), so encoders are
//! heuristics: [`beam`] chooses one codeword after the other and keeps the best partial sums (Babenko and Lempitsky, CVPR 2014);
//! [`local_search`] improves all of them in turns (iterated conditional modes, "ICM") and escapes from local minima by random
//! changes (Martinez, Clement, Hoos and Little, ECCV 2016); [`composite_search`] does so under a constraint on their products.
//!
//! All work on two kinds of tables, since
//! `|x - sum_m c_m|^2 = |x|^2 + sum_m (|c_m|^2 - 2 x . c_m) + sum_{i < j} 2 c_i . c_j`:
//!
//! | table | entries | made by |
//! |---|---|---|
//! | unary | `\|c\|^2 - 2 x . c`, for each vector and codeword | [`products`], for a group of vectors |
//! | pairwise | `2 c_i . c_j`, for each two codewords of different codebooks | [`products`], once per call |
//!
//! Codes depend on the vector, the codebooks and the seed only: not on the other vectors, the threads or the level.

mod beam;
mod changes;
mod composite;
mod local_search;
mod operand;
mod portable;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

use crate::Level;
use crate::level::at_level;

pub use beam::beam;
pub use composite::{Constraint, composite_search};
pub use local_search::{Search, local_search};

/// The largest number of codebooks: their pairwise tables grow with its square.
pub const MAX_CODEBOOKS: usize = 64;

/// Vectors that are multiplied with codewords together.
const ROWS_PER_GROUP: usize = 16;

/// Codewords of a panel, dimension by dimension.
const LANES: usize = 16;

/// Codewords of a [`Line`].
const ENTRIES_PER_LINE: usize = 64;

/// Codewords of a [`FloatLine`].
const FLOATS_PER_LINE: usize = 32;

/// Entries of a table in 16 bits: those of 64 codewords, in two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u16; ENTRIES_PER_LINE]);

/// Entries of a table: those of 32 codewords, in two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct FloatLine([f32; FLOATS_PER_LINE]);

/// The best codeword of a row so far, and its sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Best {
    sum: u16,
    codeword: u16,
}

/// The best codeword of a row under a [`Constraint`] so far.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Constrained {
    cost: f32,
    codeword: u32,
    /// The sum of its pairwise entries.
    sum: f32,
    /// The sum of those of the other codewords with each other, less the wanted sum of all.
    rest: f32,
}

/// Some codewords of a codebook, and the rows of a tile that look for the best. `L` is a [`Line`] or a [`FloatLine`].
struct Candidates<'a, L> {
    /// The number of the first of these codewords.
    first: usize,
    /// Of each row of the tile.
    unaries: &'a [L],
    /// A line for each codeword of each other codebook.
    pairs: &'a [L],
    /// Those of the other codebooks that count: where their lines begin, and their column in `codes`.
    others: &'a [(usize, usize)],
    /// The codes of the rows of the tile.
    codes: &'a [u8],
    n_books: usize,
    /// The rows to look at.
    rows: &'a [u32],
}

/// Writes `start + sum_j row_j panel_j` for each row and each codeword of each panel, added over the dimensions `j` in order.
///
/// `rows` are [`ROWS_PER_GROUP`] rows of `n_dims` values, `panels` have `n_dims` elements each, `out` has a row of
/// `LANES * start.len()` values for each row.
fn products(
    level: Level,
    rows: &[f32],
    n_dims: usize,
    panels: &[[f32; LANES]],
    start: &[[f32; LANES]],
    out: &mut [f32],
) {
    at_level!(level, products(rows, n_dims, panels, start, out));
}

/// For each of the rows, takes the first of the codewords with the smallest saturating sum of its entries if that is below the best
/// sum so far.
fn improve(level: Level, candidates: &Candidates<'_, Line>, best: &mut [Best]) {
    at_level!(level, improve(candidates, best));
}

/// For each of the rows, takes the first of the codewords with the smallest `unary + sum + penalty (rest + sum)^2`, where `sum` is the
/// sum of its pairwise entries, if that is below the best cost so far.
fn improve_constrained(
    level: Level,
    candidates: &Candidates<'_, FloatLine>,
    penalty: f32,
    best: &mut [Constrained],
) {
    at_level!(level, improve_constrained(candidates, penalty, best));
}

/// Returns the squared length of `x` minus some codewords: [`LANES`] sums of squares, added up in order.
fn squared_error<'a>(
    level: Level,
    x: &[[f32; LANES]],
    codewords: impl Iterator<Item = &'a [[f32; LANES]]> + Clone,
) -> f32 {
    at_level!(level, squared_error(x, codewords))
}

/// Adds the entries of a row of a table to sums.
fn add(level: Level, sums: &mut [[f32; LANES]], entries: &[[f32; LANES]]) {
    at_level!(level, add(sums, entries));
}
