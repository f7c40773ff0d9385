//! [`Operand`]: rows of low-bit numbers. [`Matrix`]: an operand prepared for many products.

use std::sync::OnceLock;

use super::layout::SignTiles;
use crate::error::{check_len, try_collect, try_vec};
use crate::popcount::tile::{MAX_WORDS, Tile};
use crate::{Codes, Error, Level, Run, bits};

/// What the bits of an operand stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// One plane: -1 for a zero, +1 for a one.
    Signs,
    /// Plane `p` counts `2^p`: integers from 0 up. A single plane is 0 and 1.
    Unsigned,
    /// As unsigned, but the last plane counts `-2^p`.
    TwosComplement,
}

impl Values {
    /// The value of a one in each of `n_planes` planes.
    pub(super) fn weights(self, n_planes: usize) -> Vec<i32> {
        let mut weights: Vec<i32> = (0..n_planes).map(|plane| 1 << plane).collect();
        match self {
            Values::Signs => weights.iter_mut().for_each(|weight| *weight = 2),
            Values::Unsigned => {}
            Values::TwosComplement => weights.iter_mut().rev().take(1).for_each(|top| *top = -*top),
        }
        weights
    }

    /// The number without any ones.
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
    /// Features after which a row continues with a new byte: those of one pixel of a filter, or all.
    n_channels: usize,
}

impl<'a> Operand<'a> {
    /// The largest number of planes: numbers come in bytes.
    pub const MAX_PLANES: usize = 8;

    /// Planes of the same shape, without ones after the last feature.
    ///
    /// # Errors
    /// [`Error::Range`] for no planes or too many, or several planes of signs; [`Error::Length`] if the bytes per row do not
    /// fit the features, or planes differ in their rows; [`Error::Padding`] for ones after the last feature.
    pub fn new(
        name: &'static str,
        planes: Vec<Codes<'a>>,
        values: Values,
        n_features: usize,
    ) -> Result<Self, Error> {
        let most = if values == Values::Signs { 1 } else { Operand::MAX_PLANES };
        if planes.is_empty() || planes.len() > most {
            let (unit, given) = ("bit planes", planes.len());
            return Err(Error::Range { name, unit, given, low: 1, high: most });
        }
        for plane in &planes {
            check_row_bytes(name, plane.n_bytes(), n_features)?;
            check_len(name, "rows per plane", plane.n_rows(), planes[0].n_rows())?;
            check_padding(name, *plane, n_features)?;
        }
        Ok(Operand { planes, values, n_features, n_channels: n_features })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.planes[0].n_rows()
    }

    /// Numbers per row.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Rows of signs of `n_pixels` pixels, each padded with zero bits.
    pub(super) fn padded_signs(rows: Codes<'a>, n_pixels: usize, n_channels: usize) -> Self {
        let n_features = n_channels.saturating_mul(n_pixels);
        Operand { planes: vec![rows], values: Values::Signs, n_features, n_channels }
    }

    pub(super) fn planes(&self) -> &[Codes<'a>] {
        &self.planes
    }

    pub(super) fn values(&self) -> Values {
        self.values
    }
}

/// Refuses rows without the bytes that `n_bits` bits take.
pub(super) fn check_row_bytes(name: &'static str, n_bytes: usize, n_bits: usize) -> Result<(), Error> {
    let unit = "bytes per row";
    if n_bits == 0 {
        return Err(Error::Range { name, unit, given: n_bytes, low: 1, high: usize::MAX });
    }
    check_len(name, unit, n_bytes, n_bits.div_ceil(8))
}

/// Refuses rows with ones after the last of `n_bits` bits.
pub(super) fn check_padding(name: &'static str, rows: Codes<'_>, n_bits: usize) -> Result<(), Error> {
    let padding = match n_bits % 8 {
        0 => return Ok(()),
        used => u8::MAX >> used,
    };
    let last = rows.n_bytes() - 1;
    match (0..rows.n_rows()).find(|row| rows.row(*row)[last] & padding != 0) {
        None => Ok(()),
        Some(row) => Err(Error::Padding { name, row, n_bits }),
    }
}

/// Checks that twice the dot products of `n_features` numbers fit an int32; `largest` is the largest product of two numbers.
pub(super) fn check_range(largest: usize, n_features: usize) -> Result<(), Error> {
    let most = (i32::MAX as usize / 2) / largest.max(1);
    if n_features <= most {
        return Ok(());
    }
    let problem = format!(
        "rows have {n_features} numbers, but with products as large as {largest}, rows longer than {most} can overflow \
         int32 sums"
    );
    Err(Error::Incompatible { problem })
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
    /// Made for the first product with bytes.
    signs: OnceLock<SignTiles>,
}

/// One plane of a matrix.
pub(super) struct Plane {
    /// The rows as given: a few rows of a left-hand side are compared with these.
    rows: Vec<u8>,
    /// Empty if rows are too long for tiles.
    pub tiles: Vec<Tile>,
    /// Number of ones of each row.
    pub ones: Vec<i32>,
}

impl Matrix {
    /// Prepares an operand.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn new(operand: &Operand<'_>, run: &Run<'_>) -> Result<Self, Error> {
        let planes = operand.planes.iter().map(|rows| Plane::new(*rows, run));
        Ok(Matrix {
            level: run.level(),
            values: operand.values,
            n_features: operand.n_features,
            n_channels: operand.n_channels,
            n_rows: operand.n_rows(),
            n_bytes: operand.planes[0].n_bytes(),
            planes: planes.collect::<Result<_, _>>()?,
            signs: OnceLock::new(),
        })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Numbers per row.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// The rows of each plane, as given.
    pub fn planes(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.planes.iter().map(|plane| plane.rows.as_slice())
    }

    /// Rows in each tile but the last.
    pub(super) fn tile_rows(&self) -> usize {
        Tile::capacity(self.level, self.n_bytes.div_ceil(8))
    }

    /// The signs as products with bytes take them, made for the first of these products.
    pub(super) fn signs(&self, run: &Run<'_>) -> Result<&SignTiles, Error> {
        if self.values != Values::Signs {
            let problem = "b has bit planes, but bytes are multiplied by rows of signs only; split a into bit planes too";
            return Err(Error::Incompatible { problem: problem.to_owned() });
        }
        if let Some(signs) = self.signs.get() {
            return Ok(signs);
        }
        let made = SignTiles::new(self.rows(0)?, self.n_channels, run)?;
        Ok(self.signs.get_or_init(|| made))
    }

    /// The rows of a plane, as given.
    pub(super) fn rows(&self, plane: usize) -> Result<Codes<'_>, Error> {
        Codes::new(&self.planes[plane].rows, self.n_rows, self.n_bytes)
    }
}

impl Plane {
    fn new(codes: Codes<'_>, run: &Run<'_>) -> Result<Self, Error> {
        let level = run.level();
        let mut rows = try_vec(0, codes.n_rows() * codes.n_bytes())?;
        for (index, row) in rows.chunks_exact_mut(codes.n_bytes()).enumerate() {
            row.copy_from_slice(codes.row(index));
        }
        let codes = Codes::new(&rows, codes.n_rows(), codes.n_bytes())?;
        let mut ones = try_vec(0, codes.n_rows())?;
        bits::popcount(codes, &mut ones, run)?;
        let mut tiles = Vec::new();
        if codes.n_words() <= MAX_WORDS {
            let capacity = Tile::capacity(level, codes.n_words());
            tiles = try_collect((0..codes.n_rows().div_ceil(capacity)).map(|_| Tile::default()))?;
            let run = run.for_words(codes.n_rows() * codes.n_words());
            run.for_each_chunk(&mut tiles, 1, |index, tiles| {
                let end = codes.n_rows().min((index + 1) * capacity);
                tiles.iter_mut().try_for_each(|tile| tile.fill_all(level, codes.slice(index * capacity, end)))
            })?;
        }
        Ok(Plane { rows, tiles, ones })
    }
}
