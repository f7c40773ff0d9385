//! `knn`, `radius` and `scan`: blocks of rows are summed for all queries of a group, and their distances computed and compared while they
//! are in registers and the first-level cache.

mod lists;

use std::ops::Range;

use super::encode::squares;
use super::grid::Grid;
use super::queries::{Metric, Queries};
use super::{
    BlockRows, BlockSums, QUERIES_PER_PASS, ROWS_PER_BLOCK, ROWS_PER_TILE, distances, multiply, near,
    sum_bits,
};
use crate::adc::Blocks;
use crate::codes::check_same_bytes;
use crate::error::{At, check_len, try_collect, try_push, try_vec};
use crate::select::groups::for_each_group;
use crate::select::keys::{beyond, key, largest, value_of};
use crate::select::mask::RowMask;
use crate::select::sink::{Below, Found, Receiver, Sink, largest_block};
use crate::select::top_k::TopK;
use crate::{Codes, Csr, Error, Level, Mask, Neighbors, Run};

pub use lists::{lists_knn, lists_radius};

/// Bytes of the codes of a task: few enough to stay in the second-level cache while all queries of a group visit them.
const CODE_BYTES_PER_TASK: usize = 64 * 1024;

/// Bytes of the queries of a group, likewise.
const QUERY_BYTES_PER_GROUP: usize = 256 * 1024;

/// Queries of a group at most.
const QUERIES_PER_GROUP: usize = 32;

/// Rows of codes with their factors.
#[derive(Clone, Copy, Debug)]
pub struct Database<'a> {
    grid: Grid,
    n_dims: usize,
    rows: Rows<'a>,
    factors: &'a [[f32; 2]],
}

#[derive(Clone, Copy, Debug)]
enum Rows<'a> {
    /// Codes of one bit, in blocks of planes or to be brought into such blocks.
    Bits(Blocks<'a>),
    Numbers(Codes<'a>),
}

impl<'a> Database<'a> {
    /// Row-major codes, with two factors for each row.
    ///
    /// # Errors
    /// [`Error::Incompatible`] or [`Error::Range`] for bytes that rows cannot have, [`Error::Length`] without two factors for each row.
    pub fn from_rows(codes: Codes<'a>, factors: &'a [f32], grid: Grid) -> Result<Self, Error> {
        let n_dims = grid.n_dims(codes.n_bytes())?;
        let rows =
            if grid.n_bits() == 1 { Rows::Bits(Blocks::from_bits(codes)) } else { Rows::Numbers(codes) };
        Database { grid, n_dims, rows, factors: &[] }.with_factors(factors)
    }

    /// Codes of one bit that were packed as codes of 256 codewords.
    ///
    /// # Errors
    /// As [`Database::from_rows`], and [`Error::Incompatible`] for more bits.
    pub fn from_packed(
        packed: &'a crate::adc::PackedCodes,
        factors: &'a [f32],
        grid: Grid,
    ) -> Result<Self, Error> {
        if grid.n_bits() != 1 || packed.n_codewords() != 256 {
            let problem = format!(
                "codes are packed with n_codewords={}, and n_bits is {}; expected packed codes of 256 codewords, one for each byte, \
                 and n_bits=1, or else an array",
                packed.n_codewords(),
                grid.n_bits()
            );
            return Err(Error::Incompatible { problem });
        }
        let n_dims = grid.n_dims(packed.n_subspaces())?;
        Database { grid, n_dims, rows: Rows::Bits(packed.blocks()), factors: &[] }.with_factors(factors)
    }

    fn with_factors(self, factors: &'a [f32]) -> Result<Self, Error> {
        check_len("factors", "elements", factors.len(), self.n_rows().saturating_mul(2))?;
        Ok(Database { factors: factors.as_chunks().0, ..self })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        match self.rows {
            Rows::Bits(blocks) => blocks.n_rows(),
            Rows::Numbers(codes) => codes.n_rows(),
        }
    }

    fn check(&self, queries: &Queries) -> Result<(), Error> {
        if queries.grid() != self.grid || queries.n_dims() != self.n_dims {
            let problem = format!(
                "queries have {} dimensions, but codes with n_bits={} have {}; were both rotated, and is n_bits right?",
                queries.n_dims(),
                self.grid.n_bits(),
                self.n_dims
            );
            return Err(Error::Incompatible { problem });
        }
        Ok(())
    }
}

/// Finds the rows with the smallest distances to each query. Missing neighbours are infinity and -1.
///
/// # Errors
/// If queries and codes do not go together, a distance is not finite, the mask does not fit the codes, `out` does not fit the
/// queries, the memory does not suffice, or the call was interrupted.
pub fn knn(
    queries: &Queries,
    database: Database<'_>,
    mask: Mask<'_>,
    mut out: Neighbors<'_, f32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    out.clear(queries.n_queries(), f32::INFINITY)?;
    let search = Search::new(queries, database, mask, run)?;
    let kept = out.k().min(search.mask.n_selected());
    if kept == 0 {
        return Ok(());
    }
    let out = out.shared();
    search.for_each_group(largest_block(kept, run.threads()), run, |group, run| {
        let seed = try_collect(group.clone().map(|_| TopK::new(kept)))?;
        out.merge(group.clone(), search.visit(group, &seed, run)?, value_of)
    })?;
    Ok(())
}

/// Finds all rows with a distance of at most `radius`, sorted by (distance, row).
///
/// # Errors
/// As [`knn`].
pub fn radius(
    queries: &Queries,
    database: Database<'_>,
    radius: f32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<f32>, Error> {
    let search = Search::new(queries, database, mask, run)?;
    let groups = search.for_each_group(usize::MAX, run, |group, run| {
        let parts = search.visit(group.clone(), &Below::new(beyond(radius)), run)?;
        let found = Below::merge(parts, |found| (found.query, found.key, found.id))?;
        Ok((try_collect(group)?, found))
    })?;
    Csr::from_blocks(queries.n_queries(), &groups, f32::INFINITY, value_of)
}

/// Writes the distances of all rows, one row of `out` per query.
///
/// # Errors
/// As [`knn`], and if `out` does not have one element per query and row.
pub fn scan(queries: &Queries, database: Database<'_>, out: &mut [f32], run: &Run<'_>) -> Result<(), Error> {
    let n_rows = database.n_rows();
    check_len("out", "elements", out.len(), queries.n_queries().saturating_mul(n_rows))?;
    let search = Search::new(queries, database, Mask::All, run)?;
    if out.is_empty() {
        return Ok(());
    }
    let rows_per_task = search.blocks_per_task() * ROWS_PER_BLOCK;
    // Each task writes some columns of the rows of a group of queries.
    let mut parts = Vec::new();
    let group_len = search.queries_per_group();
    for (group, out) in out.chunks_mut(group_len * n_rows).enumerate() {
        let mut rows = try_collect(out.chunks_mut(n_rows).map(|row| row.chunks_mut(rows_per_task)))?;
        for task in 0..search.n_tasks() {
            let out = try_collect(rows.iter_mut().filter_map(Iterator::next))?;
            try_push(&mut parts, (group * group_len, task, out))?;
        }
    }
    search.run_for(run).for_each_part(
        parts,
        || Scratch::new(group_len, database),
        |scratch, _, (first_query, task, mut out)| {
            let group = try_collect(first_query..first_query + out.len())?;
            let first = task * search.blocks_per_task();
            let all = 0..n_rows;
            search.visit_blocks(
                &group,
                search.task_blocks(task),
                &all,
                scratch,
                |slot, block, distances, _| {
                    let start = (block - first) * ROWS_PER_BLOCK;
                    let out = &mut out[slot][start..];
                    let len = out.len().min(ROWS_PER_BLOCK);
                    out[..len].copy_from_slice(&distances[..len]);
                    Ok(())
                },
            )
        },
    )?;
    Ok(())
}

struct Search<'a> {
    level: Level,
    queries: &'a Queries,
    database: Database<'a>,
    mask: RowMask,
    /// The blocks that have selected rows, in ascending order, unless all rows are selected.
    listed: Option<Vec<usize>>,
}

/// Writes the distances between what two sets of codes stand for, one row of `out` for each of the first: squared distances, or
/// negative inner products.
///
/// # Errors
/// As [`scan`]; codes of both have the same number of bytes.
pub fn cdist(
    a: (Codes<'_>, &[f32]),
    b: (Codes<'_>, &[f32]),
    grid: Grid,
    metric: Metric,
    out: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    check_same_bytes(("a", a.0), ("b", b.0))?;
    let a_squares = squares(a.0, a.1, grid, run)?;
    let mut factors = squares(b.0, b.1, grid, run)?;
    let offsets = try_collect(a_squares.as_chunks::<2>().0.iter().map(|[square, _]| match metric {
        Metric::L2 => *square,
        Metric::Ip => 0.0,
    }))?;
    if metric == Metric::Ip {
        factors.as_chunks_mut::<2>().0.iter_mut().for_each(|[square, _]| *square = 0.0);
    }
    let queries = Queries::from_codes(a.0, a.1, &offsets, grid, metric)?;
    scan(&queries, Database::from_rows(b.0, &factors, grid)?, out, run)?;
    if metric == Metric::L2 {
        // What rounding leaves of equal rows.
        run.for_words(out.len()).for_each_chunk(out, 1 << 16, |_, out| {
            out.iter_mut().for_each(|distance| *distance = distance.max(0.0));
            Ok(())
        })?;
    }
    Ok(())
}

/// What a worker needs in addition to its sink.
struct Scratch {
    planes: Vec<u8>,
    expanded: Vec<u8>,
    /// For each query, its parts one after the other, as in `sums`.
    products: Vec<[i32; ROWS_PER_TILE]>,
    sums: Vec<BlockSums>,
    distances: [f32; ROWS_PER_BLOCK],
}

impl Scratch {
    fn new(n_queries: usize, database: Database<'_>) -> Result<Self, Error> {
        let Database { grid, n_dims, .. } = database;
        let n_expanded = if grid.n_bits() == 1 { 0 } else { ROWS_PER_TILE * grid.expanded_len(n_dims) };
        Ok(Scratch {
            planes: Vec::new(),
            expanded: try_vec(0, n_expanded)?,
            products: try_vec([0; ROWS_PER_TILE], n_queries * grid.query_parts())?,
            sums: try_vec([0; ROWS_PER_BLOCK], n_queries * grid.query_parts())?,
            distances: [0.0; ROWS_PER_BLOCK],
        })
    }
}

impl<'a> Search<'a> {
    fn new(
        queries: &'a Queries,
        database: Database<'a>,
        mask: Mask<'_>,
        run: &Run<'_>,
    ) -> Result<Self, Error> {
        database.check(queries)?;
        let mask = RowMask::new(mask, database.n_rows())?.for_words()?;
        let listed = if mask.is_all() { None } else { Some(mask.groups::<{ ROWS_PER_BLOCK / 64 }>()?) };
        Ok(Search { level: run.level(), queries, database, mask, listed })
    }

    fn blocks_per_task(&self) -> usize {
        let block_len = self.database.grid.n_bytes(self.database.n_dims) * ROWS_PER_BLOCK;
        (CODE_BYTES_PER_TASK / block_len).max(1)
    }

    fn n_blocks(&self) -> usize {
        self.listed.as_ref().map_or(self.database.n_rows().div_ceil(ROWS_PER_BLOCK), Vec::len)
    }

    fn n_tasks(&self) -> usize {
        self.n_blocks().div_ceil(self.blocks_per_task())
    }

    /// The blocks of a task, in ascending order.
    fn task_blocks(&self, task: usize) -> impl Iterator<Item = usize> + '_ {
        let (start, end) = (task * self.blocks_per_task(), (task + 1) * self.blocks_per_task());
        (start..end.min(self.n_blocks()))
            .map(|index| self.listed.as_ref().map_or(index, |listed| listed[index]))
    }

    fn queries_per_group(&self) -> usize {
        let n_bytes = self.database.n_dims * if self.database.grid.n_bits() == 1 { 4 } else { 2 };
        (QUERY_BYTES_PER_GROUP / n_bytes).clamp(QUERIES_PER_PASS, QUERIES_PER_GROUP)
    }

    /// The run for this much work.
    fn run_for<'r>(&self, run: &Run<'r>) -> Run<'r> {
        let sums = self.queries.n_queries().saturating_mul(self.mask.n_selected());
        run.for_words(sums.saturating_mul(self.database.grid.n_bytes(self.database.n_dims)) / 8)
    }

    /// Calls `search` with groups of queries, each with the threads that it may use, and returns the results in order.
    fn for_each_group<R: Send>(
        &self,
        largest_group: usize,
        run: &Run<'_>,
        search: impl Fn(Range<usize>, &Run<'_>) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        let group_len = self.queries_per_group().min(largest_group);
        for_each_group(self.queries.n_queries(), group_len, self.n_tasks(), &self.run_for(run), search)
    }

    /// Compares all rows with the queries of a group, and returns the sink of each worker.
    fn visit<S: Sink>(&self, group: Range<usize>, seed: &S, run: &Run<'_>) -> Result<Vec<S>, Error> {
        let (group, all) = (try_collect(group)?, 0..self.database.n_rows());
        let workers = run.for_each_task(
            self.n_tasks(),
            || Ok((Scratch::new(group.len(), self.database)?, seed.fork()?)),
            |(scratch, sink), task| {
                self.visit_blocks(
                    &group,
                    self.task_blocks(task),
                    &all,
                    scratch,
                    |slot, block, distances, selected| {
                        offer(self.level, sink, slot, (block * ROWS_PER_BLOCK) as u64, distances, selected)
                    },
                )
            },
        )?;
        try_collect(workers.into_iter().map(|(_, sink)| sink))
    }

    /// Calls `receive(slot of a query, block, distances, selected ones of these rows)` for each block and query of the group.
    fn visit_blocks(
        &self,
        group: &[usize],
        blocks: impl Iterator<Item = usize>,
        rows: &Range<usize>,
        scratch: &mut Scratch,
        mut receive: impl FnMut(usize, usize, &[f32; ROWS_PER_BLOCK], BlockRows) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let n_parts = self.database.grid.query_parts();
        let operands =
            group.iter().flat_map(|query| (0..n_parts).map(|part| self.queries.bytes(*query, part)));
        let operands = try_collect(operands)?;
        for block in blocks {
            let selected: BlockRows = self.mask.words_within(block * (ROWS_PER_BLOCK / 64), rows);
            match self.database.rows {
                Rows::Bits(blocks) => {
                    let planes = blocks.get(self.level, block, block + 1, &mut scratch.planes)?;
                    self.sum_planes(group, planes, blocks.packed(block + 1), &mut scratch.sums);
                }
                Rows::Numbers(codes) => {
                    self.sum_numbers(&operands, codes, block, selected, scratch);
                }
            }
            let factors = &self.database.factors[block * ROWS_PER_BLOCK..];
            let factors = &factors[..factors.len().min(ROWS_PER_BLOCK)];
            for (slot, &query) in group.iter().enumerate() {
                let sums = &scratch.sums[slot * n_parts..][..n_parts];
                let finish = self.queries.finish(query);
                let is_finite = match sums {
                    [upper, lower] => {
                        distances(self.level, &[upper, lower], factors, finish, &mut scratch.distances)
                    }
                    [sums, ..] => distances(self.level, &[sums], factors, finish, &mut scratch.distances),
                    [] => true,
                };
                if !is_finite {
                    check_finite(block, factors, &scratch.distances, selected)?;
                }
                receive(slot, block, &scratch.distances, selected)?;
            }
        }
        Ok(())
    }

    /// `next` is the block that will be read then.
    fn sum_planes(&self, group: &[usize], planes: &[u8], next: &[u8], sums: &mut [BlockSums]) {
        let (groups, rest) = group.as_chunks::<QUERIES_PER_PASS>();
        let (passes, rest_sums) = sums[..group.len()].as_chunks_mut::<QUERIES_PER_PASS>();
        for (queries, sums) in groups.iter().zip(passes) {
            sum_bits(self.level, queries.map(|query| self.queries.tables(query)), planes, next, sums);
        }
        for (query, sums) in rest.iter().zip(rest_sums.as_chunks_mut::<1>().0) {
            sum_bits(self.level, [self.queries.tables(*query)], planes, next, sums);
        }
    }

    fn sum_numbers(
        &self,
        operands: &[&[i8]],
        codes: Codes<'_>,
        block: usize,
        selected: BlockRows,
        scratch: &mut Scratch,
    ) {
        let Database { grid, n_dims, .. } = self.database;
        let (len, mut left, mut rows) = (grid.expanded_len(n_dims), selected, [0; ROWS_PER_TILE]);
        loop {
            let rows = take_rows(block, &mut left, &mut rows);
            if rows.is_empty() {
                return;
            }
            let expanded = &mut scratch.expanded[..rows.len() * len];
            multiply(self.level, codes, rows, grid, operands, expanded, &mut scratch.products);
            let first = rows[0] % ROWS_PER_BLOCK;
            let are_consecutive =
                rows.len() == ROWS_PER_TILE && rows[ROWS_PER_TILE - 1] - rows[0] == ROWS_PER_TILE - 1;
            for (sums, products) in scratch.sums.iter_mut().zip(&scratch.products) {
                if are_consecutive {
                    sums[first..first + ROWS_PER_TILE].copy_from_slice(products);
                } else {
                    for (row, product) in rows.iter().zip(products) {
                        sums[row % ROWS_PER_BLOCK] = *product;
                    }
                }
            }
        }
    }
}

/// Moves the first of the rows of a block that are left to `rows`, as many as fit.
fn take_rows<'a>(block: usize, left: &mut BlockRows, rows: &'a mut [usize; ROWS_PER_TILE]) -> &'a [usize] {
    let mut n_rows = 0;
    for (word, left) in left.iter_mut().enumerate() {
        while *left != 0 && n_rows < ROWS_PER_TILE {
            rows[n_rows] = block * ROWS_PER_BLOCK + 64 * word + left.trailing_zeros() as usize;
            *left &= *left - 1;
            n_rows += 1;
        }
    }
    &rows[..n_rows]
}

/// Hands the selected rows of a block that are near enough to the sink.
#[inline]
fn offer<R: Receiver>(
    level: Level,
    sink: &mut R,
    slot: usize,
    first_id: u64,
    distances: &[f32; ROWS_PER_BLOCK],
    selected: BlockRows,
) -> Result<(), Error> {
    let Some(limit) = largest(sink.below(slot, first_id)) else { return Ok(()) };
    let near = near(level, distances, limit);
    for (word, (near, selected)) in near.into_iter().zip(selected).enumerate() {
        let mut left = near & selected;
        while left != 0 {
            let row = 64 * word + left.trailing_zeros() as usize;
            left &= left - 1;
            let (id, key) = (first_id + row as u64, key(distances[row]));
            if key < sink.below(slot, id) {
                sink.push(Found { query: slot as u32, key, id })?;
            }
        }
    }
    Ok(())
}

/// The error of the first selected row whose distance is not finite, if there is one.
#[cold]
fn check_finite(
    block: usize,
    factors: &[[f32; 2]],
    distances: &[f32; ROWS_PER_BLOCK],
    selected: BlockRows,
) -> Result<(), Error> {
    for (row, (factors, distance)) in factors.iter().zip(distances).enumerate() {
        if selected[row / 64] >> (row % 64) & 1 == 1 && !distance.is_finite() {
            let [norm, factor] = factors;
            return Err(Error::Value {
                name: "factors",
                value: format!("({norm:e}, {factor:e})"),
                at: At::Row(block * ROWS_PER_BLOCK + row),
                expected: "numbers whose products with the query are finite float32".to_owned(),
            });
        }
    }
    Ok(())
}
