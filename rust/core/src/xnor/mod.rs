//! Exact products of matrices of low-bit numbers: what binary and low-bit networks compute.
//!
//! A row of bits stands for a row of numbers: -1 and +1 ([`Values::Signs`]), or 0 and 1 as one bit plane of small integers
//! (the other [`Values`]). For bits `a` and `b` of two rows, with `d = popcount(a ^ b)`, `|a| = popcount(a)` and `n` numbers
//! per row:
//!
//! | numbers of `a` | numbers of `b` | dot product |
//! |---|---|---|
//! | signs | signs | `n - 2 d` |
//! | bits | signs | `\|b\| - d` |
//! | bits | bits | `(\|a\| + \|b\| - d) / 2` |
//!
//! The products of planes add up, each times its weight. So every product of bits follows from Hamming distances, and the
//! popcount kernels serve them all: with a carry-save adder or look-ups, they need fewer instructions per word than xor,
//! popcount and add. Bytes, such as images, are not split into planes: they are multiplied by signs directly, and at AVX2 by
//! look-ups if there are many signs.
//!
//! | file | holds |
//! |---|---|
//! | `operand` | rows of low-bit numbers, and a right-hand side prepared for many products |
//! | `multiply` | products of bits, from distances to dot products |
//! | `bytes` | products of bytes and signs |
//! | `layout`, `signs` | how these products arrange both sides |
//! | `subsets` | these products at AVX2, by look-ups of sums of bytes |
//! | `pieces` | the rows and columns of a task |
//! | `output` | from dot products to results: integers, bits of the next layer, or scaled floats |
//! | `conv` | convolution: the patches of an image as rows of the left-hand side |
//! | `pool` | max pooling |
//! | `planes` | splits small integers into bit planes |

mod bytes;
mod conv;
mod layout;
mod multiply;
mod operand;
mod output;
mod pieces;
mod planes;
mod pool;
mod portable;
mod signs;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod subsets;

use std::ops::Range;

use crate::level::at_level;
use crate::{Codes, Error, Level};
pub use bytes::{ByteValues, byte_matmul};
pub use conv::{Conv, Filters, Images, Padding, conv2d};
use layout::{ByteScratch, SignTiles};
pub use multiply::matmul;
pub use operand::{Matrix, Operand, Values};
pub use output::Output;
pub use planes::planes;
pub use pool::{max_pool2d, out_shape as pooled_shape};

/// Writes dot products: `dot = (column + row - factor * distance) / 2`, which is a whole number.
fn to_dots(level: Level, distances: &[i32], factor: i32, columns: &[i32], row: i32, dots: &mut [i32]) {
    at_level!(level, to_dots(distances, factor, columns, row, dots));
}

/// Subtracts distances from sums: `sum -= factor * distance`.
fn subtract(level: Level, distances: &[i32], factor: i32, sums: &mut [i32]) {
    at_level!(level, subtract(distances, factor, sums));
}

/// Writes a bit for each `dot >= threshold`, the first in the highest bit of a byte; padding is zero.
fn above(level: Level, dots: &[i32], thresholds: &[i32], out: &mut [u8]) {
    at_level!(level, above(dots, thresholds, out));
}

/// Writes `dot * scale + bias`, rounded after each operation.
fn scale_and_add(level: Level, dots: &[i32], scale: &[f32], bias: &[f32], out: &mut [f32]) {
    at_level!(level, scale_and_add(dots, scale, bias, out));
}

/// Writes the lowest planes of rows of bytes, one slice of `out` for each plane.
fn split_planes(level: Level, values: Codes<'_>, out: &mut [&mut [u8]]) {
    at_level!(level, split_planes(values, out));
}

/// Whether products of bytes by this many columns of this many signs take the signs as bits.
#[cfg(target_arch = "x86_64")]
fn keeps_bits(level: Level, n_columns: usize, n_features: usize) -> bool {
    at_level!(level, keeps_bits(n_columns, n_features))
}

/// Calls `receive(row, columns, sums)` for the products of rows of bytes by signs.
fn byte_sums(
    level: Level,
    rows: Codes<'_>,
    signs: &SignTiles,
    columns: Range<usize>,
    scratch: &mut ByteScratch,
    receive: impl FnMut(usize, Range<usize>, &[i32]),
) -> Result<(), Error> {
    at_level!(level, byte_sums(rows, signs, columns, scratch, receive))
}
