//! From coefficients to integers.

use super::MAX_CHANNELS;
use super::contexts::{Band, Place};
use super::grid::Grid;
use super::masking;
use super::model::Model;
use super::steps::Steps;
use crate::Error;
use crate::entropy::mixing::log2;

/// Squared error, of step^2, that a bit is worth: at high rates the error is step^2 / 12 and falls by 6 dB a bit, so that the slope is
/// 2 ln(2) / 12.
pub(super) const LAMBDA: f32 = 0.12;

/// Coefficients larger than this are rounded without weighing their bits.
const MAX_WEIGHED: i32 = 3;

/// How far a larger one must be from an integer to be rounded up to it.
const LARGE_ROUNDING: f32 = 0.45;

/// Sizes are at most this.
const MAX_SIZE: f32 = 1_000_000.0;

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
    /// Squared error, of step^2, that a bit is worth.
    pub(super) lambda: f32,
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
            ..=MAX_WEIGHED => cheapest(exact, nearest, self.lambda, model, place),
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
fn cheapest(exact: f32, nearest: i32, lambda: f32, model: &Model, place: &Place) -> i32 {
    let (mut best, mut least, mut bits) = (nearest, f32::MAX, 0.0);
    for size in 0..=nearest {
        let p_larger = model.predict(&place.lines, size as usize, place.sets_of(size as usize)).p_true;
        if size == 0 || size + 1 >= nearest {
            let (error, sign_bits) = (exact - size as f32, if size > 0 { 1.0 } else { 0.0 });
            let all_bits = bits + BITS[((65_536 - p_larger) >> 4) as usize] + sign_bits;
            let cost = error * error + lambda * all_bits;
            if cost < least {
                (best, least) = (size, cost);
            }
        }
        bits += BITS[(p_larger >> 4) as usize];
    }
    best
}
