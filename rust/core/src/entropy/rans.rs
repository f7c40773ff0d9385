//! Interleaved rANS (Duda, 2013; Giesen, 2014): 32 coders take turns, symbol `i` goes to lane `i % 32`, and all write to one run of bytes.
//!
//! A lane is a number `2^24 <= x < 2^32`. Encoding a symbol with frequency `f` divides `x` by `f / 2^16`, so that `x` grows by the code
//! length of the symbol; the lowest bytes leave before that, none to two. A decoder undoes this, last symbol first: so encoders
//! begin with the last symbol.
//!
//! ```text
//! bytes of a run     lane 0 ... lane 31      32 numbers of 4 bytes, lowest byte first: the lanes of the first symbols
//!                    group 0, group 1, ...   the bytes that lanes take in after the symbols 0 to 31, 32 to 63, ...
//! bytes of a group   x . . x x . x ...       a byte for each lane with x < 2^24, in the order of the lanes,
//!                    . . . x . . . ...       and after all of these one for each lane with x < 2^16 (before the first byte)
//! ```
//!
//! A decoder ends with all lanes at `2^24`, where the encoder began, and with no bytes left: it notices nearly all bytes that were cut
//! or altered. Where frequencies are powers of two, altered bytes can be another message with the same end.

use crate::Error;
use crate::error::try_vec;

/// Coders that take turns, and symbols of a group.
pub(super) const N_LANES: usize = 32;

/// Where lanes begin, and the least that they are between two symbols.
const LEAST: u32 = 1 << 24;

/// Bytes of the lanes at the beginning of a run.
pub(super) const LANE_BYTES: usize = 4 * N_LANES;

/// Bytes that a group takes at most.
pub(super) const GROUP_BYTES: usize = 2 * N_LANES;

/// Reads a run.
pub(super) struct Lanes<'a> {
    pub x: [u32; N_LANES],
    pub bytes: &'a [u8],
    /// Where the next byte is; zeros follow the last one.
    pub position: usize,
}

impl<'a> Lanes<'a> {
    /// A run at the beginning of `bytes`, if they are enough.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let lanes: &[u8; LANE_BYTES] = bytes.first_chunk()?;
        let mut x = [0; N_LANES];
        for (x, lane) in x.iter_mut().zip(lanes.as_chunks().0) {
            *x = u32::from_le_bytes(*lane);
        }
        Some(Lanes { x, bytes, position: LANE_BYTES })
    }

    /// Where the run ends, if it ends as an encoder ends it.
    pub(super) fn end(&self) -> Option<usize> {
        let is_complete = self.x == [LEAST; N_LANES] && self.position <= self.bytes.len();
        is_complete.then_some(self.position)
    }
}

/// Bytes before a group into which vectors may be stored.
pub(super) const MARGIN: usize = 8;

/// Writes a run, the last group first.
pub(super) struct LaneWriter {
    pub x: [u32; N_LANES],
    /// Filled from the end.
    pub bytes: Vec<u8>,
    pub first: usize,
}

impl LaneWriter {
    /// A run of at most `n_groups` groups.
    pub(super) fn new(n_groups: usize) -> Result<Self, Error> {
        let bytes = try_vec(0, MARGIN + n_groups * GROUP_BYTES)?;
        Ok(LaneWriter { x: [LEAST; N_LANES], first: bytes.len(), bytes })
    }

    /// Appends the run.
    pub(super) fn finish(self, out: &mut Vec<u8>) -> Result<(), Error> {
        let bytes = &self.bytes[self.first..];
        out.try_reserve(LANE_BYTES + bytes.len())?;
        out.extend(self.x.iter().flat_map(|x| x.to_le_bytes()));
        out.extend_from_slice(bytes);
        Ok(())
    }
}
