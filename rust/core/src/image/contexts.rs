//! What is known about a coefficient before it is coded: sizes of coefficients around it in its own band, in the bands of the same
//! place and level, in the next coarser level, and in the channels before its own.

use super::grid::{Grid, PAD};
use super::model::{Lines, Model, N_CONTEXTS};
use crate::Error;
use crate::error::try_vec;

/// Kinds of bands: LL, and three for each level.
pub(super) const N_BANDS: usize = 1 + 3 * super::N_LEVELS;

/// Steps of the finest scale of sizes.
const FINE: usize = 18;

/// Steps of the middle scale.
const MIDDLE: usize = 12;

/// Steps of the coarse scale.
const COARSE: usize = 6;

/// Steps of the scale of all sizes together.
const TOTAL: usize = 42;

/// Lines of counters of each context in a band of a channel.
const N_LINES: [usize; N_CONTEXTS] = [
    FINE,
    COARSE * COARSE * COARSE,
    COARSE * MIDDLE,
    COARSE * MIDDLE,
    COARSE * MIDDLE,
    TOTAL,
    COARSE * COARSE * COARSE,
    COARSE * COARSE,
];

/// Lines of counters of a band of a channel.
const LINES_OF_BAND: usize = {
    let (mut sum, mut index) = (0, 0);
    while index < N_CONTEXTS {
        sum += N_LINES[index];
        index += 1;
    }
    sum
};

/// Sets of weights of the kinds of decisions in a band of a channel.
const KINDS_OF_WEIGHTS: usize = 4;

/// Sums of sizes that the scales tell apart.
const N_SUMS: usize = 4096;

/// Sums of sizes to the steps of a scale.
struct Scale(Vec<u8>);

impl Scale {
    /// The scale whose step `k` ends after `ends[k]`.
    fn new(ends: &[usize]) -> Result<Self, Error> {
        let mut steps = try_vec(0, N_SUMS)?;
        for (sum, step) in steps.iter_mut().enumerate() {
            *step = ends.iter().filter(|end| sum > **end).count() as u8;
        }
        Ok(Scale(steps))
    }

    #[inline(always)]
    fn step(&self, sum: u16) -> usize {
        usize::from(self.0[usize::from(sum).min(N_SUMS - 1)])
    }
}

/// What is known about a coefficient before its row: sums of sizes, and the steps of those that are contexts by themselves.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Sizes north-west, north and north-east.
    above: [u8; 3],
    /// The weighted sum of the sizes above.
    near: u16,
    /// The weighted sum of all sizes that are known.
    all: u16,
    parent: u8,
    parent_coarse: u8,
    sisters: u8,
    far_coarse: u8,
    /// The other channels at the same place, from 0 to 2.
    others_few: u8,
    /// Those of the other channels, or, for the first one, the farther ones of its own band.
    others: u8,
    /// Those of the parent and the other bands and channels at the same place.
    same_place: u8,
}

/// Contexts of the coefficients of one row after the other.
pub(super) struct Contexts {
    fine: Scale,
    middle: Scale,
    coarse: Scale,
    total: Scale,
    row: Vec<Known>,
}

/// The band that is coded.
#[derive(Clone, Copy)]
pub(super) struct Band {
    /// 0 for LL, then three for each level from the finest one.
    pub(super) index: usize,
    pub(super) channel: usize,
}

impl Band {
    /// 0 for LL, 1 for HL, 2 for LH, 3 for HH.
    pub(super) fn orientation(self) -> usize {
        if self.index == 0 { 0 } else { (self.index - 1) % 3 + 1 }
    }

    /// The band of the next coarser level, except for LL and those beside it.
    pub(super) fn parent(self) -> Option<usize> {
        (self.index > 0 && self.level() < super::N_LEVELS).then_some(self.index + 3)
    }

    /// 1 for the finest level.
    pub(super) fn level(self) -> usize {
        if self.index == 0 { super::N_LEVELS } else { (self.index - 1) / 3 + 1 }
    }
}

/// Sizes around a place of another band or channel.
struct Around<'a> {
    rows: [&'a [u8]; 3],
    width: usize,
}

impl<'a> Around<'a> {
    /// Around row `y`; sides of bands of a level differ by at most one.
    fn new(grid: &'a Grid, y: usize) -> Self {
        let y = y.min(grid.height) + PAD;
        Around { rows: [y - 1, y, y + 1].map(|y| grid.sizes(y)), width: grid.width }
    }

    #[inline(always)]
    fn size(&self, row: usize, x: usize, offset: usize) -> u16 {
        u16::from(self.rows[row][x.min(self.width) + PAD - 1 + offset])
    }

    #[inline(always)]
    fn here(&self, x: usize) -> u16 {
        self.size(1, x, 1)
    }

    #[inline(always)]
    fn edges(&self, x: usize) -> u16 {
        self.size(0, x, 1) + self.size(1, x, 0) + self.size(1, x, 2) + self.size(2, x, 1)
    }

    #[inline(always)]
    fn corners(&self, x: usize) -> u16 {
        self.size(0, x, 0) + self.size(0, x, 2) + self.size(2, x, 0) + self.size(2, x, 2)
    }
}

/// The contexts of a coefficient, and the sets of weights of its first decision.
pub(super) struct Place {
    pub(super) lines: Lines,
    pub(super) sets: [usize; 2],
}

impl Place {
    /// The sets of weights of a decision of this kind about a size.
    #[inline(always)]
    pub(super) fn sets_of(&self, kind: usize) -> [usize; 2] {
        self.sets.map(|set| set + kind.min(KINDS_OF_WEIGHTS - 1))
    }
}

impl Contexts {
    /// Lines of counters of a model.
    pub(super) const N_LINES: usize = LINES_OF_BAND * N_BANDS * super::MAX_CHANNELS;

    /// Sets of weights of a model.
    pub(super) const N_SETS: usize = (N_BANDS * super::MAX_CHANNELS + COARSE * COARSE * 3) * KINDS_OF_WEIGHTS;

    pub(super) fn new(unit: usize) -> Result<Self, Error> {
        let scaled = |ends: &[usize]| {
            let ends: Vec<usize> = ends.iter().map(|end| if *end < 2 { *end } else { end * unit }).collect();
            Scale::new(&ends)
        };
        let fine = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 19, 24, 30, 40, 55, 80];
        // Steps of about a fifth.
        let mut total = vec![0_usize];
        while total.len() < TOTAL - 1 {
            let last = total[total.len() - 1];
            total.push(last + 1 + last / 5);
        }
        Ok(Contexts {
            fine: scaled(&fine)?,
            middle: scaled(&fine[..MIDDLE - 1])?,
            coarse: scaled(&[0, 1, 2, 4, 8])?,
            total: scaled(&total)?,
            row: Vec::new(),
        })
    }

    /// Lets a band begin with what was learned in one like it: of the next coarser level, or of the other difference of colours.
    pub(super) fn begin_band(model: &mut Model, band: Band) {
        let from = match band.channel {
            2 => Some(Band { channel: 1, ..band }),
            _ => band.parent().map(|index| Band { index, ..band }),
        };
        if let Some(from) = from {
            let first = |band: Band| {
                let place = band.channel * N_BANDS + band.index;
                (place * LINES_OF_BAND, place * KINDS_OF_WEIGHTS)
            };
            model.inherit(first(from), first(band), LINES_OF_BAND, KINDS_OF_WEIGHTS);
        }
    }

    /// Prepares the contexts of row `y` of a band.
    #[inline(always)]
    pub(super) fn begin_row(&mut self, grids: &[Vec<Grid>], band: Band, y: usize) -> Result<(), Error> {
        let Contexts { middle, coarse, row, .. } = self;
        let of_channel = &grids[band.channel];
        let grid = &of_channel[band.index];
        row.clear();
        row.try_reserve(grid.width)?;
        row.resize(grid.width, Known::default());

        let parent = band.parent().map(|parent| Around::new(&of_channel[parent], y / 2));
        let sisters = [1, 2]
            .map(|back| (back < band.orientation()).then(|| Around::new(&of_channel[band.index - back], y)));
        let others = [0, 1]
            .map(|channel| (channel < band.channel).then(|| Around::new(&grids[channel][band.index], y)));
        let [n, nn, nnn] = [1, 2, 3].map(|back| grid.sizes(y + PAD - back));
        let size = |sizes: &[u8], place: usize| u16::from(sizes[place]);
        for (x, known) in row.iter_mut().enumerate() {
            let at = x + PAD;
            known.above = [n[at - 1], n[at], n[at + 1]];
            known.near = 3 * size(n, at) + 2 * (size(n, at - 1) + size(n, at + 1)) + size(nn, at);
            let far = size(n, at - 2)
                + size(n, at + 2)
                + size(nn, at - 2)
                + size(nn, at - 1)
                + size(nn, at + 1)
                + size(nn, at + 2)
                + size(nnn, at);

            let (mut of_parent, mut parent_here) = (0, 0);
            if let Some(parent) = &parent {
                let (edges, corners) = (parent.edges(x / 2), parent.corners(x / 2));
                parent_here = parent.here(x / 2);
                of_parent = 3 * parent_here + edges + corners.div_ceil(2);
            }
            let (mut of_sisters, mut sisters_here) = (0, 0);
            for sister in sisters.iter().flatten() {
                sisters_here += sister.here(x);
                of_sisters += 2 * sister.here(x) + sister.edges(x);
            }
            let (mut others_here, mut others_near) = (0, 0);
            for (channel, other) in others.iter().flatten().enumerate() {
                others_here += (1 + channel as u16) * other.here(x);
                others_near += other.edges(x);
            }
            known.all = 2 * far + 3 * of_parent + 2 * of_sisters + 6 * others_here + 2 * others_near;
            known.parent = middle.step(of_parent) as u8;
            known.parent_coarse = coarse.step(of_parent / 3) as u8;
            known.sisters = middle.step(of_sisters) as u8;
            known.far_coarse = coarse.step(far.div_ceil(2)) as u8;
            known.others_few = others_here.min(2) as u8;
            let beside = if band.channel > 0 { 2 * coarse.step(others_near) } else { middle.step(far) };
            known.others = (coarse.step(others_here) * MIDDLE + beside) as u8;
            known.same_place =
                (coarse.step(parent_here) * COARSE + coarse.step(sisters_here + others_here)) as u8;
        }
        Ok(())
    }

    /// The contexts of a coefficient, from the sizes of the two before it in its row.
    #[inline(always)]
    pub(super) fn place(&self, band: Band, x: usize, [before, last]: [u8; 2]) -> Place {
        let known = &self.row[x];
        let [nw, n, ne] = known.above.map(u16::from);
        let w = u16::from(last);
        let near = known.near + 3 * w + u16::from(before);
        let coarse = self.coarse.step(near / 3);
        let some_near = if band.channel > 0 { usize::from(near > 2) } else { 0 };
        let step = |step: u8| usize::from(step);
        let local = [
            self.fine.step(near),
            (self.coarse.step(w) * COARSE + self.coarse.step(n)) * COARSE + self.coarse.step(nw + ne),
            coarse * MIDDLE + step(known.parent),
            coarse * MIDDLE + step(known.sisters),
            step(known.others) + some_near,
            self.total.step(4 * near + known.all),
            self.coarse.step(near / 4) * COARSE * COARSE + step(known.same_place),
            self.coarse.step((w + n).div_ceil(2)) * COARSE + step(known.far_coarse),
        ];
        let place = band.channel * N_BANDS + band.index;
        let mut lines = [0; N_CONTEXTS];
        let mut first = place * LINES_OF_BAND;
        for index in 0..N_CONTEXTS {
            lines[index] = (first + local[index]) as u32;
            first += N_LINES[index];
        }
        let sizes_set = (coarse * COARSE + step(known.parent_coarse)) * 3 + step(known.others_few);
        let sets = [place, N_BANDS * super::MAX_CHANNELS + sizes_set].map(|set| set * KINDS_OF_WEIGHTS);
        Place { lines, sets }
    }
}
