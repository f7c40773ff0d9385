//! [`Claim`]: memory that a call reads or writes, so that no other call writes to it meanwhile.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the calls of all threads use now.
static CLAIMED: Mutex<Vec<Claimed>> = Mutex::new(Vec::new());

struct Claimed {
    number: u64,
    addresses: Range<usize>,
    is_written: bool,
}

/// Memory that is used until this is dropped.
pub struct Claim(u64);

impl Claim {
    /// Claims memory for reading, or for writing, which nobody else may do; `None` if another call has it.
    pub fn new(addresses: Range<usize>, is_written: bool) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut claimed = claimed();
        let meets = |other: &Claimed| {
            (is_written || other.is_written)
                && other.addresses.start < addresses.end
                && addresses.start < other.addresses.end
        };
        if claimed.iter().any(meets) {
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        claimed.push(Claimed { number, addresses, is_written });
        Some(Claim(number))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claimed = claimed();
        if let Some(index) = claimed.iter().rposition(|claim| claim.number == self.0) {
            claimed.swap_remove(index);
        }
    }
}

/// Forgets all claims: in the child of a fork, where the threads that made them do not exist.
pub fn forget_claims() {
    claimed().clear();
}

fn claimed() -> MutexGuard<'static, Vec<Claimed>> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}
