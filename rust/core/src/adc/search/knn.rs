//! The nearest rows of each query.

use std::array;
use std::ops::RangeInclusive;

use super::{BlockScratch, FEW_ROWS, QueryGroup, TableSearch, count, offer, sums, take_lowest, with_width};
use crate::adc::layout::{Blocks, ROWS_PER_BLOCK, ROWS_PER_QUARTER};
use crate::adc::{BlockRows, Tables};
use crate::error::try_collect;
use crate::select::keys::value_of;
use crate::select::sink::largest_block;
use crate::select::top_k::TopK;
use crate::{Error, Mask, Neighbors, Run};

/// Look-ups that a query makes first, within a sensible number of rows, ...
const FIRST_LOOKUPS: usize = 1 << 16;
const FIRST_ROWS: RangeInclusive<usize> = 1024..=4096;

/// ... and at least this many rows per neighbour.
const FIRST_ROWS_PER_NEIGHBOR: usize = 16;

/// Quarters of a block.
const QUARTERS_PER_BLOCK: usize = ROWS_PER_BLOCK / ROWS_PER_QUARTER;

/// Finds the rows with the smallest sums for each query. Missing neighbours are infinity and -1.
///
/// # Errors
/// If tables and codes do not go together, a code names no codeword, the mask does not fit the codes, `out` does not fit the
/// queries, the memory does not suffice, or the call was interrupted.
pub fn knn(
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    mask: Mask<'_>,
    out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    with_width!(knn_of(tables, blocks, mask, out, run))
}

fn knn_of<const N: usize>(
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    mask: Mask<'_>,
    mut out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    out.clear(tables.n_queries(), f32::INFINITY)?;
    let search = TableSearch::<N>::new(tables, blocks, mask, run)?;
    let kept = out.k().min(search.mask.n_selected());
    if kept == 0 {
        return Ok(());
    }
    let wanted = (FIRST_LOOKUPS / blocks.n_subspaces()).clamp(*FIRST_ROWS.start(), *FIRST_ROWS.end());
    let wanted = wanted.max(kept.saturating_mul(FIRST_ROWS_PER_NEIGHBOR));
    let (first, are_all) = search.first_rows(wanted)?;
    let out = out.shared();
    search.for_each_group(largest_block(kept, run.threads()), run, |group, run| {
        let seed = run.map_tasks(
            group.queries.len(),
            || BlockScratch::new(0),
            |scratch, slot| search.look(group.queries.start + slot, &first, scratch, kept),
        )?;
        let found = if are_all { vec![seed] } else { search.visit(&group, &seed, run)? };
        out.merge(group.queries, found, value_of)
    })?;
    Ok(())
}

impl<const N: usize> TableSearch<'_, N> {
    /// Rows that a query looks at first, by blocks: about `wanted` of them from all over the database, or all if they are
    /// hardly more; and whether they are all.
    fn first_rows(&self, wanted: usize) -> Result<(Vec<(usize, BlockRows)>, bool), Error> {
        if wanted.saturating_mul(2) >= self.mask.n_selected() {
            let rows = |block| (block, self.words(block));
            let all = match &self.listed {
                Some(listed) => try_collect(listed.iter().copied().map(rows)),
                None => try_collect((0..self.blocks.n_blocks()).map(rows)),
            };
            return Ok((all?, true));
        }
        // A quarter of many blocks: there are fewer whole blocks, and neighbouring rows may be alike.
        let listed = self.listed.iter().flatten().map(|block| (*block, self.words(*block)));
        let quarters = try_collect(listed.flat_map(|(block, selected)| {
            let has_rows = move |part: &usize| quarter(*part, &selected) != [0; QUARTERS_PER_BLOCK];
            (0..QUARTERS_PER_BLOCK).filter(has_rows).map(move |part| block * QUARTERS_PER_BLOCK + part)
        }))?;
        let n_quarters =
            if self.mask.is_all() { self.blocks.n_rows().div_ceil(ROWS_PER_QUARTER) } else { quarters.len() };
        let n_first = wanted.saturating_mul(n_quarters).div_ceil(self.mask.n_selected());
        let first = (0..n_first).map(|index| {
            let position = (2 * index + 1) * n_quarters / (2 * n_first);
            let position = quarters.get(position).copied().unwrap_or(position);
            let block = position / QUARTERS_PER_BLOCK;
            (block, quarter(position % QUARTERS_PER_BLOCK, &self.words(block)))
        });
        Ok((try_collect(first)?, false))
    }

    /// The selected rows of a block.
    fn words(&self, block: usize) -> BlockRows {
        self.mask.words(block * (ROWS_PER_BLOCK / 64))
    }

    /// Sums some rows of some blocks for one query.
    fn look(
        &self,
        query: usize,
        rows: &[(usize, BlockRows)],
        scratch: &mut BlockScratch<N>,
        kept: usize,
    ) -> Result<TopK, Error> {
        let (queries, rows_of_all) = (query..query + 1, 0..self.blocks.n_rows());
        let group = QueryGroup { queries, offsets: Vec::new(), slots: vec![0], rows: rows_of_all };
        let mut sink = vec![TopK::new(kept)];
        for &(block, rows) in rows {
            let part = take_lowest(&mut rows.clone()).unwrap_or(0) / ROWS_PER_QUARTER;
            let is_one_quarter = quarter(part, &rows) == rows;
            if count(&rows) <= FEW_ROWS {
                self.visit_rows(&group, block, rows, &mut sink)?;
            } else if is_one_quarter {
                let (planes, first_row) =
                    self.blocks.get_quarter(self.level, block, part, &mut scratch.planes)?;
                let row_sums = &mut scratch.sums[..ROWS_PER_QUARTER];
                sums(self.level, self.table(query), planes, first_row, row_sums);
                let mut left = rows;
                while let Some(row) = take_lowest(&mut left) {
                    let sum = row_sums[row % ROWS_PER_QUARTER];
                    offer(&mut sink, 0, (block * ROWS_PER_BLOCK + row) as u64, sum)?;
                }
            } else {
                let planes = self.blocks.get(self.level, block, block + 1, &mut scratch.planes)?;
                self.sum_up(query, 0, block, rows, planes, &mut scratch.sums, &mut sink)?;
            }
        }
        Ok(sink.swap_remove(0))
    }
}

/// Those of some rows of a block that are in one of its quarters.
fn quarter(part: usize, rows: &BlockRows) -> BlockRows {
    array::from_fn(|word| if word == part { rows[word] } else { 0 })
}
