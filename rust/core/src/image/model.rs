//! Probabilities of binary decisions about coefficients: counters in eight contexts, mixed by weights that follow the code length.
//!
//! ```text
//! counter   u32    24 bits of probability that the decision is true, 8 bits of how often it was counted
//! logit     i16    ln(p / (1 - p)), of 2^10
//! weight    i16    of 2^12
//! ```
//!
//! Only integers take part, so an encoder and a decoder agree on every machine.

use crate::Error;
use crate::entropy::PROBABILITY_BITS;
use crate::entropy::mixing::{log2, squash};
use crate::error::try_vec;

/// Contexts of a decision.
pub(crate) const N_CONTEXTS: usize = 8;

/// Counters of a context, one for each kind of decision: a cache line.
pub(super) const N_KINDS: usize = 16;

const COUNT_BITS: u32 = 8;

const MASK: u32 = (1 << COUNT_BITS) - 1;

const PROBABILITY_BITS_OF_COUNTER: u32 = 24;

/// A counter follows the last decisions, about as many as this.
const MOST_COUNTED: u32 = MASK;

/// What another band has taught counts as much as this many decisions.
const MOST_INHERITED: u32 = 6;

/// First probabilities of the first kinds of decisions; those of the others are one half.
const FIRST_PERCENTS: [u32; 3] = [20, 35, 35];

/// Fractional bits of a logit.
const LOGIT_BITS: u32 = 10;

const WEIGHT_BITS: u32 = 12;

/// Weights are kept from minus this to this, so that sums of two sets are 16-bit numbers.
const MAX_WEIGHT: i64 = (2 << WEIGHT_BITS) - 1;

/// Of each of two sets, for eight inputs: 1.29 in all.
const FIRST_WEIGHT: i16 = 330;

/// How far weights follow the gradient of a decision, of 2^10.
const RATE: i32 = 4;

/// Fractional bits of a rate, of an error and of a logit, less those of a weight.
const CHANGE_SHIFT: u32 = 10 + PROBABILITY_BITS + LOGIT_BITS - WEIGHT_BITS;

/// Probabilities, of 2^16, are kept this far from 0 and 1.
const LEAST: u32 = 16;

/// The fewest bits of a decision: log2(1 / (1 - 2^-12)), rounded down.
pub(super) const LEAST_BITS: f64 = 0.000_35;

/// Logits of probabilities of 2^12, each in the middle of its piece.
static LOGITS: [i16; 4096] = {
    let (mut logits, mut p) = ([0; 4096], 0);
    while p < 4096 {
        // ln(2) is 45426 / 2^16.
        let log = (log2(2 * p + 1) - log2(8191 - 2 * p)) * 45_426;
        logits[p as usize] = (log >> (32 - LOGIT_BITS)) as i16;
        p += 1;
    }
    logits
};

/// How far a counter moves, of 2^16, by how often it was counted: 1 / (n + 1.6).
static PACES: [u32; MOST_COUNTED as usize + 1] = {
    let (mut paces, mut n) = ([0; MOST_COUNTED as usize + 1], 0);
    while n <= MOST_COUNTED {
        paces[n as usize] = 655_360 / (10 * n + 16);
        n += 1;
    }
    paces
};

/// How much a logit counts, of 2^8, by how often its counter was counted: (n + 1/2) / (n + 2).
static CONFIDENCES: [i32; MASK as usize + 1] = {
    let (mut confidences, mut n) = ([0; MASK as usize + 1], 0);
    while n <= MASK as i32 {
        confidences[n as usize] = 256 * (2 * n + 1) / (2 * n + 4);
        n += 1;
    }
    confidences
};

/// The contexts of a decision: a line of counters for each.
pub(crate) type Lines = [u32; N_CONTEXTS];

/// What is predicted of a decision, kept for the update.
pub(crate) struct Prediction {
    /// That it is true, of 2^16.
    pub(crate) p_true: u32,
    inputs: [i16; N_CONTEXTS],
}

/// Counters and weights. They begin the same for each tile.
pub(crate) struct Model {
    lines: Vec<[u32; N_KINDS]>,
    weights: Vec<[i16; N_CONTEXTS]>,
}

impl Model {
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn new(n_lines: usize, n_sets: usize) -> Result<Self, Error> {
        let mut line = [1 << 31; N_KINDS];
        for (kind, percent) in FIRST_PERCENTS.iter().enumerate() {
            line[kind] = ((percent << PROBABILITY_BITS_OF_COUNTER) / 100) << COUNT_BITS;
        }
        Ok(Model { lines: try_vec(line, n_lines)?, weights: try_vec([FIRST_WEIGHT; N_CONTEXTS], n_sets)? })
    }

    /// Begins a band with what was learned in another: its `n_lines` lines and `n_sets` sets of weights, from the first ones on.
    pub(super) fn inherit(
        &mut self,
        from: (usize, usize),
        to: (usize, usize),
        n_lines: usize,
        n_sets: usize,
    ) {
        self.lines.copy_within(from.0..from.0 + n_lines, to.0);
        for counter in self.lines[to.0..to.0 + n_lines].as_flattened_mut() {
            *counter = *counter & !MASK | (*counter & MASK).min(MOST_INHERITED);
        }
        self.weights.copy_within(from.1..from.1 + n_sets, to.1);
    }

    /// The prediction of a decision of this kind.
    #[inline(always)]
    pub(crate) fn predict(&self, lines: &Lines, kind: usize, sets: [usize; 2]) -> Prediction {
        let mut inputs = [0; N_CONTEXTS];
        for index in 0..N_CONTEXTS {
            let counter = self.lines[lines[index] as usize][kind % N_KINDS];
            let logit = i32::from(LOGITS[(counter >> (32 - 12)) as usize]);
            inputs[index] = ((logit * CONFIDENCES[(counter & MASK) as usize]) >> 8) as i16;
        }
        let (first, second) = (&self.weights[sets[0]], &self.weights[sets[1]]);
        let mut logit = 0;
        for index in 0..N_CONTEXTS {
            logit += i32::from(first[index] + second[index]) * i32::from(inputs[index]);
        }
        // Of 2^16, as `squash` takes it.
        let p_true =
            squash(logit >> (LOGIT_BITS + WEIGHT_BITS - 16)).clamp(LEAST, (1 << PROBABILITY_BITS) - LEAST);
        Prediction { p_true, inputs }
    }

    /// Learns a decision.
    #[inline(always)]
    pub(crate) fn update(
        &mut self,
        lines: &Lines,
        kind: usize,
        sets: [usize; 2],
        prediction: &Prediction,
        bit: bool,
    ) {
        for line in lines {
            let counter = &mut self.lines[*line as usize][kind % N_KINDS];
            *counter = counted(*counter, bit);
        }
        let error = (i32::from(bit) << PROBABILITY_BITS) - prediction.p_true as i32;
        let step = i64::from(error * RATE);
        for set in sets {
            let weights = &mut self.weights[set];
            for (weight, input) in weights.iter_mut().zip(&prediction.inputs) {
                let change = (step * i64::from(*input) + (1 << (CHANGE_SHIFT - 1))) >> CHANGE_SHIFT;
                *weight = (i64::from(*weight) + change).clamp(-MAX_WEIGHT, MAX_WEIGHT) as i16;
            }
        }
    }
}

/// A counter after one more decision.
#[inline(always)]
pub(super) fn counted(counter: u32, bit: bool) -> u32 {
    let target = if bit { (1 << PROBABILITY_BITS_OF_COUNTER) - 1 } else { 0 };
    let (p, n) = ((counter >> COUNT_BITS) as i32, counter & MASK);
    let pace = i64::from(PACES[n as usize]);
    let moved = p + ((i64::from(target - p) * pace) >> 16) as i32;
    (moved as u32) << COUNT_BITS | (n + u32::from(n < MOST_COUNTED))
}

/// The probability of a counter alone, of 2^16.
#[inline(always)]
pub(super) fn p_of(counter: u32) -> u32 {
    (counter >> 16).clamp(LEAST, (1 << PROBABILITY_BITS) - LEAST)
}
