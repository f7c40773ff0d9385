//! Exact search over packed bits, written once for all metrics that follow from the number of differing bits: [`knn`],
//! [`radius`] and [`pairs`].
//!
//! | file | what it holds |
//! |---|---|
//! | `queries` | the queries of a search, in blocks |
//! | `database` | the selected rows, cut into tasks and tiles |
//! | `lists` | the first two in inverted lists |
//! | `sorted` | the order of rows by their number of ones, with sketches |
//! | `visit` | compares every block of queries with every task, on all threads |
//! | `distances` | all distances of some rows, nothing selected |

mod database;
mod distances;
mod lists;
mod queries;
mod sorted;
mod visit;

use crate::codes::check_same_bytes;
use crate::error::{try_collect, try_copy};
use crate::select::components::UnionFind;
use crate::select::sink::{Below, Found, Joined, largest_block};
use crate::select::top_k::TopK;
use crate::{Codes, Csr, Error, Mask, Neighbors, Pairs, Run};

use database::Database;
pub(crate) use distances::all_distances;
pub(crate) use lists::{lists_knn, lists_radius};
use queries::Queries;
pub use sorted::SortedRows;
use visit::Visit;

/// Sketches save time from this many rows for each neighbour: with fewer, the farthest neighbour bounds little.
const ROWS_PER_NEIGHBOR: usize = 1024;

/// A distance that follows from the number of differing bits and of ones on both sides.
pub(crate) trait Metric: Sync {
    /// What the caller gets.
    type Distance: Copy + Send;
    /// The distance of a missing neighbour.
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

/// Finds the nearest selected rows of each query; the order of the first rows, if it is given, makes that faster.
pub(crate) fn knn<M: Metric>(
    metric: &M,
    queries: Codes<'_>,
    codes: Codes<'_>,
    sorted: Option<&SortedRows>,
    mask: Mask<'_>,
    mut out: Neighbors<'_, M::Distance>,
    run: &Run<'_>,
) -> Result<(), Error> {
    let mut database = Database::new(codes, mask, M::BY_ONES)?.sorted_by(sorted)?;
    if sorted.is_some_and(|sorted| out.k() > sorted.n_rows() / ROWS_PER_NEIGHBOR) {
        database = database.unsorted();
    }
    check_same_bytes(("queries", queries), ("codes", codes))?;
    out.clear(queries.n_rows(), M::PADDING)?;
    if out.k() == 0 {
        return Ok(());
    }
    let k = out.k().min(database.n_selected()).max(1);
    let queries = Queries::new(queries, M::BY_ONES, run.level())?;
    let out = out.shared();
    Visit::new(metric, &queries, &database, run.level()).for_each_block(
        largest_block(k, run.threads()),
        |n_queries| try_collect((0..n_queries).map(|_| TopK::new(k))),
        |ids, parts| out.merge(ids.iter().copied(), parts, |key| metric.distance(key)),
        run,
    )?;
    Ok(())
}

/// Finds the selected rows with keys below `below` for each query.
pub(crate) fn radius<M: Metric>(
    metric: &M,
    queries: Codes<'_>,
    codes: Codes<'_>,
    sorted: Option<&SortedRows>,
    below: u32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<M::Distance>, Error> {
    let database = Database::new(codes, mask, M::BY_ONES)?.sorted_by(sorted)?;
    check_same_bytes(("queries", queries), ("codes", codes))?;
    let queries = Queries::new(queries, M::BY_ONES, run.level())?;
    let order = |_: &[usize], found: &Found| (found.query as usize, found.key, found.id);
    let blocks = Visit::new(metric, &queries, &database, run.level()).collect_below(below, order, run)?;
    Csr::from_blocks(queries.len(), &blocks, M::PADDING, |key| metric.distance(key))
}

/// Finds the pairs of rows with keys below `below`.
pub(crate) fn pairs<M: Metric>(
    metric: &M,
    codes: Codes<'_>,
    below: u32,
    run: &Run<'_>,
) -> Result<Pairs<M::Distance>, Error> {
    let database = Database::new(codes, Mask::All, M::BY_ONES)?;
    let queries = Queries::from_database(codes, M::BY_ONES, run.level())?;
    let order = |ids: &[usize], found: &Found| (ids[found.query as usize], found.id);
    // Rows are queries in ascending blocks, so the pairs of all blocks are in order too.
    let blocks = Visit::new(metric, &queries, &database, run.level()).collect_below(below, order, run)?;
    Pairs::from_blocks(&blocks, |key| metric.distance(key))
}

/// Groups rows by the pairs with keys below `below`, which are not stored: for each row the lowest one of its group.
pub(crate) fn groups<M: Metric>(
    metric: &M,
    codes: Codes<'_>,
    below: u32,
    run: &Run<'_>,
) -> Result<Vec<i64>, Error> {
    let database = Database::new(codes, Mask::All, M::BY_ONES)?;
    let queries = Queries::from_database(codes, M::BY_ONES, run.level())?;
    let groups = UnionFind::new(codes.n_rows())?;
    Visit::new(metric, &queries, &database, run.level()).for_each_block(
        usize::MAX,
        |n_queries| Joined::new(below, &groups, n_queries),
        |ids, parts| {
            parts.iter().for_each(|part| part.finish(ids));
            Ok(())
        },
        run,
    )?;
    groups.labels()
}

/// The ids of the queries of a block, and what was found for them.
type BlockResults = (Vec<usize>, Vec<Found>);

impl<M: Metric> Visit<'_, M> {
    /// The rows with keys below `below` for each block of queries, sorted within a block.
    fn collect_below<K: Ord>(
        &self,
        below: u32,
        order: impl Fn(&[usize], &Found) -> K + Sync,
        run: &Run<'_>,
    ) -> Result<Vec<BlockResults>, Error> {
        let finish = |ids: &[usize], parts| {
            let found = Below::merge(parts, |found| order(ids, found))?;
            Ok((try_copy(ids)?, found))
        };
        self.for_each_block(usize::MAX, |_| Ok(Below::new(below)), finish, run)
    }
}
