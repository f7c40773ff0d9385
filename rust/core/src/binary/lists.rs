//! The nearest rows, and those within a radius, in the inverted lists that each query probes.

use std::ops::Range;

use super::Metric;
use crate::bits::popcount_rows;
use crate::codes::check_same_bytes;
use crate::error::try_vec;
use crate::popcount::{Hits, scan_rows};
use crate::select::lists::{self, ListSearch};
use crate::select::mask::RowMask;
use crate::select::sink::{Found, Receiver};
use crate::{Codes, Csr, Error, Level, Mask, Neighbors, Probes, Run};

/// Rows that are compared at a time, so that they stay in the first-level cache.
const ROWS_PER_STEP: usize = 256;

/// Rows that are compared first where there is no bound yet.
const FIRST_ROWS: usize = 64;

/// Finds the nearest selected rows in the lists of each query, where rows stand list by list. Results have the ids of rows.
pub(crate) fn lists_knn<M: Metric>(
    metric: &M,
    (queries, codes): (Codes<'_>, Codes<'_>),
    probes: Probes<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, M::Distance>,
    run: &Run<'_>,
) -> Result<(), Error> {
    lists::knn(&BitSearch::new(metric, (queries, codes), probes, mask, run)?, probes, out, run)
}

/// Finds the selected rows with keys below `below` in the lists of each query, likewise.
pub(crate) fn lists_radius<M: Metric>(
    metric: &M,
    (queries, codes): (Codes<'_>, Codes<'_>),
    probes: Probes<'_>,
    below: u32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<M::Distance>, Error> {
    lists::radius(&BitSearch::new(metric, (queries, codes), probes, mask, run)?, probes, below, run)
}

/// What a thread needs.
struct ListScratch {
    /// The first of its queries.
    first: usize,
    hits: Hits,
    ones: [i32; ROWS_PER_STEP],
}

/// Rows that stand list by list.
struct BitSearch<'a, M> {
    metric: &'a M,
    queries: Codes<'a>,
    codes: Codes<'a>,
    mask: RowMask,
    /// Ones of each query, if the metric needs them.
    query_ones: Vec<i32>,
    level: Level,
}

impl<'a, M: Metric> BitSearch<'a, M> {
    fn new(
        metric: &'a M,
        (queries, codes): (Codes<'a>, Codes<'a>),
        probes: Probes<'_>,
        mask: Mask<'_>,
        run: &Run<'_>,
    ) -> Result<Self, Error> {
        let mask = RowMask::new(mask, codes.n_rows())?.for_words()?;
        check_same_bytes(("queries", queries), ("codes", codes))?;
        probes.check_queries(queries.n_rows())?;
        let mut query_ones = try_vec(0, if M::BY_ONES { queries.n_rows() } else { 0 })?;
        if M::BY_ONES {
            popcount_rows(run.level(), queries, &mut query_ones);
        }
        Ok(BitSearch { metric, queries, codes, mask, query_ones, level: run.level() })
    }
}

impl<M: Metric> ListSearch for BitSearch<'_, M> {
    type Distance = M::Distance;
    const PADDING: M::Distance = M::PADDING;
    type Scratch = ListScratch;

    fn n_rows(&self) -> usize {
        self.codes.n_rows()
    }

    fn words_per_row(&self) -> usize {
        self.codes.n_words()
    }

    fn new_scratch(&self, queries: Range<usize>) -> Result<Self::Scratch, Error> {
        Ok(ListScratch { first: queries.start, hits: Hits::new(), ones: [0; ROWS_PER_STEP] })
    }

    fn visit<R: Receiver>(
        &self,
        positions: &[usize],
        rows: Range<usize>,
        scratch: &mut ListScratch,
        receiver: &mut R,
    ) -> Result<(), Error> {
        positions.iter().try_for_each(|slot| self.visit_slot(*slot, rows.clone(), scratch, receiver))
    }

    fn distance(&self, key: u32) -> M::Distance {
        self.metric.distance(key)
    }
}

impl<M: Metric> BitSearch<'_, M> {
    fn visit_slot<R: Receiver>(
        &self,
        slot: usize,
        rows: Range<usize>,
        scratch: &mut ListScratch,
        receiver: &mut R,
    ) -> Result<(), Error> {
        let ListScratch { first, hits, ones } = scratch;
        let query = *first + slot;
        let query_ones = self.query_ones.get(query).map_or(0, |ones| *ones as u32);
        let mut start = rows.start;
        while start < rows.end {
            let below = receiver.below(slot, 0);
            let step = if below == u32::MAX { FIRST_ROWS } else { ROWS_PER_STEP };
            let end = rows.end.min(start + step);
            let codes = self.codes.slice(start, end);
            let ones = &mut ones[..end - start];
            if M::BY_ONES {
                popcount_rows(self.level, codes, ones);
            }
            let limits = ones
                .iter()
                .fold((u32::MAX, 0), |(low, high), ones| (low.min(*ones as u32), high.max(*ones as u32)));
            hits.clear();
            match self.metric.bound(below, query_ones, limits) {
                0 => {}
                bound => scan_rows(self.level, self.queries.row(query), codes, bound, 0, hits)?,
            }
            for hit in hits.iter() {
                let row = start + hit.row as usize;
                let [word] = self.mask.words::<1>(row / 64);
                let row_ones = ones[hit.row as usize] as u32;
                let key = self.metric.key(hit.distance, query_ones, row_ones);
                if word >> (row % 64) & 1 == 1 && key < receiver.below(slot, 0) {
                    receiver.push(Found { query: slot as u32, key, id: row as u64 })?;
                }
            }
            receiver.settle(slot);
            start = end;
        }
        Ok(())
    }
}
