//! [`Sink`]: what collects the rows that qualify for the queries of a block, on one thread.

use super::components::UnionFind;
use super::top_k::{Neighbor, TopK};
use crate::Error;
use crate::error::{try_push, try_vec};

/// Rows that a search for the k nearest looks at first for each neighbour, and at least: of rows in the worst order, each nearer
/// than all before, their bounds leave one in this many.
const FIRST_ROWS_PER_NEIGHBOR: usize = 16;
const FIRST_ROWS: usize = 1024;

/// One in this many rows is looked at first at most.
const ROWS_PER_FIRST_ROW: usize = 8;

/// Neighbours that the sinks of all threads may hold together while a block of queries is searched.
const NEIGHBORS_IN_FLIGHT: usize = 1 << 19;

/// A row that qualified.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    /// The query, by its position in the block.
    pub query: u32,
    /// Sorts like the distance.
    pub key: u32,
    /// The row.
    pub id: u64,
}

/// Receives the rows that qualify.
pub(crate) trait Receiver {
    /// Rows with ids from `first_id` up qualify for the query only with a key below this.
    fn below(&self, query: usize, first_id: u64) -> u32;

    /// Takes a row whose key is below what [`Receiver::below`] said before.
    fn push(&mut self, found: Found) -> Result<(), Error>;

    /// The nearest rows of a query so far, if the sink keeps such: at least as many as it wants, once it got them.
    fn found(&self, _query: usize) -> &[Neighbor] {
        &[]
    }

    /// Makes [`Receiver::below`] as low as what was found for a query allows.
    fn settle(&mut self, _query: usize) {}
}

/// Collects the rows that qualify, on one of several threads.
pub(crate) trait Sink: Receiver + Send + Sync + Sized {
    /// How many of `n_rows` rows to look at first, from all over the database, to find bounds; 0 if that does not pay.
    fn n_first_rows(&self, _n_rows: usize) -> usize {
        0
    }

    /// An empty sink that knows the bounds that this one has found.
    fn fork(&self) -> Result<Self, Error>;
}

/// Collects the k nearest of each query of a block.
impl Receiver for Vec<TopK> {
    fn below(&self, query: usize, first_id: u64) -> u32 {
        self[query].below(first_id)
    }

    fn push(&mut self, found: Found) -> Result<(), Error> {
        self[found.query as usize].push(Neighbor { key: found.key, id: found.id })
    }

    fn found(&self, query: usize) -> &[Neighbor] {
        self[query].found()
    }

    fn settle(&mut self, query: usize) {
        self[query].clean_up();
    }
}

impl Sink for Vec<TopK> {
    fn n_first_rows(&self, n_rows: usize) -> usize {
        let k = self.first().map_or(0, TopK::k);
        let most = n_rows / ROWS_PER_FIRST_ROW;
        if most < k.saturating_mul(2).max(FIRST_ROWS) {
            return 0;
        }
        k.saturating_mul(FIRST_ROWS_PER_NEIGHBOR).clamp(FIRST_ROWS, most)
    }

    fn fork(&self) -> Result<Self, Error> {
        let mut forks = Vec::new();
        for top_k in self {
            try_push(&mut forks, top_k.fork()?)?;
        }
        Ok(forks)
    }
}

/// The largest block of queries whose `k` nearest rows `threads` sinks can collect without much memory.
pub(crate) fn largest_block(k: usize, threads: usize) -> usize {
    NEIGHBORS_IN_FLIGHT / threads / k.saturating_mul(2).max(1)
}

/// Collects everything below one key.
pub(crate) struct Below {
    below: u32,
    found: Vec<Found>,
}

impl Receiver for Below {
    fn below(&self, _query: usize, _first_id: u64) -> u32 {
        self.below
    }

    fn push(&mut self, found: Found) -> Result<(), Error> {
        try_push(&mut self.found, found)
    }
}

impl Sink for Below {
    fn fork(&self) -> Result<Self, Error> {
        Ok(Below::new(self.below))
    }
}

impl Below {
    pub fn new(below: u32) -> Self {
        Below { below, found: Vec::new() }
    }

    /// Drops what was found for some queries.
    pub fn forget(&mut self, is_forgotten: impl Fn(usize) -> bool) {
        self.found.retain(|found| !is_forgotten(found.query as usize));
    }

    /// All that was found, sorted by `order`.
    pub fn merge<K: Ord>(parts: Vec<Below>, order: impl Fn(&Found) -> K) -> Result<Vec<Found>, Error> {
        let mut merged = Vec::new();
        for part in parts {
            if merged.is_empty() {
                merged = part.found;
            } else {
                merged.try_reserve_exact(part.found.len())?;
                merged.extend(part.found);
            }
        }
        merged.sort_unstable_by_key(order);
        Ok(merged)
    }
}

/// Joins everything below one key, instead of collecting it.
pub(crate) struct Joined<'a> {
    below: u32,
    groups: &'a UnionFind,
    /// For each query the first row that qualified, with which the others are joined.
    rows: Vec<Option<u32>>,
}

impl<'a> Joined<'a> {
    pub fn new(below: u32, groups: &'a UnionFind, n_queries: usize) -> Result<Self, Error> {
        Ok(Joined { below, groups, rows: try_vec(None, n_queries)? })
    }

    /// Joins the queries of the block, which are rows, with what qualified for them.
    pub fn finish(&self, ids: &[usize]) {
        for (id, row) in ids.iter().zip(&self.rows) {
            if let Some(row) = row {
                self.groups.join(*id as u32, *row);
            }
        }
    }
}

impl Receiver for Joined<'_> {
    fn below(&self, _query: usize, _first_id: u64) -> u32 {
        self.below
    }

    fn push(&mut self, found: Found) -> Result<(), Error> {
        match &mut self.rows[found.query as usize] {
            Some(row) => self.groups.join(*row, found.id as u32),
            none => *none = Some(found.id as u32),
        }
        Ok(())
    }
}

impl Sink for Joined<'_> {
    fn fork(&self) -> Result<Self, Error> {
        Joined::new(self.below, self.groups, self.rows.len())
    }
}
