//! One-permutation hashing: a token is hashed once, goes to the slot that the high half of its bits names, and leaves the low half
//! there if it is the least so far (Li, Owen and Zhang, 2012).
//!
//! ```text
//! z = mix(x ^ key)       slot = (z >> 32) * k >> 32       value = z mod 2^32
//! ```
//!
//! A slot that no token came to borrows from another: it asks slots of a sequence of its own, the same for all sets, until one has
//! a value of its own. That is optimal densification (Shrivastava, ICML 2017): two sets whose slot is empty ask the same slots, so
//! that they agree with the probability of their similarity still, and different slots ask independently, which makes
//! the variance small.

use super::{BLOCK, mix, mix_tokens};
use crate::Level;

/// The slot that a random number names.
#[inline(always)]
fn slot_of(random: u32, n_slots: usize) -> usize {
    ((u64::from(random) * n_slots as u64) >> 32) as usize
}

/// Slots up to which several copies of the minima are worth while, and the copies beside the minima themselves.
const FEW_SLOTS: usize = 256;
const COPIES: usize = 3;

/// Takes tokens into the minima. The time is that of a read and a write for each token: tokens are mixed before, so that it is
/// known early where these go, and copies of the minima are written in turn, since a read of what was just written has to wait.
pub(super) fn add(level: Level, key: u64, tokens: &[u64], minima: &mut [u32]) {
    let n_slots = minima.len();
    let take = |minima: &mut [u32], [high, low]: [u32; 2]| {
        let least = &mut minima[slot_of(high, n_slots)];
        *least = (*least).min(low);
    };
    let mut copies = [[u32::MAX; FEW_SLOTS]; COPIES];
    let are_copied = n_slots <= FEW_SLOTS && tokens.len() > n_slots;
    let mut block = [[0; 2]; BLOCK];
    for tokens in tokens.chunks(BLOCK) {
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

/// Fills the slots that no token came to. Tokens must have come to one slot at least; the value `u32::MAX`, one in four billion,
/// counts as none.
pub(super) fn densify(key: u64, minima: &mut [u32]) {
    if !minima.contains(&u32::MAX) {
        return;
    }
    let own: Vec<bool> = minima.iter().map(|minimum| *minimum != u32::MAX).collect();
    let mut with_own = (0..own.len()).filter(|slot| own[*slot]);
    let (first, is_alone) = (with_own.next().unwrap_or(0), with_own.next().is_none());
    for slot in 0..minima.len() {
        if own[slot] {
            continue;
        }
        // Asking would find the only one in the end, and not before.
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
}
