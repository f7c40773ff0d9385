//! Nearest neighbours among candidates: the rows that some inverted lists hold.
//!
//! An inverted list holds the ids of the rows that share a key, for example a hash value. A query probes a few lists, and the
//! rows in them, each counted once, are its candidates. A [`Scorer`] computes how far they are from the query.

use crate::codes::check_same_bytes;
use crate::error::try_copy;
use crate::popcount::distances_of;
use crate::select::lists::{List, Probes};
use crate::select::mask::RowMask;
use crate::select::top_k::{Neighbor, TopK};
use crate::{Codes, Error, Level, Mask, Neighbors, Run};

/// Queries of a task.
const QUERIES_PER_TASK: usize = 16;

/// Candidates that are scored at a time, so that their ids and keys stay in the first-level cache.
const CANDIDATES_PER_BATCH: usize = 1024;

/// The time that collecting a candidate takes, in words compared.
const WORDS_PER_CANDIDATE: usize = 4;

/// How far candidates are from queries.
trait Scorer: Sync {
    /// What the caller gets.
    type Distance: Copy + Send;
    /// The distance of a missing neighbour.
    const PADDING: Self::Distance;

    /// Rows that can be candidates.
    fn n_rows(&self) -> usize;

    /// The time that scoring a candidate takes, in words compared.
    fn words_per_row(&self) -> usize;

    /// Tells the CPU that a row will be scored soon.
    fn prefetch(&self, row: usize);

    /// Writes a key for each row that sorts like its distance to the query.
    fn score(&self, query: usize, rows: &[usize], keys: &mut [u32]);

    /// The distance that a key stands for.
    fn distance(&self, key: u32) -> Self::Distance;
}

/// Scores by Hamming distances.
struct HammingScorer<'a> {
    queries: Codes<'a>,
    codes: Codes<'a>,
    level: Level,
}

impl Scorer for HammingScorer<'_> {
    type Distance = i32;
    const PADDING: i32 = i32::MAX;

    fn n_rows(&self) -> usize {
        self.codes.n_rows()
    }

    fn words_per_row(&self) -> usize {
        self.codes.n_words()
    }

    fn prefetch(&self, row: usize) {
        self.codes.prefetch(row, row + 1);
    }

    fn score(&self, query: usize, rows: &[usize], keys: &mut [u32]) {
        distances_of(self.level, self.queries.row(query), self.codes, rows, keys);
    }

    fn distance(&self, key: u32) -> i32 {
        key as i32
    }
}

/// Finds, among the rows in the lists that each query probes, the nearest by Hamming distance; missing neighbours are
/// `i32::MAX` and -1.
///
/// # Errors
/// [`Error::Mismatch`] if queries and codes differ in bytes or number, or the mask does not have one boolean per row;
/// [`Error::Row`] if an id of a list or of the mask is not a row; [`Error::Length`] if `out` does not have room for each query;
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn hamming_knn(
    queries: Codes<'_>,
    codes: Codes<'_>,
    probes: Probes<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, i32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    check_same_bytes(("queries", queries), ("codes", codes))?;
    probes.check_queries(queries.n_rows())?;
    knn(&HammingScorer { queries, codes, level: run.level() }, probes, mask, out, run)
}

fn knn<S: Scorer>(
    scorer: &S,
    probes: Probes<'_>,
    mask: Mask<'_>,
    mut out: Neighbors<'_, S::Distance>,
    run: &Run<'_>,
) -> Result<(), Error> {
    out.clear(probes.n_queries(), S::PADDING)?;
    let excluded = RowMask::new(mask, scorer.n_rows())?.excluded()?;
    let k = out.k();
    if k == 0 {
        return Ok(());
    }
    let words_per_candidate = WORDS_PER_CANDIDATE + scorer.words_per_row();
    let run = run.for_words(probes.n_candidates().saturating_mul(words_per_candidate));
    let new_candidates = || Ok(Candidates { met: try_copy(&excluded)?, rows: Vec::new() });
    run.for_each_part(out.blocks(QUERIES_PER_TASK), new_candidates, |candidates, task, mut out| {
        let first = task * QUERIES_PER_TASK;
        for query in first..probes.n_queries().min(first + QUERIES_PER_TASK) {
            candidates.collect(scorer, probes.lists(query))?;
            let best = nearest(scorer, query, &candidates.rows, k)?;
            out.write(query - first, &best, |key| scorer.distance(key));
        }
        Ok(())
    })?;
    Ok(())
}

/// The candidates of one query after the other.
struct Candidates {
    /// One bit per row: it is not selected, or was met before.
    met: Vec<u64>,
    rows: Vec<usize>,
}

impl Candidates {
    /// Replaces the candidates by the rows in some lists.
    fn collect<'a, S: Scorer>(
        &mut self,
        scorer: &S,
        lists: impl Iterator<Item = List<'a>>,
    ) -> Result<(), Error> {
        for row in self.rows.drain(..) {
            self.met[row / 64] &= !(1 << (row % 64));
        }
        for list in lists {
            self.rows.try_reserve(list.ids.len())?;
            for &id in list.ids {
                let row = id as usize;
                if row >= scorer.n_rows() {
                    return Err(Error::Row { name: "ids", row: i64::from(id), n_rows: scorer.n_rows() });
                }
                let (word, bit) = (&mut self.met[row / 64], 1 << (row % 64));
                if *word & bit == 0 {
                    *word |= bit;
                    scorer.prefetch(row);
                    self.rows.push(row);
                }
            }
        }
        Ok(())
    }
}

/// The `k` nearest of some rows.
fn nearest<S: Scorer>(scorer: &S, query: usize, rows: &[usize], k: usize) -> Result<Vec<Neighbor>, Error> {
    let mut top_k = TopK::new(k);
    let mut keys = [0; CANDIDATES_PER_BATCH];
    for rows in rows.chunks(CANDIDATES_PER_BATCH) {
        let keys = &mut keys[..rows.len()];
        scorer.score(query, rows, keys);
        for (&row, &key) in rows.iter().zip(&*keys) {
            if key < top_k.below(row as u64) {
                top_k.push(Neighbor { key, id: row as u64 })?;
            }
        }
    }
    TopK::merge([top_k])
}
