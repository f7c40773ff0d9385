//! The motion that an encoder chooses: what costs least, in absolute differences and in bits.
//!
//! A search by SAD gives the first vectors of each block; those around the best of them, of the candidates and of the prediction are
//! tried in halves and quarters of a sample. Bits are those that the coder would take with what it has learned so far.

use super::field::{Candidates, Cell, Choice, Coder, Field, Place, Vector, rate_of};
use super::prediction::{CELL, Reference, predicted};
use super::{BITS_OF_RATE, Bits, Reach};
use crate::block_motion::{self, Block, Image, Method, Padded, Window};
use crate::entropy::PROBABILITY_BITS;
use crate::entropy::mixing::log2;
use crate::error::{try_push, try_vec};
use crate::{Error, Run};

/// First vectors of each block that the full search gives.
const N_FIRST: usize = 3;

/// Fractional bits of what a bit is worth, in absolute differences.
const LAMBDA_BITS: u32 = 8;

/// What writing would take, of 2^[`BITS_OF_RATE`] bits.
struct Rate(u64);

impl Bits for Rate {
    const LEARNS: bool = false;

    fn bit(&mut self, bit: bool, p_true: u32) -> Result<bool, Error> {
        let p = if bit { p_true } else { (1 << PROBABILITY_BITS) - p_true };
        self.0 += u64::from(PROBABILITY_BITS << BITS_OF_RATE) - log2(u64::from(p)) as u64;
        Ok(bit)
    }
}

/// What is chosen for a macroblock.
pub(super) enum Macroblock {
    Whole(Choice),
    Split([Choice; 4]),
}

/// Vectors of the search by SAD.
struct First {
    vectors: Vec<[i16; 2]>,
    costs: Vec<i32>,
    /// Blocks of a row.
    n_columns: usize,
    /// Vectors of a block.
    k: usize,
}

impl First {
    fn new(
        frame: Image<'_>,
        reference: Image<'_>,
        window: Window,
        method: Method,
        run: &Run<'_>,
    ) -> Result<Self, Error> {
        let side = window.block.side();
        let (n_columns, n_rows) = (frame.width().div_ceil(side), frame.height().div_ceil(side));
        let k = match method {
            Method::Full => N_FIRST.min((2 * window.radius + 1).pow(2)),
            Method::Predictive => 1,
        };
        let n = n_columns * n_rows * k;
        let (mut vectors, mut costs) = (try_vec([0; 2], n)?, try_vec(0, n)?);
        match method {
            Method::Full => {
                block_motion::search(frame, reference, window, k, &mut vectors, &mut costs, run)?;
            }
            Method::Predictive => {
                block_motion::predictive_search(frame, reference, window, &mut vectors, &mut costs, run)?;
            }
        }
        Ok(First { vectors, costs, n_columns, k })
    }

    /// Those of a block, in quarters of a sample; none for a block beyond the frame.
    fn of(&self, row: usize, column: usize) -> impl Iterator<Item = Vector> {
        let first = (row * self.n_columns + column.min(self.n_columns - 1)) * self.k;
        let vectors = self.vectors.get(first..first + self.k).unwrap_or_default();
        vectors.iter().map(|vector| vector.map(|component| 4 * component))
    }
}

/// The search of a frame.
pub(super) struct Search<'a> {
    samples: Padded<u8>,
    references: &'a [&'a Reference],
    /// For each reference, of blocks of 16 and of 8.
    first: Vec<[First; 2]>,
    /// What a bit is worth in absolute differences, of 2^[`LAMBDA_BITS`].
    lambda: u64,
}

impl<'a> Search<'a> {
    /// A frame and its references, with the samples of these; `lambda` absolute differences are worth a bit.
    pub(super) fn new(
        frame: Image<'_>,
        references: &'a [&'a Reference],
        samples: &[Image<'_>],
        reach: Reach,
        lambda: f32,
        run: &Run<'_>,
    ) -> Result<Self, Error> {
        let mut first = Vec::new();
        for reference in samples {
            let window = |block| Window { block, radius: reach.radius };
            let of_side = |block| First::new(frame, *reference, window(block), reach.method, run);
            try_push(&mut first, [of_side(Block::Sixteen)?, of_side(Block::Eight)?])?;
        }
        let lambda = (lambda * (1 << LAMBDA_BITS) as f32) as u64;
        Ok(Search { samples: Padded::<u8>::new(frame, 2 * CELL, 0)?, references, first, lambda })
    }

    /// Whether a prediction from the blocks around the frame itself, without motion, is likely to be better.
    pub(super) fn is_in_vain(&self, width: usize, height: usize) -> bool {
        let side = 2 * CELL;
        let mut activity = 0_u64;
        for y in (0..height).step_by(side) {
            for x in (0..width).step_by(side) {
                let block = self.samples.block::<{ 2 * CELL }>(y, x);
                let sum: u32 = block.as_flattened().iter().map(|sample| u32::from(*sample)).sum();
                let mean = (sum / (side * side) as u32) as u8;
                activity += block.as_flattened().iter().map(|s| u64::from(s.abs_diff(mean))).sum::<u64>();
            }
        }
        let least = |first: &[First; 2]| {
            first[0].costs.iter().step_by(first[0].k).map(|cost| i64::from(*cost)).sum::<i64>()
        };
        self.first.iter().map(least).min().is_some_and(|least| least as u64 > activity)
    }

    fn cost(&self, sad: u64, rate: u64) -> u64 {
        (sad << BITS_OF_RATE) + ((self.lambda * rate) >> LAMBDA_BITS)
    }

    /// What is best for the macroblock at a place.
    pub(super) fn macroblock(
        &self,
        coder: &mut Coder,
        field: &mut Field,
        place: Place,
    ) -> Result<Macroblock, Error> {
        let (choice, least) =
            self.best::<{ 2 * CELL }>(coder, field, place, |coder, rate, field, choice| {
                coder.macroblock(rate, field, place, choice, false).map(|_| ())
            })?;
        let mut rate = Rate(0);
        coder.macroblock(&mut rate, field, place, choice, true)?;
        let mut sum = self.cost(0, rate.0);
        let mut choices = [Choice::default(); 4];
        for (index, of_cell) in choices.iter_mut().enumerate() {
            let place = place.quarter(index);
            let cost;
            (*of_cell, cost) = self.best::<CELL>(coder, field, place, |coder, rate, field, choice| {
                coder.cell(rate, field, place, choice)
            })?;
            sum += cost;
            if sum >= least {
                return Ok(Macroblock::Whole(choice));
            }
            coder.cell(&mut Rate(0), field, place, *of_cell)?;
        }
        Ok(Macroblock::Split(choices))
    }

    /// What is best for a cell, and its cost.
    fn best<const SIDE: usize>(
        &self,
        coder: &mut Coder,
        field: &mut Field,
        place: Place,
        mut write: impl FnMut(&mut Coder, &mut Rate, &mut Field, Choice) -> Result<(), Error>,
    ) -> Result<(Choice, u64), Error> {
        let (y, x) = (place.y * CELL, place.x * CELL);
        let block = self.samples.block::<SIDE>(y, x);
        let candidates = field.candidates(place);
        let mut best = (Choice::default(), u64::MAX);
        let mut consider = |coder: &mut Coder, field: &mut Field, choice: Choice, sad: u64| {
            let mut rate = Rate(0);
            if self.cost(sad, 0) < best.1 {
                write(coder, &mut rate, field, choice)?;
                let cost = self.cost(sad, rate.0);
                if cost < best.1 {
                    best = (choice, cost);
                }
            }
            Ok::<(), Error>(())
        };
        for (index, cell) in candidates.all().iter().enumerate() {
            let sad = sad(&block, &predicted::<SIDE>(self.references, cell, y, x));
            consider(coder, field, Choice { candidate: Some(index), cell: *cell }, sad)?;
        }
        let mut cells = [Cell::default(); 2];
        for (list, cell) in cells.iter_mut().enumerate().take(self.references.len()) {
            let (vector, sad) = self.vector(&block, field, place, &candidates, list);
            cell.lists = 1 << list;
            cell.vectors[list] = vector;
            consider(coder, field, Choice { candidate: None, cell: *cell }, sad)?;
        }
        if let [earlier, later] = cells
            && self.references.len() == 2
        {
            let cell = Cell { lists: 3, vectors: [earlier.vectors[0], later.vectors[1]] };
            let sad = sad(&block, &predicted::<SIDE>(self.references, &cell, y, x));
            consider(coder, field, Choice { candidate: None, cell }, sad)?;
        }
        Ok(best)
    }

    /// The best vector of a list, and its SAD.
    fn vector<const SIDE: usize>(
        &self,
        block: &[[u8; SIDE]; SIDE],
        field: &Field,
        place: Place,
        candidates: &Candidates,
        list: usize,
    ) -> (Vector, u64) {
        let (y, x) = (place.y * CELL, place.x * CELL);
        let predicted = field.predicted(place, list);
        let reference = self.references[list];
        let (mut best, mut least, mut least_sad) = ([0; 2], u64::MAX, 0);
        let mut consider = |vector: Vector, best: &mut Vector| {
            let rate: u64 = (0..2).map(|i| rate_of(i32::from(vector[i]) - i32::from(predicted[i]))).sum();
            if self.cost(0, rate) < least {
                let sad = sad(block, &reference.block::<SIDE>(y, x, vector));
                let cost = self.cost(sad, rate);
                if cost < least {
                    (*best, least, least_sad) = (vector, cost, sad);
                }
            }
        };
        consider(predicted, &mut best);
        let first = &self.first[list][usize::from(SIDE == CELL)];
        first.of(y / SIDE, x / SIDE).for_each(|vector| consider(vector, &mut best));
        let having = candidates.all().iter().filter(|cell| cell.has(list));
        having.for_each(|cell| consider(cell.vectors[list], &mut best));
        for step in [4, 2, 1] {
            let [dy, dx] = best;
            for (down, right) in [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)] {
                consider([dy + down * step, dx + right * step], &mut best);
            }
        }
        (best, least_sad)
    }
}

fn sad<const SIDE: usize>(first: &[[u8; SIDE]; SIDE], second: &[[u8; SIDE]; SIDE]) -> u64 {
    let pairs = first.as_flattened().iter().zip(second.as_flattened());
    u64::from(pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>())
}
