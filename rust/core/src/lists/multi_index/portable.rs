//! The specification in plain Rust.

use super::{Candidate, List};

/// Writes the entries of all lists that differ in few bits, and returns their number.
#[inline(always)]
pub(super) fn candidates(lists: &[List<'_>], out: &mut [Candidate]) -> usize {
    let mut n = 0;
    for list in lists {
        for &entry in list.entries {
            // Written in any case, without a branch, and kept or not.
            out[n] = Candidate { walk: list.walk as u32, row: entry as u32 };
            n += usize::from(((entry >> u32::BITS) as u32 ^ list.rest).count_ones() < list.below);
        }
    }
    n
}
