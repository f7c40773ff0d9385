//! [`Table`]: a hash table from the slots of one band to the rows that have them.
//!
//! It maps slots to the newest row that has them, and each row to the next older one:
//!
//! ```text
//! heads    | ... | tag, row 7 | ... | tag, row 4 | ...        older    row 7 -> row 5 -> row 0
//! ```
//!
//! The rows of a chain agree in all slots of the band, not only in their hash.

use std::ops::Range;

use super::hash;
use crate::Error;
use crate::error::{try_copy, try_vec};

/// Marks the end of a chain, and an unused head.
pub(super) const NO_ROW: u32 = u32::MAX;

/// The table of one band.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// High bits of the hash, and the newest row or [`NO_ROW`]. A power of two, at most half full.
    heads: Vec<(u32, u32)>,
    /// For each row the next older one with the same slots, or [`NO_ROW`].
    older: Vec<u32>,
    /// Heads in use.
    n_heads: usize,
}

/// The slots of one band, of all signatures.
#[derive(Clone, Copy)]
pub(super) struct BandSlots<'a> {
    signatures: &'a [u32],
    n_hashes: usize,
    first: usize,
    n_rows: usize,
}

impl<'a> BandSlots<'a> {
    pub(super) fn new(signatures: &'a [u32], n_hashes: usize, n_rows: usize, band: usize) -> Self {
        BandSlots { signatures, n_hashes, first: band * n_rows, n_rows }
    }

    #[inline]
    fn of(&self, row: usize) -> &'a [u32] {
        &self.signatures[row * self.n_hashes + self.first..][..self.n_rows]
    }

    #[inline]
    fn of_signature<'b>(&self, signature: &'b [u32]) -> &'b [u32] {
        &signature[self.first..][..self.n_rows]
    }
}

impl Table {
    pub(super) fn n_bytes(&self) -> usize {
        size_of_val(&self.heads[..]) + size_of_val(&self.older[..])
    }

    pub(super) fn try_clone(&self) -> Result<Self, Error> {
        Ok(Table { heads: try_copy(&self.heads)?, older: try_copy(&self.older)?, n_heads: self.n_heads })
    }

    /// Removes the rows from `n_rows` on. It takes no memory: there is room for those before.
    pub(super) fn truncate(&mut self, slots: &BandSlots<'_>, n_rows: usize) {
        self.heads.fill((0, NO_ROW));
        self.older.clear();
        self.n_heads = 0;
        self.insert(slots, 0..n_rows);
    }

    /// Makes room for more rows.
    pub(super) fn reserve_rows(&mut self, n_rows: usize) -> Result<(), Error> {
        Ok(self.older.try_reserve(n_rows)?)
    }

    /// Adds rows that follow those of the table.
    pub(super) fn extend(&mut self, slots: &BandSlots<'_>, rows: Range<usize>) -> Result<(), Error> {
        self.reserve_heads(slots, self.n_heads + rows.len())?;
        self.reserve_rows(rows.len())?;
        self.insert(slots, rows);
        Ok(())
    }

    /// Adds rows for which there is room.
    fn insert(&mut self, slots: &BandSlots<'_>, rows: Range<usize>) {
        for row in rows {
            let own = slots.of(row);
            let hash = hash(own);
            let position = self.position(slots, own, hash);
            let (tag, newest) = &mut self.heads[position];
            self.n_heads += usize::from(*newest == NO_ROW);
            self.older.push(*newest);
            (*tag, *newest) = ((hash >> 32) as u32, row as u32);
        }
    }

    /// Makes room for heads.
    fn reserve_heads(&mut self, slots: &BandSlots<'_>, n_heads: usize) -> Result<(), Error> {
        if n_heads * 2 <= self.heads.len() {
            return Ok(());
        }
        let capacity = (n_heads * 2).next_power_of_two().max(16);
        let heads = try_vec((0, NO_ROW), capacity)?;
        for head in std::mem::replace(&mut self.heads, heads) {
            if head.1 != NO_ROW {
                let mut position = hash(slots.of(head.1 as usize)) as usize & (capacity - 1);
                while self.heads[position].1 != NO_ROW {
                    position = (position + 1) & (capacity - 1);
                }
                self.heads[position] = head;
            }
        }
        Ok(())
    }

    /// The position of the head with these slots, or of the unused one for them.
    fn position(&self, slots: &BandSlots<'_>, own: &[u32], hash: u64) -> usize {
        let mut position = hash as usize & (self.heads.len() - 1);
        loop {
            let (tag, newest) = self.heads[position];
            if newest == NO_ROW || (tag == (hash >> 32) as u32 && slots.of(newest as usize) == own) {
                return position;
            }
            position = (position + 1) & (self.heads.len() - 1);
        }
    }

    /// The rows with the slots of a signature, the newest first.
    pub(super) fn rows_like(
        &self,
        slots: &BandSlots<'_>,
        signature: &[u32],
    ) -> impl Iterator<Item = u32> + '_ {
        let own = slots.of_signature(signature);
        let newest = match self.heads.is_empty() {
            true => NO_ROW,
            false => self.heads[self.position(slots, own, hash(own))].1,
        };
        let row_or_end = |row: u32| (row != NO_ROW).then_some(row);
        std::iter::successors(row_or_end(newest), move |row| row_or_end(self.older[*row as usize]))
    }

    /// For each row the next older one with the same slots, or [`NO_ROW`].
    pub(super) fn older(&self) -> &[u32] {
        &self.older
    }
}
