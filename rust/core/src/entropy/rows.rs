//! Rows of codes, each decodable alone, or with at most a few before it: messages of the range coder for blocks of rows.
//!
//! ```text
//! offsets    0         o1        o2   ...      where the blocks begin, and the end of the last
//! data       block 0 | block 1 | ...           the rows of a block one after the other, without a mark between them
//! ```

use std::slice::ChunksExactMut;

use super::frequencies::{TOTAL, check_frequencies};
use super::message::{are_enough, damaged};
use super::range::{Decoder, Encoder, Part};
use crate::error::{check_len, try_push, try_vec};
use crate::{At, Codes, Error, Run};

/// Rows of a task.
const ROWS_PER_TASK: usize = 1 << 12;

/// Blocks that are read side by side.
const BLOCKS_AT_ONCE: usize = 8;

/// How probable the rows of codes are.
pub trait RowModel: Sync {
    /// Bytes of a row.
    fn n_bytes(&self) -> usize;

    /// Writes a row. The error is the column of a byte that the model does not have, or `None` if there is no memory.
    ///
    /// # Errors
    /// As said.
    fn write(&self, row: &[u8], encoder: &mut Encoder<'_>) -> Result<(), Option<usize>>;

    /// Reads a row of each of some blocks: side by side, since each symbol waits for what the one before it selects in a large table.
    fn read(&self, readings: &mut [Reading<'_>]);

    /// The smallest number of bits that a row takes.
    fn least_bits(&self) -> f64;

    /// Which bytes the model has.
    fn expected(&self) -> String;
}

/// A block that is read.
pub struct Reading<'a> {
    decoder: Decoder<'a>,
    /// The row that is read next.
    row: &'a mut [u8],
    rows: ChunksExactMut<'a, u8>,
    /// Its number.
    block: usize,
}

/// Codes as Markov chains: the probability of a symbol depends on its column alone, or on the symbol in the column before it too.
pub struct MarkovChain {
    n_columns: usize,
    n_symbols: usize,
    has_previous: bool,
    /// That of column 0 comes first, then those of column 1, one for each previous symbol, and so on.
    tables: Vec<Table>,
    least_bits: f64,
}

/// Symbols of a group, of which a decoder compares all with a piece.
const GROUP: usize = 16;

/// Where the parts of 256 symbols begin, so that a decoder reads two cache lines: the group first, and then the symbol.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Table {
    groups: [u16; GROUP],
    symbols: [[u16; GROUP]; GROUP],
}

impl MarkovChain {
    /// A chain of `n_columns` columns from tables of `n_symbols` frequencies, none of them zero: one for each column, or, with
    /// `has_previous`, one for column 0 and then one for each column and previous symbol.
    ///
    /// # Errors
    /// [`Error::Length`] if there are more or fewer, [`Error::Range`], [`Error::Value`] if a table does not add up to [`TOTAL`] or has a
    /// zero.
    pub fn new(
        frequencies: &[u32],
        n_columns: usize,
        n_symbols: usize,
        has_previous: bool,
    ) -> Result<Self, Error> {
        check_frequencies(frequencies, n_symbols)?;
        let n_tables = match has_previous && n_columns > 0 {
            true => (n_columns - 1).saturating_mul(n_symbols).saturating_add(1),
            false => n_columns,
        };
        check_len("frequencies", "tables", frequencies.len() / n_symbols, n_tables)?;
        if let Some(index) = frequencies.iter().position(|frequency| *frequency == 0) {
            return Err(Error::Value {
                name: "frequencies",
                value: "0".to_owned(),
                at: At::Cell(index / n_symbols, index % n_symbols),
                expected: "1 or more, since a row may have any symbol".to_owned(),
            });
        }
        // Beyond the last symbol there is the last piece, which belongs to the last symbol.
        let empty = Table { groups: [u16::MAX; GROUP], symbols: [[u16::MAX; GROUP]; GROUP] };
        let mut tables = try_vec(empty, n_tables)?;
        for (table, frequencies) in tables.iter_mut().zip(frequencies.chunks(n_symbols)) {
            let mut sum = 0;
            for (start, frequency) in table.symbols.as_flattened_mut().iter_mut().zip(frequencies) {
                *start = sum as u16;
                sum += frequency;
            }
            table.groups = table.symbols.map(|group| group[0]);
        }
        // Of each column, the most probable symbol of any table.
        let largest = |tables: &[u32]| tables.iter().copied().max().map_or(0.0, bits_of);
        let (first, others) = frequencies.split_at(n_symbols.min(frequencies.len()));
        let tables_per_column = if has_previous { n_symbols } else { 1 };
        let least_bits =
            largest(first) + others.chunks(tables_per_column * n_symbols).map(largest).sum::<f64>();
        Ok(MarkovChain { n_columns, n_symbols, has_previous, tables, least_bits })
    }

    #[inline]
    fn table(&self, column: usize, previous: usize) -> &Table {
        match column {
            0 => &self.tables[0],
            _ if self.has_previous => &self.tables[1 + (column - 1) * self.n_symbols + previous],
            _ => &self.tables[column],
        }
    }

    /// The part of the range of a symbol.
    #[inline]
    fn part(&self, table: &Table, symbol: usize) -> Part {
        let starts = table.symbols.as_flattened();
        let end = if symbol + 1 < self.n_symbols { u32::from(starts[symbol + 1]) } else { TOTAL };
        let start = u32::from(starts[symbol]);
        Part { start, size: end - start }
    }
}

impl Table {
    /// The symbol whose part holds a piece, of `n_symbols`.
    #[inline]
    fn symbol_at(&self, piece: u32, n_symbols: usize) -> usize {
        let piece = piece as u16; // which is below 2^16
        // The first symbol begins at 0.
        let last = |starts: &[u16; GROUP]| {
            let n = starts.iter().fold(0_u16, |n, start| n + u16::from(*start <= piece));
            usize::from(n).saturating_sub(1)
        };
        let group = last(&self.groups).min(GROUP - 1);
        (group * GROUP + last(&self.symbols[group])).min(n_symbols - 1)
    }
}

/// The code length of what has this frequency.
fn bits_of(frequency: u32) -> f64 {
    (f64::from(TOTAL) / f64::from(frequency)).log2()
}

impl RowModel for MarkovChain {
    fn n_bytes(&self) -> usize {
        self.n_columns
    }

    fn write(&self, row: &[u8], encoder: &mut Encoder<'_>) -> Result<(), Option<usize>> {
        let mut previous = 0;
        for (column, symbol) in row.iter().enumerate().take(self.n_columns) {
            let symbol = usize::from(*symbol);
            if symbol >= self.n_symbols {
                return Err(Some(column));
            }
            encoder.part(self.part(self.table(column, previous), symbol)).map_err(|_| None)?;
            previous = symbol;
        }
        Ok(())
    }

    fn read(&self, readings: &mut [Reading<'_>]) {
        for column in 0..self.n_columns {
            for Reading { decoder, row, .. } in &mut *readings {
                let previous = if column == 0 { 0 } else { usize::from(row[column - 1]) };
                let table = self.table(column, previous);
                let symbol = table.symbol_at(decoder.piece(), self.n_symbols);
                decoder.consume(self.part(table, symbol));
                row[column] = symbol as u8;
            }
        }
    }

    fn least_bits(&self) -> f64 {
        self.least_bits
    }

    fn expected(&self) -> String {
        format!("symbols below {}", self.n_symbols)
    }
}

/// Packed bits, each column with a probability of its own.
pub struct Bernoulli {
    /// Of 2^16, how probable it is that each bit is one.
    ones: Vec<u16>,
}

impl Bernoulli {
    /// Bits of which the one in column `j` is one with probability `ones[j] / 2^16`.
    ///
    /// # Errors
    /// [`Error::Value`] if a probability is not from 1 to 2^16 - 1; [`Error::OutOfMemory`].
    pub fn new(ones: &[u32]) -> Result<Self, Error> {
        let mut probabilities = try_vec(0, ones.len())?;
        for (index, (probability, given)) in probabilities.iter_mut().zip(ones).enumerate() {
            *probability = match u16::try_from(*given) {
                Ok(ones) if ones > 0 => ones,
                _ => {
                    return Err(Error::Value {
                        name: "ones",
                        value: given.to_string(),
                        at: At::Position(index),
                        expected: format!("numbers from 1 to {}", TOTAL - 1),
                    });
                }
            };
        }
        Ok(Bernoulli { ones: probabilities })
    }

    /// Number of bits.
    pub fn n_bits(&self) -> usize {
        self.ones.len()
    }
}

impl RowModel for Bernoulli {
    fn n_bytes(&self) -> usize {
        self.ones.len().div_ceil(8)
    }

    fn write(&self, row: &[u8], encoder: &mut Encoder<'_>) -> Result<(), Option<usize>> {
        for (column, (byte, ones)) in row.iter().zip(self.ones.chunks(8)).enumerate() {
            if u32::from(*byte) << ones.len() & 0xff != 0 {
                return Err(Some(column)); // padding that is not zero
            }
            for (bit, p) in ones.iter().enumerate() {
                encoder.bit(byte >> (7 - bit) & 1 == 1, u32::from(*p)).map_err(|_| None)?;
            }
        }
        Ok(())
    }

    fn read(&self, readings: &mut [Reading<'_>]) {
        for Reading { decoder, row, .. } in readings {
            for (byte, ones) in row.iter_mut().zip(self.ones.chunks(8)) {
                *byte = 0;
                for (bit, p) in ones.iter().enumerate() {
                    *byte |= u8::from(decoder.bit(u32::from(*p))) << (7 - bit);
                }
            }
        }
    }

    fn least_bits(&self) -> f64 {
        self.ones.iter().map(|ones| u32::from(*ones)).map(|ones| bits_of(ones.max(TOTAL - ones))).sum()
    }

    fn expected(&self) -> String {
        format!("zeros after the {} bits of a row", self.ones.len())
    }
}

/// Encodes rows in blocks of `rows_per_block`. Returns the bytes, and where blocks begin and the last one ends.
///
/// # Errors
/// [`Error::Length`] for rows of another length, [`Error::Range`] for no rows in a block, [`Error::Value`] for a byte that the model does
/// not have, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn encode<M: RowModel>(
    rows: Codes<'_>,
    model: &M,
    rows_per_block: usize,
    run: &Run<'_>,
) -> Result<(Vec<u8>, Vec<i64>), Error> {
    check_len("codes", "bytes per row", rows.n_bytes(), model.n_bytes())?;
    if rows_per_block == 0 {
        let (name, unit, high) = ("rows_per_block", "", usize::MAX);
        return Err(Error::Range { name, unit, given: 0, low: 1, high });
    }
    let n_blocks = rows.n_rows().div_ceil(rows_per_block);
    let blocks_per_task = (ROWS_PER_TASK / rows_per_block).max(1);
    let tasks = run.map_tasks(
        n_blocks.div_ceil(blocks_per_task),
        || Ok(()),
        |(), task| {
            let (mut bytes, mut ends) = (Vec::new(), Vec::new());
            for block in task * blocks_per_task..n_blocks.min((task + 1) * blocks_per_task) {
                let mut encoder = Encoder::new(&mut bytes);
                for row in block * rows_per_block..rows.n_rows().min((block + 1) * rows_per_block) {
                    let codes = rows.row(row);
                    model.write(codes, &mut encoder).map_err(|column| match column {
                        None => Error::OutOfMemory,
                        Some(column) => {
                            let (value, at) = (codes[column].to_string(), At::Cell(row, column));
                            Error::Value { name: "codes", value, at, expected: model.expected() }
                        }
                    })?;
                }
                encoder.finish()?;
                try_push(&mut ends, bytes.len() as i64)?;
            }
            Ok((bytes, ends))
        },
    )?;
    let (mut data, mut offsets) = (Vec::new(), Vec::new());
    data.try_reserve_exact(tasks.iter().map(|(bytes, _)| bytes.len()).sum())?;
    offsets.try_reserve_exact(n_blocks + 1)?;
    offsets.push(0);
    for (bytes, ends) in tasks {
        let start = data.len() as i64;
        offsets.extend(ends.iter().map(|end| start + end));
        data.extend_from_slice(&bytes);
    }
    Ok((data, offsets))
}

/// The blocks to decode: block `i` is `data[starts[i]..stops[i]]` and has `lens[i]` rows, of which the first `counts[i]` are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// The bytes of all blocks.
    pub data: &'a [u8],
    /// Where each begins.
    pub starts: &'a [i64],
    /// Where each ends.
    pub stops: &'a [i64],
    /// The rows of each.
    pub lens: &'a [i64],
    /// How many of them are wanted.
    pub counts: &'a [i64],
}

impl<'a> Blocks<'a> {
    /// Checks, before there is memory for them, that blocks are in the data and can have the wanted rows. Returns how many rows are
    /// wanted.
    ///
    /// # Errors
    /// [`Error::Length`] if the arrays differ in length, [`Error::Value`] for a block that is not in the data or is wanted in
    /// more rows than it has, [`Error::Incompatible`] for one with too few bytes for its rows.
    pub fn n_wanted<M: RowModel>(&self, model: &M) -> Result<usize, Error> {
        let n = self.starts.len();
        for (name, len) in
            [("stops", self.stops.len()), ("lens", self.lens.len()), ("counts", self.counts.len())]
        {
            check_len(name, "elements", len, n)?;
        }
        let least_bits = model.least_bits();
        let mut sum = 0_usize;
        for block in 0..n {
            let (bytes, _, count) = self.get(block)?;
            if !are_enough(bytes.len(), count, least_bits) {
                return Err(damaged_block(block));
            }
            sum = sum.saturating_add(count);
        }
        Ok(sum)
    }

    /// The bytes of a block, its rows, and how many of them are wanted.
    fn get(&self, block: usize) -> Result<(&'a [u8], usize, usize), Error> {
        let (start, stop) = (self.starts[block], self.stops[block]);
        let range = usize::try_from(start).ok().zip(usize::try_from(stop).ok());
        let Some(bytes) = range.and_then(|(start, stop)| self.data.get(start..stop)) else {
            return Err(Error::Value {
                name: "offsets",
                value: format!("{start}..{stop}"),
                at: At::Position(block),
                expected: format!("ascending numbers from 0 to the {} bytes of data", self.data.len()),
            });
        };
        match (usize::try_from(self.lens[block]), usize::try_from(self.counts[block])) {
            (Ok(len), Ok(count)) if count <= len => Ok((bytes, len, count)),
            _ => Err(Error::Value {
                name: "counts",
                value: self.counts[block].to_string(),
                at: At::Position(block),
                expected: format!("from 0 to the {} rows of the block", self.lens[block]),
            }),
        }
    }
}

/// Decodes the wanted rows of blocks into the rows of `out`, one block after the other. A block of which all rows are wanted is checked
/// to end as an encoder ends it.
///
/// # Errors
/// Those of [`Blocks::n_wanted`], [`Error::Length`] if `out` has not as many rows, [`Error::Incompatible`] for bytes that no encoder wrote,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn decode<M: RowModel>(
    blocks: Blocks<'_>,
    model: &M,
    out: &mut [u8],
    run: &Run<'_>,
) -> Result<(), Error> {
    let n_bytes = model.n_bytes();
    check_len("out", "bytes", out.len(), blocks.n_wanted(model)?.saturating_mul(n_bytes))?;
    let (mut parts, mut rest) = (Vec::new(), out);
    let mut block = 0;
    while block < blocks.starts.len() {
        let (first, mut n_rows) = (block, 0);
        while block < blocks.starts.len() && n_rows < ROWS_PER_TASK {
            n_rows += blocks.get(block)?.2;
            block += 1;
        }
        let part;
        (part, rest) = rest.split_at_mut_checked(n_rows * n_bytes).ok_or(Error::OutOfMemory)?;
        try_push(&mut parts, (first..block, part))?;
    }
    run.for_each_part(
        parts,
        || Ok(()),
        |(), _, (range, mut out)| {
            for first in range.clone().step_by(BLOCKS_AT_ONCE) {
                let (mut readings, mut whole) = (Vec::new(), [true; BLOCKS_AT_ONCE]);
                readings.try_reserve(BLOCKS_AT_ONCE)?;
                for block in first..range.end.min(first + BLOCKS_AT_ONCE) {
                    let (bytes, len, count) = blocks.get(block)?;
                    let rows;
                    (rows, out) = out.split_at_mut_checked(count * n_bytes).ok_or_else(|| damaged(len))?;
                    let mut rows = rows.chunks_exact_mut(n_bytes.max(1));
                    whole[block - first] = count == len;
                    let Some(row) = rows.next() else { continue };
                    readings.push(Reading { decoder: Decoder::new(bytes), row, rows, block });
                }
                while !readings.is_empty() {
                    model.read(&mut readings);
                    let mut error = None;
                    readings.retain_mut(|reading| {
                        let Some(row) = reading.rows.next() else {
                            if whole[reading.block - first] && !reading.decoder.is_complete() {
                                error = Some(damaged_block(reading.block));
                            }
                            return false;
                        };
                        reading.row = row;
                        true
                    });
                    if let Some(error) = error {
                        return Err(error);
                    }
                }
            }
            Ok(())
        },
    )?;
    Ok(())
}

fn damaged_block(block: usize) -> Error {
    Error::Incompatible {
        problem: format!(
            "block {block} of data is not the code of its rows: it was cut or altered, or belongs to another model or number of \
             rows"
        ),
    }
}
