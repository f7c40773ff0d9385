//! From coefficients to integers, and back.

use super::contexts::{Band, N_BANDS, Place};
use super::grid::Grid;
use super::masking;
use super::model::Model;
use super::tiles::Tile;
use super::{MAX_CHANNELS, N_LEVELS, Tune};
use crate::Error;
use crate::entropy::mixing::log2;
use crate::wavelet::{Bands, Plane};

/// Bits that a unit of squared error is worth, in squares of steps: the slope of rate against distortion at high rates is
/// 6 dB a bit, or 1 / (12 * 1.386) = 0.06 bits for each; this is for Laplacian coefficients with a dead zone.
const LAMBDA: f32 = 0.12;

/// Coefficients larger than this are rounded without weighing their bits.
const MAX_WEIGHED: i32 = 3;

/// How far a larger one must be from an integer to be rounded up to it.
const LARGE_ROUNDING: f32 = 0.45;

/// Sizes are at most this.
const MAX_SIZE: f32 = 1_000_000.0;

/// The step between two values of a coefficient, of which 512 are in each octave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step(u16);

impl Step {
    /// The least step, and the largest.
    pub const RANGE: (f32, f32) = (0.0625, 16_384.0);

    /// The nearest step that can be written.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if it is not in [`Step::RANGE`].
    pub fn new(step: f64) -> Result<Self, Error> {
        let (low, high) = Step::RANGE;
        if !(f64::from(low)..=f64::from(high)).contains(&step) {
            return Err(Error::Incompatible {
                problem: format!("step must be from {low} to {high}; got {step}"),
            });
        }
        let mut exponent = 0_u16;
        while step >= f64::from(of(exponent + 1, 0)) {
            exponent += 1;
        }
        let mantissa = (step / f64::from(of(exponent, 0)) * 256.0).round() as u16 - 256;
        Ok(Step((exponent << 8) + mantissa))
    }

    pub(super) fn of_code(code: u16) -> Option<Self> {
        let (low, high) = Step::RANGE;
        (low..=high).contains(&of(code >> 8, code & 255)).then_some(Step(code))
    }

    pub(super) fn code(self) -> u16 {
        self.0
    }

    /// The step.
    pub fn value(self) -> f32 {
        of(self.0 >> 8, self.0 & 255)
    }
}

/// `(256 + mantissa) * 2^(exponent - 16)`, which is exact.
fn of(exponent: u16, mantissa: u16) -> f32 {
    let power = f32::from_bits((127 - 16 + u32::from(exponent.min(40))) << 23);
    f32::from(256 + mantissa) * power
}

/// The steps of all bands.
pub(super) struct Steps {
    of_bands: [[f32; N_BANDS]; MAX_CHANNELS],
    pub(super) tune: Tune,
}

impl Steps {
    pub(super) fn new(step: Step, tune: Tune) -> Self {
        let mut steps = [[step.value(); N_BANDS]; MAX_CHANNELS];
        if tune == Tune::MsSsim {
            for (channel, of_channel) in steps.iter_mut().enumerate() {
                for (index, step) in of_channel.iter_mut().enumerate() {
                    *step *= weight(Band { index, channel });
                }
            }
        }
        Steps { of_bands: steps, tune }
    }

    pub(super) fn of(&self, band: Band) -> f32 {
        self.of_bands[band.channel][band.index]
    }
}

/// How much larger the steps of a band are when tuned for MS-SSIM.
///
/// The scales of the index have the weights .0448, .2856, .3001, .2363 and .1333 (Wang, Simoncelli and Bovik, *Multiscale structural
/// similarity for image quality assessment*, 2003). A band of level l adds errors to the first l scales, and steps grow with the inverse
/// root of the sum of their weights; the finest band, part of which is seen at the second scale, does not reach the 4.7 that this
/// would be. Colours are not measured. In all, about as many bytes as without.
fn weight(band: Band) -> f32 {
    let of_level = [1.5, 0.77, 0.56, 0.48, 0.45][band.level() - 1];
    if band.channel == 0 { of_level } else { 3.0 * of_level }
}

/// Where coefficients of size 1, and larger ones, are put, for each channel: towards zero, of step / 256.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rounding(pub(super) [[i8; 2]; MAX_CHANNELS]);

/// Sums of how much larger integers are than what they stand for, of 2^-16, and how many there are: for each channel, of size 1, and larger.
#[derive(Clone, Copy, Default)]
pub(super) struct Excess([[(i64, i64); 2]; MAX_CHANNELS]);

impl Excess {
    #[inline(always)]
    fn add(&mut self, band: Band, size: i32, exact: f32) {
        let (sum, n) = &mut self.0[band.channel][usize::from(size > 1)];
        *sum += ((size as f32 - exact) * 65_536.0) as i64;
        *n += 1;
    }

    /// The means of all tiles, to be subtracted.
    pub(super) fn rounding<'a>(all: impl Iterator<Item = &'a Excess> + Clone) -> Rounding {
        let mut rounding = Rounding::default();
        for (channel, of_channel) in rounding.0.iter_mut().enumerate() {
            for (kind, mean) in of_channel.iter_mut().enumerate() {
                let sum: i64 = all.clone().map(|one| one.0[channel][kind].0).sum();
                let n: i64 = all.clone().map(|one| one.0[channel][kind].1).sum();
                *mean = (sum / (n.max(1) << 8)).clamp(-128, 127) as i8;
            }
        }
        rounding
    }
}

/// Chooses the integers that stand for coefficients.
pub(super) trait Quantizer {
    /// A coefficient.
    type Sample: Copy;

    /// Prepares row `y` of a band.
    fn begin_row(&mut self, grids: &[Vec<Grid>], band: Band, y: usize) -> Result<(), Error>;

    /// The integer for the coefficient at `x` of that row.
    fn quantize(&mut self, sample: Self::Sample, x: usize, band: Band, model: &Model, place: &Place) -> i32;
}

/// Coefficients that are integers.
pub(super) struct Lossless;

impl Quantizer for Lossless {
    type Sample = i32;

    fn begin_row(&mut self, _: &[Vec<Grid>], _: Band, _: usize) -> Result<(), Error> {
        Ok(())
    }

    #[inline(always)]
    fn quantize(&mut self, sample: i32, _: usize, _: Band, _: &Model, _: &Place) -> i32 {
        sample
    }
}

/// Code lengths of probabilities of 2^12, in bits.
static BITS: [f32; 4096] = {
    let (mut bits, mut p) = ([0.0; 4096], 0);
    while p < 4096 {
        bits[p as usize] = ((13 << 16) - log2(2 * p + 1)) as f32 / 65536.0;
        p += 1;
    }
    bits
};

/// Coefficients that become multiples of a step: those that cost least, in squared error and in bits.
pub(super) struct RateDistortion<'a> {
    pub(super) steps: &'a Steps,
    pub(super) excess: Excess,
    /// How much larger the steps of the coefficients of a row are; none if all are 1.
    pub(super) factors: Vec<f32>,
}

impl Quantizer for RateDistortion<'_> {
    type Sample = f32;

    fn begin_row(&mut self, grids: &[Vec<Grid>], band: Band, y: usize) -> Result<(), Error> {
        masking::factors(grids, band, y, self.steps, &mut self.factors)
    }

    #[inline(always)]
    fn quantize(&mut self, sample: f32, x: usize, band: Band, model: &Model, place: &Place) -> i32 {
        let factor = self.factors.get(x).copied().unwrap_or(1.0);
        let exact = sample.abs() / (self.steps.of(band) * factor);
        let nearest = (exact + 0.5) as i32;
        if nearest == 0 {
            return 0;
        }
        let size = match nearest {
            ..=MAX_WEIGHED => cheapest(exact, nearest, model, place),
            _ => (exact.min(MAX_SIZE) + LARGE_ROUNDING) as i32,
        };
        if size > 0 {
            self.excess.add(band, size, exact);
        }
        if sample < 0.0 { -size } else { size }
    }
}

/// The size with the least cost, of 0, `nearest` and the one below.
#[inline(never)]
fn cheapest(exact: f32, nearest: i32, model: &Model, place: &Place) -> i32 {
    let (mut best, mut least, mut bits) = (nearest, f32::MAX, 0.0);
    for size in 0..=nearest {
        let p_larger = model.predict(&place.lines, size as usize, place.sets_of(size as usize)).p_true;
        if size == 0 || size + 1 >= nearest {
            let (error, sign_bits) = (exact - size as f32, if size > 0 { 1.0 } else { 0.0 });
            let all_bits = bits + BITS[((65_536 - p_larger) >> 4) as usize] + sign_bits;
            let cost = error * error + LAMBDA * all_bits;
            if cost < least {
                (best, least) = (size, cost);
            }
        }
        bits += BITS[(p_larger >> 4) as usize];
    }
    best
}

/// What the integers of a channel stand for.
pub(super) fn dequantized(
    tiles: &[(Tile, Vec<Vec<Grid>>)],
    channel: usize,
    bands: &mut Bands<f32>,
    steps: &Steps,
    rounding: Rounding,
) -> Result<(), Error> {
    let mut factors = Vec::new();
    let [of_one, of_larger] = rounding.0[channel].map(|part| f32::from(part) / 256.0);
    for_each_row(tiles, channel, bands, |grids, band, y, out| {
        masking::factors(grids, band, y, steps, &mut factors)?;
        let step = steps.of(band);
        for (x, (out, integer)) in out.iter_mut().zip(grids[channel][band.index].row(y)).enumerate() {
            let size = integer.unsigned_abs() as f32;
            let moved = if size > 1.0 { size - of_larger } else { size - of_one };
            let step = step * factors.get(x).copied().unwrap_or(1.0);
            let magnitude = if *integer == 0 { 0.0 } else { moved * step };
            *out = if *integer < 0 { -magnitude } else { magnitude };
        }
        Ok(())
    })
}

/// The integers of a channel.
pub(super) fn integers(
    tiles: &[(Tile, Vec<Vec<Grid>>)],
    channel: usize,
    bands: &mut Bands<i32>,
) -> Result<(), Error> {
    for_each_row(tiles, channel, bands, |grids, band, y, out| {
        out.copy_from_slice(grids[channel][band.index].row(y));
        Ok(())
    })
}

/// Calls `fill` for each row of each tile, with where it belongs in the bands of the channel.
fn for_each_row<T>(
    tiles: &[(Tile, Vec<Vec<Grid>>)],
    channel: usize,
    bands: &mut Bands<T>,
    mut fill: impl FnMut(&[Vec<Grid>], Band, usize, &mut [T]) -> Result<(), Error>,
) -> Result<(), Error> {
    for index in 0..1 + 3 * bands.details.len().min(N_LEVELS) {
        // Bands of the finest levels may be absent.
        let n_absent = N_LEVELS - bands.details.len();
        let band = Band { index: if index == 0 { 0 } else { index + 3 * n_absent }, channel };
        let plane: &mut Plane<T> = match index {
            0 => &mut bands.low,
            _ => &mut bands.details[(index - 1) / 3][(index - 1) % 3],
        };
        for (tile, grids) in tiles {
            let (columns, rows) = tile.of_band(band.index);
            for (row, y) in rows.enumerate() {
                let out = &mut plane.samples[y * plane.width..][columns.clone()];
                fill(grids, band, row, out)?;
            }
        }
    }
    Ok(())
}
