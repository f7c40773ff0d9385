//! [`Probes`]: the inverted lists that each query of a search looks at, and the searches of the rows in them: [`knn`], [`radius`].

use std::ops::Range;

use super::keys::{key, largest, value_of};
use super::results::{Csr, Neighbors};
use super::sink::{Below, Found, Receiver, Sink};
use super::top_k::TopK;
use crate::error::{check_finite, check_len, try_collect, try_push};
use crate::{At, Error, Run};

/// Queries per thread from which threads take queries, and not lists.
const QUERIES_PER_THREAD: usize = 4;

/// Queries of a block, which look at a list together while it is in a cache.
const QUERIES_PER_BLOCK: usize = 1024;

/// Rows that are compared between two checks for an interruption.
const ROWS_PER_CHECK: usize = 1 << 22;

/// Rows of a task, if threads take lists: a long one is shared.
const ROWS_PER_TASK: usize = 1 << 13;

/// Rows to receive before the bound that follows from them is worth its time.
const ROWS_PER_SETTLING: usize = 64;

/// The lists that each query probes: list `p` of query `q` holds the rows `ids[starts[q][p]..stops[q][p]]`.
#[derive(Clone, Copy, Debug)]
pub struct Probes<'a> {
    starts: &'a [i64],
    stops: &'a [i64],
    /// What is added to the distances of a list; nothing if it is empty.
    offsets: &'a [f32],
    ids: &'a [u32],
    n_queries: usize,
}

/// A list of a query.
#[derive(Clone, Copy)]
pub(crate) struct List<'a> {
    /// Where its rows stand, among those of all lists.
    pub start: usize,
    pub ids: &'a [u32],
    /// What is added to distances.
    offset: Option<f32>,
}

impl<'a> Probes<'a> {
    /// The same number of lists for each query.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if `starts` and `stops` do not have the same number of elements, a multiple of the queries;
    /// [`Error::Value`] if a list is not within `ids`.
    pub fn new(starts: &'a [i64], stops: &'a [i64], ids: &'a [u32], n_queries: usize) -> Result<Self, Error> {
        let is_whole =
            if n_queries == 0 { starts.is_empty() } else { starts.len().is_multiple_of(n_queries) };
        if starts.len() != stops.len() || !is_whole {
            let (n_starts, n_stops) = (starts.len(), stops.len());
            return Err(Error::Incompatible {
                problem: format!(
                    "there are {n_starts} starts and {n_stops} stops of lists for {n_queries} queries; expected the same \
                     number of both for each query"
                ),
            });
        }
        for (position, (&start, &stop)) in starts.iter().zip(stops).enumerate() {
            if !(0 <= start && start <= stop && stop as u64 <= ids.len() as u64) {
                return Err(Error::Value {
                    name: "starts and stops",
                    value: format!("{start}..{stop}"),
                    at: At::Position(position),
                    expected: format!("ranges within the {} ids", ids.len()),
                });
            }
        }
        Ok(Probes { starts, stops, offsets: &[], ids, n_queries })
    }

    /// The same lists, with a number for each that is added to its distances.
    ///
    /// # Errors
    /// [`Error::Length`] if there is not one for each list, [`Error::NotFinite`].
    pub fn with_offsets(self, offsets: &'a [f32]) -> Result<Self, Error> {
        check_len("offsets", "elements", offsets.len(), self.starts.len())?;
        check_finite("offsets", offsets)?;
        Ok(Probes { offsets, ..self })
    }

    /// Number of queries.
    pub fn n_queries(&self) -> usize {
        self.n_queries
    }

    /// Checks that there are lists for each of `n_queries` queries.
    pub(crate) fn check_queries(&self, n_queries: usize) -> Result<(), Error> {
        if n_queries == self.n_queries {
            return Ok(());
        }
        let (first, second) = (("queries", n_queries), ("probes", self.n_queries));
        Err(Error::Mismatch { unit: "rows", first, second, hint: "each query probes lists of its own" })
    }

    /// The lists of some queries.
    pub(crate) fn slice(&self, queries: Range<usize>) -> Self {
        let n_lists = self.starts.len() / self.n_queries.max(1);
        let lists = queries.start * n_lists..queries.end * n_lists;
        let offsets = if self.offsets.is_empty() { &[] } else { &self.offsets[lists.clone()] };
        let (starts, stops) = (&self.starts[lists.clone()], &self.stops[lists]);
        Probes { starts, stops, offsets, ids: self.ids, n_queries: queries.len() }
    }

    /// No queries, which have no lists.
    fn without_queries(&self) -> Self {
        self.slice(0..0)
    }

    /// The lists of a query.
    pub(crate) fn lists(&self, query: usize) -> impl Iterator<Item = List<'a>> + use<'a> {
        let (n_lists, ids, offsets) = (self.starts.len() / self.n_queries.max(1), self.ids, self.offsets);
        let lists = query * n_lists..(query + 1) * n_lists;
        let ends = lists.clone().zip(self.starts[lists.clone()].iter().zip(&self.stops[lists]));
        ends.map(move |(list, (start, stop))| {
            // They were checked, but the arrays may have changed since.
            let (start, stop) = (*start as usize, *stop as usize);
            let ids = ids.get(start..stop).unwrap_or_default();
            List { start, ids, offset: offsets.get(list).copied() }
        })
    }

    /// Ids in all lists of all queries.
    pub(crate) fn n_candidates(&self) -> usize {
        let ends = self.starts.iter().zip(self.stops);
        let lens = ends.map(|(start, stop)| usize::try_from(stop.saturating_sub(*start)).unwrap_or(0));
        lens.fold(0, usize::saturating_add)
    }
}

/// Compares queries with rows that stand list by list.
pub(crate) trait ListSearch: Sync {
    /// What the caller gets.
    type Distance: Copy + Send;
    /// The distance of a missing neighbour.
    const PADDING: Self::Distance;
    /// What a thread needs.
    type Scratch: Send;

    /// Rows of all lists.
    fn n_rows(&self) -> usize;

    /// The time that comparing a row takes, in words compared.
    fn words_per_row(&self) -> usize;

    /// What a thread needs to compare these queries.
    fn new_scratch(&self, queries: Range<usize>) -> Result<Self::Scratch, Error>;

    /// Hands the rows that stand in a range and are near enough to some of the queries of a scratch, named by their positions among
    /// them, to the receiver, by where they stand.
    fn visit<R: Receiver>(
        &self,
        positions: &[usize],
        rows: Range<usize>,
        scratch: &mut Self::Scratch,
        receiver: &mut R,
    ) -> Result<(), Error>;

    /// The distance that a key stands for.
    fn distance(&self, key: u32) -> Self::Distance;
}

/// Finds the nearest rows in the lists of each query.
///
/// # Errors
/// [`Error::Mismatch`] if there is not one id for each row, [`Error::Length`] if `out` does not have room for each query, and those
/// of the search.
pub(crate) fn knn<L: ListSearch>(
    search: &L,
    probes: Probes<'_>,
    mut out: Neighbors<'_, L::Distance>,
    run: &Run<'_>,
) -> Result<(), Error> {
    out.clear(probes.n_queries, L::PADDING)?;
    let kept = out.k().min(search.n_rows());
    let out = out.shared();
    let probes = if kept == 0 { probes.without_queries() } else { probes };
    probe(
        search,
        probes,
        run,
        || vec![TopK::new(kept)],
        |query, sinks| out.merge([query], sinks, |key| search.distance(key)),
    )?;
    Ok(())
}

/// Finds the rows with keys below `below` in the lists of each query.
///
/// # Errors
/// As [`knn`].
pub(crate) fn radius<L: ListSearch>(
    search: &L,
    probes: Probes<'_>,
    below: u32,
    run: &Run<'_>,
) -> Result<Csr<L::Distance>, Error> {
    let blocks = probe(
        search,
        probes,
        run,
        || Below::new(below),
        |query, sinks| Ok((vec![query], Below::merge(sinks, |found| (found.key, found.id))?)),
    )?;
    Csr::from_blocks(probes.n_queries, &blocks, L::PADDING, |key| search.distance(key))
}

/// Visits the lists of each query; `finish` turns the sinks of the threads that did into the result of a query.
fn probe<L: ListSearch, S: Sink, R: Send>(
    search: &L,
    probes: Probes<'_>,
    run: &Run<'_>,
    new_sink: impl Fn() -> S + Sync,
    finish: impl Fn(usize, Vec<S>) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    if probes.ids.len() != search.n_rows() {
        let (first, second) = (("ids", probes.ids.len()), ("codes", search.n_rows()));
        let hint = "expected the id of each row";
        return Err(Error::Mismatch { unit: "rows", first, second, hint });
    }
    let run = run.for_words(probes.n_candidates().saturating_mul(search.words_per_row()));
    if run.threads() == 1 || probes.n_queries >= QUERIES_PER_THREAD * run.threads() {
        let block_len = probes.n_queries.div_ceil(run.threads()).clamp(1, QUERIES_PER_BLOCK);
        let blocks = run.map_long_tasks(probes.n_queries.div_ceil(block_len), |block, is_stopped| {
            let queries = block * block_len..probes.n_queries.min((block + 1) * block_len);
            probe_block(search, probes, queries, &new_sink, &finish, is_stopped)
        })?;
        return try_collect(blocks.into_iter().flatten());
    }
    let mut results = Vec::new();
    for query in 0..probes.n_queries {
        let mut pieces = Vec::new();
        for list in probes.lists(query) {
            for (index, ids) in list.ids.chunks(ROWS_PER_TASK).enumerate() {
                try_push(&mut pieces, List { start: list.start + index * ROWS_PER_TASK, ids, ..list })?;
            }
        }
        let new_scratch = || search.new_scratch(query..query + 1);
        // The first piece, as a rule of the nearest list, bounds the others.
        let mut first = ListReceiver::new([new_sink()])?;
        if let Some(piece) = pieces.first() {
            first.visit(search, &[(0, *piece)], &mut new_scratch()?)?;
        }
        let workers = run.for_each_task(
            pieces.len().saturating_sub(1),
            || Ok((new_scratch()?, ListReceiver::new([first.slots[0].sink.fork()?])?)),
            |(scratch, receiver), task| receiver.visit(search, &[(0, pieces[1 + task])], scratch),
        )?;
        let mut sinks = Vec::new();
        for receiver in workers.into_iter().map(|(_, receiver)| receiver).chain([first]) {
            sinks.try_reserve(1)?;
            sinks.extend(receiver.slots.into_iter().map(|slot| slot.sink));
        }
        try_push(&mut results, finish(query, sinks)?)?;
    }
    Ok(results)
}

/// Visits the lists of some queries on one thread: the nearest of each query first, until there is a bound, and then list by list.
/// What it returns once it is stopped is not used.
fn probe_block<L: ListSearch, S: Sink, R>(
    search: &L,
    probes: Probes<'_>,
    queries: Range<usize>,
    new_sink: &impl Fn() -> S,
    finish: &impl Fn(usize, Vec<S>) -> Result<R, Error>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Vec<R>, Error> {
    let mut scratch = search.new_scratch(queries.clone())?;
    let mut receiver = ListReceiver::new(queries.clone().map(|_| new_sink()))?;
    let mut left = Vec::new();
    for (position, query) in queries.clone().enumerate() {
        if is_stopped() {
            return Ok(Vec::new());
        }
        for list in probes.lists(query).filter(|list| !list.ids.is_empty()) {
            if receiver.slots[position].is_bounded() {
                try_push(&mut left, (position, list))?;
            } else {
                receiver.visit(search, &[(position, list)], &mut scratch)?;
                receiver.slots[position].settle_now();
            }
        }
    }
    left.sort_unstable_by_key(|(position, list)| (list.start, list.ids.len(), *position));
    for visits in left.chunk_by(|(_, a), (_, b)| (a.start, a.ids.len()) == (b.start, b.ids.len())) {
        let list_len = visits.first().map_or(1, |(_, list)| list.ids.len().max(1));
        for visits in visits.chunks((ROWS_PER_CHECK / list_len).max(1)) {
            if is_stopped() {
                return Ok(Vec::new());
            }
            receiver.visit(search, visits, &mut scratch)?;
        }
    }
    let mut results = Vec::new();
    for (query, slot) in queries.zip(receiver.slots) {
        try_push(&mut results, finish(query, vec![slot.sink])?)?;
    }
    Ok(results)
}

/// Receives the rows of lists for some queries, and hands them on by their ids, with the distances of the lists.
struct ListReceiver<'a, S> {
    slots: Vec<Slot<S>>,
    /// Where the rows of the list stand, and their ids.
    start: usize,
    ids: &'a [u32],
}

/// What was received for a query.
struct Slot<S> {
    sink: S,
    /// What is added to the distances of the list.
    offset: Option<f32>,
    /// What a key has to be below before that.
    below: u32,
    /// Rows that were handed on since the sink was settled.
    n_unsettled: usize,
}

impl<S: Sink> Slot<S> {
    fn is_bounded(&self) -> bool {
        self.sink.below(0, 0) < u32::MAX
    }

    fn settle(&mut self) {
        if self.n_unsettled >= ROWS_PER_SETTLING {
            self.settle_now();
            self.refresh();
        }
    }

    fn settle_now(&mut self) {
        self.sink.settle(0);
        self.n_unsettled = 0;
    }

    /// Sets what a key has to be below.
    fn refresh(&mut self) {
        let below = self.sink.below(0, 0);
        self.below = match (self.offset, largest(below)) {
            (None, _) => below,
            (_, None) => 0,
            (_, Some(f32::INFINITY)) => u32::MAX,
            (Some(offset), Some(largest)) => below_less(largest, offset),
        };
    }
}

impl<'a, S: Sink> ListReceiver<'a, S> {
    fn new(sinks: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let slots = sinks.into_iter().map(|sink| Slot { sink, offset: None, below: 0, n_unsettled: 0 });
        Ok(ListReceiver { slots: try_collect(slots)?, start: 0, ids: &[] })
    }

    /// Visits a list for some queries, each with the list and its own offset.
    fn visit<L: ListSearch>(
        &mut self,
        search: &L,
        visits: &[(usize, List<'a>)],
        scratch: &mut L::Scratch,
    ) -> Result<(), Error> {
        let Some((_, list)) = visits.first() else { return Ok(()) };
        (self.start, self.ids) = (list.start, list.ids);
        for (position, list) in visits {
            let slot = &mut self.slots[*position];
            slot.offset = list.offset;
            slot.refresh();
        }
        let positions = try_collect(visits.iter().map(|(position, _)| *position))?;
        search.visit(&positions, list.start..list.start + list.ids.len(), scratch, self)
    }
}

impl<S: Sink> Receiver for ListReceiver<'_, S> {
    #[inline]
    fn below(&self, query: usize, _first_id: u64) -> u32 {
        self.slots[query].below
    }

    #[inline]
    fn push(&mut self, found: Found) -> Result<(), Error> {
        let slot = &mut self.slots[found.query as usize];
        let key = match slot.offset {
            None => found.key,
            Some(offset) => key(value_of(found.key) + offset + 0.0),
        };
        if key >= slot.sink.below(0, 0) {
            return Ok(());
        }
        let position = (found.id as usize).wrapping_sub(self.start);
        let Some(id) = self.ids.get(position).copied().map(u64::from) else { return Ok(()) };
        if key < slot.sink.below(0, id) {
            slot.n_unsettled += 1;
            slot.sink.push(Found { query: 0, key, id })?;
        }
        Ok(())
    }

    fn settle(&mut self, query: usize) {
        self.slots[query].settle();
    }
}

/// A key above those of all values whose sum with `offset`, rounded to float32, is at most `largest`.
fn below_less(largest: f32, offset: f32) -> u32 {
    // The sum is at most 2^-24 of its size above `largest`. The key exceeds the error of rounding this to float32.
    let most = f64::from(largest) - f64::from(offset) + f64::from(largest.abs()) / f64::from(1 << 23);
    if most >= f64::from(f32::MAX) { u32::MAX } else { key(most as f32 + 0.0).saturating_add(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_whose_sum_is_small_enough_is_dropped() {
        let numbers = [0.0, 1e-45, 1.0, 1.000_000_1, 3.3, 1e-20, 7e8, 1e30, f32::MAX];
        let signed: Vec<f32> = numbers.iter().flat_map(|number| [*number, -number]).collect();
        for &offset in &signed {
            for &value in &signed {
                let sum = value + offset;
                if sum.is_finite() {
                    assert!(key(value + 0.0) < below_less(sum, offset), "{value} + {offset}");
                    assert!(below_less(sum, offset) >= 2);
                }
            }
        }
        assert!(key(2.001) >= below_less(3.0, 1.0));
    }
}
