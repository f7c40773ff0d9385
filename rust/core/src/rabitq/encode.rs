//! Rows to numbers and factors, and back.

use super::grid::{Grid, Levels};
use super::quantize;
use super::refine::{Refiner, Weights};
use crate::bits::pack_bytes;
use crate::error::{At, check_len, first_bad, try_copy, try_vec};
use crate::{Codes, Error, Run};

/// Times that the scale of a row is fitted to the levels before the last assignment.
pub(super) const REFINEMENTS: usize = 2;

/// Numbers that a task encodes.
const NUMBERS_PER_TASK: usize = 1 << 16;

/// What the factors of a row are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Products {
    /// `<x, x>`.
    pub square: f32,
    /// `<u, x>`.
    pub inner: f32,
}

impl Levels {
    /// Levels per unit of the row, to begin with: from its mean square, or from its largest number.
    #[inline(always)]
    pub fn first_scale(&self, n_dims: usize, square: f32, largest: f32) -> f32 {
        let per_deviation = |levels: f32| levels * (n_dims as f32 / square).sqrt();
        let scale = match *self {
            Levels::Signs => 1.0,
            Levels::Listed { per_deviation: levels, .. } => per_deviation(levels),
            Levels::Uniform { per_deviation: Some(levels), .. } => per_deviation(levels),
            Levels::Uniform { count, per_deviation: None } => (2 * count - 1) as f32 / largest,
        };
        // Where squares vanish, no level matters.
        if scale.is_finite() { scale } else { 0.0 }
    }
}

/// Writes the codes of rotated rows of `n_dims` numbers, and of each row the factors `|x|^2` and `|x|^2 / <u, x>`; both are 0 for a
/// row whose squares are. Numbers are side by side, those of the first dimension in the highest bits. Levels are those of the nearest
/// direction, or with `weights` those that queries see the smallest error of.
///
/// # Errors
/// [`Error::Range`] or [`Error::Incompatible`] for dimensions that rows cannot have, [`Error::Length`] if the arrays do not go
/// together, [`Error::NotFinite`] or [`Error::Value`] for a row with such a number, or one whose square is no finite float32,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
#[allow(clippy::too_many_arguments, reason = "rows, how they are encoded, and where to")]
pub fn encode(
    x: &[f32],
    n_dims: usize,
    grid: Grid,
    weights: Option<Weights<'_>>,
    codes: &mut [u8],
    factors: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    grid.check_dims("x", n_dims)?;
    let (n_rows, n_bytes) = (x.len() / n_dims, grid.n_bytes(n_dims));
    check_len("x", "elements", x.len(), n_rows * n_dims)?;
    check_len("codes", "elements", codes.len(), n_rows * n_bytes)?;
    check_len("factors", "elements", factors.len(), n_rows * 2)?;
    let (level, levels, rows_per_task) = (run.level(), grid.levels(), (NUMBERS_PER_TASK / n_dims).max(1));
    let parts = codes.chunks_mut(rows_per_task * n_bytes).zip(factors.chunks_mut(rows_per_task * 2));
    run.for_words(x.len().saturating_mul(4)).for_each_part(
        parts,
        || {
            let refiner = weights.map(|weights| Refiner::new(level, grid, weights)).transpose()?;
            Ok((try_vec(0_u8, n_dims)?, refiner))
        },
        |(numbers, refiner), task, (codes, factors)| {
            let first = task * rows_per_task;
            let rows = codes.chunks_exact_mut(n_bytes).zip(factors.as_chunks_mut::<2>().0);
            for (row, (code, factors)) in (first..).zip(rows) {
                let x = &x[row * n_dims..][..n_dims];
                let Products { square, mut inner } = quantize(level, x, &levels, numbers);
                if let Some(refiner) = refiner
                    && square > 0.0
                    && square.is_finite()
                {
                    inner = refiner.refine(x, square, numbers);
                }
                let factor = f64::from(square) / f64::from(inner);
                *factors = match square {
                    0.0 => [0.0, 0.0],
                    _ => [square, factor as f32],
                };
                if !factors.iter().all(|factor| factor.is_finite()) {
                    return Err(not_finite(x, row * n_dims));
                }
                pack_bytes(numbers, grid.n_bits(), code);
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// The error of a row, from element `start` of all, whose factors are not finite.
fn not_finite(row: &[f32], start: usize) -> Error {
    let name = "x";
    if let Some((index, value)) = first_bad(row, |value| !value.is_finite()) {
        return Error::NotFinite { name, index: start + index, value: value.to_string() };
    }
    let largest = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let expected = "rows whose sum of squares is a finite float32".to_owned();
    Error::Value { name, value: format!("{largest:e}"), at: At::Row(start / row.len()), expected }
}

/// The numbers of a row of codes.
pub(super) fn numbers_of(row: &[u8], n_bits: usize) -> impl Iterator<Item = u8> {
    row.chunks_exact(n_bits).flat_map(move |group| {
        let bits = group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        (0..8).map(move |index| (bits >> (n_bits * (7 - index))) as u8 & (u8::MAX >> (8 - n_bits)))
    })
}

/// Writes what each row stands for, still rotated: `factor * u`.
///
/// # Errors
/// [`Error::Incompatible`] or [`Error::Range`] for bytes that rows cannot have, [`Error::Length`] if the arrays do not go together,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn decode(
    codes: Codes<'_>,
    factors: &[f32],
    grid: Grid,
    out: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    let n_dims = grid.n_dims(codes.n_bytes())?;
    check_len("factors", "elements", factors.len(), codes.n_rows() * 2)?;
    check_len("out", "elements", out.len(), codes.n_rows().saturating_mul(n_dims))?;
    let rows_per_task = (NUMBERS_PER_TASK / n_dims).max(1);
    let levels = grid.all_levels();
    run.for_words(out.len()).for_each_chunk(out, rows_per_task * n_dims, |task, out| {
        for (row, out) in (task * rows_per_task..).zip(out.chunks_exact_mut(n_dims)) {
            let factor = factors[2 * row + 1];
            for (number, out) in numbers_of(codes.row(row), grid.n_bits()).zip(out) {
                *out = factor * levels[usize::from(number)] as f32;
            }
        }
        Ok(())
    })
}

/// The factors of rows with, instead of the norm of a row, the square of what it stands for: `|f u|^2`.
pub(super) fn squares(
    codes: Codes<'_>,
    factors: &[f32],
    grid: Grid,
    run: &Run<'_>,
) -> Result<Vec<f32>, Error> {
    let n_dims = grid.n_dims(codes.n_bytes())?;
    check_len("factors", "elements", factors.len(), codes.n_rows().saturating_mul(2))?;
    let (mut squares, rows_per_task) = (try_copy(factors)?, (NUMBERS_PER_TASK / n_dims).max(1));
    let words = codes.n_rows().saturating_mul(n_dims);
    let (n_bits, levels) = (grid.n_bits(), grid.all_levels());
    // Of the levels in each byte, or where numbers cross bytes, of the level of each number.
    let are_in_bytes = 8_usize.is_multiple_of(n_bits);
    let per_byte = if are_in_bytes { 8 / n_bits } else { 1 };
    let sums: [i64; 256] = std::array::from_fn(|byte| {
        let numbers = (0..per_byte).map(|part| byte >> (n_bits * part) & ((1 << n_bits) - 1));
        numbers.map(|number| i64::from(levels[number]).pow(2)).sum()
    });
    run.for_words(words).for_each_chunk(&mut squares, 2 * rows_per_task, |task, squares| {
        for (row, [square, factor]) in (task * rows_per_task..).zip(squares.as_chunks_mut::<2>().0) {
            let row = codes.row(row);
            let sum: i64 = match are_in_bytes {
                true => row.iter().map(|byte| sums[usize::from(*byte)]).sum(),
                false => numbers_of(row, n_bits).map(|number| sums[usize::from(number)]).sum(),
            };
            *square = *factor * (*factor * sum as f32);
        }
        Ok(())
    })?;
    Ok(squares)
}

/// Writes how long what each row errs by is: `sqrt(|f u|^2 - |x|^2)`, since it is orthogonal to `x`.
///
/// # Errors
/// As [`decode`].
pub fn errors(
    codes: Codes<'_>,
    factors: &[f32],
    grid: Grid,
    out: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    check_len("out", "elements", out.len(), codes.n_rows())?;
    let squares = squares(codes, factors, grid, run)?;
    for ((out, [square, _]), [norm, _]) in
        out.iter_mut().zip(squares.as_chunks::<2>().0).zip(factors.as_chunks().0)
    {
        *out = (square - norm).max(0.0).sqrt();
    }
    Ok(())
}
