//! Contexts of the sign of a coefficient: signs of coefficients around it, of the other bands and channels at its place.

use super::contexts::{Band, Contexts, Place};
use super::grid::{Grid, PAD};
use super::model::N_CONTEXTS;
use super::{MAX_CHANNELS, N_LEVELS};

/// Lines of counters of each context, for an orientation of a channel.
const N_LINES: [usize; N_CONTEXTS] = [9, 81, 81, 12, 9, 81, 81, 25];

const LINES_OF_BAND: usize = 379;

/// Orientations of bands.
const N_ORIENTATIONS: usize = 4;

/// Lines of counters of all signs.
pub(super) const N_SIGN_LINES: usize = LINES_OF_BAND * N_ORIENTATIONS * MAX_CHANNELS;

/// Sets of weights of all signs.
pub(super) const N_SIGN_SETS: usize = N_ORIENTATIONS * MAX_CHANNELS + N_LEVELS + 1;

/// 0 for zero, 1 for plus, 2 for minus.
#[inline(always)]
fn sign(value: i32) -> usize {
    usize::from(value > 0) + 2 * usize::from(value < 0)
}

/// The sign, larger coefficients apart.
#[inline(always)]
fn sign_and_size(value: i32) -> usize {
    sign(value) + 2 * usize::from(value.unsigned_abs() > 1)
}

/// The contexts of the sign of the coefficient at `(x, y)` of a band.
#[inline(always)]
pub(super) fn place(grids: &[Vec<Grid>], band: Band, x: usize, y: usize) -> Place {
    let of_channel = &grids[band.channel];
    let grid = &of_channel[band.index];
    let (row, north, far) = (grid.values(y + PAD), grid.values(y + PAD - 1), grid.values(y + PAD - 2));
    let at = x + PAD;
    let orientation = band.orientation();
    let [w, n] = [row[at - 1], north[at]].map(sign);
    let of_other = |channel: usize| match channel < band.channel {
        true => sign(grids[channel][band.index].values(y + PAD)[at]),
        false => 0,
    };
    let of_sister = |back: usize| match back < orientation {
        true => {
            let sister = &of_channel[band.index - back];
            sign(sister.values(y.min(sister.height) + PAD)[x.min(sister.width) + PAD])
        }
        false => 0,
    };
    let parent = band.parent().map_or(0, |parent| {
        let parent = &of_channel[parent];
        sign(parent.values((y / 2).min(parent.height) + PAD)[(x / 2).min(parent.width) + PAD])
    });
    let others = of_other(0) * 3 + of_other(1);
    let near = w * 3 + n;
    let local = [
        near,
        near * 9 + sign(row[at - 2]) * 3 + sign(far[at]),
        near * 9 + sign(north[at - 1]) * 3 + sign(north[at + 1]),
        parent * 4 + (x & 1) * 2 + (y & 1),
        others,
        near * 9 + of_sister(1) * 3 + of_sister(2),
        near * 9 + others,
        sign_and_size(row[at - 1]) * 5 + sign_and_size(north[at]),
    ];
    let kind_of_band = orientation * MAX_CHANNELS + band.channel;
    let mut lines = [0; N_CONTEXTS];
    let mut first = Contexts::N_LINES + kind_of_band * LINES_OF_BAND;
    for index in 0..N_CONTEXTS {
        lines[index] = (first + local[index]) as u32;
        first += N_LINES[index];
    }
    let level_set = N_ORIENTATIONS * MAX_CHANNELS + band.level();
    Place { lines, sets: [kind_of_band, level_set].map(|set| Contexts::N_SETS + set) }
}
