//! [`Visit`]: scans each batch of rows against each block of queries, and passes the rows near enough to a [`Sink`].
//!
//! A large database is split over the threads, task by task, for one block after the other, so that a single query uses all
//! threads; a small one is not worth that, and the threads take blocks instead.

use std::ops::Range;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use super::Metric;
use super::database::{Batch, Database, RowIds};
use super::queries::{Block, QUERIES_PER_BLOCK, Queries, Sketches};
use crate::error::{try_collect, try_push, try_resize};
use crate::popcount::tile::{QUERIES_PER_GROUP, Tile};
use crate::popcount::{Hit, Hits, distances_of, scan, scan_rows};
use crate::select::sink::{Found, Sink};
use crate::{Codes, Error, Level, Run};

/// Up to this many queries, scanning untransposed rows that follow each other in memory is faster than transposing them first.
const STREAMED_QUERIES: usize = 2;

/// Tasks per thread from which the database is split rather than the queries.
const TASKS_PER_THREAD: usize = 8;

/// Rows that are scanned first for a query that has no bound yet: whole steps of a tile at every level.
const FIRST_ROWS: usize = 64;

/// Rows for each one that its sketch does not exclude, from which sketches save time: the latter are compared one by one, from
/// all over the memory. For one query, and for many, to which a tile is faster.
const ROWS_PER_NEAR_ROW: [usize; 2] = [16, 64];

/// Blocks per thread of a small search, so that threads share it evenly.
const BLOCKS_PER_THREAD: usize = 4;

/// One search, prepared.
pub(super) struct Visit<'a, M> {
    metric: &'a M,
    queries: &'a Queries<'a>,
    database: &'a Database<'a>,
    /// Whether rows are scanned untransposed, and not in tiles.
    streamed: bool,
    /// Whether sketches stand for their rows.
    by_sketches: bool,
    level: Level,
}

/// Memory that a worker reuses.
#[derive(Default)]
struct Buffers {
    tile: Tile,
    distances: Vec<u32>,
    hits: Hits,
    /// Rows that sketches did not exclude: where they are in the batch, and their ids.
    positions: Vec<usize>,
    ids: Vec<usize>,
    /// Such rows of the task.
    n_near: usize,
}

impl Buffers {
    /// The rows whose distance to a query is below the bound, found without a tile.
    fn near_rows(
        &mut self,
        codes: Codes<'_>,
        ids: RowIds<'_>,
        query: &[u8],
        bound: u32,
        level: Level,
    ) -> Result<&[Hit], Error> {
        let Buffers { distances, hits, .. } = self;
        hits.clear();
        match ids {
            RowIds::Range(ids) => scan_rows(level, query, codes.slice(ids.start, ids.end), bound, 0, hits)?,
            RowIds::List(ids) => {
                try_resize(distances, ids.len(), 0)?;
                distances_of(level, query, codes, ids, distances);
                let near = (0..).zip(&*distances).filter(|(_, distance)| **distance < bound);
                hits.try_reserve(ids.len())?;
                hits.extend(near.map(|(row, distance)| Hit { slot: 0, row, distance: *distance }));
            }
        }
        Ok(hits)
    }
}

impl<'a, M: Metric> Visit<'a, M> {
    pub fn new(metric: &'a M, queries: &'a Queries<'a>, database: &'a Database<'a>, level: Level) -> Self {
        let follow_each_other = database.is_contiguous() || database.sorted().is_some();
        let streamed =
            database.too_long_for_tiles() || (follow_each_other && queries.len() <= STREAMED_QUERIES);
        Visit { metric, queries, database, streamed, by_sketches: false, level }
    }

    /// Compares all queries with all rows; `finish` turns the sinks of a block (one per worker) into its result. Results are in
    /// the order of blocks, of at most `largest_block` queries.
    pub fn for_each_block<S: Sink, R: Send>(
        &self,
        largest_block: usize,
        new_sink: impl Fn(usize) -> Result<S, Error> + Sync,
        finish: impl Fn(&[usize], Vec<S>) -> Result<R, Error> + Sync,
        run: &Run<'_>,
    ) -> Result<Vec<R>, Error> {
        let pairs = self.queries.len().saturating_mul(self.database.n_selected());
        let run = run.for_words(pairs.saturating_mul(self.queries.codes().n_words()));
        let (n_tasks, threads) = (self.n_tasks(), run.threads());
        let split_database = n_tasks >= TASKS_PER_THREAD * threads;
        // Small blocks share small work evenly.
        let wanted = if split_database || self.queries.are_database() {
            QUERIES_PER_BLOCK
        } else {
            self.queries.len().div_ceil(BLOCKS_PER_THREAD * threads).min(QUERIES_PER_BLOCK)
        };
        let block_len = match wanted.min(largest_block) {
            few @ 0..QUERIES_PER_GROUP => few.max(1),
            many => many.next_multiple_of(QUERIES_PER_GROUP),
        };
        let n_blocks = self.queries.len().div_ceil(block_len);
        let queries = |index: usize| index * block_len..self.queries.len().min((index + 1) * block_len);
        if split_database {
            let mut results = Vec::new();
            for queries in (0..n_blocks).map(queries) {
                let sinks = self.search_block(queries.clone(), new_sink(queries.len())?, &run)?;
                try_push(&mut results, finish(self.queries.ids(queries), sinks)?)?;
            }
            return Ok(results);
        }
        run.map_tasks(
            n_blocks,
            || Ok(()),
            |(), index| {
                let (queries, run) = (queries(index), Run::serial(self.level));
                let sinks = self.search_block(queries.clone(), new_sink(queries.len())?, &run)?;
                finish(self.queries.ids(queries), sinks)
            },
        )
    }

    /// Compares a block of queries with all rows; returns the sink of each worker. The bounds of `sink` hold from
    /// the start.
    fn search_block<S: Sink>(&self, queries: Range<usize>, sink: S, run: &Run<'_>) -> Result<Vec<S>, Error> {
        let block =
            self.queries.block(queries.clone(), !self.streamed, self.database.sorted(), self.level)?;
        let seed = self.seed(&block, sink, run)?;
        let most_near = match self.database.sorted() {
            Some(sorted) => {
                let rows_per_near_row = ROWS_PER_NEAR_ROW[usize::from(!self.streamed)];
                (sorted.n_rows() / rows_per_near_row).saturating_mul(queries.len())
            }
            None => usize::MAX,
        };
        match self.visit_tasks(&block, self.n_tasks(), &seed, most_near, run)? {
            Some(sinks) => Ok(sinks),
            None => {
                let database = self.database.unsorted();
                let visit = Visit::new(self.metric, self.queries, &database, self.level);
                visit.search_block(queries, seed.fork()?, run)
            }
        }
    }

    /// Compares a block of queries with the rows of the first tasks; returns the sink of each worker, or `None` if more than
    /// `most_near` rows were not excluded by their sketches.
    fn visit_tasks<S: Sink>(
        &self,
        block: &Block<'_>,
        n_tasks: usize,
        seed: &S,
        most_near: usize,
        run: &Run<'_>,
    ) -> Result<Option<Vec<S>>, Error> {
        let (first_task, task_of) = (self.first_task(block), self.order_of_tasks(block));
        let (n_near, threads) = (AtomicUsize::new(0), run.threads());
        let workers = run.for_each_task(
            n_tasks - first_task,
            || Ok((Buffers::default(), seed.fork()?)),
            |(buffers, sink), step| {
                if n_near.load(Relaxed) <= most_near {
                    let task = task_of(first_task + step);
                    self.visit_task(block, task, task + threads, buffers, sink)?;
                    n_near.fetch_add(std::mem::take(&mut buffers.n_near), Relaxed);
                }
                Ok(())
            },
        )?;
        if n_near.into_inner() > most_near {
            return Ok(None);
        }
        try_collect(workers.into_iter().map(|(_, sink)| sink)).map(Some)
    }

    fn n_tasks(&self) -> usize {
        self.database.n_tasks(self.streamed, self.level)
    }

    /// The first task with rows for the block.
    fn first_task(&self, block: &Block<'_>) -> usize {
        let first_id = block.ids.iter().copied().min().filter(|_| block.only_higher);
        first_id.unwrap_or(0) / self.database.task_len(self.streamed, self.level)
    }

    /// The task of each step. The sorted rows come first: those whose number of ones is about that of the queries, then from
    /// there in both directions.
    fn order_of_tasks(&self, block: &Block<'_>) -> impl Fn(usize) -> usize + Sync + use<M> {
        let n_sorted = self.database.n_sorted_tasks(self.streamed, self.level);
        let nearest = self.database.sorted().map_or(0, |sorted| {
            let ones = block.ones.get(block.ones.len() / 2).copied().unwrap_or(0);
            sorted.rank(ones) / self.database.sorted_task_len(sorted, self.streamed, self.level)
        });
        move |step| if step < n_sorted { outwards(step, nearest.min(n_sorted - 1), n_sorted) } else { step }
    }

    /// Finds bounds that rule out most rows from the start, whatever their order is. What is found here is found again.
    ///
    /// Queries see the rows with the nearest sketches, if there are such; or where rows are sorted by ones, each group sees some
    /// of those most like it; else all see some from all over the database.
    fn seed<S: Sink>(&self, block: &Block<'_>, mut sink: S, run: &Run<'_>) -> Result<S, Error> {
        let (n_first, mut buffers) = (sink.n_first_rows(self.database.n_selected()), Buffers::default());
        if self.database.sorted().is_some() {
            if n_first > 0 {
                self.seed_by_sketches(block, &mut sink, run)?;
            }
        } else if self.database.is_by_ones() && self.n_tasks() > 1 && !self.streamed && !block.only_higher {
            let mut group = 0;
            self.database.for_each_batch(0, self.streamed, self.level, |batch| {
                let most = batch.ones.last().copied().unwrap_or(0);
                while group < block.n_groups() && block.ones[group * QUERIES_PER_GROUP] <= most {
                    self.visit_batch(block, group..group + 1, &batch, 0, &mut buffers, &mut sink)?;
                    group += 1;
                }
                Ok(())
            })?;
        } else if n_first > 0 {
            self.database.sample(n_first, self.level, |batch| {
                self.visit_batch(block, 0..block.n_groups(), &batch, batch.rank, &mut buffers, &mut sink)
            })?;
        }
        Ok(sink)
    }

    /// Passes the rows with the nearest sketches on.
    fn seed_by_sketches<S: Sink>(&self, block: &Block<'_>, sink: &mut S, run: &Run<'_>) -> Result<(), Error> {
        let (visit, mut buffers) = (Visit { by_sketches: true, ..*self }, Buffers::default());
        let n_tasks = self.database.n_sorted_tasks(self.streamed, self.level);
        let nearest = visit.visit_tasks(block, n_tasks, sink, usize::MAX, run)?.unwrap_or_default();
        for group in 0..block.n_groups() {
            let found = block.queries(group..group + 1).flat_map(|query| {
                nearest.iter().flat_map(move |sink| sink.found(query).iter().map(|found| found.id as usize))
            });
            let mut ids = try_collect(found)?;
            ids.sort_unstable();
            ids.dedup(); // a row that a sink got twice would count as two
            self.database.for_each_batch_of(&ids, self.level, |batch| {
                self.visit_batch(block, group..group + 1, &batch, batch.rank, &mut buffers, sink)
            })?;
        }
        Ok(())
    }

    /// Compares a block of queries with the rows of a task; those of `upcoming` are probably next.
    fn visit_task<S: Sink>(
        &self,
        block: &Block<'_>,
        task: usize,
        upcoming: usize,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<(), Error> {
        let ahead = (upcoming - task) * self.database.task_len(self.streamed, self.level);
        self.database.for_each_batch(task, self.streamed, self.level, |batch| {
            self.visit_batch(block, 0..block.n_groups(), &batch, batch.rank + ahead, buffers, sink)
        })
    }

    /// Compares some groups with a batch; the rows from rank `upcoming` on are probably read next.
    fn visit_batch<S: Sink>(
        &self,
        block: &Block<'_>,
        groups: Range<usize>,
        batch: &Batch<'_>,
        upcoming: usize,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<(), Error> {
        let meeting = Meeting::new(self.metric, block, batch);
        if block.queries(groups.clone()).all(|query| meeting.bound(sink, query) == 0) {
            return Ok(());
        }
        if self.streamed {
            self.stream(&meeting, buffers, sink)
        } else {
            self.scan_tile(&meeting, groups, upcoming, buffers, sink)
        }
    }

    /// Scans untransposed rows or sketches, one query after the other.
    fn stream<S: Sink>(
        &self,
        meeting: &Meeting<'_, M>,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<(), Error> {
        for (query, &query_id) in meeting.block.ids.iter().enumerate() {
            let row = self.queries.codes().row(query_id);
            for positions in meeting.ranges(sink, query..query + 1) {
                let (first, bound) = (positions.start, meeting.bound(sink, query));
                if let Some((sketches, of_queries)) = meeting.sketches() {
                    buffers.hits.clear();
                    let (sketch, rows) = (of_queries.row(query), sketches.slice(first, positions.end));
                    scan_rows(self.level, sketch, rows, bound, first as u32, &mut buffers.hits)?;
                    self.compare_near(meeting, query, 0, positions.end, buffers, sink)?;
                    continue;
                }
                let ids = meeting.batch.ids.slice(positions);
                for hit in buffers.near_rows(self.database.codes(), ids, row, bound, self.level)? {
                    meeting.offer(sink, query, first + hit.row as usize, hit.distance)?;
                }
            }
        }
        Ok(())
    }

    /// Compares a query with the rows of the batch before `end` whose sketches were hits for its slot.
    fn compare_near<S: Sink>(
        &self,
        meeting: &Meeting<'_, M>,
        query: usize,
        slot: u32,
        end: usize,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<(), Error> {
        let Buffers { hits, positions, ids, distances, n_near, .. } = buffers;
        let selected = |hit: &&Hit| {
            let (row, is_own) = (hit.row as usize, hit.slot == slot);
            is_own && row < end && self.database.selects(meeting.batch.ids.get(row))
        };
        if self.by_sketches {
            for hit in hits.iter().filter(selected) {
                meeting.offer(sink, query, hit.row as usize, hit.distance)?;
            }
            return Ok(());
        }
        positions.clear();
        ids.clear();
        positions.try_reserve(hits.len())?;
        ids.try_reserve(hits.len())?;
        for hit in hits.iter().filter(selected) {
            positions.push(hit.row as usize);
            ids.push(meeting.batch.ids.get(hit.row as usize));
        }
        *n_near += ids.len();
        try_resize(distances, ids.len(), 0)?;
        let row = self.queries.codes().row(meeting.block.ids[query]);
        distances_of(self.level, row, self.database.codes(), ids, distances);
        for (position, distance) in positions.iter().zip(distances) {
            meeting.offer(sink, query, *position, *distance)?;
        }
        Ok(())
    }

    /// Transposes the rows or sketches, and scans them group by group.
    fn scan_tile<S: Sink>(
        &self,
        meeting: &Meeting<'_, M>,
        groups: Range<usize>,
        mut upcoming: usize,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<(), Error> {
        let Meeting { block, batch, .. } = *meeting;
        let sketches = meeting.sketches();
        match sketches {
            Some((sketches, _)) => buffers.tile.fill_all(self.level, sketches)?,
            None => batch.ids.fill(self.database.codes(), &mut buffers.tile, self.level)?,
        }
        // What this thread will probably read next comes in while it computes, a share for each group.
        let share = batch.ids.len().div_ceil(groups.len());
        for group in groups {
            self.database.prefetch(upcoming..upcoming + share);
            upcoming += share;
            let queries = block.queries(group..group + 1);
            for positions in meeting.ranges(sink, queries.clone()) {
                let mut bounds = [0; QUERIES_PER_GROUP];
                for (bound, query) in bounds.iter_mut().zip(queries.clone()) {
                    *bound = meeting.bound(sink, query);
                }
                if bounds == [0; QUERIES_PER_GROUP] {
                    continue;
                }
                let Buffers { tile, hits, .. } = &mut *buffers;
                hits.clear();
                let (first_row, end) = (positions.start as u32, positions.end);
                let group = sketches.map_or(&block.groups, |(_, of_queries)| &of_queries.groups).get(group);
                scan(self.level, tile.words(positions), group, bounds, first_row, hits)?;
                if sketches.is_some() {
                    for (slot, query) in (0..).zip(queries.clone()) {
                        self.compare_near(meeting, query, slot, end, buffers, sink)?;
                    }
                    continue;
                }
                for hit in hits.iter().filter(|hit| (hit.row as usize) < end) {
                    meeting.offer(sink, queries.start + hit.slot as usize, hit.row as usize, hit.distance)?;
                }
            }
        }
        Ok(())
    }
}

/// A block of queries and a batch of rows that are compared with each other.
struct Meeting<'a, M> {
    metric: &'a M,
    block: &'a Block<'a>,
    batch: &'a Batch<'a>,
    /// No row has a lower or a higher id.
    ids: (usize, usize),
    /// The fewest and the most ones of a row; 0 if they are not counted.
    ones: (u32, u32),
}

impl<'a, M: Metric> Meeting<'a, M> {
    fn new(metric: &'a M, block: &'a Block<'a>, batch: &'a Batch<'a>) -> Self {
        let limits = |(fewest, most): (u32, u32), ones: &u32| (fewest.min(*ones), most.max(*ones));
        let first = batch.ones.first().copied().unwrap_or(0);
        let ones = batch.ones.iter().fold((first, first), limits);
        // The ones of all sorted rows span a wide range, which bounds little.
        let ids = if batch.sketches.is_some() { (0, usize::MAX) } else { batch.ids.limits() };
        Meeting { metric, block, batch, ids, ones }
    }

    /// The sketches of the rows and of the queries, if the batch has such.
    fn sketches(&self) -> Option<(Codes<'a>, &'a Sketches)> {
        self.batch.sketches.zip(self.block.sketches.as_ref())
    }

    /// Rows with fewer differing bits may qualify for the query; 0 if none can.
    fn bound<S: Sink>(&self, sink: &S, query: usize) -> u32 {
        let (first_id, last_id) = self.ids;
        if !self.block.includes(query, last_id) {
            return 0;
        }
        self.metric.bound(sink.below(query, first_id as u64), self.block.ones[query], self.ones)
    }

    /// Passes the row at a position on, if it qualifies.
    #[inline]
    fn offer<S: Sink>(
        &self,
        sink: &mut S,
        query: usize,
        position: usize,
        differing: u32,
    ) -> Result<(), Error> {
        let id = self.batch.ids.get(position);
        if self.block.includes(query, id) {
            let row_ones = self.batch.ones.get(position).copied().unwrap_or(0);
            let key = self.metric.key(differing, self.block.ones[query], row_ones);
            if key < sink.below(query, id as u64) {
                sink.push(Found { query: query as u32, key, id: id as u64 })?;
            }
        }
        Ok(())
    }

    /// Positions that are scanned at a time. Without a bound all rows are hits, so while a query has none, a few rows are
    /// scanned first, then twice as many each time.
    fn ranges<S: Sink>(
        &self,
        sink: &S,
        mut queries: Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + use<S, M> {
        let (len, first_id) = (self.batch.ids.len(), self.ids.0 as u64);
        let all_bounded = queries.all(|query| sink.below(query, first_id) < u32::MAX);
        let first = 0..len.min(if all_bounded { usize::MAX } else { FIRST_ROWS });
        std::iter::successors(Some(first), move |last| {
            (last.end < len).then(|| last.end..len.min(last.end + 2 * last.len()))
        })
    }
}

/// The numbers `0..n` from `first` outwards, by their position.
fn outwards(position: usize, first: usize, n: usize) -> usize {
    let n_on_both_sides = first.min(n - 1 - first);
    if position > 2 * n_on_both_sides {
        return if first == n_on_both_sides { position } else { n - 1 - position };
    }
    if position % 2 == 1 { first + position.div_ceil(2) } else { first - position / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outwards_is_a_permutation_in_the_order_of_distances() {
        for n in 1..20 {
            for first in 0..n {
                let numbers: Vec<usize> = (0..n).map(|position| outwards(position, first, n)).collect();
                assert!(numbers.iter().map(|number| number.abs_diff(first)).is_sorted());
                let mut sorted = numbers.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            }
        }
    }
}
