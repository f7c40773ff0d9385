//! [`Queries`]: the queries of a search, in the order in which they are visited, and [`Block`]: some of them, ready for the
//! kernels.

use std::ops::Range;

use super::sorted::SortedRows;
use crate::bits::popcount_rows;
use crate::error::{try_collect, try_vec};
use crate::popcount::tile::{QUERIES_PER_GROUP, QueryGroups};
use crate::{Codes, Error, Level};

/// Queries of a block: enough that transposing a tile costs little compared with scanning it.
pub(super) const QUERIES_PER_BLOCK: usize = 128;

/// The queries of a call.
pub(super) struct Queries<'a> {
    codes: Codes<'a>,
    /// Row ids in order.
    order: Vec<usize>,
    /// Number of ones of each row, if the metric needs it.
    ones: Vec<i32>,
    /// Whether the queries are the rows of the database: each is then compared only with those of higher ids.
    are_database: bool,
}

impl<'a> Queries<'a> {
    /// Queries in the order of the caller, or sorted by their number of ones, so that those of a group are alike.
    pub fn new(codes: Codes<'a>, by_ones: bool, level: Level) -> Result<Self, Error> {
        Queries::sorted_within(codes, codes.n_rows(), by_ones, level, false)
    }

    /// The rows of the database as queries; if the number of ones matters, those of a block are sorted by it.
    pub fn from_database(codes: Codes<'a>, by_ones: bool, level: Level) -> Result<Self, Error> {
        Queries::sorted_within(codes, QUERIES_PER_BLOCK, by_ones, level, true)
    }

    fn sorted_within(
        codes: Codes<'a>,
        len: usize,
        by_ones: bool,
        level: Level,
        are_database: bool,
    ) -> Result<Self, Error> {
        let mut order = try_collect(0..codes.n_rows())?;
        let mut ones = try_vec(0, if by_ones { codes.n_rows() } else { 0 })?;
        if by_ones {
            popcount_rows(level, codes, &mut ones);
            for order in order.chunks_mut(len.max(1)) {
                order.sort_unstable_by_key(|query| (ones[*query], *query));
            }
        }
        Ok(Queries { codes, order, ones, are_database })
    }

    pub fn codes(&self) -> Codes<'a> {
        self.codes
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The ids of some queries, in the order in which they are visited.
    pub fn ids(&self, queries: Range<usize>) -> &[usize] {
        &self.order[queries]
    }

    pub fn are_database(&self) -> bool {
        self.are_database
    }

    /// Some queries; in groups only if they are compared with tiles, and with sketches if rows are sorted.
    pub fn block(
        &self,
        queries: Range<usize>,
        in_groups: bool,
        sorted: Option<&SortedRows>,
        level: Level,
    ) -> Result<Block<'_>, Error> {
        let ids = self.ids(queries);
        let grouped = if in_groups { ids } else { &[] };
        let rows = grouped.iter().map(|id| self.codes.row(*id));
        let sketches = match sorted {
            Some(sorted) => Some(Sketches::new(self.codes, ids, in_groups, sorted, level)?),
            None => None,
        };
        Ok(Block {
            ids,
            ones: try_collect(ids.iter().map(|id| self.ones.get(*id).map_or(0, |ones| *ones as u32)))?,
            groups: QueryGroups::new(level, self.codes.n_words(), rows)?,
            sketches,
            only_higher: self.are_database,
        })
    }
}

/// Some queries that are compared with the same rows.
pub(super) struct Block<'a> {
    pub ids: &'a [usize],
    pub ones: Vec<u32>,
    pub groups: QueryGroups,
    pub sketches: Option<Sketches>,
    /// Whether the queries are compared only with rows of higher ids.
    pub only_higher: bool,
}

impl Block<'_> {
    pub fn n_groups(&self) -> usize {
        self.ids.len().div_ceil(QUERIES_PER_GROUP)
    }

    /// The queries of some groups, by their position in the block.
    pub fn queries(&self, groups: Range<usize>) -> Range<usize> {
        groups.start * QUERIES_PER_GROUP..self.ids.len().min(groups.end * QUERIES_PER_GROUP)
    }

    /// Whether the row with an id is compared with a query of the block.
    pub fn includes(&self, query: usize, id: usize) -> bool {
        !self.only_higher || id > self.ids[query]
    }
}

/// The sketches of some queries.
pub(super) struct Sketches {
    bytes: Vec<u8>,
    /// Of a sketch.
    n_bytes: usize,
    pub groups: QueryGroups,
}

impl Sketches {
    fn new(
        codes: Codes<'_>,
        ids: &[usize],
        in_groups: bool,
        sorted: &SortedRows,
        level: Level,
    ) -> Result<Self, Error> {
        let n_bytes = sorted.sketch_bytes();
        let bytes = sorted.sketches_of(ids.iter().map(|id| codes.row(*id)))?;
        let grouped = if in_groups { &bytes[..] } else { &[] };
        let groups = QueryGroups::new(level, n_bytes / 8, grouped.chunks_exact(n_bytes))?;
        Ok(Sketches { bytes, n_bytes, groups })
    }

    pub fn row(&self, query: usize) -> &[u8] {
        &self.bytes[query * self.n_bytes..(query + 1) * self.n_bytes]
    }
}
