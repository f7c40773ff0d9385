//! Kernels that search and multiply compact codes in place: pure Rust, no Python, no BLAS.
//!
//! # Conventions
//! A *code* is a row of packed bits. Dimension 0 is the highest bit of byte 0, as in `numpy.packbits`:
//!
//! ```text
//! dimension   0 1 2 3 4 5 6 7   8 9 . . . . . .
//! value       1 0 1 1 0 0 0 1   1 1
//! byte        0b10110001        0b11000000        (the padding bits are zero)
//! ```
//!
//! Distances come sorted by (distance, index): a tie goes to the lower index, at every level and for every number
//! of threads.
//!
//! # Map
//! | module | what it holds |
//! |---|---|
//! | [`adc`] | search of product-quantised codes by sums of table look-ups |
//! | [`additive`] | codes of vectors as sums of codewords: beam search and local search |
//! | [`asymmetric`] | search of bits by real queries |
//! | [`bits`] | bits in and out of bytes, and how many there are |
//! | [`block_motion`] | which blocks of another frame are most like those of a frame |
//! | [`entropy`] | symbols and rows of codes in nearly as few bytes as their probabilities allow |
//! | [`hadamard`] | random rotations by fast Hadamard transforms, and their signs |
//! | [`hamming`] | search and matrices of `popcount(a ^ b)` |
//! | [`jaccard`] | search and matrices of `1 - popcount(a & b) / popcount(a \| b)` |
//! | [`lists`] | search of the candidates in inverted lists |
//! | [`minhash`] | signatures of sets, whose equal slots estimate how similar the sets are |
//! | [`rabitq`] | search of vectors kept as a few bits per dimension, by unbiased estimates |
//! | [`rerank`] | the nearest of given candidates by float vectors |
//! | [`text`] | short strings as bytes, each of which is decoded alone |
//! | [`video`] | frames predicted from others by motion |
//! | [`xnor`] | products of matrices of a few bits, convolution of packed images |
//! | [`roofline`] | what this CPU could do at best, for comparison |
//!
//! A family is a `mod.rs` (meaning, checks, dispatch), a `portable.rs` (the specification) and a file for each
//! instruction set, with the same function names in each. [`Level`] says which of them this CPU can run.

#![cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "parts that only the files of instruction sets use")
)]

mod binary;
mod codes;
mod error;
mod level;
mod popcount;
mod run;
mod select;
mod tasks;

pub mod adc;
pub mod additive;
pub mod asymmetric;
pub mod bits;
pub mod block_motion;
pub mod entropy;
pub mod hadamard;
pub mod hamming;
pub mod image;
pub mod jaccard;
pub mod lists;
pub mod minhash;
pub mod rabitq;
pub mod rerank;
pub mod roofline;
pub mod text;
pub mod video;
pub mod wavelet;
pub mod xnor;

pub use codes::Codes;
pub use error::{At, Error};
pub use level::Level;
pub use run::{Run, available_cpus};
pub use select::{Csr, Mask, Neighbors, Pairs, Probes, components};
