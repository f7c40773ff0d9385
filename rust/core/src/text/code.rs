//! [`Code`]: the binary decisions that name a symbol. A binary tree whose leaves are symbols: first the class is decided, then the
//! symbol in its class, each by a Huffman code.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::vocabulary::Symbol;
use crate::Error;
use crate::error::{try_collect, try_push, try_vec};

/// Marks a child that is a symbol; other children are nodes.
pub(super) const LEAF: u16 = 1 << 15;

/// The longest way to a symbol. A Huffman code gives a symbol of probability p at most log(1 / p) + 1 steps, the logarithm to the golden
/// ratio (Katona and Nemetz, 1976). That of a class and that within it add up to one logarithm, of at most 2^64: 94 steps.
const MAX_DEPTH: u8 = 128;

/// A node on the way to a symbol, and the branch that is taken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) node: u16,
    pub(super) bit: bool,
}

/// The tree. Node 0 is the root, and a node has a larger number than its parent.
pub(super) struct Code {
    children: Vec<[u16; 2]>,
    steps: Vec<Step>,
    /// The steps to symbol `i` are `steps[starts[i]..starts[i + 1]]`.
    starts: Vec<u32>,
}

impl Code {
    /// The code for symbols that occur `counts` times and are of these classes.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(super) fn of_counts(counts: &[u64], classes: &[u8]) -> Result<Self, Error> {
        // A symbol that never occurs has a code as if it had occurred a 64th of once.
        let weight = |symbol: u16| 64 * counts[usize::from(symbol)] + 1;
        let mut members =
            try_collect((0..counts.len() as u16).map(|symbol| (classes[usize::from(symbol)], symbol)))?;
        members.sort_unstable();
        let groups = || members.chunk_by(|a, b| a.0 == b.0);
        let mut children = Vec::new();
        huffman(groups().map(|group| group.iter().map(|member| weight(member.1)).sum()), &mut children)?;
        let n_top = children.len();
        let mut whole = Vec::new();
        for group in groups() {
            let root = children.len();
            huffman(group.iter().map(|member| weight(member.1)), &mut children)?;
            for child in children[root..].as_flattened_mut().iter_mut().filter(|child| **child & LEAF != 0) {
                *child = LEAF | group[usize::from(*child & !LEAF)].1;
            }
            try_push(&mut whole, if group.len() == 1 { LEAF | group[0].1 } else { root as u16 })?;
        }
        for child in children[..n_top].as_flattened_mut().iter_mut().filter(|child| **child & LEAF != 0) {
            *child = whole[usize::from(*child & !LEAF)];
        }
        Code::from_children(children)
    }

    /// The tree of which these are the children of each node, one node fewer than symbols.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if they form no tree, or one deeper than any of [`Code::of_counts`]; [`Error::OutOfMemory`].
    pub(super) fn from_children(children: Vec<[u16; 2]>) -> Result<Self, Error> {
        let n_nodes = children.len();
        // Each node and symbol but the root is the child of one node, which has a lower number.
        let mut parents = try_vec(None, n_nodes)?;
        let mut leaves = try_vec(None, n_nodes + 1)?;
        // Of a node; checked before all steps are written, which for a single long path would be the square of its length.
        let mut depths = try_vec(0, n_nodes)?;
        for (node, pair) in children.iter().enumerate() {
            let depth = depths[node] + 1;
            if depth > MAX_DEPTH {
                return Err(super::damaged("the code"));
            }
            for (bit, child) in [false, true].into_iter().zip(pair) {
                let step = Step { node: node as u16, bit };
                let index = usize::from(child & !LEAF);
                let place = match child & LEAF {
                    0 if index > node => {
                        depths.get_mut(index).into_iter().for_each(|below| *below = depth);
                        parents.get_mut(index)
                    }
                    0 => None,
                    _ => leaves.get_mut(index),
                };
                match place {
                    Some(place) if place.is_none() => *place = Some(step),
                    _ => return Err(super::damaged("the code")),
                }
            }
        }
        let (mut steps, mut starts) = (Vec::new(), try_vec(0, leaves.len() + 1)?);
        for (symbol, leaf) in leaves.iter().enumerate() {
            let (start, mut next) = (steps.len(), *leaf);
            while let Some(step) = next {
                try_push(&mut steps, step)?;
                next = parents[usize::from(step.node)];
            }
            steps[start..].reverse();
            starts[symbol + 1] = steps.len() as u32;
        }
        Ok(Code { children, steps, starts })
    }

    pub(super) fn n_nodes(&self) -> usize {
        self.children.len()
    }

    /// The children of all nodes: a node, or [`LEAF`] and a symbol.
    pub(super) fn children(&self) -> &[[u16; 2]] {
        &self.children
    }

    /// The way to a symbol.
    #[inline]
    pub(super) fn steps(&self, symbol: Symbol) -> &[Step] {
        let symbol = usize::from(symbol);
        &self.steps[self.starts[symbol] as usize..self.starts[symbol + 1] as usize]
    }
}

/// Appends the nodes of a Huffman code, the root first: one fewer than weights. A leaf is [`LEAF`] and the number of its weight.
fn huffman(weights: impl Iterator<Item = u64>, children: &mut Vec<[u16; 2]>) -> Result<(), Error> {
    let leaves =
        try_collect(weights.enumerate().map(|(index, weight)| Reverse((weight, LEAF | index as u16))))?;
    let first = children.len();
    let last = first + leaves.len() - 1;
    children.try_reserve(leaves.len())?;
    children.resize(last, [0; 2]);
    let mut queue = BinaryHeap::from(leaves);
    for node in (first..last).rev() {
        if let (Some(Reverse(a)), Some(Reverse(b))) = (queue.pop(), queue.pop()) {
            children[node] = [a.1, b.1];
            queue.push(Reverse((a.0 + b.0, node as u16)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huffman_code_is_optimal_and_reads_back() {
        let counts = [5, 9, 12, 13, 16, 45, 0];
        let code = Code::of_counts(&counts, &[0; 7]).unwrap();
        let lengths: Vec<usize> = (0..7).map(|symbol| code.steps(symbol).len()).collect();
        assert_eq!(lengths, [5, 4, 3, 3, 3, 1, 5]);
        let classes = [0, 1, 0, 2, 1, 2, 3];
        let code = Code::of_counts(&counts, &classes).unwrap();
        for symbol in 0..7 {
            let mut child = 0;
            for step in code.steps(symbol) {
                assert_eq!(step.node, child);
                child = code.children()[usize::from(child)][usize::from(step.bit)];
            }
            assert_eq!(child, LEAF | symbol);
        }
    }

    #[test]
    fn the_deepest_code_of_counts_reads_back_and_a_deeper_tree_is_refused() {
        // Weights that grow as the powers of the golden ratio make the longest ways; the last ones sum to nearly 2^64.
        let ratio = (1.0 + 5_f64.sqrt()) / 2.0;
        let counts: Vec<u64> = (0..81).map(|power| ratio.powi(power) as u64).collect();
        for (n_classes, least) in [(1, 72), (2, 0), (9, 0), (81, 72)] {
            let classes: Vec<u8> = (0..81).map(|symbol: usize| (symbol * n_classes / 81) as u8).collect();
            let code = Code::of_counts(&counts, &classes).unwrap();
            let deepest = (0..81).map(|symbol| code.steps(symbol).len()).max();
            assert!((Some(least)..=Some(94)).contains(&deepest), "{n_classes}: {deepest:?}");
        }
        let path = |n: u16| {
            (0..n).map(|node| [if node + 1 < n { node + 1 } else { LEAF | n }, LEAF | node]).collect()
        };
        assert!(Code::from_children(path(u16::from(MAX_DEPTH))).is_ok());
        for n_nodes in [u16::from(MAX_DEPTH) + 1, LEAF - 1] {
            assert!(Code::from_children(path(n_nodes)).is_err());
        }
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let leaf = |symbol: u16| LEAF | symbol;
        assert!(Code::from_children(vec![[1, leaf(0)], [leaf(1), leaf(2)]]).is_ok());
        for children in [
            vec![[0, leaf(0)]],
            vec![[1, leaf(0)], [leaf(1), leaf(1)]],
            vec![[1, leaf(0)], [leaf(1), leaf(3)]],
            vec![[1, 1], [leaf(1), leaf(0)]],
            vec![[2, leaf(0)], [leaf(1), leaf(2)]],
        ] {
            assert!(Code::from_children(children).is_err());
        }
    }
}
