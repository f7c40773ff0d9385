//! Search of a few rows for each query: those in the buckets of hash tables that it looks into.

use std::sync::{Mutex, PoisonError};

use crate::popcount::distances_of;
use crate::select::top_k::{Neighbor, TopK};
use crate::{Codes, Error, Level, Mask, Parallel};

/// Queries of a task.
const TOGETHER: usize = 16;

/// Rows that are compared at a time, so that their ids and distances stay in the first-level cache.
const COMPARED: usize = 1024;

/// Buckets of hash tables: bucket `b` of query `q` is `ids[starts[q][b]..stops[q][b]]`.
#[derive(Clone, Copy, Debug)]
pub struct Buckets<'a> {
    starts: &'a [i64],
    stops: &'a [i64],
    ids: &'a [u32],
    n_queries: usize,
}

impl<'a> Buckets<'a> {
    /// As many starts and stops for each query.
    ///
    /// # Errors
    /// [`Error::Buckets`] if there are not, or a bucket does not lie within the ids.
    pub fn new(starts: &'a [i64], stops: &'a [i64], ids: &'a [u32], n_queries: usize) -> Result<Self, Error> {
        let mut ends = starts.iter().zip(stops);
        let is_within = ends.all(|(start, stop)| {
            let (start, stop) = (usize::try_from(*start), usize::try_from(*stop));
            matches!((start, stop), (Ok(start), Ok(stop)) if start <= stop && stop <= ids.len())
        });
        let is_whole =
            if n_queries == 0 { starts.is_empty() } else { starts.len().is_multiple_of(n_queries) };
        if starts.len() != stops.len() || !is_whole || !is_within {
            return Err(Error::Buckets);
        }
        Ok(Buckets { starts, stops, ids, n_queries })
    }

    /// The buckets of a query.
    fn of(&self, query: usize) -> impl Iterator<Item = &'a [u32]> + use<'a> {
        let n = self.starts.len() / self.n_queries.max(1);
        let ids = self.ids;
        let ends = self.starts[query * n..][..n].iter().zip(&self.stops[query * n..][..n]);
        // They were looked at before, but may have been changed since.
        ends.map(|(start, stop)| ids.get(*start as usize..*stop as usize).unwrap_or_default())
    }
}

/// What a worker needs.
struct Scratch {
    /// A bit for each row: it does not take part, or was met before.
    met: Vec<u64>,
    ids: Vec<u32>,
    distances: Vec<u32>,
    error: Result<(), Error>,
}

/// Finds, among the rows in the buckets of each query, the `k` nearest to it; a row that is in several counts once. Row `i` of
/// the results starts at `i * k`; missing neighbours are `i32::MAX` and -1.
///
/// # Errors
/// If queries and codes differ in bytes, there are not buckets for each query, an id names no row, the mask does not fit the
/// codes, an output has not `n_queries * k` elements, or the call was interrupted.
#[allow(clippy::too_many_arguments, reason = "they are the arguments of one search")]
pub fn knn(
    level: Level,
    queries: Codes<'_>,
    codes: Codes<'_>,
    buckets: Buckets<'_>,
    k: usize,
    mask: Mask<'_>,
    parallel: &Parallel<'_>,
    distances: &mut [i32],
    indices: &mut [i64],
) -> Result<(), Error> {
    if queries.n_bytes() != codes.n_bytes() {
        let (first, second) = (("queries", queries.n_bytes()), ("codes", codes.n_bytes()));
        return Err(Error::BytesDiffer { first, second });
    }
    if queries.n_rows() != buckets.n_queries {
        return Err(Error::Buckets);
    }
    let expected = queries.n_rows().saturating_mul(k);
    for given in [distances.len(), indices.len()] {
        if given != expected {
            return Err(Error::OutputLength { given, expected });
        }
    }
    distances.fill(i32::MAX);
    indices.fill(-1);
    let excluded = excluded(mask, codes.n_rows())?;
    if k == 0 {
        return Ok(());
    }
    let parts = distances.chunks_mut(TOGETHER * k).zip(indices.chunks_mut(TOGETHER * k));
    let parts: Vec<_> = parts.map(Mutex::new).collect();
    let words = buckets.starts.iter().zip(buckets.stops).fold(0_usize, |sum, (start, stop)| {
        let n_rows = usize::try_from(stop.saturating_sub(*start)).unwrap_or(0);
        sum.saturating_add(n_rows.saturating_mul(4 + codes.n_words()))
    });
    let new_scratch =
        || Scratch { met: excluded.clone(), ids: Vec::new(), distances: vec![0; COMPARED], error: Ok(()) };
    let workers = parallel.for_words(words).run(parts.len(), new_scratch, |scratch, task| {
        let mut part = parts[task].lock().unwrap_or_else(PoisonError::into_inner);
        let (distances, indices) = &mut *part;
        let rows = distances.chunks_mut(k).zip(indices.chunks_mut(k));
        for (query, (distances, indices)) in (task * TOGETHER..).zip(rows) {
            match nearest(level, queries.row(query), codes, buckets.of(query), k, scratch) {
                Ok(best) => {
                    for (neighbor, (distance, index)) in best.iter().zip(distances.iter_mut().zip(indices)) {
                        (*distance, *index) = (neighbor.key as i32, neighbor.id as i64);
                    }
                }
                Err(error) => scratch.error = Err(error),
            }
        }
    })?;
    workers.into_iter().try_for_each(|scratch| scratch.error)
}

fn nearest<'a>(
    level: Level,
    query: &[u8],
    codes: Codes<'_>,
    buckets: impl Iterator<Item = &'a [u32]>,
    k: usize,
    scratch: &mut Scratch,
) -> Result<Vec<Neighbor>, Error> {
    let Scratch { met, ids, distances, .. } = scratch;
    ids.clear();
    let mut all_are_rows = true;
    for bucket in buckets {
        ids.try_reserve(bucket.len())?;
        for &id in bucket {
            let row = id as usize;
            if row >= codes.n_rows() {
                all_are_rows = false;
                continue;
            }
            let (word, bit) = (&mut met[row / 64], 1 << (row % 64));
            if *word & bit == 0 {
                *word |= bit;
                codes.prefetch(row, row + 1);
                ids.push(id);
            }
        }
    }
    let mut top_k = TopK::new(k);
    for ids in ids.chunks(COMPARED) {
        let distances = &mut distances[..ids.len()];
        distances_of(level, query, codes, ids, distances);
        for (id, distance) in ids.iter().zip(&*distances) {
            if *distance < top_k.below(u64::from(*id)) {
                top_k.push(Neighbor { key: *distance, id: u64::from(*id) });
            }
        }
    }
    for id in &*ids {
        met[*id as usize / 64] &= !(1 << (id % 64));
    }
    if all_are_rows { Ok(TopK::merge([top_k])) } else { Err(Error::Buckets) }
}

/// A bit for each row that does not take part.
fn excluded(mask: Mask<'_>, n_rows: usize) -> Result<Vec<u64>, Error> {
    let n_words = n_rows.div_ceil(64);
    match mask {
        Mask::All => crate::error::try_vec(0, n_words),
        Mask::Booleans(booleans) => {
            if booleans.len() != n_rows {
                return Err(Error::MaskLength { given: booleans.len(), expected: n_rows });
            }
            let mut excluded = crate::error::try_vec(0, n_words)?;
            for (row, is_selected) in booleans.iter().enumerate() {
                excluded[row / 64] |= u64::from(*is_selected == 0) << (row % 64);
            }
            Ok(excluded)
        }
        Mask::Ids(ids) => {
            let mut excluded = crate::error::try_vec(u64::MAX, n_words)?;
            for &id in ids {
                match usize::try_from(id) {
                    Ok(row) if row < n_rows => excluded[row / 64] &= !(1 << (row % 64)),
                    _ => return Err(Error::MaskId { id, n_rows }),
                }
            }
            Ok(excluded)
        }
    }
}
