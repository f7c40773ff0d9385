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
//! | [`cells`] | rows of symbols in a fixed number of bytes, each symbol by a table chosen for it |
//! | [`fitting`] | rows of real numbers, quantized so that their code fits a cell |
//! | [`huffman`] | codewords of whole bits |
//! | [`scales`] | messages of integers around zero, each with a scale of its own |
//! | `mixing` | probabilities of bits from several predictions |

pub mod cells;
pub mod fitting;
pub mod frequencies;
pub mod huffman;
mod message;
pub(crate) mod mixing;
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
#[cfg(target_arch = "aarch64")]
mod neon;

pub use frequencies::{MAX_SYMBOLS, TOTAL};
pub use range::{Decoder, Encoder, PROBABILITY_BITS};
pub use tables::{MAX_TABLES, Tables};

use crate::Level;
use crate::level::at_level;
use rans::{LaneWriter, Lanes, N_LANES};
use tables::Slots;

/// Reads symbols of a run, which begin a group, `which` being their tables.
fn read(level: Level, tables: &Tables, which: Option<&[u8]>, lanes: &mut Lanes<'_>, out: &mut [u8]) {
    let n_read = at_level!(level, decode_groups(tables, which, lanes, out));
    // Vectors are loaded before the end of the bytes only.
    portable::decode_groups(tables, which.map(|which| &which[n_read..]), lanes, &mut out[n_read..]);
}

/// Writes symbols before those that were written, `which` being their tables. Their number is one of whole groups, or they are the last
/// ones of the run. An error is the position of a symbol that has no frequency in its table.
fn write(
    level: Level,
    tables: &Tables,
    slots: &Slots,
    symbols: &[u8],
    which: Option<&[u8]>,
    writer: &mut LaneWriter,
) -> Result<(), usize> {
    let (whole, rest) = symbols.split_at(symbols.len() - symbols.len() % N_LANES);
    let of_rest = which.map(|which| &which[whole.len()..]);
    portable::encode_groups(tables, slots, rest, of_rest, writer).map_err(|index| whole.len() + index)?;
    at_level!(level, encode_groups(tables, slots, whole, which, writer))
}
