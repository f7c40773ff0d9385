//! The steps of coefficients: one for a picture, from which those of all bands follow.

use super::contexts::{Band, N_BANDS};
use super::{MAX_CHANNELS, Tune};
use crate::Error;

/// The step between two values of a coefficient, of which 256 are in each octave.
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
