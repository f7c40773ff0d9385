//! Products of matrices whose numbers are a few bits: what binary and low-bit networks compute.
//!
//! A row of bits stands for a row of numbers: -1 and +1 ([`Values::Signs`]), or 0 and 1 as one bit plane of small integers
//! ([`Values::Planes`]). For bits `a` and `b` of two rows, with `d = popcount(a ^ b)`, `|a| = popcount(a)` and `n` numbers a row:
//!
//! | numbers of `a` | numbers of `b` | dot product |
//! |---|---|---|
//! | signs | signs | `n - 2 d` |
//! | bits | signs | `\|b\| - d` |
//! | bits | bits | `(\|a\| + \|b\| - d) / 2` |
//!
//! Planes add up, each times its weight. So every product of bits follows from Hamming distances, and the kernels of
//! [`crate::popcount`] are the only ones: with a carry-save adder in them, or look-ups, they need fewer instructions a word than
//! xor, popcount and add. Bytes as they come, images for example, are not taken apart into planes: there are instructions that
//! multiply them by signs and add up a few at a time, and at AVX2 look-ups for many signs.
//!
//! | file | what it is for |
//! |---|---|
//! | `operand` | rows of a few bits a number, and a right-hand side that was prepared for many products |
//! | `multiply` | brings each tile of the right-hand side before the rows of a task, and distances into dot products |
//! | `bytes` | the same for rows of bytes and signs |
//! | `subsets` | these products at AVX2, by sums of bytes to look up |
//! | `pieces` | rows and columns that a task takes on |
//! | `output` | what becomes of dot products: integers, bits of the next layer, or scaled floats |
//! | `conv` | convolution: which bits of an image belong to a row of the left-hand side |
//! | `pool` | the maximum of bits |
//! | `planes` | small integers as bit planes |

mod bytes;
mod conv;
mod multiply;
mod operand;
mod output;
mod pieces;
mod planes;
mod pool;
mod portable;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod subsets;

pub use bytes::{ByteValues, byte_matmul};
pub use conv::{Conv, Filters, Images, Padding, conv2d};
pub use multiply::matmul;
pub use operand::{Matrix, Operand, Values};
pub use output::Output;
pub use planes::planes;
pub use pool::{max_pool2d, out_shape as pooled_shape};
