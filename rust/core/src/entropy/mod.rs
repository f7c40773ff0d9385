//! Entropy coding.

pub(crate) mod mixing;
mod range;

pub use range::{Decoder, Encoder, PROBABILITY_BITS};
