//! Kernels that search short binary codes where they lie: pure Rust, no Python, no BLAS.
//!
//! # Conventions
//! A *code* is a row of packed bits. Dimension 0 is the highest bit of byte 0, as in `numpy.packbits`:
//!
//! ```text
//! dimension   0 1 2 3 4 5 6 7   8 9 . . . . . .
//! value       1 0 1 1 0 0 0 1   1 1
//! byte        0b10110001        0b11000000        (the padding bits are zero)
//! ```

pub mod bits;
mod codes;
mod error;
mod level;
mod parallel;
mod search;

pub use codes::Codes;
pub use error::Error;
pub use level::Level;
pub use parallel::{Parallel, available_cpus};
pub use search::Mask;
