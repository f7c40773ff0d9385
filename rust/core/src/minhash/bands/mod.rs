//! [`Bands`]: an index of signatures that finds those with a band of equal slots.
//!
//! The slots of a signature are cut into `b` bands of `r`. Two signatures are candidates if all slots of a band agree, which has the
//! probability `1 - (1 - J^r)^b`: an S-curve that rises near `(1 / b)^(1 / r)` (Broder, 1997; Gionis, Indyk and Motwani, 1999). Each
//! band has a hash table of its slots (see [`table`]); [`band_keys`] gives the hashes alone.

mod groups;
mod keys;
mod table;

pub use keys::band_keys;

use super::exact::{SortedSets, similarity};
use super::slots::{agreeing, pairs_of};
use super::{Sets, mix};
use crate::error::{check_len, try_collect, try_copy};
use crate::select::sink::Found;
use crate::{Csr, Error, Pairs, Run};
use groups::Likeness;
use table::{BandSlots, NO_ROW, Table};

/// Rows that are added to all tables before the next ones are.
const ROWS_PER_BATCH: usize = 1 << 14;

/// Rows whose candidates a task finds: few, since each may share a band with all others.
const ROWS_PER_TASK: usize = 16;

/// Pairs that a task compares.
const PAIRS_PER_TASK: usize = 1 << 14;

/// Comparisons of 64-bit words that take about as long as one look-up in a table.
const WORDS_PER_LOOKUP: usize = 16;

/// Checks that signatures of `n_hashes` slots have `n_bands` bands of `n_rows` slots.
///
/// # Errors
/// [`Error::Incompatible`] if there are no bands, no slots in them, or more slots than a signature has.
pub fn check_bands(n_hashes: usize, n_bands: usize, n_rows: usize) -> Result<(), Error> {
    if n_bands == 0 || n_rows == 0 || n_bands.saturating_mul(n_rows) > n_hashes {
        let problem = format!(
            "{n_bands} bands of {n_rows} rows do not fit signatures of {n_hashes} hashes; expected at least one band of one row, \
             and n_bands * n_rows of at most {n_hashes}"
        );
        return Err(Error::Incompatible { problem });
    }
    Ok(())
}

/// The number of signatures, of `n_hashes` slots each.
fn n_signatures(signatures: &[u32], n_hashes: usize) -> Result<usize, Error> {
    let expected = signatures.len().next_multiple_of(n_hashes);
    check_len("signatures", "elements", signatures.len(), expected)?;
    Ok(signatures.len() / n_hashes)
}

/// The hash of the slots of a band.
fn hash(slots: &[u32]) -> u64 {
    slots.iter().fold(0, |hash, slot| mix(hash ^ u64::from(*slot)))
}

/// Signatures, and the tables of their bands.
#[derive(Clone, Debug)]
pub struct Bands {
    n_hashes: usize,
    n_rows: usize,
    signatures: Vec<u32>,
    tables: Vec<Table>,
}

impl Bands {
    /// An empty index with `n_bands` bands of `n_rows` slots each; the search ignores the slots beyond.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if there are no bands, no slots in them, or more slots than a signature has,
    /// [`Error::OutOfMemory`].
    pub fn new(n_hashes: usize, n_bands: usize, n_rows: usize) -> Result<Self, Error> {
        check_bands(n_hashes, n_bands, n_rows)?;
        let tables = try_collect((0..n_bands).map(|_| Table::default()))?;
        Ok(Bands { n_hashes, n_rows, signatures: Vec::new(), tables })
    }

    /// A copy.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn try_clone(&self) -> Result<Self, Error> {
        let mut tables = Vec::new();
        tables.try_reserve_exact(self.tables.len())?;
        for table in &self.tables {
            tables.push(table.try_clone()?);
        }
        Ok(Bands { signatures: try_copy(&self.signatures)?, tables, ..*self })
    }

    /// Number of signatures.
    pub fn len(&self) -> usize {
        self.signatures.len() / self.n_hashes
    }

    /// Whether there are no signatures.
    pub fn is_empty(&self) -> bool {
        self.signatures.is_empty()
    }

    /// All signatures, one after the other.
    pub fn signatures(&self) -> &[u32] {
        &self.signatures
    }

    /// Bytes of signatures and tables.
    pub fn n_bytes(&self) -> usize {
        self.signatures.len() * 4 + self.tables.iter().map(Table::n_bytes).sum::<usize>()
    }

    fn row(&self, row: u32) -> &[u32] {
        &self.signatures[row as usize * self.n_hashes..][..self.n_hashes]
    }

    fn slots(&self, band: usize) -> BandSlots<'_> {
        BandSlots::new(&self.signatures, self.n_hashes, self.n_rows, band)
    }

    /// Appends signatures, which get the rows that follow. Adds nothing if it fails.
    ///
    /// # Errors
    /// [`Error::Length`] if `signatures` are not whole rows, [`Error::Range`] if they are too many, [`Error::OutOfMemory`],
    /// [`Error::Interrupted`].
    pub fn add(&mut self, signatures: &[u32], run: &Run<'_>) -> Result<(), Error> {
        let (before, added) = (self.len(), n_signatures(signatures, self.n_hashes)?);
        let (after, high) = (before.saturating_add(added), NO_ROW as usize - 1);
        if after > high {
            let (name, unit) = ("signatures", "rows with those of the index");
            return Err(Error::Range { name, unit, given: after, low: 0, high });
        }
        self.signatures.try_reserve(signatures.len())?;
        self.tables.iter_mut().try_for_each(|table| table.reserve_rows(added))?;
        self.signatures.extend_from_slice(signatures);
        let done = self.add_to_tables(before..after, run);
        if done.is_err() {
            self.signatures.truncate(before * self.n_hashes);
            let (rows, n_hashes, n_rows) = (&self.signatures, self.n_hashes, self.n_rows);
            for (band, table) in self.tables.iter_mut().enumerate() {
                table.truncate(&BandSlots::new(rows, n_hashes, n_rows, band), before);
            }
        }
        done
    }

    /// Adds rows to the tables batch by batch, each with one task per band.
    fn add_to_tables(&mut self, new: std::ops::Range<usize>, run: &Run<'_>) -> Result<(), Error> {
        let (rows, n_hashes, n_rows) = (&self.signatures, self.n_hashes, self.n_rows);
        for first in new.clone().step_by(ROWS_PER_BATCH) {
            let batch = first..(first + ROWS_PER_BATCH).min(new.end);
            let run = run.for_words(batch.len() * self.tables.len() * WORDS_PER_LOOKUP);
            run.for_each_part(
                self.tables.iter_mut(),
                || Ok(()),
                |(), band, table| table.extend(&BandSlots::new(rows, n_hashes, n_rows, band), batch.clone()),
            )?;
        }
        Ok(())
    }

    /// Finds the rows below `limit` that share a band with `signature`, each once and in ascending order.
    fn candidates(&self, signature: &[u32], limit: u32, found: &mut Vec<u32>) -> Result<(), Error> {
        found.clear();
        for (band, table) in self.tables.iter().enumerate() {
            for row in table.rows_like(&self.slots(band), signature).filter(|row| *row < limit) {
                if found.len() == found.capacity() {
                    found.try_reserve(1)?;
                }
                found.push(row);
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(())
    }

    /// Finds the candidates of each query that agree with it in at least `n_equal` slots. The distances are the numbers of slots
    /// that differ; the results of a query are sorted by (distance, row).
    ///
    /// # Errors
    /// [`Error::Length`] if `queries` are not whole rows, [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn query(&self, queries: &[u32], n_equal: usize, run: &Run<'_>) -> Result<Csr<i32>, Error> {
        let n_queries = n_signatures(queries, self.n_hashes)?;
        let blocks =
            self.map_rows(n_queries, run, |query, in_task, candidates, found: &mut Vec<Found>| {
                let signature = &queries[query * self.n_hashes..][..self.n_hashes];
                self.candidates(signature, NO_ROW, candidates)?;
                let begun = found.len();
                for &row in candidates.iter() {
                    let agreeing = agreeing(signature, self.row(row));
                    if agreeing >= n_equal {
                        found.try_reserve(1)?;
                        let (query, key) = (in_task as u32, (self.n_hashes - agreeing) as u32);
                        found.push(Found { query, key, id: row.into() });
                    }
                }
                found[begun..].sort_unstable_by_key(|found| (found.key, found.id));
                Ok(())
            })?;
        Csr::from_blocks(n_queries, &blocks, 0, |key| key as i32)
    }

    /// Finds all pairs of rows that are candidates and agree in at least `n_equal` slots. The distances are the numbers of slots that
    /// differ.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn pairs(&self, n_equal: usize, run: &Run<'_>) -> Result<Pairs<i32>, Error> {
        let parts = self.map_rows(self.len(), run, |row, _, candidates, found: &mut Vec<Found>| {
            let signature = self.row(row as u32);
            self.candidates(signature, row as u32, candidates)?;
            for &older in candidates.iter() {
                let agreeing = agreeing(signature, self.row(older));
                if agreeing >= n_equal {
                    found.try_reserve(1)?;
                    found.push(Found {
                        query: older,
                        key: (self.n_hashes - agreeing) as u32,
                        id: row as u64,
                    });
                }
            }
            Ok(())
        })?;
        let (mut rows, mut all) = (Vec::new(), Vec::new());
        rows.try_reserve_exact(self.len())?;
        all.try_reserve_exact(parts.iter().map(|(_, found)| found.len()).sum())?;
        for (in_part, found) in parts {
            rows.extend(in_part);
            all.extend(found);
        }
        all.sort_unstable_by_key(|found| (found.query, found.id));
        Pairs::from_blocks(&[(rows, all)], |key| key as i32)
    }

    /// Writes the number of slots in which rows `i[p]` and `j[p]` differ, for each pair `p`.
    ///
    /// # Errors
    /// [`Error::Row`] if an index is not a row, [`Error::Mismatch`] or [`Error::Length`] if the lengths of `i`, `j` and `out` differ,
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn differing(&self, i: &[i64], j: &[i64], out: &mut [i32], run: &Run<'_>) -> Result<(), Error> {
        let pairs = pairs_of(i, j, self.len(), self.len(), out.len())?;
        let run = run.for_words(pairs.len().saturating_mul(self.n_hashes / 2));
        run.for_each_chunk(out, PAIRS_PER_TASK, |task, out| {
            for (&(i, j), out) in pairs[task * PAIRS_PER_TASK..].iter().zip(out) {
                *out = (self.n_hashes - agreeing(self.row(i as u32), self.row(j as u32))) as i32;
            }
            Ok(())
        })
    }

    /// Groups rows by the pairs of [`Bands::pairs`]: for each row the lowest one of its group, itself if it is alone.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn groups(&self, n_equal: usize, run: &Run<'_>) -> Result<Vec<i64>, Error> {
        self.groups_of_signatures(n_equal, run)
    }

    /// Groups rows by the candidate pairs whose sets, one for each row, have a similarity of at least `least`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if there is not one set per row, [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn groups_of_sets(&self, sets: &Sets<'_>, least: f32, run: &Run<'_>) -> Result<Vec<i64>, Error> {
        if sets.len() != self.len() {
            let (first, second) = (("sets", sets.len()), ("signatures", self.len()));
            let hint = "expected one set for each signature";
            return Err(Error::Mismatch { unit: "rows", first, second, hint });
        }
        let sets = SortedSets::new(sets, 0..self.len(), run)?;
        self.groups_by(None, run, |row, older| {
            let similarity = similarity(sets.set(row as usize), sets.set(older as usize));
            Likeness { are_similar: similarity >= least, are_equal: similarity == 1.0 }
        })
    }

    /// Calls `work(row, row in task, candidates, results)` for all rows, in tasks. Returns the rows and results of each task, in order.
    #[allow(clippy::type_complexity, reason = "blocks as results take them")]
    fn map_rows<T: Send>(
        &self,
        n_rows: usize,
        run: &Run<'_>,
        work: impl Fn(usize, usize, &mut Vec<u32>, &mut Vec<T>) -> Result<(), Error> + Sync,
    ) -> Result<Vec<(Vec<usize>, Vec<T>)>, Error> {
        let run = run.for_words(n_rows * self.tables.len() * WORDS_PER_LOOKUP);
        let new_candidates = || Ok(Vec::new());
        run.map_tasks(n_rows.div_ceil(ROWS_PER_TASK), new_candidates, |candidates, task| {
            let first = task * ROWS_PER_TASK;
            let (rows, mut results) = (first..(first + ROWS_PER_TASK).min(n_rows), Vec::new());
            for row in rows.clone() {
                work(row, row - first, candidates, &mut results)?;
            }
            Ok((try_collect(rows)?, results))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::select::components::UnionFind;

    fn serial() -> Run<'static> {
        Run::serial(Level::best())
    }

    /// Signatures of few different slots, so that many bands agree.
    fn signatures(n_rows: usize, n_hashes: usize, n_values: u64) -> Vec<u32> {
        (0..n_rows * n_hashes).map(|i| (mix(i as u64) % n_values) as u32).collect()
    }

    fn are_candidates(a: &[u32], b: &[u32], n_bands: usize, n_rows: usize) -> bool {
        a.chunks(n_rows).zip(b.chunks(n_rows)).take(n_bands).any(|(a, b)| a == b)
    }

    #[test]
    fn candidates_are_the_rows_that_share_a_band() {
        for (n_hashes, n_bands, n_rows, n_values) in
            [(7, 3, 2, 4), (5, 5, 1, 30), (12, 1, 12, 1), (16, 2, 3, 2)]
        {
            let rows = signatures(300, n_hashes, n_values);
            let mut bands = Bands::new(n_hashes, n_bands, n_rows).unwrap();
            for part in rows.chunks(n_hashes * 70) {
                bands.add(part, &serial()).unwrap();
            }
            let mut expected = Vec::new();
            for (i, a) in rows.chunks(n_hashes).enumerate() {
                for (j, b) in rows.chunks(n_hashes).enumerate().skip(i + 1) {
                    if are_candidates(a, b, n_bands, n_rows) {
                        expected.push((i as i64, j as i64, (n_hashes - agreeing(a, b)) as i32));
                    }
                }
            }
            let found = bands.pairs(0, &serial()).unwrap();
            let found: Vec<_> =
                found.i.into_iter().zip(found.j).zip(found.distances).map(|((i, j), d)| (i, j, d)).collect();
            assert_eq!(found, expected);

            for n_equal in [0, n_hashes / 2, n_hashes] {
                let groups = UnionFind::new(300).unwrap();
                for &(i, j, distance) in &expected {
                    if n_hashes - distance as usize >= n_equal {
                        groups.join(i as u32, j as u32);
                    }
                }
                let expected = groups.labels().unwrap();
                assert_eq!(bands.groups(n_equal, &serial()).unwrap(), expected, "{n_hashes} {n_equal}");
            }
            let mut differing = vec![0; expected.len()];
            let (i, j): (Vec<i64>, Vec<i64>) = expected.iter().map(|&(i, j, _)| (i, j)).unzip();
            bands.differing(&i, &j, &mut differing, &serial()).unwrap();
            assert!(differing.iter().eq(expected.iter().map(|(_, _, distance)| distance)));
            let csr = bands.query(&rows[..n_hashes], 0, &serial()).unwrap();
            assert_eq!((csr.distances[0], csr.offsets[1] as usize), (0, csr.indices.len()));
        }
    }

    #[test]
    fn an_interrupted_addition_leaves_the_index_unchanged() {
        let rows = signatures(100, 8, 3);
        let mut bands = Bands::new(8, 4, 2).unwrap();
        bands.add(&rows, &serial()).unwrap();
        let expected = bands.pairs(0, &serial()).unwrap();
        let (many, stop) = (signatures(200_000, 8, 3), || true);
        let result = bands.add(&many, &Run::new(Level::best(), 1, &stop));
        if result.is_err() {
            assert_eq!(bands.len(), 100);
            assert_eq!(bands.pairs(0, &serial()).unwrap(), expected);
        }
        bands.add(&rows, &serial()).unwrap();
        assert!(bands.groups(8, &serial()).unwrap()[bands.len() - 100..].iter().all(|row| *row < 100));
    }

    #[test]
    fn groups_of_rows_that_share_many_bands_are_the_components_of_the_pairs() {
        let (n, n_hashes) = (700, 70);
        let mut state = 5;
        let mut word = || {
            state = mix(state + 1);
            state
        };
        for n_values in [1, 2, 3, 40] {
            // The first band is shared by all; the others by rows that come from one of a few.
            let mut rows = vec![7; n * n_hashes];
            for row in 0..n {
                let source = word() as usize % n_values.min(row + 1);
                for slot in 2..n_hashes {
                    let changed = word() % 20 == 0;
                    rows[row * n_hashes + slot] = if changed || row < n_values {
                        word() as u32
                    } else {
                        rows[source * n_hashes + slot]
                    };
                }
            }
            let mut bands = Bands::new(n_hashes, 35, 2).unwrap();
            bands.add(&rows, &serial()).unwrap();
            for n_equal in [0, 55, 63, 69, 70] {
                let expected = UnionFind::new(n).unwrap();
                let pairs = bands.pairs(n_equal, &serial()).unwrap();
                pairs.i.iter().zip(&pairs.j).for_each(|(i, j)| expected.join(*i as u32, *j as u32));
                let expected = expected.labels().unwrap();
                for level in Level::available() {
                    let groups = bands.groups(n_equal, &Run::serial(level)).unwrap();
                    assert_eq!(groups, expected, "{n_values} {n_equal}");
                }
            }
        }
    }
}
