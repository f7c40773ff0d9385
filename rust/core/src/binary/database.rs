//! [`Database`]: the selected rows of a search, cut into tasks, and tasks into batches that fit a tile.
//!
//! Rows are counted by *rank*, their position among the selected rows, so that every task but the last has the same number of
//! rows, whatever the mask is.

use std::ops::Range;
use std::sync::Arc;

use super::sorted::{SortedRows, sorted_by};
use crate::error::{try_collect, try_vec};
use crate::popcount::tile::{MAX_WORDS, Tile};
use crate::select::mask::RowMask;
use crate::{Codes, Error, Level, Mask, bits};

/// Bytes of the rows of a task that are scanned untransposed: enough to stream, few enough to stay in the first-level cache.
const STREAMED_BYTES: usize = 32 * 1024;

/// Bytes of the rows of a task that are sorted by their number of ones. They are read once, to be counted, and are then still
/// in the second-level cache when they are gathered; and they fill enough tiles for the rows of one to be much alike.
const SORTED_BYTES: usize = 1024 * 1024;

/// Rows per selected row from which a mask leaves less to read than the sketches of all rows.
const ROWS_PER_SELECTED_ROW: usize = 8;

/// Rows of a sample that follow each other: some lines of memory, since neighbouring rows may be alike.
const ROWS_PER_SAMPLE: usize = 4;

/// The selected rows of a search.
pub(super) struct Database<'a> {
    codes: Codes<'a>,
    selected: Arc<RowMask>,
    /// Whether ones are counted, and the rows of a task sorted by them unless they are streamed.
    by_ones: bool,
    /// The order of the first rows, selected or not.
    sorted: Option<&'a SortedRows>,
    /// The rank of the first selected row that is not among them.
    first_unsorted: usize,
}

/// Some selected rows, at least one; as many as fit a tile, or all rows of a task if they are streamed.
pub(super) struct Batch<'a> {
    pub ids: RowIds<'a>,
    /// The number of ones of each row, if the database counts them.
    pub ones: &'a [u32],
    /// The rank of the first row, or about that if rows are sorted by ones.
    pub rank: usize,
    /// The sketches of the rows, of which some may not be selected.
    pub sketches: Option<Codes<'a>>,
}

/// The ids of rows.
pub(super) enum RowIds<'a> {
    /// Consecutive rows.
    Range(Range<usize>),
    /// Any rows.
    List(&'a [usize]),
}

impl<'a> RowIds<'a> {
    /// Rows in ascending order.
    fn ascending(ids: &'a [usize]) -> Self {
        match ids {
            [first, .., last] if last - first + 1 == ids.len() => RowIds::Range(*first..last + 1),
            _ => RowIds::List(ids),
        }
    }

    pub fn slice(&self, positions: Range<usize>) -> RowIds<'a> {
        match self {
            RowIds::Range(ids) => RowIds::Range(ids.start + positions.start..ids.start + positions.end),
            RowIds::List(ids) => RowIds::List(&ids[positions]),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            RowIds::Range(ids) => ids.len(),
            RowIds::List(ids) => ids.len(),
        }
    }

    pub fn get(&self, position: usize) -> usize {
        match self {
            RowIds::Range(ids) => ids.start + position,
            RowIds::List(ids) => ids[position],
        }
    }

    /// The lowest and the highest id.
    pub fn limits(&self) -> (usize, usize) {
        match self {
            RowIds::Range(ids) => (ids.start, ids.end - 1),
            RowIds::List(ids) => {
                ids.iter().fold((usize::MAX, 0), |(low, high), id| (low.min(*id), high.max(*id)))
            }
        }
    }

    /// Transposes the rows into a tile.
    pub fn fill(&self, codes: Codes<'_>, tile: &mut Tile, level: Level) -> Result<(), Error> {
        match self {
            RowIds::Range(ids) => tile.fill_all(level, codes.slice(ids.start, ids.end)),
            RowIds::List(ids) => tile.fill(level, codes, ids.iter().copied()),
        }
    }

    /// The number of ones of each row.
    fn count_ones(&self, codes: Codes<'_>, level: Level) -> Result<Vec<u32>, Error> {
        let mut ones = try_vec(0, self.len())?;
        match self {
            RowIds::Range(ids) => bits::popcount_rows(level, codes.slice(ids.start, ids.end), &mut ones),
            RowIds::List(ids) => {
                let mut rest = &mut ones[..];
                for run in ids.chunk_by(|id, next| id + 1 == *next) {
                    let (out, after) = rest.split_at_mut(run.len());
                    bits::popcount_rows(level, codes.slice(run[0], run[0] + run.len()), out);
                    rest = after;
                }
            }
        }
        try_collect(ones.into_iter().map(|ones| ones as u32))
    }
}

impl<'a> Database<'a> {
    /// The rows that a mask selects; sorted by their number of ones within a task, if `by_ones`.
    pub fn new(codes: Codes<'a>, mask: Mask<'_>, by_ones: bool) -> Result<Self, Error> {
        let selected = Arc::new(RowMask::new(mask, codes.n_rows())?);
        Ok(Database { codes, selected, by_ones, sorted: None, first_unsorted: 0 })
    }

    /// The same rows, the first of them in this order unless the mask selects few.
    pub fn sorted_by(mut self, sorted: Option<&'a SortedRows>) -> Result<Self, Error> {
        if let Some(sorted) = sorted {
            sorted.check(self.codes)?;
            let n_selected = self.selected.n_below(sorted.n_rows());
            if n_selected.saturating_mul(ROWS_PER_SELECTED_ROW) > sorted.n_rows() {
                (self.sorted, self.first_unsorted) = (Some(sorted), n_selected);
            }
        }
        Ok(self)
    }

    pub fn codes(&self) -> Codes<'a> {
        self.codes
    }

    pub fn n_selected(&self) -> usize {
        self.selected.n_selected()
    }

    pub fn is_by_ones(&self) -> bool {
        self.by_ones
    }

    /// Whether consecutive ranks are consecutive rows.
    pub fn is_contiguous(&self) -> bool {
        self.selected.is_all()
    }

    /// The same rows without their order.
    pub fn unsorted(&self) -> Self {
        Database { selected: self.selected.clone(), sorted: None, first_unsorted: 0, ..*self }
    }

    /// The order of the first rows, if there is one.
    pub fn sorted(&self) -> Option<&'a SortedRows> {
        self.sorted
    }

    /// Whether a row is selected.
    pub fn selects(&self, id: usize) -> bool {
        self.selected.contains(id)
    }

    /// Whether no tile can hold the rows.
    pub fn too_long_for_tiles(&self) -> bool {
        self.codes.n_words() > MAX_WORDS
    }

    /// Rows of a task.
    pub fn task_len(&self, streamed: bool, level: Level) -> usize {
        let n_bytes = self.codes.n_bytes();
        let capacity = Tile::capacity(level, self.codes.n_words());
        match (streamed, self.by_ones) {
            (true, _) => (STREAMED_BYTES / n_bytes).max(1),
            (false, true) => (SORTED_BYTES / n_bytes).next_multiple_of(capacity),
            (false, false) => capacity,
        }
    }

    /// Rows of a task of sorted ones, which come first.
    pub fn sorted_task_len(&self, sorted: &SortedRows, streamed: bool, level: Level) -> usize {
        match streamed {
            true => (STREAMED_BYTES / sorted.sketch_bytes()).max(1),
            false => Tile::capacity(level, sorted.sketch_bytes() / 8),
        }
    }

    pub fn n_sorted_tasks(&self, streamed: bool, level: Level) -> usize {
        let n_tasks =
            |sorted| SortedRows::n_rows(sorted).div_ceil(self.sorted_task_len(sorted, streamed, level));
        self.sorted.map_or(0, n_tasks)
    }

    pub fn n_tasks(&self, streamed: bool, level: Level) -> usize {
        let n_unsorted = self.n_selected() - self.first_unsorted;
        self.n_sorted_tasks(streamed, level) + n_unsorted.div_ceil(self.task_len(streamed, level))
    }

    /// Tells the CPU that the rows of these ranks, as far as they exist, will be read soon.
    pub fn prefetch(&self, ranks: Range<usize>) {
        if self.selected.is_all() {
            self.codes.prefetch(ranks.start, ranks.end);
        } else if let Some(ids) = self.selected.as_list(ranks.clone()) {
            ids.iter().for_each(|id| self.codes.prefetch(*id, *id + 1));
        } else {
            self.selected.rows(ranks).for_each(|id| self.codes.prefetch(id, id + 1));
        }
    }

    /// Calls `receive` with about `n` rows from all over the database, in batches that fit a tile.
    pub fn sample(
        &self,
        n: usize,
        level: Level,
        mut receive: impl FnMut(Batch<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let n_samples = n.div_ceil(ROWS_PER_SAMPLE).max(1);
        let samples_per_batch = (Tile::capacity(level, self.codes.n_words()) / ROWS_PER_SAMPLE).max(1);
        for first in (0..n_samples).step_by(samples_per_batch) {
            let samples = first..n_samples.min(first + samples_per_batch);
            let ids = try_collect(samples.flat_map(|sample| {
                let rank = (2 * sample + 1) * self.n_selected() / (2 * n_samples);
                self.selected.rows(rank..rank + ROWS_PER_SAMPLE)
            }))?;
            self.for_each_batch_of(&ids, level, &mut receive)?;
        }
        Ok(())
    }

    /// Calls `receive` with the rows with these ids, in batches that fit a tile.
    pub fn for_each_batch_of(
        &self,
        ids: &[usize],
        level: Level,
        mut receive: impl FnMut(Batch<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for ids in ids.chunks(Tile::capacity(level, self.codes.n_words())) {
            let ids = RowIds::List(ids);
            let ones = if self.by_ones { ids.count_ones(self.codes, level)? } else { Vec::new() };
            receive(Batch { ids, ones: &ones, rank: self.n_selected(), sketches: None })?;
        }
        Ok(())
    }

    /// Calls `receive` with the rows of a task in batches; if rows are sorted by ones, from the fewest to the most.
    pub fn for_each_batch(
        &self,
        task: usize,
        streamed: bool,
        level: Level,
        mut receive: impl FnMut(Batch<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let n_sorted = self.n_sorted_tasks(streamed, level);
        if let Some(sorted) = self.sorted.filter(|_| task < n_sorted) {
            let task_len = self.sorted_task_len(sorted, streamed, level);
            let ranks = task * task_len..sorted.n_rows().min((task + 1) * task_len);
            return receive(self.sorted_batch(sorted, ranks)?);
        }
        let task_len = self.task_len(streamed, level);
        let first = self.first_unsorted + (task - n_sorted) * task_len;
        let ranks = first..self.n_selected().min(first + task_len);
        let listed: Vec<usize>;
        let ids = if self.selected.is_all() {
            RowIds::Range(ranks.clone())
        } else if let Some(ids) = self.selected.as_list(ranks.clone()) {
            RowIds::ascending(ids)
        } else {
            listed = try_collect(self.selected.rows(ranks.clone()))?;
            RowIds::ascending(&listed)
        };
        let ones = if self.by_ones { ids.count_ones(self.codes, level)? } else { Vec::new() };
        if streamed {
            return receive(Batch { ids, ones: &ones, rank: ranks.start, sketches: None });
        }
        let (sorted_ids, sorted_ones): (Vec<usize>, Vec<u32>);
        let (ids, ones) = if self.by_ones {
            let order = sorted_by(&ones)?;
            sorted_ids = try_collect(order.iter().map(|position| ids.get(*position)))?;
            sorted_ones = try_collect(order.iter().map(|position| ones[*position]))?;
            (RowIds::List(&sorted_ids), &sorted_ones)
        } else {
            (ids, &ones)
        };
        let capacity = Tile::capacity(level, self.codes.n_words());
        for start in (0..ids.len()).step_by(capacity) {
            let positions = start..ids.len().min(start + capacity);
            let ones = ones.get(positions.clone()).unwrap_or_default();
            receive(Batch { ids: ids.slice(positions), ones, rank: ranks.start + start, sketches: None })?;
        }
        Ok(())
    }

    /// Rows of these ranks among the sorted ones. Nothing is read ahead of them: their rank is beyond the last.
    fn sorted_batch(&self, sorted: &'a SortedRows, ranks: Range<usize>) -> Result<Batch<'a>, Error> {
        Ok(Batch {
            ids: RowIds::List(sorted.ids(ranks.clone())),
            ones: sorted.ones(ranks.clone()),
            rank: self.n_selected(),
            sketches: Some(sorted.sketches(ranks)?),
        })
    }
}
