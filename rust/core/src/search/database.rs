//! [`Database`]: the rows that take part in a search, in the order in which they are visited, cut into tasks.

use std::ops::Range;

use crate::hamming::tile::{MAX_WORDS, Tile};
use crate::hamming::{Hits, scan_rows};
use crate::{Codes, Error, Level, Mask, Parallel, bits};

/// Bytes of rows that are compared as they lie in one task: enough to stream, few enough to stay in the cache.
const STREAMED_BYTES: usize = 32 * 1024;

/// The rows of a search.
pub(crate) struct Database<'a> {
    codes: Codes<'a>,
    order: Order<'a>,
    n_selected: usize,
}

enum Order<'a> {
    /// All rows from the first to the last.
    All,
    /// The rows whose byte is not zero, from the first to the last.
    Booleans(&'a [u8]),
    /// The rows with these ids.
    Ids(Vec<u64>),
    /// The rows with these ids, sorted by their number of ones, then by id; and the number of ones of *every* row.
    ByOnes { ids: Vec<u64>, ones: Vec<i32> },
}

/// Some rows of the database, up to a tile full.
pub(crate) struct Selection {
    /// Their ids, in the order of the tile.
    pub ids: Ids,
    /// Fewest and most ones among them, if somebody counted.
    pub ones: Option<(u32, u32)>,
    /// Where the first of them stands in the order of the database.
    pub position: usize,
}

pub(crate) enum Ids {
    /// This id and those that follow.
    From(u64, usize),
    List(Vec<u64>),
}

impl Ids {
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

    /// The rows themselves, if they follow each other.
    pub fn as_rows<'a>(&self, codes: Codes<'a>) -> Option<Codes<'a>> {
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

    /// Replaces `ones` by the number of ones of each of the rows.
    pub fn count_ones(&self, level: Level, codes: Codes<'_>, ones: &mut Vec<i32>) {
        ones.resize(self.len(), 0);
        match self.as_rows(codes) {
            Some(rows) => bits::popcount_rows(level, rows, ones),
            None => {
                for (row, ones) in ones.chunks_mut(1).enumerate() {
                    let id = self.get(row) as usize;
                    bits::popcount_rows(level, codes.slice(id, id + 1), ones);
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

    pub fn smallest(&self) -> u64 {
        match self {
            Ids::From(first, _) => *first,
            Ids::List(ids) => ids.iter().copied().min().unwrap_or(u64::MAX),
        }
    }
}

/// The row ids that a mask selects, ascending.
fn selected_ids(codes: Codes<'_>, mask: Mask<'_>) -> Result<Option<Vec<u64>>, Error> {
    let n_rows = codes.n_rows();
    match mask {
        Mask::All => Ok(None),
        Mask::Booleans(booleans) => {
            check_mask_length(codes, booleans)?;
            Ok(Some((0..).zip(booleans).filter(|(_, selected)| **selected != 0).map(|(id, _)| id).collect()))
        }
        Mask::Ids(given) => {
            let mut ids = Vec::with_capacity(given.len());
            for &id in given {
                match u64::try_from(id) {
                    Ok(row) if row < n_rows as u64 => ids.push(row),
                    _ => return Err(Error::MaskId { id, n_rows }),
                }
            }
            ids.sort_unstable();
            ids.dedup();
            Ok(Some(ids))
        }
    }
}

fn check_mask_length(codes: Codes<'_>, booleans: &[u8]) -> Result<(), Error> {
    if booleans.len() == codes.n_rows() {
        Ok(())
    } else {
        Err(Error::MaskLength { given: booleans.len(), expected: codes.n_rows() })
    }
}

impl<'a> Database<'a> {
    /// The selected rows from the first to the last.
    pub fn in_order(codes: Codes<'a>, mask: Mask<'a>) -> Result<Self, Error> {
        let (order, n_selected) = match mask {
            Mask::All => (Order::All, codes.n_rows()),
            Mask::Booleans(booleans) => {
                check_mask_length(codes, booleans)?;
                (Order::Booleans(booleans), booleans.iter().filter(|selected| **selected != 0).count())
            }
            Mask::Ids(_) => {
                let ids = selected_ids(codes, mask)?.unwrap_or_default();
                let n_selected = ids.len();
                (Order::Ids(ids), n_selected)
            }
        };
        Ok(Database { codes, order, n_selected })
    }

    /// The selected rows sorted by their number of ones (a counting sort), ties by id.
    pub fn by_ones(
        level: Level,
        codes: Codes<'a>,
        mask: Mask<'_>,
        parallel: &Parallel<'_>,
    ) -> Result<Self, Error> {
        let selected = selected_ids(codes, mask)?;
        let ones = count_ones(level, codes, parallel)?;
        let mut starts = vec![0usize; codes.n_bytes() * 8 + 2];
        let for_each_id = |receive: &mut dyn FnMut(u64)| match &selected {
            None => (0..codes.n_rows() as u64).for_each(receive),
            Some(ids) => ids.iter().copied().for_each(receive),
        };
        for_each_id(&mut |id| starts[ones[id as usize] as usize + 1] += 1);
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let n_selected = starts[starts.len() - 1];
        let mut ids = vec![0; n_selected];
        for_each_id(&mut |id| {
            let start = &mut starts[ones[id as usize] as usize];
            ids[*start] = id;
            *start += 1;
        });
        Ok(Database { codes, order: Order::ByOnes { ids, ones }, n_selected })
    }

    pub fn codes(&self) -> Codes<'a> {
        self.codes
    }

    pub fn n_selected(&self) -> usize {
        self.n_selected
    }

    /// Whether the rows of a selection follow each other in memory.
    pub fn is_contiguous(&self) -> bool {
        matches!(self.order, Order::All)
    }

    /// Whether rows are sorted by their number of ones.
    pub fn is_by_ones(&self) -> bool {
        matches!(self.order, Order::ByOnes { .. })
    }

    /// Whether rows have to be compared as they lie, one query at a time, since no tile can hold them.
    pub fn too_long_for_tiles(&self) -> bool {
        self.codes.n_words() > MAX_WORDS
    }

    /// The row at a place in the order: its id.
    pub fn id_at(&self, position: usize) -> u64 {
        match &self.order {
            Order::All | Order::Booleans(_) => position as u64,
            Order::Ids(ids) | Order::ByOnes { ids, .. } => ids[position],
        }
    }

    /// Number of ones of the row with this id; 0 where nobody counted.
    #[inline]
    pub fn ones(&self, id: u64) -> u32 {
        match &self.order {
            Order::ByOnes { ones, .. } => ones[id as usize] as u32,
            _ => 0,
        }
    }

    /// Places in the order: rows that a task range is taken from.
    fn n_places(&self) -> usize {
        match &self.order {
            Order::All | Order::Booleans(_) => self.codes.n_rows(),
            Order::Ids(ids) | Order::ByOnes { ids, .. } => ids.len(),
        }
    }

    /// Places of one task. A task has about a tile full of selected rows, even if a mask selects few.
    pub fn task_len(&self, streamed: bool) -> usize {
        if streamed && self.is_contiguous() {
            return (STREAMED_BYTES / self.codes.n_bytes()).max(16);
        }
        let capacity = Tile::capacity(self.codes.n_words());
        match self.order {
            Order::Booleans(_) => {
                let places_per_row = self.codes.n_rows() / self.n_selected.max(1);
                capacity.saturating_mul(places_per_row.clamp(1, 1024))
            }
            _ => capacity,
        }
    }

    pub fn n_tasks(&self, streamed: bool) -> usize {
        if self.n_selected == 0 { 0 } else { self.n_places().div_ceil(self.task_len(streamed)) }
    }

    /// Tells the CPU that the rows at these places, as far as they exist, will be read soon.
    pub fn prefetch(&self, places: Range<usize>) {
        match &self.order {
            Order::All | Order::Booleans(_) => self.codes.prefetch(places.start, places.end),
            Order::Ids(ids) | Order::ByOnes { ids, .. } => {
                let places = places.start.min(ids.len())..places.end.min(ids.len());
                ids[places].iter().for_each(|id| self.codes.prefetch(*id as usize, *id as usize + 1));
            }
        }
    }

    /// The place of a row with about `ones` ones, if rows are sorted by them; else the first place.
    pub fn place_near(&self, ones: u32) -> usize {
        match &self.order {
            Order::ByOnes { ids, .. } => {
                ids.partition_point(|id| self.ones(*id) < ones).min(ids.len().saturating_sub(1))
            }
            _ => 0,
        }
    }

    /// Calls `receive` with the rows of a task, at most a tile full at a time.
    pub fn select(&self, task: usize, streamed: bool, mut receive: impl FnMut(Selection)) {
        let position = task * self.task_len(streamed);
        let end = (position + self.task_len(streamed)).min(self.n_places());
        if position >= end {
            return;
        }
        match &self.order {
            Order::All => {
                receive(Selection { ids: Ids::From(position as u64, end - position), ones: None, position });
            }
            Order::Booleans(booleans) => {
                let mut selected = (position..end).filter(|row| booleans[*row] != 0).map(|row| row as u64);
                loop {
                    let ids: Vec<u64> =
                        selected.by_ref().take(Tile::capacity(self.codes.n_words())).collect();
                    if ids.is_empty() {
                        break;
                    }
                    receive(Selection { ids: Ids::List(ids), ones: None, position });
                }
            }
            Order::Ids(ids) => {
                receive(Selection { ids: Ids::List(ids[position..end].to_vec()), ones: None, position });
            }
            Order::ByOnes { ids, .. } => {
                let ids = &ids[position..end];
                let ones_at = |end: Option<&u64>| end.map_or(0, |id| self.ones(*id));
                let ones = Some((ones_at(ids.first()), ones_at(ids.last())));
                receive(Selection { ids: Ids::List(ids.to_vec()), ones, position });
            }
        }
    }
}

/// The number of ones of every row.
pub(crate) fn count_ones(level: Level, codes: Codes<'_>, parallel: &Parallel<'_>) -> Result<Vec<i32>, Error> {
    let mut ones = vec![0; codes.n_rows()];
    bits::popcount(level, codes, &mut ones, parallel)?;
    Ok(ones)
}
