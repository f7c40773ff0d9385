//! Tiles: rectangles of the picture whose coefficients are coded apart from each other, so that all cores work. Transforms know no tiles,
//! so their edges are not seen.
//!
//! The bytes of a tile come in parts, one for each resolution, so that a picture can be decoded at a lower one from the first bytes of
//! a file. They are parts of one message: a resolution is read from its own part and those before it.

use std::ops::Range;

use super::coefficients::{Reader, State, Writer};
use super::contexts::{Band, N_BANDS};
use super::grid::Grid;
use super::model::LEAST_BITS;
use super::quantization::Quantizer;
use super::{N_LEVELS, N_RESOLUTIONS, Sizes};
use crate::Error;
use crate::entropy::{Decoder, Encoder};
use crate::error::try_collect;
use crate::wavelet::{self, Bands};

/// The longest side of a tile.
const MAX_TILE_SIDE: usize = 512;

/// Sides of tiles are multiples of this, so that tiles of bands have whole sides.
const UNIT: usize = 1 << N_LEVELS;

/// A tile of a picture.
#[derive(Clone)]
pub(super) struct Tile {
    x: Range<usize>,
    y: Range<usize>,
}

impl Tile {
    /// The tiles of a picture: about equal, row by row.
    pub(super) fn all(width: usize, height: usize) -> Result<Vec<Tile>, Error> {
        let ranges = |side: usize| {
            let step = tile_side(side);
            (0..side).step_by(step).map(move |first| first..side.min(first + step))
        };
        try_collect(ranges(height).flat_map(|y| ranges(width).map(move |x| Tile { x, y: y.clone() })))
    }

    /// How many tiles a picture has.
    pub(super) fn count(width: usize, height: usize) -> usize {
        width.div_ceil(tile_side(width)) * height.div_ceil(tile_side(height))
    }

    /// The fewest bytes of a message, since no decision takes no bits.
    pub(super) fn least_bytes(&self, n_channels: usize, n_halvings: usize) -> usize {
        let (width, height) = wavelet::sides(self.x.len(), self.y.len(), n_halvings);
        let n_decisions = width * height * n_channels;
        ((n_decisions as f64 * LEAST_BITS / 8.0) as usize).saturating_sub(MARGIN)
    }

    /// Which columns and rows of a band the tile has.
    pub(super) fn of_band(&self, band: usize) -> (Range<usize>, Range<usize>) {
        let band = Band { index: band, channel: 0 };
        let part = |range: &Range<usize>, high: bool| {
            let end = range.end.div_ceil(1 << (band.level() - 1));
            let first = range.start >> band.level();
            first..if high { end / 2 } else { end.div_ceil(2) }
        };
        let orientation = band.orientation();
        (part(&self.x, orientation & 1 == 1), part(&self.y, orientation & 2 == 2))
    }

    /// Grids for all bands, those of the `n_absent` finest levels being empty.
    fn grids(&self, n_channels: usize, n_absent: usize) -> Result<Vec<Vec<Grid>>, Error> {
        let grid = |index| match (Band { index, channel: 0 }).level() <= n_absent {
            true => Grid::new(0, 0),
            false => {
                let (x, y) = self.of_band(index);
                Grid::new(x.len(), y.len())
            }
        };
        let mut channels = Vec::new();
        channels.try_reserve_exact(n_channels)?;
        for _ in 0..n_channels {
            let mut grids = Vec::new();
            grids.try_reserve_exact(N_BANDS)?;
            for index in 0..N_BANDS {
                grids.push(grid(index)?);
            }
            channels.push(grids);
        }
        Ok(channels)
    }

    /// Codes the coefficients of the tile.
    pub(super) fn encode<Q: Quantizer>(
        &self,
        channels: &[Bands<Q::Sample>],
        quantizer: &mut Q,
        sizes: Sizes,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Message, Error> {
        let mut grids = self.grids(channels.len(), 0)?;
        let mut state = State::new(sizes)?;
        let (mut bytes, mut ends) = (Vec::new(), [0; N_RESOLUTIONS]);
        let mut encoder = Encoder::new(&mut bytes);
        for (index, complete) in order() {
            let (columns, rows) = self.of_band(index);
            for (channel, bands) in channels.iter().enumerate() {
                let band = Band { index, channel };
                let plane = match index {
                    0 => &bands.low,
                    _ => &bands.details[band.level() - 1][band.orientation() - 1],
                };
                let first = (columns.start, rows.start);
                let mut writer = Writer { encoder, quantizer: &mut *quantizer, plane, first };
                state.band(&mut writer, &mut grids, band)?;
                encoder = writer.encoder;
                if is_stopped() {
                    return Err(Error::Interrupted);
                }
            }
            if let Some(resolution) = complete {
                ends[resolution] = encoder.len() + MARGIN;
            }
        }
        encoder.finish()?;
        ends.iter_mut().for_each(|end| *end = (*end).min(bytes.len()));
        ends[N_RESOLUTIONS - 1] = bytes.len();
        Ok(Message { bytes, ends })
    }

    /// The coefficients of the tile, those of the finest levels left out; `None` if these are not the bytes of a tile.
    pub(super) fn decode(
        &self,
        bytes: &[u8],
        n_channels: usize,
        n_halvings: usize,
        sizes: Sizes,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Vec<Grid>>>, Error> {
        let mut grids = self.grids(n_channels, n_halvings)?;
        let mut state = State::new(sizes)?;
        let mut reader = Reader(Decoder::new(bytes));
        let last = N_RESOLUTIONS - 1 - n_halvings;
        for (index, complete) in order() {
            for channel in 0..n_channels {
                state.band(&mut reader, &mut grids, Band { index, channel })?;
                if is_stopped() {
                    return Err(Error::Interrupted);
                }
                if reader.0.is_past_end() {
                    return Ok(None);
                }
            }
            if complete == Some(last) {
                break;
            }
        }
        let whole = n_halvings > 0 || reader.0.is_complete();
        Ok(whole.then_some(grids))
    }
}

/// The order in which bands are coded: coarse ones first; and after which of them a resolution is complete.
pub(super) fn order() -> impl Iterator<Item = (usize, Option<usize>)> {
    let details = (1..=N_LEVELS).rev().flat_map(|level| {
        (0..3).map(move |index| {
            let ends = index == 2 && level <= N_RESOLUTIONS;
            (1 + 3 * (level - 1) + index, ends.then(|| N_RESOLUTIONS - level))
        })
    });
    std::iter::once((0, None)).chain(details)
}

/// The side of tiles along a side of a picture.
fn tile_side(side: usize) -> usize {
    side.div_ceil(side.div_ceil(MAX_TILE_SIDE)).next_multiple_of(UNIT)
}

/// The message of a tile.
pub(super) struct Message {
    bytes: Vec<u8>,
    /// Where the part of each resolution ends.
    ends: [usize; N_RESOLUTIONS],
}

impl Message {
    /// The part of a resolution.
    pub(super) fn part(&self, resolution: usize) -> &[u8] {
        let first = if resolution == 0 { 0 } else { self.ends[resolution - 1] };
        &self.bytes[first..self.ends[resolution]]
    }
}

/// Bytes that a decoder has read and an encoder has not yet written.
const MARGIN: usize = 4;
