//! Random rotations by fast Hadamard transforms: [`project`], and the signs of what it gives, [`pack`].
//!
//! The matrix `H` of a size `s = 2^m` has the entries `(-1)^popcount(i & j)`, and `H x` takes `s log2(s)` additions. With
//! random signs on the diagonals of `D`, `H D3 H D2 H D1 x` is near to a Gaussian projection of `x`, whatever `x` is: after
//! the first two factors all coordinates are of about the same size, and the third adds them up with random signs. Of the
//! last product only the first rows are computed. `x` is padded with zeros to `s`, at least [`MIN_SIZE`]; where more
//! numbers are wanted than `s`, further signs give `s` more at a time.
//!
//! What a level provides is a rotation of some rows, each of which stays in the first-level cache. Float additions do not
//! associate, so their order is part of the meaning: see `portable`.

mod portable;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::level::at_level;
use crate::{Codes, Error, Level, Parallel};

/// The smallest size: one block of eight times eight numbers.
pub const MIN_SIZE: usize = BLOCK;

/// The largest size: larger ones leave the second-level cache far behind.
pub const MAX_SIZE: usize = 1 << 20;

/// Numbers that are transposed together.
const BLOCK: usize = 64;

/// Diagonals of a rotation.
const FACTORS: usize = 3;

/// Numbers of a cache line.
const LINE: usize = 16;

/// Numbers that a task rotates: about a millisecond.
const TASK_LEN: usize = 1 << 18;

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
    /// `+-1 / size`, so that no number gets larger than those that come out.
    first: Aligned,
    /// `+-1`, each block transposed, as the kernels have their numbers at this point.
    second: Aligned,
    /// `+-1`.
    third: Aligned,
}

/// Numbers that begin with a cache line: a store across two lines costs twice. No clone: that might begin elsewhere in a line.
#[derive(Debug)]
struct Aligned {
    numbers: Vec<f32>,
    len: usize,
}

impl Aligned {
    fn zeros(len: usize) -> Result<Self, Error> {
        Ok(Aligned { numbers: crate::error::try_vec(0.0, len.saturating_add(LINE))?, len })
    }

    /// Where they begin.
    fn start(&self) -> usize {
        self.numbers.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE)
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
    /// Three rows of packed bits for each rotation, a one for `+1` and a zero for `-1`, of as many bits as [`padded`] says.
    ///
    /// # Errors
    /// [`Error::EmptyAxis`] without dimensions or signs, [`Error::Rotations`] if the rows are not whole rotations of that size.
    pub fn new(codes: Codes<'_>, n_dims: usize) -> Result<Self, Error> {
        if n_dims == 0 {
            return Err(Error::EmptyAxis { name: "x", axis: "dimensions" });
        }
        let size = padded(n_dims);
        let (n_rows, n_bytes) = (codes.n_rows(), codes.n_bytes());
        if n_bytes != size / 8 || !n_rows.is_multiple_of(FACTORS) || n_rows == 0 || size > MAX_SIZE {
            return Err(Error::Rotations { n_rows, n_bytes, n_dims, n_expected: size / 8 });
        }
        let mut rotations = Vec::new();
        for first in (0..n_rows).step_by(FACTORS) {
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
            for block in second.get_mut().as_chunks_mut::<BLOCK>().0 {
                *block = portable::transposed(block);
            }
            rotations.push(Rotation { first: row(0, 1.0 / size as f32)?, second, third: row(2, 1.0)? });
        }
        Ok(Signs { rotations, n_dims, size })
    }

    /// Numbers that come out of all rotations.
    pub fn n_features(&self) -> usize {
        self.rotations.len() * self.size
    }

    fn check(&self, x: &[f32], n_features: usize, given: usize, out_len: usize) -> Result<(), Error> {
        let n_rows = x.len() / self.n_dims;
        if n_rows * self.n_dims != x.len() {
            let expected = n_rows * self.n_dims;
            return Err(Error::InputLength { name: "x", given: x.len(), expected });
        }
        if n_features == 0 || n_features > self.n_features() {
            return Err(Error::Projections { n_features, most: self.n_features() });
        }
        let expected = n_rows.saturating_mul(out_len);
        if given != expected {
            return Err(Error::OutputLength { given, expected });
        }
        Ok(())
    }

    /// Writes the first `n_features` numbers for each row of `x`; says whether all are finite.
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

    /// Calls `work(rows of x, buffer, out)` for parts of `x` and `out`, and turns a false answer into the error.
    fn for_each_part<T: Send>(
        &self,
        x: &[f32],
        out: &mut [T],
        out_len: usize,
        parallel: &Parallel<'_>,
        work: impl Fn(&[f32], &mut [f32], &mut [T]) -> bool + Sync,
    ) -> Result<(), Error> {
        let rows = (TASK_LEN / self.rotations.len() / self.size).max(1);
        let (first_bad, is_full) = (Mutex::new(usize::MAX), AtomicBool::new(false));
        let words = x.len() / self.n_dims * self.n_features();
        parallel.for_words(words).for_each_chunk(out, rows * out_len, |task, out| {
            let start = task * rows;
            let x = &x[start * self.n_dims..(start + out.len() / out_len) * self.n_dims];
            let Ok(mut buffer) = Aligned::zeros(self.size) else {
                is_full.store(true, Ordering::Relaxed);
                return;
            };
            if !work(x, buffer.get_mut(), out) {
                let mut first_bad = first_bad.lock().unwrap_or_else(PoisonError::into_inner);
                *first_bad = start.min(*first_bad);
            }
        })?;
        if is_full.into_inner() {
            return Err(Error::OutOfMemory);
        }
        match first_bad.into_inner().unwrap_or_else(PoisonError::into_inner) {
            usize::MAX => Ok(()),
            start => Err(self.not_finite(x, start)),
        }
    }

    /// The error for what is not finite in row `start` or one after it.
    fn not_finite(&self, x: &[f32], start: usize) -> Error {
        let (name, start) = ("x", start * self.n_dims);
        let find = |is_bad: &dyn Fn(f32) -> bool| {
            (start..)
                .zip(&x[start..])
                .find(|(_, value)| is_bad(**value))
                .map(|(index, value)| (index, *value))
        };
        if let Some((index, value)) = find(&|value| !value.is_finite()) {
            return Error::NotFinite { name, index, value: value.to_string() };
        }
        let most = f32::MAX / self.size as f32;
        let (index, value) = find(&|value| value.abs() > most).unwrap_or((start, f32::NAN));
        Error::TooLarge { name, index, value: format!("{value:e}"), most: format!("{most:e}") }
    }
}

/// Writes `n_features` numbers for each row of `x`, C-contiguous: the first of each rotation `H D3 H D2 H D1 x / size` after the
/// other. With random signs, each is about as large as the projection of `x` on a Gaussian vector.
///
/// # Errors
/// If `x` has no whole rows, there are too few signs for `n_features`, `out` has not so many numbers for each row, a number of
/// `x` is not finite or so large that sums overflow, or the call was interrupted.
pub fn project(
    level: Level,
    x: &[f32],
    signs: &Signs,
    n_features: usize,
    parallel: &Parallel<'_>,
    out: &mut [f32],
) -> Result<(), Error> {
    signs.check(x, n_features, out.len(), n_features)?;
    signs.for_each_part(x, out, n_features, parallel, |x, buffer, out| {
        signs.project_rows(level, x, n_features, buffer, out)
    })
}

/// Writes the signs of what [`project`] gives, a one for a number above zero: `ceil(n_bits / 8)` bytes for each row.
///
/// # Errors
/// As [`project`].
pub fn pack(
    level: Level,
    x: &[f32],
    signs: &Signs,
    n_bits: usize,
    parallel: &Parallel<'_>,
    out: &mut [u8],
) -> Result<(), Error> {
    let n_bytes = n_bits.div_ceil(8);
    signs.check(x, n_bits, out.len(), n_bytes)?;
    signs.for_each_part(x, out, n_bytes, parallel, |x, buffer, out| {
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

/// Writes the first `n_out` numbers of a rotation of `x`, or some more, to the start of the buffer; says whether they are finite.
fn rotate(level: Level, x: &[f32], rotation: &Rotation, n_out: usize, buffer: &mut [f32]) -> bool {
    let (kept, Rotation { first, second, third }) = (padded(n_out), rotation);
    at_level!(level, rotate(x, [first.get(), second.get(), third.get()], kept, buffer))
}
