//! Steps that grow with the contrast around a coefficient, for pictures that should be close in structural similarity.

use super::Tune;
use super::contexts::Band;
use super::grid::{Grid, PAD};
use super::quantization::Steps;
use crate::Error;

/// The variance of luma, of its parts at the next coarser level, that doubles what the fourth root is taken of. The index divides errors
/// by twice the variance around them and 58.5; a power lower than that of the step for such errors, one half, did better on photographs.
const HALF_MASKED: f32 = 16.0;

/// Fills `factors` with how much larger the step of each coefficient of a row is; leaves it empty where all are 1.
pub(super) fn factors(
    grids: &[Vec<Grid>],
    band: Band,
    y: usize,
    steps: &Steps,
    factors: &mut Vec<f32>,
) -> Result<(), Error> {
    factors.clear();
    let Some(parent) = band.parent() else { return Ok(()) };
    if steps.tune == Tune::Psnr {
        return Ok(());
    }
    let width = grids[band.channel][band.index].width;
    factors.try_reserve(width)?;
    factors.resize(width, 0.0);
    // HL, LH and HH of luma at the next coarser level.
    let first = 1 + 3 * ((parent - 1) / 3);
    for (index, grid) in grids[0].iter().enumerate().skip(first).take(3) {
        let step = steps.of(Band { index, channel: 0 });
        // Of pixels: the energy of a coefficient of level l is spread over 4^l of them, and luma is sqrt(3) times too large.
        let unit = step * step / (27.0 * (1_u32 << (2 * (band.level() + 1))) as f32);
        let y = (y / 2).min(grid.height) + PAD;
        let rows = [y - 1, y, y + 1].map(|y| grid.sizes(y));
        for x in 0..width.div_ceil(2) {
            let at = x.min(grid.width) + PAD;
            let mut sum = 0_u32;
            for row in rows {
                for size in &row[at - 1..=at + 1] {
                    sum += u32::from(*size) * u32::from(*size);
                }
            }
            let energy = sum as f32 * unit;
            factors[2 * x] += energy;
            if let Some(next) = factors.get_mut(2 * x + 1) {
                *next += energy;
            }
        }
    }
    for factor in factors {
        *factor = (1.0 + *factor / HALF_MASKED).sqrt().sqrt();
    }
    Ok(())
}
