//! [`Tables`]: the probabilities of symbols, arranged for coding.
//!
//! A decoder draws a *slot*, a number of 16 bits, and needs the symbol that owns it, in constant time and from tables that stay in the
//! first cache. Slots are dealt out as in the alias method (Walker, 1977; Vose, 1991): there are 256 buckets of 256 slots, bucket `b` has
//! the first slots for symbol `b` and the others for one more symbol, its alias:
//!
//! ```text
//! slot        bbbbbbbb llllllll             bucket b, place l in it
//! entry of b  oooooooo oooooooo aaaaaaaa dddddddd        offset o, alias a, divider d
//! l <  d      symbol b, and the slot is number l of those of b
//! l >= d      symbol a, and the slot is number l + o of those of a
//! second half of the entry          f(a) - 1 (16 bits)  f(b) - 1 (16 bits)       the frequencies of both
//! ```
//!
//! Entries are made by this rule, which is a part of the format. A bucket waits if its symbol has fewer than 256 slots left to place; a
//! symbol gives if it has more. The waiting bucket of the highest number takes its missing slots, which are the last of those left, from
//! the giving symbol of the highest number; as soon as that has fewer than 256 left, its own bucket is the next to wait. Buckets with
//! exactly 256 slots of their own have the divider 0 and themselves as alias.

use std::sync::OnceLock;

use super::frequencies::{MAX_SYMBOLS, TOTAL, check_frequencies, starts};
use super::range::Part;
use crate::Error;
use crate::error::try_vec;

/// Buckets of a table, and slots of a bucket.
pub(super) const N_BUCKETS: usize = 256;

/// The largest number of tables, which are named by bytes.
pub const MAX_TABLES: usize = 256;

/// An entry.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct Bucket {
    /// Offset, alias and divider, from the highest bits on.
    pub owners: u32,
    /// The frequencies of the alias and of the symbol, less one each.
    pub frequencies: u32,
}

/// The frequencies of up to 256 symbols in each of up to 256 tables.
pub struct Tables {
    n_symbols: usize,
    /// Of each table, 256 frequencies: zeros after the last symbol.
    pub(super) frequencies: Vec<u32>,
    /// Of each table, 256 sums of the frequencies before a symbol.
    pub(super) starts: Vec<u32>,
    /// Of each table, the entries of 256 buckets.
    pub(super) buckets: Vec<Bucket>,
    slots: OnceLock<Slots>,
}

/// What an encoder needs: of each table, the slots of the first symbol in their order, those of the second, and so on; and one more
/// element, since vectors are loaded two at a time.
pub(super) struct Slots(pub Vec<u16>);

impl Slots {
    /// The slot of a symbol that has this number among those of the symbol.
    #[inline]
    pub(super) fn slot(&self, tables: &Tables, table: u8, symbol: u8, number: u32) -> u16 {
        self.0[usize::from(table) << 16 | (tables.starts[index(table, symbol)] + number) as usize]
    }
}

impl Tables {
    /// Tables of `n_symbols` frequencies each, which add up to [`TOTAL`].
    ///
    /// # Errors
    /// [`Error::Range`] for no symbols or tables, or more than 256; [`Error::Value`] if a table adds up to something else;
    /// [`Error::OutOfMemory`].
    pub fn new(frequencies: &[u32], n_symbols: usize) -> Result<Self, Error> {
        check_frequencies(frequencies, n_symbols)?;
        let n_tables = frequencies.len() / n_symbols;
        if !(1..=MAX_TABLES).contains(&n_tables) {
            let (name, unit) = ("frequencies", "tables");
            return Err(Error::Range { name, unit, given: n_tables, low: 1, high: MAX_TABLES });
        }
        let mut padded = try_vec(0, n_tables * MAX_SYMBOLS)?;
        let mut buckets = try_vec(Bucket::default(), n_tables * N_BUCKETS)?;
        let tables = padded.chunks_exact_mut(MAX_SYMBOLS).zip(buckets.chunks_exact_mut(N_BUCKETS));
        for ((padded, buckets), table) in tables.zip(frequencies.chunks_exact(n_symbols)) {
            padded[..n_symbols].copy_from_slice(table);
            fill_buckets(padded, buckets);
        }
        let starts = starts(&padded, MAX_SYMBOLS)?;
        Ok(Tables { n_symbols, frequencies: padded, starts, buckets, slots: OnceLock::new() })
    }

    /// Number of tables.
    pub fn n_tables(&self) -> usize {
        self.frequencies.len() / MAX_SYMBOLS
    }

    /// Number of symbols of a table.
    pub fn n_symbols(&self) -> usize {
        self.n_symbols
    }

    /// How many of the 2^16 slots a symbol has; none if there is no such symbol.
    #[inline]
    pub(super) fn frequency(&self, table: u8, symbol: u8) -> u32 {
        self.frequencies.get(index(table, symbol)).copied().unwrap_or(0)
    }

    /// The largest frequency.
    pub(super) fn largest(&self) -> u32 {
        self.frequencies.iter().copied().max().unwrap_or(TOTAL)
    }

    /// The part of the range of a symbol.
    #[inline]
    pub(super) fn part(&self, table: u8, symbol: u8) -> Part {
        let start = self.starts.get(index(table, symbol)).copied().unwrap_or(0);
        Part { start, size: self.frequency(table, symbol) }
    }

    /// The symbol whose part of the range holds a piece; the last table stands for those that do not exist.
    #[inline]
    pub(super) fn symbol_at(&self, table: u8, piece: u32) -> (u8, Part) {
        let table = usize::from(table).min(self.n_tables() - 1) as u8;
        let first = index(table, 0);
        let starts = &self.starts[first..first + MAX_SYMBOLS];
        let symbol = starts.partition_point(|start| *start <= piece).saturating_sub(1) as u8;
        (symbol, self.part(table, symbol))
    }

    /// What an encoder needs, made at its first use.
    pub(super) fn slots(&self) -> Result<&Slots, Error> {
        if let Some(slots) = self.slots.get() {
            return Ok(slots);
        }
        let made = self.new_slots()?;
        Ok(self.slots.get_or_init(|| made))
    }

    fn new_slots(&self) -> Result<Slots, Error> {
        let mut slots = try_vec(0_u16, self.n_tables() * TOTAL as usize + 1)?;
        for (table, slots) in slots.chunks_exact_mut(TOTAL as usize).enumerate() {
            for slot in 0..TOTAL {
                let (symbol, number) = owner(&self.buckets[table * N_BUCKETS..], slot);
                slots[(self.starts[table * MAX_SYMBOLS + symbol] + number) as usize] = slot as u16;
            }
        }
        Ok(Slots(slots))
    }
}

/// Where the entry of a symbol stands.
#[inline]
fn index(table: u8, symbol: u8) -> usize {
    usize::from(table) * MAX_SYMBOLS + usize::from(symbol)
}

/// The symbol that owns a slot, and the number of the slot among those of the symbol.
#[inline]
pub(super) fn owner(buckets: &[Bucket], slot: u32) -> (usize, u32) {
    let (bucket, place) = (slot as usize >> 8, slot & 0xff);
    let entry = buckets[bucket].owners;
    if place < (entry & 0xff) {
        (bucket, place)
    } else {
        ((entry >> 8 & 0xff) as usize, place + (entry >> 16))
    }
}

/// Fills the entries of a table.
fn fill_buckets(frequencies: &[u32], buckets: &mut [Bucket]) {
    let size = N_BUCKETS as u32;
    let mut left = [0; MAX_SYMBOLS];
    left.copy_from_slice(frequencies);
    let (mut waiting, mut giving) =
        (Vec::<u8>::with_capacity(MAX_SYMBOLS), Vec::<u8>::with_capacity(MAX_SYMBOLS));
    for symbol in 0..MAX_SYMBOLS {
        match left[symbol].cmp(&size) {
            std::cmp::Ordering::Less => waiting.push(symbol as u8),
            std::cmp::Ordering::Equal => buckets[symbol].owners = (symbol as u32) << 8,
            std::cmp::Ordering::Greater => giving.push(symbol as u8),
        }
    }
    while let (Some(bucket), Some(&last)) = (waiting.pop(), giving.last()) {
        let (bucket, giver) = (usize::from(bucket), usize::from(last));
        let divider = left[bucket];
        left[giver] -= size - divider;
        buckets[bucket].owners = (left[giver] - divider) << 16 | (giver as u32) << 8 | divider;
        if left[giver] <= size {
            giving.pop();
            match left[giver] == size {
                true => buckets[giver].owners = (giver as u32) << 8,
                false => waiting.push(last),
            }
        }
    }
    for (own, bucket) in frequencies.iter().zip(buckets) {
        let alias = frequencies[(bucket.owners >> 8 & 0xff) as usize];
        bucket.frequencies = alias.wrapping_sub(1) << 16 | own.wrapping_sub(1) & 0xffff;
    }
}

/// The smallest number of bits that a symbol takes.
pub(super) fn least_bits(tables: &Tables) -> f64 {
    16.0 - f64::from(tables.largest()).log2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::frequencies;

    #[test]
    fn every_symbol_owns_as_many_slots_as_its_frequency_says() {
        let many: Vec<u64> = (0..256).map(|i| (i * i * 31 + 7) % 1000).collect();
        for counts in [vec![1], vec![1, 1], vec![1 << 50, 0, 1], vec![1; 256], vec![3; 255], many] {
            let mut table = vec![0; counts.len()];
            frequencies::of_counts(&counts, &mut table).unwrap();
            let tables = Tables::new(&table, counts.len()).unwrap();
            let mut numbers = vec![Vec::new(); 256];
            for slot in 0..TOTAL {
                let (symbol, number) = owner(&tables.buckets, slot);
                numbers[symbol].push(number);
            }
            for (symbol, mut numbers) in numbers.into_iter().enumerate() {
                numbers.sort_unstable();
                let frequency = table.get(symbol).copied().unwrap_or(0);
                assert_eq!(numbers, (0..frequency).collect::<Vec<_>>());
            }
        }
    }
}
