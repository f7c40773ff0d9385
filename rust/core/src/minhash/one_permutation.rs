//! One-permutation hashing: a token is hashed once. The high half of its bits selects a slot, which keeps the least of the low halves
//! (Li, Owen and Zhang, 2012).
//!
//! ```text
//! z = mix(x ^ key)       slot = (z >> 32) * k >> 32       value = z mod 2^32
//! ```
//!
//! An empty slot borrows from another: it probes slots in a sequence of its own, the same for all sets, until one has a value. This is
//! optimal densification (Shrivastava, ICML 2017): two sets with the same empty slot probe the same slots, so they still agree with
//! the probability of their similarity, and different slots probe independently, which keeps the variance small.

use super::{TOKENS_PER_BLOCK, mix, mix_tokens};
use crate::error::try_collect;
use crate::{Error, Level};

/// The slot that a random number selects.
#[inline(always)]
fn slot_of(random: u32, n_slots: usize) -> usize {
    ((u64::from(random) * n_slots as u64) >> 32) as usize
}

/// The largest number of slots for which several copies of the minima are faster.
const MAX_COPIED_SLOTS: usize = 256;

/// Copies of the minima in addition to the minima themselves.
const COPIES: usize = 3;

/// Updates the minima with tokens. The time is that of a read and a write for each token: tokens are mixed in advance, so that the
/// addresses are known early, and copies of the minima are written in turn, since a read has to wait for a preceding write.
pub(super) fn add(level: Level, key: u64, tokens: &[u64], minima: &mut [u32]) {
    let n_slots = minima.len();
    let take = |minima: &mut [u32], [high, low]: [u32; 2]| {
        let least = &mut minima[slot_of(high, n_slots)];
        *least = (*least).min(low);
    };
    let mut copies = [[u32::MAX; MAX_COPIED_SLOTS]; COPIES];
    let are_copied = n_slots <= MAX_COPIED_SLOTS && tokens.len() > n_slots;
    let mut block = [[0; 2]; TOKENS_PER_BLOCK];
    for tokens in tokens.chunks(TOKENS_PER_BLOCK) {
        let block = &mut block[..tokens.len()];
        mix_tokens(level, key, tokens, block);
        if !are_copied {
            block.iter().for_each(|halves| take(minima, *halves));
            continue;
        }
        let (fours, rest) = block.as_chunks::<{ COPIES + 1 }>();
        for four in fours {
            take(minima, four[0]);
            for (copy, halves) in copies.iter_mut().zip(&four[1..]) {
                take(&mut copy[..n_slots], *halves);
            }
        }
        rest.iter().for_each(|halves| take(minima, *halves));
    }
    if are_copied {
        for copy in copies {
            for (least, minimum) in minima.iter_mut().zip(copy) {
                *least = (*least).min(minimum);
            }
        }
    }
}

/// Fills the empty slots. At least one slot must have a value; the value `u32::MAX`, one in four billion, counts as none.
pub(super) fn densify(key: u64, minima: &mut [u32]) -> Result<(), Error> {
    if !minima.contains(&u32::MAX) {
        return Ok(());
    }
    let own = try_collect(minima.iter().map(|minimum| *minimum != u32::MAX))?;
    let mut with_own = (0..own.len()).filter(|slot| own[*slot]);
    let (first, is_alone) = (with_own.next().unwrap_or(0), with_own.next().is_none());
    for slot in 0..minima.len() {
        if own[slot] {
            continue;
        }
        // Probing would take long to find the only slot with a value.
        let mut lender = first;
        if !is_alone {
            for attempt in 1_u64.. {
                let random = mix(key ^ mix(((slot as u64) << 32) | attempt));
                lender = slot_of((random >> 32) as u32, minima.len());
                if own[lender] {
                    break;
                }
            }
        }
        minima[slot] = minima[lender];
    }
    Ok(())
}
