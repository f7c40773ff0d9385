//! [`TopK`]: the k smallest (key, id), ties to the lower id.

use crate::Error;
use crate::error::{try_copy, try_push};

/// A row that was found: its distance as a key that sorts like the distance, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Neighbor {
    pub key: u32,
    pub id: u64,
}

/// Keeps the `k` smallest neighbours of those pushed. Between clean-ups it holds up to twice as many, so that a push
/// costs a few instructions on average whatever `k` is.
pub(crate) struct TopK {
    k: usize,
    found: Vec<Neighbor>,
    /// Whatever is not smaller can be dropped unseen: the k-th smallest as of the last clean-up.
    worst: Option<Neighbor>,
}

impl TopK {
    pub fn new(k: usize) -> Self {
        TopK { k, found: Vec::new(), worst: None }
    }

    /// How many are kept.
    pub fn k(&self) -> usize {
        self.k
    }

    /// A row with an id of `first_id` or more qualifies only if its key is below this.
    pub fn below(&self, first_id: u64) -> u32 {
        match self.worst {
            None => u32::MAX,
            Some(worst) if first_id > worst.id => worst.key,
            Some(worst) => worst.key.saturating_add(1),
        }
    }

    /// The k smallest so far, among a few others.
    pub fn found(&self) -> &[Neighbor] {
        &self.found
    }

    pub fn push(&mut self, neighbor: Neighbor) -> Result<(), Error> {
        if self.worst.is_some_and(|worst| neighbor >= worst) {
            return Ok(());
        }
        try_push(&mut self.found, neighbor)?;
        // A few dozen at least: with k = 1 a clean-up at every second push would be the cost of a push.
        if self.found.len() >= self.k.saturating_add(self.k.max(32)) {
            self.clean_up();
        }
        Ok(())
    }

    /// An empty one that drops what cannot be among the `k` smallest of a set that has all rows of this one.
    pub fn fork(&self) -> Result<TopK, Error> {
        let mut found = try_copy(&self.found)?;
        let worst = match found.len() {
            len if len >= self.k && self.k > 0 => Some(found.select_nth_unstable(self.k - 1).1.key),
            _ => self.worst.map(|worst| worst.key),
        };
        // Those rows will be seen again: the id stays open.
        let worst = worst.map(|key| Neighbor { key, id: u64::MAX });
        Ok(TopK { k: self.k, found: Vec::new(), worst })
    }

    /// Drops all but the `k` smallest, if there are as many.
    pub fn clean_up(&mut self) {
        if self.k == 0 {
            self.found.clear();
        } else if self.found.len() >= self.k {
            let (_, worst, _) = self.found.select_nth_unstable(self.k - 1);
            self.worst = Some(*worst);
            self.found.truncate(self.k);
        }
    }

    /// The smallest `k` of all parts together, in order.
    pub fn merge(parts: impl IntoIterator<Item = TopK>) -> Result<Vec<Neighbor>, Error> {
        let mut merged = TopK::new(0);
        for part in parts {
            merged.k = part.k;
            if merged.found.is_empty() {
                merged.found = part.found;
            } else {
                merged.found.try_reserve_exact(part.found.len())?;
                merged.found.extend(part.found);
            }
        }
        merged.clean_up();
        merged.found.sort_unstable();
        Ok(merged.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted_smallest(mut neighbors: Vec<Neighbor>, k: usize) -> Vec<Neighbor> {
        neighbors.sort();
        neighbors.truncate(k);
        neighbors
    }

    #[test]
    fn equals_a_sort_for_every_k_order_and_split() {
        let ascending: Vec<Neighbor> = (0..500).map(|i| Neighbor { key: i / 7, id: u64::from(i) }).collect();
        let descending: Vec<Neighbor> = ascending.iter().rev().copied().collect();
        let mixed: Vec<Neighbor> =
            (0..500u32).map(|i| Neighbor { key: i * 97 % 41, id: u64::from(i) }).collect();
        let ties: Vec<Neighbor> = (0..500).rev().map(|id| Neighbor { key: 3, id }).collect();
        for neighbors in [ascending, descending, mixed, ties] {
            for k in [0, 1, 2, 10, 31, 32, 33, 499, 500, 501, 10_000] {
                for split in [0, 1, 250, 500] {
                    let parts = [&neighbors[..split], &neighbors[split..]].map(|part| {
                        let mut top_k = TopK::new(k);
                        for &neighbor in part {
                            if neighbor.key < top_k.below(neighbor.id) {
                                top_k.push(neighbor).unwrap();
                            }
                        }
                        top_k
                    });
                    assert_eq!(
                        TopK::merge(parts).unwrap(),
                        sorted_smallest(neighbors.clone(), k),
                        "k {k} split {split}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_tie_with_a_lower_id_still_qualifies() {
        let mut top_k = TopK::new(1);
        for id in 100..200 {
            top_k.push(Neighbor { key: 5, id }).unwrap();
        }
        assert_eq!((top_k.below(101), top_k.below(3)), (5, 6));
        top_k.push(Neighbor { key: 5, id: 3 }).unwrap();
        assert_eq!(TopK::merge([top_k]).unwrap(), [Neighbor { key: 5, id: 3 }]);
    }
}
