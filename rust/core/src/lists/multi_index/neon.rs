//! NEON: a bucket has few entries, for which the portable loop takes one `cnt` each; of larger ones four are counted together, in lanes
//! of 32 bits, so that one mask goes to the general registers instead of four numbers. Bottleneck: the latency of memory, else the
//! stores: one for each entry, and about two vector instructions.

use std::arch::aarch64::*;

use super::{Candidate, List, portable};

/// Entries that are counted together.
const WIDTH: usize = 4;

#[target_feature(enable = "neon")]
pub(super) fn candidates(lists: &[List<'_>], out: &mut [Candidate]) -> usize {
    let mut n = 0;
    for list in lists {
        let (fours, _) = list.entries.as_chunks::<WIDTH>();
        let (rest, below) = (vdupq_n_u32(list.rest), vdupq_n_u32(list.below));
        for four in fours {
            let mut near = near(four, rest, below);
            for entry in four {
                // Written in any case, without a branch, and kept or not.
                out[n] = Candidate { walk: list.walk as u32, row: *entry as u32 };
                n += (near & 1) as usize;
                near >>= u16::BITS;
            }
        }
        let others = List { entries: &list.entries[fours.len() * WIDTH..], ..*list };
        n += portable::candidates(&[others], &mut out[n..]);
    }
    n
}

/// For each of four entries 16 bits, all ones if it differs in few bits.
#[inline]
#[target_feature(enable = "neon")]
fn near(four: &[u64; WIDTH], rest: uint32x4_t, below: uint32x4_t) -> u64 {
    let [low, high] = [load(&four.as_chunks().0[0]), load(&four.as_chunks().0[1])];
    let differing = veorq_u32(vuzp2q_u32(low, high), rest);
    let counts = vpaddlq_u16(vpaddlq_u8(vcntq_u8(vreinterpretq_u8_u32(differing))));
    vget_lane_u64::<0>(vreinterpret_u64_u16(vmovn_u32(vcltq_u32(counts, below))))
}

#[inline]
#[target_feature(enable = "neon")]
fn load(two: &[u64; 2]) -> uint32x4_t {
    // SAFETY: `two` is 16 bytes.
    unsafe { vld1q_u32(two.as_ptr().cast()) }
}
