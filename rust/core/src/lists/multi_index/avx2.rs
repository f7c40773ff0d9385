//! AVX2: the portable loop with the instruction that counts ones, at about two cycles for an entry. A bucket has few of them.

use super::{Candidate, List, portable};

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn candidates(lists: &[List<'_>], out: &mut [Candidate]) -> usize {
    portable::candidates(lists, out)
}
