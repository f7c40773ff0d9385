//! The coefficients of a tile as bits: values become binary decisions, which the model predicts and the range coder writes.
//!
//! ```text
//! size      0    1    2    3    4    5    6    7    8    9   10  ...
//! > 0       0    1    1    1    1    1    1    1    1    1    1         kind 0
//! > 1            0    1    1    1    1    1    1    1    1    1         kind 1
//! > 2                 0    1    1    1    1    1    1    1    1         kind 2
//! class                    0   10   10  110  110  110  110 1110         kinds 3 to 10: of size - 2, less its highest bit
//! rest                          0    1   00   01   10   11  000         kinds 11 to 15 for the highest bit, then simple counters
//! sign           +-   +-   +-  ...                                      predicted by the signs around
//! ```

use super::contexts::{Band, Contexts, Place};
use super::grid::Grid;
use super::model::{Model, N_KINDS, counted, p_of};
use super::quantization::Quantizer;
use super::{Sizes, signs};
use crate::Error;
use crate::entropy::{Decoder, Encoder};
use crate::error::try_vec;
use crate::wavelet::Plane;

/// Sizes below this are told by one decision for each.
const N_UNARY: u32 = 3;

/// The largest class of sizes.
const MAX_CLASS: u32 = 20;

/// Where decisions go to, or come from.
pub(super) trait Side {
    /// Prepares row `y` of a band.
    fn begin_row(&mut self, grids: &[Vec<Grid>], band: Band, y: usize) -> Result<(), Error>;

    /// The value of the coefficient at `(x, y)` of the band, when it is written.
    fn value(&mut self, model: &Model, place: &Place, band: Band, x: usize, y: usize) -> i32;

    /// Codes a decision; `bit` has no meaning when it is read.
    fn bit(&mut self, bit: bool, p_true: u32) -> Result<bool, Error>;
}

/// Reads coefficients.
pub(super) struct Reader<'a>(pub(super) Decoder<'a>);

impl Side for Reader<'_> {
    fn begin_row(&mut self, _: &[Vec<Grid>], _: Band, _: usize) -> Result<(), Error> {
        Ok(())
    }

    #[inline(always)]
    fn value(&mut self, _: &Model, _: &Place, _: Band, _: usize, _: usize) -> i32 {
        0
    }

    #[inline(always)]
    fn bit(&mut self, _: bool, p_true: u32) -> Result<bool, Error> {
        Ok(self.0.bit(p_true))
    }
}

/// Writes what a quantizer makes of the coefficients of a band.
pub(super) struct Writer<'a, 'b, Q: Quantizer> {
    pub(super) encoder: Encoder<'a>,
    pub(super) quantizer: &'b mut Q,
    pub(super) plane: &'b Plane<Q::Sample>,
    /// The first column and row of the plane.
    pub(super) first: (usize, usize),
}

impl<Q: Quantizer> Side for Writer<'_, '_, Q> {
    fn begin_row(&mut self, grids: &[Vec<Grid>], band: Band, y: usize) -> Result<(), Error> {
        self.quantizer.begin_row(grids, band, y)
    }

    #[inline(always)]
    fn value(&mut self, model: &Model, place: &Place, band: Band, x: usize, y: usize) -> i32 {
        let (column, row) = self.first;
        let sample = self.plane.samples[(row + y) * self.plane.width + column + x];
        self.quantizer.quantize(sample, x, band, model, place)
    }

    #[inline(always)]
    fn bit(&mut self, bit: bool, p_true: u32) -> Result<bool, Error> {
        self.encoder.bit(bit, p_true)?;
        Ok(bit)
    }
}

/// What coding a tile has learned.
pub(super) struct State {
    model: Model,
    contexts: Contexts,
    /// Bits that sizes lose before they become contexts.
    shift: u32,
    /// Of the bits below the highest one of a class.
    rests: Vec<u32>,
    /// Whether bands begin with what was learned in others.
    inherits: bool,
}

impl State {
    pub(super) fn new(sizes: Sizes) -> Result<Self, Error> {
        Ok(State {
            model: Model::new(
                Contexts::N_LINES + signs::N_SIGN_LINES,
                Contexts::N_SETS + signs::N_SIGN_SETS,
            )?,
            contexts: Contexts::new(sizes.unit)?,
            shift: sizes.shift,
            rests: try_vec(1 << 31, 32 * 32)?,
            inherits: true,
        })
    }

    /// Keeps what was learned for further bands of the same kinds.
    pub(super) fn keep(&mut self) {
        self.inherits = false;
    }

    /// Codes a band of a channel.
    #[inline(always)]
    pub(super) fn band(
        &mut self,
        side: &mut impl Side,
        grids: &mut [Vec<Grid>],
        band: Band,
    ) -> Result<(), Error> {
        let grid = &grids[band.channel][band.index];
        let (width, height) = (grid.width, grid.height);
        if self.inherits {
            Contexts::begin_band(&mut self.model, band);
        }
        for y in 0..height {
            self.contexts.begin_row(grids, band, y)?;
            side.begin_row(grids, band, y)?;
            let mut before = [0; 2];
            for x in 0..width {
                let place = self.contexts.place(band, x, before);
                let value = side.value(&self.model, &place, band, x, y);
                let size = self.size(side, &place, value.unsigned_abs())?;
                let mut coded = size as i32;
                if size > 0 {
                    let place = signs::place(grids, band, x, y);
                    let kind = 3 + band.level();
                    let prediction = self.model.predict(&place.lines, kind, place.sets);
                    let negative = side.bit(value < 0, prediction.p_true)?;
                    self.model.update(&place.lines, kind, place.sets, &prediction, negative);
                    coded = if negative { -coded } else { coded };
                }
                before = [before[1], (size >> self.shift).min(255) as u8];
                grids[band.channel][band.index].set(x, y, coded, before[1]);
            }
        }
        Ok(())
    }

    /// Codes a size.
    #[inline(always)]
    fn size(&mut self, side: &mut impl Side, place: &Place, size: u32) -> Result<u32, Error> {
        for below in 0..N_UNARY {
            if !self.decision(side, place, below, size > below)? {
                return Ok(below);
            }
        }
        self.large_size(side, place, size.max(N_UNARY))
    }

    /// Codes a size from [`N_UNARY`] up.
    #[cold]
    #[inline(never)]
    fn large_size(&mut self, side: &mut impl Side, place: &Place, size: u32) -> Result<u32, Error> {
        // From 1 up.
        let number = size - (N_UNARY - 1);
        let mut class = 0;
        while self.decision(side, place, (N_UNARY + class).min(10), number >> (class + 1) > 0)? {
            class += 1;
            if class == MAX_CLASS {
                break;
            }
        }
        let mut read = 1;
        for index in (0..class).rev() {
            let bit = number >> index & 1 == 1;
            let bit = if index + 1 == class {
                self.decision(side, place, (10 + class).min(N_KINDS as u32 - 1), bit)?
            } else {
                let counter = &mut self.rests[(class * 32 + index) as usize];
                let bit = side.bit(bit, p_of(*counter))?;
                *counter = counted(*counter, bit);
                bit
            };
            read = read << 1 | u32::from(bit);
        }
        Ok(read + (N_UNARY - 1))
    }

    #[inline(always)]
    fn decision(&mut self, side: &mut impl Side, place: &Place, kind: u32, bit: bool) -> Result<bool, Error> {
        let sets = place.sets_of(kind as usize);
        let prediction = self.model.predict(&place.lines, kind as usize, sets);
        let bit = side.bit(bit, prediction.p_true)?;
        self.model.update(&place.lines, kind as usize, sets, &prediction, bit);
        Ok(bit)
    }
}
