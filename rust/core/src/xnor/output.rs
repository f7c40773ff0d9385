//! [`Output`]: turns dot products into results, row by row while they are in the cache.

use std::ops::Range;

use super::{above, scale_and_add};
use crate::error::{check_len, try_collect};
use crate::{Error, Level};

/// The kind of results of a product, and where they are written, C-contiguous: one row for each row of the left-hand side,
/// one column for each row of the right-hand side.
pub enum Output<'a> {
    /// The dot products.
    Dots(&'a mut [i32]),
    /// Bits `(dot >= threshold) != flip`, each row in whole bytes, the first column in the highest bit, as the next product
    /// takes them. Padding is zero.
    Bits {
        /// One for each column.
        thresholds: &'a [i32],
        /// One bit for each column, packed as in `out`; or empty.
        flips: &'a [u8],
        /// The packed bits.
        out: &'a mut [u8],
    },
    /// `dot * scale + bias`, rounded after each operation.
    Floats {
        /// One for each column.
        scale: &'a [f32],
        /// One for each column.
        bias: &'a [f32],
        /// The results.
        out: &'a mut [f32],
    },
}

/// What to make of dot products, by column.
#[derive(Clone, Copy)]
pub(super) enum Finish<'a> {
    Nothing,
    Bits { thresholds: &'a [i32], flips: &'a [u8] },
    Floats { scale: &'a [f32], bias: &'a [f32] },
}

impl Finish<'_> {
    /// The finish of the columns from `column` on, which begins a byte.
    pub fn from(self, column: usize) -> Self {
        match self {
            Finish::Nothing => Finish::Nothing,
            Finish::Bits { thresholds, flips } => Finish::Bits {
                thresholds: &thresholds[column..],
                flips: flips.get(column / 8..).unwrap_or_default(),
            },
            Finish::Floats { scale, bias } => {
                Finish::Floats { scale: &scale[column..], bias: &bias[column..] }
            }
        }
    }
}

/// Consecutive rows of the results, or some columns of one row.
pub(super) struct RowsOut<'a> {
    all: RowOut<'a>,
    n_rows: usize,
}

/// Some columns of a row of the results.
pub(super) enum RowOut<'a> {
    Dots(&'a mut [i32]),
    Bits(&'a mut [u8]),
    Floats(&'a mut [f32]),
}

impl<'a> Output<'a> {
    /// The results as rows; refuses wrong lengths.
    pub(super) fn into_rows(
        self,
        n_rows: usize,
        n_columns: usize,
    ) -> Result<(Finish<'a>, RowsOut<'a>), Error> {
        let check = |name, given, expected| check_len(name, "elements", given, expected);
        let check_out = |given, row| check("out", given, n_rows.saturating_mul(row));
        let n_bytes = n_columns.div_ceil(8);
        let (finish, all) = match self {
            Output::Dots(out) => {
                check_out(out.len(), n_columns)?;
                (Finish::Nothing, RowOut::Dots(out))
            }
            Output::Bits { thresholds, flips, out } => {
                check("thresholds", thresholds.len(), n_columns)?;
                if !flips.is_empty() {
                    check("flips", flips.len(), n_bytes)?;
                }
                check_out(out.len(), n_bytes)?;
                (Finish::Bits { thresholds, flips }, RowOut::Bits(out))
            }
            Output::Floats { scale, bias, out } => {
                check("scale", scale.len(), n_columns)?;
                check("bias", bias.len(), n_columns)?;
                check_out(out.len(), n_columns)?;
                (Finish::Floats { scale, bias }, RowOut::Floats(out))
            }
        };
        Ok((finish, RowsOut { all, n_rows }))
    }
}

impl<'a> RowsOut<'a> {
    /// Removes and returns the first `n_rows` rows, or all that are left.
    pub fn take_rows(&mut self, n_rows: usize) -> RowsOut<'a> {
        let n_rows = n_rows.min(self.n_rows);
        let elements = self.all.len().checked_div(self.n_rows).unwrap_or(0) * n_rows;
        self.n_rows -= n_rows;
        RowsOut { all: self.all.take(elements), n_rows }
    }

    /// Removes and returns the columns before `column`, which begins a byte, of each row.
    pub fn take_columns(rows: &mut [RowsOut<'a>], column: usize) -> Result<Vec<RowsOut<'a>>, Error> {
        try_collect(rows.iter_mut().map(|row| RowsOut { all: row.all.take_columns(column), n_rows: 1 }))
    }

    /// Splits into single rows.
    pub fn split(mut self) -> impl Iterator<Item = RowsOut<'a>> {
        (0..self.n_rows).map(move |_| self.take_rows(1))
    }

    /// The rows.
    pub fn rows(self) -> impl Iterator<Item = RowOut<'a>> {
        self.split().map(|row| row.all)
    }
}

impl<'a> RowOut<'a> {
    /// Numbers or bytes.
    fn len(&self) -> usize {
        match self {
            RowOut::Dots(out) => out.len(),
            RowOut::Bits(out) => out.len(),
            RowOut::Floats(out) => out.len(),
        }
    }

    /// Removes and returns the first `n` numbers or bytes, or all that are left.
    fn take(&mut self, n: usize) -> Self {
        fn front<'a, T>(out: &mut &'a mut [T], n: usize) -> &'a mut [T] {
            out.split_off_mut(..n.min(out.len())).unwrap_or_default()
        }
        match self {
            RowOut::Dots(out) => RowOut::Dots(front(out, n)),
            RowOut::Bits(out) => RowOut::Bits(front(out, n)),
            RowOut::Floats(out) => RowOut::Floats(front(out, n)),
        }
    }

    /// Removes and returns the columns before `column`, which begins a byte unless it is the end.
    fn take_columns(&mut self, column: usize) -> Self {
        self.take(if matches!(self, RowOut::Bits(_)) { column.div_ceil(8) } else { column })
    }

    /// Writes the results of `columns`: `compute` makes their dot products, and `finish` begins with the first of them.
    /// `scratch` has room for the dot products.
    pub fn write(
        &mut self,
        level: Level,
        columns: Range<usize>,
        finish: Finish<'_>,
        scratch: &mut [i32],
        compute: impl FnOnce(&mut [i32]),
    ) {
        let dots = &mut scratch[..columns.len()];
        match (self, finish) {
            (RowOut::Dots(out), _) => compute(&mut out[columns]),
            (RowOut::Bits(out), Finish::Bits { thresholds, flips }) => {
                compute(dots);
                let out = &mut out[columns.start / 8..columns.end.div_ceil(8)];
                above(level, dots, &thresholds[..dots.len()], out);
                out.iter_mut().zip(flips).for_each(|(byte, flip)| *byte ^= flip);
            }
            (RowOut::Floats(out), Finish::Floats { scale, bias }) => {
                compute(dots);
                scale_and_add(level, dots, scale, bias, &mut out[columns]);
            }
            (RowOut::Bits(_) | RowOut::Floats(_), _) => unreachable!("rows and finish come from one output"),
        }
    }
}
