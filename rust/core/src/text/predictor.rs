//! [`Predictor`]: the probability of a branch from the levels that its contexts give it.

use crate::Error;
use crate::entropy::PROBABILITY_BITS;
use crate::entropy::mixing::{self, Mixer, WEIGHT_BITS};
use crate::error::try_vec;

use super::cells::{MIDDLE, N_LEVELS, logit_of_level};
use super::contexts::{N_CONTEXTS, N_ORDERS};

/// Depths in the code that have weights of their own.
const N_DEPTHS: usize = 16;

/// Nodes that have weights of their own.
const MAX_NODE_SETS: usize = 4096;

/// Levels of the longest order that have weights of their own.
const N_ORDER_LEVELS: usize = N_LEVELS / 2;

/// Sets by how many contexts are known, and the depth.
const N_KNOWN_SETS: usize = (N_CONTEXTS + 1) * N_DEPTHS;

/// Sets by the longest order that is known, and its level.
const N_ORDER_SETS: usize = N_ORDERS * N_ORDER_LEVELS;

/// The least probability of a branch: a text of one symbol again and again still takes some bits, which bounds what a few bytes can
/// decode to.
const LEAST_PROBABILITY: u32 = 8;

/// Bits of a weight that files do not keep.
pub(super) const FILE_SHIFT: u32 = 8;

/// A weight as files hold it.
pub(super) fn to_file(weight: i32) -> i16 {
    ((weight + (1 << (FILE_SHIFT - 1))) >> FILE_SHIFT).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// Weights, and the logits of levels.
pub(super) struct Predictor {
    pub(super) mixer: Mixer,
    /// The logit of each level in each context; that of level 0 is 0.
    pub(super) logits: Vec<[i32; N_LEVELS]>,
    n_node_sets: usize,
}

/// A branch about which something was predicted.
#[derive(Default)]
pub(super) struct Branch {
    levels: [u8; N_CONTEXTS],
    sets: [usize; 3],
    inputs: [i32; N_CONTEXTS],
    weights: [i32; N_CONTEXTS],
}

impl Predictor {
    /// Sets of weights for a code with this many nodes.
    pub(super) fn n_sets(n_nodes: usize) -> usize {
        N_KNOWN_SETS + N_ORDER_SETS + n_nodes.clamp(1, MAX_NODE_SETS)
    }

    /// All contexts weigh the same.
    pub(super) fn new(n_nodes: usize) -> Result<Self, Error> {
        let mut mixer = Mixer::new(N_CONTEXTS, Predictor::n_sets(n_nodes))?;
        mixer.weights_mut()[..N_KNOWN_SETS * N_CONTEXTS].fill((1 << WEIGHT_BITS) / 5);
        let logits = try_vec(std::array::from_fn(logit_of_level), N_CONTEXTS)?;
        Ok(Predictor { mixer, logits, n_node_sets: n_nodes.clamp(1, MAX_NODE_SETS) })
    }

    /// The probability, of 2^16, of a one at a node.
    #[inline]
    pub(super) fn predict(
        &self,
        levels: [u8; N_CONTEXTS],
        node: u16,
        depth: usize,
        branch: &mut Branch,
    ) -> u32 {
        let (mut n_known, mut order) = (0, 0);
        for (context, level) in levels.iter().enumerate() {
            branch.inputs[context] = self.logits[context][usize::from(*level) % N_LEVELS];
            n_known += usize::from(*level != 0);
            if context < N_ORDERS && *level != 0 {
                order = context;
            }
        }
        let order_level = usize::from(levels[order]) * N_ORDER_LEVELS / N_LEVELS;
        branch.sets = [
            n_known * N_DEPTHS + depth.min(N_DEPTHS - 1),
            N_KNOWN_SETS + order * N_ORDER_LEVELS + order_level,
            N_KNOWN_SETS + N_ORDER_SETS + usize::from(node).min(self.n_node_sets - 1),
        ];
        branch.levels = levels;
        self.mixer.select(&branch.sets, &mut branch.weights);
        let p = mixing::squash(mixing::dot(&branch.weights, &branch.inputs));
        p.clamp(LEAST_PROBABILITY, (1 << PROBABILITY_BITS) - LEAST_PROBABILITY)
    }

    /// Rounds the weights to what a file holds.
    pub(super) fn round(&mut self) {
        for weight in self.mixer.weights_mut() {
            *weight = i32::from(to_file(*weight)) << FILE_SHIFT;
        }
    }

    /// Learns from a branch that was predicted with probability `p`. The rates are those of the weights and of the logits.
    pub(super) fn learn(&mut self, branch: &Branch, bit: bool, p: u32, rates: [u32; 2]) {
        const SHIFT: u32 = PROBABILITY_BITS + mixing::RATE_BITS + WEIGHT_BITS - 16;
        let error = (i32::from(bit) << PROBABILITY_BITS) - p as i32;
        self.mixer.update(&branch.sets, &branch.inputs, error, rates[0]);
        let step = i64::from(error) * i64::from(rates[1]);
        for (context, level) in branch.levels.iter().enumerate().filter(|level| *level.1 != 0) {
            let logit = &mut self.logits[context][usize::from(*level)];
            let change = (step * i64::from(branch.weights[context]) + (1 << (SHIFT - 1))) >> SHIFT;
            *logit = (i64::from(*logit) + change)
                .clamp(-i64::from(mixing::MAX_LOGIT), i64::from(mixing::MAX_LOGIT))
                as i32;
        }
    }
}

const _: () = assert!(MIDDLE * 2 == N_LEVELS);
