//! [`Bands`]: signatures that are found by bands of equal slots.
//!
//! The slots of a signature are cut into `b` bands of `r`. Two signatures are candidates if all slots of a band agree, which has the
//! probability `1 - (1 - J^r)^b`: an S-curve that rises near `(1 / b)^(1 / r)` (Broder, 1997; Gionis, Indyk and Motwani, 1999). Each band has a
//! hash table from its slots to the newest row that has them, and each row names the next older one:
//!
//! ```text
//! table of a band      | .. | tag, row 7 | .. | tag, row 4 | ..        next    row 7 -> row 5 -> row 0
//! ```
//!
//! Rows of a chain agree in all slots of the band, not only in a hash of them.

use std::sync::{Mutex, PoisonError};

use super::exact::{Sorted, similarity};
use super::slots::{agreeing, pairs_of};
use super::{Sets, mix};
use crate::{Csr, Error, Pairs, Parallel};

/// No row.
const NONE: u32 = u32::MAX;

/// Rows that are added to all tables before the next ones are.
const BATCH_ROWS: usize = 1 << 14;

/// Rows that a task asks the tables about: few, since each may share a band with all others.
const TASK_ROWS: usize = 16;

/// One band.
#[derive(Clone, Debug, Default)]
struct Table {
    /// High bits of the hash, and the newest row, or [`NONE`]. A power of two, at most half full.
    heads: Vec<(u32, u32)>,
    /// For each row the next older one with the same slots, or [`NONE`].
    next: Vec<u32>,
    /// Different slots.
    n_heads: usize,
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
    /// No signatures yet. `n_bands` bands of `n_rows` slots each; the slots beyond take no part in the search.
    ///
    /// # Errors
    /// [`Error::BandShape`] if there are no bands, no slots in them, or more slots than a signature has.
    pub fn new(n_hashes: usize, n_bands: usize, n_rows: usize) -> Result<Self, Error> {
        if n_bands == 0 || n_rows == 0 || n_bands.saturating_mul(n_rows) > n_hashes {
            return Err(Error::BandShape { n_bands, n_rows, n_hashes });
        }
        let tables = vec![Table::default(); n_bands];
        Ok(Bands { n_hashes, n_rows, signatures: Vec::new(), tables })
    }

    /// Number of signatures.
    pub fn len(&self) -> usize {
        self.signatures.len() / self.n_hashes
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.signatures.is_empty()
    }

    /// All signatures, one after the other.
    pub fn signatures(&self) -> &[u32] {
        &self.signatures
    }

    /// Bytes of signatures and tables.
    pub fn n_bytes(&self) -> usize {
        let tables = self.tables.iter().map(|table| table.heads.len() * 8 + table.next.len() * 4);
        self.signatures.len() * 4 + tables.sum::<usize>()
    }

    fn row(&self, row: u32) -> &[u32] {
        &self.signatures[row as usize * self.n_hashes..][..self.n_hashes]
    }

    fn n_signatures(&self, signatures: &[u32]) -> Result<usize, Error> {
        match signatures.len().is_multiple_of(self.n_hashes) {
            true => Ok(signatures.len() / self.n_hashes),
            false => Err(Error::InputLength {
                name: "signatures",
                given: signatures.len(),
                expected: signatures.len().next_multiple_of(self.n_hashes),
            }),
        }
    }

    /// Appends signatures, which get the rows that follow. If it fails nothing was added.
    ///
    /// # Errors
    /// If `signatures` are not whole rows, are too many, there is no memory, or the call was interrupted.
    pub fn add(&mut self, signatures: &[u32], parallel: &Parallel<'_>) -> Result<(), Error> {
        let (before, added) = (self.len(), self.n_signatures(signatures)?);
        let after = before.saturating_add(added);
        if after >= NONE as usize {
            return Err(Error::TooManyRows { n_rows: after, most: NONE as usize - 1 });
        }
        self.signatures.try_reserve(signatures.len())?;
        for table in &mut self.tables {
            table.next.try_reserve(added)?;
        }
        self.signatures.extend_from_slice(signatures);
        let (rows, n_hashes, n_rows) = (&self.signatures, self.n_hashes, self.n_rows);
        let failed = Mutex::new(None);
        // Batch after batch, each shared out by bands.
        let mut done = Ok(());
        for first in (before..after).step_by(BATCH_ROWS) {
            let last = (first + BATCH_ROWS).min(after);
            let tables: Vec<_> = self.tables.iter_mut().map(Mutex::new).collect();
            let parallel = parallel.for_words((last - first) * tables.len() * 16);
            done = parallel
                .run(
                    tables.len(),
                    || (),
                    |(), band| {
                        let table = &mut *tables[band].lock().unwrap_or_else(PoisonError::into_inner);
                        let slots = Slots { signatures: rows, n_hashes, first: band * n_rows, n_rows };
                        if let Err(error) = table.extend(&slots, first..last) {
                            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        }
                    },
                )
                .map(|_| ());
            let failure = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
            done = failure.map_or(done, Err);
            if done.is_err() {
                break;
            }
        }
        if done.is_err() {
            self.signatures.truncate(before * n_hashes);
            let (rows, n_rows) = (&self.signatures, self.n_rows);
            for (band, table) in self.tables.iter_mut().enumerate() {
                // What took room once needs none again.
                table.clear();
                let slots = Slots { signatures: rows, n_hashes, first: band * n_rows, n_rows };
                table.extend(&slots, 0..before)?;
            }
        }
        done
    }

    /// Appends the rows below `limit` that share a band with `signature`, each once and in ascending order.
    fn candidates(&self, signature: &[u32], limit: u32, found: &mut Vec<u32>) -> Result<(), Error> {
        found.clear();
        for (band, table) in self.tables.iter().enumerate() {
            let slots = self.slots(band);
            let mut row = table.newest(&slots, slots.of_signature(signature));
            while row != NONE {
                if row < limit {
                    if found.len() == found.capacity() {
                        found.try_reserve(1)?;
                    }
                    found.push(row);
                }
                row = table.next[row as usize];
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(())
    }

    fn slots(&self, band: usize) -> Slots<'_> {
        let (n_hashes, n_rows) = (self.n_hashes, self.n_rows);
        Slots { signatures: &self.signatures, n_hashes, first: band * n_rows, n_rows }
    }

    /// Finds the candidates of each query that agree with it in `n_equal` slots or more. The distances are the slots that differ;
    /// a query's results are sorted by (distance, row).
    ///
    /// # Errors
    /// If `queries` are not whole rows, there is no memory, or the call was interrupted.
    pub fn query(&self, queries: &[u32], n_equal: usize, parallel: &Parallel<'_>) -> Result<Csr<i32>, Error> {
        let n_queries = self.n_signatures(queries)?;
        let parts = self.in_tasks(n_queries, parallel, |query, found, out| {
            let signature = &queries[query * self.n_hashes..][..self.n_hashes];
            self.candidates(signature, NONE, found)?;
            let begun = out.len();
            for &row in found.iter() {
                let agreeing = agreeing(signature, self.row(row));
                if agreeing >= n_equal {
                    out.try_reserve(1)?;
                    out.push((query, (self.n_hashes - agreeing) as i32, row));
                }
            }
            out[begun..].sort_unstable();
            Ok(())
        })?;
        let n_found = parts.iter().map(Vec::len).sum();
        let mut csr = Csr { offsets: Vec::new(), distances: Vec::new(), indices: Vec::new() };
        csr.offsets.try_reserve_exact(n_queries + 1)?;
        csr.distances.try_reserve_exact(n_found)?;
        csr.indices.try_reserve_exact(n_found)?;
        csr.offsets.resize(n_queries + 1, 0);
        for (query, distance, row) in parts.into_iter().flatten() {
            csr.offsets[query + 1] += 1;
            csr.distances.push(distance);
            csr.indices.push(i64::from(row));
        }
        for query in 0..n_queries {
            csr.offsets[query + 1] += csr.offsets[query];
        }
        Ok(csr)
    }

    /// Finds all pairs of rows `i < j` that are candidates and agree in `n_equal` slots or more, sorted by (i, j); the distances are
    /// the slots that differ.
    ///
    /// # Errors
    /// If there is no memory, or the call was interrupted.
    pub fn pairs(&self, n_equal: usize, parallel: &Parallel<'_>) -> Result<Pairs<i32>, Error> {
        let parts = self.in_tasks(self.len(), parallel, |row, found, out| {
            let signature = self.row(row as u32);
            self.candidates(signature, row as u32, found)?;
            for &older in found.iter() {
                let agreeing = agreeing(signature, self.row(older));
                if agreeing >= n_equal {
                    out.try_reserve(1)?;
                    out.push((older, row as u32, (self.n_hashes - agreeing) as i32));
                }
            }
            Ok(())
        })?;
        let mut all = Vec::new();
        all.try_reserve_exact(parts.iter().map(Vec::len).sum())?;
        parts.into_iter().for_each(|part| all.extend(part));
        all.sort_unstable();
        let mut pairs = Pairs { i: Vec::new(), j: Vec::new(), distances: Vec::new() };
        pairs.i.try_reserve_exact(all.len())?;
        pairs.j.try_reserve_exact(all.len())?;
        pairs.distances.try_reserve_exact(all.len())?;
        for (i, j, distance) in all {
            pairs.i.push(i64::from(i));
            pairs.j.push(i64::from(j));
            pairs.distances.push(distance);
        }
        Ok(pairs)
    }

    /// Writes in how many slots rows `i[p]` and `j[p]` differ, for each pair `p`.
    ///
    /// # Errors
    /// If an index names no row, or the lengths of `i`, `j` and `out` differ.
    pub fn differing(&self, i: &[i64], j: &[i64], out: &mut [i32]) -> Result<(), Error> {
        let pairs = pairs_of(i, j, self.len(), self.len(), out.len())?;
        for ((i, j), out) in pairs.into_iter().zip(out) {
            *out = (self.n_hashes - agreeing(self.row(i as u32), self.row(j as u32))) as i32;
        }
        Ok(())
    }

    /// Finds the groups that the pairs of [`Bands::pairs`] tie together: for each row the lowest one of its group, itself if it is
    /// alone.
    ///
    /// # Errors
    /// If there is no memory, or the call was interrupted.
    pub fn groups(&self, n_equal: usize, parallel: &Parallel<'_>) -> Result<Vec<i64>, Error> {
        self.groups_by(parallel, |row, older| {
            let agreeing = agreeing(self.row(row), self.row(older));
            Likeness { is_similar: agreeing >= n_equal, are_twins: agreeing == self.n_hashes }
        })
    }

    /// Finds the groups that the candidate pairs tie together whose sets, one for each row, have a similarity of `least` or more.
    ///
    /// # Errors
    /// [`Error::SetsDiffer`] if there are not as many sets as rows; if there is no memory, or the call was interrupted.
    pub fn groups_of_sets(
        &self,
        sets: &Sets<'_>,
        least: f32,
        parallel: &Parallel<'_>,
    ) -> Result<Vec<i64>, Error> {
        if sets.len() != self.len() {
            return Err(Error::SetsDiffer { given: sets.len(), expected: self.len() });
        }
        let sets = Sorted::new(sets, 0..self.len(), parallel)?;
        self.groups_by(parallel, |row, older| {
            let similarity = similarity(sets.set(row as usize), sets.set(older as usize));
            Likeness { is_similar: similarity >= least, are_twins: similarity == 1.0 }
        })
    }

    fn groups_by(
        &self,
        parallel: &Parallel<'_>,
        compare: impl Fn(u32, u32) -> Likeness + Sync,
    ) -> Result<Vec<i64>, Error> {
        let mut lowest = Vec::new();
        lowest.try_reserve_exact(self.len())?;
        lowest.extend(0..self.len() as u32);
        let lowest = Mutex::new(lowest);
        // One after the other, since each row asks what those before it found.
        let serial = parallel.for_words(0);
        serial.run(
            self.len().div_ceil(TASK_ROWS),
            || (),
            |(), task| {
                let lowest = &mut *lowest.lock().unwrap_or_else(PoisonError::into_inner);
                let first = task * TASK_ROWS;
                for row in first..(first + TASK_ROWS).min(self.len()) {
                    self.tie(row as u32, &compare, lowest);
                }
            },
        )?;
        let mut lowest = lowest.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut groups = Vec::new();
        groups.try_reserve_exact(lowest.len())?;
        for row in 0..lowest.len() as u32 {
            groups.push(i64::from(find(&mut lowest, row)));
        }
        Ok(groups)
    }

    /// Ties a row to the groups of older ones.
    fn tie(&self, row: u32, compare: impl Fn(u32, u32) -> Likeness, lowest: &mut [u32]) {
        for table in &self.tables {
            let mut older = table.next[row as usize];
            while older != NONE {
                let (a, b) = (find(lowest, row), find(lowest, older));
                if a != b {
                    let Likeness { is_similar, are_twins } = compare(row, older);
                    if is_similar {
                        lowest[a.max(b) as usize] = a.min(b);
                    }
                    // Whatever is tied to this row is tied to its twin already.
                    if are_twins {
                        return;
                    }
                }
                older = table.next[older as usize];
            }
        }
    }

    /// Calls `work(row, scratch, results)` for rows in tasks, and returns the results of the tasks in order.
    #[allow(clippy::type_complexity, reason = "triples of three places and numbers")]
    fn in_tasks<T: Send>(
        &self,
        n_rows: usize,
        parallel: &Parallel<'_>,
        work: impl Fn(usize, &mut Vec<u32>, &mut Vec<T>) -> Result<(), Error> + Sync,
    ) -> Result<Vec<Vec<T>>, Error> {
        let parallel = parallel.for_words(n_rows * self.tables.len() * 16);
        let states = parallel.run(
            n_rows.div_ceil(TASK_ROWS),
            || (Vec::new(), Ok(Vec::new())),
            |(found, parts), task| {
                let mut out = Vec::new();
                let first = task * TASK_ROWS;
                let done =
                    (first..(first + TASK_ROWS).min(n_rows)).try_for_each(|row| work(row, found, &mut out));
                match (done, parts) {
                    (Ok(()), Ok(parts)) => parts.push((task, out)),
                    (Err(error), parts) => *parts = Err(error),
                    (Ok(()), Err(_)) => (),
                }
            },
        )?;
        let mut parts: Vec<(usize, Vec<T>)> = Vec::new();
        for (_, state) in states {
            parts.extend(state?);
        }
        parts.sort_unstable_by_key(|(task, _)| *task);
        Ok(parts.into_iter().map(|(_, part)| part).collect())
    }
}

/// What a comparison of two rows tells.
struct Likeness {
    is_similar: bool,
    are_twins: bool,
}

/// The lowest row of a group; what lies on the way is shortened.
fn find(lowest: &mut [u32], mut row: u32) -> u32 {
    while lowest[row as usize] != row {
        let above = lowest[lowest[row as usize] as usize];
        lowest[row as usize] = above;
        row = above;
    }
    row
}

/// The slots of a band, of all signatures.
struct Slots<'a> {
    signatures: &'a [u32],
    n_hashes: usize,
    first: usize,
    n_rows: usize,
}

impl<'a> Slots<'a> {
    #[inline]
    fn of(&self, row: usize) -> &'a [u32] {
        &self.signatures[row * self.n_hashes + self.first..][..self.n_rows]
    }

    #[inline]
    fn of_signature<'b>(&self, signature: &'b [u32]) -> &'b [u32] {
        &signature[self.first..][..self.n_rows]
    }
}

fn hash(slots: &[u32]) -> u64 {
    slots.iter().fold(0, |hash, slot| mix(hash ^ u64::from(*slot)))
}

impl Table {
    fn clear(&mut self) {
        self.heads.fill((0, NONE));
        self.next.clear();
        self.n_heads = 0;
    }

    /// Takes in rows that follow those that are there.
    fn extend(&mut self, slots: &Slots<'_>, rows: std::ops::Range<usize>) -> Result<(), Error> {
        self.reserve(slots, self.n_heads + rows.len())?;
        self.next.try_reserve(rows.len())?;
        for row in rows {
            let own = slots.of(row);
            let hash = hash(own);
            let place = self.place(slots, own, hash);
            let (tag, newest) = &mut self.heads[place];
            self.n_heads += usize::from(*newest == NONE);
            self.next.push(*newest);
            (*tag, *newest) = ((hash >> 32) as u32, row as u32);
        }
        Ok(())
    }

    /// Makes room for so many different slots.
    fn reserve(&mut self, slots: &Slots<'_>, n_heads: usize) -> Result<(), Error> {
        if n_heads * 2 <= self.heads.len() {
            return Ok(());
        }
        let capacity = (n_heads * 2).next_power_of_two().max(16);
        let mut heads = Vec::new();
        heads.try_reserve_exact(capacity)?;
        heads.resize(capacity, (0, NONE));
        for head in std::mem::replace(&mut self.heads, heads) {
            if head.1 != NONE {
                let mut place = hash(slots.of(head.1 as usize)) as usize & (capacity - 1);
                while self.heads[place].1 != NONE {
                    place = (place + 1) & (capacity - 1);
                }
                self.heads[place] = head;
            }
        }
        Ok(())
    }

    /// Where slots are, or will be.
    fn place(&self, slots: &Slots<'_>, own: &[u32], hash: u64) -> usize {
        let mut place = hash as usize & (self.heads.len() - 1);
        loop {
            let (tag, newest) = self.heads[place];
            if newest == NONE || (tag == (hash >> 32) as u32 && slots.of(newest as usize) == own) {
                return place;
            }
            place = (place + 1) & (self.heads.len() - 1);
        }
    }

    /// The newest row that has these slots, or [`NONE`].
    fn newest(&self, slots: &Slots<'_>, own: &[u32]) -> u32 {
        match self.heads.is_empty() {
            true => NONE,
            false => self.heads[self.place(slots, own, hash(own))].1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                bands.add(part, &Parallel::serial()).unwrap();
            }
            let mut expected = Vec::new();
            for (i, a) in rows.chunks(n_hashes).enumerate() {
                for (j, b) in rows.chunks(n_hashes).enumerate().skip(i + 1) {
                    if are_candidates(a, b, n_bands, n_rows) {
                        expected.push((i as i64, j as i64, (n_hashes - agreeing(a, b)) as i32));
                    }
                }
            }
            let found = bands.pairs(0, &Parallel::serial()).unwrap();
            let found: Vec<_> =
                found.i.into_iter().zip(found.j).zip(found.distances).map(|((i, j), d)| (i, j, d)).collect();
            assert_eq!(found, expected);

            for n_equal in [0, n_hashes / 2, n_hashes] {
                let mut lowest: Vec<u32> = (0..300).collect();
                for &(i, j, distance) in &expected {
                    if n_hashes - distance as usize >= n_equal {
                        let (a, b) = (find(&mut lowest, i as u32), find(&mut lowest, j as u32));
                        lowest[a.max(b) as usize] = a.min(b);
                    }
                }
                let expected: Vec<_> = (0..300).map(|row| i64::from(find(&mut lowest, row))).collect();
                assert_eq!(
                    bands.groups(n_equal, &Parallel::serial()).unwrap(),
                    expected,
                    "{n_hashes} {n_equal}"
                );
            }
            let mut differing = vec![0; expected.len()];
            let (i, j): (Vec<i64>, Vec<i64>) = expected.iter().map(|&(i, j, _)| (i, j)).unzip();
            bands.differing(&i, &j, &mut differing).unwrap();
            assert!(differing.iter().eq(expected.iter().map(|(_, _, distance)| distance)));
            let csr = bands.query(&rows[..n_hashes], 0, &Parallel::serial()).unwrap();
            assert_eq!((csr.distances[0], csr.offsets[1] as usize), (0, csr.indices.len()));
        }
    }

    #[test]
    fn an_interrupted_addition_leaves_what_was_there() {
        let rows = signatures(100, 8, 3);
        let mut bands = Bands::new(8, 4, 2).unwrap();
        bands.add(&rows, &Parallel::serial()).unwrap();
        let expected = bands.pairs(0, &Parallel::serial()).unwrap();
        let (many, stop) = (signatures(200_000, 8, 3), || true);
        let result = bands.add(&many, &Parallel::new(1, &stop));
        if result.is_err() {
            assert_eq!(bands.len(), 100);
            assert_eq!(bands.pairs(0, &Parallel::serial()).unwrap(), expected);
        }
        bands.add(&rows, &Parallel::serial()).unwrap();
        assert!(
            bands.groups(8, &Parallel::serial()).unwrap()[bands.len() - 100..].iter().all(|row| *row < 100)
        );
    }
}
