//! Random rotations by fast Hadamard transforms: [`project`], and their signs, [`pack`].
//!
//! The matrix `H` of a size `s = 2^m` has the entries `(-1)^popcount(i & j)`, and `H x` takes `s log2(s)` additions. With
//! random signs on the diagonals of `D`, `H D3 H D2 H D1 x` is close to a Gaussian projection of any `x`: after the first two
//! factors all coordinates have about the same size, and the third adds them up with random signs. Only the first rows of the
//! last product are computed. `x` is padded with zeros to `s`, at least [`MIN_SIZE`]; for more than `s` features, further
//! rotations give `s` more each.
//!
//! A level provides the rotation of a row, which stays in the first-level cache. Float additions do not associate, so their
//! order is part of the definition: see `portable`.

pub mod orthogonal;
mod portable;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

use crate::error::{At, check_len, first_bad, try_push, try_vec};
use crate::level::at_level;
use crate::{Codes, Error, Level, Run};

/// The smallest size: one block of eight times eight numbers.
pub const MIN_SIZE: usize = NUMBERS_PER_BLOCK;

/// The largest size: larger vectors are far beyond the second-level cache.
pub const MAX_SIZE: usize = 1 << 20;

/// Numbers that are transposed together.
const NUMBERS_PER_BLOCK: usize = 64;

/// Numbers that are transposed together, eight rows of eight.
type Block = [f32; NUMBERS_PER_BLOCK];

/// Diagonals of a rotation.
const DIAGONALS: usize = 3;

/// Numbers of a cache line.
const NUMBERS_PER_LINE: usize = 16;

/// Numbers that a task rotates: about a millisecond.
const NUMBERS_PER_TASK: usize = 1 << 18;

/// The size of the transform of vectors of `n_dims` numbers.
pub fn padded(n_dims: usize) -> usize {
    n_dims.checked_next_power_of_two().unwrap_or(usize::MAX).max(MIN_SIZE)
}

/// The diagonals of some rotations, ready for the kernels.
#[derive(Debug)]
pub struct Signs {
    rotations: Vec<Rotation>,
    n_dims: usize,
    size: usize,
}

/// The diagonals of one rotation, each of `size` numbers.
#[derive(Debug)]
struct Rotation {
    /// `+-1 / size`, so that intermediate numbers are no larger than the result.
    first: Aligned,
    /// `+-1`, each block transposed, as the numbers are at this point.
    second: Aligned,
    /// `+-1`.
    third: Aligned,
}

/// Numbers that start at a cache line: a store across two lines costs twice. Not `Clone`: a copy might start elsewhere in a line.
#[derive(Debug)]
struct Aligned {
    numbers: Vec<f32>,
    len: usize,
}

impl Aligned {
    fn zeros(len: usize) -> Result<Self, Error> {
        Ok(Aligned { numbers: try_vec(0.0, len.saturating_add(NUMBERS_PER_LINE))?, len })
    }

    /// The index of the first number.
    fn start(&self) -> usize {
        self.numbers.as_ptr().align_offset(NUMBERS_PER_LINE * size_of::<f32>()).min(NUMBERS_PER_LINE)
    }

    fn get(&self) -> &[f32] {
        &self.numbers[self.start()..][..self.len]
    }

    fn get_mut(&mut self) -> &mut [f32] {
        let start = self.start();
        &mut self.numbers[start..][..self.len]
    }
}

impl Signs {
    /// Three rows of [`padded`]`(n_dims)` packed bits for each rotation: a one for `+1`, a zero for `-1`.
    ///
    /// # Errors
    /// [`Error::Range`] for no dimensions or more than [`MAX_SIZE`], [`Error::Incompatible`] if the rows are not whole rotations
    /// of that size, [`Error::OutOfMemory`].
    pub fn new(codes: Codes<'_>, n_dims: usize) -> Result<Self, Error> {
        if !(1..=MAX_SIZE).contains(&n_dims) {
            let (unit, high) = ("dimensions", MAX_SIZE);
            return Err(Error::Range { name: "x", unit, given: n_dims, low: 1, high });
        }
        let size = padded(n_dims);
        let (n_rows, n_bytes) = (codes.n_rows(), codes.n_bytes());
        if n_bytes != size / 8 || !n_rows.is_multiple_of(DIAGONALS) || n_rows == 0 {
            let problem = format!(
                "signs have {n_rows} rows of {n_bytes} bytes, but x has {n_dims} dimensions; expected three rows of {} bytes for \
                 each rotation",
                size / 8
            );
            return Err(Error::Incompatible { problem });
        }
        let mut rotations = Vec::new();
        for first in (0..n_rows).step_by(DIAGONALS) {
            let row = |factor: usize, magnitude: f32| -> Result<Aligned, Error> {
                let bytes = codes.row(first + factor);
                let mut signs = Aligned::zeros(size)?;
                for (index, sign) in signs.get_mut().iter_mut().enumerate() {
                    let is_plus = bytes[index / 8] >> (7 - index % 8) & 1 == 1;
                    *sign = if is_plus { magnitude } else { -magnitude };
                }
                Ok(signs)
            };
            let mut second = row(1, 1.0)?;
            for block in second.get_mut().as_chunks_mut::<NUMBERS_PER_BLOCK>().0 {
                *block = portable::transposed(block);
            }
            let (first, third) = (row(0, 1.0 / size as f32)?, row(2, 1.0)?);
            try_push(&mut rotations, Rotation { first, second, third })?;
        }
        Ok(Signs { rotations, n_dims, size })
    }

    /// Numbers that all rotations together give.
    pub fn n_features(&self) -> usize {
        self.rotations.len() * self.size
    }

    /// Checks that `x` has whole rows, that the rotations give `n_features` numbers (`name` in errors), and that `out` has
    /// `row_len` elements for each row.
    fn check(
        &self,
        x: &[f32],
        (name, n_features): (&'static str, usize),
        out_len: usize,
        row_len: usize,
    ) -> Result<(), Error> {
        let n_rows = x.len() / self.n_dims;
        check_len("x", "elements", x.len(), n_rows * self.n_dims)?;
        if !(1..=self.n_features()).contains(&n_features) {
            let high = self.n_features();
            return Err(Error::Range { name, unit: "", given: n_features, low: 1, high });
        }
        check_len("out", "elements", out_len, n_rows.saturating_mul(row_len))
    }

    /// Writes the first `n_features` numbers of each row of `x`, and returns whether all are finite.
    fn project_rows(
        &self,
        level: Level,
        x: &[f32],
        n_features: usize,
        buffer: &mut [f32],
        out: &mut [f32],
    ) -> bool {
        let mut is_finite = true;
        for (x, out) in x.chunks_exact(self.n_dims).zip(out.chunks_exact_mut(n_features)) {
            for (rotation, out) in self.rotations.iter().zip(out.chunks_mut(self.size)) {
                is_finite &= rotate(level, x, rotation, out.len(), buffer);
                out.copy_from_slice(&buffer[..out.len()]);
            }
        }
        is_finite
    }

    /// Calls `work(rows of x, buffer, rows of out)` for all rows, in tasks; `work` returns whether all numbers were finite.
    fn for_each_rows<T: Send>(
        &self,
        x: &[f32],
        out: &mut [T],
        row_len: usize,
        run: &Run<'_>,
        work: impl Fn(&[f32], &mut [f32], &mut [T]) -> bool + Sync,
    ) -> Result<(), Error> {
        let rows_per_task = (NUMBERS_PER_TASK / self.rotations.len() / self.size).max(1);
        let words = x.len() / self.n_dims * self.n_features();
        run.for_words(words).for_each_chunk(out, rows_per_task * row_len, |task, out| {
            let start = task * rows_per_task;
            let rows = &x[start * self.n_dims..(start + out.len() / row_len) * self.n_dims];
            let mut buffer = Aligned::zeros(self.size)?;
            if work(rows, buffer.get_mut(), out) { Ok(()) } else { Err(self.not_finite(x, start)) }
        })
    }

    /// The error for the first number that is not finite, or too large, in row `start` or after it.
    fn not_finite(&self, x: &[f32], start: usize) -> Error {
        let (name, start) = ("x", start * self.n_dims);
        let find = |is_bad: &dyn Fn(f32) -> bool| {
            first_bad(&x[start..], is_bad).map(|(index, value)| (start + index, value))
        };
        if let Some((index, value)) = find(&|value| !value.is_finite()) {
            return Error::NotFinite { name, index, value: value.to_string() };
        }
        let most = f32::MAX / self.size as f32;
        let (index, value) = find(&|value| value.abs() > most).unwrap_or((start, f32::NAN));
        let expected =
            format!("numbers of at most {most:e}, since larger ones are too large for float32 sums");
        Error::Value { name, value: format!("{value:e}"), at: At::Element(index), expected }
    }
}

/// Writes the first `n_features` numbers of each row of `x`, C-contiguous, taken from one rotation `H D3 H D2 H D1 x / size` after
/// the other. Over random signs, each number has mean 0 and the variance of the projection of `x` on a Gaussian vector.
///
/// # Errors
/// [`Error::Length`] if `x` has no whole rows or `out` does not have `n_features` elements for each, [`Error::Range`] if the
/// rotations do not give as many features, [`Error::NotFinite`] or [`Error::Value`] for a number that is not finite or so large
/// that sums overflow, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn project(
    x: &[f32],
    signs: &Signs,
    n_features: usize,
    out: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    signs.check(x, ("n_features", n_features), out.len(), n_features)?;
    let level = run.level();
    signs.for_each_rows(x, out, n_features, run, |x, buffer, out| {
        signs.project_rows(level, x, n_features, buffer, out)
    })
}

/// Writes the signs of the numbers that [`project`] computes, a one for a number above zero: `ceil(n_bits / 8)` bytes per row.
///
/// # Errors
/// The same as [`project`].
pub fn pack(x: &[f32], signs: &Signs, n_bits: usize, out: &mut [u8], run: &Run<'_>) -> Result<(), Error> {
    let n_bytes = n_bits.div_ceil(8);
    signs.check(x, ("n_bits", n_bits), out.len(), n_bytes)?;
    let level = run.level();
    signs.for_each_rows(x, out, n_bytes, run, |x, buffer, out| {
        let mut is_finite = true;
        for (x, out) in x.chunks_exact(signs.n_dims).zip(out.chunks_exact_mut(n_bytes)) {
            let parts = out.chunks_mut(signs.size / 8).zip((0..n_bits).step_by(signs.size));
            for (rotation, (out, start)) in signs.rotations.iter().zip(parts) {
                let n_out = (n_bits - start).min(signs.size);
                is_finite &= rotate(level, x, rotation, n_out, buffer);
                at_level!(level, pack_signs(&buffer[..n_out], out));
            }
        }
        is_finite
    })
}

/// Writes at least the first `n_out` numbers of a rotation of `x` to the start of the buffer, and returns whether they are finite.
fn rotate(level: Level, x: &[f32], rotation: &Rotation, n_out: usize, buffer: &mut [f32]) -> bool {
    let (kept, Rotation { first, second, third }) = (padded(n_out), rotation);
    at_level!(level, rotate(x, [first.get(), second.get(), third.get()], kept, buffer))
}

/// One round of an [`orthogonal`] rotation: the numbers from `start` on are transformed.
#[derive(Debug)]
struct Round {
    /// `+-1`, times what the transform and the butterflies before multiply lengths by.
    factors: Aligned,
    start: usize,
    size: usize,
}

impl Round {
    /// Multiplies by the factors, and transforms, given the transform of a block.
    #[inline(always)]
    fn transform(&self, vector: &mut [f32], transform_block: impl Fn(&mut Block)) {
        self.multiply(vector);
        transform_part(&mut vector[self.start..][..self.size], transform_block);
    }

    /// The inverse.
    #[inline(always)]
    fn transform_back(&self, vector: &mut [f32], transform_block: impl Fn(&mut Block)) {
        transform_part(&mut vector[self.start..][..self.size], transform_block);
        self.multiply(vector);
    }

    #[inline(always)]
    fn multiply(&self, vector: &mut [f32]) {
        for (value, factor) in vector.iter_mut().zip(self.factors.get()) {
            *value *= factor;
        }
    }
}

#[inline(always)]
fn transform_part(numbers: &mut [f32], transform_block: impl Fn(&mut Block)) {
    if numbers.len() >= NUMBERS_PER_BLOCK {
        numbers.as_chunks_mut().0.iter_mut().for_each(transform_block);
        portable::add_and_subtract(numbers);
        return;
    }
    let mut distance = 1;
    while distance < numbers.len() {
        for numbers in numbers.chunks_exact_mut(2 * distance) {
            let (a, b) = numbers.split_at_mut(distance);
            for (a, b) in a.iter_mut().zip(b) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        distance *= 2;
    }
}

/// Multiplies a vector by the factors of a round, and transforms the numbers that it is about.
fn transform(level: Level, vector: &mut [f32], round: &Round) {
    at_level!(level, transform(vector, round));
}

/// The inverse of [`transform`].
fn transform_back(level: Level, vector: &mut [f32], round: &Round) {
    at_level!(level, transform_back(vector, round));
}

/// Replaces the halves of a vector by their sum and their difference.
fn butterflies(level: Level, vector: &mut [f32]) {
    at_level!(level, butterflies(vector));
}
