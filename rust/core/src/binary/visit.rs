//! [`Visit`]: scans each batch of rows against each block of queries, and passes the rows near enough to a [`Sink`].
//!
//! A large database is split over the threads, task by task, for one block after the other, so that a single query uses all
//! threads; a small one is not worth that, and the threads take blocks instead.

use std::ops::Range;

use super::Metric;
use super::database::{Batch, Database, RowIds};
use super::queries::{Block, QUERIES_PER_BLOCK, Queries};
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

/// Blocks per thread of a small search, so that threads share it evenly.
const BLOCKS_PER_THREAD: usize = 4;

/// One search, prepared.
pub(super) struct Visit<'a, M> {
    metric: &'a M,
    queries: &'a Queries<'a>,
    database: &'a Database<'a>,
    /// Whether rows are scanned untransposed, and not in tiles.
    streamed: bool,
    level: Level,
}

/// Memory that a worker reuses.
#[derive(Default)]
struct Buffers {
    tile: Tile,
    distances: Vec<u32>,
    hits: Hits,
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
        let streamed =
            database.too_long_for_tiles() || (database.is_contiguous() && queries.len() <= STREAMED_QUERIES);
        Visit { metric, queries, database, streamed, level }
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
        let block = |index: usize| {
            let queries = index * block_len..self.queries.len().min((index + 1) * block_len);
            self.queries.block(queries, !self.streamed, self.level)
        };
        if split_database {
            let mut results = Vec::new();
            for index in 0..n_blocks {
                let block = block(index)?;
                let first_task = self.first_task(&block);
                let seed = self.seed(&block, new_sink(block.ids.len())?)?;
                let workers = run.for_each_task(
                    n_tasks - first_task,
                    || Ok((Buffers::default(), seed.fork()?)),
                    |(buffers, sink), step| {
                        let task = first_task + step;
                        self.visit_task(&block, task, task + threads, buffers, sink)
                    },
                )?;
                let sinks = try_collect(workers.into_iter().map(|(_, sink)| sink))?;
                try_push(&mut results, finish(block.ids, sinks)?)?;
            }
            return Ok(results);
        }
        let new_buffers = || Ok(Buffers::default());
        run.map_tasks(n_blocks, new_buffers, |buffers, index| {
            let block = block(index)?;
            let mut sink = self.seed(&block, new_sink(block.ids.len())?)?.fork()?;
            for task in self.first_task(&block)..n_tasks {
                self.visit_task(&block, task, task + 1, buffers, &mut sink)?;
            }
            finish(block.ids, vec![sink])
        })
    }

    fn n_tasks(&self) -> usize {
        self.database.n_tasks(self.streamed, self.level)
    }

    /// The first task with rows for the block.
    fn first_task(&self, block: &Block<'_>) -> usize {
        let first_id = block.ids.iter().copied().min().filter(|_| block.only_higher);
        first_id.unwrap_or(0) / self.database.task_len(self.streamed, self.level)
    }

    /// Where rows are sorted by ones, each group first sees some of those most like it. What it finds there is found again,
    /// but the bounds that it sets rule out most other rows from the start.
    fn seed<S: Sink>(&self, block: &Block<'_>, mut sink: S) -> Result<S, Error> {
        if self.database.is_by_ones() && self.n_tasks() > 1 && !self.streamed && !block.only_higher {
            let (mut buffers, mut group) = (Buffers::default(), 0);
            self.database.for_each_batch(0, self.streamed, self.level, |batch| {
                let most = batch.ones.last().copied().unwrap_or(0);
                while group < block.n_groups() && block.ones[group * QUERIES_PER_GROUP] <= most {
                    self.visit_batch(block, group..group + 1, &batch, 0, &mut buffers, &mut sink)?;
                    group += 1;
                }
                Ok(())
            })?;
        }
        Ok(sink)
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

    /// Scans untransposed rows, one query after the other.
    fn stream<S: Sink>(
        &self,
        meeting: &Meeting<'_, M>,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<(), Error> {
        for (query, &query_id) in meeting.block.ids.iter().enumerate() {
            let row = self.queries.codes().row(query_id);
            for positions in meeting.ranges(sink, query..query + 1) {
                let first = positions.start;
                let (ids, bound) = (meeting.batch.ids.slice(positions), meeting.bound(sink, query));
                for hit in buffers.near_rows(self.database.codes(), ids, row, bound, self.level)? {
                    meeting.offer(sink, query, first + hit.row as usize, hit.distance)?;
                }
            }
        }
        Ok(())
    }

    /// Transposes the rows, and scans them group by group.
    fn scan_tile<S: Sink>(
        &self,
        meeting: &Meeting<'_, M>,
        groups: Range<usize>,
        mut upcoming: usize,
        buffers: &mut Buffers,
        sink: &mut S,
    ) -> Result<(), Error> {
        let Buffers { tile, hits, .. } = buffers;
        let Meeting { block, batch, .. } = *meeting;
        batch.ids.fill(self.database.codes(), tile, self.level)?;
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
                hits.clear();
                let (first_row, end) = (positions.start as u32, positions.end);
                scan(self.level, tile.words(positions), block.groups.get(group), bounds, first_row, hits)?;
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
    /// The lowest and the highest id of a row.
    ids: (usize, usize),
    /// The fewest and the most ones of a row; 0 if they are not counted.
    ones: (u32, u32),
}

impl<'a, M: Metric> Meeting<'a, M> {
    fn new(metric: &'a M, block: &'a Block<'a>, batch: &'a Batch<'a>) -> Self {
        let limits = |(fewest, most): (u32, u32), ones: &u32| (fewest.min(*ones), most.max(*ones));
        let first = batch.ones.first().copied().unwrap_or(0);
        let ones = batch.ones.iter().fold((first, first), limits);
        Meeting { metric, block, batch, ids: batch.ids.limits(), ones }
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
