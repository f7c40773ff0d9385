//! From the integers of tiles to the coefficients that they stand for.

use super::N_LEVELS;
use super::contexts::Band;
use super::grid::Grid;
use super::masking;
use super::quantization::Rounding;
use super::steps::Steps;
use super::tiles::Tile;
use crate::Error;
use crate::wavelet::{Bands, Plane};

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
    for index in 0..1 + 3 * bands.details.len() {
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
