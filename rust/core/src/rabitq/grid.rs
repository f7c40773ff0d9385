//! [`Grid`]: the levels of each number of bits, and where the numbers of a row lie.

use super::{DIMS_PER_GROUP, LINE_BYTES, MAX_DIMS};
use crate::Error;

/// The most magnitudes of a grid that is no uniform one.
pub(super) const MAGNITUDES: usize = 8;

/// The magnitudes of the levels of 2, 3 and 4 bits: those of the quantiser of a Gaussian with the smallest mean squared error, times
/// a number, rounded.
const MAGNITUDES_OF: [&[u8]; 3] = [&[19, 63], &[7, 22, 39, 63], &[3, 9, 15, 22, 29, 37, 48, 63]];

/// Bytes of a row that are expanded together.
const BYTES_PER_CHUNK: usize = 32;

/// How many bits a dimension has, from 1 to 8, and with it the levels that its numbers stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    n_bits: usize,
}

/// The levels of a grid, as far as assigning them needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Levels {
    /// -1 and 1.
    Signs,
    /// Levels `+-magnitudes`, with the middles between neighbours.
    Listed {
        count: usize,
        magnitudes: [f32; MAGNITUDES],
        middles: [f32; MAGNITUDES],
        /// Levels per standard deviation of a dimension.
        per_deviation: f32,
    },
    /// The odd integers below `2 * count`.
    Uniform { count: i32, per_deviation: Option<f32> },
}

/// The level of each number plus 63, again and again.
const fn repeated_bytes(magnitudes: &[u8]) -> [u8; 16] {
    let (mut bytes, mut index) = ([0; 16], 0);
    while index < bytes.len() {
        let number = index % (2 * magnitudes.len());
        bytes[index] = if number < magnitudes.len() {
            63 - magnitudes[magnitudes.len() - 1 - number]
        } else {
            63 + magnitudes[number - magnitudes.len()]
        };
        index += 1;
    }
    bytes
}

impl Grid {
    /// # Errors
    /// [`Error::Range`] for another number of bits.
    pub fn new(n_bits: usize) -> Result<Self, Error> {
        match n_bits {
            1..=8 => Ok(Grid { n_bits }),
            _ => Err(Error::Range { name: "n_bits", unit: "", given: n_bits, low: 1, high: 8 }),
        }
    }

    /// Bits of a dimension.
    #[inline]
    pub fn n_bits(self) -> usize {
        self.n_bits
    }

    /// The dimensions of rows of this many bytes.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if those are no whole groups of eight, [`Error::Range`] for too many.
    pub fn n_dims(self, n_bytes: usize) -> Result<usize, Error> {
        if n_bytes == 0 || !n_bytes.is_multiple_of(self.n_bits) {
            let problem = format!(
                "codes have {n_bytes} bytes per row; expected a multiple of {}, since eight dimensions of {} bits take as many",
                self.n_bits, self.n_bits
            );
            return Err(Error::Incompatible { problem });
        }
        self.check_dims("codes", n_bytes / self.n_bits * DIMS_PER_GROUP)
    }

    /// The same number of dimensions, if rows can have as many; `name` has them.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Incompatible`].
    pub(super) fn check_dims(self, name: &'static str, n_dims: usize) -> Result<usize, Error> {
        if !(DIMS_PER_GROUP..=MAX_DIMS).contains(&n_dims) {
            return Err(Error::Range {
                name,
                unit: "dimensions",
                given: n_dims,
                low: DIMS_PER_GROUP,
                high: MAX_DIMS,
            });
        }
        if !n_dims.is_multiple_of(DIMS_PER_GROUP) {
            let problem = format!(
                "{name} has {n_dims} dimensions; expected a multiple of {DIMS_PER_GROUP}, as a rotation gives them"
            );
            return Err(Error::Incompatible { problem });
        }
        Ok(n_dims)
    }

    /// Bytes of a row.
    pub fn n_bytes(self, n_dims: usize) -> usize {
        n_dims / 8 * self.n_bits
    }

    fn magnitudes(self) -> &'static [u8] {
        match self.n_bits {
            2..=4 => MAGNITUDES_OF[self.n_bits - 2],
            _ => &[],
        }
    }

    pub(super) fn levels(self) -> Levels {
        // The last levels of Max's quantisers, and the steps of uniform ones with the smallest error, in standard deviations.
        let per_deviation = match self.n_bits {
            2 => 63.0 / 1.510,
            3 => 63.0 / 2.152,
            4 => 63.0 / 2.733,
            5 => 2.0 / 0.1881,
            6 => 2.0 / 0.1041,
            _ => 2.0 / 0.0568,
        };
        match self.n_bits {
            1 => Levels::Signs,
            2..=4 => {
                let given = self.magnitudes();
                let (mut magnitudes, mut middles) = ([0.0; MAGNITUDES], [f32::INFINITY; MAGNITUDES]);
                for (index, magnitude) in given.iter().enumerate() {
                    magnitudes[index] = f32::from(*magnitude);
                    if let Some(next) = given.get(index + 1) {
                        middles[index] = (f32::from(*magnitude) + f32::from(*next)) / 2.0;
                    }
                }
                Levels::Listed { count: given.len(), magnitudes, middles, per_deviation }
            }
            // Eight bits reach the largest number of a row; fewer do not.
            n_bits => Levels::Uniform {
                count: 1 << (n_bits - 1),
                per_deviation: if n_bits < 8 { Some(per_deviation) } else { None },
            },
        }
    }

    /// The level of a number is `multiplier * byte - bias`, where the kernels multiply by the byte: [`Grid::bytes`], or the number
    /// itself for a uniform grid.
    pub(super) fn affine(self) -> (i32, i32) {
        match self.n_bits {
            2..=4 => (1, 63),
            n_bits => (2, (1 << n_bits) - 1),
        }
    }

    /// The bytes of the numbers of 2 to 4 bits, repeated to fill the table.
    #[inline]
    pub(super) fn bytes(self) -> &'static [u8; 16] {
        const BYTES: [[u8; 16]; 3] = [
            repeated_bytes(MAGNITUDES_OF[0]),
            repeated_bytes(MAGNITUDES_OF[1]),
            repeated_bytes(MAGNITUDES_OF[2]),
        ];
        match self.n_bits {
            2..=4 => &BYTES[self.n_bits - 2],
            _ => &[0; 16],
        }
    }

    /// The level of a number.
    pub(super) fn level(self, number: u8) -> i32 {
        let (multiplier, bias) = self.affine();
        let byte =
            if (2..=4).contains(&self.n_bits) { self.bytes()[usize::from(number & 15)] } else { number };
        multiplier * i32::from(byte) - bias
    }

    /// The level of each number; those of other bytes mean nothing.
    pub(super) fn all_levels(self) -> [i32; 256] {
        std::array::from_fn(|number| if number >> self.n_bits == 0 { self.level(number as u8) } else { 0 })
    }

    /// Whether queries are multiplied as two bytes: their error would be seen beside that of the codes otherwise.
    pub(super) fn query_parts(self) -> usize {
        if self.n_bits > 4 { 2 } else { 1 }
    }

    /// Bytes of expanded rows and of queries.
    pub(super) fn expanded_len(self, n_dims: usize) -> usize {
        match self.n_bits {
            2 | 4 => self.n_bytes(n_dims).next_multiple_of(BYTES_PER_CHUNK) * (8 / self.n_bits),
            _ => n_dims,
        }
        .next_multiple_of(LINE_BYTES)
    }

    /// Where a dimension lies in an expanded row. Numbers of 2 and 4 bits are moved as they come out of chunks of 32 bytes: the first
    /// number of each byte, then the second of each, ...
    ///
    /// ```text
    /// 4 bits      bytes 0..32       dims 0 1 | 2 3 | 4 5 | ...
    ///             expanded          0 2 4 ... 62 | 1 3 5 ... 63
    /// ```
    #[inline]
    pub(super) fn place(self, dim: usize) -> usize {
        match self.n_bits {
            2 | 4 => {
                let per_byte = 8 / self.n_bits;
                let (byte, part) = (dim / per_byte, dim % per_byte);
                byte / BYTES_PER_CHUNK * BYTES_PER_CHUNK * per_byte
                    + part * BYTES_PER_CHUNK
                    + byte % BYTES_PER_CHUNK
            }
            _ => dim,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_ascend_and_are_symmetric() {
        for n_bits in 1..=8 {
            let grid = Grid::new(n_bits).unwrap();
            let levels: Vec<i32> = (0..=u8::MAX >> (8 - n_bits)).map(|number| grid.level(number)).collect();
            assert!(levels.is_sorted_by(|a, b| a < b), "{levels:?}");
            assert!(levels.iter().zip(levels.iter().rev()).all(|(a, b)| *a == -b), "{levels:?}");
        }
        assert!(Grid::new(0).is_err() && Grid::new(9).is_err());
    }

    #[test]
    fn places_are_a_permutation_within_the_expanded_length() {
        for n_bits in 2..=8 {
            for n_dims in [8, 64, 104, 256, 1000] {
                let grid = Grid::new(n_bits).unwrap();
                let mut is_taken = vec![false; grid.expanded_len(n_dims)];
                for dim in 0..n_dims {
                    assert!(!std::mem::replace(&mut is_taken[grid.place(dim)], true));
                }
            }
        }
    }
}
