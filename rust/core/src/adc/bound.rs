//! [`QuantizedTables`]: a lower bound of every sum in small integers, so that a register of bytes bounds 64 rows at a time.
//!
//! # What the bound has to prove
//! A row with codes `c` has the true sum `S = sum_m T_m[c_m]`, of which the CPU computes the float32 sum `F`, one term after
//! the other. Rows with `F <= t` are wanted; all others may be dropped without computing `F`. Let `b_m = min_c T_m[c]` be the
//! offset of a table, and `B = sum_m b_m`.
//!
//! 1. *Rounding.* Each of the M additions errs by at most a factor `1 +- 2^-24` (a float32 addition with a denormal result is
//!    exact), hence `|F - S| <= g * sum_m |T_m[c_m]|` with `g = M 2^-24 / (1 - M 2^-24)`. Since
//!    `|T_m[c_m]| <= |b_m| + (T_m[c_m] - b_m)`, that sum is at most `A + (S - B)` with `A = sum_m |b_m|`. So `F <= t` gives
//!    `S - B <= t - B + g (A + S - B)`, and with it `S - B <= R := (t - B + g A) / (1 - g)`, the threshold above the offsets.
//!    It depends on the smallest entries alone: one huge entry does not loosen it.
//! 2. *Quantisation.* With `q_m[c] = min(255, floor((T_m[c] - b_m) L / R))`, a wanted row has
//!    `sum_m q_m[c_m] <= (S - B) L / R <= L`; and one that is wanted for a smaller `R'` has at most `L R' / R`.
//! 3. *Saturation.* A kernel whose sums saturate computes at most that sum. As long as the limit `L` is below the value at
//!    which they saturate, a result above `L` proves that the row is not wanted.
//!
//! Everything is computed in float64. `R` is enlarged by factors compared with which those errors (2^-53 each) vanish, and
//! `g A` by more than the rounding of `B`. Sums that overflow float32: a wanted row with finite `t` cannot have passed plus
//! infinity on the way, and not minus infinity either if `A` is finite in float32; if it is not, or `t` is not, there is no
//! bound.

use super::layout::ROWS_PER_BLOCK;
use crate::error::{try_collect, try_resize};
use crate::{Error, Level};

/// Up to this many subspaces are summed in one byte. The loss by rounding down grows with their number.
pub(super) const SUBSPACES_PER_BYTE: usize = 36;

/// More subspaces are summed in bytes within groups of this many, and the sums of groups in 16 bits.
pub(super) const SUBSPACES_PER_GROUP: usize = 16;

/// The largest limit of one group: one less than where a byte saturates.
const BYTE_LIMIT: f64 = 254.0;

/// A limit is kept until the threshold falls below this share of that for which it was chosen.
const KEPT_LIMIT: f64 = 0.9;

/// Tables are kept, too, until it falls below this share: the limit shrinks with the threshold, and rounding down loses more of it.
const KEPT_TABLES: f64 = 0.5;

/// The smallest entries of the tables of a query, and what they say about all sums.
pub(crate) struct Offsets {
    /// `b_m`.
    smallest: Vec<f32>,
    /// `B`.
    sum: f64,
    /// `g A`.
    slack: f64,
    /// `1 - g`.
    kept: f64,
}

/// What a wanted row has to satisfy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Threshold {
    /// Sums cannot be bounded: every row has to be summed in float.
    Unbounded,
    /// No row is wanted.
    Nothing,
    /// `R`: how far the sum of a wanted row lies above `B` at most.
    Within(f64),
}

impl Offsets {
    /// `tables` has one array of `N` entries per subspace; entries without a codeword are infinite.
    pub fn new<const N: usize>(tables: &[[f32; N]]) -> Result<Self, Error> {
        let smallest =
            try_collect(tables.iter().map(|table| table.iter().copied().fold(f32::INFINITY, f32::min)))?;
        let sum = smallest.iter().map(|entry| f64::from(*entry)).sum();
        let magnitude: f64 = smallest.iter().map(|entry| f64::from(entry.abs())).sum();
        // Two more than M: for the rounding of `sum`.
        let rounding = (tables.len() + 2) as f64 / f64::from(1 << 24);
        // Twenty-four bits of subspaces would make a row of 16 MB; they get no bound.
        let error = if rounding < 0.5 { rounding / (1.0 - rounding) } else { f64::INFINITY };
        Ok(Offsets { smallest, sum, slack: error * magnitude, kept: 1.0 - error })
    }

    /// The threshold of rows with a float sum of at most `largest`.
    pub fn threshold(&self, largest: f32) -> Threshold {
        let magnitude_is_finite = self.slack * f64::from(1 << 24) < f64::from(f32::MAX);
        if largest == f32::INFINITY || !(magnitude_is_finite && self.kept > 0.0) {
            return Threshold::Unbounded;
        }
        if largest == f32::NEG_INFINITY {
            return Threshold::Nothing;
        }
        let threshold = (f64::from(largest) - self.sum + self.slack) / self.kept;
        if threshold < 0.0 { Threshold::Nothing } else { Threshold::Within(threshold * (1.0 + 1e-12)) }
    }
}

/// A table of 256 entries in four bits: those of codes below 128 in the low halves of its bytes, the others in the high ones.
pub(super) type CoarseTable = [u8; 128];

/// The largest entry of a [`CoarseTable`].
const COARSE_LARGEST: u8 = 15;

/// Fifteen units reach this many standard deviations above the mean entry.
const COARSE_DEVIATIONS: f64 = 1.0;

/// Blocks that are bounded with eight bits after one whose rows four bits hardly told apart.
const BLOCKS_UNTIL_COARSE: usize = 256;

/// Four bits are too coarse where more than one in this many rows is within the bound: summing those in float takes longer than
/// the look-ups in four bits save.
const MOST_WITHIN: usize = 12;

/// The tables of a query in small integers, for one threshold.
pub(crate) struct QuantizedTables<const N: usize> {
    pub tables: Vec<[u8; N]>,
    /// The same in four bits, empty unless they are to be used: a looser bound in half the time.
    pub coarse: Vec<CoarseTable>,
    /// A row whose sum is above this is not wanted.
    pub limit: u16,
    /// The threshold that the tables are for, and the limit that belongs to it, before rounding.
    full: (f64, f64),
    /// The limit of eight bits, and the threshold that it was chosen for. It is valid for all.
    fine_limit: (f64, f64),
    /// Blocks to bound with eight bits before four bits are tried again.
    fine_blocks: usize,
}

impl<const N: usize> QuantizedTables<N> {
    pub fn new() -> Self {
        QuantizedTables {
            tables: Vec::new(),
            coarse: Vec::new(),
            limit: 0,
            full: (f64::INFINITY, 0.0),
            fine_limit: (BYTE_LIMIT, f64::INFINITY),
            fine_blocks: 0,
        }
    }

    /// Counts the rows of some blocks that were within the bound, and chooses the precision for the next ones.
    pub fn adapt(&mut self, n_blocks: usize, n_within: usize) {
        let was_coarse = !self.coarse.is_empty();
        self.fine_blocks = match was_coarse {
            true if n_within > n_blocks * ROWS_PER_BLOCK / MOST_WITHIN => BLOCKS_UNTIL_COARSE,
            true => 0,
            false => self.fine_blocks.saturating_sub(n_blocks),
        };
        if was_coarse != (self.fine_blocks == 0) {
            self.tables.clear();
        }
    }

    /// Quantises the tables for a threshold, unless they are for one that is hardly larger: a wanted row then has a sum of at most
    /// the limit times the ratio of the two.
    pub fn fit(
        &mut self,
        level: Level,
        tables: &[[f32; N]],
        offsets: &Offsets,
        threshold: f64,
    ) -> Result<(), Error> {
        let (full_threshold, full_limit) = self.full;
        if !self.tables.is_empty() && (full_threshold * KEPT_TABLES..=full_threshold).contains(&threshold) {
            let ratio = if threshold < full_threshold { threshold / full_threshold } else { 1.0 };
            self.limit = (full_limit * ratio * (1.0 + 1e-12)) as u16;
            return Ok(());
        }
        if threshold < self.fine_limit.1 * KEPT_LIMIT {
            self.fine_limit = (limit(tables, offsets, threshold), threshold);
        }
        let (limit, _) = self.fine_limit;
        // A scale of zero width: entries are then 0 at the smallest entry and 255 everywhere else.
        let scale = (limit / threshold).min(1e300);
        // Two tables per plane of nibbles: an odd last one is followed by zeros.
        let n_tables = if N == 16 { tables.len().next_multiple_of(2) } else { tables.len() };
        try_resize(&mut self.tables, n_tables, [0; N])?;
        super::quantize(level, tables, &offsets.smallest, scale, &mut self.tables);
        (self.limit, self.full) = (limit as u16, (threshold, limit));
        self.coarse.clear();
        if N == 256 && self.fine_blocks == 0 && super::coarse_is_faster(level) {
            let unit = coarse_unit(&self.tables);
            super::quantize(level, tables, &offsets.smallest, scale / unit, &mut self.tables);
            (self.limit, self.full) = ((limit / unit) as u16, (threshold, limit / unit));
            try_resize(&mut self.coarse, tables.len(), [0; 128])?;
            for (coarse, table) in self.coarse.iter_mut().zip(&self.tables) {
                let (low, high) = table.split_at(128);
                for ((coarse, low), high) in coarse.iter_mut().zip(low).zip(high) {
                    *coarse = low.min(&COARSE_LARGEST) | high.min(&COARSE_LARGEST) << 4;
                }
            }
        }
        Ok(())
    }
}

/// The unit of four bits, in that of eight: it loses little by rounding down, or by entries that exceed fifteen units.
fn coarse_unit<const N: usize>(tables: &[[u8; N]]) -> f64 {
    let (mut sum, mut squares) = (0_u64, 0_u64);
    for table in tables {
        let (of_table, squares_of_table) = table.iter().fold((0_u32, 0_u32), |(sum, squares), entry| {
            let entry = u32::from(*entry);
            (sum + entry, squares + entry * entry)
        });
        (sum, squares) = (sum + u64::from(of_table), squares + u64::from(squares_of_table));
    }
    let n_entries = (tables.len() * N).max(1) as f64;
    let mean = sum as f64 / n_entries;
    let deviation = (squares as f64 / n_entries - mean * mean).max(0.0).sqrt();
    ((mean + COARSE_DEVIATIONS * deviation) / f64::from(COARSE_LARGEST)).max(1.0)
}

/// The limit for a threshold: 254 for one group; for several, as far above as the group that varies most allows before its
/// sums saturate at 255.
fn limit<const N: usize>(tables: &[[f32; N]], offsets: &Offsets, threshold: f64) -> f64 {
    if tables.len() <= SUBSPACES_PER_BYTE {
        return BYTE_LIMIT;
    }
    // Summed up by codeword first: these sums do not wait for each other.
    let spread = |(tables, smallest): (&[[f32; N]], &[f32])| -> f64 {
        let mut sums = [0.0; N];
        for (table, smallest) in tables.iter().zip(smallest) {
            for (sum, entry) in sums.iter_mut().zip(table) {
                *sum += (f64::from(*entry) - f64::from(*smallest)).min(threshold);
            }
        }
        sums.iter().sum()
    };
    let groups = tables.chunks(SUBSPACES_PER_GROUP).zip(offsets.smallest.chunks(SUBSPACES_PER_GROUP));
    let spreads = groups.map(spread);
    let (largest, total) =
        spreads.fold((0.0_f64, 0.0), |(largest, total), spread| (largest.max(spread), total + spread));
    // A group has room for a quarter more than its mean share of the threshold.
    let groups = if largest > 0.0 { total / largest } else { 1.0 };
    (200.0 * groups).clamp(BYTE_LIMIT, 65_534.0).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row with a float sum of at most `largest` must have a quantised sum within the limit.
    fn check(tables: &[[f32; 16]], codes: &[Vec<usize>], largest: f32) {
        let offsets = Offsets::new(tables).unwrap();
        let threshold = offsets.threshold(largest);
        for level in Level::available() {
            let mut quantized = QuantizedTables::new();
            for codes in codes {
                let sum = codes.iter().zip(tables).fold(0.0_f32, |sum, (code, table)| sum + table[*code]);
                if sum > largest {
                    continue;
                }
                match threshold {
                    Threshold::Unbounded => {}
                    Threshold::Nothing => panic!("a row with {sum} was declared impossible below {largest}"),
                    Threshold::Within(threshold) => {
                        quantized.fit(level, tables, &offsets, threshold).unwrap();
                        let entry = |(code, table): (&usize, &[u8; 16])| u32::from(table[*code]);
                        let bound: u32 = codes.iter().zip(&quantized.tables).map(entry).sum();
                        assert!(
                            bound <= u32::from(quantized.limit),
                            "{bound} > {} for {sum} <= {largest}",
                            quantized.limit
                        );
                    }
                }
            }
        }
    }

    /// Numbers of every kind, from a fixed sequence.
    fn numbers(kind: usize, seed: u64) -> impl FnMut() -> f32 {
        let mut state = seed * 2 + 1;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unit = (state >> 40) as f32 / (1 << 24) as f32;
            match kind {
                0 => unit,
                1 => 0.1,
                2 => unit - 0.5,
                3 => unit * 1e-44,
                4 => (unit - 0.5) * 1e30,
                5 => {
                    if unit < 0.01 {
                        1e30
                    } else {
                        unit
                    }
                }
                6 => {
                    if unit < 0.01 {
                        f32::MAX
                    } else {
                        unit - 0.5
                    }
                }
                7 => 1e8 + unit * 64.0,
                8 => f32::from_bits((state >> 32) as u32 & 0x7F7F_FFFF),
                9 => -(unit * 1e-40) - if unit < 0.1 { 1e20 } else { 0.0 },
                10 => f32::MAX * (unit - 0.5),
                _ => 0.0,
            }
        }
    }

    #[test]
    fn no_wanted_row_is_ever_dropped() {
        for kind in 0..=11 {
            for n_subspaces in [1, 2, 16, 31, 32, 33, 100, 256] {
                let mut number = numbers(kind, n_subspaces as u64);
                let tables: Vec<[f32; 16]> =
                    (0..n_subspaces).map(|_| std::array::from_fn(|_| number())).collect();
                let mut code = numbers(0, 7);
                let mut codes: Vec<Vec<usize>> = (0..300)
                    .map(|_| (0..n_subspaces).map(|_| (code() * 16.0) as usize % 16).collect())
                    .collect();
                // The smallest possible sum, too.
                let smallest =
                    |table: &[f32; 16]| (0..16).min_by(|a, b| table[*a].total_cmp(&table[*b])).unwrap();
                codes.push(tables.iter().map(smallest).collect());
                let mut sums: Vec<f32> = codes
                    .iter()
                    .map(|codes| codes.iter().zip(&tables).fold(0.0, |sum, (code, table)| sum + table[*code]))
                    .collect();
                sums.sort_by(f32::total_cmp);
                for largest in [sums[0], sums[1], sums[20], sums[150], sums[300]] {
                    check(&tables, &codes, largest);
                }
            }
        }
    }

    #[test]
    fn a_huge_entry_does_not_loosen_the_bound() {
        let mut tables = [[1.0_f32; 16]; 8];
        tables.iter_mut().for_each(|table| table[0] = 0.0);
        let plain = Offsets::new(&tables).unwrap().threshold(3.0);
        tables[3][7] = 1e30;
        assert_eq!(Offsets::new(&tables).unwrap().threshold(3.0), plain);
        let Threshold::Within(threshold) = plain else { panic!("{plain:?}") };
        assert!((3.0..3.0001).contains(&threshold));
    }
}
