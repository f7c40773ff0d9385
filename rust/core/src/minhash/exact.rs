//! The Jaccard similarity itself, of sets that are at hand.
//!
//! Each set that a pair names is sorted once, whatever the number of its pairs; a pair then takes one pass over both.

use std::sync::{Mutex, PoisonError};

use super::Sets;
use super::slots::pairs_of;
use crate::error::try_vec;
use crate::{Error, Parallel};

/// Pairs that a task takes: few, since sets may be large.
const TASK_PAIRS: usize = 8;

/// Tokens that a task sorts, unless one set has more.
const TASK_TOKENS: usize = 1 << 16;

/// Writes `|a & b| / |a | b|` for set `i[p]` of `a` and set `j[p]` of `b`, for each pair `p`; two empty sets are equal.
///
/// # Errors
/// If an index names no set, the lengths of `i`, `j` and `out` differ, there is no memory, or the call was interrupted.
pub fn jaccard(
    a: &Sets<'_>,
    b: &Sets<'_>,
    i: &[i64],
    j: &[i64],
    parallel: &Parallel<'_>,
    out: &mut [f32],
) -> Result<(), Error> {
    let pairs = pairs_of(i, j, a.len(), b.len(), out.len())?;
    let left = Sorted::new(a, pairs.iter().map(|(i, _)| *i), parallel)?;
    let right = Sorted::new(b, pairs.iter().map(|(_, j)| *j), parallel)?;
    parallel.for_each_chunk(out, TASK_PAIRS, |task, out| {
        for (&(i, j), out) in pairs[task * TASK_PAIRS..].iter().zip(out) {
            *out = similarity(left.set(i), right.set(j));
        }
    })
}

/// Some sets, each with its tokens once and in ascending order.
pub(super) struct Sorted {
    tokens: Vec<u64>,
    /// Where the tokens of each set start, and how many there are; none of those that were not asked for.
    places: Vec<(usize, usize)>,
}

impl Sorted {
    /// Sorts the sets with the given indices.
    pub(super) fn new(
        sets: &Sets<'_>,
        indices: impl Iterator<Item = usize>,
        parallel: &Parallel<'_>,
    ) -> Result<Self, Error> {
        let mut is_asked_for = try_vec(false, sets.len())?;
        indices.for_each(|index| is_asked_for[index] = true);
        let asked_for = || (0..sets.len()).filter(|index| is_asked_for[*index]);
        let mut tokens = try_vec(0, asked_for().map(|index| sets.set(index).len()).sum())?;
        let mut places = try_vec((0, 0), sets.len())?;
        let (mut tasks, mut task, mut in_task) = (Vec::new(), Vec::new(), 0);
        let (mut left, mut start) = (&mut tokens[..], 0);
        for index in asked_for() {
            let (own, rest) = left.split_at_mut(sets.set(index).len());
            in_task += own.len();
            places[index].0 = start;
            start += own.len();
            task.push((index, own));
            if in_task >= TASK_TOKENS {
                tasks.push(Mutex::new(std::mem::take(&mut task)));
                in_task = 0;
            }
            left = rest;
        }
        tasks.push(Mutex::new(task));
        let lengths = parallel.run(tasks.len(), Vec::new, |lengths, task| {
            // One worker a task: the lock is how the compiler sees that.
            for (index, own) in &mut *tasks[task].lock().unwrap_or_else(PoisonError::into_inner) {
                own.copy_from_slice(sets.set(*index));
                own.sort_unstable();
                lengths.push((*index, dedup(own)));
            }
        })?;
        drop(tasks);
        for (index, length) in lengths.into_iter().flatten() {
            places[index].1 = length;
        }
        Ok(Sorted { tokens, places })
    }

    pub(super) fn set(&self, index: usize) -> &[u64] {
        let (start, length) = self.places[index];
        &self.tokens[start..][..length]
    }
}

/// Moves the different ones of sorted tokens to the front, and returns their number.
fn dedup(sorted: &mut [u64]) -> usize {
    let mut length = 0;
    for index in 0..sorted.len() {
        if length == 0 || sorted[index] != sorted[length - 1] {
            sorted[length] = sorted[index];
            length += 1;
        }
    }
    length
}

/// The similarity of two sorted sets.
pub(super) fn similarity(a: &[u64], b: &[u64]) -> f32 {
    let common = common(a, b);
    let union = a.len() + b.len() - common;
    if union == 0 { 1.0 } else { (common as f64 / union as f64) as f32 }
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
