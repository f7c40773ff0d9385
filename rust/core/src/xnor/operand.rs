//! [`Operand`]: rows of numbers of a few bits. [`Matrix`]: the same, prepared for many products.

use std::sync::OnceLock;

use super::bytes::SignTiles;
use crate::error::try_vec;
use crate::popcount::tile::{MAX_WORDS, Tile};
use crate::{Codes, Error, Level, Parallel, bits};

/// What the bits of an operand stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// One plane: -1 for a zero, +1 for a one.
    Signs,
    /// Plane `p` counts `2^p`: integers from 0 up. One plane alone is 0 and 1.
    Unsigned,
    /// Likewise, but the last plane counts `-2^p`.
    TwosComplement,
}

impl Values {
    /// What a one counts in each of `n_planes` planes.
    pub(super) fn weights(self, n_planes: usize) -> Vec<i32> {
        let mut weights: Vec<i32> = (0..n_planes).map(|plane| 1 << plane).collect();
        match self {
            Values::Signs => weights.iter_mut().for_each(|weight| *weight = 2),
            Values::Unsigned => {}
            Values::TwosComplement => weights.iter_mut().rev().take(1).for_each(|top| *top = -*top),
        }
        weights
    }

    /// What a number is without any ones.
    pub(super) fn offset(self) -> i32 {
        match self {
            Values::Signs => -1,
            Values::Unsigned | Values::TwosComplement => 0,
        }
    }

    /// The largest magnitude.
    pub(super) fn largest(self, n_planes: usize) -> usize {
        match self {
            Values::Signs => 1,
            Values::Unsigned => (1 << n_planes) - 1,
            Values::TwosComplement => 1 << (n_planes - 1),
        }
    }
}

/// Rows of `n_features` numbers, one bit of each in every plane.
#[derive(Clone, Debug)]
pub struct Operand<'a> {
    planes: Vec<Codes<'a>>,
    values: Values,
    n_features: usize,
    /// Features after which a row goes on with a new byte: those of one place of a filter, or all.
    n_channels: usize,
}

impl<'a> Operand<'a> {
    /// More planes than this would be more than the bytes that the numbers came in.
    pub const MAX_PLANES: usize = 8;

    /// Rows of bits: the planes have the same shape, and no ones after the last feature.
    ///
    /// # Errors
    /// [`Error::Planes`] for none or too many of them, or several of signs; [`Error::FeaturesLength`] if their bytes are not
    /// those of so many features; [`Error::InputLength`] if planes differ in their rows; [`Error::PaddingBits`] if there are
    /// ones after the last feature.
    pub fn new(
        name: &'static str,
        planes: Vec<Codes<'a>>,
        values: Values,
        n_features: usize,
    ) -> Result<Self, Error> {
        let most = if values == Values::Signs { 1 } else { Operand::MAX_PLANES };
        if planes.is_empty() || planes.len() > most {
            return Err(Error::Planes { name, n_planes: planes.len(), most });
        }
        for plane in &planes {
            if n_features == 0 || plane.n_bytes() != n_features.div_ceil(8) {
                return Err(Error::FeaturesLength { name, n_bytes: plane.n_bytes(), n_features });
            }
            let (given, expected) = (plane.n_rows(), planes[0].n_rows());
            if given != expected {
                return Err(Error::InputLength { name, given, expected });
            }
            check_padding(name, *plane, n_features)?;
        }
        Ok(Operand { planes, values, n_features, n_channels: n_features })
    }

    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.planes[0].n_rows()
    }

    /// Numbers in a row.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Rows of signs for so many places, each with padding of its own, which is zero.
    pub(super) fn padded_signs(rows: Codes<'a>, n_places: usize, n_channels: usize) -> Self {
        let n_features = n_channels.saturating_mul(n_places);
        Operand { planes: vec![rows], values: Values::Signs, n_features, n_channels }
    }

    pub(super) fn planes(&self) -> &[Codes<'a>] {
        &self.planes
    }

    pub(super) fn values(&self) -> Values {
        self.values
    }
}

/// Refuses rows with ones after bit `n_bits` of their last byte.
pub(super) fn check_padding(name: &'static str, rows: Codes<'_>, n_bits: usize) -> Result<(), Error> {
    let padding = match n_bits % 8 {
        0 => return Ok(()),
        used => u8::MAX >> used,
    };
    let last = rows.n_bytes() - 1;
    match (0..rows.n_rows()).find(|row| rows.row(*row)[last] & padding != 0) {
        None => Ok(()),
        Some(row) => Err(Error::PaddingBits { name, row, n_bits }),
    }
}

/// Whether dot products of so many features, twice as large as they are, fit an int32; `largest` is that of one product.
pub(super) fn check_range(largest: usize, n_features: usize) -> Result<(), Error> {
    let most = (i32::MAX as usize / 2) / largest.max(1);
    if n_features > most { Err(Error::Features { n_features, most }) } else { Ok(()) }
}

/// The right-hand side of products, its rows transposed into tiles.
pub struct Matrix {
    pub(super) level: Level,
    pub(super) values: Values,
    pub(super) n_features: usize,
    n_channels: usize,
    pub(super) n_rows: usize,
    pub(super) n_bytes: usize,
    pub(super) planes: Vec<Plane>,
    /// What products with bytes take, once there was one.
    signs: OnceLock<SignTiles>,
}

/// One plane of a matrix.
pub(super) struct Plane {
    /// As they were given: a few rows of a left-hand side are compared with these.
    rows: Vec<u8>,
    /// None where rows are too long for tiles.
    pub tiles: Vec<Tile>,
    /// Ones of each row.
    pub ones: Vec<i32>,
}

impl Matrix {
    /// Prepares an operand.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn new(level: Level, operand: &Operand<'_>, parallel: &Parallel<'_>) -> Result<Self, Error> {
        let planes = operand.planes.iter().map(|rows| Plane::new(level, *rows, parallel));
        Ok(Matrix {
            level,
            values: operand.values,
            n_features: operand.n_features,
            n_channels: operand.n_channels,
            n_rows: operand.n_rows(),
            n_bytes: operand.planes[0].n_bytes(),
            planes: planes.collect::<Result<_, _>>()?,
            signs: OnceLock::new(),
        })
    }

    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Numbers in a row.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// The rows of each plane, as they were given.
    pub fn planes(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.planes.iter().map(|plane| plane.rows.as_slice())
    }

    /// Rows in a tile, but for the last one.
    pub(super) fn tile_rows(&self) -> usize {
        Tile::capacity(self.level, self.n_bytes.div_ceil(8))
    }

    /// The signs as products with bytes take them, made for the first of these.
    pub(super) fn signs(&self, parallel: &Parallel<'_>) -> Result<&SignTiles, Error> {
        if self.values != Values::Signs {
            return Err(Error::NotSigns);
        }
        if let Some(signs) = self.signs.get() {
            return Ok(signs);
        }
        let made = SignTiles::new(self.level, self.rows(0)?, self.n_channels, parallel)?;
        Ok(self.signs.get_or_init(|| made))
    }

    /// Rows of a plane as they were given.
    pub(super) fn rows(&self, plane: usize) -> Result<Codes<'_>, Error> {
        Codes::new(&self.planes[plane].rows, self.n_rows, self.n_bytes)
    }
}

impl Plane {
    fn new(level: Level, codes: Codes<'_>, parallel: &Parallel<'_>) -> Result<Self, Error> {
        let mut rows = try_vec(0, codes.n_rows() * codes.n_bytes())?;
        for (index, row) in rows.chunks_exact_mut(codes.n_bytes()).enumerate() {
            row.copy_from_slice(codes.row(index));
        }
        let codes = Codes::new(&rows, codes.n_rows(), codes.n_bytes())?;
        let mut ones = try_vec(0, codes.n_rows())?;
        bits::popcount(codes, &mut ones, &parallel.as_run(level))?;
        let mut tiles = Vec::new();
        if codes.n_words() <= MAX_WORDS {
            let capacity = Tile::capacity(level, codes.n_words());
            tiles.resize_with(codes.n_rows().div_ceil(capacity), Tile::default);
            let parallel = parallel.for_words(codes.n_rows() * codes.n_words());
            parallel.for_each_chunk(&mut tiles, 1, |index, tiles| {
                let end = codes.n_rows().min((index + 1) * capacity);
                for tile in tiles {
                    tile.fill_all(level, codes.slice(index * capacity, end));
                }
            })?;
        }
        Ok(Plane { rows, tiles, ones })
    }
}
