//! The first bytes of a picture.
//!
//! ```text
//! bytes
//! 4            "FCI" and the version, 1
//! 1            bit 0: lossless; bit 1: three channels, not one; bit 2: 16 bits a sample, not 8; bit 3: tuned for MS-SSIM
//! 2, 2         width, height
//! lossy:
//!   2          step: (256 + low byte) * 2^(high byte - 16)
//!   2 c        for each channel, how far coefficients of size 1, and larger ones, are moved towards zero: int8, of step / 256
//! lossless:
//!   1          bits that sizes lose before they become contexts
//! then:
//! 1 to 3 each  bytes of each part: for each resolution from the lowest one, for each tile; seven bits a byte, the lowest first, and 0x80
//!              in all but the last
//! 2 each       check of the parts of each resolution
//! 2            check of all these bytes
//!              the parts, in the same order
//! ```
//!
//! Numbers are little-endian. A check is a CRC-16 (polynomial 0x1021, from 0xFFFF). Pictures of this version will always be read.

use super::quantization::Rounding;
use super::tiles::Tile;
use super::{Coding, Kind, N_RESOLUTIONS, Tune, damaged};
use crate::Error;
use crate::error::{try_collect, try_push, try_vec};

const MAGIC: [u8; 4] = *b"FCI\x01";

const LOSSLESS: u8 = 1;
const COLOUR: u8 = 2;
const SIXTEEN_BITS: u8 = 4;
const MS_SSIM: u8 = 8;

/// Bits of a length in a byte.
const LENGTH_BITS: u32 = 7;

/// The most bytes of a length.
const MAX_LENGTH_BYTES: u32 = 5;

/// What the first bytes say.
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) coding: Coding,
    pub(super) rounding: Rounding,
    /// Bits that sizes lose before they become contexts.
    pub(super) shift: u32,
}

/// Where the parts of the tiles are: how many bytes for each resolution and tile, and the checks of the resolutions.
pub(super) struct Parts {
    pub(super) lengths: [Vec<usize>; N_RESOLUTIONS],
    pub(super) checks: [u16; N_RESOLUTIONS],
}

impl Header {
    /// Appends the header and the lengths of the parts.
    pub(super) fn write(&self, parts: &Parts, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let first = bytes.len();
        let n_lengths: usize = parts.lengths.iter().map(Vec::len).sum();
        bytes.try_reserve(64 + MAX_LENGTH_BYTES as usize * n_lengths)?;
        bytes.extend_from_slice(&MAGIC);
        let Kind { width, height, n_channels, n_bits } = self.kind;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let of_coding = match self.coding {
            Coding::Lossless => LOSSLESS,
            Coding::Lossy { tune: Tune::MsSsim, .. } => MS_SSIM,
            Coding::Lossy { tune: Tune::Psnr, .. } => 0,
        };
        bytes.push(of_coding | flag(n_channels == 3, COLOUR) | flag(n_bits == 16, SIXTEEN_BITS));
        bytes.extend_from_slice(&(width as u16).to_le_bytes());
        bytes.extend_from_slice(&(height as u16).to_le_bytes());
        match self.coding {
            Coding::Lossless => bytes.push(self.shift as u8),
            Coding::Lossy { step, .. } => {
                bytes.extend_from_slice(&step.code().to_le_bytes());
                let moves = self.rounding.0[..n_channels].as_flattened();
                bytes.extend(moves.iter().map(|part| part.cast_unsigned()));
            }
        }
        for length in parts.lengths.iter().flatten() {
            let mut rest = *length;
            while rest >> LENGTH_BITS > 0 {
                bytes.push(rest as u8 | 1 << LENGTH_BITS);
                rest >>= LENGTH_BITS;
            }
            bytes.push(rest as u8);
        }
        parts.checks.iter().for_each(|check| bytes.extend_from_slice(&check.to_le_bytes()));
        let check = crc(&bytes[first..]);
        bytes.extend_from_slice(&check.to_le_bytes());
        Ok(())
    }

    /// The header and the parts, and the bytes behind them. Nothing larger than `bytes` is allocated.
    pub(super) fn read(bytes: &[u8]) -> Result<(Header, Parts, &[u8]), Error> {
        let mut reader = Reader { bytes, position: 0 };
        if reader.array()? != MAGIC {
            return Err(damaged("it does not begin with the bytes 46 43 49 01"));
        }
        let [flags] = reader.array()?;
        let [width, height] =
            [reader.array()?, reader.array()?].map(|side| usize::from(u16::from_le_bytes(side)));
        if width == 0 || height == 0 {
            return Err(damaged("it has no pixels"));
        }
        let n_channels = if flags & COLOUR == 0 { 1 } else { 3 };
        let n_bits = if flags & SIXTEEN_BITS == 0 { 8 } else { 16 };
        let kind = Kind { width, height, n_channels, n_bits };
        let mut rounding = Rounding::default();
        let (coding, shift) = match flags & !COLOUR {
            flags if flags & !SIXTEEN_BITS == LOSSLESS => {
                let [shift] = reader.array()?;
                (Coding::Lossless, u32::from(shift))
            }
            flags @ (0 | MS_SSIM) => {
                let step = super::Step::of_code(u16::from_le_bytes(reader.array()?));
                for of_channel in &mut rounding.0[..n_channels] {
                    *of_channel = reader.array::<2>()?.map(u8::cast_signed);
                }
                let tune = if flags == 0 { Tune::Psnr } else { Tune::MsSsim };
                (Coding::Lossy { step: step.ok_or_else(|| damaged("its step is none"))?, tune }, 0)
            }
            _ => return Err(damaged("it has a kind that this version does not know")),
        };
        if shift > super::MAX_SHIFT || n_bits == 16 && n_channels == 3 {
            return Err(damaged("it has a kind that this version does not know"));
        }
        // Each part has a length of a byte or more, and each tile a least length, so that few bytes cannot claim many pixels.
        let n_tiles = Tile::count(width, height);
        if n_tiles * N_RESOLUTIONS > bytes.len() {
            return Err(damaged("it has fewer bytes than a picture of its size"));
        }
        let mut lengths: [Vec<usize>; N_RESOLUTIONS] = Default::default();
        for of_resolution in &mut lengths {
            *of_resolution = try_vec(0, n_tiles)?;
            for length in of_resolution {
                *length = reader.length()?;
            }
        }
        let mut checks = [0; N_RESOLUTIONS];
        for check in &mut checks {
            *check = u16::from_le_bytes(reader.array()?);
        }
        let check = crc(&bytes[..reader.position]);
        if u16::from_le_bytes(reader.array()?) != check {
            return Err(damaged("its header was altered"));
        }
        Ok((Header { kind, coding, rounding, shift }, Parts { lengths, checks }, &bytes[reader.position..]))
    }
}

impl Parts {
    /// The messages of the tiles, from the first `n_resolutions` parts of each.
    pub(super) fn messages(&self, bytes: &[u8], n_resolutions: usize) -> Result<Vec<Vec<u8>>, Error> {
        let mut messages = try_collect(self.lengths[0].iter().map(|_| Vec::new()))?;
        let mut rest = bytes;
        for (lengths, expected) in self.lengths[..n_resolutions].iter().zip(self.checks) {
            let all: u64 = lengths.iter().map(|length| *length as u64).sum();
            let Some((part, after)) = usize::try_from(all).ok().and_then(|len| rest.split_at_checked(len))
            else {
                return Err(damaged(&format!("{} bytes are missing at its end", all - rest.len() as u64)));
            };
            if crc(part) != expected {
                return Err(damaged("it was altered"));
            }
            let mut position = 0;
            for (message, length) in messages.iter_mut().zip(lengths) {
                message.try_reserve(*length)?;
                message.extend_from_slice(&part[position..][..*length]);
                position += length;
            }
            rest = after;
        }
        if n_resolutions == N_RESOLUTIONS && !rest.is_empty() {
            return Err(damaged(&format!("{} bytes follow its end", rest.len())));
        }
        Ok(messages)
    }
}

/// Joins the parts of all tiles in the order of the file.
pub(super) fn join(
    messages: &[super::tiles::Message],
    bytes: &mut Vec<u8>,
    header: &Header,
) -> Result<(), Error> {
    let mut body = Vec::new();
    let mut parts = Parts { lengths: Default::default(), checks: [0; N_RESOLUTIONS] };
    for resolution in 0..N_RESOLUTIONS {
        let first = body.len();
        for message in messages {
            let part = message.part(resolution);
            try_push(&mut parts.lengths[resolution], part.len())?;
            body.try_reserve(part.len())?;
            body.extend_from_slice(part);
        }
        parts.checks[resolution] = crc(&body[first..]);
    }
    header.write(&parts, bytes)?;
    bytes.try_reserve_exact(body.len())?;
    bytes.extend_from_slice(&body);
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.bytes[self.position..].first_chunk() {
            Some(array) => {
                self.position += N;
                Ok(*array)
            }
            None => Err(damaged("it ends within its header")),
        }
    }

    fn length(&mut self) -> Result<usize, Error> {
        let mut length = 0;
        for index in 0..MAX_LENGTH_BYTES {
            let [byte] = self.array()?;
            length |= u64::from(byte & 0x7f) << (LENGTH_BITS * index);
            if byte >> LENGTH_BITS == 0 {
                return usize::try_from(length).map_err(|_| damaged("a part is too long"));
            }
        }
        Err(damaged("a part is too long"))
    }
}

/// The CRC-16 of bytes.
fn crc(bytes: &[u8]) -> u16 {
    static TABLE: [u16; 256] = {
        let (mut table, mut byte) = ([0; 256], 0);
        while byte < 256 {
            let (mut value, mut bit) = ((byte as u16) << 8, 0);
            while bit < 8 {
                value = if value >> 15 == 1 { value << 1 ^ 0x1021 } else { value << 1 };
                bit += 1;
            }
            table[byte] = value;
            byte += 1;
        }
        table
    };
    bytes
        .iter()
        .fold(0xffff, |value: u16, byte| value << 8 ^ TABLE[usize::from(value >> 8) ^ usize::from(*byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_that_of_the_standard() {
        assert_eq!(crc(b"123456789"), 0x29b1);
        assert_eq!(crc(b""), 0xffff);
    }
}
