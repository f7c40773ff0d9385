//! Entropy coding: symbols in nearly as few bytes as their probabilities allow. Once a model is made, integers alone decide what is
//! written and read, so that codes are the same on every machine, at every level and for every number of threads.
//!
//! | file | what it holds |
//! |---|---|
//! | [`range`] | a byte-wise range coder: for short messages, rows, and probabilities that change from bit to bit |
//! | [`rans`] | interleaved rANS: for long messages |
//! | [`frequencies`], [`tables`] | probabilities as integers, and their arrangement for both coders |
//! | [`symbols`] | messages of symbols |
//! | [`rows`] | rows of codes, each decodable alone |
//! | [`huffman`] | codewords of whole bits |
//! | [`scales`] | messages of integers around zero, each with a scale of its own |

pub mod frequencies;
pub mod huffman;
mod message;
mod portable;
mod range;
mod rans;
pub mod rows;
pub mod scales;
pub mod symbols;
mod tables;

#[cfg(target_arch = "x86_64")]
mod avx2;
// Gathers of sixteen elements take longer than two of eight, where this was measured.
#[cfg(target_arch = "x86_64")]
use avx2 as avx512;

pub use frequencies::{MAX_SYMBOLS, TOTAL};
pub use range::{Decoder, Encoder, PROBABILITY_BITS};
pub use tables::{MAX_TABLES, Tables};

use crate::Level;
use crate::level::at_level;
use rans::{LaneWriter, Lanes, N_LANES};
use tables::Slots;

/// Reads symbols of a run, which begin a group, `which` being their tables.
fn decode_groups(level: Level, tables: &Tables, which: Option<&[u8]>, lanes: &mut Lanes<'_>, out: &mut [u8]) {
    // Vectors are loaded before the end of the bytes only.
    let n_read = at_level!(level, decode_groups(tables, which, lanes, out));
    portable::decode_groups(tables, which.map(|which| &which[n_read..]), lanes, &mut out[n_read..]);
}

/// Writes symbols before those that were written, or fails with the position of one that has no frequency in its table. Their number is
/// one of whole groups, or they are the last ones of the run.
fn encode_groups(
    level: Level,
    tables: &Tables,
    slots: &Slots,
    symbols: &[u8],
    which: Option<&[u8]>,
    writer: &mut LaneWriter,
) -> Result<(), usize> {
    let (groups, rest) = symbols.split_at(symbols.len() - symbols.len() % N_LANES);
    let which_of_rest = which.map(|which| &which[groups.len()..]);
    portable::encode_groups(tables, slots, rest, which_of_rest, writer)
        .map_err(|index| groups.len() + index)?;
    at_level!(level, encode_groups(tables, slots, groups, which, writer))
}
