//! Multi-index hashing: exact search by Hamming distance that looks at the rows which have a part in common with the query, or nearly
//! so (Norouzi, Punjani and Fleet, *Fast exact search in Hamming space with multi-index hashing*, PAMI 36, 2014).
//!
//! A code is cut into `m` substrings, and each of `m` tables holds the rows by the bits of one of them. If a row differs from a query in at
//! most `m * s + a` bits, it differs in at most `s` bits in one of the first `a + 1` substrings, or in at most `s - 1` in one of the others:
//! else it would differ in `(a + 1) * (s + 1) + (m - a - 1) * s` bits, which are more. So a search takes steps, ordered by `(s, table)`;
//! each looks up the buckets whose keys differ from the query's in exactly `s` bits, and after the step `(s, a)` all rows within the radius
//! `m * s + a` were seen. A search for the `k` nearest ends when the k-th so far is within that radius. It is never wrong for a table to
//! leave bits out, so a key has no more bits than its table has use for.
//!
//! A row is taken in the first of the steps in which it is seen, which follows from its bits: no list of rows that were seen is needed.
//!
//! ```text
//! starts    one row per table: where the bucket of each key begins in `entries`, and where the last one ends    (m, 2^width + 1)
//! entries   one row per table: the entries of bucket 0, of bucket 1, ..., by ascending rows within each         (m, n)
//! key t     `width` bits of a code from bit t * (n_bits / m) on, the first one most significant
//! entry     row in the lower 32 bits; the up to 32 bits that follow the key, from the end of the code on to its start, in the upper ones
//! ```
//!
//! Where the steps would take longer than a scan of all rows, the rows are scanned: for all such queries of a call together.
//!
//! The bottleneck is the latency of memory: a bucket is a read at a random place in `starts` and one in `entries`. A group of queries
//! takes a step together, and the reads of each kind are requested for all of them before the first is used. The bits beside a row tell
//! that most rows are too far, so that only codes near the query are read. Zen 3 takes 60 to 90 ns for a bucket among ten million rows;
//! two reads of memory beyond its caches take 32 ns if nothing else is done.
//!
//! | file | contents |
//! |---|---|
//! | `fill` | the tables of some rows |
//! | `search` | the steps of a few queries |

mod fill;
mod portable;
mod search;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;

pub use fill::fill;

use crate::codes::check_same_bytes;
use crate::error::{check_len, try_collect, try_push, try_vec};
use crate::level::at_level;
use crate::select::mask::RowMask;
use crate::select::sink::{Below, Found, largest_block};
use crate::select::top_k::TopK;
use crate::{Codes, Csr, Error, Level, Mask, Neighbors, Run, hamming};
#[cfg(target_arch = "x86_64")]
use avx2 as avx512;
use search::{Buffers, Search};

/// The most bits of a key: a table of 2^24 buckets takes 64 MiB.
pub const MAX_WIDTH: usize = 24;

/// Tables by default at most, since each takes eight bytes for each row.
const DEFAULT_TABLES: usize = 32;

/// Queries that take their steps together, at most.
const QUERIES_PER_TASK: usize = 16;

/// Tasks for each thread, if there are enough queries.
const TASKS_PER_THREAD: usize = 4;

/// The time that a look-up and an entry take, in words that a scan compares for many queries.
const WORDS_PER_PROBE: u64 = 256;
const WORDS_PER_ENTRY: u64 = 8;

/// The same scan for one query waits for memory: it takes as long as comparing this many words for each one.
const WORDS_IF_ALONE: usize = 8;

/// Unless there are this many rows for each neighbour, all rows are scanned.
const ROWS_PER_NEIGHBOR: usize = 16;

/// The time that a query takes as a rule, in words.
const WORDS_PER_QUERY: usize = 1 << 13;

/// Returns the number of tables for `n_rows` rows (`n_tables` if given) and the number of bits in a key, at which a bucket holds about
/// one row.
///
/// # Errors
/// [`Error::Range`] if there are more tables than bits, or none.
pub fn shape(n_rows: usize, n_bits: usize, n_tables: Option<usize>) -> Result<(usize, usize), Error> {
    let log2 = n_rows.max(2).next_power_of_two().ilog2() as usize;
    let n_tables = n_tables.unwrap_or_else(|| ((n_bits + log2 / 2) / log2).clamp(1, DEFAULT_TABLES));
    if !(1..=n_bits).contains(&n_tables) {
        return Err(Error::Range { name: "n_tables", unit: "", given: n_tables, low: 1, high: n_bits });
    }
    Ok((n_tables, (n_bits / n_tables).min(log2).min(MAX_WIDTH)))
}

/// Which bits are the key of a table.
#[derive(Clone, Copy, Debug)]
struct Layout {
    n_bits: usize,
    n_tables: usize,
    /// Bits of a key, at most [`MAX_WIDTH`].
    width: usize,
}

impl Layout {
    /// The layout of tables with this many starts.
    fn new(n_bits: usize, n_tables: usize, n_starts: usize) -> Result<Self, Error> {
        let width = n_starts.checked_div(n_tables).and_then(usize::checked_ilog2).unwrap_or(0) as usize;
        let fits = (1..=MAX_WIDTH).contains(&width) && width * n_tables <= n_bits;
        if !fits || n_starts != n_tables * ((1 << width) + 1) {
            let problem = format!(
                "{n_tables} tables with {n_starts} starts do not fit codes of {n_bits} bits; expected 2**w + 1 starts for each \
                 table, where w is from 1 to {MAX_WIDTH}, and as many bits as all keys have"
            );
            return Err(Error::Incompatible { problem });
        }
        Ok(Layout { n_bits, n_tables, width })
    }

    /// Starts of a table.
    fn n_starts(&self) -> usize {
        (1 << self.width) + 1
    }

    /// The key of a row.
    #[inline(always)]
    fn key(&self, row: &[u8], table: usize) -> u32 {
        bits_of(row, table * (self.n_bits / self.n_tables), self.width)
    }

    /// The bits of a row that its entry in a table stores next to the row number.
    #[inline(always)]
    fn rest(&self, row: &[u8], table: usize) -> u32 {
        let first = table * (self.n_bits / self.n_tables) + self.width;
        let n_rest = (self.n_bits - self.width).min(u32::BITS as usize);
        let n_before_end = n_rest.min(self.n_bits - first);
        let n_from_start = n_rest - n_before_end;
        let before_end = u64::from(bits_of(row, first, n_before_end)) << n_from_start;
        before_end as u32 | bits_of(row, 0, n_from_start)
    }

    /// Checks that rows have bytes for the bits.
    fn check(&self, codes: Codes<'_>) -> Result<(), Error> {
        check_len("codes", "bytes per row", codes.n_bytes(), self.n_bits.div_ceil(8))
    }
}

/// Up to 32 bits of a row from bit `first` on, the first one highest.
#[inline(always)]
fn bits_of(row: &[u8], first: usize, n_bits: usize) -> u32 {
    let rest = row.get(first / 8..).unwrap_or_default();
    // Eight bytes hold the bits wherever they begin in the first of them.
    let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(rest).for_each(|(byte, given)| *byte = *given);
        bytes
    });
    let word = u64::from_be_bytes(bytes) << (first % 8);
    word.checked_shr(u64::BITS - n_bits as u32).unwrap_or(0) as u32
}

/// Tables of some consecutive rows.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    layout: Layout,
    n_rows: usize,
    starts: &'a [u32],
    entries: &'a [u64],
}

impl<'a> Tables<'a> {
    /// `n_tables` tables of codes of `n_bits` bits, as [`fill`] makes them. What they hold is not checked: a row that does not exist is
    /// ignored, and one in a wrong bucket may be missed, or found twice.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if the number of starts is not one for each key and one more, or there are not enough bits for the keys;
    /// [`Error::Length`] if there are not as many entries for each table.
    pub fn new(n_bits: usize, n_tables: usize, starts: &'a [u32], entries: &'a [u64]) -> Result<Self, Error> {
        let layout = Layout::new(n_bits, n_tables, starts.len())?;
        check_len("entries", "elements", entries.len(), entries.len().next_multiple_of(n_tables))?;
        Ok(Tables { layout, n_rows: entries.len() / n_tables, starts, entries })
    }

    /// Where in `starts` the bucket of a key is.
    #[inline]
    fn bucket(&self, table: usize, key: u32) -> usize {
        table * self.layout.n_starts() + key as usize
    }

    /// The entries of a bucket. The starts may be anything: a file may have been altered, or an array changed.
    #[inline]
    fn list(&self, table: usize, bucket: usize) -> &'a [u64] {
        let (start, stop) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        let entries = &self.entries[table * self.n_rows..(table + 1) * self.n_rows];
        entries.get(start..stop).unwrap_or_default()
    }

    /// The time that a step takes if the rows are spread evenly over the buckets, in words.
    fn words_of_step(&self, n_flips: usize) -> u64 {
        let width = self.layout.width as u64;
        let n_probes = (0..n_flips as u64).fold(1, |n, chosen| n * (width - chosen) / (chosen + 1));
        n_probes * (WORDS_PER_PROBE + ((self.n_rows as u64 * WORDS_PER_ENTRY) >> width))
    }

    /// The time of all steps up to a radius.
    fn words_of_radius(&self, radius: usize) -> u64 {
        let n_tables = self.layout.n_tables;
        let last = (radius / n_tables).min(self.layout.width + 1);
        let whole = (0..last).map(|n_flips| n_tables as u64 * self.words_of_step(n_flips));
        let rest = match last <= self.layout.width {
            true => (radius % n_tables + 1) as u64 * self.words_of_step(last),
            false => 0,
        };
        whole.sum::<u64>() + rest
    }
}

/// The entries of a bucket that a query looked up.
struct List<'a> {
    entries: &'a [u64],
    /// Which walk of the query.
    walk: usize,
    /// The bits of the query that entries have.
    rest: u32,
    /// Entries that differ in fewer of them may be near.
    below: u32,
}

/// A row that may be near, and which walk came to it.
#[derive(Clone, Copy, Default)]
struct Candidate {
    walk: u32,
    row: u32,
}

/// Writes the candidates of all lists and returns their number; there must be room for all entries.
fn candidates(level: Level, lists: &[List<'_>], out: &mut [Candidate]) -> usize {
    at_level!(level, candidates(lists, out))
}

/// A database whose first rows are in tables.
struct Database<'a> {
    codes: Codes<'a>,
    /// The number of the first row of each, and the tables; the largest come first.
    tables: Vec<(usize, Tables<'a>)>,
    /// Rows that are in tables.
    n_listed: usize,
    /// One bit for each row that is not selected, unless all are.
    excluded: Option<Vec<u64>>,
    n_selected: usize,
}

impl<'a> Database<'a> {
    fn new(codes: Codes<'a>, tables: &[Tables<'a>], mask: Mask<'_>) -> Result<Self, Error> {
        let (mut listed, mut n_listed) = (Vec::new(), 0);
        for part in tables {
            part.layout.check(codes)?;
            try_push(&mut listed, (n_listed, *part))?;
            n_listed += part.n_rows;
        }
        if n_listed > codes.n_rows() {
            let (first, second) = (("tables", n_listed), ("codes", codes.n_rows()));
            let hint = "expected tables of the first rows";
            return Err(Error::Mismatch { unit: "rows", first, second, hint });
        }
        listed.sort_by_key(|(first, tables)| (std::cmp::Reverse(tables.n_rows), *first));
        let mask = RowMask::new(mask, codes.n_rows())?;
        let excluded = if mask.is_all() { None } else { Some(mask.excluded()?) };
        Ok(Database { codes, tables: listed, n_listed, excluded, n_selected: mask.n_selected() })
    }

    fn is_selected(&self, row: usize) -> bool {
        self.excluded.as_ref().is_none_or(|excluded| excluded[row / 64] >> (row % 64) & 1 == 0)
    }

    /// The time that a query may take, in words: half of that of a scan, in case that it needs one in the end.
    fn words_of_scan(&self, n_queries: usize) -> u64 {
        let share = (WORDS_IF_ALONE / n_queries.max(1)).max(1);
        (self.n_selected.saturating_mul(self.codes.n_words()).saturating_mul(share) / 2) as u64
    }

    /// The time of all queries, if they are near to rows.
    fn words_of_call(&self, n_queries: usize) -> usize {
        let unlisted = (self.codes.n_rows() - self.n_listed).saturating_mul(self.codes.n_words());
        n_queries.saturating_mul(unlisted.saturating_add(WORDS_PER_QUERY * self.codes.n_words()))
    }
}

/// Finds the nearest rows of `codes` for each query, as [`hamming::knn`] does; `tables` hold the first rows, one after the other.
///
/// # Errors
/// [`Error::Mismatch`] if queries and codes differ in bytes, the mask does not have one boolean per row, or the tables have more rows
/// than `codes`; [`Error::Incompatible`] or [`Error::Length`] if codes or tables are for another number of bits; [`Error::Row`] for an id
/// of the mask that is not a row; [`Error::Length`] if `out` does not have room for each query; [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn knn(
    queries: Codes<'_>,
    codes: Codes<'_>,
    tables: &[Tables<'_>],
    mask: Mask<'_>,
    mut out: Neighbors<'_, i32>,
    run: &Run<'_>,
) -> Result<(), Error> {
    check_same_bytes(("queries", queries), ("codes", codes))?;
    let database = Database::new(codes, tables, mask)?;
    let k = out.k();
    if k == 0 || tables.is_empty() || database.n_selected / ROWS_PER_NEIGHBOR < k {
        return hamming::knn(queries, codes, mask, out, run);
    }
    out.clear(queries.n_rows(), i32::MAX)?;
    let (n_queries, words) = (queries.n_rows(), database.words_of_scan(queries.n_rows()));
    let (few, level) = (run.for_words(database.words_of_call(n_queries)), run.level());
    let group_len = group_len(n_queries, &few).min(largest_block(k, few.threads())).max(1);
    let new_state = || Ok((Vec::new(), Buffers::default()));
    let states = few.for_each_part(
        out.reborrow().blocks(group_len),
        new_state,
        |(too_far, buffers), task, mut out| {
            let first = task * group_len;
            let mut search = Search {
                database: &database,
                queries: queries.slice(first, n_queries.min(first + group_len)),
                words: try_vec(Some(words), n_queries.min(first + group_len) - first)?,
                level,
                sink: try_collect((first..n_queries.min(first + group_len)).map(|_| TopK::new(k)))?,
            };
            search.all_rows(buffers)?;
            for (slot, (top_k, words)) in search.sink.into_iter().zip(search.words).enumerate() {
                match words {
                    Some(_) => out.write(slot, &TopK::merge([top_k])?, |key| key as i32),
                    None => try_push(too_far, first + slot)?,
                }
            }
            Ok(())
        },
    )?;
    let too_far = sorted(states.into_iter().map(|(too_far, _)| too_far))?;
    if !too_far.is_empty() {
        let rows = gathered(queries, &too_far)?;
        let (mut distances, mut indices) = (try_vec(0, too_far.len() * k)?, try_vec(0, too_far.len() * k)?);
        let found = Neighbors::new(&mut distances, &mut indices, k);
        hamming::knn(Codes::new(&rows, too_far.len(), queries.n_bytes())?, codes, mask, found, run)?;
        out.copy(&too_far, &distances, &indices);
    }
    Ok(())
}

/// Finds all rows of `codes` at a distance of at most `radius` from each query, as [`hamming::radius`] does; `tables` hold the first rows,
/// one after the other.
///
/// # Errors
/// As [`knn`]; [`Error::OutOfMemory`] if the results do not fit the memory.
pub fn radius(
    queries: Codes<'_>,
    codes: Codes<'_>,
    tables: &[Tables<'_>],
    radius: u32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<i32>, Error> {
    check_same_bytes(("queries", queries), ("codes", codes))?;
    let database = Database::new(codes, tables, mask)?;
    let (n_queries, words) = (queries.n_rows(), database.words_of_scan(queries.n_rows()));
    let needed = tables.iter().map(|tables| tables.words_of_radius(radius as usize)).sum::<u64>();
    if tables.is_empty() || needed > words {
        return hamming::radius(queries, codes, radius, mask, run);
    }
    let (few, level) = (run.for_words(database.words_of_call(n_queries)), run.level());
    let group_len = group_len(n_queries, &few);
    let mut blocks = few.map_tasks(
        n_queries.div_ceil(group_len),
        || Ok(Buffers::default()),
        |buffers, task| {
            let ids = task * group_len..n_queries.min((task + 1) * group_len);
            let mut search = Search {
                database: &database,
                queries: queries.slice(ids.start, ids.end),
                words: try_vec(Some(words), ids.len())?,
                level,
                sink: Below::new(radius.saturating_add(1)),
            };
            search.all_rows(buffers)?;
            let Search { words, mut sink, .. } = search;
            sink.forget(|slot| words[slot].is_none());
            let found = Below::merge(vec![sink], |found| (found.query, found.key, found.id))?;
            let too_far = ids.clone().zip(words).filter(|(_, words)| words.is_none()).map(|(query, _)| query);
            Ok((try_collect(ids)?, found, too_far.collect::<Vec<_>>()))
        },
    )?;
    let too_far = sorted(blocks.iter_mut().map(|(_, _, too_far)| std::mem::take(too_far)))?;
    let mut blocks = try_collect(blocks.into_iter().map(|(ids, found, _)| (ids, found)))?;
    if !too_far.is_empty() {
        let rows = gathered(queries, &too_far)?;
        let rows = Codes::new(&rows, too_far.len(), queries.n_bytes())?;
        let Csr { offsets, distances, indices } = hamming::radius(rows, codes, radius, mask, run)?;
        let mut found = Vec::new();
        found.try_reserve_exact(indices.len())?;
        for (query, ends) in offsets.windows(2).enumerate() {
            let results = ends[0] as usize..ends[1] as usize;
            let results = distances[results.clone()].iter().zip(&indices[results]);
            found.extend(results.map(|(distance, id)| Found {
                query: query as u32,
                key: *distance as u32,
                id: *id as u64,
            }));
        }
        try_push(&mut blocks, (too_far, found))?;
    }
    Csr::from_blocks(n_queries, &blocks, i32::MAX, |key| key as i32)
}

/// Queries of a task.
fn group_len(n_queries: usize, run: &Run<'_>) -> usize {
    let n_tasks = if run.threads() == 1 { 1 } else { TASKS_PER_THREAD * run.threads() };
    n_queries.div_ceil(n_tasks).clamp(1, QUERIES_PER_TASK)
}

/// All numbers of some parts, in ascending order.
fn sorted(parts: impl Iterator<Item = Vec<usize>>) -> Result<Vec<usize>, Error> {
    let mut all = Vec::new();
    for part in parts {
        all.try_reserve(part.len())?;
        all.extend(part);
    }
    all.sort_unstable();
    Ok(all)
}

/// The bytes of some rows, one after the other.
fn gathered(codes: Codes<'_>, rows: &[usize]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(rows.len().saturating_mul(codes.n_bytes()))?;
    rows.iter().for_each(|row| bytes.extend_from_slice(codes.row(*row)));
    Ok(bytes)
}
