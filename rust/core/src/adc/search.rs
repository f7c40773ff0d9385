//! Exact search by sums of look-ups: `knn`, `radius` and `scan`.
//!
//! A tile of blocks is brought before all queries of a group. Of each query the bytes of its [`Floor`] bound the sums of all
//! rows; the rows that pass are summed up in float. What passes depends on how near the k-th best is so far, hence a query
//! first looks at some blocks from all over the database: rows in an unlucky order then cost little more than others.

use std::array;
use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};
use std::sync::{Mutex, PoisonError};

use super::blocks::{Blocks, QUARTER, ROWS, Width, code_at};
use super::bound::{Base, Floor, Reach};
use super::{Hit, Lanes, Tables, alike, bound_sums, sums};
use crate::select::sink::{Below, Found, Sink, largest_block};
use crate::select::top_k::{Neighbor, TopK};
use crate::{Csr, Error, Level, Mask, Parallel};

/// Bytes of the blocks of a task: few enough to stay in the second-level cache while all queries pass over them.
const TASK_BYTES: usize = 64 * 1024;

/// Bytes of the floors of a group of queries, likewise.
const GROUP_BYTES: usize = 512 * 1024;

/// Queries of a group at most, so that an interrupted call ends soon.
const GROUP_QUERIES: usize = 128;

/// Queries whose floors share the registers that hold codes, at most.
const TOGETHER: usize = 4;

/// Likewise where tables have `N` entries: those of 256 fill more registers.
const fn together<const N: usize>() -> usize {
    if N == 16 { TOGETHER } else { 2 }
}

/// Look-ups that a query makes first, as far as that is a sensible number of rows; and rows for each neighbour that it wants.
const FIRST_LOOKUPS: usize = 1 << 16;
const FIRST_ROWS: RangeInclusive<usize> = 1024..=4096;
const FIRST_ROWS_PER_NEIGHBOR: usize = 16;

/// Queries of a task of a scan.
const SCANNED_TOGETHER: usize = 64;

/// Tasks per thread from which the database is split rather than the queries.
const TASKS_PER_THREAD: usize = 4;

/// Rows that are summed up side by side: sums that do not wait for each other.
const SUMMED_TOGETHER: usize = 8;

/// Selected rows of a block up to which they are summed up one by one, nothing being bounded before.
const FEW_ROWS: u32 = 16;

/// Rows of a block that pass the bound from which it pays to look for rows like one that was of no use, ...
const MANY_ALIKE: u32 = 8;

/// ... and to sum up the whole block.
const MANY_ROWS: u32 = 48;

/// A key that sorts like the sum, which is never minus zero or NaN.
fn key(sum: f32) -> u32 {
    let bits = sum.to_bits();
    if sum.is_sign_negative() { !bits } else { bits | 1 << 31 }
}

/// The sum that a key stands for.
fn sum_of(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 0 { !key } else { key & !(1 << 31) })
}

/// The largest sum with a key below this, if there is one.
fn largest(below: u32) -> Option<f32> {
    match below {
        u32::MAX => Some(f32::INFINITY),
        _ => below.checked_sub(1).map(sum_of),
    }
}

/// The rows that take part.
enum Selection {
    All,
    /// A bit for each row, and how many are set.
    Some(Vec<Lanes>, usize),
}

impl Selection {
    fn new(mask: Mask<'_>, n_rows: usize) -> Result<Self, Error> {
        let empty = || crate::error::try_vec([0; 4], n_rows.div_ceil(ROWS));
        let mut lanes: Vec<Lanes> = match mask {
            Mask::All => return Ok(Selection::All),
            Mask::Booleans(booleans) => {
                if booleans.len() != n_rows {
                    return Err(Error::MaskLength { given: booleans.len(), expected: n_rows });
                }
                let mut lanes = empty()?;
                for (lanes, booleans) in lanes.as_flattened_mut().iter_mut().zip(booleans.chunks(64)) {
                    *lanes = booleans
                        .iter()
                        .enumerate()
                        .fold(0, |lanes, (row, is_selected)| lanes | u64::from(*is_selected != 0) << row);
                }
                lanes
            }
            Mask::Ids(ids) => {
                let mut lanes = empty()?;
                for &id in ids {
                    match usize::try_from(id) {
                        Ok(row) if row < n_rows => lanes.as_flattened_mut()[row / 64] |= 1 << (row % 64),
                        _ => return Err(Error::MaskId { id, n_rows }),
                    }
                }
                lanes
            }
        };
        let n_selected = lanes.iter_mut().map(|lanes| count(lanes) as usize).sum();
        Ok(Selection::Some(lanes, n_selected))
    }
}

fn count(lanes: &Lanes) -> u32 {
    lanes.iter().map(|lanes| lanes.count_ones()).sum()
}

/// Takes the lowest row out of some.
fn take_lowest(lanes: &mut Lanes) -> Option<usize> {
    let word = lanes.iter().position(|lanes| *lanes != 0)?;
    let row = lanes[word].trailing_zeros() as usize;
    lanes[word] &= lanes[word] - 1;
    Some(word * 64 + row)
}

/// What a search is about. `N` is the number of entries of a table: 256, or 16 where blocks hold nibbles.
struct Search<'a, const N: usize> {
    level: Level,
    tables: Cow<'a, [[f32; N]]>,
    blocks: Blocks<'a>,
    selection: Selection,
    n_queries: usize,
}

/// What stays the same for a group of queries.
struct Group {
    queries: Range<usize>,
    bases: Vec<Base>,
}

/// Some blocks that follow each other.
#[derive(Clone, Copy)]
struct Tile<'a> {
    first_block: usize,
    planes: &'a [u8],
}

/// What a worker needs beside its sink.
struct Scratch<const N: usize> {
    planes: Vec<u8>,
    floors: Vec<Floor<N>>,
    hits: Vec<Hit>,
    /// Rows of a tile that passed a bound, for each query that was bounded.
    few: [Vec<usize>; TOGETHER],
    sums: Vec<f32>,
    error: Result<(), Error>,
}

impl<const N: usize> Scratch<N> {
    fn new(n_queries: usize) -> Self {
        Scratch {
            planes: Vec::new(),
            floors: (0..n_queries).map(|_| Floor::new()).collect(),
            hits: Vec::new(),
            few: array::from_fn(|_| Vec::new()),
            sums: vec![0.0; ROWS],
            error: Ok(()),
        }
    }
}

impl<'a, const N: usize> Search<'a, N> {
    fn new(level: Level, tables: Tables<'a>, blocks: Blocks<'a>, mask: Mask<'_>) -> Result<Self, Error> {
        Ok(Search {
            level,
            tables: tables.padded()?,
            blocks,
            selection: Selection::new(mask, blocks.n_rows())?,
            n_queries: tables.n_queries(),
        })
    }

    fn table(&self, query: usize) -> &[[f32; N]] {
        &self.tables[query * self.blocks.n_subspaces()..][..self.blocks.n_subspaces()]
    }

    fn n_selected(&self) -> usize {
        match &self.selection {
            Selection::All => self.blocks.n_rows(),
            Selection::Some(_, n_selected) => *n_selected,
        }
    }

    /// The selected rows of a block.
    fn selected(&self, block: usize) -> Lanes {
        match &self.selection {
            Selection::Some(lanes, _) => lanes[block],
            Selection::All => {
                let n_rows = self.blocks.rows_of(block);
                array::from_fn(|word| match n_rows.saturating_sub(word * 64) {
                    n_rows @ 0..64 => (1 << n_rows) - 1,
                    _ => u64::MAX,
                })
            }
        }
    }

    fn task_len(&self) -> usize {
        (TASK_BYTES / self.blocks.block_len()).max(1)
    }

    fn n_tasks(&self) -> usize {
        self.blocks.n_blocks().div_ceil(self.task_len())
    }

    fn group(&self, queries: Range<usize>) -> Group {
        let bases = queries.clone().map(|query| Base::new(self.table(query))).collect();
        Group { queries, bases }
    }

    /// Calls `search` with groups of queries, and for each with the threads that it may use; results come in their order.
    fn for_each_group<R: Send>(
        &self,
        largest_group: usize,
        parallel: &Parallel<'_>,
        search: impl Fn(Group, &Parallel<'_>) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        let words =
            self.n_queries.saturating_mul(self.n_selected()).saturating_mul(self.blocks.n_subspaces());
        let parallel = &parallel.for_words(words / 8);
        let in_cache = GROUP_BYTES / (N * self.blocks.n_subspaces());
        let mut group_len = in_cache.min(largest_group).clamp(TOGETHER, GROUP_QUERIES);
        let split_database = self.n_tasks() >= TASKS_PER_THREAD * parallel.threads();
        if !split_database {
            group_len = group_len.min(self.n_queries.div_ceil(TASKS_PER_THREAD * parallel.threads()));
        }
        let group_len = group_len.min(largest_group).max(1);
        let n_groups = self.n_queries.div_ceil(group_len);
        let group = |index: usize| self.group(index * group_len..self.n_queries.min((index + 1) * group_len));
        if split_database || parallel.threads() == 1 {
            return (0..n_groups).map(|index| search(group(index), parallel)).collect();
        }
        let workers = parallel.run(n_groups, Vec::new, |results: &mut Vec<_>, index| {
            results.push((index, search(group(index), &Parallel::serial())));
        })?;
        let mut results: Vec<_> = workers.into_iter().flatten().collect();
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Brings all blocks before the queries of a group, and returns the sink of each worker.
    fn visit<S: Sink>(&self, group: &Group, seed: &S, parallel: &Parallel<'_>) -> Result<Vec<S>, Error> {
        let workers = parallel.run(
            self.n_tasks(),
            || (Scratch::new(group.queries.len()), seed.fork()),
            |(scratch, sink), task| {
                if scratch.error.is_ok() {
                    scratch.error = self.visit_task(group, task, scratch, sink);
                }
            },
        )?;
        workers.into_iter().map(|(scratch, sink)| scratch.error.map(|()| sink)).collect()
    }

    fn visit_task<S: Sink>(
        &self,
        group: &Group,
        task: usize,
        scratch: &mut Scratch<N>,
        sink: &mut S,
    ) -> Result<(), Error> {
        let start = task * self.task_len();
        let end = (start + self.task_len()).min(self.blocks.n_blocks());
        if matches!(self.selection, Selection::All) {
            return self.visit_blocks(group, start..end, scratch, sink);
        }
        // Blocks with enough selected rows are visited together, as far as they follow each other.
        let mut dense = start..start;
        for block in start..end {
            let selected = self.selected(block);
            if count(&selected) > FEW_ROWS {
                dense.end = block + 1;
                continue;
            }
            self.visit_blocks(group, dense, scratch, sink)?;
            dense = block + 1..block + 1;
            self.visit_rows(group, block, selected, sink)?;
        }
        self.visit_blocks(group, dense, scratch, sink)
    }

    /// Sums up the given rows of a block, where they lie.
    fn visit_rows<S: Sink>(
        &self,
        group: &Group,
        block: usize,
        mut selected: Lanes,
        sink: &mut S,
    ) -> Result<(), Error> {
        while let Some(row) = take_lowest(&mut selected) {
            let row = block * ROWS + row;
            self.blocks.check_row(row)?;
            for (slot, query) in group.queries.clone().enumerate() {
                let table = self.table(query);
                let sum = match self.blocks.row(row) {
                    Some(codes) => sum(table, |subspace| codes[subspace]),
                    None => sum(table, |subspace| self.blocks.code(row, subspace)),
                };
                offer(sink, slot, row as u64, sum);
            }
        }
        Ok(())
    }

    fn visit_blocks<S: Sink>(
        &self,
        group: &Group,
        range: Range<usize>,
        scratch: &mut Scratch<N>,
        sink: &mut S,
    ) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        let Scratch { planes, floors, hits, few, sums: row_sums, .. } = scratch;
        let planes = self.blocks.get(self.level, range.start, range.end, planes)?;
        let first_id = (range.start * ROWS) as u64;
        // Queries whose sums can be bounded are taken a few at a time.
        let mut waiting = array::from_fn::<_, TOGETHER, _>(|_| 0);
        let mut n_waiting = 0;
        for (slot, base) in group.bases.iter().enumerate() {
            let reach = match largest(sink.below(slot, first_id)) {
                None => Reach::Nothing,
                Some(largest) => base.reach(largest),
            };
            match reach {
                Reach::Nothing => {}
                Reach::Unbounded => {
                    let query = group.queries.start + slot;
                    for (block, planes) in range.clone().zip(planes.chunks_exact(self.blocks.block_len())) {
                        self.sum_up(query, slot, block, self.selected(block), planes, row_sums, sink);
                    }
                }
                Reach::Within(reach) => {
                    let table = self.table(group.queries.start + slot);
                    floors[slot].fit(self.level, table, base, reach);
                    waiting[n_waiting] = slot;
                    n_waiting += 1;
                }
            }
            if n_waiting == together::<N>() || (n_waiting > 0 && slot + 1 == group.bases.len()) {
                hits.clear();
                let slots = &waiting[..n_waiting];
                // Three are taken for four: what the last one finds twice is dropped.
                let floor = |index: usize| &floors[slots[index.min(n_waiting - 1)]];
                match n_waiting {
                    1 => bound_sums(self.level, [floor(0)], planes, hits),
                    2 => bound_sums(self.level, [floor(0), floor(1)], planes, hits),
                    _ => bound_sums(self.level, [floor(0), floor(1), floor(2), floor(3)], planes, hits),
                }
                hits.retain(|hit| (hit.slot as usize) < n_waiting);
                let tile = Tile { first_block: range.start, planes };
                self.visit_hits(group, slots, tile, hits, few, row_sums, sink);
                n_waiting = 0;
            }
        }
        Ok(())
    }

    /// Sums up the rows that passed the bounds of some queries.
    #[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
    fn visit_hits<S: Sink>(
        &self,
        group: &Group,
        slots: &[usize],
        tile: Tile<'_>,
        hits: &[Hit],
        few: &mut [Vec<usize>; TOGETHER],
        row_sums: &mut [f32],
        sink: &mut S,
    ) {
        let block_len = self.blocks.block_len();
        for hit in hits {
            let (slot, in_tile) = (slots[hit.slot as usize], hit.block as usize);
            let query = group.queries.start + slot;
            let block = tile.first_block + in_tile;
            let selected = self.selected(block);
            let mut lanes: Lanes = array::from_fn(|word| hit.lanes[word] & selected[word]);
            let planes = &tile.planes[in_tile * block_len..][..block_len];
            if count(&lanes) > MANY_ALIKE
                && let Some(row) = take_lowest(&mut lanes)
            {
                let codes = |subspace| code_at(self.blocks.width(), planes, subspace, row);
                if !offer(sink, slot, (block * ROWS + row) as u64, sum(self.table(query), codes)) {
                    // Many equal codes are the reason, perhaps: those after the first cannot do better than it.
                    let alike = alike(self.level, planes, row);
                    lanes = array::from_fn(|word| lanes[word] & !alike[word]);
                }
                if count(&lanes) > MANY_ROWS {
                    self.sum_up(query, slot, block, lanes, planes, row_sums, sink);
                    continue;
                }
            }
            while let Some(row) = take_lowest(&mut lanes) {
                few[hit.slot as usize].push(in_tile * ROWS + row);
            }
        }
        for (&slot, few) in slots.iter().zip(few) {
            for rows in few.chunks(SUMMED_TOGETHER) {
                let sums = self.sum_few(group.queries.start + slot, tile.planes, rows);
                for (row, sum) in rows.iter().zip(sums) {
                    offer(sink, slot, (tile.first_block * ROWS + row) as u64, sum);
                }
            }
            few.clear();
        }
    }

    /// The float sums of some rows of a tile, side by side.
    fn sum_few(&self, query: usize, planes: &[u8], rows: &[usize]) -> [f32; SUMMED_TOGETHER] {
        let in_plane = if N == 16 { 2 } else { 1 };
        let mut places = [0; SUMMED_TOGETHER];
        for (place, row) in places.iter_mut().zip(rows) {
            *place = row / ROWS * self.blocks.block_len() + row % ROWS;
        }
        let mut sums = [0.0; SUMMED_TOGETHER];
        for (subspace, table) in self.table(query).iter().enumerate() {
            let plane = subspace / in_plane * ROWS;
            for (sum, place) in sums.iter_mut().zip(places) {
                let code = planes[plane + place] >> (subspace % in_plane * 4);
                *sum += table[code as usize % N];
            }
        }
        sums
    }

    /// Sums up a whole block at once, and offers the given rows.
    #[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
    fn sum_up<S: Sink>(
        &self,
        query: usize,
        slot: usize,
        block: usize,
        mut lanes: Lanes,
        planes: &[u8],
        row_sums: &mut [f32],
        sink: &mut S,
    ) {
        sums(self.level, self.table(query), planes, 0, row_sums);
        while let Some(row) = take_lowest(&mut lanes) {
            offer(sink, slot, (block * ROWS + row) as u64, row_sums[row]);
        }
    }

    /// Rows that a query looks at first, by blocks: some from all over the database that are about `wanted` together, or all
    /// if they are hardly more.
    fn first_rows(&self, wanted: usize) -> (Vec<(usize, Lanes)>, bool) {
        let all = (0..self.blocks.n_blocks()).map(|block| (block, self.selected(block)));
        let all = all.filter(|(_, selected)| count(selected) > 0);
        if wanted.saturating_mul(2) >= self.n_selected() {
            return (all.collect(), true);
        }
        // A quarter of many blocks: whole blocks would be fewer, and rows side by side may be alike.
        let quarters: Vec<usize> = match self.selection {
            Selection::All => Vec::new(),
            Selection::Some(..) => all
                .flat_map(|(block, selected)| {
                    let has_rows = move |part: &usize| quarter(*part, &selected) != [0; 4];
                    (0..ROWS / QUARTER).filter(has_rows).map(move |part| block * (ROWS / QUARTER) + part)
                })
                .collect(),
        };
        let n_quarters = match self.selection {
            Selection::All => self.blocks.n_rows().div_ceil(QUARTER),
            Selection::Some(..) => quarters.len(),
        };
        let n_first = (wanted.saturating_mul(n_quarters)).div_ceil(self.n_selected());
        let first = (0..n_first).map(|index| {
            let place = (2 * index + 1) * n_quarters / (2 * n_first);
            let place = quarters.get(place).copied().unwrap_or(place);
            let block = place / (ROWS / QUARTER);
            (block, quarter(place % (ROWS / QUARTER), &self.selected(block)))
        });
        (first.collect(), false)
    }

    /// Sums up some rows of some blocks for one query.
    fn look(
        &self,
        query: usize,
        rows: &[(usize, Lanes)],
        scratch: &mut Scratch<N>,
        kept: usize,
    ) -> Result<TopK, Error> {
        let group = Group { queries: query..query + 1, bases: Vec::new() };
        let mut sink = [TopK::new(kept)];
        for &(block, lanes) in rows {
            let part = take_lowest(&mut lanes.clone()).unwrap_or(0) / QUARTER;
            let is_one_quarter = quarter(part, &lanes) == lanes;
            if !is_one_quarter && count(&lanes) > FEW_ROWS {
                let planes = self.blocks.get(self.level, block, block + 1, &mut scratch.planes)?;
                self.sum_up(query, 0, block, lanes, planes, &mut scratch.sums, &mut sink);
            } else if is_one_quarter && count(&lanes) > FEW_ROWS {
                let (planes, first_row) =
                    self.blocks.get_quarter(self.level, block, part, &mut scratch.planes)?;
                let row_sums = &mut scratch.sums[..QUARTER];
                sums(self.level, self.table(query), planes, first_row, row_sums);
                let mut left = lanes;
                while let Some(row) = take_lowest(&mut left) {
                    offer(&mut sink, 0, (block * ROWS + row) as u64, row_sums[row % QUARTER]);
                }
            } else {
                self.visit_rows(&group, block, lanes, &mut sink)?;
            }
        }
        let [found] = sink;
        Ok(found)
    }
}

/// Those of some rows of a block that are in one of its quarters.
fn quarter(part: usize, lanes: &Lanes) -> Lanes {
    array::from_fn(|word| if word == part { lanes[word] } else { 0 })
}

/// The float sum of a row: over subspaces 0, 1, .. from zero.
fn sum<const N: usize>(tables: &[[f32; N]], code: impl Fn(usize) -> u8) -> f32 {
    let entries = tables.iter().enumerate().map(|(subspace, table)| table[code(subspace) as usize % N]);
    entries.fold(0.0, |sum, entry| sum + entry)
}

/// Hands a row to the sink if it is near enough, and says whether it was.
fn offer<S: Sink>(sink: &mut S, slot: usize, id: u64, sum: f32) -> bool {
    let key = key(sum);
    let is_near = key < sink.below(slot, id);
    if is_near {
        sink.push(Found { query: slot as u32, key, id });
    }
    is_near
}

impl Sink for [TopK; 1] {
    fn below(&self, _query: usize, first_id: u64) -> u32 {
        self[0].below(first_id)
    }

    fn push(&mut self, found: Found) {
        self[0].push(Neighbor { key: found.key, id: found.id });
    }

    fn fork(&self) -> Self {
        [self[0].fork()]
    }
}

/// Calls a function of [`Search`] for the width of the codes.
macro_rules! with_width {
    ($function:ident($level:expr, $tables:expr, $blocks:expr, $($argument:expr),*)) => {{
        check_subspaces($tables, &$blocks)?;
        match $blocks.width() {
            Width::Byte => $function::<256>($level, $tables, $blocks, $($argument),*),
            Width::Nibble => $function::<16>($level, $tables, $blocks, $($argument),*),
        }
    }};
}

fn check_subspaces(tables: Tables<'_>, blocks: &Blocks<'_>) -> Result<(), Error> {
    if tables.n_subspaces() != blocks.n_subspaces() {
        return Err(Error::SubspacesDiffer { tables: tables.n_subspaces(), codes: blocks.n_subspaces() });
    }
    // Row-major codes are checked as they are read; a packed nibble always names one of sixteen.
    if tables.n_codewords() > blocks.width().n_codewords() {
        return Err(Error::Codewords { name: "tables", n_codewords: tables.n_codewords() });
    }
    Ok(())
}

/// Finds the `k` rows with the smallest sums for each query. Row `i` of the results starts at `i * k`; missing neighbours are
/// infinity and -1.
///
/// # Errors
/// If tables and codes do not go together, a code names no codeword, the mask does not fit the codes, an output has not
/// `n_queries * k` elements, or the call was interrupted.
#[allow(clippy::too_many_arguments, reason = "they are the arguments of the public function")]
pub fn knn(
    level: Level,
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    k: usize,
    mask: Mask<'_>,
    parallel: &Parallel<'_>,
    distances: &mut [f32],
    indices: &mut [i64],
) -> Result<(), Error> {
    with_width!(knn_of(level, tables, blocks, k, mask, parallel, distances, indices))
}

#[allow(clippy::too_many_arguments, reason = "they are the arguments of the public function")]
fn knn_of<const N: usize>(
    level: Level,
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    k: usize,
    mask: Mask<'_>,
    parallel: &Parallel<'_>,
    distances: &mut [f32],
    indices: &mut [i64],
) -> Result<(), Error> {
    let expected = tables.n_queries().saturating_mul(k);
    for given in [distances.len(), indices.len()] {
        if given != expected {
            return Err(Error::OutputLength { given, expected });
        }
    }
    distances.fill(f32::INFINITY);
    indices.fill(-1);
    let search = Search::<N>::new(level, tables, blocks, mask)?;
    let kept = k.min(search.n_selected());
    if kept == 0 {
        return Ok(());
    }
    let wanted = (FIRST_LOOKUPS / blocks.n_subspaces()).clamp(*FIRST_ROWS.start(), *FIRST_ROWS.end());
    let wanted = wanted.max(kept.saturating_mul(FIRST_ROWS_PER_NEIGHBOR));
    let (first, are_all) = search.first_rows(wanted);
    let output = Mutex::new((distances, indices));
    let largest_group = largest_block(kept, parallel.threads());
    search.for_each_group(largest_group, parallel, |group, parallel| {
        let looks = parallel.run(
            group.queries.len(),
            || (Scratch::new(0), Vec::new()),
            |(scratch, looks), slot| {
                looks.push((slot, search.look(group.queries.start + slot, &first, scratch, kept)));
            },
        )?;
        let mut looks: Vec<_> = looks.into_iter().flat_map(|(_, looks)| looks).collect();
        looks.sort_by_key(|(slot, _)| *slot);
        let seed: Vec<TopK> = looks.into_iter().map(|(_, look)| look).collect::<Result<_, _>>()?;
        let found = if are_all { vec![seed] } else { search.visit(&group, &seed, parallel)? };
        let mut parts: Vec<_> = found.into_iter().map(Vec::into_iter).collect();
        for query in group.queries.clone() {
            let best = TopK::merge(parts.iter_mut().filter_map(Iterator::next));
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            let (distances, indices) = &mut *output;
            let row = distances[query * k..].iter_mut().zip(&mut indices[query * k..]);
            for (neighbor, (distance, index)) in best.iter().zip(row) {
                (*distance, *index) = (sum_of(neighbor.key), neighbor.id as i64);
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Finds all rows with a sum of at most `radius` for each query, sorted by (sum, index).
///
/// # Errors
/// If tables and codes do not go together, a code names no codeword, the mask does not fit the codes, or the call was
/// interrupted.
pub fn radius(
    level: Level,
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    radius: f32,
    mask: Mask<'_>,
    parallel: &Parallel<'_>,
) -> Result<Csr<f32>, Error> {
    with_width!(radius_of(level, tables, blocks, radius, mask, parallel))
}

fn radius_of<const N: usize>(
    level: Level,
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    radius: f32,
    mask: Mask<'_>,
    parallel: &Parallel<'_>,
) -> Result<Csr<f32>, Error> {
    let search = Search::<N>::new(level, tables, blocks, mask)?;
    // No sum is minus zero; a radius may be.
    let below = if radius.is_nan() { 0 } else { key(radius + 0.0).saturating_add(1) };
    let groups = search.for_each_group(usize::MAX, parallel, |group, parallel| {
        let parts = search.visit(&group, &Below::new(below), parallel)?;
        let found = Below::merge(parts, |found| (found.query, found.key, found.id))?;
        Ok((group.queries.collect(), found))
    })?;
    Csr::from_blocks(search.n_queries, &groups, f32::INFINITY, sum_of)
}

/// Writes the sums of all rows, one row of `out` a query.
///
/// # Errors
/// If tables and codes do not go together, a code names no codeword, `out` has not one element for each query and row, or
/// the call was interrupted.
pub fn scan(
    level: Level,
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    parallel: &Parallel<'_>,
    out: &mut [f32],
) -> Result<(), Error> {
    with_width!(scan_of(level, tables, blocks, parallel, out))
}

fn scan_of<const N: usize>(
    level: Level,
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    parallel: &Parallel<'_>,
    out: &mut [f32],
) -> Result<(), Error> {
    let n_rows = blocks.n_rows();
    let expected = tables.n_queries().saturating_mul(n_rows);
    if out.len() != expected {
        return Err(Error::OutputLength { given: out.len(), expected });
    }
    if expected == 0 {
        return Ok(());
    }
    let search = Search::<N>::new(level, tables, blocks, Mask::All)?;
    let task_len = search.task_len();
    let mut tasks = Vec::new();
    for (group, out) in out.chunks_mut(SCANNED_TOGETHER * n_rows).enumerate() {
        let mut rows: Vec<_> = out.chunks_mut(n_rows).map(|row| row.chunks_mut(task_len * ROWS)).collect();
        for tile in 0..search.n_tasks() {
            let out: Vec<_> = rows.iter_mut().filter_map(Iterator::next).collect();
            tasks.push(Mutex::new((group * SCANNED_TOGETHER, tile * task_len, out)));
        }
    }
    let parallel = &parallel.for_words(expected.saturating_mul(blocks.n_subspaces()) / 8);
    let workers = parallel.run(
        tasks.len(),
        || Scratch::<N>::new(0),
        |scratch, task| {
            // One worker a task: the lock is how the compiler sees that.
            let Ok(mut task) = tasks[task].lock() else { return };
            let (first_query, start, out) = &mut *task;
            let (first_query, start) = (*first_query, *start);
            let end = (start + task_len).min(blocks.n_blocks());
            let planes = match blocks.get(level, start, end, &mut scratch.planes) {
                Ok(planes) => planes,
                Err(error) => {
                    scratch.error = Err(error);
                    return;
                }
            };
            for (query, out) in out.iter_mut().enumerate() {
                for (planes, out) in planes.chunks_exact(blocks.block_len()).zip(out.chunks_mut(ROWS)) {
                    sums(level, search.table(first_query + query), planes, 0, &mut scratch.sums);
                    out.copy_from_slice(&scratch.sums[..out.len()]);
                }
            }
        },
    )?;
    workers.into_iter().try_for_each(|scratch| scratch.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_sums() {
        let sums = [f32::NEG_INFINITY, f32::MIN, -1.0, -1e-45, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY];
        assert!(sums.map(key).is_sorted());
        assert!(sums.iter().all(|sum| sum_of(key(*sum)).to_bits() == sum.to_bits()));
        assert_eq!((largest(0), largest(u32::MAX)), (None, Some(f32::INFINITY)));
        assert_eq!(largest(key(1.0) + 1), Some(1.0));
    }
}
