//! MinHash: signatures of sets whose slots are equal with the probability of the sets' Jaccard similarity.
//!
//! A set is a slice of tokens, arbitrary 64-bit numbers; a token that occurs twice counts once. If `h_i` are random functions, the `k`
//! minima `min over x of h_i(x)` of two sets agree in a fraction of slots that is an unbiased estimate of `|a & b| / |a | b|`, with the
//! variance `J (1 - J) / k` (Broder, 1997).
//!
//! # The hash functions
//! All numbers are derived from one seed by the generator splitmix64, whose output function is `mix` (Steele, Lea and Flood, 2014):
//!
//! ```text
//! w_i = mix(seed + (i + 1) * 0x9E3779B97F4A7C15)     i = 0, 1, ..., k
//! key = w_0         a_j = (w_(j+1) >> 32) | 1        odd multipliers
//! z(x) = mix(x ^ key)                                64 random bits for each token: high = z >> 32, low = z mod 2^32
//! h_i(x) = a_j * high(x)             mod 2^32        if i mod 32 < 16, with j = 16 * (i / 32) + i mod 16
//! h_i(x) = a_j * high(x) + low(x)    mod 2^32        else
//! slot i = fmix32(min h_i + i * 0x9E3779B9)          all ones for an empty set
//! ```
//!
//! `mix` is computed once per token and removes any structure of the tokens, so that 0, 1, 2, ... are as good as random numbers. Each
//! slot then takes a product with an odd number, which permutes the 2^32 values: each token of a set is equally likely to be the
//! least, and slots with unrelated multipliers order the tokens independently as far as estimates show (see the tests). The sum with
//! the low half, on which the products do not depend, gives a second slot for the price of an addition. It is pairwise independent of
//! all others, and the variance of an estimate depends on pairs of slots only. An additive constant per slot, as in textbooks, would change
//! nothing. `fmix32`, the last step of MurmurHash3, is a permutation that keeps equal slots equal and makes all their bits uniform:
//! the minima of large sets have leading zeros, products of one token share their low bits, and codes of a few bits keep the low ones.
//!
//! With [`Scheme::OnePermutation`] each token updates a single slot (see `one_permutation.rs`).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bands;
mod exact;
#[cfg(target_arch = "aarch64")]
mod neon;
mod one_permutation;
mod portable;
mod sets;
mod shingles;
mod slots;

pub use bands::{Bands, band_keys, check_bands};
pub use exact::jaccard;
pub use sets::Sets;
pub use shingles::{Shingles, Unit, token};
pub use slots::{Slots, cdist, pack, packed_bytes, paired};

use crate::error::{check_len, try_copy, try_push, try_vec};
use crate::level::at_level;
use crate::{Error, Level, Run};

/// Multipliers of a group: one register, or several.
const LANES: usize = 16;

/// Minima of the products with [`LANES`] multipliers, and of those products plus the low halves.
type Minima = [[u32; LANES]; 2];

/// Tokens that are mixed before the minima are updated: 2 KB, which stay in the first-level cache.
const TOKENS_PER_BLOCK: usize = 256;

/// Products of tokens and slots in a task: some hundred microseconds.
const PRODUCTS_PER_TASK: usize = 1 << 22;

/// The largest number of tokens of a task: a larger set is split over the threads.
const MAX_TOKENS_PER_TASK: usize = 1 << 20;

/// The largest number of products of tokens and slots of a task.
const MAX_PRODUCTS_PER_TASK: usize = 1 << 26;

/// The minima of no tokens.
const NO_TOKENS: Minima = [[u32::MAX; LANES]; 2];

/// How tokens update the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Each slot has a hash function, and each token updates all slots.
    Independent,
    /// One hash function assigns each token to a slot; empty slots borrow from others.
    OnePermutation,
}

/// The hash functions of a seed.
#[derive(Clone, Debug)]
pub struct Hasher {
    scheme: Scheme,
    n_hashes: usize,
    key: u64,
    multipliers: Vec<[u32; LANES]>,
}

impl Hasher {
    /// The largest number of slots of a signature.
    pub const MAX_HASHES: usize = 8192;

    /// The functions of `seed` for signatures of `n_hashes` slots. Fewer slots are the first of more.
    ///
    /// # Errors
    /// [`Error::Range`] if `n_hashes` is not from 1 to [`Hasher::MAX_HASHES`], [`Error::OutOfMemory`].
    pub fn new(scheme: Scheme, n_hashes: usize, seed: u64) -> Result<Self, Error> {
        if !(1..=Hasher::MAX_HASHES).contains(&n_hashes) {
            let (name, high) = ("n_hashes", Hasher::MAX_HASHES);
            return Err(Error::Range { name, unit: "", given: n_hashes, low: 1, high });
        }
        let word = |i: usize| mix(seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let mut multipliers = try_vec([0; LANES], n_hashes.div_ceil(2 * LANES))?;
        for (j, multiplier) in multipliers.as_flattened_mut().iter_mut().enumerate() {
            *multiplier = (word(j + 1) >> 32) as u32 | 1;
        }
        Ok(Hasher { scheme, n_hashes, key: word(0), multipliers })
    }

    /// Slots of a signature.
    pub fn n_hashes(&self) -> usize {
        self.n_hashes
    }

    /// The minima of no tokens.
    fn minima(&self) -> Result<Vec<Minima>, Error> {
        try_vec(NO_TOKENS, self.multipliers.len())
    }

    /// Updates the minima with tokens.
    fn add(&self, level: Level, tokens: &[u64], minima: &mut [Minima]) {
        match self.scheme {
            Scheme::OnePermutation => {
                let minima = &mut minima.as_flattened_mut().as_flattened_mut()[..self.n_hashes];
                one_permutation::add(level, self.key, tokens, minima);
            }
            Scheme::Independent => {
                let mut block = [[0; 2]; TOKENS_PER_BLOCK];
                for tokens in tokens.chunks(TOKENS_PER_BLOCK) {
                    let block = &mut block[..tokens.len()];
                    mix_tokens(level, self.key, tokens, block);
                    at_level!(level, take_minima(block, &self.multipliers, minima));
                }
            }
        }
    }

    /// The largest number of tokens of a task.
    fn max_tokens_per_task(&self) -> usize {
        MAX_TOKENS_PER_TASK.min(MAX_PRODUCTS_PER_TASK / self.n_hashes)
    }

    /// About how many products or slots a set of `n_tokens` tokens takes.
    fn work(&self, n_tokens: usize) -> usize {
        match self.scheme {
            Scheme::Independent => n_tokens.max(8).saturating_mul(self.n_hashes),
            // Few tokens leave many empty slots.
            Scheme::OnePermutation => {
                n_tokens.saturating_mul(8).saturating_add(self.n_hashes * self.n_hashes / n_tokens.max(2))
            }
        }
    }

    /// Turns the minima of a set that is not empty into its signature.
    fn finish(&self, level: Level, minima: &mut [Minima], signature: &mut [u32]) -> Result<(), Error> {
        let minima = &mut minima.as_flattened_mut().as_flattened_mut()[..self.n_hashes];
        if self.scheme == Scheme::OnePermutation {
            one_permutation::densify(self.key, minima)?;
        }
        at_level!(level, finish(minima, signature));
        Ok(())
    }
}

/// The high and the low half of each token's random bits.
fn mix_tokens(level: Level, key: u64, tokens: &[u64], out: &mut [[u32; 2]]) {
    at_level!(level, mix_tokens(key, tokens, out));
}

/// Writes the number of slots in which the rows of each pair differ.
fn differing<'a>(
    level: Level,
    slots: Slots,
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    out: &mut [i32],
) {
    match slots {
        Slots::Words => at_level!(level, differing_words(pairs, out)),
        Slots::Bits(n_bits) => at_level!(level, differing_planes(pairs, n_bits, out)),
    }
}

/// The output function of splitmix64 (Stafford's variant 13 of the last step of MurmurHash3).
#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The last step of MurmurHash3 for 32 bits.
#[inline(always)]
fn fmix32(mut h: u32) -> u32 {
    h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
    h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

/// Writes the signature of each set: row `i` of `out` has `hasher.n_hashes()` slots.
///
/// # Errors
/// [`Error::Length`] for the wrong length of `out`, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn signatures(sets: &Sets<'_>, hasher: &Hasher, out: &mut [u32], run: &Run<'_>) -> Result<(), Error> {
    let (level, most) = (run.level(), hasher.max_tokens_per_task());
    let work = |index: usize| match sets.set(index).len() {
        large if large > most => 0, // all threads share it below
        n_tokens => hasher.work(n_tokens),
    };
    write_rows(sets.len(), hasher, out, run, work, |index, minima, row| {
        let tokens = sets.set(index);
        if tokens.is_empty() {
            row.fill(u32::MAX);
        } else if tokens.len() <= most {
            minima.fill(NO_TOKENS);
            hasher.add(level, tokens, minima);
            hasher.finish(level, minima, row)?;
        }
        Ok(())
    })?;
    for (index, row) in out.chunks_exact_mut(hasher.n_hashes).enumerate() {
        let tokens = sets.set(index);
        if tokens.len() > most {
            let mut minima = hasher.minima()?;
            let add = |minima: &mut Vec<Minima>, _, tokens: &[u64]| {
                hasher.add(level, tokens, minima);
                Ok(())
            };
            for of_worker in run.for_each_part(tokens.chunks(most), || try_copy(&minima), add)? {
                let of_worker = of_worker.as_flattened().as_flattened();
                for (least, minimum) in minima.as_flattened_mut().as_flattened_mut().iter_mut().zip(of_worker)
                {
                    *least = (*least).min(*minimum);
                }
            }
            hasher.finish(level, &mut minima, row)?;
        }
    }
    Ok(())
}

/// Writes the signature of each text, as the set of its shingles.
///
/// # Errors
/// The same as [`signatures`].
pub fn text_signatures<T: AsRef<str> + Sync>(
    texts: &[T],
    shingles: &Shingles,
    hasher: &Hasher,
    out: &mut [u32],
    run: &Run<'_>,
) -> Result<(), Error> {
    let level = run.level();
    // A byte of text takes about as long as a few products, and gives at most one token.
    let work = |index: usize| texts[index].as_ref().len().saturating_mul(hasher.n_hashes / 4 + 16);
    write_rows(texts.len(), hasher, out, run, work, |index, minima, row| {
        minima.fill(NO_TOKENS);
        let mut is_empty = true;
        shingles.for_each_block(texts[index].as_ref(), |tokens| {
            is_empty = false;
            hasher.add(level, tokens, minima);
            Ok(())
        })?;
        if is_empty {
            row.fill(u32::MAX);
        } else {
            hasher.finish(level, minima, row)?;
        }
        Ok(())
    })
}

/// Calls `write(index, scratch minima, row)` for each row of `out`. A task has rows whose `work` adds up to about
/// [`PRODUCTS_PER_TASK`].
fn write_rows(
    n_rows: usize,
    hasher: &Hasher,
    out: &mut [u32],
    run: &Run<'_>,
    work: impl Fn(usize) -> usize,
    write: impl Fn(usize, &mut [Minima], &mut [u32]) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    check_len("out", "elements", out.len(), n_rows.saturating_mul(hasher.n_hashes))?;
    let (mut tasks, mut left, mut first) = (Vec::new(), out, 0);
    while first < n_rows {
        let (mut end, mut total) = (first, 0_usize);
        while end < n_rows && (end == first || total < PRODUCTS_PER_TASK) {
            total = total.saturating_add(work(end)).saturating_add(hasher.n_hashes);
            end += 1;
        }
        let (own, rest) = left.split_at_mut((end - first) * hasher.n_hashes);
        try_push(&mut tasks, (first, own))?;
        (left, first) = (rest, end);
    }
    let new_minima = || hasher.minima();
    run.for_each_part(tasks, new_minima, |minima, _, (first, rows)| {
        (first..)
            .zip(rows.chunks_exact_mut(hasher.n_hashes))
            .try_for_each(|(index, row)| write(index, minima, row))
    })?;
    Ok(())
}
