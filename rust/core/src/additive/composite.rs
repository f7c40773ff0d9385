//! Codes of a composite quantiser (Zhang, Du and Wang, ICML 2014): the inner products of their codewords add up to nearly the same
//! number for all vectors, so that the squared norm of a sum of codewords is the sum of their own plus a constant.
//!
//! The search minimises `|x - sum_m c_m|^2 + penalty (sum_{i < j} 2 c_i . c_j - product)^2`. The penalty is not linear in the
//! pairwise entries, so these are float32.

use super::local_search::{Objective, Pairs, Search, search_for};
use super::{Candidates, Constrained, FLOATS_PER_LINE, FloatLine, improve_constrained};
use crate::adc::{Codebooks, Vectors};
use crate::{Error, Level, Run};

/// What twice the sum of the inner products of the codewords of a code should be, and the price of a squared deviation.
#[derive(Clone, Copy, Debug)]
pub struct Constraint {
    /// The wanted sum.
    pub product: f32,
    /// Squared error per squared deviation.
    pub penalty: f32,
}

/// Improves the code of each vector by a [`local_search`](super::local_search) for codes with a small squared error and penalty, and
/// writes their sum.
///
/// # Errors
/// As [`local_search`](super::local_search).
pub fn composite_search(
    x: Vectors<'_>,
    codebooks: Codebooks<'_>,
    constraint: Constraint,
    search: Search,
    codes: &mut [u8],
    costs: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    search_for(constraint, x, codebooks, search, codes, costs, run)
}

/// The sum of the pairwise entries of a codeword with those of the codebooks before `end`.
fn pair_sum(pairs: &Pairs<Constraint>, book: usize, end: usize, code: &[u8]) -> f32 {
    let entry = usize::from(code[book]) % FLOATS_PER_LINE;
    pairs.with(book, end, code).fold(0.0, |sum, line| sum + line.0[entry])
}

impl Objective for Constraint {
    type Line = FloatLine;
    type Best = Constrained;

    const ENTRIES_PER_LINE: usize = FLOATS_PER_LINE;
    const NO_ENTRIES: FloatLine = FloatLine([f32::INFINITY; FLOATS_PER_LINE]);
    const NO_BEST: Constrained = Constrained { cost: f32::INFINITY, codeword: 0, sum: 0.0, rest: 0.0 };

    fn least(_: &[f32]) -> f32 {
        0.0
    }

    fn fill(line: &mut FloatLine, entries: &[f32], _: f32) {
        line.0[..entries.len()].copy_from_slice(entries);
    }

    fn product(&self, pairs: &Pairs<Self>, code: &[u8]) -> f32 {
        (0..code.len()).map(|book| pair_sum(pairs, book, book, code)).sum()
    }

    fn start(&self, pairs: &Pairs<Self>, book: usize, code: &[u8], product: f32) -> Constrained {
        let sum = pair_sum(pairs, book, code.len(), code);
        let rest = product - sum - self.product;
        Constrained { codeword: code[book].into(), sum, rest, ..Self::NO_BEST }
    }

    fn improve(&self, level: Level, candidates: &Candidates<'_, FloatLine>, best: &mut [Constrained]) {
        improve_constrained(level, candidates, self.penalty, best);
    }

    fn found(&self, best: Constrained) -> (u8, f32) {
        (best.codeword as u8, best.rest + best.sum + self.product)
    }

    fn cost(&self, error: f32, product: f32) -> f32 {
        let deviation = product - self.product;
        error + self.penalty * deviation * deviation
    }
}
