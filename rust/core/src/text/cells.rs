//! How often each branch was taken at a node of the code in a context: [`Counts`] while a model is fitted, [`Cells`] ever after.

use std::hint::black_box;

use crate::Error;
use crate::entropy::mixing::log2;
use crate::error::try_vec;

use super::contexts::{N_CONTEXTS, hash};

/// Cells of a bucket, all of which are compared with a key at once.
const CELLS_PER_BUCKET: usize = 8;

const BUCKETS_PER_LINE: usize = 4;

/// Cells of a line.
pub(super) const CELLS_PER_LINE: usize = CELLS_PER_BUCKET * BUCKETS_PER_LINE;

/// Bits of a cell that say how often which branch was taken; the others are a check.
pub(super) const LEVEL_BITS: u32 = 5;

/// Levels, 0 for a cell that does not exist.
pub(super) const N_LEVELS: usize = 1 << LEVEL_BITS;

/// The level of branches that were taken equally often.
pub(super) const MIDDLE: usize = N_LEVELS / 2;

/// Logits of the levels from [`MIDDLE`] up, in hundredths; those below are the negatives.
const LOGITS: [i32; MIDDLE] = [0, 36, 75, 110, 147, 175, 204, 240, 275, 320, 370, 430, 500, 580, 680, 810];

/// The largest count of a branch.
const MAX_COUNT: u64 = (1 << COUNT_BITS) - 1;

const COUNT_BITS: u32 = 12;

/// Where no cell is.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Levels of the tree that make a block: the at most seven nodes whose cells are kept near each other, which cost one cache miss.
pub(super) const BLOCK_DEPTH: usize = 3;

/// The keys of the nodes of a block in every context.
pub(super) struct Block {
    keys: [u64; N_CONTEXTS],
    /// 1 for the first node of the block; `2 i` and `2 i + 1` are below node `i`.
    place: u64,
}

impl Block {
    /// The block that begins at `node`.
    #[inline]
    pub(super) fn new(contexts: &[u64; N_CONTEXTS], node: u16) -> Self {
        Block { keys: contexts.map(|context| hash(context, u64::from(node) + 1)), place: 1 }
    }

    /// Goes on to a node below.
    #[inline]
    pub(super) fn descend(&mut self, bit: bool) {
        self.place = self.place << 1 | u64::from(bit);
    }

    /// The key of the current node in every context. All keys of a block have the upper half in common.
    #[inline]
    pub(super) fn keys(&self) -> [u64; N_CONTEXTS] {
        let place = (self.place * 0x9E37_79B9) & u64::from(u32::MAX);
        self.keys.map(|key| key ^ place)
    }
}

/// The logit of a level, of 2^16.
pub(super) fn logit_of_level(level: usize) -> i32 {
    match level {
        0 => 0,
        _ => {
            let logit = (LOGITS[level.abs_diff(MIDDLE).min(MIDDLE - 1)] << 16) / 100;
            if level < MIDDLE { -logit } else { logit }
        }
    }
}

/// The level of counts.
pub(super) struct Levels {
    /// Logarithms of a count and 0.3, of 2^16.
    logs: Vec<i32>,
    /// Levels of every eighth of a logit.
    levels: Vec<u8>,
}

impl Levels {
    const MOST: i32 = 16;

    pub(super) fn new() -> Result<Self, Error> {
        let mut logs = try_vec(0, MAX_COUNT as usize + 1)?;
        for (count, log) in logs.iter_mut().enumerate() {
            // ln(count + 3 / 10), by binary logarithms and ln(2).
            *log = (((log2(10 * count as u64 + 3) - log2(10)) * 45_426) >> 16) as i32;
        }
        let mut levels = try_vec(0, 16 * Self::MOST as usize)?;
        for (index, level) in levels.iter_mut().enumerate() {
            let logit = ((2 * index as i32 + 1) << 12) - (Self::MOST << 16);
            let nearest = (1..N_LEVELS).min_by_key(|level| logit_of_level(*level).abs_diff(logit));
            *level = nearest.unwrap_or(MIDDLE) as u8;
        }
        Ok(Levels { logs, levels })
    }

    /// The level of a node whose branches were taken this often, 0 if neither was.
    #[inline]
    pub(super) fn level(&self, [zeros, ones]: [u16; 2]) -> u8 {
        if zeros == 0 && ones == 0 {
            return 0;
        }
        let logit = self.logs[usize::from(ones)] - self.logs[usize::from(zeros)];
        self.levels[((logit + (Self::MOST << 16)) >> 13) as usize]
    }
}

/// Counts of branches, in a table with open addressing.
///
/// ```text
/// bit   63 ............. 24 | 23 ...... 12 | 11 ....... 0
///       key (never 0)       | zeros        | ones           0 for a free slot
///
/// A cell is in the line of eight slots that its upper bits name, or after it.
/// ```
pub(super) struct Counts {
    lines: Vec<Slots>,
    /// Slots are 2^bits.
    bits: u32,
    max_bits: u32,
    n_used: usize,
}

/// A cache line.
#[derive(Clone)]
#[repr(align(64))]
struct Slots([u64; SLOTS_PER_LINE]);

const SLOTS_PER_LINE: usize = 8;

impl Counts {
    /// A table that grows up to `2^max_bits` slots. Then the least frequent cells are dropped.
    pub(super) fn new(max_bits: u32) -> Result<Self, Error> {
        let bits = max_bits.min(16);
        Ok(Counts { lines: Counts::lines(bits)?, bits, max_bits, n_used: 0 })
    }

    fn lines(bits: u32) -> Result<Vec<Slots>, Error> {
        try_vec(Slots([0; SLOTS_PER_LINE]), (1 << bits) / SLOTS_PER_LINE)
    }

    #[inline]
    fn cell(&self, slot: usize) -> u64 {
        self.lines[slot / SLOTS_PER_LINE].0[slot % SLOTS_PER_LINE]
    }

    /// The first slot of the line of a key.
    #[inline]
    fn line(&self, key: u64) -> usize {
        (key >> (64 - self.bits)) as usize / SLOTS_PER_LINE * SLOTS_PER_LINE
    }

    /// Where the cell of a key is, or where it could be.
    #[inline]
    fn slot(&self, key: u64) -> usize {
        let mut slot = self.line(key) + (key >> (2 * COUNT_BITS)) as usize % SLOTS_PER_LINE;
        while self.cell(slot) != 0 && (self.cell(slot) ^ key) >> (2 * COUNT_BITS) != 0 {
            slot = (slot + 1) & ((1 << self.bits) - 1);
        }
        slot
    }

    /// Loads the lines of a block into the cache, all at once, since what follows loads one after the other.
    #[inline]
    pub(super) fn load(&self, block: &Block) {
        black_box(block.keys.iter().fold(0, |sum, key| sum ^ self.cell(self.line(*key))));
    }

    /// A key with the bits that are kept.
    #[inline]
    fn kept(key: u64) -> u64 {
        (key & (u64::MAX << (2 * COUNT_BITS))).max(1 << (2 * COUNT_BITS))
    }

    /// Where a cell is, or [`NOWHERE`].
    #[inline]
    pub(super) fn find(&self, key: u64) -> u32 {
        let slot = self.slot(Self::kept(key));
        if self.cell(slot) == 0 { NOWHERE } else { slot as u32 }
    }

    /// Counts a branch of the cell of a key.
    #[inline]
    pub(super) fn add(&mut self, key: u64, bit: bool) -> Result<(), Error> {
        let key = Self::kept(key);
        let slot = self.slot(key);
        if self.cell(slot) == 0 {
            self.lines[slot / SLOTS_PER_LINE].0[slot % SLOTS_PER_LINE] = key;
            self.n_used += 1;
        }
        self.put_back(slot as u32, bit);
        if self.n_used > (1 << self.bits) / 8 * 7 { self.make_room() } else { Ok(()) }
    }

    #[inline]
    fn cell_mut(&mut self, slot: u32) -> Option<&mut u64> {
        let slot = slot as usize;
        self.lines.get_mut(slot / SLOTS_PER_LINE).map(|line| &mut line.0[slot % SLOTS_PER_LINE])
    }

    /// Counts a branch of a cell.
    #[inline]
    pub(super) fn put_back(&mut self, slot: u32, bit: bool) {
        if let Some(cell) = self.cell_mut(slot) {
            let shift = if bit { 0 } else { COUNT_BITS };
            if (*cell >> shift) & MAX_COUNT == MAX_COUNT {
                // Halve both.
                let halves = (*cell >> 1) & (MAX_COUNT >> 1 | MAX_COUNT >> 1 << COUNT_BITS);
                *cell = *cell & (u64::MAX << (2 * COUNT_BITS)) | halves;
            }
            *cell += 1 << shift;
        }
    }

    /// Takes a branch back that was counted.
    #[inline]
    pub(super) fn take_out(&mut self, slot: u32, bit: bool) {
        if let Some(cell) = self.cell_mut(slot) {
            let shift = if bit { 0 } else { COUNT_BITS };
            if (*cell >> shift) & MAX_COUNT > 0 {
                *cell -= 1 << shift;
            }
        }
    }

    /// Zeros and ones of a cell.
    #[inline]
    pub(super) fn get(&self, slot: u32) -> [u16; 2] {
        self.lines
            .get(slot as usize / SLOTS_PER_LINE)
            .map_or([0; 2], |line| counts_of(line.0[slot as usize % SLOTS_PER_LINE]))
    }

    /// Keys and counts of all cells, in the order of the slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, [u16; 2])> {
        let cells = self.lines.iter().flat_map(|line| line.0);
        cells.filter(|cell| *cell != 0).map(|cell| (cell, counts_of(cell)))
    }

    #[cold]
    fn make_room(&mut self) -> Result<(), Error> {
        let mut least = 1;
        if self.bits < self.max_bits {
            self.bits += 1;
        } else {
            // Until half of the table is free.
            loop {
                least *= 2;
                if self.iter().filter(|cell| sum(cell.1) >= least).count() <= (1 << self.bits) / 2 {
                    break;
                }
            }
        }
        let old = std::mem::replace(&mut self.lines, Counts::lines(self.bits)?);
        self.n_used = 0;
        for cell in old.into_iter().flat_map(|line| line.0).filter(|cell| *cell != 0) {
            if sum(counts_of(cell)) >= least {
                let slot = self.slot(cell);
                self.lines[slot / SLOTS_PER_LINE].0[slot % SLOTS_PER_LINE] = cell;
                self.n_used += 1;
            }
        }
        Ok(())
    }
}

/// How often a node was met.
#[inline]
pub(super) fn sum([zeros, ones]: [u16; 2]) -> usize {
    usize::from(zeros) + usize::from(ones)
}

#[inline]
fn counts_of(cell: u64) -> [u16; 2] {
    [((cell >> COUNT_BITS) & MAX_COUNT) as u16, (cell & MAX_COUNT) as u16]
}

/// The levels of cells: lines of four buckets of eight cells, each cell with some bits of its key.
///
/// ```text
/// bit of a key    63 ............... 37 | 36 ...... 26 | 25 24  | 23 ... 0
///                 line                  | check        | bucket |
/// bit of a cell   15 .... 5 | 4 ... 0
///                 check     | level            0 if there is none
/// ```
///
/// Line `i` of `n` has the keys whose upper 32 bits, times `n`, are from `2^32 i` on.
pub(super) struct Cells {
    lines: Vec<Line>,
}

/// A cache line.
#[derive(Clone)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [[u16; CELLS_PER_BUCKET]; BUCKETS_PER_LINE]);

impl Cells {
    /// Lines without cells.
    pub(super) fn new(n_lines: usize) -> Result<Self, Error> {
        Ok(Cells { lines: try_vec(Line([[0; CELLS_PER_BUCKET]; BUCKETS_PER_LINE]), n_lines)? })
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// All values of a cell are valid.
    pub(super) fn lines_mut(&mut self) -> &mut [Line] {
        &mut self.lines
    }

    /// Line, bucket and check of a key.
    #[inline]
    fn place(&self, key: u64) -> (usize, usize, u16) {
        let line = ((key >> 32) * self.lines.len() as u64) >> 32;
        let bucket = (key >> 24) as usize % BUCKETS_PER_LINE;
        (line as usize, bucket, (key >> 26) as u16 & (u16::MAX >> LEVEL_BITS))
    }

    /// The level of the cell of a key, 0 if there is none.
    #[inline]
    pub(super) fn level(&self, key: u64) -> u8 {
        let (line, bucket, check) = self.place(key);
        let mut level = 0;
        for cell in self.lines[line].0[bucket] {
            level |= if cell >> LEVEL_BITS == check { cell } else { 0 };
        }
        level as u8 & (N_LEVELS as u8 - 1)
    }

    /// Adds a cell where its bucket has room. A check that is there already keeps its level.
    pub(super) fn insert(&mut self, key: u64, level: u8) {
        let (line, bucket, check) = self.place(key);
        for cell in &mut self.lines[line].0[bucket] {
            if *cell == 0 {
                *cell = check << LEVEL_BITS | u16::from(level);
                return;
            }
            if *cell >> LEVEL_BITS == check {
                return;
            }
        }
    }
}
