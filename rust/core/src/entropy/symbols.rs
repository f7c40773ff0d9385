//! Messages of symbols with static frequencies.

use std::ops::Range;

use super::message::{self, check_n, no_symbol};
use super::range::{Decoder, Encoder};
use super::rans::{LaneWriter, Lanes, N_LANES};
use super::tables::{Tables, least_bits};
use super::{read, write};
use crate::error::check_len;
use crate::{At, Error, Level, Run};

/// The tables of symbols: the only one, or one for each.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    tables: &'a Tables,
    which: Option<&'a [u8]>,
}

impl<'a> Model<'a> {
    /// The same table for all symbols.
    pub fn new(tables: &'a Tables) -> Self {
        Model { tables, which: None }
    }

    /// The table of each symbol by its number.
    ///
    /// # Errors
    /// [`Error::Value`] if there is no such table.
    pub fn with_which(tables: &'a Tables, which: &'a [u8]) -> Result<Self, Error> {
        let n_tables = tables.n_tables();
        match which.iter().position(|table| usize::from(*table) >= n_tables) {
            None => Ok(Model { tables, which: Some(which) }),
            Some(index) => Err(Error::Value {
                name: "scales",
                value: which[index].to_string(),
                at: At::Element(index),
                expected: format!("indices from 0 to {}", n_tables - 1),
            }),
        }
    }

    /// Checks that there is a table for each of `n` symbols.
    fn check_len(&self, n: usize) -> Result<(), Error> {
        self.which.map_or(Ok(()), |which| check_len("scales", "elements", which.len(), n))
    }

    fn slice(&self, symbols: Range<usize>) -> Self {
        Model { which: self.which.map(|which| &which[symbols]), ..*self }
    }

    fn table(&self, index: usize) -> u8 {
        self.which.map_or(0, |which| which[index])
    }
}

/// Encodes symbols.
///
/// # Errors
/// [`Error::Value`] for a symbol that has no frequency, [`Error::Length`] if there is not a table for each, [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn encode(symbols: &[u8], model: Model<'_>, run: &Run<'_>) -> Result<Vec<u8>, Error> {
    model.check_len(symbols.len())?;
    let level = run.level();
    message::prepare(symbols.len(), &[model.tables])?;
    message::encode(
        symbols.len(),
        |encoder| {
            for (index, symbol) in symbols.iter().enumerate() {
                encode_short(*symbol, model.tables, model.table(index), index, encoder)?;
            }
            Ok(())
        },
        |range, bytes| {
            write_run(&symbols[range.clone()], model.slice(range.clone()), range.start, bytes, level)
        },
        run,
    )
}

/// Decodes as many symbols as `out` has.
///
/// # Errors
/// [`Error::Incompatible`] for bytes that no encoder wrote for them, [`Error::Length`], [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn decode(data: &[u8], model: Model<'_>, out: &mut [u8], run: &Run<'_>) -> Result<(), Error> {
    model.check_len(out.len())?;
    let level = run.level();
    message::decode(
        data,
        out,
        |decoder, out| {
            for (index, symbol) in out.iter_mut().enumerate() {
                *symbol = decode_short(model.tables, model.table(index), decoder);
            }
        },
        |bytes, first, out| {
            let end = read_run(bytes, model.slice(first..first + out.len()), out, level);
            Ok(end == Some(bytes.len()))
        },
        run,
    )
}

/// Checks that this many symbols fit in this many bytes.
///
/// # Errors
/// [`Error::Incompatible`] if they cannot.
pub fn check_n_symbols(n: usize, tables: &Tables, n_bytes: usize) -> Result<(), Error> {
    check_n(n, least_bits(tables), n_bytes)
}

/// Appends a run of symbols, of which the first has this index in the message.
pub(super) fn write_run(
    symbols: &[u8],
    model: Model<'_>,
    first: usize,
    bytes: &mut Vec<u8>,
    level: Level,
) -> Result<(), Error> {
    let mut writer = LaneWriter::new(symbols.len().div_ceil(N_LANES))?;
    let (tables, slots) = (model.tables, model.tables.slots()?);
    let written = write(level, tables, slots, symbols, model.which, &mut writer);
    written.map_err(|index| no_symbol(symbols[index], first + index, expected(tables.n_symbols())))?;
    writer.finish(bytes)
}

/// Reads a run, and returns where it ends if it ends as an encoder ends it.
pub(super) fn read_run(bytes: &[u8], model: Model<'_>, out: &mut [u8], level: Level) -> Option<usize> {
    let mut lanes = Lanes::new(bytes)?;
    read(level, model.tables, model.which, &mut lanes, out);
    lanes.end()
}

/// Writes a symbol with the range coder.
pub(super) fn encode_short(
    symbol: u8,
    tables: &Tables,
    table: u8,
    index: usize,
    encoder: &mut Encoder<'_>,
) -> Result<(), Error> {
    let part = tables.part(table, symbol);
    if part.size == 0 {
        return Err(no_symbol(symbol, index, expected(tables.n_symbols())));
    }
    encoder.part(part)
}

/// Reads a symbol with the range coder.
pub(super) fn decode_short(tables: &Tables, table: u8, decoder: &mut Decoder<'_>) -> u8 {
    let (symbol, part) = tables.symbol_at(table, decoder.piece());
    decoder.consume(part);
    symbol
}

/// Which symbols a model has.
pub(super) fn expected(n_symbols: usize) -> String {
    format!("symbols below {n_symbols} whose frequency is not zero")
}

/// Encodes symbols of more than one byte, below 256 times the number of tables of `low`: the high byte by the table `high`, the low byte
/// by the table of `low` that has the high byte's number. In a run, a group of high bytes comes before the group of their low bytes.
///
/// # Errors
/// As [`encode`].
pub fn encode_wide(symbols: &[u16], high: &Tables, low: &Tables, run: &Run<'_>) -> Result<Vec<u8>, Error> {
    let n_symbols = 256 * low.n_tables();
    let no_symbol = |index: usize| no_symbol(symbols[index], index, expected(n_symbols));
    let whole = |error: Error, index: usize| match error {
        Error::Value { .. } => no_symbol(index),
        other => other,
    };
    let level = run.level();
    message::prepare(symbols.len(), &[high, low])?;
    message::encode(
        symbols.len(),
        |encoder| {
            for (index, symbol) in symbols.iter().enumerate() {
                let [first, second] = symbol.to_be_bytes();
                encode_short(first, high, 0, index, encoder).map_err(|error| whole(error, index))?;
                encode_short(second, low, first, index, encoder).map_err(|error| whole(error, index))?;
            }
            Ok(())
        },
        |range, bytes| {
            let first = range.start;
            let symbols = &symbols[range];
            let (high_slots, low_slots) = (high.slots()?, low.slots()?);
            let mut writer = LaneWriter::new(2 * symbols.len().div_ceil(N_LANES))?;
            for (group, symbols) in symbols.chunks(N_LANES).enumerate().rev() {
                let (mut highs, mut lows) = ([0; N_LANES], [0; N_LANES]);
                for (lane, symbol) in symbols.iter().enumerate() {
                    [highs[lane], lows[lane]] = symbol.to_be_bytes();
                }
                let (highs, lows) = (&highs[..symbols.len()], &lows[..symbols.len()]);
                let written = write(level, low, low_slots, lows, Some(highs), &mut writer);
                let written = written.and_then(|()| write(level, high, high_slots, highs, None, &mut writer));
                written.map_err(|lane| no_symbol(first + group * N_LANES + lane))?;
            }
            writer.finish(bytes)
        },
        run,
    )
}

/// Decodes as many symbols as `out` has, which [`encode_wide`] encoded.
///
/// # Errors
/// As [`decode`].
pub fn decode_wide(
    data: &[u8],
    high: &Tables,
    low: &Tables,
    out: &mut [u16],
    run: &Run<'_>,
) -> Result<(), Error> {
    let level = run.level();
    message::decode(
        data,
        out,
        |decoder, out| {
            for symbol in out {
                let first = decode_short(high, 0, decoder);
                *symbol = u16::from_be_bytes([first, decode_short(low, first, decoder)]);
            }
        },
        |bytes, _, out| {
            let Some(mut lanes) = Lanes::new(bytes) else { return Ok(false) };
            for symbols in out.chunks_mut(N_LANES) {
                let (mut highs, mut lows) = ([0; N_LANES], [0; N_LANES]);
                let (highs, lows) = (&mut highs[..symbols.len()], &mut lows[..symbols.len()]);
                read(level, high, None, &mut lanes, highs);
                read(level, low, Some(highs), &mut lanes, lows);
                for (symbol, digits) in symbols.iter_mut().zip(highs.iter().zip(lows)) {
                    *symbol = u16::from_be_bytes([*digits.0, *digits.1]);
                }
            }
            Ok(lanes.end() == Some(bytes.len()))
        },
        run,
    )
}

/// Checks that this many symbols of more than one byte fit in this many bytes.
///
/// # Errors
/// [`Error::Incompatible`] if they cannot.
pub fn check_n_wide(n: usize, high: &Tables, low: &Tables, n_bytes: usize) -> Result<(), Error> {
    check_n(n, least_bits(high) + least_bits(low), n_bytes)
}
