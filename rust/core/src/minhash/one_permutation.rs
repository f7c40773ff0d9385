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

use super::mix;

/// The slot that a random number of 32 bits names.
#[inline(always)]
fn slot_of(random: u64, n_slots: usize) -> usize {
    (((random >> 32) * n_slots as u64) >> 32) as usize
}

/// Slots up to which several copies of the minima are worth while.
const FEW_SLOTS: usize = 512;

/// Takes tokens into the minima. Scalar at every level: the time is that of a read and a write for each token. Four copies of the
/// minima are written in turn, since a read of what was just written has to wait.
pub(super) fn add(key: u64, tokens: &[u64], minima: &mut [u32]) {
    let n_slots = minima.len();
    let take = |minima: &mut [u32], token: u64| {
        let z = mix(token ^ key);
        let least = &mut minima[slot_of(z, n_slots)];
        *least = (*least).min(z as u32);
    };
    if n_slots > FEW_SLOTS || tokens.len() < n_slots {
        tokens.iter().for_each(|token| take(minima, *token));
        return;
    }
    let mut copies = [[u32::MAX; FEW_SLOTS]; 4];
    let (fours, rest) = tokens.as_chunks::<4>();
    for four in fours {
        for (copy, token) in copies.iter_mut().zip(four) {
            take(&mut copy[..n_slots], *token);
        }
    }
    rest.iter().for_each(|token| take(minima, *token));
    for copy in copies {
        for (least, minimum) in minima.iter_mut().zip(copy) {
            *least = (*least).min(minimum);
        }
    }
}

/// Fills the slots that no token came to. Tokens must have come to one slot at least; the value `u32::MAX`, one in four billion,
/// counts as none.
pub(super) fn densify(key: u64, minima: &mut [u32]) {
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
                lender = slot_of(mix(key ^ mix(((slot as u64) << 32) | attempt)), minima.len());
                if own[lender] {
                    break;
                }
            }
        }
        minima[slot] = minima[lender];
    }
}
