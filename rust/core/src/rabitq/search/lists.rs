//! The nearest rows, and those within a radius, in the inverted lists that each query probes.

use std::ops::Range;

use super::{BlockRows, Database, QUERIES_PER_GROUP, Queries, ROWS_PER_BLOCK, Scratch, Search, offer};
use crate::error::try_collect;
use crate::select::keys::{beyond, value_of};
use crate::select::lists::{self, ListSearch};
use crate::select::sink::Receiver;
use crate::{Csr, Error, Mask, Neighbors, Probes, Run};

/// Finds the rows with the smallest distances in the lists of each query, where rows stand list by list. The offset of a list is added
/// to the distances; results have the ids of rows. Missing neighbours are infinity and -1.
///
/// # Errors
/// As [`knn`](super::knn), and if there are not lists for each query, and an id for each row.
pub fn lists_knn(
    queries: &Queries,
    database: Database<'_>,
    probes: Probes<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    probes.check_queries(queries.n_queries())?;
    lists::knn(&Search::new(queries, database, mask, run)?, probes, out, run)
}

/// Finds the rows with a distance of at most `radius` in the lists of each query, likewise.
///
/// # Errors
/// As [`lists_knn`].
pub fn lists_radius(
    queries: &Queries,
    database: Database<'_>,
    probes: Probes<'_>,
    radius: f32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<f32>, Error> {
    probes.check_queries(queries.n_queries())?;
    lists::radius(&Search::new(queries, database, mask, run)?, probes, beyond(radius), run)
}

impl ListSearch for Search<'_> {
    type Distance = f32;
    const PADDING: f32 = f32::INFINITY;
    type Scratch = ListScratch;

    fn n_rows(&self) -> usize {
        self.database.n_rows()
    }

    fn words_per_row(&self) -> usize {
        self.database.grid.n_bytes(self.database.n_dims).div_ceil(8)
    }

    fn new_scratch(&self, queries: Range<usize>) -> Result<ListScratch, Error> {
        let n_together = queries.len().min(QUERIES_PER_GROUP);
        Ok(ListScratch { first: queries.start, sums: Scratch::new(n_together, self.database)? })
    }

    fn visit<R: Receiver>(
        &self,
        positions: &[usize],
        rows: Range<usize>,
        scratch: &mut ListScratch,
        receiver: &mut R,
    ) -> Result<(), Error> {
        for positions in positions.chunks(QUERIES_PER_GROUP) {
            let queries = try_collect(positions.iter().map(|position| scratch.first + position))?;
            let blocks = rows.start / ROWS_PER_BLOCK..rows.end.div_ceil(ROWS_PER_BLOCK);
            let has_rows = |block: &usize| {
                let selected: BlockRows = self.mask.words_within(block * (ROWS_PER_BLOCK / 64), &rows);
                selected != BlockRows::default()
            };
            let (blocks, sums) = (blocks.filter(has_rows), &mut scratch.sums);
            self.visit_blocks(&queries, blocks, &rows, sums, |slot, block, distances, selected| {
                let (slot, first_id) = (positions[slot], (block * ROWS_PER_BLOCK) as u64);
                offer(self.level, receiver, slot, first_id, distances, selected)?;
                receiver.settle(slot);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn distance(&self, key: u32) -> f32 {
        value_of(key)
    }
}

/// What a thread needs.
pub(super) struct ListScratch {
    /// The first of its queries.
    first: usize,
    sums: Scratch,
}
