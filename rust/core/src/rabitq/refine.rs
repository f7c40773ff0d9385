//! Levels chosen by the error that queries see, instead of the nearest direction.
//!
//! The estimate errs by `<f u - x, q>`, which for queries with the second moments `W` has the mean square `(f u - x)' W (f u - x)`,
//! where `f = |x|^2 / <u, x>` keeps the estimate right along `x` itself. Coordinate descent moves one dimension at a time to a
//! neighbouring level if that lowers
//!
//! ```text
//! F(u) = f^2 A - 2 f B      A = u' W u, B = u' W x, C = <u, x>, f = |x|^2 / C
//! ```
//!
//! After a move of dimension `j` by `d`, `A` has grown by `2 d (W u)_j + d^2 W_jj`, `B` by `d (W x)_j` and `C` by `d x_j`, and `W u` by `d`
//! times a row of `W`. The order of all float operations is fixed, so that codes are the same at every level.

use super::grid::Grid;
use super::multiply_add;
use crate::error::{check_len, first_bad, try_vec};
use crate::{Error, Level};

/// Passes over all dimensions at most; few rows need as many.
const PASSES: usize = 4;

/// Second moments of queries: symmetric, `n_dims` rows of `n_dims` numbers.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    values: &'a [f32],
    n_dims: usize,
}

impl<'a> Weights<'a> {
    /// # Errors
    /// [`Error::Length`] for another shape, [`Error::NotFinite`].
    pub fn new(values: &'a [f32], n_dims: usize) -> Result<Self, Error> {
        check_len("weights", "elements", values.len(), n_dims.saturating_mul(n_dims))?;
        match first_bad(values, |value| !value.is_finite()) {
            None => Ok(Weights { values, n_dims }),
            Some((index, value)) => {
                Err(Error::NotFinite { name: "weights", index, value: value.to_string() })
            }
        }
    }

    fn row(&self, dim: usize) -> &'a [f32] {
        &self.values[dim * self.n_dims..][..self.n_dims]
    }

    /// Writes `W x`.
    fn times(&self, level: Level, x: &[f32], product: &mut [f32]) {
        product.fill(0.0);
        for (dim, value) in x.iter().enumerate() {
            multiply_add(level, *value, self.row(dim), product);
        }
    }
}

/// What refining a row needs.
pub(super) struct Refiner<'a> {
    level: Level,
    grid: Grid,
    weights: Weights<'a>,
    levels: Vec<f32>,
    of_levels: Vec<f32>,
    of_row: Vec<f32>,
}

/// `A`, `B` and `C`.
#[derive(Clone, Copy)]
struct Sums {
    a: f64,
    b: f64,
    c: f64,
}

impl Sums {
    /// `F`, or infinity where the levels point away from the row.
    fn error(&self, square: f64) -> f64 {
        if self.c > 0.0 {
            let factor = square / self.c;
            factor * (factor * self.a - 2.0 * self.b)
        } else {
            f64::INFINITY
        }
    }
}

impl<'a> Refiner<'a> {
    pub fn new(level: Level, grid: Grid, weights: Weights<'a>) -> Result<Self, Error> {
        let zeros = || try_vec(0.0, weights.n_dims);
        Ok(Refiner { level, grid, weights, levels: zeros()?, of_levels: zeros()?, of_row: zeros()? })
    }

    /// Moves numbers to neighbouring levels, and returns the product of the levels with the row.
    #[allow(clippy::needless_range_loop, reason = "a dimension is one of several arrays")]
    pub fn refine(&mut self, x: &[f32], square: f32, numbers: &mut [u8]) -> f32 {
        let square = f64::from(square);
        for (level, number) in self.levels.iter_mut().zip(&*numbers) {
            *level = self.grid.level(*number) as f32;
        }
        self.weights.times(self.level, &self.levels, &mut self.of_levels);
        self.weights.times(self.level, x, &mut self.of_row);
        let last = u8::MAX >> (8 - self.grid.n_bits());
        for _ in 0..PASSES {
            let mut sums = self.sums(x);
            let mut error = sums.error(square);
            let mut has_moved = false;
            for dim in 0..numbers.len() {
                let number = numbers[dim];
                let neighbours = [number.checked_sub(1), (number < last).then(|| number + 1)];
                let mut best = None;
                for other in neighbours.into_iter().flatten() {
                    let step = self.grid.level(other) as f32 - self.levels[dim];
                    let moved = self.moved(sums, x, dim, f64::from(step));
                    if moved.error(square) < error {
                        error = moved.error(square);
                        best = Some((other, step, moved));
                    }
                }
                if let Some((other, step, moved)) = best {
                    (numbers[dim], sums, has_moved) = (other, moved, true);
                    self.levels[dim] += step;
                    multiply_add(self.level, step, self.weights.row(dim), &mut self.of_levels);
                }
            }
            if !has_moved {
                break;
            }
        }
        self.sums(x).c as f32
    }

    fn sums(&self, x: &[f32]) -> Sums {
        let product = |values: &[f32]| -> f64 {
            self.levels.iter().zip(values).map(|(level, value)| f64::from(*level) * f64::from(*value)).sum()
        };
        Sums { a: product(&self.of_levels), b: product(&self.of_row), c: product(x) }
    }

    fn moved(&self, sums: Sums, x: &[f32], dim: usize, step: f64) -> Sums {
        let [of_levels, of_row, x] = [self.of_levels[dim], self.of_row[dim], x[dim]].map(f64::from);
        let weight = f64::from(self.weights.row(dim)[dim]);
        Sums {
            a: sums.a + step * (2.0 * of_levels + step * weight),
            b: sums.b + step * of_row,
            c: sums.c + step * x,
        }
    }
}
