//! The nearest of given candidates by float vectors: what a search by codes found is scored again, exactly.
//!
//! A distance is made of sums over the dimensions, in float32 and in the same order at every level: term `i` is added to lane
//! `i % LANES`, in ascending order, with products rounded before they are added. Then the upper half of the lanes is added to the
//! lower half, until one is left. In numpy, with `n` a multiple of `LANES` and zeros after the last dimension:
//!
//! ```text
//! lanes = np.zeros(32, np.float32)
//! for part in terms.reshape(-1, 32): lanes += part
//! while len(lanes) > 1: lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
//!
//! l2       sum((x - q)**2)
//! ip       -sum(x * q)
//! cosine   1 - sum(x * q) / (sqrt(sum(x * x)) * sqrt(sum(q * q)))      1 if a length is 0
//! ```
//!
//! The vectors lie anywhere in memory, so that reading them takes longer than computing with them: rows are fetched ahead. Where a
//! candidate has a bound, which its distance is not expected to be below, candidates are read in ascending order of bounds, until
//! the next one is above the `k`-th smallest distance so far.

mod all;
mod portable;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
use avx2 as avx512;

use std::collections::BinaryHeap;
use std::mem::take;

use crate::codes::prefetch;
use crate::error::check_len;
use crate::level::at_level;
use crate::select::keys::{key, value_of};
use crate::select::top_k::Neighbor;
use crate::{Error, Level, Neighbors, Run};

pub use all::nearest_of_all;

/// A sum is kept in this many lanes: four additions of eight numbers hide the latency of one.
const LANES: usize = 32;

/// Candidates of a task: those of a few queries.
const CANDIDATES_PER_TASK: usize = 4096;

/// Values that are fetched ahead, in whole rows: enough to keep all buffers of misses of a core busy.
const VALUES_AHEAD: usize = 1024;

/// The time that fetching a candidate takes beyond its values, in words compared.
const WORDS_PER_CANDIDATE: usize = 64;

/// Values of a line of the cache.
const VALUES_PER_LINE: usize = 16;

/// How a distance is made of two vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The square of the Euclidean distance.
    L2,
    /// The negative inner product.
    Ip,
    /// One minus the cosine; the cosine with a vector of length 0 is 0.
    Cosine,
}

/// Vectors as arrays hold them: row `i` starts `i * stride` values into the buffer.
#[derive(Clone, Copy, Debug)]
pub struct FloatRows<'a> {
    name: &'static str,
    values: &'a [f32],
    n_rows: usize,
    n_dims: usize,
    stride: usize,
}

impl<'a> FloatRows<'a> {
    /// Rows that start `stride` values apart; `name` is what errors call them.
    ///
    /// # Errors
    /// [`Error::Length`] if `values` end before the last row does.
    pub fn new(
        name: &'static str,
        values: &'a [f32],
        n_rows: usize,
        n_dims: usize,
        stride: usize,
    ) -> Result<Self, Error> {
        let needed = match n_rows {
            0 => 0,
            _ => (n_rows - 1).saturating_mul(stride).saturating_add(n_dims),
        };
        if needed > values.len() {
            return Err(Error::Length { name, unit: "elements", given: values.len(), expected: needed });
        }
        Ok(FloatRows { name, values: &values[..needed], n_rows, n_dims, stride })
    }

    /// Rows `start..end`.
    fn slice(&self, start: usize, end: usize) -> Self {
        FloatRows { values: &self.values[start * self.stride..], n_rows: end - start, ..*self }
    }

    fn check_same_dims(&self, other: &FloatRows<'_>) -> Result<(), Error> {
        if self.n_dims == other.n_dims {
            return Ok(());
        }
        let (first, second) = ((self.name, self.n_dims), (other.name, other.n_dims));
        Err(Error::Mismatch { unit: "dimensions", first, second, hint: "expected as many" })
    }

    #[inline]
    fn row(&self, row: i64) -> Option<&'a [f32]> {
        let row = usize::try_from(row).ok().filter(|row| *row < self.n_rows)?;
        Some(&self.values[row * self.stride..][..self.n_dims])
    }
}

/// The candidates of each query, as many for each.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// What results call them; a negative number is no candidate.
    pub ids: &'a [i64],
    /// The row of each in the vectors, if that is not the id.
    pub rows: Option<&'a [i64]>,
    /// What its distance is not expected to be below.
    pub bounds: Option<&'a [f32]>,
}

impl<'a> Candidates<'a> {
    /// Those of query `index`, of `n`.
    fn of(&self, index: usize, n: usize) -> Candidates<'a> {
        let own = index * n..(index + 1) * n;
        Candidates {
            ids: &self.ids[own.clone()],
            rows: self.rows.map(|rows| &rows[own.clone()]),
            bounds: self.bounds.map(|bounds| &bounds[own]),
        }
    }

    /// The row of the candidate at a position, if there is one.
    #[inline]
    fn row(&self, position: usize) -> Option<i64> {
        let id = self.ids[position];
        if id < 0 { None } else { Some(self.rows.map_or(id, |rows| rows[position])) }
    }
}

/// A query, and what distances to it need.
struct Query<'a> {
    metric: Metric,
    values: &'a [f32],
    /// Its Euclidean length, for the cosine.
    length: f32,
}

/// The distance of a row to a query; not finite if it, or what it is made of, does not fit float32.
fn distance(level: Level, query: &Query<'_>, row: &[f32]) -> f32 {
    at_level!(level, distance(query, row))
}

/// Writes the distance of each row to a query, likewise.
fn distances(level: Level, query: &Query<'_>, rows: FloatRows<'_>, out: &mut [f32]) {
    at_level!(level, distances(query, rows, out));
}

/// Finds the nearest candidates of each query. `out` has those that were found before, at distances `inf` with the index -1 where there
/// are none, and the candidates compete with them; `n_read` is increased by the number of vectors that were read.
///
/// # Errors
/// [`Error::Mismatch`] if queries and vectors differ in dimensions; [`Error::Length`] if an array does not have as many elements as go
/// with the others; [`Error::Range`] for 2^32 candidates; [`Error::Row`] for a candidate without a vector; [`Error::Incompatible`] for
/// one whose distance is not finite; [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn nearest(
    queries: FloatRows<'_>,
    candidates: Candidates<'_>,
    vectors: FloatRows<'_>,
    metric: Metric,
    out: Neighbors<'_, f32>,
    n_read: &mut [i64],
    run: &Run<'_>,
) -> Result<(), Error> {
    let (n_queries, n_all) = (queries.n_rows, candidates.ids.len());
    queries.check_same_dims(&vectors)?;
    let n = n_all.checked_div(n_queries).unwrap_or(0);
    check_len("candidates", "elements", n_all, n * n_queries)?;
    check_len("rows", "elements", candidates.rows.map_or(n_all, <[i64]>::len), n_all)?;
    check_len("bounds", "elements", candidates.bounds.map_or(n_all, <[f32]>::len), n_all)?;
    check_len("n_read", "elements", n_read.len(), n_queries)?;
    out.check(n_queries)?;
    let high = u32::MAX as usize;
    if n > high {
        let unit = "elements for each query";
        return Err(Error::Range { name: "candidates", unit, given: n, low: 0, high });
    }
    let k = out.k();
    if k == 0 || n == 0 {
        return Ok(());
    }
    let level = run.level();
    let per_task = (CANDIDATES_PER_TASK / n).max(1);
    let words = n_all.saturating_mul(WORDS_PER_CANDIDATE + queries.n_dims / 2);
    run.for_words(words).for_each_part(
        out.blocks(per_task).zip(n_read.chunks_mut(per_task)),
        || Reader::new(k, n, candidates.bounds.is_some()),
        |reader, task, (mut out, n_read)| {
            for (slot, n_read) in n_read.iter_mut().enumerate() {
                let index = task * per_task + slot;
                let values = queries.row(index as i64).unwrap_or_default();
                let length = match metric {
                    Metric::Cosine => portable::length(values),
                    _ => 0.0,
                };
                let query = Query { metric, values, length };
                reader.start(out.found(slot));
                *n_read += reader.read(level, &query, candidates.of(index, n), vectors)?;
                reader.finish(|best| out.write(slot, best, value_of));
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// Reads the candidates of one query after the other.
struct Reader {
    k: usize,
    /// The nearest so far, the farthest of them on top. Not a `TopK`, whose threshold lags: each vector that is read is a miss.
    best: BinaryHeap<Neighbor>,
    /// With bounds: the key of the bound of each candidate above its position.
    order: Vec<u64>,
}

impl Reader {
    fn new(k: usize, n: usize, has_bounds: bool) -> Result<Self, Error> {
        let (mut best, mut order) = (BinaryHeap::new(), Vec::new());
        // There may be `k` from an earlier call.
        best.try_reserve(k)?;
        order.try_reserve_exact(if has_bounds { n } else { 0 })?;
        Ok(Reader { k, best, order })
    }

    fn start(&mut self, found: impl Iterator<Item = (f32, i64)>) {
        let found = found.take_while(|(_, id)| *id >= 0);
        self.best.extend(found.map(|(distance, id)| Neighbor { key: key(distance + 0.0), id: id as u64 }));
    }

    /// Returns the number of vectors that were read.
    fn read(
        &mut self,
        level: Level,
        query: &Query<'_>,
        candidates: Candidates<'_>,
        vectors: FloatRows<'_>,
    ) -> Result<i64, Error> {
        let Reader { k, best, order } = self;
        if let Some(bounds) = candidates.bounds {
            order.clear();
            let some = (0..).zip(bounds).zip(candidates.ids).filter(|(_, id)| **id >= 0);
            order
                .extend(some.map(|((position, bound), _): ((u64, _), _)| bound_key(*bound) << 32 | position));
            order.sort_unstable();
        }
        let len = if candidates.bounds.is_some() { order.len() } else { candidates.ids.len() };
        // Where there is no order: the positions, with bounds below all distances.
        let at = |index: usize| order.get(index).copied().unwrap_or(index as u64);
        let fetch = |index: usize| {
            if index < len
                && let Some(row) = candidates.row(at(index) as u32 as usize)
            {
                prefetch_row(vectors.row(row).unwrap_or_default());
            }
        };
        let ahead = (VALUES_AHEAD / vectors.n_dims.max(1)).max(1);
        (0..ahead.min(len)).for_each(fetch);
        let mut n_read = 0;
        for index in 0..len {
            fetch(index + ahead);
            let (bound, position) = ((at(index) >> 32) as u32, at(index) as u32 as usize);
            let worst = if best.len() < *k { None } else { best.peek() };
            if bound > worst.map_or(key(f32::INFINITY), |worst| worst.key) {
                break;
            }
            let Some(row) = candidates.row(position) else { continue };
            let Some(values) = vectors.row(row) else {
                return Err(Error::Row { name: "candidates", row, n_rows: vectors.n_rows });
            };
            let distance = distance(level, query, values);
            let id = candidates.ids[position];
            if !distance.is_finite() {
                return Err(not_finite(vectors.name, id));
            }
            n_read += 1;
            // Plus zero: no distance is minus zero.
            let neighbor = Neighbor { key: key(distance + 0.0), id: id as u64 };
            if best.len() < *k {
                best.push(neighbor);
            } else if let Some(mut worst) = best.peek_mut()
                && neighbor < *worst
            {
                *worst = neighbor;
            }
        }
        Ok(n_read)
    }

    /// Passes the nearest in order, and forgets them.
    fn finish(&mut self, write: impl FnOnce(&[Neighbor])) {
        let mut best = take(&mut self.best).into_vec();
        best.sort_unstable();
        write(&best);
        best.clear();
        self.best = best.into();
    }
}

/// A number that sorts like the bound, and the same as the key of such a distance; NaN comes after all others.
fn bound_key(bound: f32) -> u64 {
    if bound.is_nan() { u64::from(u32::MAX) } else { u64::from(key(bound + 0.0)) }
}

fn prefetch_row(row: &[f32]) {
    for index in (0..row.len()).step_by(VALUES_PER_LINE) {
        prefetch(row, index);
    }
    // Rows need not begin where lines do.
    prefetch(row, row.len().wrapping_sub(1));
}

fn not_finite(name: &str, id: i64) -> Error {
    Error::Incompatible {
        problem: format!(
            "{name} has a row, {id}, whose distance to a query is not a finite float32; expected vectors without NaN, infinities or \
             huge numbers"
        ),
    }
}
