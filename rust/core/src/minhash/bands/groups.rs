//! Groups of rows by similar candidates, without a look at each pair of them.
//!
//! Rows of the own group that follow each other in a chain are skipped in one step, as paths are compressed in [`UnionFind`]: almost
//! equal rows, which all share their bands, are grouped in linear time. Pairs that share a band but are not similar are compared by
//! their [`Sketches`] first.

use super::super::slots::agreeing;
use super::table::NO_ROW;
use super::{Bands, ROWS_PER_TASK};
use crate::error::{try_copy, try_vec};
use crate::popcount::distances_of;
use crate::select::components::UnionFind;
use crate::{Codes, Error, Run};

/// Candidates of a chain that are compared before those behind them are looked up: the first few, since they may be of one group
/// with all others, then more and more.
const MOST_CANDIDATES: usize = 1024;

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
        distances.try_reserve_exact(MOST_CANDIDATES)?;
        for row in 0..self.len() {
            'tables: for (table, skips) in self.tables.iter().zip(&mut skips) {
                let (mut next, mut n_candidates) = (table.older()[row], 1);
                while next != NO_ROW {
                    candidates.clear();
                    while next != NO_ROW && candidates.len() < n_candidates {
                        if groups.find(next) == groups.find(row as u32) {
                            next = behind_group(next, skips, &groups);
                        } else {
                            candidates.push(next as usize);
                            next = table.older()[next as usize];
                        }
                    }
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
