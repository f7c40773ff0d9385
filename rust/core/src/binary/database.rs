//! [`Database`]: the rows that take part in a search, cut into tasks, and tasks into tiles.

use std::ops::Range;

use crate::popcount::tile::{MAX_WORDS, Tile};
use crate::popcount::{Hits, scan_rows};
use crate::{Codes, Error, Level, Mask, bits};

/// Bytes of rows that are compared as they lie in one task: enough to stream, few enough to stay in the cache.
const STREAMED_BYTES: usize = 32 * 1024;

/// Bytes of rows that are sorted by their number of ones together. They are read once, to be counted, and are then still
/// in the second-level cache when they are gathered; and they make tiles enough for the rows of one to be much alike.
const SORTED_BYTES: usize = 1024 * 1024;

/// The rows of a search.
pub(crate) struct Database<'a> {
    codes: Codes<'a>,
    order: Order<'a>,
    n_selected: usize,
    /// Whether ones are counted, and the rows of a task sorted by them unless they are compared as they lie.
    by_ones: bool,
}

enum Order<'a> {
    /// All rows.
    All,
    /// The rows whose byte is not zero.
    Booleans(&'a [u8]),
    /// The rows with these ids, ascending.
    Ids(Vec<u64>),
}

/// Some rows of the database, at most a tile full and at least one.
pub(crate) struct Selection<'a> {
    /// Their ids.
    pub ids: Ids<'a>,
    /// Their numbers of ones, if the database counts them.
    pub ones: &'a [u32],
    /// Where about they stand in the database.
    pub position: usize,
}

pub(crate) enum Ids<'a> {
    /// This id and those that follow.
    From(u64, usize),
    List(&'a [u64]),
}

impl Ids<'_> {
    pub fn len(&self) -> usize {
        match self {
            Ids::From(_, len) => *len,
            Ids::List(ids) => ids.len(),
        }
    }

    pub fn get(&self, index: usize) -> u64 {
        match self {
            Ids::From(first, _) => first + index as u64,
            Ids::List(ids) => ids[index],
        }
    }

    /// The lowest and the highest id.
    pub fn range(&self) -> (u64, u64) {
        match self {
            Ids::From(first, len) => (*first, first + *len as u64 - 1),
            Ids::List(ids) => ids.iter().fold((u64::MAX, 0), |(low, high), id| (low.min(*id), high.max(*id))),
        }
    }

    /// The rows themselves, if they follow each other.
    fn as_rows<'a>(&self, codes: Codes<'a>) -> Option<Codes<'a>> {
        match self {
            Ids::From(first, len) => Some(codes.slice(*first as usize, *first as usize + len)),
            Ids::List(_) => None,
        }
    }

    /// Appends those of the given rows whose distance to `query` is below the bound, comparing them as they lie.
    pub fn scan(
        &self,
        level: Level,
        query: &[u8],
        codes: Codes<'_>,
        rows: Range<usize>,
        bound: u32,
        hits: &mut Hits,
    ) {
        match self.as_rows(codes) {
            Some(all) => {
                scan_rows(level, query, all.slice(rows.start, rows.end), bound, rows.start as u32, hits);
            }
            None => {
                for row in rows {
                    let id = self.get(row) as usize;
                    scan_rows(level, query, codes.slice(id, id + 1), bound, row as u32, hits);
                }
            }
        }
    }

    /// Brings the rows into a tile.
    pub fn fill(&self, level: Level, codes: Codes<'_>, tile: &mut Tile) {
        match self.as_rows(codes) {
            Some(rows) => tile.fill_all(level, rows),
            None => tile.fill(level, codes, (0..self.len()).map(|row| self.get(row) as usize)),
        }
    }

    /// The number of ones of each of the rows.
    fn count_ones(&self, level: Level, codes: Codes<'_>) -> Vec<i32> {
        let mut ones = vec![0; self.len()];
        match self.as_rows(codes) {
            Some(rows) => bits::popcount_rows(level, rows, &mut ones),
            None => {
                for (row, ones) in ones.chunks_mut(1).enumerate() {
                    let id = self.get(row) as usize;
                    bits::popcount_rows(level, codes.slice(id, id + 1), ones);
                }
            }
        }
        ones
    }
}

impl<'a> Database<'a> {
    /// The rows that a mask selects; sorted by their number of ones within a task, if `by_ones`.
    pub fn new(codes: Codes<'a>, mask: Mask<'a>, by_ones: bool) -> Result<Self, Error> {
        let n_rows = codes.n_rows();
        let (order, n_selected) = match mask {
            Mask::All => (Order::All, n_rows),
            Mask::Booleans(booleans) => {
                if booleans.len() != n_rows {
                    return Err(Error::MaskLength { given: booleans.len(), expected: n_rows });
                }
                (Order::Booleans(booleans), booleans.iter().filter(|selected| **selected != 0).count())
            }
            Mask::Ids(given) => {
                let mut ids = Vec::new();
                ids.try_reserve_exact(given.len())?;
                for &id in given {
                    match u64::try_from(id) {
                        Ok(row) if row < n_rows as u64 => ids.push(row),
                        _ => return Err(Error::MaskId { id, n_rows }),
                    }
                }
                ids.sort_unstable();
                ids.dedup();
                let n_selected = ids.len();
                (Order::Ids(ids), n_selected)
            }
        };
        Ok(Database { codes, order, n_selected, by_ones })
    }

    pub fn codes(&self) -> Codes<'a> {
        self.codes
    }

    pub fn n_selected(&self) -> usize {
        self.n_selected
    }

    pub fn is_by_ones(&self) -> bool {
        self.by_ones
    }

    /// Whether rows that follow each other in the search do so in memory.
    pub fn is_contiguous(&self) -> bool {
        matches!(self.order, Order::All)
    }

    /// Whether rows have to be compared as they lie, one query at a time, since no tile can hold them.
    pub fn too_long_for_tiles(&self) -> bool {
        self.codes.n_words() > MAX_WORDS
    }

    /// Places in the order: rows that a task range is taken from.
    fn n_places(&self) -> usize {
        match &self.order {
            Order::All | Order::Booleans(_) => self.codes.n_rows(),
            Order::Ids(ids) => ids.len(),
        }
    }

    /// Places of one task.
    pub fn task_len(&self, level: Level, streamed: bool) -> usize {
        let n_bytes = self.codes.n_bytes();
        let capacity = Tile::capacity(level, self.codes.n_words());
        let len = match (streamed, self.by_ones) {
            (true, _) => (STREAMED_BYTES / n_bytes).max(1),
            (false, true) => (SORTED_BYTES / n_bytes).next_multiple_of(capacity),
            (false, false) => capacity,
        };
        match self.order {
            // About as many rows are to be selected, even if the mask selects few; those may also stand together.
            Order::Booleans(_) => {
                len.saturating_mul((self.codes.n_rows() / self.n_selected.max(1)).clamp(1, 16))
            }
            _ => len,
        }
    }

    pub fn n_tasks(&self, level: Level, streamed: bool) -> usize {
        if self.n_selected == 0 { 0 } else { self.n_places().div_ceil(self.task_len(level, streamed)) }
    }

    /// Tells the CPU that the rows at these places, as far as they exist, will be read soon.
    pub fn prefetch(&self, places: Range<usize>) {
        match &self.order {
            Order::All | Order::Booleans(_) => self.codes.prefetch(places.start, places.end),
            Order::Ids(ids) => {
                let places = places.start.min(ids.len())..places.end.min(ids.len());
                ids[places].iter().for_each(|id| self.codes.prefetch(*id as usize, *id as usize + 1));
            }
        }
    }

    /// Calls `receive` with the rows of a task, at most a tile full at a time; if rows are sorted by ones, from those with
    /// the fewest to those with the most.
    pub fn select(&self, level: Level, task: usize, streamed: bool, mut receive: impl FnMut(Selection<'_>)) {
        let start = task * self.task_len(level, streamed);
        let end = (start + self.task_len(level, streamed)).min(self.n_places());
        if start >= end {
            return;
        }
        let selected: Vec<u64>;
        let mut ids = match &self.order {
            Order::All => Ids::From(start as u64, end - start),
            Order::Booleans(booleans) => {
                let rows = (start..end).filter(|row| booleans[*row] != 0);
                selected = rows.map(|row| row as u64).collect();
                Ids::List(&selected)
            }
            Order::Ids(ids) => Ids::List(&ids[start..end]),
        };
        let (sorted_ids, ones): (Vec<u64>, Vec<u32>);
        if self.by_ones {
            let counted: Vec<u32> =
                ids.count_ones(level, self.codes).iter().map(|ones| *ones as u32).collect();
            if streamed {
                ones = counted;
            } else {
                let order = sorted_by(&counted);
                ones = order.iter().map(|row| counted[*row]).collect();
                sorted_ids = order.iter().map(|row| ids.get(*row)).collect();
                ids = Ids::List(&sorted_ids);
            }
        } else {
            ones = Vec::new();
        }
        let capacity = if streamed { ids.len() } else { Tile::capacity(level, self.codes.n_words()) };
        for start_row in (0..ids.len()).step_by(capacity.max(1)) {
            let rows = start_row..ids.len().min(start_row + capacity);
            let ids = match &ids {
                Ids::From(first, _) => Ids::From(first + rows.start as u64, rows.len()),
                Ids::List(ids) => Ids::List(&ids[rows.clone()]),
            };
            let ones = ones.get(rows).unwrap_or_default();
            receive(Selection { ids, ones, position: start + start_row });
        }
    }
}

/// Indices that sort the values, ties by index: a counting sort, unless there are fewer values than counts.
fn sorted_by(values: &[u32]) -> Vec<usize> {
    let largest = values.iter().copied().max().unwrap_or(0) as usize;
    if largest > 8 * values.len() {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by_key(|index| values[*index]);
        return order;
    }
    let mut starts = vec![0; largest + 2];
    values.iter().for_each(|value| starts[*value as usize + 1] += 1);
    for value in 1..starts.len() {
        starts[value] += starts[value - 1];
    }
    let mut order = vec![0; values.len()];
    for (index, value) in values.iter().enumerate() {
        let start = &mut starts[*value as usize];
        order[*start] = index;
        *start += 1;
    }
    order
}
