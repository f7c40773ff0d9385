//! Groups of rows by similar candidates, without a look at each pair of them.
//!
//! Rows of the own group that follow each other in a chain are skipped in one step, as paths are compressed in [`UnionFind`]: almost
//! equal rows, which all share their bands, are grouped in linear time. Pairs that share a band but are not similar are compared by
//! their [`Sketches`] first; where a chain has very many of them, it is left for the end, and its sketches are scanned one after
//! the other.

use super::super::slots::agreeing;
use super::table::NO_ROW;
use super::{Bands, ROWS_PER_TASK};
use crate::error::{try_copy, try_push, try_vec};
use crate::popcount::{distances_of, scan_rows};
use crate::select::components::UnionFind;
use crate::{Codes, Error, Run};

/// Candidates of a chain that are compared before those behind them are looked up: the first few, since they may be of one group
/// with all others, then more and more.
const MOST_CANDIDATES: usize = 1024;

/// Candidates from other groups that a row may meet in a chain before the chain is left to the final pass.
const MOST_DISSIMILAR: usize = 4096;

/// The result of comparing two rows.
pub(super) struct Likeness {
    pub are_similar: bool,
    pub are_equal: bool,
}

/// The lowest bit of each slot, one row of bytes per signature. Slots that agree have the same bit, so that signatures whose sketches
/// differ in more bits than their slots may do are not similar.
pub(super) struct Sketches {
    bytes: Vec<u8>,
    n_bytes: usize,
    most: u32,
}

impl Sketches {
    /// For signatures that are similar if they agree in at least `n_equal` slots.
    pub fn new(signatures: &[u32], n_hashes: usize, n_equal: usize) -> Result<Self, Error> {
        let n_bytes = n_hashes.div_ceil(64) * 8;
        let mut bytes = try_vec(0, signatures.len() / n_hashes * n_bytes)?;
        for (signature, sketch) in signatures.chunks_exact(n_hashes).zip(bytes.chunks_exact_mut(n_bytes)) {
            for (slots, byte) in signature.chunks(8).zip(sketch) {
                *byte = slots.iter().fold(0, |bits, slot| bits << 1 | (slot & 1) as u8);
            }
        }
        Ok(Sketches { bytes, n_bytes, most: n_hashes.saturating_sub(n_equal) as u32 })
    }

    /// Joins the similar rows of a chain.
    fn join_chain(
        &self,
        rows: &[usize],
        groups: &UnionFind,
        run: &Run<'_>,
        compare: impl Fn(u32, u32) -> Likeness,
    ) -> Result<(), Error> {
        let (mut bytes, mut hits) = (try_vec(0, rows.len() * self.n_bytes)?, Vec::new());
        for (row, sketch) in rows.iter().zip(bytes.chunks_exact_mut(self.n_bytes)) {
            sketch.copy_from_slice(&self.bytes[row * self.n_bytes..][..self.n_bytes]);
        }
        let sketches = Codes::new(&bytes, rows.len(), self.n_bytes)?;
        for (position, &row) in rows.iter().enumerate() {
            hits.clear();
            let others = sketches.slice(0, position);
            scan_rows(run.level(), sketches.row(position), others, self.most + 1, 0, &mut hits)?;
            for hit in &hits {
                let other = rows[hit.row as usize];
                if groups.find(row as u32) != groups.find(other as u32) {
                    let Likeness { are_similar, are_equal } = compare(row as u32, other as u32);
                    if are_similar {
                        groups.join(row as u32, other as u32);
                    }
                    if are_equal {
                        break;
                    }
                }
            }
            if position.is_multiple_of(ROWS_PER_TASK) && run.should_stop() {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }
}

impl Bands {
    /// See [`Bands::groups`].
    pub(super) fn groups_of_signatures(&self, n_equal: usize, run: &Run<'_>) -> Result<Vec<i64>, Error> {
        let sketches = Sketches::new(&self.signatures, self.n_hashes, n_equal)?;
        self.groups_by(Some(&sketches), run, |row, older| {
            let agreeing = agreeing(self.row(row), self.row(older));
            Likeness { are_similar: agreeing >= n_equal, are_equal: agreeing == self.n_hashes }
        })
    }

    /// Joins similar candidates on this thread, since each row depends on the groups of those before it.
    pub(super) fn groups_by(
        &self,
        sketches: Option<&Sketches>,
        run: &Run<'_>,
        compare: impl Fn(u32, u32) -> Likeness,
    ) -> Result<Vec<i64>, Error> {
        let groups = UnionFind::new(self.len())?;
        // For each row of a table the next older one in its chain, or one behind it: those between are of its group.
        let mut skips = Vec::new();
        skips.try_reserve_exact(self.tables.len())?;
        for table in &self.tables {
            skips.push(try_copy(table.older())?);
        }
        let (mut candidates, mut distances) = (Vec::new(), Vec::new());
        candidates.try_reserve_exact(MOST_CANDIDATES)?;
        // The rows of each table whose chains are left for the end.
        let mut long = try_vec(Vec::new(), self.tables.len())?;
        distances.try_reserve_exact(MOST_CANDIDATES)?;
        for row in 0..self.len() {
            'tables: for ((table, skips), long) in self.tables.iter().zip(&mut skips).zip(&mut long) {
                let (mut next, mut n_candidates, mut n_dissimilar) = (table.older()[row], 1, 0);
                if long.get(next as usize) == Some(&true) {
                    long[row] = true;
                    continue;
                }
                while next != NO_ROW {
                    if n_dissimilar > MOST_DISSIMILAR && sketches.is_some() {
                        if long.is_empty() {
                            *long = try_vec(false, self.len())?;
                        }
                        long[row] = true;
                        break;
                    }
                    candidates.clear();
                    while next != NO_ROW && candidates.len() < n_candidates {
                        if groups.find(next) == groups.find(row as u32) {
                            next = behind_group(next, skips, &groups);
                        } else {
                            candidates.push(next as usize);
                            next = table.older()[next as usize];
                        }
                    }
                    n_dissimilar += candidates.len();
                    n_candidates = (2 * n_candidates).min(MOST_CANDIDATES);
                    distances.clear();
                    distances.resize(candidates.len(), 0);
                    if let Some(Sketches { bytes, n_bytes, .. }) = sketches {
                        let sketches = Codes::new(bytes, self.len(), *n_bytes)?;
                        distances_of(run.level(), sketches.row(row), sketches, &candidates, &mut distances);
                    }
                    let most = sketches.map_or(0, |sketches| sketches.most);
                    for (&older, _) in
                        candidates.iter().zip(&distances).filter(|(_, distance)| **distance <= most)
                    {
                        if groups.find(older as u32) == groups.find(row as u32) {
                            continue;
                        }
                        let Likeness { are_similar, are_equal } = compare(row as u32, older as u32);
                        if are_similar {
                            groups.join(row as u32, older as u32);
                        }
                        // All rows that are similar to this one are in the group of its equal already.
                        if are_equal {
                            break 'tables;
                        }
                    }
                }
            }
            if row.is_multiple_of(ROWS_PER_TASK) && run.should_stop() {
                return Err(Error::Interrupted);
            }
        }
        if let Some(sketches) = sketches {
            for (table, long) in self.tables.iter().zip(&mut long) {
                for newest in (0..long.len()).rev() {
                    if long[newest] {
                        candidates.clear();
                        let mut next = newest as u32;
                        while next != NO_ROW {
                            long[next as usize] = false;
                            try_push(&mut candidates, next as usize)?;
                            next = table.older()[next as usize];
                        }
                        sketches.join_chain(&candidates, &groups, run, &compare)?;
                    }
                }
            }
        }
        groups.labels()
    }
}

/// The first row behind `row` in its chain that is of another group.
fn behind_group(row: u32, skips: &mut [u32], groups: &UnionFind) -> u32 {
    let mut next = skips[row as usize];
    while next != NO_ROW && groups.find(next) == groups.find(row) {
        next = skips[next as usize];
    }
    skips[row as usize] = next;
    next
}
