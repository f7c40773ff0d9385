//! The exact Jaccard similarity of sets.
//!
//! Each set that a pair names is sorted once, whatever the number of its pairs; a pair then takes one pass over both.

use super::Sets;
use super::slots::pairs_of;
use crate::error::{try_push, try_vec};
use crate::{Error, Run};

/// Pairs that a task compares: few, since sets may be large.
const PAIRS_PER_TASK: usize = 8;

/// Tokens that a task sorts, unless one set has more.
const TOKENS_PER_TASK: usize = 1 << 16;

/// Writes `|a & b| / |a | b|` for set `i[p]` of `a` and set `j[p]` of `b`, for each pair `p`; two empty sets are equal.
///
/// # Errors
/// [`Error::Row`] if an index is not a set, [`Error::Mismatch`] or [`Error::Length`] if the lengths of `i`, `j` and `out` differ,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn jaccard(
    a: &Sets<'_>,
    b: &Sets<'_>,
    i: &[i64],
    j: &[i64],
    out: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    let pairs = pairs_of(i, j, a.len(), b.len(), out.len())?;
    let left = SortedSets::new(a, pairs.iter().map(|(i, _)| *i), run)?;
    let right = SortedSets::new(b, pairs.iter().map(|(_, j)| *j), run)?;
    run.for_each_chunk(out, PAIRS_PER_TASK, |task, out| {
        for (&(i, j), out) in pairs[task * PAIRS_PER_TASK..].iter().zip(out) {
            *out = similarity(left.set(i), right.set(j));
        }
        Ok(())
    })
}

/// Some sets, each with its tokens once and in ascending order.
pub(super) struct SortedSets {
    tokens: Vec<u64>,
    /// The first token of each set, and the number of its tokens; 0 for sets that were not requested.
    spans: Vec<(usize, usize)>,
}

impl SortedSets {
    /// Sorts the sets with the given indices.
    pub(super) fn new(
        sets: &Sets<'_>,
        indices: impl Iterator<Item = usize>,
        run: &Run<'_>,
    ) -> Result<Self, Error> {
        let mut is_requested = try_vec(false, sets.len())?;
        indices.for_each(|index| is_requested[index] = true);
        let requested = || (0..sets.len()).filter(|index| is_requested[*index]);
        let mut tokens = try_vec(0, requested().map(|index| sets.set(index).len()).sum())?;
        let mut spans = try_vec((0, 0), sets.len())?;
        let (mut tasks, mut task, mut in_task) = (Vec::new(), Vec::new(), 0);
        let (mut left, mut start) = (&mut tokens[..], 0);
        for index in requested() {
            let (own, rest) = left.split_at_mut(sets.set(index).len());
            in_task += own.len();
            spans[index].0 = start;
            start += own.len();
            try_push(&mut task, (index, own))?;
            if in_task >= TOKENS_PER_TASK {
                try_push(&mut tasks, std::mem::take(&mut task))?;
                in_task = 0;
            }
            left = rest;
        }
        try_push(&mut tasks, task)?;
        let lengths = run.for_each_part(
            tasks,
            || Ok(Vec::new()),
            |lengths, _, task| {
                for (index, own) in task {
                    own.copy_from_slice(sets.set(index));
                    own.sort_unstable();
                    try_push(lengths, (index, dedup(own)))?;
                }
                Ok(())
            },
        )?;
        for (index, length) in lengths.into_iter().flatten() {
            spans[index].1 = length;
        }
        Ok(SortedSets { tokens, spans })
    }

    pub(super) fn set(&self, index: usize) -> &[u64] {
        let (start, length) = self.spans[index];
        &self.tokens[start..][..length]
    }
}

/// Moves the distinct tokens to the front, and returns their number.
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

/// The number of tokens that two sorted sets share.
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
