//! The byte-wise range coder: a message is a number in [0, 1), and each symbol narrows the interval in which it lies to the part that
//! the symbol's probability gives it (Martin, 1979; carries as in Schindler's coder).
//!
//! ```text
//! low = 0.xxxxxx LLLLLLLL          range =          RRRRRRRR
//!       written  32 bits           2^24 <= range < 2^32 between two symbols; bytes leave low at the front
//! ```
//!
//! A message ends with the fewest bytes, none to four, that name a number in its interval when zeros follow. That number is the
//! multiple of the highest power of 256 in the interval, so for each sequence of symbols there is one message, and a decoder can tell
//! whether it has read that. So it notices most bytes that were cut or altered; only a checksum notices all.

use crate::Error;
use crate::error::try_push;

/// Bits of a probability.
pub const PROBABILITY_BITS: u32 = 16;

/// The range is kept at this or more.
const LEAST_RANGE: u32 = 1 << 24;

/// A part of the range: of `2^16` equal pieces, `size` of them from number `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub(crate) start: u32,
    pub(crate) size: u32,
}

/// Writes messages, one after the other, to the end of a vector of bytes.
pub struct Encoder<'a> {
    bytes: &'a mut Vec<u8>,
    first: usize,
    low: u32,
    range: u32,
}

impl<'a> Encoder<'a> {
    /// A message that begins at the end of `bytes`.
    pub fn new(bytes: &'a mut Vec<u8>) -> Self {
        let first = bytes.len();
        Encoder { bytes, first, low: 0, range: u32::MAX }
    }

    /// Bytes that are written and will not change in number; a decoder that has read as much has read up to four more.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.first
    }

    /// Writes a bit; `p_true` of 2^16 is the probability that it is true, from 1 to 2^16 - 1.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    #[inline]
    pub fn bit(&mut self, bit: bool, p_true: u32) -> Result<(), Error> {
        let bound = bound(self.range, p_true);
        if bit {
            self.range = bound;
        } else {
            self.add(bound);
            self.range -= bound;
        }
        self.normalize()
    }

    /// Writes the symbol that has this part of the range.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    #[inline]
    pub(crate) fn part(&mut self, part: Part) -> Result<(), Error> {
        let piece = self.range >> PROBABILITY_BITS;
        self.add(piece * part.start);
        self.range = size_of(part, self.range, piece);
        self.normalize()
    }

    /// Writes the lowest `n` bits of `value`, all values being equally probable.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn raw(&mut self, value: u32, n: u32) -> Result<(), Error> {
        for shift in (0..n).step_by(PROBABILITY_BITS as usize) {
            let width = (n - shift).min(PROBABILITY_BITS);
            let digit = (value >> shift) & ((1 << width) - 1);
            let size = 1 << (PROBABILITY_BITS - width);
            self.part(Part { start: digit * size, size })?;
        }
        Ok(())
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn finish(mut self) -> Result<(), Error> {
        let (value, n_bytes) = last(self.low, self.range);
        if value < self.low {
            self.carry();
        }
        self.bytes.try_reserve(n_bytes)?;
        self.bytes.extend_from_slice(&value.to_be_bytes()[..n_bytes]);
        Ok(())
    }

    #[inline]
    fn add(&mut self, summand: u32) {
        let (sum, carries) = self.low.overflowing_add(summand);
        self.low = sum;
        if carries {
            self.carry();
        }
    }

    /// Adds one to what is written. Each run of ones becomes zeros, so that this takes constant time on average.
    #[cold]
    fn carry(&mut self) {
        for byte in self.bytes[self.first..].iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return;
            }
        }
    }

    #[inline]
    fn normalize(&mut self) -> Result<(), Error> {
        while self.range < LEAST_RANGE {
            try_push(self.bytes, (self.low >> 24) as u8)?;
            self.low <<= 8;
            self.range <<= 8;
        }
        Ok(())
    }
}

/// Reads one message.
pub struct Decoder<'a> {
    bytes: &'a [u8],
    /// Bytes taken in, those after the end included.
    position: usize,
    /// The last four of them.
    window: u32,
    /// The message less `low`.
    offset: u32,
    range: u32,
}

impl<'a> Decoder<'a> {
    /// The message that these bytes are.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Decoder { bytes, position: 0, window: 0, offset: 0, range: u32::MAX };
        for _ in 0..4 {
            decoder.take_byte();
        }
        decoder
    }

    /// Reads a bit; `p_true` is what it was written with.
    #[inline]
    pub fn bit(&mut self, p_true: u32) -> bool {
        let bound = bound(self.range, p_true);
        let bit = self.offset < bound;
        if bit {
            self.range = bound;
        } else {
            self.offset -= bound;
            self.range -= bound;
        }
        self.normalize();
        bit
    }

    /// Which of the 2^16 pieces of the range the message lies in. [`Decoder::consume`] with the part that holds the piece follows.
    #[inline]
    pub(crate) fn piece(&self) -> u32 {
        (self.offset / (self.range >> PROBABILITY_BITS)).min((1 << PROBABILITY_BITS) - 1)
    }

    /// Goes on to the next symbol.
    #[inline]
    pub(crate) fn consume(&mut self, part: Part) {
        let piece = self.range >> PROBABILITY_BITS;
        self.offset -= piece * part.start;
        self.range = size_of(part, self.range, piece);
        self.normalize();
    }

    /// Reads what [`Encoder::raw`] wrote.
    pub(crate) fn raw(&mut self, n: u32) -> u32 {
        let mut value = 0;
        for shift in (0..n).step_by(PROBABILITY_BITS as usize) {
            let width = (n - shift).min(PROBABILITY_BITS);
            let size = 1 << (PROBABILITY_BITS - width);
            let digit = self.piece() / size;
            self.consume(Part { start: digit * size, size });
            value |= digit << shift;
        }
        value
    }

    /// Whether more bytes were needed than an encoder leaves out at the end: then the message was cut short.
    #[inline]
    pub fn is_past_end(&self) -> bool {
        self.position > self.bytes.len() + 4
    }

    /// Whether the bytes are what an encoder writes for the symbols that were read.
    pub fn is_complete(&self) -> bool {
        let low = self.window.wrapping_sub(self.offset);
        let (value, n_bytes) = last(low, self.range);
        self.offset < self.range && value == self.window && self.bytes.len() + 4 == self.position + n_bytes
    }

    /// Whether the bytes are what an encoder writes for the symbols that were read, filled up with zeros.
    pub(crate) fn is_complete_cell(&self) -> bool {
        let low = self.window.wrapping_sub(self.offset);
        let (value, n_bytes) = last(low, self.range);
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        self.offset < self.range
            && value == self.window
            && self.position + n_bytes <= self.bytes.len() + 4
            && rest.iter().all(|byte| *byte == 0)
    }

    #[inline]
    fn normalize(&mut self) {
        while self.range < LEAST_RANGE {
            self.take_byte();
            self.range <<= 8;
        }
    }

    #[inline]
    fn take_byte(&mut self) {
        let byte = self.bytes.get(self.position).copied().unwrap_or(0);
        self.position += 1;
        self.window = self.window << 8 | u32::from(byte);
        self.offset = self.offset << 8 | u32::from(byte);
    }
}

/// The part of the range of a true bit.
#[inline]
fn bound(range: u32, p_true: u32) -> u32 {
    ((u64::from(range) * u64::from(p_true)) >> PROBABILITY_BITS) as u32
}

/// The range of a part: the last one takes what remains.
#[inline]
fn size_of(part: Part, range: u32, piece: u32) -> u32 {
    match part.start + part.size {
        end if end >> PROBABILITY_BITS == 0 => piece * part.size,
        _ => range - piece * part.start,
    }
}

/// The number in `[low, low + range)`, less 2^32 if it carries, that takes the fewest bytes, and how many it takes.
fn last(low: u32, range: u32) -> (u32, usize) {
    let (low, end) = (u64::from(low), u64::from(low) + u64::from(range));
    for n_bytes in 0..4 {
        let unit = 1_u64 << (32 - 8 * n_bytes);
        let value = low.next_multiple_of(unit);
        if value < end {
            return (value as u32, n_bytes);
        }
    }
    (low as u32, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A simple generator of numbers below `below`.
    fn numbers(seed: u64) -> impl FnMut(u32) -> u32 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (((state >> 32) * u64::from(below)) >> 32) as u32
        }
    }

    /// Random parts and bits, probable ones too, with their code length in bits.
    fn message(seed: u64, n: usize) -> (Vec<(Part, u32, bool)>, f64) {
        let mut number = numbers(seed);
        let mut bits = 0.0;
        let steps = (0..n).map(|_| {
            let size = match number(4) {
                0 => 1,
                1 => 1 << 16,
                2 => (1 << 16) - 1 - number(100),
                _ => 1 + number(1 << 16),
            };
            let p = match number(3) {
                0 => 1 + number(20),
                1 => 65_535 - number(20),
                _ => 1 + number(65_535),
            };
            let bit = number(1 << 16) < p;
            let p_bit = f64::from(if bit { p } else { 65_536 - p });
            bits += 32.0 - f64::from(size).log2() - p_bit.log2();
            (Part { start: number(65_537 - size), size }, p, bit)
        });
        (steps.collect(), bits)
    }

    fn encoded(message: &[(Part, u32, bool)]) -> Vec<u8> {
        let mut bytes = vec![0xff; 3]; // an earlier message, which a carry must not touch
        let mut encoder = Encoder::new(&mut bytes);
        for (part, p, bit) in message {
            encoder.part(*part).unwrap();
            encoder.bit(*bit, *p).unwrap();
            encoder.raw(part.start, 17).unwrap();
        }
        encoder.finish().unwrap();
        assert_eq!(bytes[..3], [0xff; 3]);
        bytes.split_off(3)
    }

    /// Whether these bytes decode to the message, and are found complete.
    fn decodes(bytes: &[u8], message: &[(Part, u32, bool)]) -> (bool, bool) {
        let mut decoder = Decoder::new(bytes);
        let mut equal = true;
        for (part, p, bit) in message {
            let piece = decoder.piece();
            equal &= (part.start..part.start + part.size).contains(&piece);
            decoder.consume(if equal { *part } else { Part { start: piece, size: 1 } });
            equal &= decoder.bit(*p) == *bit;
            equal &= decoder.raw(17) == part.start;
        }
        (equal, decoder.is_complete())
    }

    #[test]
    fn messages_come_back_and_take_their_code_length() {
        for seed in 0..2000 {
            let (message, bits) = message(seed, (seed % 70) as usize);
            let bytes = encoded(&message);
            let bits = bits + 17.0 * message.len() as f64;
            // A piece of the range is rounded down by at most 2^-8 of it.
            let most = (bits + message.len() as f64 * 0.018).div_euclid(8.0) as usize + 1;
            assert!(bytes.len() <= most, "{} bytes, {bits} bits", bytes.len());
            assert_eq!(decodes(&bytes, &message), (true, true));
        }
    }

    #[test]
    fn nothing_is_an_empty_message() {
        assert_eq!(encoded(&[]), []);
        assert!(Decoder::new(&[]).is_complete());
        assert!(!Decoder::new(&[0]).is_complete());
        assert!(!Decoder::new(&[7, 7, 7, 7, 7, 7]).is_complete());
    }

    #[test]
    fn cut_lengthened_and_altered_messages_are_refused() {
        let (mut altered, mut unnoticed) = (0, 0);
        for seed in 0..300 {
            let (message, _) = message(seed, 1 + (seed % 20) as usize);
            let bytes = encoded(&message);
            let cut = (0..bytes.len()).map(|len| bytes[..len].to_vec());
            let lengthened = [0, 1, 255].map(|more| [&bytes[..], &[more]].concat());
            let flipped = (0..bytes.len() * 8).map(|place| {
                let mut other = bytes.clone();
                other[place / 8] ^= 1 << (place % 8);
                other
            });
            for other in cut.chain(lengthened).chain(flipped) {
                let (equal, complete) = decodes(&other, &message);
                assert!(!(equal && complete), "two messages of the same symbols");
                altered += 1;
                unnoticed += usize::from(complete);
            }
        }
        assert!(unnoticed * 10 < altered, "{unnoticed} of {altered}");
    }

    #[test]
    fn a_decoder_knows_when_it_reads_past_the_end() {
        let bytes = encoded(&message(3, 20).0);
        let mut decoder = Decoder::new(&bytes[..bytes.len() / 2]);
        let mut n_bits = 0;
        while !decoder.is_past_end() {
            decoder.bit(30_000);
            n_bits += 1;
        }
        assert!(n_bits < 10 * bytes.len());
    }
}
