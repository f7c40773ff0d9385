//! The steps of a few queries, side by side.

use super::{Candidate, Database, Layout, List, Tables, WORDS_PER_ENTRY, WORDS_PER_PROBE, candidates};
use crate::codes::prefetch;
use crate::error::{try_collect, try_resize};
use crate::popcount::{Hits, distances_of, scan_rows};
use crate::select::sink::{Found, Sink};
use crate::{Codes, Error, Level};

/// Buckets that a query looks up at a time.
const PROBES_PER_ROUND: usize = 64;

/// Entries that are looked at before the codes of the candidates among them are read, unless one bucket has more.
const ENTRIES_PER_BATCH: usize = 4096;

/// Bytes of rows without a table that are scanned at a time.
const SCANNED_BYTES: usize = 32 * 1024;

/// A few queries.
pub(super) struct Search<'a, S> {
    pub database: &'a Database<'a>,
    pub queries: Codes<'a>,
    /// The time that each query may still take, in words; `None` once it gave up.
    pub words: Vec<Option<u64>>,
    pub level: Level,
    pub sink: S,
}

/// Where a query is on its way through some tables.
struct Walk {
    slot: usize,
    n_flips: usize,
    table: usize,
    /// The bits to flip next, as long as the step has such.
    flips: Option<u32>,
}

/// A bucket to look up, and which of the walks that are not finished does so.
struct Probe {
    walk: usize,
    bucket: usize,
}

/// The bits of a query that a table knows.
#[derive(Clone, Copy, Default)]
struct Known {
    key: u32,
    rest: u32,
}

/// What tasks use one after the other.
#[derive(Default)]
pub(super) struct Buffers<'a> {
    known: Vec<Known>,
    probes: Vec<Probe>,
    lists: Vec<List<'a>>,
    found: Vec<Candidate>,
    rows: Vec<usize>,
    distances: Vec<u32>,
    hits: Hits,
}

impl Walk {
    /// The bits to flip for the next look-up of the step, the lowest numbers first (Gosper's hack).
    fn next_flips(&mut self, width: usize) -> Option<u32> {
        let flips = self.flips?;
        self.flips = match flips {
            0 => None,
            _ => {
                let carried = flips + (flips & flips.wrapping_neg());
                let next = (((flips ^ carried) >> 2) >> flips.trailing_zeros()) | carried;
                (next >> width == 0).then_some(next)
            }
        };
        Some(flips)
    }

    /// The radius within which all rows were seen when the step ends.
    fn radius(&self, n_tables: usize) -> usize {
        n_tables * self.n_flips + self.table
    }

    /// Begins the next step; false if there is none.
    fn advance(&mut self, layout: Layout) -> bool {
        self.table += 1;
        if self.table == layout.n_tables {
            (self.table, self.n_flips) = (0, self.n_flips + 1);
        }
        self.flips = Some((1 << self.n_flips) - 1);
        self.n_flips <= layout.width
    }
}

impl<'a, S: Sink> Search<'a, S> {
    /// Offers all rows that may qualify to the sink, except for queries that give up.
    pub fn all_rows(&mut self, buffers: &mut Buffers<'a>) -> Result<(), Error> {
        for (first_row, tables) in &self.database.tables {
            self.listed_rows(*first_row, tables, buffers)?;
        }
        self.unlisted_rows(&mut buffers.hits)
    }

    /// Searches the rows of some tables.
    fn listed_rows(
        &mut self,
        first_row: usize,
        tables: &Tables<'a>,
        buffers: &mut Buffers<'a>,
    ) -> Result<(), Error> {
        let (layout, n_tables) = (tables.layout, tables.layout.n_tables);
        buffers.known.clear();
        try_resize(&mut buffers.known, self.queries.n_rows() * n_tables, Known::default())?;
        for (query, known) in buffers.known.chunks_exact_mut(n_tables).enumerate() {
            let row = self.queries.row(query);
            for (table, known) in known.iter_mut().enumerate() {
                *known = Known { key: layout.key(row, table), rest: layout.rest(row, table) };
            }
        }
        let new_walk = |slot| Walk { slot, n_flips: 0, table: 0, flips: Some(0) };
        let mut walks = try_collect((0..self.queries.n_rows()).map(new_walk))?;
        walks.retain(|walk| self.words[walk.slot].is_some());
        while !walks.is_empty() {
            self.find_lists(&mut walks, first_row, tables, buffers)?;
            let Buffers { known, lists, found, rows, distances, .. } = buffers;
            let mut lists = &lists[..];
            while !lists.is_empty() {
                let (mut n_lists, mut n_entries) = (0, 0);
                while n_entries < ENTRIES_PER_BATCH && n_lists < lists.len() {
                    n_entries += lists[n_lists].entries.len();
                    n_lists += 1;
                }
                let (batch, others) = lists.split_at(n_lists);
                lists = others;
                try_resize(found, n_entries.max(found.len()), Candidate::default())?;
                let n_found = candidates(self.level, batch, found);
                self.score(first_row, tables, &walks, &found[..n_found], known, (rows, distances))?;
            }
            walks.retain_mut(|walk| self.goes_on(walk, first_row, tables));
        }
        Ok(())
    }

    /// Looks up the next buckets of each walk.
    fn find_lists(
        &mut self,
        walks: &mut [Walk],
        first_row: usize,
        tables: &Tables<'a>,
        buffers: &mut Buffers<'a>,
    ) -> Result<(), Error> {
        let Buffers { known, probes, lists, .. } = buffers;
        let layout = tables.layout;
        probes.clear();
        probes.try_reserve(walks.len() * PROBES_PER_ROUND)?;
        for (index, walk) in walks.iter_mut().enumerate() {
            let (table, key) = (walk.table, known[walk.slot * layout.n_tables + walk.table].key);
            for flips in (0..PROBES_PER_ROUND).map_while(|_| walk.next_flips(layout.width)) {
                let bucket = tables.bucket(table, key ^ flips);
                prefetch(tables.starts, bucket);
                probes.push(Probe { walk: index, bucket });
            }
        }
        lists.clear();
        lists.try_reserve(probes.len())?;
        for probe in &*probes {
            let walk = &walks[probe.walk];
            let entries = tables.list(walk.table, probe.bucket);
            let words = WORDS_PER_PROBE + WORDS_PER_ENTRY * entries.len() as u64;
            let left = &mut self.words[walk.slot];
            *left = left.and_then(|left| left.checked_sub(words));
            if !entries.is_empty() && left.is_some() {
                prefetch(entries, 0);
                prefetch(entries, entries.len() - 1);
                let below = self.sink.below(walk.slot, first_row as u64).saturating_sub(walk.n_flips as u32);
                let rest = known[walk.slot * layout.n_tables + walk.table].rest;
                lists.push(List { entries, walk: probe.walk, rest, below });
            }
        }
        lists.retain(|list| self.words[walks[list.walk].slot].is_some());
        Ok(())
    }

    /// Whether a query has more to look up after a round, in this step or in the next one.
    fn goes_on(&mut self, walk: &mut Walk, first_row: usize, tables: &Tables<'_>) -> bool {
        let Some(left) = self.words[walk.slot] else { return false };
        if walk.flips.is_some() {
            return true;
        }
        self.sink.settle(walk.slot);
        // Rows that were not seen are farther than the radius.
        let nearest = walk.radius(tables.layout.n_tables) as u64 + 1;
        let below = u64::from(self.sink.below(walk.slot, first_row as u64));
        if nearest >= below || !walk.advance(tables.layout) {
            return false;
        }
        if tables.words_of_step(walk.n_flips) > left {
            self.words[walk.slot] = None;
        }
        self.words[walk.slot].is_some()
    }

    /// Computes the distances of candidates, and passes those on that qualify.
    fn score(
        &mut self,
        first_row: usize,
        tables: &Tables<'_>,
        walks: &[Walk],
        found: &[Candidate],
        known: &[Known],
        (rows, distances): (&mut Vec<usize>, &mut Vec<u32>),
    ) -> Result<(), Error> {
        let (layout, n_tables) = (tables.layout, tables.layout.n_tables);
        let codes = self.database.codes.slice(first_row, first_row + tables.n_rows);
        found.iter().for_each(|candidate| codes.prefetch(candidate.row as usize, candidate.row as usize + 1));
        for found in found.chunk_by(|a, b| a.walk == b.walk) {
            let walk = &walks[found[0].walk as usize];
            rows.clear();
            rows.try_reserve(found.len())?;
            rows.extend(
                found.iter().map(|candidate| candidate.row as usize).filter(|row| *row < codes.n_rows()),
            );
            try_resize(distances, rows.len(), 0)?;
            distances_of(self.level, self.queries.row(walk.slot), codes, rows, distances);
            let known = &known[walk.slot * n_tables..][..n_tables];
            for (&row, &key) in rows.iter().zip(&*distances) {
                let id = first_row + row;
                if key < self.sink.below(walk.slot, id as u64)
                    && self.database.is_selected(id)
                    && is_first(walk, codes.row(row), known, layout)
                {
                    self.sink.push(Found { query: walk.slot as u32, key, id: id as u64 })?;
                }
            }
        }
        Ok(())
    }

    /// Scans the rows that are in no table.
    fn unlisted_rows(&mut self, hits: &mut Hits) -> Result<(), Error> {
        let Database { codes, n_listed, .. } = *self.database;
        let step = (SCANNED_BYTES / codes.n_bytes()).max(1);
        for start in (n_listed..codes.n_rows()).step_by(step) {
            let rows = codes.slice(start, codes.n_rows().min(start + step));
            for slot in (0..self.queries.n_rows()).filter(|slot| self.words[*slot].is_some()) {
                hits.clear();
                self.sink.settle(slot);
                let bound = self.sink.below(slot, start as u64);
                scan_rows(self.level, self.queries.row(slot), rows, bound, 0, hits)?;
                for hit in &*hits {
                    let id = start + hit.row as usize;
                    if hit.distance < self.sink.below(slot, id as u64) && self.database.is_selected(id) {
                        self.sink.push(Found { query: slot as u32, key: hit.distance, id: id as u64 })?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a row that is seen in the current step was not seen in an earlier one.
fn is_first(walk: &Walk, row: &[u8], known: &[Known], layout: Layout) -> bool {
    known.iter().enumerate().all(|(table, known)| {
        let n_differing = (layout.key(row, table) ^ known.key).count_ones() as usize;
        (n_differing, table) >= (walk.n_flips, walk.table)
    })
}
