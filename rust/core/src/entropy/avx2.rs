//! Interleaved rANS with AVX2: four vectors of eight lanes.
//!
//! A step of the decoder takes two gathers from a table of 2 KiB, and for each of the two bytes that a lane may take a look-up of the order
//! in which the lanes of a vector take them. A step of the encoder takes three gathers, and divides in float32: as quotients are
//! below 2^16 they are off by one at most, which is put right.

use std::arch::x86_64::*;

use super::frequencies::MAX_SYMBOLS;
use super::rans::{GROUP_BYTES, LaneWriter, Lanes, MARGIN, N_LANES};
use super::tables::{Bucket, N_BUCKETS, Slots, Tables};

/// Lanes of a vector.
const WIDTH: usize = 8;

/// Vectors of a group.
const N_VECTORS: usize = N_LANES / WIDTH;

/// Bytes that are loaded at a time.
const LOADED_BYTES: usize = 8;

/// For each set of lanes, the place of the byte of each lane among those of the set: `0x80`, which clears a byte, for the others.
const ORDER: [[u8; WIDTH]; 256] = {
    let mut order = [[0x80; WIDTH]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut place) = (0, 0);
        while lane < WIDTH {
            if set >> lane & 1 == 1 {
                order[set][lane] = place;
                place += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    order
};

/// For each set of lanes, the lanes of the set in their order, in the last places.
const PACKED: [[u8; WIDTH]; 256] = {
    let mut packed = [[0x80; WIDTH]; 256];
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

/// See `portable`. Reads whole groups as long as there are bytes for any group.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(super) fn decode_groups(
    tables: &Tables,
    which: Option<&[u8]>,
    lanes: &mut Lanes<'_>,
    out: &mut [u8],
) -> usize {
    match which {
        None => decode_of(tables, lanes, out, |_, _| _mm256_setzero_si256()),
        Some(which) => {
            let last = _mm256_set1_epi32(tables.n_tables() as i32 - 1);
            let (which, _) = which.as_chunks::<N_LANES>();
            let n_groups = which.len().min(out.len() / N_LANES);
            decode_of(tables, lanes, &mut out[..n_groups * N_LANES], |group, vector| {
                _mm256_slli_epi32::<8>(_mm256_min_epi32(widened(&which[group], vector), last))
            })
        }
    }
}

/// `base_of(group, vector)` are the numbers of the first entries of the tables of eight lanes.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn decode_of(
    tables: &Tables,
    lanes: &mut Lanes<'_>,
    out: &mut [u8],
    base_of: impl Fn(usize, usize) -> __m256i,
) -> usize {
    const { assert!(MAX_SYMBOLS == N_BUCKETS) };
    let mut x = [_mm256_setzero_si256(); N_VECTORS];
    for (x, lanes) in x.iter_mut().zip(lanes.x.as_chunks::<WIDTH>().0) {
        // SAFETY: eight numbers of four bytes.
        *x = unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) };
    }
    let mut n_groups = 0;
    for (group, out) in out.as_chunks_mut::<N_LANES>().0.iter_mut().enumerate() {
        let Some(bytes) = lanes.bytes.get(lanes.position..lanes.position + GROUP_BYTES + LOADED_BYTES) else {
            break;
        };
        let mut symbols = [_mm256_setzero_si256(); N_VECTORS];
        for vector in 0..N_VECTORS {
            (x[vector], symbols[vector]) = step(tables, x[vector], base_of(group, vector));
        }
        let mut position = 0;
        let needs: [__m256i; N_VECTORS] = std::array::from_fn(|vector| {
            _mm256_cmpeq_epi32(_mm256_srli_epi32::<16>(x[vector]), _mm256_setzero_si256())
        });
        for x in &mut x {
            let needs = _mm256_cmpeq_epi32(_mm256_srli_epi32::<24>(*x), _mm256_setzero_si256());
            *x = take_bytes(*x, needs, bytes, &mut position);
        }
        for (x, needs) in x.iter_mut().zip(needs) {
            *x = take_bytes(*x, needs, bytes, &mut position);
        }
        lanes.position += position;
        let low = _mm256_packus_epi32(symbols[0], symbols[1]);
        let high = _mm256_packus_epi32(symbols[2], symbols[3]);
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let symbols = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order);
        // SAFETY: `out` has 32 bytes.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), symbols) };
        n_groups += 1;
    }
    for (x, lanes) in x.iter().zip(lanes.x.as_chunks_mut::<WIDTH>().0) {
        // SAFETY: eight numbers of four bytes.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), *x) };
    }
    n_groups * N_LANES
}

/// The lanes before they take in bytes, and their symbols.
#[inline]
#[target_feature(enable = "avx2")]
fn step(tables: &Tables, x: __m256i, base: __m256i) -> (__m256i, __m256i) {
    let byte = _mm256_set1_epi32(0xff);
    let place = _mm256_and_si256(x, byte);
    let bucket = _mm256_and_si256(_mm256_srli_epi32::<8>(x), byte);
    let [owners, frequencies] = gather_bucket(&tables.buckets, _mm256_add_epi32(base, bucket));
    let is_own = _mm256_cmpgt_epi32(_mm256_and_si256(owners, byte), place);
    let alias = _mm256_and_si256(_mm256_srli_epi32::<8>(owners), byte);
    let symbol = _mm256_blendv_epi8(alias, bucket, is_own);
    let offset = _mm256_andnot_si256(is_own, _mm256_srli_epi32::<16>(owners));
    let shift = _mm256_andnot_si256(is_own, _mm256_set1_epi32(16));
    let less_one = _mm256_and_si256(_mm256_srlv_epi32(frequencies, shift), _mm256_set1_epi32(0xffff));
    let quotient = _mm256_srli_epi32::<16>(x);
    let product = _mm256_add_epi32(_mm256_mullo_epi32(less_one, quotient), quotient);
    (_mm256_add_epi32(product, _mm256_add_epi32(place, offset)), symbol)
}

/// The entries of buckets; `indices` are `256 table + bucket`, with a table that exists and a bucket below 256.
#[inline]
#[target_feature(enable = "avx2")]
fn gather_bucket(buckets: &[Bucket], indices: __m256i) -> [__m256i; 2] {
    let entries: *const i32 = buckets.as_ptr().cast();
    // SAFETY: callers make `indices` of a table that exists and a byte; a bucket is two numbers of four bytes.
    let owners = unsafe { _mm256_i32gather_epi32::<8>(entries, indices) };
    // SAFETY: the second number of the same buckets.
    let frequencies = unsafe { _mm256_i32gather_epi32::<8>(entries.wrapping_add(1), indices) };
    [owners, frequencies]
}

/// The entries of tables of 256 entries each; `indices` are `256 table + n`, with a table that exists and `n` below 256.
#[inline]
#[target_feature(enable = "avx2")]
fn gather(entries: &[u32], indices: __m256i) -> __m256i {
    // SAFETY: callers make `indices` of a table that exists and a byte.
    unsafe { _mm256_i32gather_epi32::<4>(entries.as_ptr().cast(), indices) }
}

/// Appends a byte to the lanes that need one, in order.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn take_bytes(x: __m256i, needs: __m256i, bytes: &[u8], position: &mut usize) -> __m256i {
    let set = _mm256_movemask_ps(_mm256_castsi256_ps(needs)) as u8;
    // At most 64 bytes are taken of a group, and there are 8 more.
    let next = bytes.get(*position..*position + LOADED_BYTES).and_then(|next| next.first_chunk()).copied();
    *position += set.count_ones() as usize;
    let next = _mm_cvtsi64_si128(i64::from_le_bytes(next.unwrap_or_default()));
    let order = _mm_cvtsi64_si128(i64::from_le_bytes(ORDER[usize::from(set)]));
    let taken = _mm256_cvtepu8_epi32(_mm_shuffle_epi8(next, order));
    _mm256_or_si256(_mm256_sllv_epi32(x, _mm256_and_si256(needs, _mm256_set1_epi32(8))), taken)
}

/// Eight of the bytes of a group.
#[inline]
#[target_feature(enable = "avx2")]
fn widened(bytes: &[u8; N_LANES], vector: usize) -> __m256i {
    let eight = bytes.as_chunks::<WIDTH>().0[vector];
    _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(eight)))
}

/// See `portable`.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(super) fn encode_groups(
    tables: &Tables,
    slots: &Slots,
    symbols: &[u8],
    which: Option<&[u8]>,
    writer: &mut LaneWriter,
) -> Result<(), usize> {
    match which {
        None => encode_of(tables, slots, symbols, writer, |_, _| _mm256_setzero_si256()),
        Some(which) => {
            let last = _mm256_set1_epi32(tables.n_tables() as i32 - 1);
            let (which, _) = which.as_chunks::<N_LANES>();
            let n_groups = which.len().min(symbols.len() / N_LANES);
            encode_of(tables, slots, &symbols[..n_groups * N_LANES], writer, |group, vector| {
                _mm256_min_epi32(widened(&which[group], vector), last)
            })
        }
    }
}

/// `table_of(group, vector)` are the tables of eight lanes.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn encode_of(
    tables: &Tables,
    slots: &Slots,
    symbols: &[u8],
    writer: &mut LaneWriter,
    table_of: impl Fn(usize, usize) -> __m256i,
) -> Result<(), usize> {
    let zero = _mm256_setzero_si256();
    let mut x = [zero; N_VECTORS];
    for (x, lanes) in x.iter_mut().zip(writer.x.as_chunks::<WIDTH>().0) {
        // SAFETY: eight numbers of four bytes.
        *x = unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) };
    }
    for (group, symbols) in symbols.as_chunks::<N_LANES>().0.iter().enumerate().rev() {
        let start = writer.first.checked_sub(MARGIN + GROUP_BYTES).ok_or(group * N_LANES)?;
        let mut room = &mut writer.bytes[start..writer.first];
        let (mut firsts, mut seconds) = ([(zero, zero); N_VECTORS], [(zero, zero); N_VECTORS]);
        for vector in 0..N_VECTORS {
            let table = table_of(group, vector);
            let symbol = _mm256_or_si256(_mm256_slli_epi32::<8>(table), widened(symbols, vector));
            let frequency = gather(&tables.frequencies, symbol);
            let missing = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(frequency, zero)));
            if missing != 0 {
                return Err(group * N_LANES + vector * WIDTH + missing.trailing_zeros() as usize);
            }
            let lanes = x[vector];
            let stays = _mm256_cmpgt_epi32(frequency, _mm256_srli_epi32::<24>(lanes));
            seconds[vector] = (lanes, stays);
            let lanes = _mm256_srlv_epi32(lanes, _mm256_andnot_si256(stays, _mm256_set1_epi32(8)));
            let stays = _mm256_cmpgt_epi32(frequency, _mm256_srli_epi32::<16>(lanes));
            firsts[vector] = (lanes, stays);
            let lanes = _mm256_srlv_epi32(lanes, _mm256_andnot_si256(stays, _mm256_set1_epi32(8)));
            let (quotient, number) = divide(lanes, frequency);
            let place = _mm256_add_epi32(gather(&tables.starts, symbol), number);
            let slot = gather_slots(slots, _mm256_or_si256(_mm256_slli_epi32::<16>(table), place));
            x[vector] = _mm256_or_si256(_mm256_slli_epi32::<16>(quotient), slot);
        }
        for (lanes, stays) in firsts.into_iter().chain(seconds).rev() {
            room = give_bytes(lanes, stays, room);
        }
        writer.first = start + room.len();
    }
    for (x, lanes) in x.iter().zip(writer.x.as_chunks_mut::<WIDTH>().0) {
        // SAFETY: eight numbers of four bytes.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), *x) };
    }
    Ok(())
}

/// Quotient and remainder of numbers below `2^16 divisor`, the divisors being from 1 to 2^16.
#[inline]
#[target_feature(enable = "avx2")]
fn divide(x: __m256i, divisor: __m256i) -> (__m256i, __m256i) {
    let high = _mm256_cvtepi32_ps(_mm256_srli_epi32::<16>(x));
    let low = _mm256_cvtepi32_ps(_mm256_and_si256(x, _mm256_set1_epi32(0xffff)));
    let dividend = _mm256_add_ps(_mm256_mul_ps(high, _mm256_set1_ps(65_536.0)), low);
    let quotient = _mm256_cvttps_epi32(_mm256_div_ps(dividend, _mm256_cvtepi32_ps(divisor)));
    let rest = _mm256_sub_epi32(x, _mm256_mullo_epi32(quotient, divisor));
    let is_negative = _mm256_srai_epi32::<31>(rest);
    let quotient = _mm256_add_epi32(quotient, is_negative);
    let rest = _mm256_add_epi32(rest, _mm256_and_si256(divisor, is_negative));
    let is_less = _mm256_cmpgt_epi32(divisor, rest);
    let quotient = _mm256_add_epi32(quotient, _mm256_andnot_si256(is_less, _mm256_set1_epi32(1)));
    (quotient, _mm256_sub_epi32(rest, _mm256_andnot_si256(is_less, divisor)))
}

/// The slots at places of tables of 2^16 slots, the tables being among those that exist.
#[inline]
#[target_feature(enable = "avx2")]
fn gather_slots(slots: &Slots, places: __m256i) -> __m256i {
    // SAFETY: a place is `2^16 table + start + number`, `number` being less than the frequency of the symbol that begins at `start`, so it
    // is one of the slots; each load takes two slots, and there is one more after the last.
    let pairs = unsafe { _mm256_i32gather_epi32::<2>(slots.0.as_ptr().cast(), places) };
    _mm256_and_si256(pairs, _mm256_set1_epi32(0xffff))
}

/// Writes the lowest byte of the lanes that do not stay as they are to the end of the room, in order. Returns the room that is left.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn give_bytes(lanes: __m256i, stays: __m256i, room: &mut [u8]) -> &mut [u8] {
    let set = !_mm256_movemask_ps(_mm256_castsi256_ps(stays)) as u8;
    let lowest = _mm256_shuffle_epi8(lanes, _mm256_setr_epi64x(0x0c08_0400, 0, 0x0c08_0400, 0));
    let halves = (_mm256_castsi256_si128(lowest), _mm256_extracti128_si256::<1>(lowest));
    let bytes = _mm_unpacklo_epi32(halves.0, halves.1);
    let packed = _mm_shuffle_epi8(bytes, _mm_cvtsi64_si128(i64::from_le_bytes(PACKED[usize::from(set)])));
    if let Some(last) = room.last_chunk_mut::<WIDTH>() {
        *last = _mm_cvtsi128_si64(packed).to_le_bytes();
    }
    let left = room.len() - set.count_ones() as usize;
    &mut room[..left]
}
