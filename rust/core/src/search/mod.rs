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

use std::sync::Mutex;

use crate::top_k::{Neighbor, TopK};
use crate::{Codes, Error, Level, Parallel};

pub(crate) use cdist::cdist;
pub(crate) use database::Database;
use visit::{Found, Queries, Sink, visit};

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
        self[found.query].push(Neighbor { key: found.key, id: found.id });
    }

    fn bounded_alike(&self) -> Self {
        self.iter().map(TopK::bounded_alike).collect()
    }
}

/// Collects everything below one key.
struct Below {
    below: u32,
    found: Vec<Found>,
}

impl Sink for Below {
    fn below(&self, _query: usize, _first_id: u64) -> u32 {
        self.below
    }

    fn push(&mut self, found: Found) {
        self.found.push(found);
    }

    fn bounded_alike(&self) -> Self {
        Below { below: self.below, found: Vec::new() }
    }
}

impl Below {
    fn merge(parts: Vec<Below>) -> Vec<Found> {
        parts.into_iter().flat_map(|part| part.found).collect()
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
const NEIGHBORS_IN_FLIGHT: usize = 1 << 19;

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
    let queries = Queries::new::<M>(level, queries);
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
                let Ok(mut output) = output.lock() else { return };
                let (distances, indices) = &mut *output;
                let row = distances[id * k..].iter_mut().zip(&mut indices[id * k..]);
                for (neighbor, (distance, index)) in best.iter().zip(row) {
                    *distance = metric.distance(neighbor.key);
                    *index = neighbor.id as i64;
                }
            }
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
    let queries = Queries::new::<M>(level, queries);
    let blocks = visit(
        level,
        metric,
        &queries,
        database,
        parallel,
        usize::MAX,
        |_| Below { below, found: Vec::new() },
        |ids, parts| {
            let mut found = Below::merge(parts);
            for found in &mut found {
                found.query = ids[found.query];
            }
            found
        },
    )?;
    let mut found = blocks.concat();
    found.sort_unstable_by_key(|found| (found.query, found.key, found.id));
    let mut offsets = vec![0; queries.len() + 1];
    for found in &found {
        offsets[found.query + 1] += 1;
    }
    for query in 0..queries.len() {
        offsets[query + 1] += offsets[query];
    }
    Ok(Csr {
        offsets,
        distances: found.iter().map(|found| metric.distance(found.key)).collect(),
        indices: found.iter().map(|found| found.id as i64).collect(),
    })
}

pub(crate) fn pairs<M: Metric>(
    level: Level,
    metric: &M,
    database: &Database<'_>,
    below: u32,
    parallel: &Parallel<'_>,
) -> Result<Pairs<M::Distance>, Error> {
    let queries = Queries::from_database::<M>(level, database.codes());
    let blocks = visit(
        level,
        metric,
        &queries,
        database,
        parallel,
        usize::MAX,
        |_| Below { below, found: Vec::new() },
        |ids, parts| {
            let found = Below::merge(parts).into_iter();
            found.map(|found| (ids[found.query] as i64, found.id as i64, found.key)).collect::<Vec<_>>()
        },
    )?;
    let mut pairs: Vec<_> =
        blocks.concat().into_iter().map(|(a, b, key)| (a.min(b), a.max(b), key)).collect();
    pairs.sort_unstable();
    Ok(Pairs {
        i: pairs.iter().map(|pair| pair.0).collect(),
        j: pairs.iter().map(|pair| pair.1).collect(),
        distances: pairs.iter().map(|pair| metric.distance(pair.2)).collect(),
    })
}
