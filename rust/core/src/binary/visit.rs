//! [`visit`]: brings every tile of the database before every query, and hands the rows near enough to a [`Sink`].
//!
//! Queries are taken in blocks. A large database is split over the threads, tile by tile, for one block after the other,
//! so that a single query uses all threads; a small one is not worth that, and the threads take blocks instead.

use std::ops::Range;

use super::database::Selection;
use super::{Database, Metric};
use crate::bits::popcount_rows;
use crate::error::try_vec;
use crate::popcount::tile::{GROUP, QueryGroups, Tile};
use crate::popcount::{Hits, scan};
use crate::select::sink::{Found, Sink};
use crate::{Codes, Error, Level, Parallel};

/// Queries of a block: enough that transposing a tile costs little beside comparing it with them.
const BLOCK: usize = 128;

/// Up to this many queries are compared with the rows as they lie: transposing them would cost more than comparing.
const STREAMED_QUERIES: usize = 2;

/// Tasks per thread from which the database is split rather than the queries.
const TASKS_PER_THREAD: usize = 8;

/// Rows that are scanned first for a query that has no bound yet: whole steps of a tile at every level.
const FIRST_ROWS: usize = 64;

/// The queries of a call, in the order in which they are taken.
pub(crate) struct Queries<'a> {
    codes: Codes<'a>,
    /// Row ids in order.
    order: Vec<usize>,
    /// Number of ones of each row, if the metric wants it.
    ones: Vec<i32>,
    /// Whether the queries are the rows of the database: each is then compared only with those of higher ids.
    are_database: bool,
}

impl<'a> Queries<'a> {
    /// Queries as the user gave them; if the metric asks for it, sorted by their number of ones, so that those of a group
    /// are alike.
    pub fn new<M: Metric>(level: Level, codes: Codes<'a>) -> Result<Self, Error> {
        Queries::sorted_within::<M>(level, codes, codes.n_rows(), false)
    }

    /// The rows of the database as queries; if the metric asks for it, those of a block are sorted by their number of
    /// ones.
    pub fn from_database<M: Metric>(level: Level, codes: Codes<'a>) -> Result<Self, Error> {
        Queries::sorted_within::<M>(level, codes, BLOCK, true)
    }

    fn sorted_within<M: Metric>(
        level: Level,
        codes: Codes<'a>,
        len: usize,
        are_database: bool,
    ) -> Result<Self, Error> {
        let mut order = Vec::new();
        order.try_reserve_exact(codes.n_rows())?;
        order.extend(0..codes.n_rows());
        let mut ones = try_vec(0, if M::BY_ONES { codes.n_rows() } else { 0 })?;
        if M::BY_ONES {
            popcount_rows(level, codes, &mut ones);
            order
                .chunks_mut(len.max(1))
                .for_each(|order| order.sort_unstable_by_key(|query| (ones[*query], *query)));
        }
        Ok(Queries { codes, order, ones, are_database })
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }
}

/// A block of queries, ready for the kernels.
struct Block<'a> {
    ids: &'a [usize],
    ones: Vec<u32>,
    groups: QueryGroups,
    /// Whether the queries are compared only with rows of higher ids.
    only_higher: bool,
}

impl Block<'_> {
    fn n_groups(&self) -> usize {
        self.ids.len().div_ceil(GROUP)
    }

    /// The queries of some groups, by their place in the block.
    fn queries(&self, groups: Range<usize>) -> Range<usize> {
        groups.start * GROUP..self.ids.len().min(groups.end * GROUP)
    }

    /// Whether the row with an id is compared with a query of the block.
    fn includes(&self, query: usize, id: u64) -> bool {
        !self.only_higher || id > self.ids[query] as u64
    }
}

/// What a worker needs beside its sink.
#[derive(Default)]
struct Scratch {
    tile: Tile,
    hits: Hits,
}

/// Visits all queries and rows; `finish` turns the sinks of a block (one a worker) into its result. Results come in the
/// order of blocks, of at most `largest_block` queries.
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub(crate) fn visit<M: Metric, S: Sink, R: Send>(
    level: Level,
    metric: &M,
    queries: &Queries<'_>,
    database: &Database<'_>,
    parallel: &Parallel<'_>,
    largest_block: usize,
    new_sink: impl Fn(usize) -> S + Sync,
    finish: impl Fn(&[usize], Vec<S>) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let streamed =
        database.too_long_for_tiles() || (database.is_contiguous() && queries.len() <= STREAMED_QUERIES);
    let search = Search { level, metric, queries, database, streamed };
    let n_tasks = database.n_tasks(level, streamed);
    let words = queries.len().saturating_mul(database.n_selected()).saturating_mul(queries.codes.n_words());
    let parallel = &parallel.for_words(words);
    let threads = parallel.threads();
    let split_database = n_tasks >= TASKS_PER_THREAD * threads;
    // Small blocks share small work out evenly.
    let wanted = if split_database || queries.are_database {
        BLOCK
    } else {
        queries.len().div_ceil(4 * threads).min(BLOCK)
    };
    let block_len = match wanted.min(largest_block) {
        few @ 0..GROUP => few.max(1),
        many => many.next_multiple_of(GROUP),
    };
    let n_blocks = queries.len().div_ceil(block_len);

    if split_database {
        let mut results = Vec::with_capacity(n_blocks);
        for index in 0..n_blocks {
            let block = search.block(index * block_len, block_len);
            let first_task = search.first_task(&block);
            let seed = search.seed(&block, new_sink(block.ids.len()));
            let workers = parallel.run(
                n_tasks - first_task,
                || (Scratch::default(), seed.fork()),
                |(scratch, sink), step| {
                    let task = first_task + step;
                    search.visit_task(&block, task, task + threads, scratch, sink);
                },
            )?;
            results.push(finish(block.ids, workers.into_iter().map(|(_, sink)| sink).collect())?);
        }
        return Ok(results);
    }
    let workers = parallel.run(
        n_blocks,
        || (Scratch::default(), Vec::new()),
        |(scratch, results), index| {
            let block = search.block(index * block_len, block_len);
            let mut sink = search.seed(&block, new_sink(block.ids.len())).fork();
            for task in search.first_task(&block)..n_tasks {
                search.visit_task(&block, task, task + 1, scratch, &mut sink);
            }
            results.push((index, finish(block.ids, vec![sink])));
        },
    )?;
    let mut results: Vec<_> = workers.into_iter().flat_map(|(_, results)| results).collect();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// What stays the same throughout a search.
struct Search<'a, M> {
    level: Level,
    metric: &'a M,
    queries: &'a Queries<'a>,
    database: &'a Database<'a>,
    /// Whether rows are compared as they lie, and not by tiles.
    streamed: bool,
}

impl<M: Metric> Search<'_, M> {
    fn block(&self, start: usize, len: usize) -> Block<'_> {
        let Queries { codes, order, ones, are_database } = self.queries;
        let ids = &order[start..(start + len).min(order.len())];
        let grouped = if self.streamed { &[] } else { ids };
        Block {
            ids,
            ones: ids.iter().map(|id| ones.get(*id).map_or(0, |ones| *ones as u32)).collect(),
            groups: QueryGroups::new(self.level, codes.n_words(), grouped.iter().map(|id| codes.row(*id))),
            only_higher: *are_database,
        }
    }

    /// The first task that has rows for the block.
    fn first_task(&self, block: &Block<'_>) -> usize {
        let first_id = block.ids.iter().copied().min().filter(|_| block.only_higher);
        first_id.unwrap_or(0) / self.database.task_len(self.level, self.streamed)
    }

    /// Where rows are sorted by ones, each group first sees some of those most like it. What it finds there will be found
    /// again, but the bounds that come of it rule out most other rows from the start.
    fn seed<S: Sink>(&self, block: &Block<'_>, mut sink: S) -> S {
        let worth_it = self.database.n_tasks(self.level, self.streamed) > 1;
        if self.database.is_by_ones() && worth_it && !self.streamed && !block.only_higher {
            let (mut scratch, mut group) = (Scratch::default(), 0);
            self.database.select(self.level, 0, self.streamed, |selection| {
                let most = selection.ones.last().copied().unwrap_or(0);
                while group < block.n_groups() && block.ones[group * GROUP] <= most {
                    self.visit_selection(block, group..group + 1, &selection, 0, &mut scratch, &mut sink);
                    group += 1;
                }
            });
        }
        sink
    }

    /// Compares a block of queries with the rows of a task; those of `upcoming` will probably be next.
    fn visit_task<S: Sink>(
        &self,
        block: &Block<'_>,
        task: usize,
        upcoming: usize,
        scratch: &mut Scratch,
        sink: &mut S,
    ) {
        let ahead = (upcoming - task) * self.database.task_len(self.level, self.streamed);
        self.database.select(self.level, task, self.streamed, |selection| {
            self.visit_selection(block, 0..block.n_groups(), &selection, ahead, scratch, sink);
        });
    }

    /// Compares some groups with a selection; what is `ahead` places further on will probably be read next.
    fn visit_selection<S: Sink>(
        &self,
        block: &Block<'_>,
        groups: Range<usize>,
        selection: &Selection<'_>,
        ahead: usize,
        scratch: &mut Scratch,
        sink: &mut S,
    ) {
        let Search { level, metric, database, .. } = *self;
        let Scratch { tile, hits } = scratch;
        let (codes, ids) = (database.codes(), &selection.ids);
        let ones_of = |row: usize| selection.ones.get(row).copied().unwrap_or(0);
        let fewest_and_most = |(fewest, most): (u32, u32), ones: &u32| (fewest.min(*ones), most.max(*ones));
        let row_ones = selection.ones.iter().fold((ones_of(0), ones_of(0)), fewest_and_most);
        let (first_id, last_id) = ids.range();
        let bound = |sink: &S, query: usize| match block.includes(query, last_id) {
            true => metric.bound(sink.below(query, first_id), block.ones[query], row_ones),
            false => 0,
        };
        if block.queries(groups.clone()).all(|query| bound(sink, query) == 0) {
            return;
        }
        let offer = |sink: &mut S, query: usize, row: usize, distance: u32| {
            let id = ids.get(row);
            if block.includes(query, id) {
                let key = metric.key(distance, block.ones[query], ones_of(row));
                if key < sink.below(query, id) {
                    sink.push(Found { query: query as u32, key, id });
                }
            }
        };

        // While a query has no bound yet all rows are hits: few rows at first, then twice as many, give it one.
        let ranges = |sink: &S, mut queries: Range<usize>| {
            let all_bounded = queries.all(|query| sink.below(query, first_id) < u32::MAX);
            let first = 0..ids.len().min(if all_bounded { usize::MAX } else { FIRST_ROWS });
            std::iter::successors(Some(first), |last| {
                (last.end < ids.len()).then(|| last.end..ids.len().min(last.end + 2 * last.len()))
            })
        };

        if self.streamed {
            for (query, &query_id) in block.ids.iter().enumerate() {
                for rows in ranges(sink, query..query + 1) {
                    hits.clear();
                    ids.scan(level, self.queries.codes.row(query_id), codes, rows, bound(sink, query), hits);
                    for hit in &*hits {
                        offer(sink, query, hit.row as usize, hit.distance);
                    }
                }
            }
            return;
        }
        ids.fill(level, codes, tile);
        // What this thread will probably read next comes in while it computes.
        let (share, upcoming) = (ids.len().div_ceil(groups.len()), selection.position + ahead);
        for (step, group) in groups.enumerate() {
            database.prefetch(upcoming + step * share..upcoming + (step + 1) * share);
            let queries = block.queries(group..group + 1);
            for rows in ranges(sink, queries.clone()) {
                let mut bounds = [0; GROUP];
                for (slot, query) in queries.clone().enumerate() {
                    bounds[slot] = bound(sink, query);
                }
                if bounds != [0; GROUP] {
                    hits.clear();
                    let (first_row, end) = (rows.start as u32, rows.end);
                    scan(level, tile.words(rows), block.groups.get(group), bounds, first_row, hits);
                    for hit in hits.iter().filter(|hit| (hit.row as usize) < end) {
                        offer(sink, queries.start + hit.slot as usize, hit.row as usize, hit.distance);
                    }
                }
            }
        }
    }
}
