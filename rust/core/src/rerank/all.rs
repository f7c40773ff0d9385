//! The nearest of a few vectors, all of which are read: the centers of inverted lists.

use super::{FloatRows, Metric, Query, distances, not_finite, portable};
use crate::error::{try_collect, try_vec};
use crate::select::keys::{key, value_of};
use crate::select::top_k::{Neighbor, TopK};
use crate::{Error, Neighbors, Run};

/// Queries of a task.
const QUERIES_PER_TASK: usize = 16;

/// Values of the vectors that are compared with all queries of a task while they are in the first-level cache.
const VALUES_PER_TILE: usize = 4096;

/// Finds the nearest vectors of each query. Missing neighbours are infinity and -1.
///
/// # Errors
/// As [`nearest`](super::nearest()).
pub fn nearest_of_all(
    queries: FloatRows<'_>,
    vectors: FloatRows<'_>,
    metric: Metric,
    mut out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    queries.check_same_dims(&vectors)?;
    out.clear(queries.n_rows, f32::INFINITY)?;
    let (level, k) = (run.level(), out.k().min(vectors.n_rows));
    if k == 0 {
        return Ok(());
    }
    let rows_per_tile = (VALUES_PER_TILE / vectors.n_dims.max(1)).clamp(1, vectors.n_rows);
    let words = queries.n_rows.saturating_mul(vectors.n_rows).saturating_mul(vectors.n_dims / 2);
    run.for_words(words).for_each_part(
        out.blocks(QUERIES_PER_TASK),
        || try_vec(0.0, rows_per_tile),
        |found, task, mut out| {
            let first = task * QUERIES_PER_TASK;
            let own = first..queries.n_rows.min(first + QUERIES_PER_TASK);
            let mut nearest = try_collect(own.map(|index| {
                let values = queries.row(index as i64).unwrap_or_default();
                (Query { metric, values, length: portable::length(values) }, TopK::new(k))
            }))?;
            for start in (0..vectors.n_rows).step_by(rows_per_tile) {
                let rows = vectors.slice(start, vectors.n_rows.min(start + rows_per_tile));
                let found = &mut found[..rows.n_rows];
                for (query, top_k) in &mut nearest {
                    distances(level, query, rows, found);
                    let mut below = top_k.below(start as u64);
                    for (id, distance) in (start as u64..).zip(&*found) {
                        if !distance.is_finite() {
                            return Err(not_finite(vectors.name, id as i64));
                        }
                        // Plus zero: no distance is minus zero.
                        let key = key(distance + 0.0);
                        if key < below {
                            top_k.push(Neighbor { key, id })?;
                            below = top_k.below(id);
                        }
                    }
                }
            }
            for (slot, (_, top_k)) in nearest.into_iter().enumerate() {
                out.write(slot, &TopK::merge([top_k])?, value_of);
            }
            Ok(())
        },
    )?;
    Ok(())
}
