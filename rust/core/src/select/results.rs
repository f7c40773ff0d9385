//! How results are written: [`Neighbors`], [`Csr`] and [`Pairs`].

use std::sync::{Mutex, PoisonError};

use super::sink::Found;
use super::top_k::{Neighbor, TopK};
use crate::Error;
use crate::error::{check_len, try_collect, try_vec};

/// Where the `k` nearest rows of each query go: those of query `i` from element `i * k` on, in both slices.
pub struct Neighbors<'a, D> {
    distances: &'a mut [D],
    indices: &'a mut [i64],
    k: usize,
}

impl<'a, D: Copy> Neighbors<'a, D> {
    /// Slices of `k` elements for each query.
    pub fn new(distances: &'a mut [D], indices: &'a mut [i64], k: usize) -> Self {
        Neighbors { distances, indices, k }
    }

    /// Neighbours per query.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Checks that there is room for `n_queries` queries, and fills it with neighbours that are missing: at the distance
    /// `padding`, with the index -1.
    pub(crate) fn clear(&mut self, n_queries: usize, padding: D) -> Result<(), Error> {
        self.check(n_queries)?;
        self.distances.fill(padding);
        self.indices.fill(-1);
        Ok(())
    }

    /// Checks that there is room for `n_queries` queries.
    pub(crate) fn check(&self, n_queries: usize) -> Result<(), Error> {
        let expected = n_queries.saturating_mul(self.k);
        check_len("distances", "elements", self.distances.len(), expected)?;
        check_len("indices", "elements", self.indices.len(), expected)
    }

    /// The distances and indices that a query has, missing ones included.
    pub(crate) fn found(&self, query: usize) -> impl Iterator<Item = (D, i64)> {
        let row = query * self.k..(query + 1) * self.k;
        self.distances[row.clone()].iter().copied().zip(self.indices[row].iter().copied())
    }

    /// The same room, for a part of the search.
    pub(crate) fn reborrow(&mut self) -> Neighbors<'_, D> {
        Neighbors { distances: self.distances, indices: self.indices, k: self.k }
    }

    /// The same room for `n_queries` queries at a time, for workers that take whole blocks.
    pub(crate) fn blocks(self, n_queries: usize) -> impl Iterator<Item = Neighbors<'a, D>> {
        let (k, len) = (self.k, n_queries.saturating_mul(self.k).max(1));
        let blocks = self.distances.chunks_mut(len).zip(self.indices.chunks_mut(len));
        blocks.map(move |(distances, indices)| Neighbors { distances, indices, k })
    }

    /// Writes the nearest rows of a query, in order; `distance` is what a key stands for.
    pub(crate) fn write(&mut self, query: usize, best: &[Neighbor], distance: impl Fn(u32) -> D) {
        let row = query * self.k..(query + 1) * self.k;
        let row = self.distances[row.clone()].iter_mut().zip(&mut self.indices[row]);
        for (neighbor, (out, index)) in best.iter().zip(row) {
            (*out, *index) = (distance(neighbor.key), neighbor.id as i64);
        }
    }

    /// Writes the results that another search found for some queries, in their order.
    pub(crate) fn copy(&mut self, queries: &[usize], distances: &[D], indices: &[i64]) {
        let found = distances.chunks_exact(self.k).zip(indices.chunks_exact(self.k));
        for (query, (distances, indices)) in queries.iter().zip(found) {
            let row = query * self.k..(query + 1) * self.k;
            self.distances[row.clone()].copy_from_slice(distances);
            self.indices[row].copy_from_slice(indices);
        }
    }

    /// The same for workers that take queries in any order.
    pub(crate) fn shared(self) -> SharedNeighbors<'a, D> {
        SharedNeighbors(Mutex::new(self))
    }
}

/// [`Neighbors`] that several workers write to.
pub(crate) struct SharedNeighbors<'a, D>(Mutex<Neighbors<'a, D>>);

impl<D: Copy> SharedNeighbors<'_, D> {
    /// Merges what each part found for the given queries, in their order, and writes it.
    pub fn merge(
        &self,
        queries: impl IntoIterator<Item = usize>,
        parts: Vec<Vec<TopK>>,
        distance: impl Fn(u32) -> D,
    ) -> Result<(), Error> {
        let mut parts = try_collect(parts.into_iter().map(Vec::into_iter))?;
        for query in queries {
            let best = TopK::merge(parts.iter_mut().filter_map(Iterator::next))?;
            let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            out.write(query, &best, &distance);
        }
        Ok(())
    }
}

/// Results of varying number: those of query `i` are `offsets[i]..offsets[i + 1]` of the other two.
#[derive(Clone, Debug, PartialEq)]
pub struct Csr<D> {
    /// Where the results of each query begin, and the end of the last.
    pub offsets: Vec<i64>,
    /// Distances, sorted within a query.
    pub distances: Vec<D>,
    /// Row ids.
    pub indices: Vec<i64>,
}

impl<D: Copy> Csr<D> {
    /// Results of blocks of queries, each with the ids of its queries, and sorted by (query, key, id) within a block.
    pub(crate) fn from_blocks(
        n_queries: usize,
        blocks: &[(Vec<usize>, Vec<Found>)],
        padding: D,
        distance: impl Fn(u32) -> D,
    ) -> Result<Self, Error> {
        let mut offsets = try_vec(0_i64, n_queries + 1)?;
        for (ids, found) in blocks {
            found.iter().for_each(|found| offsets[ids[found.query as usize] + 1] += 1);
        }
        for query in 0..n_queries {
            offsets[query + 1] += offsets[query];
        }
        let n_found = offsets[n_queries] as usize;
        let (mut distances, mut indices) = (try_vec(padding, n_found)?, try_vec(-1, n_found)?);
        for (ids, found) in blocks {
            // A query is in one block, where its results follow each other in order.
            for found in found.chunk_by(|a, b| a.query == b.query) {
                let first = offsets[ids[found[0].query as usize]] as usize;
                for (position, found) in (first..).zip(found) {
                    (distances[position], indices[position]) = (distance(found.key), found.id as i64);
                }
            }
        }
        Ok(Csr { offsets, distances, indices })
    }
}

/// Pairs of rows, `i[p] < j[p]`, sorted by (i, j).
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs<D> {
    /// The lower row of each pair.
    pub i: Vec<i64>,
    /// The higher row of each pair.
    pub j: Vec<i64>,
    /// Their distances.
    pub distances: Vec<D>,
}

impl<D: Copy> Pairs<D> {
    /// Pairs of blocks of rows, each with the ids of its rows, in ascending order of pairs.
    pub(crate) fn from_blocks(
        blocks: &[(Vec<usize>, Vec<Found>)],
        distance: impl Fn(u32) -> D,
    ) -> Result<Self, Error> {
        let n_pairs = blocks.iter().map(|(_, found)| found.len()).sum();
        let (mut i, mut j, mut distances) = (Vec::new(), Vec::new(), Vec::new());
        i.try_reserve_exact(n_pairs)?;
        j.try_reserve_exact(n_pairs)?;
        distances.try_reserve_exact(n_pairs)?;
        for (ids, found) in blocks {
            i.extend(found.iter().map(|found| ids[found.query as usize] as i64));
            j.extend(found.iter().map(|found| found.id as i64));
            distances.extend(found.iter().map(|found| distance(found.key)));
        }
        Ok(Pairs { i, j, distances })
    }
}
