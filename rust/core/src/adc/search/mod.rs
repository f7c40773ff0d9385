//! Exact search by sums of look-ups: `knn`, `radius` and `scan`.
//!
//! Each tile of blocks is scanned for all queries of a group. The [`QuantizedTables`] of a query bound the sums of all rows; the
//! rows that pass are summed in float. How many pass depends on the k-th best so far, hence a query first looks at some blocks
//! from all over the database: rows in an unlucky order then cost little more than others.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | groups of queries, and how they visit the blocks |
//! | `knn`, `radius`, `scan` | the three searches |
//! | `lists` | the first two in inverted lists |

mod knn;
mod lists;
mod radius;
mod scan;

use std::array;
use std::borrow::Cow;
use std::mem;
use std::ops::Range;

use super::bound::{Offsets, QuantizedTables, Threshold};
use super::layout::{Blocks, ROWS_PER_BLOCK, code_at};
use super::{BlockHits, BlockRows, Tables, alike, bound_sums, sums};
use crate::error::{try_collect, try_push};
use crate::select::groups::for_each_group;
use crate::select::keys::{key, largest};
use crate::select::mask::RowMask;
use crate::select::sink::{Found, Receiver, Sink};
use crate::{Error, Level, Mask, Run};

pub use knn::knn;
pub use lists::{lists_knn, lists_radius};
pub use radius::radius;
pub use scan::scan;

/// Bytes of the blocks of a task: few enough to stay in the second-level cache while all queries visit them.
const BLOCK_BYTES_PER_TASK: usize = 64 * 1024;

/// Bytes of the quantised tables of a group of queries, likewise.
const TABLE_BYTES_PER_GROUP: usize = 512 * 1024;

/// Queries of a group at most, so that an interrupted call ends soon.
const QUERIES_PER_GROUP: usize = 128;

/// Queries whose tables share the registers that hold codes, at most.
const QUERIES_PER_PASS: usize = 4;

/// The same for tables of `N` entries: those of 256 fill more registers.
const fn queries_per_pass<const N: usize>() -> usize {
    if N == 16 { QUERIES_PER_PASS } else { 2 }
}

/// Rows that are summed side by side: independent sums do not wait for each other.
const ROWS_SUMMED_TOGETHER: usize = 8;

/// Up to this many selected rows of a block are summed one by one, without a bound.
const FEW_ROWS: u32 = 16;

/// With more rows of a block within the bound, it pays to look for copies of a row that did not qualify, ...
const MANY_ALIKE: u32 = 8;

/// ... and to sum the whole block.
const MANY_ROWS: u32 = 48;

/// How many rows these are.
fn count(rows: &BlockRows) -> u32 {
    rows.iter().map(|word| word.count_ones()).sum()
}

/// Takes the lowest of some rows.
fn take_lowest(rows: &mut BlockRows) -> Option<usize> {
    let word = rows.iter().position(|word| *word != 0)?;
    let row = rows[word].trailing_zeros() as usize;
    rows[word] &= rows[word] - 1;
    Some(word * 64 + row)
}

/// A search: tables, blocks and the selected rows. `N` is the number of entries of a table: 256, or 16 for blocks of nibbles.
struct TableSearch<'a, const N: usize> {
    level: Level,
    tables: Cow<'a, [[f32; N]]>,
    blocks: Blocks<'a>,
    mask: RowMask,
    /// The blocks that have selected rows, in ascending order, unless all rows are selected.
    listed: Option<Vec<usize>>,
    n_queries: usize,
}

/// Queries that are searched together, in slots.
struct QueryGroup {
    queries: Range<usize>,
    offsets: Vec<Offsets>,
    /// The slots of those that are compared now.
    slots: Vec<usize>,
    /// The rows with which they are.
    rows: Range<usize>,
}

/// Some blocks that follow each other.
#[derive(Clone, Copy)]
struct BlockTile<'a> {
    first_block: usize,
    planes: &'a [u8],
}

/// What a worker needs in addition to its sink.
struct BlockScratch<const N: usize> {
    planes: Vec<u8>,
    quantized: Vec<QuantizedTables<N>>,
    hits: Vec<BlockHits>,
    /// Rows of a tile within the bound, for each query of a pass.
    few: [Vec<usize>; QUERIES_PER_PASS],
    sums: [f32; ROWS_PER_BLOCK],
}

impl<const N: usize> BlockScratch<N> {
    fn new(n_queries: usize) -> Result<Self, Error> {
        Ok(BlockScratch {
            planes: Vec::new(),
            quantized: try_collect((0..n_queries).map(|_| QuantizedTables::new()))?,
            hits: Vec::new(),
            few: array::from_fn(|_| Vec::new()),
            sums: [0.0; ROWS_PER_BLOCK],
        })
    }
}

impl<'a, const N: usize> TableSearch<'a, N> {
    fn new(tables: Tables<'a>, blocks: Blocks<'a>, mask: Mask<'_>, run: &Run<'_>) -> Result<Self, Error> {
        let (level, n_queries) = (run.level(), tables.n_queries());
        let mask = RowMask::new(mask, blocks.n_rows())?.for_words()?;
        let listed = if mask.is_all() { None } else { Some(mask.groups::<{ ROWS_PER_BLOCK / 64 }>()?) };
        Ok(TableSearch { level, tables: tables.padded()?, blocks, mask, listed, n_queries })
    }

    fn table(&self, query: usize) -> &[[f32; N]] {
        &self.tables[query * self.blocks.n_subspaces()..][..self.blocks.n_subspaces()]
    }

    /// The selected rows of a block, of those that a group is compared with.
    fn selected(&self, group: &QueryGroup, block: usize) -> BlockRows {
        self.mask.words_within(block * (ROWS_PER_BLOCK / 64), &group.rows)
    }

    fn blocks_per_task(&self) -> usize {
        (BLOCK_BYTES_PER_TASK / self.blocks.block_len()).max(1)
    }

    fn n_tasks(&self) -> usize {
        let n_blocks = self.listed.as_ref().map_or(self.blocks.n_blocks(), Vec::len);
        n_blocks.div_ceil(self.blocks_per_task())
    }

    /// Calls `search` with groups of queries, each with the threads that it may use, and returns the results in order.
    fn for_each_group<R: Send>(
        &self,
        largest_group: usize,
        run: &Run<'_>,
        search: impl Fn(QueryGroup, &Run<'_>) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        let sums = self.n_queries.saturating_mul(self.mask.n_selected());
        let run = &run.for_words(sums.saturating_mul(self.blocks.n_subspaces()) / 8);
        let in_cache = TABLE_BYTES_PER_GROUP / (N * self.blocks.n_subspaces());
        let group_len = in_cache.clamp(QUERIES_PER_PASS, QUERIES_PER_GROUP).min(largest_group);
        for_each_group(self.n_queries, group_len, self.n_tasks(), run, |queries, run| {
            search(self.group(queries, 0..self.blocks.n_rows())?, run)
        })
    }

    /// Some queries, to be compared with some rows.
    fn group(&self, queries: Range<usize>, rows: Range<usize>) -> Result<QueryGroup, Error> {
        let mut offsets = Vec::new();
        for query in queries.clone() {
            try_push(&mut offsets, Offsets::new(self.table(query))?)?;
        }
        Ok(QueryGroup { slots: try_collect(0..queries.len())?, queries, offsets, rows })
    }

    /// Scans all blocks for the queries of a group, and returns the sink of each worker.
    fn visit<S: Sink>(&self, group: &QueryGroup, seed: &S, run: &Run<'_>) -> Result<Vec<S>, Error> {
        let workers = run.for_each_task(
            self.n_tasks(),
            || Ok((BlockScratch::new(group.queries.len())?, seed.fork()?)),
            |(scratch, sink), task| self.visit_task(group, task, scratch, sink),
        )?;
        try_collect(workers.into_iter().map(|(_, sink)| sink))
    }

    fn visit_task<S: Sink>(
        &self,
        group: &QueryGroup,
        task: usize,
        scratch: &mut BlockScratch<N>,
        sink: &mut S,
    ) -> Result<(), Error> {
        let (start, end) = (task * self.blocks_per_task(), (task + 1) * self.blocks_per_task());
        let Some(listed) = &self.listed else {
            return self.visit_blocks(group, start..end.min(self.blocks.n_blocks()), scratch, sink);
        };
        let listed = listed[start..end.min(listed.len())].iter().copied();
        self.visit_some(group, listed, FEW_ROWS, scratch, sink)
    }

    /// Visits the selected rows of some blocks in ascending order: consecutive blocks with more than a `few` of them together.
    fn visit_some<R: Receiver>(
        &self,
        group: &QueryGroup,
        blocks: impl Iterator<Item = usize>,
        few: u32,
        scratch: &mut BlockScratch<N>,
        sink: &mut R,
    ) -> Result<(), Error> {
        let mut dense = 0..0;
        for block in blocks {
            let selected = self.selected(group, block);
            let is_dense = count(&selected) > few;
            if is_dense && dense.end == block {
                dense.end += 1;
                continue;
            }
            self.visit_blocks(group, mem::take(&mut dense), scratch, sink)?;
            if is_dense {
                dense = block..block + 1;
            } else {
                self.visit_rows(group, block, selected, sink)?;
            }
        }
        self.visit_blocks(group, dense, scratch, sink)
    }

    /// Sums the given rows of a block without making a block of them.
    fn visit_rows<R: Receiver>(
        &self,
        group: &QueryGroup,
        block: usize,
        mut selected: BlockRows,
        sink: &mut R,
    ) -> Result<(), Error> {
        while let Some(row) = take_lowest(&mut selected) {
            let row = block * ROWS_PER_BLOCK + row;
            self.blocks.check_row(row)?;
            for &slot in &group.slots {
                let table = self.table(group.queries.start + slot);
                let sum = match self.blocks.row(row) {
                    Some(codes) => sum(table, |subspace| codes[subspace]),
                    None => sum(table, |subspace| self.blocks.code(row, subspace)),
                };
                offer(sink, slot, row as u64, sum)?;
            }
        }
        Ok(())
    }

    fn visit_blocks<R: Receiver>(
        &self,
        group: &QueryGroup,
        range: Range<usize>,
        scratch: &mut BlockScratch<N>,
        sink: &mut R,
    ) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        let BlockScratch { planes, quantized, hits, few, sums: row_sums } = scratch;
        let planes = self.blocks.get(self.level, range.start, range.end, planes)?;
        let first_id = (range.start * ROWS_PER_BLOCK) as u64;
        // Queries whose sums can be bounded are bounded a few at a time, those with coarse tables apart from the others.
        let mut waiting = [[0; QUERIES_PER_PASS]; 2];
        let mut n_waiting = [0; 2];
        for slot in group.slots.iter().map(Some).chain([None]) {
            if let Some(&slot) = slot {
                let offsets = &group.offsets[slot];
                let threshold = match largest(sink.below(slot, first_id)) {
                    None => Threshold::Nothing,
                    Some(largest) => offsets.threshold(largest),
                };
                match threshold {
                    Threshold::Nothing => {}
                    Threshold::Unbounded => {
                        let query = group.queries.start + slot;
                        for (block, planes) in range.clone().zip(planes.chunks_exact(self.blocks.block_len()))
                        {
                            self.sum_up(
                                query,
                                slot,
                                block,
                                self.selected(group, block),
                                planes,
                                row_sums,
                                sink,
                            )?;
                        }
                    }
                    Threshold::Within(threshold) => {
                        let table = self.table(group.queries.start + slot);
                        quantized[slot].fit(self.level, table, offsets, threshold)?;
                        let kind = usize::from(!quantized[slot].coarse.is_empty());
                        waiting[kind][n_waiting[kind]] = slot;
                        n_waiting[kind] += 1;
                    }
                }
            }
            for (kind, per_pass) in [queries_per_pass::<N>(), QUERIES_PER_PASS].into_iter().enumerate() {
                let n = n_waiting[kind];
                if n == 0 || (n < per_pass && slot.is_some()) {
                    continue;
                }
                hits.clear();
                hits.try_reserve(QUERIES_PER_PASS * range.len())?; // one for each query and block at most
                let slots = &waiting[kind][..n];
                // Three are treated as four: the hits of the repeated last one are dropped.
                let tables = |index: usize| &quantized[slots[index.min(n - 1)]];
                match n {
                    1 => bound_sums(self.level, [tables(0)], planes, hits)?,
                    2 => bound_sums(self.level, [tables(0), tables(1)], planes, hits)?,
                    _ => bound_sums(self.level, [tables(0), tables(1), tables(2), tables(3)], planes, hits)?,
                }
                hits.retain(|hit| (hit.slot as usize) < n);
                let mut n_within = [0; QUERIES_PER_PASS];
                for hit in hits.iter() {
                    n_within[hit.slot as usize] += count(&hit.rows) as usize;
                }
                for (slot, n_within) in slots.iter().zip(n_within) {
                    quantized[*slot].adapt(range.len(), n_within);
                }
                let tile = BlockTile { first_block: range.start, planes };
                self.visit_hits(group, slots, tile, hits, few, row_sums, sink)?;
                n_waiting[kind] = 0;
            }
        }
        Ok(())
    }

    /// Sums the rows within the bounds of some queries.
    #[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
    fn visit_hits<R: Receiver>(
        &self,
        group: &QueryGroup,
        slots: &[usize],
        tile: BlockTile<'_>,
        hits: &[BlockHits],
        few: &mut [Vec<usize>; QUERIES_PER_PASS],
        row_sums: &mut [f32],
        sink: &mut R,
    ) -> Result<(), Error> {
        let block_len = self.blocks.block_len();
        for hit in hits {
            let (slot, in_tile) = (slots[hit.slot as usize], hit.block as usize);
            let query = group.queries.start + slot;
            let block = tile.first_block + in_tile;
            let selected = self.selected(group, block);
            let mut rows: BlockRows = array::from_fn(|word| hit.rows[word] & selected[word]);
            let planes = &tile.planes[in_tile * block_len..][..block_len];
            if count(&rows) > MANY_ALIKE
                && let Some(row) = take_lowest(&mut rows)
            {
                let codes = |subspace| code_at(self.blocks.width(), planes, subspace, row);
                if !offer(sink, slot, (block * ROWS_PER_BLOCK + row) as u64, sum(self.table(query), codes))? {
                    // Perhaps many rows have equal codes: those after the first cannot do better than it.
                    let alike = alike(self.level, planes, row);
                    rows = array::from_fn(|word| rows[word] & !alike[word]);
                }
                if count(&rows) > MANY_ROWS {
                    self.sum_up(query, slot, block, rows, planes, row_sums, sink)?;
                    continue;
                }
            }
            while let Some(row) = take_lowest(&mut rows) {
                try_push(&mut few[hit.slot as usize], in_tile * ROWS_PER_BLOCK + row)?;
            }
        }
        for (&slot, few) in slots.iter().zip(few) {
            for rows in few.chunks(ROWS_SUMMED_TOGETHER) {
                let sums = self.sum_few(group.queries.start + slot, tile.planes, rows);
                for (row, sum) in rows.iter().zip(sums) {
                    offer(sink, slot, (tile.first_block * ROWS_PER_BLOCK + row) as u64, sum)?;
                }
            }
            few.clear();
        }
        Ok(())
    }

    /// The float sums of some rows of a tile, side by side.
    fn sum_few(&self, query: usize, planes: &[u8], rows: &[usize]) -> [f32; ROWS_SUMMED_TOGETHER] {
        let in_plane = if N == 16 { 2 } else { 1 };
        let mut positions = [0; ROWS_SUMMED_TOGETHER];
        for (position, row) in positions.iter_mut().zip(rows) {
            *position = row / ROWS_PER_BLOCK * self.blocks.block_len() + row % ROWS_PER_BLOCK;
        }
        let mut sums = [0.0; ROWS_SUMMED_TOGETHER];
        for (subspace, table) in self.table(query).iter().enumerate() {
            let plane = subspace / in_plane * ROWS_PER_BLOCK;
            for (sum, position) in sums.iter_mut().zip(positions) {
                let code = planes[plane + position] >> (subspace % in_plane * 4);
                *sum += table[code as usize % N];
            }
        }
        sums
    }

    /// Sums a whole block at once, and offers the given rows.
    #[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
    fn sum_up<R: Receiver>(
        &self,
        query: usize,
        slot: usize,
        block: usize,
        mut rows: BlockRows,
        planes: &[u8],
        row_sums: &mut [f32],
        sink: &mut R,
    ) -> Result<(), Error> {
        sums(self.level, self.table(query), planes, 0, row_sums);
        while let Some(row) = take_lowest(&mut rows) {
            offer(sink, slot, (block * ROWS_PER_BLOCK + row) as u64, row_sums[row])?;
        }
        Ok(())
    }
}

/// The float sum of a row: over subspaces 0, 1, ... from zero.
fn sum<const N: usize>(tables: &[[f32; N]], code: impl Fn(usize) -> u8) -> f32 {
    let entries = tables.iter().enumerate().map(|(subspace, table)| table[code(subspace) as usize % N]);
    entries.fold(0.0, |sum, entry| sum + entry)
}

/// Hands a row to the sink if it is near enough, and says whether it was.
#[inline]
fn offer<R: Receiver>(sink: &mut R, slot: usize, id: u64, sum: f32) -> Result<bool, Error> {
    let key = key(sum);
    let is_near = key < sink.below(slot, id);
    if is_near {
        sink.push(Found { query: slot as u32, key, id })?;
    }
    Ok(is_near)
}

/// Calls a function of [`TableSearch`] for the width of the codes.
macro_rules! with_width {
    ($function:ident($tables:expr, $blocks:expr, $($argument:expr),*)) => {{
        $blocks.check_tables($tables.n_subspaces(), $tables.n_codewords())?;
        match $blocks.width() {
            $crate::adc::layout::Width::Byte => $function::<256>($tables, $blocks, $($argument),*),
            $crate::adc::layout::Width::Nibble => $function::<16>($tables, $blocks, $($argument),*),
        }
    }};
}

use with_width;
