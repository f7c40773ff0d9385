//! [`components`]: the connected components of a graph, by [`UnionFind`].

use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{check_len, try_vec};
use crate::{Error, Run};

/// Edges between two checks for an interruption.
const EDGES_PER_CHECK: usize = 1 << 16;

/// Writes the lowest node of the component of each node of a graph of `out.len()` nodes with the edges `(i[e], j[e])`.
///
/// # Errors
/// [`Error::Mismatch`] if `i` and `j` differ in length, [`Error::Row`] if an edge has a node that does not exist, [`Error::Range`] for
/// more than `2^32 - 1` nodes, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn components(i: &[i64], j: &[i64], out: &mut [i64], run: &Run<'_>) -> Result<(), Error> {
    if i.len() != j.len() {
        let hint = "expected the two rows of each edge";
        return Err(Error::Mismatch { unit: "rows", first: ("i", i.len()), second: ("j", j.len()), hint });
    }
    let n_rows = out.len();
    let row = |name: &'static str, row: i64| match usize::try_from(row) {
        Ok(index) if index < n_rows => Ok(index as u32),
        _ => Err(Error::Row { name, row, n_rows }),
    };
    let groups = UnionFind::new(n_rows)?;
    for (edge, (&a, &b)) in i.iter().zip(j).enumerate() {
        groups.join(row("i", a)?, row("j", b)?);
        if edge.is_multiple_of(EDGES_PER_CHECK) && run.should_stop() {
            return Err(Error::Interrupted);
        }
    }
    groups.write_labels(out)
}

/// Disjoint sets of nodes, which threads may join at the same time. The root of each is its lowest node, whatever the order of the
/// joins.
pub(crate) struct UnionFind {
    /// A node of the same set that is lower, or the node itself if it is the root.
    lower: Vec<AtomicU32>,
}

impl UnionFind {
    /// Sets of one node each.
    pub fn new(n_nodes: usize) -> Result<Self, Error> {
        if u32::try_from(n_nodes).is_err() {
            let high = u32::MAX as usize;
            return Err(Error::Range { name: "n", unit: "", given: n_nodes, low: 0, high });
        }
        let mut lower = Vec::new();
        lower.try_reserve_exact(n_nodes)?;
        lower.extend((0..n_nodes as u32).map(AtomicU32::new));
        Ok(UnionFind { lower })
    }

    /// The root of the set of a node. Halves the path to it.
    #[inline]
    pub fn find(&self, mut node: u32) -> u32 {
        loop {
            let next = self.lower[node as usize].load(Ordering::Relaxed);
            if next == node {
                return node;
            }
            // Only a node that is no root is changed, and to one of its set: another thread loses nothing.
            let above = self.lower[next as usize].load(Ordering::Relaxed);
            self.lower[node as usize].store(above, Ordering::Relaxed);
            node = above;
        }
    }

    /// Unites the sets of two nodes.
    #[inline]
    pub fn join(&self, mut a: u32, mut b: u32) {
        loop {
            (a, b) = (self.find(a), self.find(b));
            let (low, high) = (a.min(b), a.max(b));
            // It fails if another thread has joined the higher root meanwhile.
            let joined =
                self.lower[high as usize].compare_exchange(high, low, Ordering::Relaxed, Ordering::Relaxed);
            if low == high || joined.is_ok() {
                return;
            }
        }
    }

    /// The root of the set of each node.
    pub fn labels(&self) -> Result<Vec<i64>, Error> {
        let mut labels = try_vec(0, self.lower.len())?;
        self.write_labels(&mut labels)?;
        Ok(labels)
    }

    fn write_labels(&self, out: &mut [i64]) -> Result<(), Error> {
        check_len("out", "elements", out.len(), self.lower.len())?;
        for (node, label) in (0..).zip(out) {
            *label = self.find(node).into();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn labels_are_the_lowest_nodes_whatever_the_order_of_edges() {
        let (n, run) = (200_i64, Run::serial(Level::PORTABLE));
        // Nodes that are equal modulo 7 are connected, by a path in a scrambled order.
        let (mut i, mut j): (Vec<i64>, Vec<i64>) = (7..n).map(|node| (node, node - 7)).unzip();
        for rotation in 0..5 {
            i.rotate_left(rotation * 17);
            j.rotate_left(rotation * 17);
            let mut labels = vec![-1; 200];
            components(&i, &j, &mut labels, &run).unwrap();
            assert!(labels.iter().zip(0..).all(|(label, node)| *label == node % 7));
            components(&j, &i, &mut labels, &run).unwrap();
            assert!(labels.iter().zip(0..).all(|(label, node)| *label == node % 7));
        }
        let mut labels = [-1; 3];
        components(&[], &[], &mut labels, &run).unwrap();
        assert_eq!(labels, [0, 1, 2]);
    }

    #[test]
    fn edges_that_do_not_fit_are_errors() {
        let run = Run::serial(Level::PORTABLE);
        assert!(matches!(components(&[0], &[], &mut [0; 3], &run), Err(Error::Mismatch { .. })));
        for row in [-1, 3, i64::MAX] {
            let expected = Err(Error::Row { name: "j", row, n_rows: 3 });
            assert_eq!(components(&[0], &[row], &mut [0; 3], &run), expected);
        }
    }
}
