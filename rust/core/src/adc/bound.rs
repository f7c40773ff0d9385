//! [`Floor`]: a lower bound of every sum in small integers, so that a register of bytes bounds 64 rows at a time.
//!
//! # What the bound has to prove
//! A row with codes `c` has the true sum `S = sum_m T_m[c_m]`, of which the CPU computes the float32 sum `F`, one term after
//! the other. Rows with `F <= t` are wanted; all others may be dropped unseen. Let `b_m = min_c T_m[c]` and `B = sum_m b_m`.
//!
//! 1. *Rounding.* Each of the M additions errs by at most a factor `1 +- 2^-24` (an addition of float32 that ends up
//!    denormal is exact), hence `|F - S| <= g * sum_m |T_m[c_m]|` with `g = M 2^-24 / (1 - M 2^-24)`. Since
//!    `|T_m[c_m]| <= |b_m| + (T_m[c_m] - b_m)`, that sum is at most `A + (S - B)` with `A = sum_m |b_m|`. So `F <= t` gives
//!    `S - B <= t - B + g (A + S - B)`, and with it `S - B <= R := (t - B + g A) / (1 - g)`. It depends on the smallest
//!    entries alone: one huge entry does not loosen it.
//! 2. *Floor.* With `q_m[c] = min(255, floor((T_m[c] - b_m) L / R))`, a wanted row has `sum_m q_m[c_m] <= (S - B) L / R <= L`.
//! 3. *Saturation.* A kernel that lets sums stop at their largest value computes at most that sum. As long as `L` is below
//!    the value at which they stop, a result above `L` proves that the row is not wanted.
//!
//! Everything is computed in float64. `R` is enlarged by factors beside which those errors (2^-53 each) vanish, and `g A` by
//! more than the rounding of `B`. Sums that overflow float32: a wanted row with finite `t` cannot have passed plus infinity
//! on the way, and not minus infinity either if `A` is finite in float32; if it is not, or `t` is not, there is no bound.

use crate::level::Level;

/// Up to so many subspaces are summed in one byte. What flooring loses grows with their number.
pub(super) const ALONE: usize = 32;

/// More than that are summed in bytes by groups of so many, and the sums of groups in 16 bits.
pub(super) const GROUP: usize = 16;

/// The largest limit of one group: one less than where a byte stops.
const BYTE_LIMIT: f64 = 254.0;

/// What the smallest entries of the tables of a query say about all sums.
pub(super) struct Base {
    /// `b_m`.
    smallest: Vec<f32>,
    /// `B`.
    sum: f64,
    /// `g A`.
    slack: f64,
    /// `1 - g`.
    kept: f64,
}

/// Whether rows are wanted, as far as the bound can tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reach {
    /// Sums cannot be bounded: every row has to be looked at.
    Unbounded,
    /// No row is wanted.
    Nothing,
    /// `R`: how far above `B` the sum of a wanted row lies at most.
    Within(f64),
}

impl Base {
    /// `tables` has one array of `N` entries for each subspace; entries that stand for no codeword are infinite.
    pub fn new<const N: usize>(tables: &[[f32; N]]) -> Self {
        let smallest: Vec<f32> =
            tables.iter().map(|table| table.iter().copied().fold(f32::INFINITY, f32::min)).collect();
        let sum = smallest.iter().map(|entry| f64::from(*entry)).sum();
        let magnitude: f64 = smallest.iter().map(|entry| f64::from(entry.abs())).sum();
        // Two more than M: for the rounding of `sum`.
        let rounding = (tables.len() + 2) as f64 / f64::from(1 << 24);
        // Twenty-four bits of subspaces would make a row of 16 MB; they get no bound.
        let error = if rounding < 0.5 { rounding / (1.0 - rounding) } else { f64::INFINITY };
        Base { smallest, sum, slack: error * magnitude, kept: 1.0 - error }
    }

    /// What is known about rows with a float sum of at most `largest`.
    pub fn reach(&self, largest: f32) -> Reach {
        let magnitude_is_finite = self.slack * f64::from(1 << 24) < f64::from(f32::MAX);
        if largest == f32::INFINITY || !(magnitude_is_finite && self.kept > 0.0) {
            return Reach::Unbounded;
        }
        if largest == f32::NEG_INFINITY {
            return Reach::Nothing;
        }
        let reach = (f64::from(largest) - self.sum + self.slack) / self.kept;
        if reach < 0.0 { Reach::Nothing } else { Reach::Within(reach * (1.0 + 1e-12)) }
    }
}

/// Tables in small integers, for one query and one reach.
pub(super) struct Floor<const N: usize> {
    pub tables: Vec<[u8; N]>,
    /// A row whose sum is above this is not wanted.
    pub limit: u16,
    reach: f64,
}

impl<const N: usize> Floor<N> {
    pub fn new() -> Self {
        Floor { tables: Vec::new(), limit: 0, reach: f64::INFINITY }
    }

    /// Makes the floors for a reach, unless those there are hardly worse.
    pub fn fit(&mut self, level: Level, tables: &[[f32; N]], base: &Base, reach: f64) {
        // A refit costs as much as bounding some thousand rows. What a reach that is too wide lets pass depends on how far
        // sums of so many terms spread.
        let tolerance = 0.1 / (tables.len() as f64).sqrt();
        if !self.tables.is_empty() && reach >= self.reach * (1.0 - tolerance) {
            return;
        }
        let limit = limit(tables, base, reach);
        // A scale of zero width: entries are then 0 at the smallest entry and 255 everywhere else.
        let scale = (limit / reach).min(1e300);
        // Two tables for each plane of nibbles: an odd last one is followed by zeros.
        let n_tables = if N == 16 { tables.len().next_multiple_of(2) } else { tables.len() };
        self.tables.resize(n_tables, [0; N]);
        super::floor(level, tables, &base.smallest, scale, &mut self.tables);
        (self.limit, self.reach) = (limit as u16, reach);
    }
}

/// The limit for a reach: 254 for one group; for several, as far above as the group that varies most allows without its sums
/// stopping at 255.
fn limit<const N: usize>(tables: &[[f32; N]], base: &Base, reach: f64) -> f64 {
    if tables.len() <= ALONE {
        return BYTE_LIMIT;
    }
    let spread = |(table, smallest): (&[f32; N], &f32)| -> f64 {
        let above = |entry: &f32| (f64::from(*entry) - f64::from(*smallest)).min(reach);
        table.iter().map(above).sum()
    };
    let (groups, smallest) = (tables.chunks(GROUP), base.smallest.chunks(GROUP));
    let spreads: Vec<f64> = groups
        .zip(smallest)
        .map(|(tables, smallest)| tables.iter().zip(smallest).map(spread).sum())
        .collect();
    let largest = spreads.iter().copied().fold(0.0, f64::max);
    let total: f64 = spreads.iter().sum();
    // Beside its mean share of the reach a group has room for a quarter more.
    let groups = if largest > 0.0 { total / largest } else { 1.0 };
    (200.0 * groups).clamp(BYTE_LIMIT, 65_534.0).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row with a float sum of at most `largest` must have a sum of floors within the limit.
    fn check(tables: &[[f32; 16]], codes: &[Vec<usize>], largest: f32) {
        let base = Base::new(tables);
        let reach = base.reach(largest);
        for level in Level::available() {
            let mut floor = Floor::new();
            for codes in codes {
                let sum = codes.iter().zip(tables).fold(0.0_f32, |sum, (code, table)| sum + table[*code]);
                if sum > largest {
                    continue;
                }
                match reach {
                    Reach::Unbounded => {}
                    Reach::Nothing => panic!("a row with {sum} was declared impossible below {largest}"),
                    Reach::Within(reach) => {
                        floor.fit(level, tables, &base, reach);
                        let entry = |(code, table): (&usize, &[u8; 16])| u32::from(table[*code]);
                        let bound: u32 = codes.iter().zip(&floor.tables).map(entry).sum();
                        assert!(
                            bound <= u32::from(floor.limit),
                            "{bound} > {} for {sum} <= {largest}",
                            floor.limit
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
                // The smallest sum there can be, too.
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
        let plain = Base::new(&tables).reach(3.0);
        tables[3][7] = 1e30;
        assert_eq!(Base::new(&tables).reach(3.0), plain);
        let Reach::Within(reach) = plain else { panic!("{plain:?}") };
        assert!((3.0..3.0001).contains(&reach));
    }
}
