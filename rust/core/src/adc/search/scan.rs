//! The sums of all rows.

use super::{BlockScratch, TableSearch, sums, with_width};
use crate::adc::Tables;
use crate::adc::layout::{Blocks, ROWS_PER_BLOCK};
use crate::error::{check_len, try_collect, try_push};
use crate::{Error, Mask, Run};

/// Queries of a task.
const QUERIES_PER_TASK: usize = 64;

/// Writes the sums of all rows, one row of `out` per query.
///
/// # Errors
/// If tables and codes do not go together, a code names no codeword, `out` does not have one element per query and row,
/// the memory does not suffice, or the call was interrupted.
pub fn scan(tables: Tables<'_>, blocks: Blocks<'_>, out: &mut [f32], run: &Run<'_>) -> Result<(), Error> {
    with_width!(scan_of(tables, blocks, out, run))
}

fn scan_of<const N: usize>(
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    out: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    let n_rows = blocks.n_rows();
    let n_sums = tables.n_queries().saturating_mul(n_rows);
    check_len("out", "elements", out.len(), n_sums)?;
    if n_sums == 0 {
        return Ok(());
    }
    let search = TableSearch::<N>::new(tables, blocks, Mask::All, run)?;
    let blocks_per_task = search.blocks_per_task();
    // Each task writes some columns of some rows.
    let mut parts = Vec::new();
    for (group, out) in out.chunks_mut(QUERIES_PER_TASK * n_rows).enumerate() {
        let rows = out.chunks_mut(n_rows).map(|row| row.chunks_mut(blocks_per_task * ROWS_PER_BLOCK));
        let mut rows = try_collect(rows)?;
        for task in 0..search.n_tasks() {
            let out = try_collect(rows.iter_mut().filter_map(Iterator::next))?;
            try_push(&mut parts, (group * QUERIES_PER_TASK, task * blocks_per_task, out))?;
        }
    }
    run.for_words(n_sums.saturating_mul(blocks.n_subspaces()) / 8).for_each_part(
        parts,
        || BlockScratch::<N>::new(0),
        |scratch, _, (first_query, start, out)| {
            let end = (start + blocks_per_task).min(blocks.n_blocks());
            let planes = blocks.get(search.level, start, end, &mut scratch.planes)?;
            for (query, out) in (first_query..).zip(out) {
                let chunks = out.chunks_mut(ROWS_PER_BLOCK);
                for (planes, out) in planes.chunks_exact(blocks.block_len()).zip(chunks) {
                    sums(search.level, search.table(query), planes, 0, &mut scratch.sums);
                    out.copy_from_slice(&scratch.sums[..out.len()]);
                }
            }
            Ok(())
        },
    )?;
    Ok(())
}
