//! MinHash: signatures of sets whose slots are equal with the probability of the sets' Jaccard similarity.
//!
//! A set is a slice of tokens, 64-bit numbers of any origin; a token that comes twice counts once. Broder (1997): if
//! `h_i` are random functions, the `k` minima `min over x of h_i(x)` of two sets are equal in a share of slots that is an unbiased
//! estimate of `|a & b| / |a | b|`, with the variance `J (1 - J) / k`.
//!
//! # The family
//! All numbers follow from one seed, by the generator splitmix64 whose output function `mix` is (Steele, Lea and Flood, 2014):
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
//! `mix` removes whatever structure tokens have, so that 0, 1, 2, ... are as good as random ones, once for each token. What
//! remains for each slot is a product with an odd number: it permutes the 2^32 values, hence any token of a set is equally likely to be
//! the least; and two slots with unrelated multipliers order the tokens independently for all that estimates show (see the
//! tests). The sum with the low half, which the products know nothing of, gives a second slot that is independent of the
//! first, and of all others by pairs, for the price of an addition: the variance of an estimate follows from pairs of slots. An addition of a
//! constant to each slot, as textbooks have it, would change nothing. `fmix32`, the last step of MurmurHash3, is a permutation too,
//! which keeps equal slots equal: it makes all bits of a slot alike, since the minima of large sets have zeros above and products of
//! one token share their low bits, and codes of a few bits keep the low ones.
//!
//! With [`Scheme::OnePermutation`] each token goes to one slot alone (see `one_permutation.rs`).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bands;
mod exact;
mod one_permutation;
mod portable;
mod shingles;
mod slots;

pub use bands::Bands;
pub use exact::jaccard;
pub use shingles::{Shingles, Unit, token};
pub use slots::{Slots, cdist, pack, packed_bytes, paired};

use std::sync::{Mutex, PoisonError};

use crate::error::try_vec;
use crate::level::at_level;
use crate::{Error, Level, Parallel};

/// Multipliers that lie together: one register, or several.
const LANES: usize = 16;

/// Slots of the products of [`LANES`] multipliers, and of those products with the low halves added.
type Minima = [[u32; LANES]; 2];

/// Tokens whose first step is done before the minima are taken: 2 KB, which stay in the first-level cache.
const BLOCK: usize = 256;

/// Products of tokens and slots in a task: some hundred microseconds.
const TASK_PRODUCTS: usize = 1 << 22;

/// Tokens in a task at most, and their products: a larger set is shared by the threads.
const TASK_TOKENS: usize = 1 << 20;
const LARGE_PRODUCTS: usize = 1 << 26;

/// The minima of no tokens.
const NO_TOKENS: Minima = [[u32::MAX; LANES]; 2];

/// How a token meets the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Each slot has a hash function, and each token takes part in all of them.
    Independent,
    /// One hash function, whose values are shared out among the slots; empty slots borrow from others.
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
    /// As many slots as a signature may have.
    pub const MAX_HASHES: usize = 8192;

    /// The functions of `seed` for signatures of `n_hashes` slots. Those of fewer slots are the first of those of more.
    ///
    /// # Errors
    /// [`Error::Hashes`] if there are none, or more than [`Hasher::MAX_HASHES`].
    pub fn new(scheme: Scheme, n_hashes: usize, seed: u64) -> Result<Self, Error> {
        if !(1..=Hasher::MAX_HASHES).contains(&n_hashes) {
            return Err(Error::Hashes { n_hashes, most: Hasher::MAX_HASHES });
        }
        let word = |i: usize| mix(seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let mut multipliers = vec![[0; LANES]; n_hashes.div_ceil(2 * LANES)];
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

    /// Takes tokens into the minima.
    fn add(&self, level: Level, tokens: &[u64], minima: &mut [Minima]) {
        match self.scheme {
            Scheme::OnePermutation => {
                let minima = &mut minima.as_flattened_mut().as_flattened_mut()[..self.n_hashes];
                one_permutation::add(level, self.key, tokens, minima);
            }
            Scheme::Independent => {
                let mut block = [[0; 2]; BLOCK];
                for tokens in tokens.chunks(BLOCK) {
                    let block = &mut block[..tokens.len()];
                    mix_tokens(level, self.key, tokens, block);
                    at_level!(level, take_minima(block, &self.multipliers, minima));
                }
            }
        }
    }

    /// Tokens in a task at most.
    fn task_tokens(&self) -> usize {
        TASK_TOKENS.min(LARGE_PRODUCTS / self.n_hashes)
    }

    /// What products and slots a set of so many tokens takes, about.
    fn work(&self, n_tokens: usize) -> usize {
        match self.scheme {
            Scheme::Independent => n_tokens.max(8).saturating_mul(self.n_hashes),
            // Few tokens leave many slots that look for others.
            Scheme::OnePermutation => {
                n_tokens.saturating_mul(8).saturating_add(self.n_hashes * self.n_hashes / n_tokens.max(2))
            }
        }
    }

    /// Turns the minima of a set that is not empty into its signature.
    fn finish(&self, level: Level, minima: &mut [Minima], signature: &mut [u32]) {
        let minima = &mut minima.as_flattened_mut().as_flattened_mut()[..self.n_hashes];
        if self.scheme == Scheme::OnePermutation {
            one_permutation::densify(self.key, minima);
        }
        at_level!(level, finish(minima, signature));
    }
}

/// The high and the low half of each token's random bits.
fn mix_tokens(level: Level, key: u64, tokens: &[u64], out: &mut [[u32; 2]]) {
    at_level!(level, mix_tokens(key, tokens, out));
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

/// Sets of tokens that lie one after the other: set `i` is `tokens[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug)]
pub struct Sets<'a> {
    tokens: &'a [u64],
    /// A copy, since an array can change during a call.
    offsets: Vec<usize>,
}

impl<'a> Sets<'a> {
    /// Checks that the offsets ascend within the tokens.
    ///
    /// # Errors
    /// [`Error::NoOffsets`] or [`Error::Offset`] where they do not.
    pub fn new(tokens: &'a [u64], offsets: &[i64]) -> Result<Self, Error> {
        if offsets.is_empty() {
            return Err(Error::NoOffsets);
        }
        let mut checked = Vec::new();
        checked.try_reserve_exact(offsets.len())?;
        let mut last = 0;
        for (index, &offset) in offsets.iter().enumerate() {
            match usize::try_from(offset) {
                Ok(place) if place >= last && place <= tokens.len() => {
                    checked.push(place);
                    last = place;
                }
                _ => return Err(Error::Offset { index, offset, least: last, most: tokens.len() }),
            }
        }
        Ok(Sets { tokens, offsets: checked })
    }

    /// Number of sets.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens of set `index`.
    ///
    /// # Panics
    /// If there is no such set.
    pub fn set(&self, index: usize) -> &'a [u64] {
        &self.tokens[self.offsets[index]..self.offsets[index + 1]]
    }
}

/// Writes the signature of each set: row `i` of `out` has `hasher.n_hashes()` slots.
///
/// # Errors
/// If `out` has another length, there is no memory, or the call was interrupted.
pub fn signatures(
    level: Level,
    sets: &Sets<'_>,
    hasher: &Hasher,
    parallel: &Parallel<'_>,
    out: &mut [u32],
) -> Result<(), Error> {
    let most = hasher.task_tokens();
    let work = |index: usize| match sets.set(index).len() {
        large if large > most => 0, // done by all threads below
        n_tokens => hasher.work(n_tokens),
    };
    rows_of(sets.len(), hasher, parallel, out, work, |index, minima, row| {
        let tokens = sets.set(index);
        if tokens.len() <= most {
            signature(level, hasher, tokens, minima, row);
        }
    })?;
    for (index, row) in out.chunks_exact_mut(hasher.n_hashes).enumerate() {
        let tokens = sets.set(index);
        if tokens.len() > most {
            let mut minima = hasher.minima()?;
            let pieces: Vec<&[u64]> = tokens.chunks(most).collect();
            let states = parallel.run(
                pieces.len(),
                || minima.clone(),
                |minima, piece| hasher.add(level, pieces[piece], minima),
            )?;
            for state in &states {
                for (least, minimum) in minima
                    .as_flattened_mut()
                    .as_flattened_mut()
                    .iter_mut()
                    .zip(state.as_flattened().as_flattened())
                {
                    *least = (*least).min(*minimum);
                }
            }
            hasher.finish(level, &mut minima, row);
        }
    }
    Ok(())
}

/// Writes the signature of each text, as the set of its shingles.
///
/// # Errors
/// As [`signatures`].
pub fn text_signatures<T: AsRef<str> + Sync>(
    level: Level,
    texts: &[T],
    shingles: &Shingles,
    hasher: &Hasher,
    parallel: &Parallel<'_>,
    out: &mut [u32],
) -> Result<(), Error> {
    // A byte of text costs about what a few products do, and at most one token.
    let work = |index: usize| texts[index].as_ref().len().saturating_mul(hasher.n_hashes / 4 + 16);
    let failed = Mutex::new(None);
    rows_of(texts.len(), hasher, parallel, out, work, |index, minima, row| {
        minima.fill(NO_TOKENS);
        let mut is_empty = true;
        let done = shingles.for_blocks(texts[index].as_ref(), |tokens| {
            is_empty = false;
            hasher.add(level, tokens, minima);
        });
        match done {
            Ok(()) if is_empty => row.fill(u32::MAX),
            Ok(()) => hasher.finish(level, minima, row),
            Err(error) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
        }
    })?;
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// The signature of one set.
fn signature(level: Level, hasher: &Hasher, tokens: &[u64], minima: &mut [Minima], row: &mut [u32]) {
    if tokens.is_empty() {
        row.fill(u32::MAX);
    } else {
        minima.fill(NO_TOKENS);
        hasher.add(level, tokens, minima);
        hasher.finish(level, minima, row);
    }
}

/// Calls `write(index, minima to work in, row)` for each row of `out`, so many rows in a task that `work` comes to about
/// [`TASK_PRODUCTS`].
fn rows_of(
    n_rows: usize,
    hasher: &Hasher,
    parallel: &Parallel<'_>,
    out: &mut [u32],
    work: impl Fn(usize) -> usize,
    write: impl Fn(usize, &mut [Minima], &mut [u32]) + Sync,
) -> Result<(), Error> {
    let expected = n_rows.saturating_mul(hasher.n_hashes);
    if out.len() != expected {
        return Err(Error::OutputLength { given: out.len(), expected });
    }
    let (mut tasks, mut left, mut first) = (Vec::new(), out, 0);
    while first < n_rows {
        let (mut end, mut total) = (first, 0_usize);
        while end < n_rows && (end == first || total < TASK_PRODUCTS) {
            total = total.saturating_add(work(end)).saturating_add(hasher.n_hashes);
            end += 1;
        }
        let (own, rest) = left.split_at_mut((end - first) * hasher.n_hashes);
        tasks.push(Mutex::new((first, own)));
        (left, first) = (rest, end);
    }
    let minima = hasher.minima()?;
    parallel.run(
        tasks.len(),
        || minima.clone(),
        |minima, task| {
            // One worker a task: the lock is how the compiler sees that.
            let (first, rows) = &mut *tasks[task].lock().unwrap_or_else(PoisonError::into_inner);
            for (index, row) in (*first..).zip(rows.chunks_exact_mut(hasher.n_hashes)) {
                write(index, minima, row);
            }
        },
    )?;
    Ok(())
}
