//! Compression of pictures: a wavelet transform, one step for all its coefficients, chosen by rate and distortion, and an arithmetic coder
//! whose binary decisions are predicted from what is around a coefficient. Lossless by integers and a step of 1.
//!
//! ```text
//! samples -> colour planes -> wavelet bands -> integers -> decisions -> bytes
//!            `colour`         `wavelet`        `quantization`  `coefficients`  `entropy::range`
//!                                                              by `contexts`, `signs`, `model`, in `tiles`; `header`
//! ```
//!
//! Integers alone decide what is written and read. The samples that a decoder returns come from float32 operations in a fixed
//! order. So bytes and samples are the same on every machine, at every level and for every number of threads.

mod coefficients;
mod colour;
mod contexts;
mod grid;
mod header;
mod masking;
pub(crate) mod model;
pub(crate) mod planes;
mod quantization;
mod reconstruction;
mod signs;
mod steps;
mod tiles;

pub use steps::Step;

use crate::error::{check_len, try_collect};
use crate::wavelet::{self, Bands, FiveThree, Lifting, NineSeven, Plane};
use crate::{Error, Run};
use header::Header;
use quantization::{Excess, LAMBDA, Lossless, RateDistortion, Rounding};
use steps::Steps;
use tiles::Tile;

/// Levels of the wavelet transform.
const N_LEVELS: usize = 5;

/// Resolutions in which a picture can be decoded: whole, and halved up to three times.
pub const N_RESOLUTIONS: usize = 4;

/// The longest side.
pub const MAX_SIDE: usize = 65_535;

const MAX_CHANNELS: usize = 3;

/// The most bits that sizes lose before they become contexts.
const MAX_SHIFT: u32 = 12;

/// What a picture is, apart from its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 for grey, 3 for red, green and blue.
    pub n_channels: usize,
    /// Bits of a sample: 8, or 16.
    pub n_bits: u32,
}

/// Samples of 8 or 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplesOf<T, U> {
    /// Of 8 bits.
    Eight(T),
    /// Of 16 bits.
    Sixteen(U),
}

/// The samples of a picture, row by row, the channels of a pixel together.
pub type Samples<'a> = SamplesOf<&'a [u8], &'a [u16]>;

/// What a lossy picture should be close in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tune {
    /// Mean squared error.
    Psnr,
    /// The multi-scale structural similarity of luma.
    MsSsim,
}

/// How a picture is coded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Coding {
    /// Every sample comes back.
    Lossless,
    /// Samples come back about as exactly as `step` says.
    Lossy {
        /// Between two values of a coefficient.
        step: Step,
        /// What `step` is shared out for.
        tune: Tune,
    },
}

/// A decoded picture.
#[derive(Debug, PartialEq, Eq)]
pub struct Picture {
    /// What it is.
    pub kind: Kind,
    /// Its samples.
    pub samples: SamplesOf<Vec<u8>, Vec<u16>>,
}

/// The bytes of a picture.
///
/// # Errors
/// [`Error::Range`], [`Error::Length`] or [`Error::Incompatible`] for a picture that cannot be coded so, [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn encode(samples: Samples<'_>, kind: Kind, coding: Coding, run: &Run<'_>) -> Result<Vec<u8>, Error> {
    check(samples, kind)?;
    let tiles = Tile::all(kind.width, kind.height)?;
    let mut bytes = Vec::new();
    match (coding, samples) {
        (Coding::Lossy { step, tune }, SamplesOf::Eight(samples)) => {
            let channels = to_bands::<NineSeven>(colour::to_planes(samples, kind, run)?, run)?;
            let steps = Steps::new(step, tune);
            let coded = run.map_long_tasks(tiles.len(), |tile, is_stopped| {
                let mut quantizer = RateDistortion {
                    steps: &steps,
                    lambda: LAMBDA,
                    excess: Excess::default(),
                    factors: Vec::new(),
                };
                let message = tiles[tile].encode(&channels, &mut quantizer, SMALL_SIZES, is_stopped)?;
                Ok((message, quantizer.excess))
            })?;
            let rounding = Excess::rounding(coded.iter().map(|(_, excess)| excess));
            let messages = try_collect(coded.into_iter().map(|(message, _)| message))?;
            header::join(&messages, &mut bytes, &Header { kind, coding, rounding, shift: 0 })?;
        }
        (Coding::Lossy { .. }, SamplesOf::Sixteen(_)) => {
            let problem = "a picture of 16 bits can be coded lossless only";
            return Err(Error::Incompatible { problem: problem.to_owned() });
        }
        (Coding::Lossless, samples) => {
            let channels = to_bands::<FiveThree>(colour::to_integers(samples, kind, run)?, run)?;
            let shift = shift(&channels);
            let messages = run.map_long_tasks(tiles.len(), |tile, is_stopped| {
                tiles[tile].encode(&channels, &mut Lossless, Sizes { shift, ..LARGE_SIZES }, is_stopped)
            })?;
            let rounding = Rounding::default();
            header::join(&messages, &mut bytes, &Header { kind, coding, rounding, shift })?;
        }
    }
    Ok(bytes)
}

/// What the picture of these bytes is and how it was coded.
///
/// # Errors
/// [`Error::Incompatible`] if these are not the first bytes of a picture.
pub fn inspect(bytes: &[u8]) -> Result<(Kind, Coding), Error> {
    let (header, _, _) = Header::read(bytes)?;
    Ok((header.kind, header.coding))
}

/// The picture of these bytes with its sides halved `n_halvings` times, for which the first bytes are enough; whole, it has at most
/// `max_pixels`.
///
/// # Errors
/// [`Error::Incompatible`] for bytes that are no picture, or were cut or altered, [`Error::Range`] for `n_halvings`,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn decode(bytes: &[u8], n_halvings: usize, max_pixels: usize, run: &Run<'_>) -> Result<Picture, Error> {
    if n_halvings >= N_RESOLUTIONS {
        let (name, unit, high) = ("n_halvings", "", N_RESOLUTIONS - 1);
        return Err(Error::Range { name, unit, given: n_halvings, low: 0, high });
    }
    let (Header { kind, coding, rounding, shift }, parts, body) = Header::read(bytes)?;
    if kind.width.saturating_mul(kind.height) > max_pixels {
        let Kind { width, height, .. } = kind;
        let problem = format!(
            "data is a picture of {height} x {width} pixels, more than max_pixels = {max_pixels}; if you trust it, give a \
             larger max_pixels"
        );
        return Err(Error::Incompatible { problem });
    }
    let messages = parts.messages(body, N_RESOLUTIONS - n_halvings)?;
    let tiles = Tile::all(kind.width, kind.height)?;
    let sizes = match coding {
        Coding::Lossy { .. } => SMALL_SIZES,
        Coding::Lossless => Sizes { shift, ..LARGE_SIZES },
    };
    for (tile, message) in tiles.iter().zip(&messages) {
        if message.len() < tile.least_bytes(kind.n_channels, n_halvings) {
            return Err(damaged("it has fewer bytes than a picture of its size"));
        }
    }
    let grids = run.map_long_tasks(tiles.len(), |tile, is_stopped| {
        let grids = tiles[tile].decode(&messages[tile], kind.n_channels, n_halvings, sizes, is_stopped)?;
        grids.ok_or_else(|| damaged("it was altered"))
    })?;
    let tiles = try_collect(tiles.into_iter().zip(grids))?;
    let gain = wavelet::gain(kind.width, kind.height, n_halvings);
    let (width, height) = wavelet::sides(kind.width, kind.height, n_halvings);
    let kind = Kind { width, height, ..kind };
    let n_levels = N_LEVELS - n_halvings;
    let samples = match coding {
        Coding::Lossy { step, tune } => {
            let steps = Steps::new(step, tune);
            let plane = |_: &mut (), channel| {
                let mut bands = Bands::new(width, height, n_levels)?;
                reconstruction::dequantized(&tiles, channel, &mut bands, &steps, rounding)?;
                wavelet::inverse::<NineSeven>(bands)
            };
            let planes = run.map_tasks(kind.n_channels, || Ok(()), plane)?;
            SamplesOf::Eight(colour::to_samples(&planes, gain, run)?)
        }
        Coding::Lossless => {
            let plane = |_: &mut (), channel| {
                let mut bands = Bands::new(width, height, n_levels)?;
                reconstruction::integers(&tiles, channel, &mut bands)?;
                wavelet::inverse::<FiveThree>(bands)
            };
            let planes = run.map_tasks(kind.n_channels, || Ok(()), plane)?;
            colour::from_integers(&planes, kind.n_bits, run)?
        }
    };
    Ok(Picture { kind, samples })
}

/// How sizes become contexts.
#[derive(Clone, Copy)]
struct Sizes {
    /// How wide the scales of sums are.
    unit: usize,
    /// Bits that sizes lose first.
    shift: u32,
}

/// Of coefficients most of which are 0 or 1.
const SMALL_SIZES: Sizes = Sizes { unit: 1, shift: 0 };

/// Of coefficients without losses.
const LARGE_SIZES: Sizes = Sizes { unit: 4, shift: 0 };

/// The mean size of the finest coefficients that is usual with 8 bits.
const USUAL_SIZE: u64 = 8;

/// What sizes have to lose so that they are of usual size.
fn shift(channels: &[Bands<i32>]) -> u32 {
    let finest = channels.iter().filter_map(|bands| bands.details.first()).flatten();
    let (mut sum, mut n) = (0, 1);
    for plane in finest {
        sum += plane.samples.iter().map(|value| u64::from(value.unsigned_abs())).sum::<u64>();
        n += plane.samples.len() as u64;
    }
    (sum / (n * USUAL_SIZE)).max(1).ilog2().min(MAX_SHIFT)
}

fn to_bands<L: Lifting>(planes: Vec<Plane<L::Sample>>, run: &Run<'_>) -> Result<Vec<Bands<L::Sample>>, Error>
where
    L::Sample: Send + Sync,
{
    let mut bands = try_collect(planes.iter().map(|_| None))?;
    run.for_each_part(
        planes.into_iter().zip(&mut bands),
        || Ok(()),
        |(), _, (plane, bands)| {
            *bands = Some(wavelet::forward::<L>(plane, N_LEVELS)?);
            Ok(())
        },
    )?;
    try_collect(bands.into_iter().flatten())
}

fn check(samples: Samples<'_>, kind: Kind) -> Result<(), Error> {
    for (name, given) in [("width", kind.width), ("height", kind.height)] {
        if !(1..=MAX_SIDE).contains(&given) {
            return Err(Error::Range { name, unit: "", given, low: 1, high: MAX_SIDE });
        }
    }
    let (len, n_bits) = match samples {
        SamplesOf::Eight(samples) => (samples.len(), 8),
        SamplesOf::Sixteen(samples) => (samples.len(), 16),
    };
    if n_bits != kind.n_bits || ![(1, 8), (3, 8), (1, 16)].contains(&(kind.n_channels, n_bits)) {
        let problem = "a picture must be grey of 8 or 16 bits, or red, green and blue of 8 bits";
        return Err(Error::Incompatible { problem: problem.to_owned() });
    }
    let expected = kind.width.checked_mul(kind.height).and_then(|n| n.checked_mul(kind.n_channels));
    check_len("samples", "elements", len, expected.ok_or(Error::OutOfMemory)?)
}

/// The error of bytes that are no picture.
fn damaged(what: &str) -> Error {
    Error::Incompatible { problem: format!("data is no picture of ImageCodec, or was damaged: {what}") }
}
