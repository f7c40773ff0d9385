//! [`Orthogonal`]: a random rotation that keeps the number of dimensions.
//!
//! The transform takes a power of two of numbers. With `s` the largest one that the dimensions `D` hold, each of four rounds
//! multiplies by random signs and transforms `s` numbers: the first ones in even rounds, the last ones in odd rounds. Where `D` is
//! no power of two, a butterfly between the halves of the vector follows, so that few numbers in common do not keep the parts
//! apart (Gao et al., *Practical and asymptotically optimal quantization of high-dimensional vectors*, SIGMOD 2025, whose
//! implementation rotates like this).
//!
//! ```text
//! D = 24, s = 16     round 0, 2   |--- transform ---| 16 ... 23        then (x_i, x_12+i) -> (x_i + x_12+i, x_i - x_12+i) / sqrt 2
//!                    round 1, 3   0 ... 7 |--- transform ---|
//! ```
//!
//! Every step is its own inverse, hence the inverse takes them in the opposite order.

use super::{Aligned, MAX_SIZE, Round, butterflies, transform, transform_back};
use crate::error::{At, check_len, first_bad, try_push};
use crate::{Codes, Error, Level, Run};

/// Rounds of a rotation.
pub const ROUNDS: usize = 4;

/// Dimensions are a multiple of this: those of a byte of signs.
const DIMS_PER_BYTE: usize = 8;

/// Numbers that a task rotates: about a millisecond.
const NUMBERS_PER_TASK: usize = 1 << 18;

/// Signs of all rounds, ready for the kernels.
#[derive(Debug)]
pub struct Orthogonal {
    rounds: Vec<Round>,
    n_dims: usize,
    has_butterflies: bool,
}

impl Orthogonal {
    /// [`ROUNDS`] rows of packed bits: a one for `+1`, a zero for `-1`; eight dimensions for each byte.
    ///
    /// # Errors
    /// [`Error::Incompatible`] for another number of rows, [`Error::Range`] for more dimensions than [`MAX_SIZE`],
    /// [`Error::OutOfMemory`].
    pub fn new(signs: Codes<'_>) -> Result<Self, Error> {
        let (n_rows, n_dims) = (signs.n_rows(), DIMS_PER_BYTE * signs.n_bytes());
        if n_rows != ROUNDS {
            let problem =
                format!("signs have {n_rows} rows; expected {ROUNDS}, one for each round of the rotation");
            return Err(Error::Incompatible { problem });
        }
        if n_dims > MAX_SIZE {
            return Err(Error::Range {
                name: "signs",
                unit: "dimensions",
                given: n_dims,
                low: DIMS_PER_BYTE,
                high: MAX_SIZE,
            });
        }
        let size = 1 << n_dims.ilog2();
        let (has_butterflies, mut rounds) = (size < n_dims, Vec::new());
        for round in 0..ROUNDS {
            let start = if round % 2 == 0 { 0 } else { n_dims - size };
            let mut factors = Aligned::zeros(n_dims)?;
            let bytes = signs.row(round);
            for (dim, factor) in factors.get_mut().iter_mut().enumerate() {
                let is_plus = bytes[dim / 8] >> (7 - dim % 8) & 1 == 1;
                let in_transform = (start..start + size).contains(&dim);
                let length = if in_transform { 1.0 / (size as f64).sqrt() } else { 1.0 };
                *factor = if is_plus { length as f32 } else { -length as f32 };
            }
            try_push(&mut rounds, Round { factors, start, size })?;
        }
        Ok(Orthogonal { rounds, n_dims, has_butterflies })
    }

    /// Dimensions, before and after.
    pub fn n_dims(&self) -> usize {
        self.n_dims
    }

    /// Rotates one vector in place.
    fn apply(&self, level: Level, vector: &mut [f32], inverse: bool) {
        if inverse {
            for round in self.rounds.iter().rev() {
                if self.has_butterflies {
                    butterflies(level, vector);
                }
                transform_back(level, vector, round);
            }
        } else {
            for round in &self.rounds {
                transform(level, vector, round);
                if self.has_butterflies {
                    butterflies(level, vector);
                }
            }
        }
    }
}

/// Rotates each row of `x`, C-contiguous with at most as many dimensions as the rotation has (zeros are added), and writes the
/// rows of `out`, with all of them; or, with `inverse`, rotates rows of all dimensions back and keeps the first of each.
///
/// # Errors
/// [`Error::Range`] if `n_dims` is not from 1 to the dimensions of the rotation, [`Error::Length`] if `x` or `out` has no whole
/// rows or other ones, [`Error::NotFinite`] or [`Error::Value`] for a number that is not finite or so large that sums overflow,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn rotate(
    x: &[f32],
    n_dims: usize,
    rotation: &Orthogonal,
    inverse: bool,
    out: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    let all = rotation.n_dims;
    if !(1..=all).contains(&n_dims) {
        return Err(Error::Range { name: "x", unit: "dimensions", given: n_dims, low: 1, high: all });
    }
    let (len, out_len) = if inverse { (all, n_dims) } else { (n_dims, all) };
    let n_rows = x.len() / len;
    check_len("x", "elements", x.len(), n_rows * len)?;
    check_len("out", "elements", out.len(), n_rows.saturating_mul(out_len))?;
    let (level, rows_per_task) = (run.level(), (NUMBERS_PER_TASK / all).max(1));
    run.for_words(n_rows.saturating_mul(all)).for_each_chunk(out, rows_per_task * out_len, |task, out| {
        let start = task * rows_per_task;
        let mut buffer = Aligned::zeros(all)?;
        let vector = buffer.get_mut();
        for (row, out) in (start..).zip(out.chunks_exact_mut(out_len)) {
            let given = &x[row * len..][..len];
            vector[..len].copy_from_slice(given);
            vector[len..].fill(0.0);
            rotation.apply(level, vector, inverse);
            out.copy_from_slice(&vector[..out_len]);
            if !vector.iter().fold(true, |is_finite, value| is_finite & value.is_finite()) {
                return Err(not_finite(given, row * len, all));
            }
        }
        Ok(())
    })
}

/// The error for a row, from element `start` of all, whose rotation has a number that is not finite.
fn not_finite(row: &[f32], start: usize, n_dims: usize) -> Error {
    let name = "x";
    if let Some((index, value)) = first_bad(row, |value: f32| !value.is_finite()) {
        return Error::NotFinite { name, index: start + index, value: value.to_string() };
    }
    let most = f32::MAX / n_dims as f32;
    let (index, value) = first_bad(row, |value: f32| value.abs() > most).unwrap_or((0, f32::NAN));
    let expected = format!("numbers of at most {most:e}, since larger ones are too large for float32 sums");
    Error::Value { name, value: format!("{value:e}"), at: At::Element(start + index), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_keeps_lengths_and_is_undone() {
        for n_dims in [8, 16, 24, 56, 64, 72, 104, 128, 200, 768, 1000, 1536] {
            let signs: Vec<u8> = (0..ROUNDS * n_dims / 8).map(|i| (i * 89 + i / 7) as u8).collect();
            let rotation = Orthogonal::new(Codes::new(&signs, ROUNDS, n_dims / 8).unwrap()).unwrap();
            let given: Vec<f32> = (0..n_dims).map(|i| ((i * 37 % 101) as f32 - 50.0) / 10.0).collect();
            let mut first = None;
            for level in Level::available() {
                let run = Run::serial(level);
                let (mut rotated, mut back) = (vec![0.0; n_dims], vec![0.0; n_dims]);
                rotate(&given, n_dims, &rotation, false, &mut rotated, &run).unwrap();
                rotate(&rotated, n_dims, &rotation, true, &mut back, &run).unwrap();
                let square = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
                assert!((square(&rotated) / square(&given) - 1.0).abs() < 1e-5, "{n_dims}");
                assert!(given.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-4), "{n_dims}");
                assert_eq!(*first.get_or_insert(rotated.clone()), rotated, "{level:?} {n_dims}");
            }
        }
    }

    #[test]
    fn missing_dimensions_are_zeros_and_huge_numbers_are_errors() {
        let signs = [0b1011_0010; ROUNDS * 3];
        let rotation = Orthogonal::new(Codes::new(&signs, ROUNDS, 3).unwrap()).unwrap();
        let run = Run::serial(Level::best());
        let (mut short, mut long) = ([0.0; 24], [0.0; 24]);
        let mut x = [0.0; 24];
        x[..17].fill(1.5);
        rotate(&x[..17], 17, &rotation, false, &mut short, &run).unwrap();
        rotate(&x, 24, &rotation, false, &mut long, &run).unwrap();
        assert_eq!(short, long);
        x.fill(f32::MAX);
        let error = rotate(&x, 24, &rotation, false, &mut long, &run).unwrap_err();
        assert!(matches!(error, Error::Value { at: At::Element(0), .. }), "{error}");
        x[3] = f32::NAN;
        let error = rotate(&x, 24, &rotation, false, &mut long, &run).unwrap_err();
        assert!(matches!(error, Error::NotFinite { index: 3, .. }), "{error}");
    }
}
