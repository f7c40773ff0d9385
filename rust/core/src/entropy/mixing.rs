//! Logistic mixing in integers: predictions of one bit become logits, a weighted sum of them is the logit of the mixed probability,
//! and the weights follow the gradient of the code length (Mattern, 2012; Mahoney's PAQ).
//!
//! ```text
//! logit        i32, of 2^16    ln(p / (1 - p)), from -12 to 12
//! probability  u32, of 2^16    from 1 to 65535, as the range coder takes it
//! weight       i32, of 2^20
//! rate         u32, of 2^16    how far a weight follows one gradient
//! ```
//!
//! Only integers take part, so an encoder and a decoder agree on every machine.

use super::PROBABILITY_BITS;
use crate::Error;
use crate::error::try_vec;

/// The logit 1.
pub(crate) const LOGIT_ONE: i32 = 1 << 16;

/// Logits are kept from minus this to this.
pub(crate) const MAX_LOGIT: i32 = 12 * LOGIT_ONE;

/// Fractional bits of a weight.
pub(crate) const WEIGHT_BITS: u32 = 20;

/// Weights are kept from minus this to this.
pub(crate) const MAX_WEIGHT: i32 = (8 << WEIGHT_BITS) - 1;

/// Fractional bits of a rate.
pub(crate) const RATE_BITS: u32 = 16;

/// Of the logits' bits, those between two entries of the table: 1/64.
const STEP_BITS: u32 = 10;

/// Bits of the probabilities in the table, more than those of a result.
const TABLE_BITS: u32 = 24;

const N_STEPS: usize = (2 * MAX_LOGIT as usize) >> STEP_BITS;

/// The logistic function at every 64th, computed in fixed point when this is compiled.
static SQUASH: [u32; N_STEPS + 1] = {
    const ONE: u128 = 1 << 62;
    // exp(-1 / 64), by its series.
    let (mut step, mut term, mut n) = (ONE, ONE, 1);
    while n < 12 {
        term /= 64 * n;
        step = if n % 2 == 1 { step - term } else { step + term };
        n += 1;
    }
    let (mut table, mut power, mut index) = ([0; N_STEPS + 1], ONE, 0);
    while index <= N_STEPS / 2 {
        let p = ((ONE << TABLE_BITS) + (ONE + power) / 2) / (ONE + power);
        table[N_STEPS / 2 + index] = p as u32;
        table[N_STEPS / 2 - index] = (1 << TABLE_BITS) - p as u32;
        power = (power * step) >> 62;
        index += 1;
    }
    table
};

/// The probability of a logit.
#[inline]
pub(crate) fn squash(logit: i32) -> u32 {
    let from_least = (logit.clamp(-MAX_LOGIT, MAX_LOGIT - 1) + MAX_LOGIT) as u32;
    let (index, part) = ((from_least >> STEP_BITS) as usize, from_least & ((1 << STEP_BITS) - 1));
    let (low, high) = (SQUASH[index], SQUASH[index + 1]);
    let p = low + (((high - low) * part) >> STEP_BITS);
    ((p + (1 << (TABLE_BITS - PROBABILITY_BITS - 1))) >> (TABLE_BITS - PROBABILITY_BITS))
        .clamp(1, (1 << PROBABILITY_BITS) - 1)
}

/// The binary logarithm of a number from 1 up, of 2^16, rounded down.
pub(crate) const fn log2(number: u64) -> i64 {
    let exponent = number.ilog2();
    // From 1 to 2, of 2^31.
    let mut mantissa = (number << (63 - exponent)) >> 32;
    let (mut log, mut step) = (exponent as i64, 0);
    while step < 16 {
        mantissa = (mantissa * mantissa) >> 31;
        let bit = mantissa >> 32;
        log = log << 1 | bit as i64;
        mantissa >>= bit;
        step += 1;
    }
    log
}

/// Sets of weights for inputs of one kind. Each prediction selects a few of the sets and uses their sum.
pub(crate) struct Mixer {
    n_inputs: usize,
    weights: Vec<i32>,
}

impl Mixer {
    /// `n_sets` sets of `n_inputs` weights 0.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn new(n_inputs: usize, n_sets: usize) -> Result<Self, Error> {
        Ok(Mixer { n_inputs, weights: try_vec(0, n_inputs * n_sets)? })
    }

    /// All weights, those of a set together.
    pub(crate) fn weights(&self) -> &[i32] {
        &self.weights
    }

    /// All weights, to set them. Each must be from `-MAX_WEIGHT` to `MAX_WEIGHT`.
    pub(crate) fn weights_mut(&mut self) -> &mut [i32] {
        &mut self.weights
    }

    /// Fills `sum` with the sum of the selected sets.
    #[inline]
    pub(crate) fn select(&self, sets: &[usize], sum: &mut [i32]) {
        sum.fill(0);
        for set in sets {
            let weights = &self.weights[set * self.n_inputs..][..sum.len()];
            sum.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
        }
    }

    /// Moves the selected sets along the gradient. `error` is the bit less its probability, of 2^16.
    #[inline]
    pub(crate) fn update(&mut self, sets: &[usize], inputs: &[i32], error: i32, rate: u32) {
        const SHIFT: u32 = 16 + PROBABILITY_BITS + RATE_BITS - WEIGHT_BITS;
        let step = i64::from(error) * i64::from(rate);
        for set in sets {
            let weights = &mut self.weights[set * self.n_inputs..][..inputs.len()];
            for (weight, input) in weights.iter_mut().zip(inputs) {
                let change = (step * i64::from(*input) + (1 << (SHIFT - 1))) >> SHIFT;
                *weight =
                    (i64::from(*weight) + change).clamp(-i64::from(MAX_WEIGHT), i64::from(MAX_WEIGHT)) as i32;
            }
        }
    }
}

/// The logit that inputs make with weights.
#[inline]
pub(crate) fn dot(weights: &[i32], inputs: &[i32]) -> i32 {
    let products = weights.iter().zip(inputs).map(|(weight, input)| i64::from(*weight) * i64::from(*input));
    (products.sum::<i64>() >> WEIGHT_BITS).clamp(-i64::from(MAX_LOGIT), i64::from(MAX_LOGIT)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squash_is_the_logistic_function() {
        let mut last = 0;
        for logit in (-13 * LOGIT_ONE..13 * LOGIT_ONE).step_by(77) {
            let p = squash(logit);
            let exact = 65536.0 / (1.0 + (-f64::from(logit) / f64::from(LOGIT_ONE)).exp());
            assert!((f64::from(p) - exact.clamp(1.0, 65535.0)).abs() < 0.75, "{logit}: {p}, {exact}");
            assert!(p >= last);
            last = p;
        }
        assert_eq!(squash(0), 1 << 15);
        assert_eq!((squash(i32::MIN), squash(i32::MAX)), (1, 65535));
    }

    #[test]
    fn log2_is_the_binary_logarithm() {
        for number in (1..5000).chain((0..64).map(|bit| 1 << bit)).chain([u64::MAX, 12_345_678_901]) {
            let exact = 65536.0 * (number as f64).log2();
            assert!((-1.01..=0.01).contains(&(log2(number) as f64 - exact)), "{number}");
        }
    }

    #[test]
    fn weights_learn_which_input_is_right() {
        // Input 0 knows the bit, input 1 is noise; the second set is never selected.
        let mut mixer = Mixer::new(2, 2).unwrap();
        let mut noise = 1_u32;
        for step in 0..2000 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let bit = step % 3 == 0;
            let inputs = [if bit { LOGIT_ONE } else { -LOGIT_ONE }, (noise >> 14) as i32 - (1 << 17)];
            let mut weights = [0; 2];
            mixer.select(&[0], &mut weights);
            let p = squash(dot(&weights, &inputs)) as i32;
            mixer.update(&[0], &inputs, (i32::from(bit) << 16) - p, 1 << 12);
        }
        let [right, wrong] = [mixer.weights()[0], mixer.weights()[1]];
        assert!(right > 3 << WEIGHT_BITS && wrong.abs() < 1 << (WEIGHT_BITS - 1), "{right} {wrong}");
        assert_eq!(mixer.weights()[2..], [0, 0]);
    }
}
