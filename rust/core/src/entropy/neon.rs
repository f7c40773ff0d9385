//! Interleaved rANS with NEON: eights of lanes, in 16 bits as far as that goes.
//!
//! There is no gather: indices move to scalar registers, eight bytes or less are loaded for each, and moved together. The fields of an
//! entry, as those of a lane, are 16 bits wide, so that all but the last product works on eight lanes per register; AVX2 has eight of 32
//! bits, in registers of twice the width. There is no movemask either: the lanes that take a byte are found for all 32 lanes at once, and
//! one scalar multiplication adds up how many are before each four. A `tbl` of two registers then shifts four lanes and puts in their
//! bytes. The encoder divides in float32, rounded down so that quotients are never too large and too small by one at most.
//!
//! Bottleneck: instructions. The decoder takes 9.5 for a symbol, and 1.7 more in groups where any lane takes a second byte (portable about
//! 70, and branches that cannot be predicted). The encoder takes 24 (portable about 65, with an integer division).

use std::arch::aarch64::*;
use std::sync::atomic::{Ordering, compiler_fence};

use super::frequencies::MAX_SYMBOLS;
use super::rans::{GROUP_BYTES, LaneWriter, Lanes, MARGIN, N_LANES};
use super::tables::{Bucket, N_BUCKETS, Slots, Tables};

/// Lanes that are worked on together.
const WIDTH: usize = 8;

/// Eights of a group.
const N_EIGHTS: usize = N_LANES / WIDTH;

/// Bytes of which lanes take one each, for loads of 16.
const SPAN: usize = N_LANES + 16;

/// For each set of four lanes of four bytes, the bytes of the lanes: those of the set move up, and take the next of the bytes from 16 on.
static SHIFTED: [[u8; 16]; 16] = {
    let mut shifted = [[0; 16]; 16];
    let mut set = 0;
    while set < 16 {
        let (mut byte, mut next) = (0, 16);
        while byte < 16 {
            let in_set = set >> (byte / 4) & 1 == 1;
            shifted[set][byte] = if !in_set {
                byte as u8
            } else if byte % 4 == 0 {
                next += 1;
                next - 1
            } else {
                byte as u8 - 1
            };
            byte += 1;
        }
        set += 1;
    }
    shifted
};

/// For each set of eight lanes, the lanes of the set in their order, in the last places.
static PACKED: [[u8; WIDTH]; 256] = {
    let mut packed = [[0xff; WIDTH]; 256];
    let mut set = 0;
    while set < 256_usize {
        let (mut lane, mut place) = (0, WIDTH - set.count_ones() as usize);
        while lane < WIDTH {
            if set >> lane & 1 == 1 {
                packed[set][place] = lane as u8;
                place += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    packed
};

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: `bytes` is 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_eight(bytes: &[u8; 8]) -> uint8x8_t {
    vcreate_u8(u64::from_le_bytes(*bytes))
}

#[inline]
#[target_feature(enable = "neon")]
fn load_four(lanes: &[u32; 4]) -> uint32x4_t {
    // SAFETY: four numbers of four bytes.
    unsafe { vld1q_u32(lanes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store_four(lanes: &mut [u32; 4], x: uint32x4_t) {
    // SAFETY: four numbers of four bytes.
    unsafe { vst1q_u32(lanes.as_mut_ptr(), x) };
}

#[inline]
#[target_feature(enable = "neon")]
fn load_lanes(lanes: &[u32; N_LANES], eight: usize) -> [uint32x4_t; 2] {
    let (fours, _) = lanes.as_chunks();
    [load_four(&fours[2 * eight]), load_four(&fours[2 * eight + 1])]
}

#[inline]
#[target_feature(enable = "neon")]
fn store_lanes(lanes: &mut [u32; N_LANES], eight: usize, x: [uint32x4_t; 2]) {
    let (fours, _) = lanes.as_chunks_mut();
    store_four(&mut fours[2 * eight], x[0]);
    store_four(&mut fours[2 * eight + 1], x[1]);
}

/// The low halves of numbers, and the high ones.
#[inline]
#[target_feature(enable = "neon")]
fn halves([first, second]: [uint32x4_t; 2]) -> [uint16x8_t; 2] {
    let (first, second) = (vreinterpretq_u16_u32(first), vreinterpretq_u16_u32(second));
    [vuzp1q_u16(first, second), vuzp2q_u16(first, second)]
}

/// Numbers of 16 bits for scalar loads.
#[inline]
#[target_feature(enable = "neon")]
fn scalars(numbers: uint16x8_t) -> [usize; WIDTH] {
    let numbers = vreinterpretq_u64_u16(numbers);
    let fours = [vgetq_lane_u64::<0>(numbers), vgetq_lane_u64::<1>(numbers)];
    std::array::from_fn(|lane| usize::from((fours[lane / 4] >> (16 * (lane % 4))) as u16))
}

/// 256 times the tables of eight lanes of a group.
#[inline]
#[target_feature(enable = "neon")]
fn bases(which: &[u8; N_LANES], eight: usize, last: uint8x8_t) -> uint16x8_t {
    vshll_n_u8::<8>(vmin_u8(load_eight(&which.as_chunks::<WIDTH>().0[eight]), last))
}

/// See `portable`. Reads whole groups as long as there are bytes for any group.
#[target_feature(enable = "neon")]
pub(super) fn decode_groups(
    tables: &Tables,
    which: Option<&[u8]>,
    lanes: &mut Lanes<'_>,
    out: &mut [u8],
) -> usize {
    match which {
        None => decode_of(tables, lanes, out, |_, _| vdupq_n_u16(0)),
        Some(which) => {
            let last = vdup_n_u8((tables.n_tables() - 1) as u8);
            let (which, _) = which.as_chunks::<N_LANES>();
            let n_groups = which.len().min(out.len() / N_LANES);
            decode_of(tables, lanes, &mut out[..n_groups * N_LANES], |group, eight| {
                bases(&which[group], eight, last)
            })
        }
    }
}

/// `bases_of(group, eight)` are the numbers of the first entries of the tables of eight lanes.
#[inline]
#[target_feature(enable = "neon")]
fn decode_of(
    tables: &Tables,
    lanes: &mut Lanes<'_>,
    out: &mut [u8],
    bases_of: impl Fn(usize, usize) -> uint16x8_t,
) -> usize {
    const { assert!(MAX_SYMBOLS == N_BUCKETS && N_BUCKETS == 256) };
    const { assert!(GROUP_BYTES == 2 * N_LANES && MARGIN == WIDTH) };
    let buckets = &*tables.buckets;
    let Lanes { x, bytes, position } = lanes;
    let mut n_groups = 0;
    for (group, out) in out.as_chunks_mut::<N_LANES>().0.iter_mut().enumerate() {
        let bytes = bytes.get(*position..).and_then(|bytes| bytes.first_chunk());
        let Some(bytes): Option<&[u8; N_LANES + SPAN]> = bytes else { break };
        for (eight, out) in out.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
            let (lanes, symbols) = step(buckets, load_lanes(x, eight), bases_of(group, eight));
            store_lanes(x, eight, lanes);
            *out = vget_lane_u64::<0>(vreinterpret_u64_u8(vshrn_n_u16::<8>(symbols))).to_le_bytes();
            one_after_the_other();
        }
        let high: [uint16x8_t; N_EIGHTS] = std::array::from_fn(|eight| halves(load_lanes(x, eight))[1]);
        let needs_first = sets_of_four(high.map(|high| vcltq_u16(high, vdupq_n_u16(1 << 8))));
        let needs_second = sets_of_four(high.map(|high| vceqzq_u16(high)));
        let n_firsts = take_bytes(x, needs_first, bytes.first_chunk());
        *position += n_firsts;
        if vget_lane_u64::<0>(vreinterpret_u64_u8(needs_second)) != 0 {
            let start = n_firsts.min(N_LANES);
            *position += take_bytes(x, needs_second, bytes[start..].first_chunk());
        }
        n_groups += 1;
    }
    n_groups * N_LANES
}

/// Keeps the compiler from working on all lanes at once, which takes more registers than there are. No instruction.
#[inline]
fn one_after_the_other() {
    compiler_fence(Ordering::SeqCst);
}

/// Eight lanes before they take in bytes, and their symbols in the high halves of 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn step(buckets: &[Bucket], x: [uint32x4_t; 2], bases: uint16x8_t) -> ([uint32x4_t; 2], uint16x8_t) {
    let byte = vdupq_n_u16(0xff);
    let [slots, quotients] = halves(x);
    let [owners, offsets, own, of_alias] = gather_buckets(buckets, vsriq_n_u16::<8>(bases, slots));
    let place = vandq_u16(slots, byte);
    let is_own = vcgtq_u16(vandq_u16(owners, byte), place);
    let symbols = vbslq_u16(is_own, slots, owners);
    let less_one = vbslq_u16(is_own, own, of_alias);
    let numbers = vaddq_u16(place, vbicq_u16(offsets, is_own));
    let low = vaddl_u16(vget_low_u16(quotients), vget_low_u16(numbers));
    let high = vaddl_high_u16(quotients, numbers);
    let low = vmlal_u16(low, vget_low_u16(less_one), vget_low_u16(quotients));
    ([low, vmlal_high_u16(high, less_one, quotients)], symbols)
}

/// The entries of eight buckets: aliases and dividers, offsets, frequencies of symbols and of aliases less one. `indices` are
/// `256 table + bucket`, with a table that exists.
#[inline]
#[target_feature(enable = "neon")]
fn gather_buckets(buckets: &[Bucket], indices: uint16x8_t) -> [uint16x8_t; 4] {
    let indices = scalars(indices);
    let entry = |lane: usize| {
        // SAFETY: callers make indices of a table that exists and a byte; a bucket is eight bytes.
        unsafe { vld1_u16(buckets.as_ptr().wrapping_add(indices[lane]).cast()) }
    };
    let pair = |lane: usize| vcombine_u16(entry(lane), entry(lane + 1));
    let fours = [(pair(0), pair(2)), (pair(4), pair(6))];
    let [even, other_even] = fours.map(|(a, b)| vuzp1q_u16(a, b));
    let [odd, other_odd] = fours.map(|(a, b)| vuzp2q_u16(a, b));
    [
        vuzp1q_u16(even, other_even),
        vuzp1q_u16(odd, other_odd),
        vuzp2q_u16(even, other_even),
        vuzp2q_u16(odd, other_odd),
    ]
}

/// A byte for each four lanes, with a bit for each lane of the mask.
#[inline]
#[target_feature(enable = "neon")]
fn sets_of_four(masks: [uint16x8_t; N_EIGHTS]) -> uint8x8_t {
    let weights = load(&[1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8]);
    let [a, b, c, d] = masks.map(|masks| vreinterpretq_u8_u16(masks));
    let (first, second) = (vandq_u8(vuzp1q_u8(a, b), weights), vandq_u8(vuzp1q_u8(c, d), weights));
    let pairs = vpaddq_u8(first, second);
    vpadd_u8(vget_low_u8(pairs), vget_high_u8(pairs))
}

/// Sums of the numbers of elements of sets, up to and including each.
#[inline]
#[target_feature(enable = "neon")]
fn running_sums(sets: uint8x8_t) -> u64 {
    let counts = vget_lane_u64::<0>(vreinterpret_u64_u8(vcnt_u8(sets)));
    counts.wrapping_mul(0x0101_0101_0101_0101)
}

/// Appends a byte to the lanes of the sets, in order. Returns how many bytes that took.
#[inline]
#[target_feature(enable = "neon")]
fn take_bytes(x: &mut [u32; N_LANES], sets: uint8x8_t, bytes: Option<&[u8; SPAN]>) -> usize {
    let Some(bytes) = bytes else { return 0 };
    let ends = running_sums(sets);
    let (mut starts, mut sets) = (ends << 8, vget_lane_u64::<0>(vreinterpret_u64_u8(sets)));
    for x in x.as_chunks_mut().0 {
        // At most 28 lanes are before the last four.
        let start = starts as usize % N_LANES;
        let next = bytes[start..].first_chunk().map_or(vdupq_n_u8(0), |next| load(next));
        let lanes = uint8x16x2_t(vreinterpretq_u8_u32(load_four(x)), next);
        let lanes = vqtbl2q_u8(lanes, load(&SHIFTED[sets as usize % 16]));
        store_four(x, vreinterpretq_u32_u8(lanes));
        starts >>= 8;
        sets >>= 8;
    }
    (ends >> 56) as usize
}

/// See `portable`.
#[target_feature(enable = "neon")]
pub(super) fn encode_groups(
    tables: &Tables,
    slots: &Slots,
    symbols: &[u8],
    which: Option<&[u8]>,
    writer: &mut LaneWriter,
) -> Result<(), usize> {
    match which {
        None => encode_of(tables, slots, symbols, writer, |_, _| vdupq_n_u16(0)),
        Some(which) => {
            let last = vdup_n_u8((tables.n_tables() - 1) as u8);
            let (which, _) = which.as_chunks::<N_LANES>();
            let n_groups = which.len().min(symbols.len() / N_LANES);
            encode_of(tables, slots, &symbols[..n_groups * N_LANES], writer, |group, eight| {
                bases(&which[group], eight, last)
            })
        }
    }
}

/// `bases_of(group, eight)` are the numbers of the first entries of the tables of eight lanes.
#[inline]
#[target_feature(enable = "neon")]
fn encode_of(
    tables: &Tables,
    slots: &Slots,
    symbols: &[u8],
    writer: &mut LaneWriter,
    bases_of: impl Fn(usize, usize) -> uint16x8_t,
) -> Result<(), usize> {
    let (frequencies, starts) = (&*tables.frequencies, &*tables.starts);
    for (group, symbols) in symbols.as_chunks::<N_LANES>().0.iter().enumerate().rev() {
        let start = writer.first.checked_sub(MARGIN + GROUP_BYTES).ok_or(group * N_LANES)?;
        let x = &mut writer.x;
        // The lowest bytes of lanes, and whether they leave: first ones, then second ones, which leave before.
        let mut lowest = [[vdup_n_u8(0); N_EIGHTS]; 2];
        let mut leaves = [[vdupq_n_u8(0); N_EIGHTS]; 2];
        let mut least = vdupq_n_u32(u32::MAX);
        for eight in 0..N_EIGHTS {
            let bases = bases_of(group, eight);
            let indices = vaddw_u8(bases, load_eight(&symbols.as_chunks::<WIDTH>().0[eight]));
            let indices = scalars(indices);
            let frequency = gather(frequencies, indices);
            let start = gather(starts, indices);
            least = vminq_u32(least, vminq_u32(frequency[0], frequency[1]));
            let mut lanes = load_lanes(x, eight);
            (lanes, lowest[1][eight], leaves[1][eight]) = less_a_byte::<24>(lanes, frequency);
            (lanes, lowest[0][eight], leaves[0][eight]) = less_a_byte::<16>(lanes, frequency);
            let bases = [vget_low_u16(bases), vget_high_u16(bases)];
            for half in 0..2 {
                let (quotient, number) = divide(lanes[half], frequency[half]);
                // Places have 16 bits, also where symbols without a frequency make them senseless.
                let place = vaddq_u32(start[half], number);
                let place = vbslq_u32(vdupq_n_u32(0xffff), place, vshll_n_u16::<8>(bases[half]));
                lanes[half] = vsliq_n_u32::<16>(gather_slots(slots, place), quotient);
            }
            store_lanes(x, eight, lanes);
            one_after_the_other();
        }
        if vminvq_u32(least) == 0 {
            let bases: [uint16x8_t; N_EIGHTS] = std::array::from_fn(|eight| bases_of(group, eight));
            let lane = (0..N_LANES).rfind(|lane| {
                let bases = scalars(bases[lane / WIDTH]);
                tables.frequencies[bases[lane % WIDTH] + usize::from(symbols[*lane])] == 0
            });
            return Err(group * N_LANES + lane.unwrap_or(0));
        }
        let room = writer.bytes[start..].first_chunk_mut().ok_or(group * N_LANES)?;
        writer.first -= give_bytes(lowest, leaves, room);
    }
    Ok(())
}

/// The entries of tables of 256 entries each; `indices` are `256 table + n`, with a table that exists and `n` below 256.
#[inline]
#[target_feature(enable = "neon")]
fn gather(entries: &[u32], indices: [usize; WIDTH]) -> [uint32x4_t; 2] {
    let entry = |lane: usize| {
        // SAFETY: callers make `indices` of a table that exists and a byte.
        unsafe { entries.as_ptr().wrapping_add(indices[lane]).read() }
    };
    let four = |lane: usize| {
        let four = vsetq_lane_u32::<0>(entry(lane), vdupq_n_u32(0));
        let four = vsetq_lane_u32::<1>(entry(lane + 1), four);
        let four = vsetq_lane_u32::<2>(entry(lane + 2), four);
        vsetq_lane_u32::<3>(entry(lane + 3), four)
    };
    [four(0), four(4)]
}

/// The slots at places of tables of 2^16 slots, the tables being among those that exist.
#[inline]
#[target_feature(enable = "neon")]
fn gather_slots(slots: &Slots, places: uint32x4_t) -> uint32x4_t {
    let places = vreinterpretq_u64_u32(places);
    let places = [vgetq_lane_u64::<0>(places), vgetq_lane_u64::<1>(places)];
    let slot = |place: u32| {
        // SAFETY: a place is `2^16 table`, of a table that exists, and 16 bits.
        u64::from(unsafe { slots.0.as_ptr().wrapping_add(place as usize).read() })
    };
    let [low, high] = places.map(|pair| vcreate_u32(slot(pair as u32) | slot((pair >> 32) as u32) << 32));
    vcombine_u32(low, high)
}

/// Takes the lowest byte off lanes that are not below the frequency without their `SHIFT` lowest bits. Returns the lanes, their lowest
/// bytes and the mask, which has two bytes for each lane.
#[inline]
#[target_feature(enable = "neon")]
fn less_a_byte<const SHIFT: i32>(
    lanes: [uint32x4_t; 2],
    frequency: [uint32x4_t; 2],
) -> ([uint32x4_t; 2], uint8x8_t, uint8x16_t) {
    let leaves: [uint32x4_t; 2] =
        std::array::from_fn(|half| vcgeq_u32(vshrq_n_u32::<SHIFT>(lanes[half]), frequency[half]));
    let left =
        std::array::from_fn(|half| vbslq_u32(leaves[half], vshrq_n_u32::<8>(lanes[half]), lanes[half]));
    (left, vmovn_u16(halves(lanes)[0]), vreinterpretq_u8_u16(halves(leaves)[0]))
}

/// Quotient and remainder of numbers below `2^16 divisor`, the divisors being from 1 to 2^16.
#[inline]
#[target_feature(enable = "neon")]
fn divide(x: uint32x4_t, divisor: uint32x4_t) -> (uint32x4_t, uint32x4_t) {
    // Three operations round up by a part of 2^24 each at most; this is 8 of these parts less.
    let less = vdupq_n_f32(1.0 - 1.0 / (1 << 21) as f32);
    let quotient = vdivq_f32(vcvtq_f32_u32(x), vcvtq_f32_u32(divisor));
    let quotient = vcvtq_u32_f32(vmulq_f32(quotient, less));
    let rest = vmlsq_u32(x, quotient, divisor);
    let is_too_small = vcgeq_u32(rest, divisor);
    // A rest below the divisor wraps around.
    (vsubq_u32(quotient, is_too_small), vminq_u32(rest, vsubq_u32(rest, divisor)))
}

/// Writes the bytes of lanes of the masks to the end of the room, in order. Returns their number.
#[inline]
#[target_feature(enable = "neon")]
fn give_bytes(
    lowest: [[uint8x8_t; N_EIGHTS]; 2],
    leaves: [[uint8x16_t; N_EIGHTS]; 2],
    room: &mut [u8; MARGIN + GROUP_BYTES],
) -> usize {
    let weights = load(&[1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128]);
    let [firsts, seconds] = leaves.map(|[a, b, c, d]| {
        vpaddq_u8(vandq_u8(vuzp1q_u8(a, b), weights), vandq_u8(vuzp1q_u8(c, d), weights))
    });
    let fours = vpaddq_u8(firsts, seconds);
    let sets = vpadd_u8(vget_low_u8(fours), vget_high_u8(fours));
    let ends = running_sums(sets);
    let total = (ends >> 56) as usize;
    let sets = vget_lane_u64::<0>(vreinterpret_u64_u8(sets));
    let base = GROUP_BYTES.wrapping_sub(total);
    for (index, bytes) in lowest.as_flattened().iter().enumerate().rev() {
        let set = usize::from((sets >> (8 * index)) as u8);
        let packed = vtbl1_u8(*bytes, load_eight(&PACKED[set]));
        // The end of these bytes less eight, and more for the margin.
        let place = base.wrapping_add(usize::from((ends >> (8 * index)) as u8)).min(GROUP_BYTES);
        let packed = vget_lane_u64::<0>(vreinterpret_u64_u8(packed));
        room[place..place + WIDTH].copy_from_slice(&packed.to_le_bytes());
    }
    total
}
