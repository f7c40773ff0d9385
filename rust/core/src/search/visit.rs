//! [`visit`]: brings every tile of the database before every query, and hands the rows near enough to a [`Sink`].
//!
//! Queries are taken in blocks. A large database is split over the threads, tile by tile, for one block after the other,
//! so that a single query uses all threads; a small one is not worth that, and the threads take blocks instead.

use super::{Database, Metric};
use crate::hamming::tile::{GROUP, QueryGroups, Tile};
use crate::hamming::{Hits, scan};
use crate::search::database::{Selection, count_ones};
use crate::{Codes, Error, Level, Parallel};

/// Queries of a block: enough that transposing a tile costs little beside comparing it with them.
const BLOCK: usize = 128;

/// Up to this many queries are compared with the rows as they lie: transposing them would cost more than comparing.
const STREAMED_QUERIES: usize = 2;

/// Tasks per thread from which the database is split rather than the queries.
const TASKS_PER_THREAD: usize = 8;

/// Rows that are scanned first for a query that has no bound yet: whole steps of a tile.
const FIRST_ROWS: usize = 32;

/// Rows whose distances are tested together for one below the bound.
const TESTED: usize = 16;

/// A row that qualified.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    /// The query, by its place in the block.
    pub query: usize,
    pub key: u32,
    pub id: u64,
}

/// What collects the rows that qualify for a block of queries, on one thread.
pub(crate) trait Sink: Send {
    /// Rows with ids from `first_id` up qualify for the query only with a key below this.
    fn below(&self, query: usize, first_id: u64) -> u32;

    /// Takes a row whose key is below what [`Sink::below`] said before.
    fn push(&mut self, found: Found);
}

/// The queries of a call, in the order in which they are taken.
pub(crate) struct Queries<'a> {
    codes: Codes<'a>,
    /// Row ids in order.
    order: Vec<usize>,
    /// Number of ones of each row, if the metric wants it.
    ones: Vec<i32>,
    /// Whether the queries are the database itself, in its order: each is then compared with what follows it only.
    is_database: bool,
}

impl<'a> Queries<'a> {
    /// Queries as the user gave them; sorted by their number of ones if the metric asks for that.
    pub fn new<M: Metric>(level: Level, codes: Codes<'a>) -> Self {
        let mut order: Vec<usize> = (0..codes.n_rows()).collect();
        let mut ones = Vec::new();
        if M::BY_ONES {
            ones = count_ones(level, codes, &Parallel::serial()).unwrap_or_default();
            order.sort_by_key(|query| ones[*query]);
        }
        Queries { codes, order, ones, is_database: false }
    }

    /// The rows of the database as queries, in its order.
    pub fn from_database(database: &Database<'a>) -> Self {
        let ids = (0..database.n_selected()).map(|position| database.id_at(position));
        let order: Vec<usize> = ids.map(|id| id as usize).collect();
        let ones = Vec::new();
        Queries { codes: database.codes(), order, ones, is_database: true }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }
}

/// A block of queries, ready for the kernels.
struct Block<'a> {
    codes: Codes<'a>,
    ids: &'a [usize],
    ones: Vec<u32>,
    groups: QueryGroups,
    /// The code without ones, to count those of rows.
    zeros: Vec<u8>,
    /// Place of the first query in the order of the database, if the queries are the database.
    position: Option<usize>,
}

/// What a worker needs beside its sink.
#[derive(Default)]
struct Scratch {
    tile: Tile,
    hits: Hits,
    /// Of one query to the rows of a selection, where they are compared as they lie.
    distances: Vec<i32>,
    /// Ones of the rows of a selection, where nobody counted them before.
    ones: Vec<i32>,
}

/// Visits all queries and rows; `finish` turns the sinks of a block (one a worker) into its result. Results come in the
/// order of blocks.
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub(crate) fn visit<M: Metric, S: Sink, R: Send>(
    level: Level,
    metric: &M,
    queries: &Queries<'_>,
    database: &Database<'_>,
    parallel: &Parallel<'_>,
    largest_block: usize,
    new_sink: impl Fn(usize) -> S + Sync,
    finish: impl Fn(&[usize], Vec<S>) -> R + Sync,
) -> Result<Vec<R>, Error> {
    let streamed =
        database.too_long_for_tiles() || (database.is_contiguous() && queries.len() <= STREAMED_QUERIES);
    let n_tasks = database.n_tasks(streamed);
    let split_database = n_tasks >= TASKS_PER_THREAD * parallel.threads();
    // Small blocks share small work out evenly.
    let wanted =
        if split_database { BLOCK } else { queries.len().div_ceil(4 * parallel.threads()).min(BLOCK) };
    let block_len = match wanted.min(largest_block) {
        few @ 0..GROUP => few.max(1),
        many => many.next_multiple_of(GROUP),
    };
    let n_blocks = queries.len().div_ceil(block_len);

    let new_block = |index: usize| {
        let start = index * block_len;
        let ids = &queries.order[start..(start + block_len).min(queries.len())];
        let ones = match queries.is_database {
            true => ids.iter().map(|id| database.ones(*id as u64)).collect(),
            false => ids.iter().map(|id| queries.ones.get(*id).map_or(0, |ones| *ones as u32)).collect(),
        };
        let rows = ids.iter().map(|id| queries.codes.row(*id));
        Block {
            codes: queries.codes,
            ids,
            ones,
            groups: QueryGroups::new(level, queries.codes.n_words(), rows),
            zeros: vec![0; if M::BY_ONES { queries.codes.n_bytes() } else { 0 }],
            position: queries.is_database.then_some(start),
        }
    };
    let ahead = database.task_len(streamed) * if split_database { parallel.threads() } else { 1 };
    let visit_task = |(scratch, sink): &mut (Scratch, S), block: &Block<'_>, task: usize| {
        database.select(task, streamed, |selection| {
            visit_selection(level, metric, block, database, &selection, streamed, ahead, scratch, sink);
        });
    };

    if split_database {
        let mut results = Vec::with_capacity(n_blocks);
        for index in 0..n_blocks {
            let block = new_block(index);
            let order = TaskOrder::new(&block, database, n_tasks, streamed);
            let workers = parallel.run(
                order.len(),
                || (Scratch::default(), new_sink(block.ids.len())),
                |worker, step| visit_task(worker, &block, order.task(step)),
            )?;
            results.push(finish(block.ids, workers.into_iter().map(|(_, sink)| sink).collect()));
        }
        return Ok(results);
    }
    let workers = parallel.run(
        n_blocks,
        || (Vec::new(), Scratch::default()),
        |(results, scratch), index| {
            let block = new_block(index);
            let order = TaskOrder::new(&block, database, n_tasks, streamed);
            let mut worker = (std::mem::take(scratch), new_sink(block.ids.len()));
            for step in 0..order.len() {
                visit_task(&mut worker, &block, order.task(step));
            }
            *scratch = worker.0;
            results.push((index, finish(block.ids, vec![worker.1])));
        },
    )?;
    let mut results: Vec<_> = workers.into_iter().flat_map(|(results, _)| results).collect();
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// The order in which a block takes the tasks: from the first one it needs to the last, or, if rows are sorted by ones,
/// from those most like the queries outwards, since near rows found early rule out the others.
struct TaskOrder {
    first: usize,
    n_tasks: usize,
    center: usize,
}

impl TaskOrder {
    fn new(block: &Block<'_>, database: &Database<'_>, n_tasks: usize, streamed: bool) -> Self {
        if let Some(position) = block.position {
            let first = position / database.task_len(streamed);
            return TaskOrder { first, n_tasks, center: first };
        }
        let median = block.ones.get(block.ones.len() / 2).copied().unwrap_or(0);
        let center = database.place_near(median) / database.task_len(streamed);
        TaskOrder { first: 0, n_tasks, center: center.min(n_tasks.saturating_sub(1)) }
    }

    fn len(&self) -> usize {
        self.n_tasks - self.first
    }

    /// The task to take at a step: `center`, `center - 1`, `center + 1`, ..; once one side is used up, the other.
    fn task(&self, step: usize) -> usize {
        let (before, after) = (self.center - self.first, self.n_tasks - 1 - self.center);
        let both = 2 * before.min(after);
        if step > both {
            return if before > after { self.center + after - step } else { self.first + step };
        }
        if step % 2 == 1 { self.center - step.div_ceil(2) } else { self.center + step / 2 }
    }
}

/// Compares a block of queries with a tile full of rows; the next ones are `ahead` places further on.
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
fn visit_selection<M: Metric, S: Sink>(
    level: Level,
    metric: &M,
    block: &Block<'_>,
    database: &Database<'_>,
    selection: &Selection,
    streamed: bool,
    ahead: usize,
    scratch: &mut Scratch,
    sink: &mut S,
) {
    let Scratch { tile, hits, distances, ones } = scratch;
    let (codes, ids) = (database.codes(), &selection.ids);
    let row_ones = match selection.ones {
        Some(range) => range,
        None if M::BY_ONES => {
            ones.resize(ids.len(), 0);
            ids.distances(level, &block.zeros, codes, ones);
            (ones.iter().copied().min().unwrap_or(0) as u32, ones.iter().copied().max().unwrap_or(0) as u32)
        }
        None => (0, 0),
    };
    let first_id = ids.smallest();
    let bound = |sink: &S, query: usize| {
        let follows_all = block.position.is_some_and(|start| start + query >= selection.position + ids.len());
        let bound = if follows_all {
            0
        } else {
            metric.bound(sink.below(query, first_id), block.ones[query], row_ones)
        };
        // The kernels compare signed numbers.
        bound.min(i32::MAX as u32)
    };
    if (0..block.ids.len()).all(|query| bound(sink, query) == 0) {
        return;
    }
    let offer = |sink: &mut S, query: usize, row: usize, distance: u32| {
        if block.position.is_some_and(|start| selection.position + row <= start + query) {
            return;
        }
        let id = ids.get(row);
        let ones = if selection.ones.is_some() {
            database.ones(id)
        } else {
            ones.get(row).map_or(0, |ones| *ones as u32)
        };
        let key = metric.key(distance, block.ones[query], ones);
        if key < sink.below(query, id) {
            sink.push(Found { query, key, id });
        }
    };

    if streamed {
        distances.resize(ids.len(), 0);
        for (query, &query_id) in block.ids.iter().enumerate() {
            ids.distances(level, block.codes.row(query_id), codes, distances);
            let bound = bound(sink, query) as i32;
            for (chunk, tested) in distances.chunks(TESTED).enumerate() {
                if tested.iter().fold(false, |any, distance| any | (*distance < bound)) {
                    for (row, &distance) in (chunk * TESTED..).zip(tested) {
                        if distance < bound {
                            offer(sink, query, row, distance as u32);
                        }
                    }
                }
            }
        }
        return;
    }
    ids.fill(level, codes, tile);
    // The rows that this thread will probably read next come in while it computes.
    let upcoming = selection.position + ahead;
    let share = tile.n_rows().div_ceil(block.groups.iter().len());
    for (group, query) in block.groups.iter().enumerate() {
        database.prefetch(upcoming + group * share..upcoming + (group + 1) * share);
        let first_query = group * GROUP;
        let members = first_query..(first_query + GROUP).min(block.ids.len());
        // While a query has no bound yet all rows are hits: few rows at first, then twice as many, give it one.
        let all_bounded = members.clone().all(|query| sink.below(query, first_id) < u32::MAX);
        let (mut start, mut len) = (0, if all_bounded { tile.n_rows() } else { FIRST_ROWS });
        while start < tile.n_rows() {
            let mut bounds = [0; GROUP];
            for (slot, query) in members.clone().enumerate() {
                bounds[slot] = bound(sink, query);
            }
            if bounds != [0; GROUP] {
                let end = (start + len).min(tile.n_rows());
                hits.clear();
                scan(level, tile.words(start..end), query, bounds, start as u32, hits);
                for hit in &*hits {
                    if (hit.row as usize) < end {
                        offer(sink, first_query + hit.slot as usize, hit.row as usize, hit.distance);
                    }
                }
            }
            start += len;
            len *= 2;
        }
    }
}
