//! Exact search, written once for all metrics on differing bits: `knn`, `radius`, `pairs` and `cdist`.
//!
//! | file | what it is for |
//! |---|---|
//! | [`database`] | which rows take part, in which order, and how they are cut into tiles |
//! | [`visit`] | brings every tile before every query, on all threads, and hands hits to a [`visit::Sink`] |
//! | `cdist` | all distances, nothing selected |

mod cdist;
mod database;
mod visit;

use std::sync::{Mutex, PoisonError};

use crate::error::try_vec;
use crate::top_k::{Neighbor, TopK};
use crate::{Codes, Error, Level, Parallel};

pub(crate) use cdist::cdist;
pub(crate) use database::Database;
pub(crate) use visit::{Found, Sink};
use visit::{Queries, visit};

/// Which rows of the database take part in a search.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// Every row.
    All,
    /// The rows whose byte is not zero; one byte per row.
    Booleans(&'a [u8]),
    /// The rows with these ids, in any order; an id that is given twice counts once.
    Ids(&'a [i64]),
}

/// Results of varying number: those of query `i` are `offsets[i]..offsets[i + 1]` of the other two.
#[derive(Clone, Debug, PartialEq)]
pub struct Csr<D> {
    /// Where the results of each query begin, and the end of the last.
    pub offsets: Vec<i64>,
    /// Distances, sorted within a query.
    pub distances: Vec<D>,
    /// Row ids.
    pub indices: Vec<i64>,
}

/// Pairs of rows, `i[p] < j[p]`, sorted by (i, j).
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs<D> {
    /// The lower row of each pair.
    pub i: Vec<i64>,
    /// The higher row of each pair.
    pub j: Vec<i64>,
    /// Their distances.
    pub distances: Vec<D>,
}

/// A distance that follows from the number of differing bits and of ones on both sides.
pub(crate) trait Metric: Sync {
    /// What the user gets.
    type Distance: Copy + Send;
    /// The distance of a neighbour that is not there.
    const PADDING: Self::Distance;
    /// Whether the number of ones matters: rows are then sorted by it, so that whole tiles can be skipped.
    const BY_ONES: bool;

    /// A key that sorts like the distance.
    fn key(&self, differing: u32, query_ones: u32, row_ones: u32) -> u32;

    /// The distance that a key stands for.
    fn distance(&self, key: u32) -> Self::Distance;

    /// A number of differing bits that every row with a key below `below` stays under, given that it has from
    /// `row_ones.0` to `row_ones.1` ones; 0 if there can be no such row.
    fn bound(&self, below: u32, query_ones: u32, row_ones: (u32, u32)) -> u32;
}

/// Collects the k nearest of each query of a block.
impl Sink for Vec<TopK> {
    fn below(&self, query: usize, first_id: u64) -> u32 {
        self[query].below(first_id)
    }

    fn push(&mut self, found: Found) {
        self[found.query as usize].push(Neighbor { key: found.key, id: found.id });
    }

    fn bounded_alike(&self) -> Self {
        self.iter().map(TopK::bounded_alike).collect()
    }
}

/// Collects everything below one key.
pub(crate) struct Below {
    below: u32,
    found: Vec<Found>,
    /// Whether there was more than the memory has room for.
    is_full: bool,
}

impl Sink for Below {
    fn below(&self, _query: usize, _first_id: u64) -> u32 {
        if self.is_full { 0 } else { self.below }
    }

    fn push(&mut self, found: Found) {
        match self.found.try_reserve(1) {
            Ok(()) => self.found.push(found),
            Err(_) => self.is_full = true,
        }
    }

    fn bounded_alike(&self) -> Self {
        Below::new(self.below)
    }
}

impl Below {
    pub fn new(below: u32) -> Self {
        Below { below, found: Vec::new(), is_full: false }
    }

    /// All that was found, sorted by `order`.
    pub fn merge<K: Ord>(parts: Vec<Below>, order: impl Fn(&Found) -> K) -> Result<Vec<Found>, Error> {
        let mut merged = Vec::new();
        for part in parts {
            if part.is_full {
                return Err(Error::OutOfMemory);
            }
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

fn check_bytes(queries: Codes<'_>, codes: Codes<'_>) -> Result<(), Error> {
    if queries.n_bytes() == codes.n_bytes() {
        Ok(())
    } else {
        Err(Error::BytesDiffer { first: ("queries", queries.n_bytes()), second: ("codes", codes.n_bytes()) })
    }
}

/// Neighbours that the sinks of all threads may hold together while a block of queries is searched.
pub(crate) const NEIGHBORS_IN_FLIGHT: usize = 1 << 19;

#[allow(clippy::too_many_arguments, reason = "they are the arguments of the public function")]
pub(crate) fn knn<M: Metric>(
    level: Level,
    metric: &M,
    queries: Codes<'_>,
    database: &Database<'_>,
    k: usize,
    parallel: &Parallel<'_>,
    distances: &mut [M::Distance],
    indices: &mut [i64],
) -> Result<(), Error> {
    check_bytes(queries, database.codes())?;
    let expected = queries.n_rows().saturating_mul(k);
    for given in [distances.len(), indices.len()] {
        if given != expected {
            return Err(Error::OutputLength { given, expected });
        }
    }
    distances.fill(M::PADDING);
    indices.fill(-1);
    if k == 0 {
        return Ok(());
    }
    let kept = k.min(database.n_selected()).max(1);
    let largest_block = NEIGHBORS_IN_FLIGHT / parallel.threads() / kept.saturating_mul(2);
    let output = Mutex::new((distances, indices));
    let queries = Queries::new::<M>(level, queries)?;
    visit(
        level,
        metric,
        &queries,
        database,
        parallel,
        largest_block,
        |n_queries| (0..n_queries).map(|_| TopK::new(kept)).collect::<Vec<_>>(),
        |ids, parts: Vec<Vec<TopK>>| {
            let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
            for &id in ids {
                let best = TopK::merge(parts.iter_mut().filter_map(Iterator::next));
                let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
                let (distances, indices) = &mut *output;
                let row = distances[id * k..].iter_mut().zip(&mut indices[id * k..]);
                for (neighbor, (distance, index)) in best.iter().zip(row) {
                    *distance = metric.distance(neighbor.key);
                    *index = neighbor.id as i64;
                }
            }
            Ok(())
        },
    )?;
    Ok(())
}

pub(crate) fn radius<M: Metric>(
    level: Level,
    metric: &M,
    queries: Codes<'_>,
    database: &Database<'_>,
    below: u32,
    parallel: &Parallel<'_>,
) -> Result<Csr<M::Distance>, Error> {
    check_bytes(queries, database.codes())?;
    let queries = Queries::new::<M>(level, queries)?;
    let blocks = visit(
        level,
        metric,
        &queries,
        database,
        parallel,
        usize::MAX,
        |_| Below::new(below),
        |ids, parts| {
            let found = Below::merge(parts, |found| (found.query, found.key, found.id))?;
            Ok((ids.to_vec(), found))
        },
    )?;
    csr(queries.len(), &blocks, M::PADDING, |key| metric.distance(key))
}

/// What was found for blocks of queries, each with the ids of its queries, and sorted by (query, key, id) within a block.
pub(crate) fn csr<D: Copy>(
    n_queries: usize,
    blocks: &[(Vec<usize>, Vec<Found>)],
    padding: D,
    distance: impl Fn(u32) -> D,
) -> Result<Csr<D>, Error> {
    let mut offsets = try_vec(0i64, n_queries + 1)?;
    for (ids, found) in blocks {
        found.iter().for_each(|found| offsets[ids[found.query as usize] + 1] += 1);
    }
    for query in 0..n_queries {
        offsets[query + 1] += offsets[query];
    }
    let n_found = offsets[n_queries] as usize;
    let (mut distances, mut indices) = (try_vec(padding, n_found)?, try_vec(-1, n_found)?);
    for (ids, found) in blocks {
        // A query is in one block, where its results stand together and in order.
        for found in found.chunk_by(|a, b| a.query == b.query) {
            let first = offsets[ids[found[0].query as usize]] as usize;
            for (place, found) in (first..).zip(found) {
                (distances[place], indices[place]) = (distance(found.key), found.id as i64);
            }
        }
    }
    Ok(Csr { offsets, distances, indices })
}

pub(crate) fn pairs<M: Metric>(
    level: Level,
    metric: &M,
    database: &Database<'_>,
    below: u32,
    parallel: &Parallel<'_>,
) -> Result<Pairs<M::Distance>, Error> {
    let queries = Queries::from_database::<M>(level, database.codes())?;
    let blocks = visit(
        level,
        metric,
        &queries,
        database,
        parallel,
        usize::MAX,
        |_| Below::new(below),
        |ids, parts| {
            let found = Below::merge(parts, |found| (ids[found.query as usize], found.id))?;
            Ok((ids.to_vec(), found))
        },
    )?;
    // Rows come as queries in ascending blocks, so the blocks of pairs are in order too.
    let n_pairs = blocks.iter().map(|(_, found)| found.len()).sum();
    let (mut i, mut j, mut distances) = (Vec::new(), Vec::new(), Vec::new());
    i.try_reserve_exact(n_pairs)?;
    j.try_reserve_exact(n_pairs)?;
    distances.try_reserve_exact(n_pairs)?;
    for (ids, found) in blocks {
        i.extend(found.iter().map(|found| ids[found.query as usize] as i64));
        j.extend(found.iter().map(|found| found.id as i64));
        distances.extend(found.iter().map(|found| metric.distance(found.key)));
    }
    Ok(Pairs { i, j, distances })
}
