//! The nearest rows, and those within a radius, in the inverted lists that each query probes.

use std::ops::Range;

use super::{BlockScratch, QueryGroup, TableSearch, with_width};
use crate::adc::Tables;
use crate::adc::layout::{Blocks, ROWS_PER_BLOCK};
use crate::select::keys::{beyond, value_of};
use crate::select::lists::{self, ListSearch};
use crate::select::sink::Receiver;
use crate::{Csr, Error, Mask, Neighbors, Probes, Run};

/// Up to this many selected rows of a block are summed one by one, without a bound.
const FEW_LISTED_ROWS: u32 = 4;

/// Blocks that are bounded at once.
const BLOCKS_PER_STEP: usize = 8;

/// Finds the rows with the smallest sums in the lists of each query, where rows stand list by list. The offset of a list is added to
/// the sums; results have the ids of rows. Missing neighbours are infinity and -1.
///
/// # Errors
/// As [`knn`](super::knn()), and if there are not lists for each query, and an id for each row.
pub fn lists_knn(
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    probes: Probes<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    with_width!(lists_knn_of(tables, blocks, probes, mask, out, run))
}

/// Finds the rows with a sum of at most `radius` in the lists of each query, likewise.
///
/// # Errors
/// As [`lists_knn`].
pub fn lists_radius(
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    probes: Probes<'_>,
    radius: f32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<f32>, Error> {
    with_width!(lists_radius_of(tables, blocks, probes, radius, mask, run))
}

fn lists_knn_of<const N: usize>(
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    probes: Probes<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    probes.check_queries(tables.n_queries())?;
    lists::knn(&TableSearch::<N>::new(tables, blocks, mask, run)?, probes, out, run)
}

fn lists_radius_of<const N: usize>(
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    probes: Probes<'_>,
    radius: f32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<f32>, Error> {
    probes.check_queries(tables.n_queries())?;
    lists::radius(&TableSearch::<N>::new(tables, blocks, mask, run)?, probes, beyond(radius), run)
}

/// What a thread needs: queries with their quantised tables.
pub(super) struct ListScratch<const N: usize> {
    group: QueryGroup,
    blocks: BlockScratch<N>,
}

impl<const N: usize> ListSearch for TableSearch<'_, N> {
    type Distance = f32;
    const PADDING: f32 = f32::INFINITY;
    type Scratch = ListScratch<N>;

    fn n_rows(&self) -> usize {
        self.blocks.n_rows()
    }

    fn words_per_row(&self) -> usize {
        self.blocks.n_subspaces().div_ceil(8)
    }

    fn new_scratch(&self, queries: Range<usize>) -> Result<ListScratch<N>, Error> {
        let blocks = BlockScratch::new(queries.len())?;
        Ok(ListScratch { group: self.group(queries, 0..0)?, blocks })
    }

    fn visit<R: Receiver>(
        &self,
        positions: &[usize],
        rows: Range<usize>,
        scratch: &mut ListScratch<N>,
        receiver: &mut R,
    ) -> Result<(), Error> {
        let ListScratch { group, blocks } = scratch;
        group.slots.clear();
        group.slots.try_reserve(positions.len())?;
        group.slots.extend_from_slice(positions);
        let (first, end) = (rows.start / ROWS_PER_BLOCK, rows.end.div_ceil(ROWS_PER_BLOCK));
        group.rows = rows;
        // What is found lowers the bound of what follows: much in the first list, little in others.
        let is_bounded = positions.iter().all(|slot| receiver.below(*slot, 0) < u32::MAX);
        let step = if is_bounded { BLOCKS_PER_STEP } else { 1 };
        for start in (first..end).step_by(step) {
            self.visit_some(group, start..end.min(start + step), FEW_LISTED_ROWS, blocks, receiver)?;
            positions.iter().for_each(|slot| receiver.settle(*slot));
        }
        Ok(())
    }

    fn distance(&self, key: u32) -> f32 {
        value_of(key)
    }
}
