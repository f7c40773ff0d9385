//! Fills the tables of some rows: by the upper bits of their keys in the order of rows, then by the others within the cache.

use super::Layout;
use crate::error::{check_len, try_push, try_resize, try_vec};
use crate::{Codes, Error, Run};

/// Rows between two checks for an interruption.
const ROWS_PER_BATCH: usize = 1 << 20;

/// Upper bits of a key: as many parts of a table are written at a time, each to a page of its own.
const UPPER_BITS: usize = 11;

/// The time that a row takes in a table, in words.
const WORDS_PER_ROW: usize = 16;

/// A table that is filled.
struct Filling {
    /// Where the next row goes, by the upper bits of its key.
    next: Vec<u32>,
    /// The lower bits of the keys, where the entries are.
    lower: Vec<u16>,
}

/// Some keys of a table: those with the same upper bits.
struct Part<'a> {
    starts: &'a mut [u32],
    first: u32,
    entries: &'a mut [u64],
    lower: &'a [u16],
}

/// Fills tables for all rows of `codes`, the rows of which have `n_bits` bits: `n_tables * (2^width + 1)` starts, and an entry for each
/// table and row.
///
/// # Errors
/// [`Error::Incompatible`] if there is no such width; [`Error::Length`] if rows have another number of bytes, or there is not an entry for
/// each table and row; [`Error::Range`] for more than `2^32 - 1` rows; [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn fill(
    codes: Codes<'_>,
    n_bits: usize,
    n_tables: usize,
    starts: &mut [u32],
    entries: &mut [u64],
    run: &Run<'_>,
) -> Result<(), Error> {
    let (layout, n_rows) = (Layout::new(n_bits, n_tables, starts.len())?, codes.n_rows());
    layout.check(codes)?;
    check_len("entries", "elements", entries.len(), n_tables.saturating_mul(n_rows))?;
    if u32::try_from(n_rows).is_err() {
        let (unit, high) = ("rows", u32::MAX as usize);
        return Err(Error::Range { name: "codes", unit, given: n_rows, low: 0, high });
    }
    starts.fill(0);
    if n_rows == 0 {
        return Ok(());
    }
    let lower_bits = layout.width.saturating_sub(UPPER_BITS);
    let n_parts = 1 << (layout.width - lower_bits);
    let run = run.for_words(n_rows.saturating_mul(WORDS_PER_ROW * n_tables));
    let batches =
        || (0..n_rows).step_by(ROWS_PER_BATCH).map(|first| first..n_rows.min(first + ROWS_PER_BATCH));

    let mut tables = Vec::new();
    for _ in 0..n_tables {
        try_push(&mut tables, Filling { next: try_vec(0, n_parts)?, lower: try_vec(0, n_rows)? })?;
    }
    for batch in batches() {
        run.for_each_part(
            &mut tables,
            || Ok(()),
            |(), table, filling| {
                for row in batch.clone() {
                    filling.next[(layout.key(codes.row(row), table) >> lower_bits) as usize] += 1;
                }
                Ok(())
            },
        )?;
    }
    for filling in &mut tables {
        filling.next.iter_mut().fold(0, |before, count| before + std::mem::replace(count, before));
    }
    for batch in batches() {
        let tables = tables.iter_mut().zip(entries.chunks_mut(n_rows));
        run.for_each_part(
            tables,
            || Ok(()),
            |(), table, (filling, entries)| {
                for row in batch.clone() {
                    let code = codes.row(row);
                    let key = layout.key(code, table);
                    let next = &mut filling.next[(key >> lower_bits) as usize];
                    let position = *next as usize;
                    // The codes may have changed since they were counted.
                    if let (Some(entry), Some(lower)) =
                        (entries.get_mut(position), filling.lower.get_mut(position))
                    {
                        *entry = u64::from(layout.rest(code, table)) << u32::BITS | row as u64;
                        *lower = (key & ((1 << lower_bits) - 1)) as u16;
                        *next += 1;
                    }
                }
                Ok(())
            },
        )?;
    }

    let mut parts = Vec::new();
    parts.try_reserve_exact(n_tables * n_parts)?;
    let each = starts.chunks_mut(layout.n_starts()).zip(entries.chunks_mut(n_rows)).zip(&tables);
    for ((starts, mut entries), filling) in each {
        let Some((last, starts)) = starts.split_last_mut() else { continue };
        *last = n_rows as u32;
        let (mut first, mut lower) = (0, &filling.lower[..]);
        for (starts, end) in starts.chunks_mut(1 << lower_bits).zip(&filling.next) {
            let len = (end.saturating_sub(first) as usize).min(entries.len());
            let (own, others) = entries.split_at_mut(len);
            let (own_lower, other_lower) = lower.split_at(len);
            parts.push(Part { starts, first, entries: own, lower: own_lower });
            (first, entries, lower) = (first + len as u32, others, other_lower);
        }
    }
    run.for_each_part(parts, || Ok((Vec::new(), Vec::new())), |(next, copy), _, part| part.sort(next, copy))?;
    Ok(())
}

impl Part<'_> {
    /// Sorts the entries by the lower bits of their keys, and writes where each key begins.
    fn sort(self, next: &mut Vec<u32>, copy: &mut Vec<u64>) -> Result<(), Error> {
        next.clear();
        try_resize(next, self.starts.len(), 0)?;
        self.lower.iter().for_each(|key| next[usize::from(*key)] += 1);
        next.iter_mut().fold(0, |before, count| before + std::mem::replace(count, before));
        for (start, next) in self.starts.iter_mut().zip(&*next) {
            *start = self.first + next;
        }
        copy.clear();
        copy.try_reserve(self.entries.len())?;
        copy.extend_from_slice(self.entries);
        for (entry, key) in copy.iter().zip(self.lower) {
            let next = &mut next[usize::from(*key)];
            self.entries[*next as usize] = *entry;
            *next += 1;
        }
        Ok(())
    }
}
