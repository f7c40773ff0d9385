//! [`Output`]: what becomes of dot products, row by row while they are in the cache.

use std::ops::Range;

use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::level::at_level;
use crate::{Error, Level};

/// Where the results of a product go, C-contiguous, and what they are: one row for each row of the left-hand side, one column
/// for each row of the right-hand side.
pub enum Output<'a> {
    /// The dot products.
    Dots(&'a mut [i32]),
    /// Bits `(dot >= threshold) != flip`, one row after the other in whole bytes, the first column in the highest bit: what
    /// a next product takes. Padding is zero.
    Bits {
        /// One for each column.
        thresholds: &'a [i32],
        /// A bit for each column as in `out`, or none at all.
        flips: &'a [u8],
        /// The bits.
        out: &'a mut [u8],
    },
    /// `dot * scale + bias`, both roundings included.
    Floats {
        /// One for each column.
        scale: &'a [f32],
        /// One for each column.
        bias: &'a [f32],
        /// The results.
        out: &'a mut [f32],
    },
}

/// What to do with dot products, by column.
#[derive(Clone, Copy)]
pub(super) enum Finish<'a> {
    Nothing,
    Bits { thresholds: &'a [i32], flips: &'a [u8] },
    Floats { scale: &'a [f32], bias: &'a [f32] },
}

impl Finish<'_> {
    /// The same for some columns; the first is the first of a byte.
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

/// Some columns of a row of the results.
pub(super) enum RowOut<'a> {
    Dots(&'a mut [i32]),
    Bits(&'a mut [u8]),
    Floats(&'a mut [f32]),
}

impl<'a> Output<'a> {
    /// Splits the results into rows; refuses lengths that do not fit.
    pub(super) fn into_rows(
        self,
        n_rows: usize,
        n_columns: usize,
    ) -> Result<(Finish<'a>, Vec<RowOut<'a>>), Error> {
        let check = |name, given: usize, expected: usize| {
            if given == expected { Ok(()) } else { Err(Error::InputLength { name, given, expected }) }
        };
        let check_out = |given: usize, row: usize| {
            let expected = n_rows.saturating_mul(row);
            if given == expected { Ok(()) } else { Err(Error::OutputLength { given, expected }) }
        };
        let n_bytes = n_columns.div_ceil(8);
        Ok(match self {
            Output::Dots(out) => {
                check_out(out.len(), n_columns)?;
                (Finish::Nothing, out.chunks_mut(n_columns.max(1)).map(RowOut::Dots).collect())
            }
            Output::Bits { thresholds, flips, out } => {
                check("thresholds", thresholds.len(), n_columns)?;
                if !flips.is_empty() {
                    check("flips", flips.len(), n_bytes)?;
                }
                check_out(out.len(), n_bytes)?;
                let rows = out.chunks_mut(n_bytes.max(1)).map(RowOut::Bits).collect();
                (Finish::Bits { thresholds, flips }, rows)
            }
            Output::Floats { scale, bias, out } => {
                check("scale", scale.len(), n_columns)?;
                check("bias", bias.len(), n_columns)?;
                check_out(out.len(), n_columns)?;
                let rows = out.chunks_mut(n_columns.max(1)).map(RowOut::Floats).collect();
                (Finish::Floats { scale, bias }, rows)
            }
        })
    }
}

impl<'a> RowOut<'a> {
    /// Columns in front of `column`, which is the first of a byte, and the rest.
    pub fn split_at(self, column: usize) -> (Self, Self) {
        match self {
            RowOut::Dots(out) => {
                let (front, rest) = out.split_at_mut(column.min(out.len()));
                (RowOut::Dots(front), RowOut::Dots(rest))
            }
            RowOut::Bits(out) => {
                let (front, rest) = out.split_at_mut((column / 8).min(out.len()));
                (RowOut::Bits(front), RowOut::Bits(rest))
            }
            RowOut::Floats(out) => {
                let (front, rest) = out.split_at_mut(column.min(out.len()));
                (RowOut::Floats(front), RowOut::Floats(rest))
            }
        }
    }

    /// Writes results for some of its columns: `compute` makes their dot products, and `finish` is about these columns.
    /// `scratch` has room for them.
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
                at_level!(level, above(dots, &thresholds[..dots.len()], out));
                out.iter_mut().zip(flips).for_each(|(byte, flip)| *byte ^= flip);
            }
            (RowOut::Floats(out), Finish::Floats { scale, bias }) => {
                compute(dots);
                at_level!(level, scale_and_add(dots, scale, bias, &mut out[columns]));
            }
            (RowOut::Bits(_) | RowOut::Floats(_), _) => unreachable!("rows and finish come from one output"),
        }
    }
}
