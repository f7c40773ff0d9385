//! A fast search: from the best vector of the neighbours, downhill.
//!
//! The enhanced predictive zonal search of Tourapis (*Enhanced predictive zonal search for single and multiple frame motion estimation*,
//! Proc. SPIE 4671, 2002) with its spatial predictors and square pattern; without temporal predictors, thresholds and its second stage.
//!
//! ```text
//!   +-------+-------+-------+     a block begins at the best of no motion, the vectors of its left, upper and upper right
//!   |       | above | right |     neighbours, and if there are all three, their median in both components
//!   +-------+-------+-------+
//!   | left  | block |             then the best of the eight vectors around the best so far, until that is the best itself
//!   +-------+-------+
//! ```
//!
//! The search uses vectors of neighbours only within bands of eight rows of blocks: so the answer is the same for every number of threads.
//! It compares about ten candidates a block, too few and too scattered for the kernels that compare many at neighbouring columns.

use super::{Block, Image, Surfaces, Window, check_same, portable};
use crate::error::check_len;
use crate::{Error, Run};

/// Rows of blocks in a band.
const ROWS_PER_BAND: usize = 8;

/// A cost and its vector, `[dy, dx]`.
type Found = (u32, [i16; 2]);

/// A vector of a small SAD for each block, not always of the least, and that SAD: blocks row by row, `[dy, dx]`.
///
/// # Errors
/// [`Error::Mismatch`], [`Error::Range`], [`Error::Length`], [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn predictive_search(
    frame: Image<'_>,
    reference: Image<'_>,
    window: Window,
    vectors: &mut [[i16; 2]],
    costs: &mut [i32],
    run: &Run<'_>,
) -> Result<(), Error> {
    window.check(1)?;
    check_same("columns", frame.width, reference.width)?;
    check_same("rows", frame.height, reference.height)?;
    let side = window.block.side();
    let (n_rows, n_columns) = (frame.height.div_ceil(side), frame.width.div_ceil(side));
    check_len("vectors", "elements", vectors.len(), n_rows * n_columns)?;
    check_len("costs", "elements", costs.len(), n_rows * n_columns)?;
    let surfaces = Surfaces::new(frame, reference, window)?;
    let n = ROWS_PER_BAND * n_columns;
    run.for_each_long_part(
        vectors.chunks_mut(n).zip(costs.chunks_mut(n)),
        || Ok(()),
        |(), band, (vectors, costs), is_stopped| {
            for index in 0..vectors.len() {
                let (row, column) = (index / n_columns, index % n_columns);
                if column == 0 && is_stopped() {
                    return Err(Error::Interrupted);
                }
                let (y, x) = ((band * ROWS_PER_BAND + row) * side, column * side);
                let predictors = predictors(vectors, n_columns, row, column);
                let (cost, vector) = match window.block {
                    Block::Sixteen => surfaces.downhill::<16>(y, x, predictors),
                    Block::Eight => surfaces.downhill::<8>(y, x, predictors),
                };
                (vectors[index], costs[index]) = (vector, cost as i32);
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// No motion, that of the neighbours, or no motion where there are none, and the median.
fn predictors(vectors: &[[i16; 2]], n_columns: usize, row: usize, column: usize) -> [[i16; 2]; 5] {
    let index = row * n_columns + column;
    let known = |is_there: bool, back: usize| is_there.then(|| vectors[index - back]);
    let neighbours = [
        known(column > 0, 1),
        known(row > 0, n_columns),
        known(row > 0 && column + 1 < n_columns, n_columns.saturating_sub(1)),
    ];
    let median = match neighbours {
        [Some(a), Some(b), Some(c)] => {
            std::array::from_fn(|axis| a[axis].max(b[axis]).min(a[axis].min(b[axis]).max(c[axis])))
        }
        _ => [0; 2],
    };
    let [left, above, right] = neighbours.map(Option::unwrap_or_default);
    [[0; 2], left, above, right, median]
}

impl Surfaces {
    /// A vector with no better neighbour, and its cost; `predictors` are vectors in the window.
    fn downhill<const SIDE: usize>(&self, y: usize, x: usize, predictors: [[i16; 2]; 5]) -> Found {
        let block = self.frame.block::<SIDE>(y, x);
        let radius = self.window.radius;
        let place =
            |start: usize, component: i16| (start + radius).saturating_add_signed(isize::from(component));
        // Ordered as the candidates of a full search are.
        let key = |[dy, dx]: [i16; 2]| {
            let samples = self.reference.window(place(y, dy), place(x, dx));
            let sad = portable::sad_of(&block, samples, self.reference.stride);
            (sad, dy.abs() + dx.abs(), dy, dx)
        };
        let mut best = key(predictors[0]);
        for (index, vector) in predictors.iter().enumerate().skip(1) {
            if !predictors[..index].contains(vector) {
                best = best.min(key(*vector));
            }
        }
        // The centre before this one, around which all are known.
        let mut before = [i16::MAX; 2];
        loop {
            let (_, _, dy, dx) = best;
            let around =
                [-1, 0, 1].into_iter().flat_map(|down| [-1, 0, 1].map(|right| [dy + down, dx + right]));
            let is_new = |vector: &[i16; 2]| {
                let [down, right] = *vector;
                *vector != [dy, dx]
                    && usize::from(down.unsigned_abs().max(right.unsigned_abs())) <= radius
                    && before[0].abs_diff(down).max(before[1].abs_diff(right)) > 1
            };
            let next = around.filter(is_new).map(key).fold(best, Ord::min);
            if next == best {
                return (best.0, [dy, dx]);
            }
            (before, best) = ([dy, dx], next);
        }
    }
}
