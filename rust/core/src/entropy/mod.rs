//! Entropy coding.

mod range;

pub use range::{Decoder, Encoder, PROBABILITY_BITS};
