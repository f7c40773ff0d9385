//! Canonical Huffman codes: codewords of whole bits, ordered by length and then by symbol, so that lengths alone say what they are.
//!
//! ```text
//! symbol    length    codeword
//! 2         1         0
//! 0         2         10
//! 1         3         110
//! 3         3         111
//! ```
//!
//! Codewords are written from their first bit on, into bytes from the highest bit on; zeros fill the last byte.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::message::{damaged, no_symbol};
use crate::error::{try_collect, try_vec};
use crate::{Error, Run};

/// Bits of the longest codeword.
pub const MAX_LENGTH: u32 = 32;

/// The largest number of symbols.
pub const MAX_SYMBOLS: usize = 1 << 16;

/// Codewords of at most this many bits are found by one look-up.
const LOOKED_UP: u32 = 11;

/// Symbols between two checks for an interruption.
const SYMBOLS_PER_CHECK: usize = 1 << 20;

/// Writes the lengths of the codewords that give the counted symbols the shortest code: 0 for those that are not counted. A symbol that
/// is alone has one bit. Counts that would make a codeword longer than [`MAX_LENGTH`] are halved first, until they do not.
///
/// # Errors
/// [`Error::Range`] for more than [`MAX_SYMBOLS`] symbols; [`Error::OutOfMemory`].
pub fn lengths(counts: &[u64]) -> Result<Vec<u8>, Error> {
    if counts.len() > MAX_SYMBOLS {
        let (name, unit) = ("counts", "symbols");
        return Err(Error::Range { name, unit, given: counts.len(), low: 0, high: MAX_SYMBOLS });
    }
    let mut counts: Vec<u64> = try_collect(counts.iter().copied())?;
    loop {
        let lengths = unlimited_lengths(&counts)?;
        if lengths.iter().all(|length| *length <= MAX_LENGTH) {
            return try_collect(lengths.into_iter().map(|length| length as u8));
        }
        counts.iter_mut().filter(|count| **count > 0).for_each(|count| *count = *count / 2 + 1);
    }
}

fn unlimited_lengths(counts: &[u64]) -> Result<Vec<u32>, Error> {
    let mut lengths = try_vec(0, counts.len())?;
    // Each node is named by its number: symbols first, then pairs as they are made.
    let leaves = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let leaves = leaves.map(|(symbol, count)| Reverse((u128::from(*count), symbol)));
    let mut heap: BinaryHeap<_> = try_collect(leaves)?.into();
    if heap.len() == 1 {
        heap.into_iter().for_each(|Reverse((_, symbol))| lengths[symbol] = 1);
        return Ok(lengths);
    }
    let mut parents = try_vec(0, counts.len() + heap.len())?;
    let mut n_nodes = counts.len();
    while let (Some(Reverse((a, first))), Some(Reverse((b, second)))) = (heap.pop(), heap.pop()) {
        (parents[first], parents[second]) = (n_nodes, n_nodes);
        if heap.is_empty() {
            break;
        }
        heap.push(Reverse((a + b, n_nodes)));
        n_nodes += 1;
    }
    // Parents have higher numbers than their children; the last one is the root.
    let mut depths = try_vec(0_u32, n_nodes + 1)?;
    for node in (counts.len()..n_nodes).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    for (symbol, length) in lengths.iter_mut().enumerate().filter(|(symbol, _)| counts[*symbol] > 0) {
        *length = depths[parents[symbol]] + 1;
    }
    Ok(lengths)
}

fn too_short() -> Error {
    let problem = "lengths are too short for a code without a codeword that begins another; expected lengths whose sum of \
                   2**-length is at most 1";
    Error::Incompatible { problem: problem.to_owned() }
}

/// A canonical code.
pub struct Huffman {
    lengths: Vec<u8>,
    codewords: Vec<u32>,
    /// Symbols by their codewords.
    symbols: Vec<u16>,
    /// For each length, the first codeword of the next length, in the highest of 32 bits; and what is added to a codeword for its place
    /// in `symbols`.
    ends: [u64; MAX_LENGTH as usize + 1],
    places: [i64; MAX_LENGTH as usize + 1],
    /// For the first [`LOOKED_UP`] bits, a symbol and its length; 0 if that is longer.
    looked_up: Vec<(u16, u8)>,
    shortest: u32,
}

impl Huffman {
    /// The code of these lengths; symbols of length 0 have no codeword.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if there is no code of these lengths (Kraft's inequality), [`Error::Range`], [`Error::OutOfMemory`].
    pub fn new(lengths: &[u8]) -> Result<Self, Error> {
        if lengths.len() > MAX_SYMBOLS || lengths.iter().any(|length| u32::from(*length) > MAX_LENGTH) {
            let given = lengths.iter().copied().max().map_or(0, usize::from);
            let high = MAX_LENGTH as usize;
            return Err(Error::Range { name: "lengths", unit: "", given, low: 0, high });
        }
        let mut symbols = try_collect((0..lengths.len()).filter(|symbol| lengths[*symbol] > 0))?;
        symbols.sort_unstable_by_key(|symbol| (lengths[*symbol], *symbol));
        let mut codewords = try_vec(0_u32, lengths.len())?;
        let (mut ends, mut places) = ([0; MAX_LENGTH as usize + 1], [0; MAX_LENGTH as usize + 1]);
        // Codewords in the highest of 32 bits.
        let (mut next, mut place) = (0_u64, 0);
        for length in 1..=MAX_LENGTH {
            let shift = MAX_LENGTH - length;
            places[length as usize] = place as i64 - (next >> shift) as i64;
            while let Some(symbol) =
                symbols.get(place).filter(|symbol| u32::from(lengths[**symbol]) == length)
            {
                if next >> MAX_LENGTH > 0 {
                    return Err(too_short());
                }
                codewords[*symbol] = (next >> shift) as u32;
                next += 1 << shift;
                place += 1;
            }
            ends[length as usize] = next;
        }
        if next > 1 << MAX_LENGTH {
            return Err(too_short());
        }
        let mut looked_up = try_vec((0, 0), 1 << LOOKED_UP)?;
        for symbol in &symbols {
            let (length, codeword) = (u32::from(lengths[*symbol]), codewords[*symbol] as usize);
            if length <= LOOKED_UP {
                let first = codeword << (LOOKED_UP - length);
                looked_up[first..first + (1 << (LOOKED_UP - length))].fill((*symbol as u16, length as u8));
            }
        }
        let shortest = symbols.first().map_or(0, |symbol| u32::from(lengths[*symbol]));
        let lengths = try_collect(lengths.iter().copied())?;
        let symbols = try_collect(symbols.into_iter().map(|symbol| symbol as u16))?;
        Ok(Huffman { lengths, codewords, symbols, ends, places, looked_up, shortest })
    }

    /// The codewords of all symbols, as numbers.
    pub fn codewords(&self) -> &[u32] {
        &self.codewords
    }

    /// Checks that this many symbols fit in this many bytes.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if they cannot.
    pub fn check_n(&self, n: usize, n_bytes: usize) -> Result<(), Error> {
        let fits = n == 0 || (self.shortest > 0 && n <= 8 * n_bytes / self.shortest as usize);
        if fits { Ok(()) } else { Err(damaged(n)) }
    }

    /// Encodes symbols.
    ///
    /// # Errors
    /// [`Error::Value`] for a symbol without a codeword, [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn encode(&self, symbols: &[u16], run: &Run<'_>) -> Result<Vec<u8>, Error> {
        let mut data = Vec::new();
        let (mut held, mut n_held) = (0_u64, 0);
        for (chunk, symbols) in symbols.chunks(SYMBOLS_PER_CHECK).enumerate() {
            for (index, symbol) in symbols.iter().copied().enumerate() {
                let length = self.lengths.get(usize::from(symbol)).copied().filter(|length| *length > 0);
                let Some(length) = length else {
                    let expected = format!("symbols below {} that were counted", self.lengths.len());
                    return Err(no_symbol(symbol, chunk * SYMBOLS_PER_CHECK + index, expected));
                };
                held = held << length | u64::from(self.codewords[usize::from(symbol)]);
                n_held += u32::from(length);
                if n_held >= 32 {
                    n_held -= 32;
                    data.try_reserve(4)?;
                    data.extend_from_slice(&((held >> n_held) as u32).to_be_bytes());
                }
            }
            if run.should_stop() {
                return Err(Error::Interrupted);
            }
        }
        data.try_reserve(4)?;
        let last = ((held << 32 >> n_held) as u32).to_be_bytes();
        data.extend_from_slice(&last[..n_held.div_ceil(8) as usize]);
        Ok(data)
    }

    /// Decodes as many symbols as `out` has.
    ///
    /// # Errors
    /// [`Error::Incompatible`] for bytes that no encoder wrote for them, [`Error::Interrupted`].
    pub fn decode(&self, data: &[u8], out: &mut [u16], run: &Run<'_>) -> Result<(), Error> {
        let n = out.len();
        let (mut rest, mut held, mut n_held) = (data, 0_u64, 0_u32);
        let mut n_missing = 0;
        for out in out.chunks_mut(SYMBOLS_PER_CHECK) {
            for symbol in out {
                while n_held < MAX_LENGTH {
                    let (byte, after) = rest.split_first().unwrap_or((&0, &[]));
                    n_missing += u32::from(rest.is_empty());
                    (held, rest) = (held << 8 | u64::from(*byte), after);
                    n_held += 8;
                }
                let window = (held >> (n_held - MAX_LENGTH)) as u32;
                let length;
                (*symbol, length) = self.looked_up[(window >> (MAX_LENGTH - LOOKED_UP)) as usize];
                let length = match length {
                    0 => {
                        let length = self.ends.iter().position(|end| u64::from(window) < *end);
                        let Some(length) = length else { return Err(damaged(n)) };
                        let codeword = i64::from(window >> (MAX_LENGTH - length as u32));
                        let place = usize::try_from(codeword + self.places[length]).ok();
                        let Some(found) = place.and_then(|place| self.symbols.get(place)) else {
                            return Err(damaged(n));
                        };
                        *symbol = *found;
                        length as u32
                    }
                    _ => u32::from(length),
                };
                n_held -= length;
            }
            if run.should_stop() {
                return Err(Error::Interrupted);
            }
        }
        // What is held, less the bytes that were not there, is what fills the last byte.
        let left = i64::from(n_held) - 8 * i64::from(n_missing);
        let is_complete = rest.is_empty() && (0..8).contains(&left) && held & ((1_u64 << n_held) - 1) == 0;
        if is_complete { Ok(()) } else { Err(damaged(n)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn codes_are_canonical_and_come_back() {
        let fibonacci: Vec<u64> = (0..80)
            .scan((1, 1), |s, _| {
                *s = (s.1, s.0 + s.1);
                Some(s.0)
            })
            .collect();
        let run = Run::serial(Level::PORTABLE);
        for counts in
            [vec![3, 2, 6, 1], vec![0, 7], vec![1; 1000], fibonacci, (0..300).map(|i| i * i).collect()]
        {
            let lengths = lengths(&counts).unwrap();
            let code = Huffman::new(&lengths).unwrap();
            let kraft: f64 = lengths.iter().filter(|l| **l > 0).map(|l| 0.5_f64.powi(i32::from(*l))).sum();
            assert!(kraft <= 1.0);
            let symbols: Vec<u16> = (0..5000_u32)
                .map(|i| (i * i / 7 % counts.len() as u32) as u16)
                .filter(|s| counts[usize::from(*s)] > 0)
                .collect();
            let data = code.encode(&symbols, &run).unwrap();
            let bits: usize = symbols.iter().map(|s| usize::from(lengths[usize::from(*s)])).sum();
            assert_eq!(data.len(), bits.div_ceil(8));
            code.check_n(symbols.len(), data.len()).unwrap();
            let mut out = vec![0; symbols.len()];
            code.decode(&data, &mut out, &run).unwrap();
            assert_eq!(out, symbols);
            assert!(code.decode(&data[..data.len() - 1], &mut out, &run).is_err());
            assert!(code.decode(&[&data[..], &[0]].concat(), &mut out, &run).is_err());
        }
        assert_eq!(Huffman::new(&[2, 3, 1, 3]).unwrap().codewords(), [0b10, 0b110, 0b0, 0b111]);
        assert_eq!(lengths(&[3, 2, 6, 1]).unwrap(), [2, 3, 1, 3]);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        assert!(Huffman::new(&[1, 1, 1]).is_err());
        assert!(Huffman::new(&[33]).is_err());
        let none = Huffman::new(&[]).unwrap();
        let run = Run::serial(Level::PORTABLE);
        none.decode(&[], &mut [], &run).unwrap();
        assert!(none.decode(&[0], &mut [0], &run).is_err());
        assert!(none.check_n(1, 100).is_err());
        assert!(Huffman::new(&[1, 1]).unwrap().check_n(1_000_000_000, 10).is_err());
        assert!(none.encode(&[0], &run).is_err());
    }
}
