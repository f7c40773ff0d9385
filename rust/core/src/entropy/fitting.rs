//! Rows of real numbers, quantized so that their code fits a cell with the least squared error.
//!
//! There are several modes, each with a step and a table for each column. A row is coded in one of them:
//!
//! ```text
//! column 0       the mode, by table `which[0][0]`
//! column 1 + c   round(value / steps[mode][c]) + 127, by table `which[mode][1 + c]`; or one of a few others that take fewer bits
//!                (or the next one that has a frequency: those of a table are beside each other)
//! decoded        steps[mode][c] * centers[table][symbol]
//! ```
//!
//! In a mode, the choice that minimizes error + lambda * bits is the best of its number of bits (Shoham and Gersho, IEEE Trans. ASSP 36,
//! 1988), and the smallest lambda at which the code fits is found by bisection. What is left of the budget is spent on the columns that
//! gain the most from it. For any lambda, the least error + lambda * (bits - budget) bounds the error from below, so most modes need not be
//! searched.

use super::cells::{check_n_bytes, check_which, write};
use super::tables::Tables;
use crate::error::{check_finite, check_len, try_collect, try_vec};
use crate::{At, Error, Run};

/// Symbols of a table.
const N_SYMBOLS: usize = 256;

/// The symbol of zero.
const ZERO: i32 = 127;

/// Choices for a number: the nearest integer, the next one toward zero, zero, and the most probable one.
const N_CHOICES: usize = 4;

/// The code length of a symbol without a frequency: no row has as many bits.
const NEVER: f32 = 1e9;

/// At which lambda, in squared steps a bit, modes are compared at first.
const USUAL_LAMBDA: f32 = 0.12;

/// The interval of lambda.
const LEAST_LAMBDA: f32 = 1.0 / 4096.0;
const LARGEST_LAMBDA: f32 = 1_048_576.0;

/// Halvings of the interval. The bits of floats are halved, which are nearly logarithms.
const N_HALVINGS: u32 = 16;

/// After how many columns a bound is compared with its limit.
const COLUMNS_AT_ONCE: usize = 32;

/// Rows of a task.
const ROWS_PER_TASK: usize = 16;

/// What a symbol of a table stands for, in steps, and its code length.
#[derive(Clone, Copy)]
struct Level {
    center: f32,
    bits: f32,
}

/// Of a table, its first, its last and its most probable symbol, less that of zero.
#[derive(Clone, Copy, Default)]
struct Range {
    first: i32,
    last: i32,
    likeliest: i32,
}

/// The modes of rows of `n_columns` numbers.
pub struct Modes<'a> {
    tables: &'a Tables,
    /// Of each mode, the table of the modes and those of the columns.
    which: &'a [u8],
    /// Of each mode, those of the columns.
    steps: &'a [f32],
    /// Of each mode, the smallest.
    least_steps: Vec<f32>,
    n_columns: usize,
    /// Of each table, its symbols.
    levels: Vec<[Level; N_SYMBOLS]>,
    ranges: Vec<Range>,
}

impl<'a> Modes<'a> {
    /// Modes from rows of `1 + n_columns` numbers of tables, from rows of `n_columns` steps, and from `centers`, 256 for each table.
    ///
    /// # Errors
    /// [`Error::Range`] for no modes or more than 256; [`Error::Length`], [`Error::NotFinite`], [`Error::Value`], [`Error::OutOfMemory`].
    pub fn new(
        tables: &'a Tables,
        which: &'a [u8],
        steps: &'a [f32],
        n_columns: usize,
        centers: &'a [f32],
    ) -> Result<Self, Error> {
        let n_modes = which.len() / (1 + n_columns);
        if !(1..=N_SYMBOLS).contains(&n_modes) {
            return Err(Error::Range {
                name: "which",
                unit: "rows",
                given: n_modes,
                low: 1,
                high: N_SYMBOLS,
            });
        }
        check_len("which", "elements", which.len(), n_modes * (1 + n_columns))?;
        check_len("steps", "elements", steps.len(), n_modes * n_columns)?;
        check_which(which, 1 + n_columns, tables)?;
        check_len("centers", "elements", centers.len(), tables.n_tables() * N_SYMBOLS)?;
        if let Some(index) = steps.iter().position(|step| !step.is_finite() || *step <= 0.0) {
            return Err(Error::Value {
                name: "steps",
                value: steps[index].to_string(),
                at: At::Cell(index / n_columns, index % n_columns),
                expected: "positive numbers".to_owned(),
            });
        }
        check_finite("centers", centers)?;
        let mut levels = try_vec([Level { center: 0.0, bits: NEVER }; N_SYMBOLS], tables.n_tables())?;
        let mut ranges = try_vec(Range::default(), tables.n_tables())?;
        for (table, (levels, range)) in levels.iter_mut().zip(&mut ranges).enumerate() {
            let mut most = 0;
            for (symbol, level) in levels.iter_mut().enumerate() {
                level.center = centers[table * N_SYMBOLS + symbol];
                let frequency = tables.frequency(table as u8, symbol as u8);
                let number = symbol as i32 - ZERO;
                if frequency > 0 {
                    level.bits = 16.0 - f64::from(frequency).log2() as f32;
                    range.first = if most == 0 { number } else { range.first };
                    range.last = number;
                }
                if frequency > most {
                    (most, range.likeliest) = (frequency, number);
                }
            }
        }
        let least = |steps: &[f32]| steps.iter().copied().fold(f32::INFINITY, f32::min);
        let least_steps = try_collect(steps.chunks(n_columns.max(1)).map(least))?;
        Ok(Modes { tables, which, steps, least_steps, n_columns, levels, ranges })
    }

    /// The tables of the columns of a mode.
    fn which(&self, mode: usize) -> &'a [u8] {
        &self.which[mode * (1 + self.n_columns)..][1..1 + self.n_columns]
    }

    /// The steps of the columns of a mode.
    fn steps(&self, mode: usize) -> &'a [f32] {
        &self.steps[mode * self.n_columns..][..self.n_columns]
    }

    /// The square of the step of a mode.
    fn squared_step(&self, mode: usize) -> f32 {
        self.least_steps[mode] * self.least_steps[mode]
    }

    /// The code length of a mode.
    fn bits(&self, mode: usize) -> f32 {
        self.table(self.which[0]).0[mode % N_SYMBOLS].bits
    }

    #[inline]
    fn table(&self, table: u8) -> (&[Level; N_SYMBOLS], Range) {
        let table = usize::from(table).min(self.ranges.len() - 1); // `which` can change meanwhile
        (&self.levels[table], self.ranges[table])
    }

    /// The choices for a value: the first one alone if all are the same. `scale` is the inverse of the smallest step of the mode.
    #[inline]
    fn choices(&self, value: f32, step: f32, scale: f32, table: u8) -> Choices {
        let (levels, range) = self.table(table);
        let (value, ratio) = (value / step, step * scale);
        let nearest = ((value + 0.5_f32.copysign(value)) as i32).clamp(range.first, range.last);
        let of = |number: i32| {
            let symbol = (number + ZERO) as u8;
            let level = levels[usize::from(symbol)];
            let error = ratio * (value - level.center);
            Choice { symbol, error: error * error, bits: level.bits }
        };
        if nearest == 0 && range.likeliest == 0 {
            return Choices::One(of(0));
        }
        Choices::Some([of(nearest), of(nearest - nearest.signum()), of(0), of(range.likeliest)])
    }
}

/// The symbols among which one is chosen for a number.
enum Choices {
    One(Choice),
    Some([Choice; N_CHOICES]),
}

/// A symbol for a number.
#[derive(Clone, Copy)]
struct Choice {
    symbol: u8,
    /// In squared steps of the mode, which are the smallest of its columns.
    error: f32,
    bits: f32,
}

impl Choice {
    #[inline]
    fn cost(&self, lambda: f32) -> f32 {
        self.error + lambda * self.bits
    }
}

/// The choice of the least cost.
#[inline]
fn best(choices: &[Choice; N_CHOICES], lambda: f32) -> Choice {
    let [mut best, others @ ..] = *choices;
    for other in others {
        if other.cost(lambda) < best.cost(lambda) {
            best = other;
        }
    }
    best
}

/// What a thread needs.
struct Scratch {
    /// The columns that have a choice, their choices, and which are made.
    columns: Vec<usize>,
    choices: Vec<[Choice; N_CHOICES]>,
    chosen: Vec<Choice>,
    symbols: Vec<u8>,
    bytes: Vec<u8>,
}

/// Quantizes rows so that their code takes at most `n_bytes` bytes. Writes `1 + n_columns` symbols for each row, and for each the lambda of
/// its choices in squared steps a bit.
///
/// # Errors
/// [`Error::Length`], [`Error::NotFinite`], [`Error::Incompatible`] if a row fits in no mode, [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn quantize(
    values: &[f32],
    modes: &Modes<'_>,
    n_bytes: usize,
    out: &mut [u8],
    lambdas: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    let n_columns = modes.n_columns;
    check_n_bytes(n_bytes)?;
    check_len("values", "elements", values.len(), lambdas.len().saturating_mul(n_columns))?;
    check_len("out", "elements", out.len(), lambdas.len().saturating_mul(1 + n_columns))?;
    check_finite("values", values)?;
    let parts =
        out.chunks_mut(ROWS_PER_TASK * (1 + n_columns)).zip(lambdas.chunks_mut(ROWS_PER_TASK)).enumerate();
    run.for_each_part(
        parts,
        || {
            let none = Choice { symbol: 0, error: 0.0, bits: 0.0 };
            Ok(Scratch {
                columns: try_vec(0, n_columns)?,
                choices: try_vec([none; N_CHOICES], n_columns)?,
                chosen: try_vec(none, n_columns)?,
                symbols: try_vec(0, 1 + n_columns)?,
                bytes: try_vec(0, n_bytes)?,
            })
        },
        |scratch, _, (task, (out, lambdas))| {
            for (index, (out, lambda)) in out.chunks_exact_mut(1 + n_columns).zip(lambdas).enumerate() {
                let row = task * ROWS_PER_TASK + index;
                let values = &values[row * n_columns..(row + 1) * n_columns];
                *lambda = quantize_row(values, modes, n_bytes, scratch, out)?.ok_or_else(|| {
                    Error::Incompatible {
                        problem: format!("row {row} of values has a code of {n_bytes} bytes in no mode"),
                    }
                })?;
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// Quantizes a row, and returns its lambda, or `None` if it does not fit.
fn quantize_row(
    values: &[f32],
    modes: &Modes<'_>,
    n_bytes: usize,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<Option<f32>, Error> {
    let n_modes = modes.least_steps.len();
    // The mode that seems the best gives an error and a slope; other modes have to promise less error at that slope.
    let (mut first, mut limit) = (0, f32::INFINITY);
    for mode in 0..n_modes {
        if let Some(bound) =
            bound(values, modes, mode, n_bytes, modes.squared_step(mode) * USUAL_LAMBDA, limit)
        {
            (first, limit) = (mode, bound);
        }
    }
    let (mut least, mut slope, mut lambda) = (f32::INFINITY, 0.0, None);
    for mode in std::iter::once(first).chain((0..n_modes).filter(|mode| *mode != first)) {
        if lambda.is_some() && bound(values, modes, mode, n_bytes, slope, least).is_none() {
            continue;
        }
        if let Some((error, own)) = quantize_in_mode(values, modes, mode, n_bytes, scratch)?
            && (error < least || lambda.is_none())
        {
            (least, slope, lambda) = (error, modes.squared_step(mode) * own, Some(own));
            out.copy_from_slice(&scratch.symbols);
        }
    }
    Ok(lambda)
}

/// A bound from below on the squared error of a row in a mode, by its slope against bits, or `None` if it is not below a limit.
fn bound(
    values: &[f32],
    modes: &Modes<'_>,
    mode: usize,
    n_bytes: usize,
    slope: f32,
    limit: f32,
) -> Option<f32> {
    let (which, steps, square) = (modes.which(mode), modes.steps(mode), modes.squared_step(mode));
    let (scale, lambda) = (1.0 / modes.least_steps[mode], slope / square);
    let mut cost = lambda * (modes.bits(mode) - 8.0 * n_bytes as f32);
    for first in (0..values.len()).step_by(COLUMNS_AT_ONCE) {
        let columns = first..values.len().min(first + COLUMNS_AT_ONCE);
        let of_columns = values[columns.clone()].iter().zip(&steps[columns.clone()]).zip(&which[columns]);
        for ((value, step), table) in of_columns {
            cost += match modes.choices(*value, *step, scale, *table) {
                Choices::One(choice) => choice.cost(lambda),
                Choices::Some(choices) => best(&choices, lambda).cost(lambda),
            };
        }
        if square * cost >= limit {
            return None;
        }
    }
    Some(square * cost)
}

/// Quantizes a row in a mode: symbols in `scratch`, and the squared error and lambda, or `None` if it does not fit.
fn quantize_in_mode(
    values: &[f32],
    modes: &Modes<'_>,
    mode: usize,
    n_bytes: usize,
    scratch: &mut Scratch,
) -> Result<Option<(f32, f32)>, Error> {
    let (which, steps, step) = (modes.which(mode), modes.steps(mode), modes.least_steps[mode]);
    let scale = 1.0 / step;
    scratch.columns.clear();
    scratch.choices.clear();
    scratch.symbols[0] = mode as u8;
    let (mut error, mut bits) = (0.0, modes.bits(mode)); // of columns that have no choice
    for (column, ((value, own), table)) in values.iter().zip(steps).zip(which).enumerate() {
        match modes.choices(*value, *own, scale, *table) {
            Choices::One(choice) => {
                scratch.symbols[1 + column] = choice.symbol;
                error += choice.error;
                bits += choice.bits;
            }
            Choices::Some(choices) => {
                scratch.columns.push(column); // there is room for all
                scratch.choices.push(choices);
            }
        }
    }
    // Coding loses some hundredths of a bit for each symbol, a little more for some rows.
    let mut budget = 8.0 * n_bytes as f32 - bits;
    while budget > 0.0 {
        let bits_at =
            |lambda: f32| scratch.choices.iter().map(|choices| best(choices, lambda).bits).sum::<f32>();
        let (mut low, mut high) = (LEAST_LAMBDA.to_bits(), LARGEST_LAMBDA.to_bits());
        if bits_at(LARGEST_LAMBDA) > budget {
            return Ok(None);
        }
        for _ in 0..N_HALVINGS {
            let middle = u32::midpoint(low, high);
            if bits_at(f32::from_bits(middle)) > budget { low = middle } else { high = middle }
        }
        let lambda = f32::from_bits(high);
        scratch.chosen.clear();
        scratch.chosen.extend(scratch.choices.iter().map(|choices| best(choices, lambda)));
        let bits: f32 = scratch.chosen.iter().map(|chosen| chosen.bits).sum();
        spend(budget - bits, &scratch.choices, &mut scratch.chosen);
        for (column, chosen) in scratch.columns.iter().zip(&scratch.chosen) {
            scratch.symbols[1 + column] = chosen.symbol;
        }
        scratch.bytes.clear();
        let which = &modes.which[mode * (1 + modes.n_columns)..][..1 + modes.n_columns];
        match write(&scratch.symbols, which, modes.tables, &mut scratch.bytes) {
            Err(None) => return Err(Error::OutOfMemory),
            Ok(()) if scratch.bytes.len() <= n_bytes => {
                error += scratch.chosen.iter().map(|chosen| chosen.error).sum::<f32>();
                return Ok(Some((step * step * error, lambda)));
            }
            _ => budget -= 0.5,
        }
    }
    Ok(None)
}

/// Spends bits that are left on the choices that lower the error the most.
fn spend(mut left: f32, choices: &[[Choice; N_CHOICES]], chosen: &mut [Choice]) {
    loop {
        let (mut most, mut found) = (0.0, None);
        for (column, (choices, chosen)) in choices.iter().zip(chosen.iter()).enumerate() {
            for choice in choices {
                let gain = chosen.error - choice.error;
                if gain > most && choice.bits - chosen.bits <= left {
                    (most, found) = (gain, Some((column, *choice)));
                }
            }
        }
        let Some((column, choice)) = found else { return };
        left -= choice.bits - chosen[column].bits;
        chosen[column] = choice;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level as Instructions;
    use crate::entropy::cells;

    /// A law around zero in two tables, and one for two modes.
    fn tables() -> Tables {
        let mut frequencies = vec![0; 3 * N_SYMBOLS];
        for (table, width) in [(0, 3), (1, 12)] {
            let row = &mut frequencies[table * N_SYMBOLS..][..N_SYMBOLS];
            for number in -width..=width {
                row[(ZERO + number) as usize] = (4_000 >> (number.unsigned_abs() * 4 / width as u32)).max(1);
            }
            let rest = 65_536 - row.iter().sum::<u32>() as i32;
            row[ZERO as usize] = (row[ZERO as usize] as i32 + rest) as u32;
        }
        frequencies[2 * N_SYMBOLS] = 40_000;
        frequencies[2 * N_SYMBOLS + 1] = 25_536;
        Tables::new(&frequencies, N_SYMBOLS).unwrap()
    }

    fn centers() -> Vec<f32> {
        (0..3 * N_SYMBOLS as i32).map(|index| (index % 256 - ZERO) as f32).collect()
    }

    fn squared_error(values: &[f32], symbols: &[u8], steps: &[f32]) -> f32 {
        let steps = &steps[usize::from(symbols[0]) * values.len()..];
        let decoded =
            symbols[1..].iter().zip(steps).map(|(symbol, step)| step * f32::from(i16::from(*symbol) - 127));
        values.iter().zip(decoded).map(|(value, decoded)| (value - decoded).powi(2)).sum()
    }

    #[test]
    fn rows_fit_and_more_bytes_have_less_error() {
        let (tables, centers) = (tables(), centers());
        let n_columns = 40;
        let which: Vec<u8> = [0, 1]
            .into_iter()
            .flat_map(|table| std::iter::once(2).chain(std::iter::repeat_n(table, n_columns)))
            .collect();
        // The first column has a larger step than the others.
        let steps: Vec<f32> = [1.0, 3.0]
            .into_iter()
            .flat_map(|step| std::iter::once(2.0 * step).chain(std::iter::repeat_n(step, n_columns - 1)))
            .collect();
        let modes = Modes::new(&tables, &which, &steps, n_columns, &centers).unwrap();
        let n = 50;
        let values: Vec<f32> = (0..n * n_columns)
            .map(|index| ((index * index * 7919 + index * 104_729) % 2001) as f32 / 200.0 - 5.0)
            .map(|value| value * value * value / 20.0)
            .collect();
        let run = Run::serial(Instructions::PORTABLE);
        let mut before = vec![f32::INFINITY; n];
        for n_bytes in [12, 16, 24, 40] {
            let (mut symbols, mut lambdas) = (vec![0; n * (1 + n_columns)], vec![0.0; n]);
            quantize(&values, &modes, n_bytes, &mut symbols, &mut lambdas, &run).unwrap();
            let (mut out, mut lens) = (vec![0; n * n_bytes], vec![0; n]);
            let chosen: Vec<u8> = symbols
                .chunks(1 + n_columns)
                .flat_map(|row| which[usize::from(row[0]) * (1 + n_columns)..][..1 + n_columns].to_vec())
                .collect();
            cells::encode(&symbols, &chosen, 1 + n_columns, &tables, n_bytes, &mut out, &mut lens, &run)
                .unwrap();
            assert!(lens.iter().all(|len| *len <= n_bytes as i64), "{lens:?}");
            let (mut read, mut is_whole) = (vec![0; symbols.len()], vec![false; n]);
            cells::decode(&out, n_bytes, &chosen, 1 + n_columns, &tables, &mut read, &mut is_whole, &run)
                .unwrap();
            assert!(read == symbols && is_whole.iter().all(|is_whole| *is_whole));
            for ((row, values), before) in
                symbols.chunks(1 + n_columns).zip(values.chunks(n_columns)).zip(&mut before)
            {
                let error = squared_error(values, row, &steps);
                assert!(error <= *before * 1.001 + 0.01, "{n_bytes} bytes: {error}, before {before}");
                *before = error;
            }
        }
    }

    #[test]
    fn what_cannot_fit_is_refused() {
        let (tables, centers) = (tables(), centers());
        let which = [2, 0, 0];
        let modes = Modes::new(&tables, &which, &[1.0; 2], 2, &centers).unwrap();
        let run = Run::serial(Instructions::PORTABLE);
        let wide = vec![0.0; 2];
        assert!(quantize(&wide, &modes, 1, &mut [0; 3], &mut [0.0], &run).is_ok());
        assert!(matches!(
            quantize(&[f32::NAN, 0.0], &modes, 1, &mut [0; 3], &mut [0.0], &run),
            Err(Error::NotFinite { name: "values", .. })
        ));
        assert!(matches!(
            Modes::new(&tables, &which, &[1.0, 0.0], 2, &centers),
            Err(Error::Value { name: "steps", .. })
        ));
        assert!(matches!(
            Modes::new(&tables, &[2, 0, 3], &[1.0; 2], 2, &centers),
            Err(Error::Value { name: "which", .. })
        ));
        let many = vec![2; 1].into_iter().chain(vec![1; 400]).collect::<Vec<u8>>();
        let modes = Modes::new(&tables, &many, &[1.0; 400], 400, &centers).unwrap();
        assert!(matches!(
            quantize(&[0.0; 400], &modes, 1, &mut [0; 401], &mut [0.0], &run),
            Err(Error::Incompatible { .. })
        ));
    }
}
