//! The Jaccard similarity itself, of sets that are at hand.

use super::Sets;
use super::slots::pairs_of;
use crate::{Error, Parallel};

/// Pairs that a task takes: few, since sets may be large.
const TASK_PAIRS: usize = 8;

/// Writes `|a & b| / |a | b|` for set `i[p]` of `a` and set `j[p]` of `b`, for each pair `p`; two empty sets are equal.
///
/// # Errors
/// If an index names no set, the lengths of `i`, `j` and `out` differ, or the call was interrupted.
pub fn jaccard(
    a: &Sets<'_>,
    b: &Sets<'_>,
    i: &[i64],
    j: &[i64],
    parallel: &Parallel<'_>,
    out: &mut [f32],
) -> Result<(), Error> {
    let pairs = pairs_of(i, j, a.len(), b.len(), out.len())?;
    parallel.for_each_chunk(out, TASK_PAIRS, |task, out| {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let mut last = (usize::MAX, usize::MAX);
        for (&(i, j), out) in pairs[task * TASK_PAIRS..].iter().zip(out) {
            // Pairs come sorted as a rule, so that one set meets several others.
            if i != last.0 {
                sort(a.set(i), &mut left);
            }
            if j != last.1 {
                sort(b.set(j), &mut right);
            }
            last = (i, j);
            let common = common(&left, &right);
            let union = left.len() + right.len() - common;
            *out = if union == 0 { 1.0 } else { (common as f64 / union as f64) as f32 };
        }
    })
}

/// The tokens of a set, each once, in ascending order.
fn sort(tokens: &[u64], sorted: &mut Vec<u64>) {
    sorted.clear();
    sorted.extend_from_slice(tokens);
    sorted.sort_unstable();
    sorted.dedup();
}

/// How many tokens two sorted sets share.
fn common(a: &[u64], b: &[u64]) -> usize {
    let (mut i, mut j, mut common) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        let (x, y) = (a[i], b[j]);
        common += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    common
}
