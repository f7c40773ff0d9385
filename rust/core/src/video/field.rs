//! The motion of a frame: a vector field, and how it is written.
//!
//! A macroblock of 16 x 16 samples has one cell, or four of 8 x 8. A cell takes its motion from a candidate (it is merged), or has vectors
//! of its own, which are written as differences from a prediction.
//!
//! ```text
//!   +-------+-------+---+         candidates of a cell: those of its left, upper and upper right neighbours, then the
//!   |       | above | ..|         motion at its place in the reference, continued to this frame; each only once
//!   +-------+-------+---+
//!   | left  | cell  |             prediction of a vector: the median of the three neighbours that have it, or the first of
//!   +-------+-------+             those that have
//!
//! macroblock  coded?  0: candidate > 0? > 1? > 2?
//!                     1: split?  0: cell                              cell  both?  1: earlier, later
//!                                1: four times coded?  0: candidate         0: later?
//!                                                      1: cell              then for each vector dy, dx
//! component   class > 0? > 1? ... of |d| + 1 less its highest bit; that rest; sign
//! ```

use super::{BITS_OF_RATE, Bits};
use crate::Error;
use crate::entropy::mixing::log2;
use crate::error::try_vec;
use crate::image::model::{Lines, Model, N_CONTEXTS};

/// A vector, in quarters of a sample: dy, dx.
pub(super) type Vector = [i16; 2];

/// Components of vectors are kept from minus this to this.
pub(super) const MAX_COMPONENT: i32 = 4 * 1024;

/// Candidates of a cell.
const MAX_CANDIDATES: usize = 4;

/// The largest class of a component of a difference: differences have 14 bits.
const MAX_CLASS: u32 = 14;

/// Lines of counters for each context of flags, and of differences.
const N_LINES: [[usize; N_CONTEXTS]; 2] =
    [[18, 54, 32, 24, 54, 40, 24, 16], [48, 32, 32, 192, 32, 192, 72, 8]];

const KINDS: usize = 16;

/// Sets of weights for each kind of decision: one, and one for each spread.
const N_SPREADS: usize = 4;

/// The kinds of decisions about flags: whether a cell is coded, which candidate it takes, ...
const CODED: usize = 0;
const CANDIDATE: usize = 1;
const SPLIT: usize = 4;
const BOTH: usize = 5;
const LATER: usize = 6;

/// The kinds of decisions about differences: classes from 0 up, ...
const LAST_CLASS: u32 = 8;
const SIGN: usize = 9;
const FIRST_OF_REST: usize = 10;
const REST: usize = 15;

/// The motion of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// Bit 0: it is predicted from the earlier reference; bit 1: from the later one; 0: it is not known.
    pub(super) lists: u8,
    /// Of the earlier and the later reference; 0 if it is not used.
    pub(super) vectors: [Vector; 2],
}

impl Cell {
    /// Without motion.
    pub(super) fn still(n_lists: usize) -> Self {
        Cell { lists: (1 << n_lists) - 1, vectors: [[0; 2]; 2] }
    }

    pub(super) fn has(&self, list: usize) -> bool {
        self.lists >> list & 1 == 1
    }
}

/// A cell, and what is known of how it was written.
#[derive(Clone, Copy, Default)]
struct Known {
    cell: Cell,
    /// 0 if it is not known, 1 if it was coded, 2 if it was merged.
    state: u8,
    /// Sizes of the components of the differences of both vectors.
    sizes: [[u8; 2]; 2],
}

/// Where a cell is: one of 8 x 8 samples, or one of 16 x 16.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) y: usize,
    pub(super) x: usize,
    /// In cells of 8 x 8.
    pub(super) side: usize,
}

impl Place {
    /// A quarter of a macroblock.
    pub(super) fn quarter(self, index: usize) -> Self {
        Place { y: self.y + index / 2, x: self.x + index % 2, side: 1 }
    }
}

/// How a cell is coded.
#[derive(Clone, Copy, Default)]
pub(super) struct Choice {
    /// The candidate that it takes.
    pub(super) candidate: Option<usize>,
    /// Its motion, where it takes no candidate.
    pub(super) cell: Cell,
}

/// Candidates of a cell.
#[derive(Clone, Copy, Default)]
pub(super) struct Candidates {
    cells: [Cell; MAX_CANDIDATES],
    len: usize,
}

impl Candidates {
    fn add(&mut self, cell: Cell) {
        if cell.lists != 0 && self.len < MAX_CANDIDATES && !self.all().contains(&cell) {
            self.cells[self.len] = cell;
            self.len += 1;
        }
    }

    pub(super) fn all(&self) -> &[Cell] {
        &self.cells[..self.len]
    }
}

/// The field of a frame.
pub(super) struct Field {
    pub(super) width: usize,
    pub(super) height: usize,
    n_lists: usize,
    known: Vec<Known>,
    /// The motion of the reference, continued to this frame.
    temporal: Vec<Cell>,
}

impl Field {
    /// A field that is not known yet.
    pub(super) fn new(
        width: usize,
        height: usize,
        n_lists: usize,
        temporal: Vec<Cell>,
    ) -> Result<Self, Error> {
        Ok(Field { width, height, n_lists, known: try_vec(Known::default(), width * height)?, temporal })
    }

    pub(super) fn cell(&self, y: usize, x: usize) -> Cell {
        self.known[y * self.width + x].cell
    }

    pub(super) fn n_lists(&self) -> usize {
        self.n_lists
    }

    pub(super) fn into_cells(self) -> impl ExactSizeIterator<Item = Cell> {
        self.known.into_iter().map(|known| known.cell)
    }

    fn at(&self, y: usize, x: usize, up: usize, left: usize, right: usize) -> Known {
        match (y.checked_sub(up), (x + right).checked_sub(left)) {
            (Some(y), Some(x)) if x < self.width => self.known[y * self.width + x],
            _ => Known::default(),
        }
    }

    /// The neighbours of a cell: left, above, above to the right.
    fn neighbours(&self, Place { y, x, side }: Place) -> [Known; 3] {
        [self.at(y, x, 0, 1, 0), self.at(y, x, 1, 0, 0), self.at(y, x, 1, 0, side)]
    }

    fn temporal(&self, place: Place) -> Cell {
        self.temporal.get(place.y * self.width + place.x).copied().unwrap_or_default()
    }

    /// Never empty.
    pub(super) fn candidates(&self, place: Place) -> Candidates {
        let mut candidates = Candidates::default();
        self.neighbours(place).iter().for_each(|known| candidates.add(known.cell));
        candidates.add(self.temporal(place));
        if candidates.len == 0 {
            candidates.add(Cell::still(self.n_lists));
        }
        candidates
    }

    /// The prediction of a vector.
    pub(super) fn predicted(&self, place: Place, list: usize) -> Vector {
        let neighbours = self.neighbours(place).map(|known| known.cell);
        let temporal = self.temporal(place);
        let mut having = neighbours.iter().chain([&temporal]).filter(|cell| cell.has(list));
        let first = having.next().map_or([0; 2], |cell| cell.vectors[list]);
        match neighbours.map(|cell| cell.has(list)) {
            [true, true, true] => [0, 1].map(|axis| {
                let [a, b, c] = neighbours.map(|cell| cell.vectors[list][axis]);
                a.max(b).min(a.min(b).max(c))
            }),
            _ => first,
        }
    }

    fn store(&mut self, place: Place, known: Known) {
        for y in place.y..place.y + place.side {
            self.known[y * self.width + place.x..][..place.side].fill(known);
        }
    }
}

/// The size of a difference of two vectors, as a class.
fn spread(first: &Cell, second: &Cell) -> usize {
    let Some(list) = (0..2).find(|list| first.has(*list) && second.has(*list)) else {
        return 3;
    };
    let apart = |axis: usize| u32::from(first.vectors[list][axis].abs_diff(second.vectors[list][axis]));
    match apart(0) + apart(1) {
        0 => 0,
        1..=3 => 1,
        4..=12 => 2,
        _ => 3,
    }
}

fn size_class(sum: u32) -> usize {
    [0, 2, 5, 12, 32].iter().filter(|end| sum > **end).count()
}

/// The contexts of a decision.
struct Contexts {
    local: [usize; N_CONTEXTS],
    /// 0 for flags, 1 for differences.
    about: usize,
    spread: usize,
}

/// What coding fields has learned.
pub(super) struct Coder(Model);

impl Coder {
    pub(super) fn new() -> Result<Self, Error> {
        let n_lines = N_LINES.as_flattened().iter().sum();
        Ok(Coder(Model::new(n_lines, 2 * KINDS * (1 + N_SPREADS))?))
    }

    /// Codes a decision; `bit` has no meaning when it is read.
    fn decide<B: Bits>(
        &mut self,
        bits: &mut B,
        contexts: &Contexts,
        kind: usize,
        bit: bool,
    ) -> Result<bool, Error> {
        let mut lines: Lines = [0; N_CONTEXTS];
        let mut first: usize = N_LINES[..contexts.about].as_flattened().iter().sum();
        for ((line, local), n) in lines.iter_mut().zip(contexts.local).zip(N_LINES[contexts.about]) {
            *line = (first + local) as u32;
            first += n;
        }
        let kind_of_all = contexts.about * KINDS + kind;
        let sets = [kind_of_all, 2 * KINDS + kind_of_all * N_SPREADS + contexts.spread];
        let prediction = self.0.predict(&lines, kind, sets);
        let bit = bits.bit(bit, prediction.p_true)?;
        if B::LEARNS {
            self.0.update(&lines, kind, sets, &prediction, bit);
        }
        Ok(bit)
    }

    fn flag_contexts(field: &Field, place: Place, n_candidates: usize) -> Contexts {
        let neighbours = field.neighbours(place);
        let [left, above, right] = neighbours.map(|known| usize::from(known.state));
        let small = usize::from(place.side == 1);
        let spread = spread(&neighbours[0].cell, &neighbours[1].cell);
        let temporal = field.temporal(place);
        let as_before = match temporal.lists {
            0 => 0,
            _ => 1 + usize::from(neighbours.iter().any(|known| known.cell == temporal)),
        };
        let n = n_candidates - 1;
        let n_merged = neighbours.iter().filter(|known| known.state == 2).count();
        let sizes =
            neighbours[..2].iter().flat_map(|known| known.sizes.as_flattened()).map(|size| u32::from(*size));
        let position = if small == 1 { place.y % 2 * 2 + place.x % 2 } else { 0 };
        let both = left * 3 + above;
        Contexts {
            local: [
                both * 2 + small,
                (both * 3 + right) * 2 + small,
                (n * 4 + spread) * 2 + small,
                (as_before * 4 + n) * 2 + small,
                (both * 3 + as_before) * 2 + small,
                (spread * 5 + n_merged) * 2 + small,
                small * 12 + position * 3 + left,
                size_class(sizes.sum()) * 2 + small,
            ],
            about: 0,
            spread,
        }
    }

    /// Codes which candidate a cell takes.
    fn candidate<B: Bits>(
        &mut self,
        bits: &mut B,
        contexts: &Contexts,
        n_candidates: usize,
        candidate: usize,
    ) -> Result<usize, Error> {
        let mut index = 0;
        while index + 1 < n_candidates && self.decide(bits, contexts, CANDIDATE + index, candidate > index)? {
            index += 1;
        }
        Ok(index)
    }

    /// Codes the motion of a cell that takes no candidate.
    fn motion<B: Bits>(
        &mut self,
        bits: &mut B,
        contexts: &Contexts,
        field: &Field,
        place: Place,
        cell: Cell,
    ) -> Result<Known, Error> {
        let lists = match field.n_lists {
            1 => 1,
            _ if self.decide(bits, contexts, BOTH, cell.lists == 3)? => 3,
            _ => 1 + u8::from(self.decide(bits, contexts, LATER, cell.lists == 2)?),
        };
        let mut known = Known { cell: Cell { lists, ..Cell::default() }, state: 1, sizes: [[0; 2]; 2] };
        for list in (0..2).filter(|list| lists >> list & 1 == 1) {
            let predicted = field.predicted(place, list);
            let mut first = 0;
            for axis in 0..2 {
                let difference = i32::from(cell.vectors[list][axis]) - i32::from(predicted[axis]);
                let difference =
                    self.difference(bits, field, place, (list, axis, first), predicted, difference)?;
                let component = i32::from(predicted[axis]) + difference;
                known.cell.vectors[list][axis] = component.clamp(-MAX_COMPONENT, MAX_COMPONENT) as i16;
                known.sizes[list][axis] = difference.unsigned_abs().min(255) as u8;
                first = (difference.unsigned_abs() + 1).ilog2().min(3) as usize;
            }
        }
        Ok(known)
    }

    /// Codes a component of a difference.
    fn difference<B: Bits>(
        &mut self,
        bits: &mut B,
        field: &Field,
        place: Place,
        (list, axis, first): (usize, usize, usize),
        predicted: Vector,
        difference: i32,
    ) -> Result<i32, Error> {
        let neighbours = field.neighbours(place);
        let [left, above, _] = &neighbours;
        let size = u32::from(left.sizes[list][axis]) + u32::from(above.sizes[list][axis]);
        let size = size_class(size);
        let spread = spread(&left.cell, &above.cell);
        let of_all = (list * 2 + axis) * 2 + usize::from(place.side == 1);
        let side = |known: &Known| match known.cell.vectors[list][axis].cmp(&predicted[axis]) {
            _ if !known.cell.has(list) => 0,
            std::cmp::Ordering::Less => 1,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 2,
        };
        let contexts = Contexts {
            local: [
                of_all * 6 + size,
                of_all * 4 + first,
                of_all * 4 + spread,
                (of_all * 6 + size) * 4 + spread,
                of_all * 4 + (left.state + above.state).min(3) as usize,
                (of_all * 6 + size) * 4 + first,
                of_all * 9 + side(left) * 3 + side(above),
                of_all,
            ],
            about: 1,
            spread,
        };
        let number = difference.unsigned_abs() + 1;
        let mut class = 0;
        while class < MAX_CLASS
            && self.decide(bits, &contexts, class.min(LAST_CLASS) as usize, number >> (class + 1) > 0)?
        {
            class += 1;
        }
        let mut read = 1;
        for index in (0..class).rev() {
            let kind = if index + 1 == class { (FIRST_OF_REST + class as usize).min(REST - 1) } else { REST };
            let bit = self.decide(bits, &contexts, kind, number >> index & 1 == 1)?;
            read = read << 1 | i32::from(bit);
        }
        let size = read - 1;
        Ok(if size > 0 && self.decide(bits, &contexts, SIGN, difference < 0)? { -size } else { size })
    }

    /// Codes a cell of 8 x 8, and stores it.
    pub(super) fn cell<B: Bits>(
        &mut self,
        bits: &mut B,
        field: &mut Field,
        place: Place,
        choice: Choice,
    ) -> Result<(), Error> {
        let candidates = field.candidates(place);
        let contexts = Self::flag_contexts(field, place, candidates.len);
        let known = if self.decide(bits, &contexts, CODED, choice.candidate.is_none())? {
            self.motion(bits, &contexts, field, place, choice.cell)?
        } else {
            let index =
                self.candidate(bits, &contexts, candidates.len, choice.candidate.unwrap_or_default())?;
            Known { cell: candidates.cells[index], state: 2, sizes: [[0; 2]; 2] }
        };
        field.store(place, known);
        Ok(())
    }

    /// Codes a macroblock that is no split one, and stores it; returns whether it is a split one, which is not stored.
    pub(super) fn macroblock<B: Bits>(
        &mut self,
        bits: &mut B,
        field: &mut Field,
        place: Place,
        choice: Choice,
        is_split: bool,
    ) -> Result<bool, Error> {
        let candidates = field.candidates(place);
        let contexts = Self::flag_contexts(field, place, candidates.len);
        let is_coded = is_split || choice.candidate.is_none();
        let known = if self.decide(bits, &contexts, CODED, is_coded)? {
            if self.decide(bits, &contexts, SPLIT, is_split)? {
                return Ok(true);
            }
            self.motion(bits, &contexts, field, place, choice.cell)?
        } else {
            let index =
                self.candidate(bits, &contexts, candidates.len, choice.candidate.unwrap_or_default())?;
            Known { cell: candidates.cells[index], state: 2, sizes: [[0; 2]; 2] }
        };
        field.store(place, known);
        Ok(false)
    }
}

/// About what a component of a difference takes, of 2^[`BITS_OF_RATE`] bits: for the search of vectors alone.
pub(super) fn rate_of(difference: i32) -> u64 {
    let log = log2(u64::from(difference.unsigned_abs()) + 1) as u64;
    // 3/4 of a bit, and 1 + 7/4 log2(|d| + 1) bits.
    let one = 1 << BITS_OF_RATE;
    if difference == 0 { one * 3 / 4 } else { one + log * 7 / 4 }
}
