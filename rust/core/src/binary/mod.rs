//! Exact search, written once for all metrics on differing bits: `knn`, `radius` and `pairs`.
//!
//! | file | what it is for |
//! |---|---|
//! | [`database`] | which rows take part, in which order, and how they are cut into tiles |
//! | [`visit`] | brings every tile before every query, on all threads, and hands hits to a [`visit::Sink`] |
//! | `distances` | all distances of some rows, nothing selected |

mod database;
mod distances;
mod visit;

use crate::codes::check_same_bytes;
use crate::select::sink::{Below, largest_block};
use crate::select::top_k::TopK;
use crate::{Codes, Csr, Error, Level, Neighbors, Pairs, Parallel};

pub(crate) use database::Database;
pub(crate) use distances::all_distances;
use visit::{Queries, visit};

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
    check_same_bytes(("queries", queries), ("codes", database.codes()))?;
    let mut out = Neighbors::new(distances, indices, k);
    out.clear(queries.n_rows(), M::PADDING)?;
    if k == 0 {
        return Ok(());
    }
    let kept = k.min(database.n_selected()).max(1);
    let largest_block = largest_block(kept, parallel.threads());
    let out = out.shared();
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
            out.merge(ids.iter().copied(), parts, |key| metric.distance(key));
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
    check_same_bytes(("queries", queries), ("codes", database.codes()))?;
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
    Csr::from_blocks(queries.len(), &blocks, M::PADDING, |key| metric.distance(key))
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
    Pairs::from_blocks(&blocks, |key| metric.distance(key))
}
