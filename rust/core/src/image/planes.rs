//! Planes of real numbers, such as what a prediction leaves of a frame, in a message that holds other things, too. What is learned of one
//! set of planes helps with the next.

use super::coefficients::{Reader, Side, State, Writer};
use super::contexts::{Band, N_BANDS, Place};
use super::grid::Grid;
use super::model::Model;
use super::quantization::{Excess, RateDistortion, Rounding};
use super::steps::Steps;
use super::tiles::order;
use super::{MAX_CHANNELS, N_LEVELS, SMALL_SIZES, Step, Tune};
use crate::entropy::{Decoder, Encoder};
use crate::error::try_push;
use crate::wavelet::{self, Bands, NineSeven, Plane};
use crate::{Error, Run};

/// Where coefficients of size 1, and larger ones, of each plane are put: towards zero, of step / 256.
pub(crate) type Moves = [[i8; 2]; MAX_CHANNELS];

/// What follows in a message, and the planes that came before it.
type Decoded<'a> = (Decoder<'a>, Vec<Plane<f32>>);

/// What coding planes of a kind has learned.
pub(crate) struct PlaneCoder(State);

/// A side that asks before each row whether to stop.
struct Stoppable<'a, 'b, S> {
    side: S,
    run: &'a Run<'b>,
}

impl<S: Side> Side for Stoppable<'_, '_, S> {
    fn begin_row(&mut self, grids: &[Vec<Grid>], band: Band, y: usize) -> Result<(), Error> {
        if self.run.should_stop() {
            return Err(Error::Interrupted);
        }
        self.side.begin_row(grids, band, y)
    }

    #[inline(always)]
    fn value(&mut self, model: &Model, place: &Place, band: Band, x: usize, y: usize) -> i32 {
        self.side.value(model, place, band, x, y)
    }

    #[inline(always)]
    fn bit(&mut self, bit: bool, p_true: u32) -> Result<bool, Error> {
        self.side.bit(bit, p_true)
    }
}

impl PlaneCoder {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(PlaneCoder(State::new(SMALL_SIZES)?))
    }

    /// Codes planes of one size, which become what a decoder makes of them.
    pub(crate) fn encode<'a>(
        &mut self,
        planes: &mut [Plane<f32>],
        step: Step,
        lambda: f32,
        mut encoder: Encoder<'a>,
        run: &Run<'_>,
    ) -> Result<(Encoder<'a>, Moves), Error> {
        let steps = Steps::new(step, Tune::Psnr);
        let (mut all_bands, mut grids) = (Vec::new(), Vec::new());
        for plane in planes.iter_mut() {
            let bands = wavelet::forward::<NineSeven>(std::mem::replace(plane, Plane::new(0, 0)?), N_LEVELS)?;
            try_push(&mut grids, grids_of(&bands)?)?;
            try_push(&mut all_bands, bands)?;
        }
        let mut quantizer =
            RateDistortion { steps: &steps, lambda, excess: Excess::default(), factors: Vec::new() };
        for (index, _) in order() {
            for (channel, bands) in all_bands.iter().enumerate() {
                let band = Band { index, channel };
                let plane = match index {
                    0 => &bands.low,
                    _ => &bands.details[band.level() - 1][band.orientation() - 1],
                };
                let writer = Writer { encoder, quantizer: &mut quantizer, plane, first: (0, 0) };
                let mut side = Stoppable { side: writer, run };
                self.0.band(&mut side, &mut grids, band)?;
                encoder = side.side.encoder;
            }
        }
        self.0.keep();
        let Rounding(moves) = Excess::rounding(std::iter::once(&quantizer.excess));
        for (((plane, bands), grids), moves) in planes.iter_mut().zip(all_bands).zip(&grids).zip(moves) {
            *plane = reconstructed(bands, grids, step, moves)?;
        }
        Ok((encoder, moves))
    }

    /// `n` planes of this size; `None` if the message ends before them.
    pub(crate) fn decode<'a>(
        &mut self,
        (width, height): (usize, usize),
        n: usize,
        step: Step,
        moves: Moves,
        decoder: Decoder<'a>,
        run: &Run<'_>,
    ) -> Result<Option<Decoded<'a>>, Error> {
        let (mut grids, mut planes) = (Vec::new(), Vec::new());
        let shapes = Bands::<()>::new(width, height, N_LEVELS)?;
        for _ in 0..n {
            try_push(&mut grids, grids_of(&shapes)?)?;
        }
        let mut side = Stoppable { side: Reader(decoder), run };
        for (index, _) in order() {
            for channel in 0..n {
                self.0.band(&mut side, &mut grids, Band { index, channel })?;
                if side.side.0.is_past_end() {
                    return Ok(None);
                }
            }
        }
        self.0.keep();
        for (grids, moves) in grids.iter().zip(moves) {
            let bands = Bands::new(width, height, N_LEVELS)?;
            try_push(&mut planes, reconstructed(bands, grids, step, moves)?)?;
        }
        Ok(Some((side.side.0, planes)))
    }
}

/// Grids for the bands of a plane.
fn grids_of<T>(bands: &Bands<T>) -> Result<Vec<Grid>, Error> {
    let mut grids = Vec::new();
    grids.try_reserve_exact(N_BANDS)?;
    for plane in std::iter::once(&bands.low).chain(bands.details.iter().flatten()) {
        grids.push(Grid::new(plane.width, plane.height)?);
    }
    Ok(grids)
}

/// The plane that integers stand for.
fn reconstructed(
    mut bands: Bands<f32>,
    grids: &[Grid],
    step: Step,
    moves: [i8; 2],
) -> Result<Plane<f32>, Error> {
    let step = step.value();
    let [of_one, of_larger] = moves.map(|part| f32::from(part) / 256.0);
    let planes = std::iter::once(&mut bands.low).chain(bands.details.iter_mut().flatten());
    for (plane, grid) in planes.zip(grids) {
        for y in 0..plane.height {
            for (out, integer) in plane.row_mut(y).iter_mut().zip(grid.row(y)) {
                let size = integer.unsigned_abs() as f32;
                let moved = if size > 1.0 { size - of_larger } else { size - of_one };
                let magnitude = if *integer == 0 { 0.0 } else { moved * step };
                *out = if *integer < 0 { -magnitude } else { magnitude };
            }
        }
    }
    wavelet::inverse::<NineSeven>(bands)
}
