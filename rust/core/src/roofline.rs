//! The upper limit of this CPU: the instructions of the kernels on registers alone, timed in the same process.

use std::time::{Duration, Instant};

use crate::Level;
use crate::level::Kind;

/// Bytes of codes per second that one thread could compare at most if they never had to be loaded: xor, popcount and add at
/// the given level, the best of several rounds that take about `duration` together.
///
/// Kernels that need fewer instructions for the same answer can exceed it.
pub fn xor_popcount_add(level: Level, duration: Duration) -> f64 {
    let begun = Instant::now();
    let mut best = 0f64;
    while best == 0.0 || begun.elapsed() < duration {
        let round = Instant::now();
        let bytes = match level.kind() {
            Kind::Portable => portable(),
            // SAFETY: a `Level` exists only if this CPU has all its features.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { avx2() },
            // SAFETY: a `Level` exists only if this CPU has all its features.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { avx512() },
            // SAFETY: a `Level` exists only if this CPU has all its features.
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => unsafe { neon() },
        };
        best = best.max(bytes as f64 / round.elapsed().as_secs_f64());
    }
    best
}

/// Rounds of a measurement: some hundred microseconds.
const ROUNDS: u64 = 50_000;
/// Independent sums, enough to hide the latency of their additions.
const SUMS: usize = 8;
/// Rounds whose counts of eight bits fit a byte.
#[cfg(target_arch = "aarch64")]
const COUNTS_PER_BYTE: u64 = 25;

/// Counts the bits of 64-bit words, the widest that plain Rust has.
#[inline(always)]
fn portable() -> u64 {
    let mut sums = [0u64; SUMS];
    let queries: [u64; SUMS] = std::hint::black_box(std::array::from_fn(|index| 0x9e37_79b9 * index as u64));
    for round in 0..ROUNDS {
        let word = std::hint::black_box(round);
        for (sum, query) in sums.iter_mut().zip(queries) {
            *sum += u64::from((word ^ query).count_ones());
        }
    }
    std::hint::black_box(sums);
    ROUNDS * SUMS as u64 * 8
}

/// [`portable`] with the scalar `popcnt`, one word per cycle on Intel. Shuffles exceed it, as the kernels of `popcount` show.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn avx2() -> u64 {
    portable()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn avx512() -> u64 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    let mut sums_u64x8 = [_mm512_setzero_si512(); SUMS];
    let queries: [u64; SUMS] = std::hint::black_box(std::array::from_fn(|index| 0x9e37_79b9 * index as u64));
    let queries_u64x8 = queries.map(|query| _mm512_set1_epi64(query as i64));
    let mut word_u64x8 = _mm512_set1_epi64(1);
    for _ in 0..ROUNDS {
        // SAFETY: no instruction at all; it only keeps the compiler from moving the work out of the loop.
        unsafe { asm!("/* {0} */", inout(zmm_reg) word_u64x8, options(nomem, nostack, preserves_flags)) };
        for index in 0..SUMS {
            let differing = _mm512_xor_si512(word_u64x8, queries_u64x8[index]);
            sums_u64x8[index] = _mm512_add_epi64(sums_u64x8[index], _mm512_popcnt_epi64(differing));
        }
    }
    for sum in sums_u64x8 {
        std::hint::black_box(_mm512_reduce_add_epi64(sum));
    }
    ROUNDS * SUMS as u64 * 64
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn neon() -> u64 {
    use std::arch::aarch64::*;
    use std::arch::asm;

    let mut sums_u64x2 = [vdupq_n_u64(0); SUMS];
    let queries: [u8; SUMS] =
        std::hint::black_box(std::array::from_fn(|index| 0x9e_u8.wrapping_mul(index as u8)));
    let queries_u8x16 = queries.map(|query| vdupq_n_u8(query));
    let mut bytes_u8x16 = vdupq_n_u8(1);
    for _ in 0..ROUNDS / COUNTS_PER_BYTE {
        // The counts of a byte fit one until there are 32 of them.
        let mut counts_u8x16 = [vdupq_n_u8(0); SUMS];
        for _ in 0..COUNTS_PER_BYTE {
            // SAFETY: no instruction at all; it only keeps the compiler from moving the work out of the loop.
            unsafe { asm!("/* {0:v} */", inout(vreg) bytes_u8x16, options(nomem, nostack, preserves_flags)) };
            for index in 0..SUMS {
                let differing = veorq_u8(bytes_u8x16, queries_u8x16[index]);
                counts_u8x16[index] = vaddq_u8(counts_u8x16[index], vcntq_u8(differing));
            }
        }
        for index in 0..SUMS {
            let pairs = vpaddlq_u8(counts_u8x16[index]);
            sums_u64x2[index] = vpadalq_u32(sums_u64x2[index], vpaddlq_u16(pairs));
        }
    }
    for sum in sums_u64x2 {
        std::hint::black_box(vaddvq_u64(sum));
    }
    ROUNDS / COUNTS_PER_BYTE * COUNTS_PER_BYTE * SUMS as u64 * 16
}
