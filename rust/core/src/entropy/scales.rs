//! Integers that follow a law around zero, each with a scale of its own: latents of learned image codecs, residuals of predictions.
//!
//! There are 64 scales, from 0.11 to 256 in equal ratios (Balle et al., ICLR 2018, and CompressAI have the same). Each has a table of 256
//! symbols. Integers of a large scale are divided first:
//!
//! ```text
//! value + 2^(s-1)  =  k 2^s + r        s, the smallest with scale <= 10 * 2^s
//! symbol  k + 127                      coded by the table of the scale; k from -127 to 127
//! raw     the s bits of r              all equally probable
//! escape  symbol 255, and 32 raw bits  for a k without a frequency: less probable than 2^-18
//! ```
//!
//! In a run the raw bits follow the lanes' bytes, the lowest bit first, in whole bytes. In a short message they follow their symbol.
//!
//! The frequencies are computed from sums, products and quotients of float64 alone, which are the same on every machine.

use super::frequencies::{self, MAX_SYMBOLS};
use super::message::{self, check_n};
use super::range::{Decoder, Encoder};
use super::rans::Lanes;
use super::read;
use super::symbols::{Model, decode_short, encode_short, write_run};
use super::tables::{Tables, least_bits};
use crate::error::{check_len, try_collect, try_push, try_vec};
use crate::{Error, Run};

/// Number of scales.
pub const N_SCALES: usize = 64;

/// The smallest and the largest scale.
const LEAST_SCALE: f64 = 0.11;
const LARGEST_SCALE: f64 = 256.0;

/// The symbol of zero.
const ZERO: i32 = 127;

/// The symbol before 32 raw bits.
const ESCAPE: u8 = 255;

/// Scales are divided until they are at most this.
const LARGEST_UNDIVIDED: f64 = 10.0;

/// The counts of a table add up to about this.
const COUNTS: f64 = (1_u64 << 60) as f64;

/// The law of integers around zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Density `exp(-|x| / scale) / (2 scale)`.
    Laplace,
    /// Density `exp(-x^2 / (2 scale^2)) / (scale sqrt(2 pi))`.
    Gaussian,
    /// Distribution function `1 / (1 + exp(-x / scale))`.
    Logistic,
}

/// The frequencies of a law at each scale.
pub struct ScaleTable {
    tables: Tables,
    scales: Vec<f64>,
    /// `s` of each scale.
    shifts: Vec<u32>,
}

impl ScaleTable {
    /// The tables of a law.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(law: Law) -> Result<Self, Error> {
        let scales = scales();
        let mut shifts = try_vec(0_u32, N_SCALES)?;
        let mut all = try_vec(0, N_SCALES * MAX_SYMBOLS)?;
        for ((scale, shift), out) in scales.iter().zip(&mut shifts).zip(all.chunks_exact_mut(MAX_SYMBOLS)) {
            while *scale > LARGEST_UNDIVIDED * f64::from(1_u32 << *shift) {
                *shift += 1;
            }
            fill(law, *scale, *shift, out)?;
        }
        Ok(ScaleTable { tables: Tables::new(&all, MAX_SYMBOLS)?, scales, shifts })
    }

    /// The scales, in ascending order.
    pub fn scales(&self) -> &[f64] {
        &self.scales
    }

    /// The tables of symbols.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The symbol of a value, its raw bits, and how many these are.
    #[inline]
    fn split(&self, value: i32, scale: u8) -> (u8, u32, u32) {
        let shift = self.shifts.get(usize::from(scale)).copied().unwrap_or(0);
        let moved = i64::from(value) + (1_i64 << shift >> 1);
        let symbol = (moved >> shift) + i64::from(ZERO);
        match u8::try_from(symbol) {
            Ok(symbol) if symbol != ESCAPE && self.tables.frequency(scale, symbol) > 0 => {
                (symbol, moved as u32 & ((1 << shift) - 1), shift)
            }
            _ => (ESCAPE, value as u32, 32),
        }
    }

    /// The number of raw bits of a symbol.
    #[inline]
    fn n_raw(&self, symbol: u8, scale: u8) -> u32 {
        if symbol == ESCAPE { 32 } else { self.shifts.get(usize::from(scale)).copied().unwrap_or(0) }
    }

    /// The value of a symbol and its raw bits.
    #[inline]
    fn join(&self, symbol: u8, raw: u32, scale: u8) -> i32 {
        if symbol == ESCAPE {
            return raw as i32;
        }
        let shift = self.shifts.get(usize::from(scale)).copied().unwrap_or(0);
        ((i32::from(symbol) - ZERO) << shift) + raw as i32 - (1 << shift >> 1)
    }

    /// The code length of a value, in bits.
    pub fn bits(&self, value: i32, scale: u8) -> f64 {
        let (symbol, _, n_raw) = self.split(value, scale);
        16.0 - f64::from(self.tables.frequency(scale, symbol)).log2() + f64::from(n_raw)
    }
}

/// Encodes values, the scale of each given by its number.
///
/// # Errors
/// [`Error::Length`] if there is not a scale for each, [`Error::Value`] if there is no such scale, [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn encode(values: &[i32], scales: &[u8], table: &ScaleTable, run: &Run<'_>) -> Result<Vec<u8>, Error> {
    check_len("scales", "elements", scales.len(), values.len())?;
    Model::with_which(&table.tables, scales)?;
    let level = run.level();
    message::prepare(values.len(), &[&table.tables])?;
    message::encode(
        values.len(),
        |encoder: &mut Encoder<'_>| {
            for (index, (value, scale)) in values.iter().zip(scales).enumerate() {
                let (symbol, raw, n_raw) = table.split(*value, *scale);
                encode_short(symbol, &table.tables, *scale, index, encoder)?;
                encoder.raw(raw, n_raw)?;
            }
            Ok(())
        },
        |range, bytes| {
            let (values, scales) = (&values[range.clone()], &scales[range.clone()]);
            let mut symbols = try_vec(0, values.len())?;
            let mut raw = RawWriter::default();
            for ((symbol, value), scale) in symbols.iter_mut().zip(values).zip(scales) {
                let bits;
                let n_bits;
                (*symbol, bits, n_bits) = table.split(*value, *scale);
                raw.write(bits, n_bits)?;
            }
            write_run(&symbols, Model::with_which(&table.tables, scales)?, range.start, bytes, level)?;
            raw.append_to(bytes)
        },
        run,
    )
}

/// Decodes as many values as `out` has.
///
/// # Errors
/// [`Error::Incompatible`] for bytes that no encoder wrote for them, and those of [`encode`].
pub fn decode(
    data: &[u8],
    scales: &[u8],
    table: &ScaleTable,
    out: &mut [i32],
    run: &Run<'_>,
) -> Result<(), Error> {
    check_len("scales", "elements", scales.len(), out.len())?;
    Model::with_which(&table.tables, scales)?;
    let level = run.level();
    message::decode(
        data,
        out,
        |decoder: &mut Decoder<'_>, out| {
            for (value, scale) in out.iter_mut().zip(scales) {
                let symbol = decode_short(&table.tables, *scale, decoder);
                let raw = decoder.raw(table.n_raw(symbol, *scale));
                *value = table.join(symbol, raw, *scale);
            }
        },
        |bytes, first, out| {
            let scales = &scales[first..first + out.len()];
            let mut symbols = try_vec(0, out.len())?;
            let Some(mut lanes) = Lanes::new(bytes) else { return Ok(false) };
            read(level, &table.tables, Some(scales), &mut lanes, &mut symbols);
            let Some(end) = lanes.end() else { return Ok(false) };
            let mut raw = RawReader { bytes: &bytes[end..], held: 0, n_held: 0, is_short: false };
            for ((value, symbol), scale) in out.iter_mut().zip(symbols).zip(scales) {
                *value = table.join(symbol, raw.read(table.n_raw(symbol, *scale)), *scale);
            }
            Ok(raw.is_complete())
        },
        run,
    )
}

/// Writes the code length of each value, in bits.
///
/// # Errors
/// [`Error::Length`] or [`Error::Value`] as in [`encode`].
pub fn bits(values: &[i32], scales: &[u8], table: &ScaleTable, out: &mut [f64]) -> Result<(), Error> {
    check_len("scales", "elements", scales.len(), values.len())?;
    Model::with_which(&table.tables, scales)?;
    for (bits, (value, scale)) in out.iter_mut().zip(values.iter().zip(scales)) {
        *bits = table.bits(*value, *scale);
    }
    Ok(())
}

/// Checks that this many values fit in this many bytes.
///
/// # Errors
/// [`Error::Incompatible`] if they cannot.
pub fn check_n_values(n: usize, table: &ScaleTable, n_bytes: usize) -> Result<(), Error> {
    check_n(n, least_bits(&table.tables), n_bytes)
}

/// Writes bits, the lowest first.
#[derive(Default)]
struct RawWriter {
    bytes: Vec<u8>,
    held: u64,
    n_held: u32,
}

impl RawWriter {
    #[inline]
    fn write(&mut self, bits: u32, n_bits: u32) -> Result<(), Error> {
        self.held |= u64::from(bits) << self.n_held;
        self.n_held += n_bits;
        if self.n_held >= 32 {
            self.bytes.try_reserve(4)?;
            self.bytes.extend_from_slice(&(self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.n_held -= 32;
        }
        Ok(())
    }

    fn append_to(self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        bytes.try_reserve(self.bytes.len() + 4)?;
        bytes.extend_from_slice(&self.bytes);
        bytes.extend_from_slice(&self.held.to_le_bytes()[..self.n_held.div_ceil(8) as usize]);
        Ok(())
    }
}

/// Reads them.
struct RawReader<'a> {
    bytes: &'a [u8],
    held: u64,
    n_held: u32,
    is_short: bool,
}

impl RawReader<'_> {
    #[inline]
    fn read(&mut self, n_bits: u32) -> u32 {
        while self.n_held < n_bits {
            let (byte, rest) = self.bytes.split_first().unwrap_or((&0, &[]));
            self.is_short |= self.bytes.is_empty();
            self.held |= u64::from(*byte) << self.n_held;
            self.n_held += 8;
            self.bytes = rest;
        }
        let bits = self.held & ((1 << n_bits) - 1);
        self.held >>= n_bits;
        self.n_held -= n_bits;
        bits as u32
    }

    /// Whether all was read, and what fills the last byte is zero.
    fn is_complete(&self) -> bool {
        !self.is_short && self.bytes.is_empty() && self.held == 0
    }
}

/// The scales: `LEAST_SCALE ratio^i`, of which the last is `LARGEST_SCALE`.
fn scales() -> Vec<f64> {
    // The 63rd root, by Newton's method.
    let (target, n) = (LARGEST_SCALE / LEAST_SCALE, (N_SCALES - 1) as f64);
    let mut ratio = 1.2;
    for _ in 0..60 {
        let power = (1..N_SCALES).fold(1.0, |power: f64, _| power * ratio);
        ratio -= ratio * (power - target) / (n * power);
    }
    let mut scale = LEAST_SCALE;
    (0..N_SCALES)
        .map(|_| {
            let this = scale;
            scale *= ratio;
            this
        })
        .collect()
}

/// Writes the frequencies of a law at a scale.
fn fill(law: Law, scale: f64, shift: u32, out: &mut [u32]) -> Result<(), Error> {
    let width = f64::from(1_u32 << shift);
    // Below a bucket: its first integer, less a half.
    let below = |k: i32| {
        let first = f64::from(k) * width - f64::from(1_u32 << shift >> 1);
        distribution(law, (first - 0.5) / scale)
    };
    let counts = (-ZERO..=ZERO).map(|k| {
        let count = ((below(k + 1) - below(k)) * COUNTS) as u64;
        if count >> 42 > 0 { count } else { 0 }
    });
    let mut present: Vec<(u8, u64)> =
        try_collect(counts.zip(0..).filter(|(count, _)| *count > 0).map(|(count, symbol)| (symbol, count)))?;
    let escaped = (COUNTS as u64).saturating_sub(present.iter().map(|(_, count)| count).sum());
    try_push(&mut present, (ESCAPE, escaped))?;
    let counts: Vec<u64> = try_collect(present.iter().map(|(_, count)| *count))?;
    let mut frequencies_of = try_vec(0, counts.len())?;
    frequencies::of_counts(&counts, &mut frequencies_of)?;
    for ((symbol, _), frequency) in present.iter().zip(frequencies_of) {
        out[usize::from(*symbol)] = frequency;
    }
    Ok(())
}

/// The distribution function of a law of scale 1.
fn distribution(law: Law, x: f64) -> f64 {
    let of_negative = |x: f64| match law {
        Law::Laplace => exponential(x) / 2.0,
        Law::Logistic => {
            let power = exponential(x);
            power / (1.0 + power)
        }
        Law::Gaussian if x < -8.0 => 0.0,
        // Marsaglia (2004): a series of positive terms.
        Law::Gaussian => {
            let (mut term, mut sum, mut n) = (-x, -x, 1.0);
            while term > sum * 1e-17 {
                n += 2.0;
                term *= x * x / n;
                sum += term;
            }
            let sqrt_two_pi = 2.506_628_274_631_000_7;
            (0.5 - sum * exponential(-x * x / 2.0) / sqrt_two_pi).max(0.0)
        }
    };
    if x <= 0.0 { of_negative(x) } else { 1.0 - of_negative(-x) }
}

/// `e^x` for `x <= 0`: the same on every machine, unlike that of a mathematical library.
fn exponential(x: f64) -> f64 {
    if x < -700.0 {
        return 0.0;
    }
    let small = x / 1024.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..14 {
        term *= small / f64::from(n);
        sum += term;
    }
    (0..10).fold(sum, |power, _| power * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_of_a_library() {
        for x in [0.0, -1e-3, -0.5, -1.0, -2.5, -7.0, -7.9] {
            assert!((exponential(x) / f64::exp(x) - 1.0).abs() < 1e-11, "{x}");
        }
        let gaussian = [(0.0, 0.5), (-1.0, 0.158_655_253_931_457_05), (-3.0, 0.001_349_898_031_630_094_5)];
        for (x, expected) in gaussian {
            assert!((distribution(Law::Gaussian, x) - expected).abs() < 1e-13);
            assert!((distribution(Law::Gaussian, -x) - (1.0 - expected)).abs() < 1e-13);
        }
        assert!((distribution(Law::Logistic, 1.0) - 1.0 / (1.0 + f64::exp(-1.0))).abs() < 1e-13);
        assert!((distribution(Law::Laplace, 2.0) - (1.0 - f64::exp(-2.0) / 2.0)).abs() < 1e-13);
    }

    #[test]
    fn code_lengths_are_near_the_entropy_of_the_law() {
        for law in [Law::Laplace, Law::Gaussian, Law::Logistic] {
            let table = ScaleTable::new(law).unwrap();
            assert!((table.scales()[63] - LARGEST_SCALE).abs() < 1e-9);
            for (number, scale) in table.scales().iter().enumerate() {
                let (mut entropy, mut length) = (0.0, 0.0);
                for value in -12_000..=12_000 {
                    let edge = |half: f64| distribution(law, (f64::from(value) + half) / scale);
                    let p = edge(0.5) - edge(-0.5);
                    if p > 0.0 {
                        entropy -= p * p.log2();
                        length += p * table.bits(value, number as u8);
                    }
                }
                let excess = length - entropy;
                assert!(
                    excess < 0.001 * entropy + 0.0006,
                    "{law:?} {scale}: {length} bits, {entropy} needed"
                );
            }
        }
    }
}
