//! Iterated local search: iterated conditional modes (ICM), random changes, and ICM again; a change that does not lower the
//! error is taken back.
//!
//! ICM gives one codebook after the other the codeword with the smallest sum of its unary and pairwise entries. These are
//! 16-bit numbers in which a sum saturates: the smallest entry of each row is subtracted, which changes no comparison, and
//! the scale of a codebook leaves room for the sums of all its ranges. Halving a table doubles the speed, and its rounding only matters where two
//! codewords are almost equally good; errors, by which changes are kept, are computed in float32 from the vectors.
//!
//! The rows of a tile take a codebook together, 64 codewords after the other, so that the lines that they choose from (for eight
//! codebooks of 256 codewords, 224 KB) stay in the second-level cache. A row whose other codes have not changed since is left out.

use std::ops::Range;

use super::operand::{Operand, check, copy_padded};
use super::{Best, Candidates, ENTRIES_PER_LINE, LANES, Line, ROWS_PER_GROUP, improve, squared_error};
use crate::adc::{Codebooks, Vectors};
use crate::error::{try_collect, try_resize, try_vec};
use crate::{Error, Level, Run};

/// Rows of a tile, at most: enough that each line in the cache is used several times.
const ROWS_PER_TILE: usize = 4096;

/// How long to search, and where to begin.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Whether the search begins with the given codes; else it begins with the best codeword of each codebook given those before.
    pub resume: bool,
    /// Random changes that are tried, each followed by ICM.
    pub n_iterations: usize,
    /// Passes of ICM over all codebooks.
    pub n_passes: usize,
    /// Codes that are changed at random.
    pub n_changes: usize,
    /// Of the random numbers, which depend on it, the vector and the iteration only.
    pub seed: u64,
}

/// Pairwise entries in 16 bits, and the scales of the codebooks.
struct Pairs {
    /// `[book][line][other][codeword of other]`, without the book itself among the others.
    lines: Vec<Line>,
    scales: Vec<f32>,
    n_books: usize,
    n_codewords: usize,
}

impl Pairs {
    fn new(operand: &Operand, run: &Run<'_>) -> Result<Self, Error> {
        let (n_books, n_codewords) = (operand.n_books, operand.n_codewords);
        let n_lines = n_codewords.div_ceil(ENTRIES_PER_LINE);
        let per_line = (n_books - 1) * n_codewords;
        let mut lines = try_vec(Line([0; ENTRIES_PER_LINE]), n_books * n_lines * per_line)?;
        let mut scales = try_vec(0.0, n_books)?;
        let mut parts = try_collect(scales.iter_mut().map(|scale| (scale, Default::default())))?;
        if per_line > 0 {
            parts = try_collect(scales.iter_mut().zip(lines.chunks_exact_mut(n_lines * per_line)))?;
        }
        let words = n_books * per_line * operand.width() * operand.n_dims / 4;
        let level = run.level();
        let new_rows = || Ok(Vec::new());
        run.for_words(words).for_each_part(
            parts,
            new_rows,
            |rows, book, (scale, lines): (&mut f32, &mut [Line])| {
                try_resize(rows, per_line * n_codewords, 0.0_f32)?;
                let others = (0..n_books).filter(|other| *other != book).enumerate();
                let mut range = operand.largest_square(book) * 4.0; // the squared distance of two codewords, at most
                for (index, other) in others {
                    let rows = &mut rows[index * n_codewords * n_codewords..][..n_codewords * n_codewords];
                    let mut largest = 0.0_f32;
                    operand.pairs(level, book, other, |codeword, entries| {
                        let row = &mut rows[codeword * n_codewords..][..n_codewords];
                        largest = largest.max(copy_above_least(&entries[..n_codewords], row));
                    })?;
                    range += largest;
                }
                *scale = if range > 0.0 { f32::from(u16::MAX) / (2.0 * range) } else { 0.0 };
                for (index, row) in rows.chunks_exact(n_codewords).enumerate() {
                    for (line, entries) in row.chunks(ENTRIES_PER_LINE).enumerate() {
                        quantize(entries, *scale, &mut lines[line * per_line + index]);
                    }
                }
                Ok(())
            },
        )?;
        Ok(Pairs { lines, scales, n_books, n_codewords })
    }

    /// The entries of a line of a codebook, for each codeword of each other codebook.
    fn of(&self, book: usize, line: usize) -> &[Line] {
        let len = (self.n_books - 1) * self.n_codewords;
        &self.lines[(book * self.n_codewords.div_ceil(ENTRIES_PER_LINE) + line) * len..][..len]
    }
}

/// Copies entries less the smallest of them, and returns the largest difference.
fn copy_above_least(entries: &[f32], out: &mut [f32]) -> f32 {
    let least = entries.iter().fold(f32::INFINITY, |least, entry| least.min(*entry));
    let mut largest = 0.0_f32;
    for (out, entry) in out.iter_mut().zip(entries) {
        *out = entry - least;
        largest = largest.max(*out);
    }
    largest
}

/// Entries in steps of `1 / scale`, rounded; those beyond 16 bits are the largest.
fn quantize(entries: &[f32], scale: f32, line: &mut Line) {
    for (out, entry) in line.0.iter_mut().zip(entries) {
        *out = (entry * scale + 0.5) as u16;
    }
}

/// The buffers of a worker.
#[derive(Default)]
struct Tile {
    /// The vectors, padded, in whole groups.
    x: Vec<f32>,
    /// A group of unary entries, in float.
    group: Vec<f32>,
    /// `[book][line][row]`.
    unaries: Vec<Line>,
    hashes: Vec<u64>,
    best: Vec<Best>,
    /// One bit per codebook that may have a better codeword now.
    pending: Vec<u64>,
    rows: Vec<u32>,
    before: Vec<u8>,
    others: Vec<(usize, usize)>,
    order: Vec<usize>,
}

/// Improves the code of each vector, or finds one, and writes its squared error.
///
/// # Errors
/// [`Error::Mismatch`] if vectors and codebooks differ in dimensions, [`Error::Range`] with too many codebooks, [`Error::Value`] if a
/// vector is not finite or a given code names no codeword, [`Error::Length`] if `codes` does not have an element per vector and codebook or
/// `errors` one per vector, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn local_search(
    x: Vectors<'_>,
    codebooks: Codebooks<'_>,
    search: Search,
    codes: &mut [u8],
    errors: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    check(x, codebooks, codes, errors)?;
    let operand = Operand::new(codebooks)?;
    let pairs = Pairs::new(&operand, run)?;
    let n_books = operand.n_books;
    let n_rows = x.n_rows().div_ceil(run.threads()).clamp(ROWS_PER_GROUP, ROWS_PER_TILE);
    let parts = codes.chunks_mut(n_rows * n_books).zip(errors.chunks_mut(n_rows));
    let words = x.n_rows().saturating_mul(n_books * operand.n_codewords * operand.n_dims) / 8;
    let level = run.level();
    run.for_words(words).for_each_part(
        parts,
        || Ok(Tile::default()),
        |tile, task, (codes, errors)| {
            let first = task * n_rows;
            let rows = first..first + errors.len();
            x.check_finite(rows.clone())?;
            if search.resume {
                operand.check_codes(codes, first)?;
            }

            tile.load(&operand, &pairs, x, rows, search.seed, level)?;
            tile.search(&operand, &pairs, search, codes, errors, level)
        },
    )?;
    Ok(())
}

impl Tile {
    /// Takes some vectors and computes their unary entries.
    fn load(
        &mut self,
        operand: &Operand,
        pairs: &Pairs,
        x: Vectors<'_>,
        rows: Range<usize>,
        seed: u64,
        level: Level,
    ) -> Result<(), Error> {
        let (n_dims, width, n_rows) = (operand.n_dims, operand.width(), rows.len());
        let n_padded = n_rows.next_multiple_of(ROWS_PER_GROUP);
        let n_lines = operand.n_codewords.div_ceil(ENTRIES_PER_LINE);
        try_resize(&mut self.x, n_padded * n_dims, 0.0)?;
        try_resize(&mut self.group, ROWS_PER_GROUP * width, 0.0)?;
        self.unaries.clear();
        try_resize(
            &mut self.unaries,
            operand.n_books * n_lines * n_rows,
            Line([u16::MAX; ENTRIES_PER_LINE]),
        )?;
        self.hashes.clear();
        self.hashes.try_reserve(n_rows)?;
        for (row, padded) in self.x.chunks_exact_mut(n_dims).take(n_rows).enumerate() {
            let values = x.part(rows.start + row, 0, x.n_dims());
            copy_padded(values, padded);
            self.hashes.push(values.iter().fold(seed, |hash, value| {
                // Zero has no sign here.
                (hash ^ u64::from((value + 0.0).to_bits()))
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .rotate_left(29)
            }));
        }
        for (index, group) in self.x[..n_padded * n_dims].chunks_exact(ROWS_PER_GROUP * n_dims).enumerate() {
            for book in 0..operand.n_books {
                operand.unaries(level, group, book, &mut self.group);
                let rows = self.group.chunks_exact_mut(width);
                for (row, entries) in (index * ROWS_PER_GROUP..n_rows).zip(rows) {
                    let entries = &mut entries[..operand.n_codewords];
                    let least = entries.iter().fold(f32::INFINITY, |least, entry| least.min(*entry));
                    entries.iter_mut().for_each(|entry| *entry -= least);
                    for (line, entries) in entries.chunks(ENTRIES_PER_LINE).enumerate() {
                        let unaries = &mut self.unaries[(book * n_lines + line) * n_rows + row];
                        quantize(entries, pairs.scales[book], unaries);
                    }
                }
            }
        }
        Ok(())
    }

    fn search(
        &mut self,
        operand: &Operand,
        pairs: &Pairs,
        search: Search,
        codes: &mut [u8],
        errors: &mut [f32],
        level: Level,
    ) -> Result<(), Error> {
        let (n_books, n_rows) = (operand.n_books, errors.len());
        self.best.clear();
        try_resize(&mut self.best, n_rows, Best { sum: 0, codeword: 0 })?;
        try_resize(&mut self.pending, n_rows, 0)?;
        self.rows.clear();
        self.rows.try_reserve(n_rows)?;
        self.others.try_reserve(n_books)?;
        self.before.clear();
        try_resize(&mut self.before, codes.len(), 0)?;
        self.order.clear();
        self.order.try_reserve(n_books)?;
        self.order.extend(0..n_books);
        let all = u64::MAX >> (64 - n_books);
        if !search.resume {
            codes.fill(0);
            self.pending[..n_rows].fill(all);
            for book in 0..n_books {
                self.update(pairs, book, book, codes, level);
            }
            self.pending[..n_rows].fill(all);
            self.passes(pairs, search.n_passes, codes, level);
        }
        for (row, error) in errors.iter_mut().enumerate() {
            *error = self.error(operand, row, &codes[row * n_books..][..n_books], level);
        }
        for iteration in 0..search.n_iterations as u64 {
            self.before.copy_from_slice(codes);
            let mut random = Random(search.seed ^ mixed(iteration));
            for index in (1..n_books).rev() {
                self.order.swap(index, random.below(index + 1));
            }
            for (code, hash) in codes.chunks_exact_mut(n_books).zip(&self.hashes) {
                change(code, search.n_changes, operand.n_codewords, Random(hash ^ mixed(!iteration)));
            }
            self.pending[..n_rows].fill(all);
            self.passes(pairs, search.n_passes, codes, level);
            for (row, error) in errors.iter_mut().enumerate() {
                let (code, before) = (row * n_books..(row + 1) * n_books, &mut self.before);
                if codes[code.clone()] == before[code.clone()] {
                    continue;
                }
                let changed = self.error(operand, row, &codes[code.clone()], level);
                if changed < *error {
                    *error = changed;
                } else {
                    codes[code.clone()].copy_from_slice(&self.before[code]);
                }
            }
        }
        Ok(())
    }

    fn error(&self, operand: &Operand, row: usize, code: &[u8], level: Level) -> f32 {
        let (x, _) = self.x[row * operand.n_dims..][..operand.n_dims].as_chunks::<LANES>();
        squared_error(level, x, operand.codewords_of(code))
    }

    fn passes(&mut self, pairs: &Pairs, n_passes: usize, codes: &mut [u8], level: Level) {
        for _ in 0..n_passes {
            for index in 0..pairs.n_books {
                self.update(pairs, self.order[index], pairs.n_books, codes, level);
            }
        }
    }

    /// Gives the pending rows the best codeword of a codebook, given those of the first `n_known` codebooks.
    fn update(&mut self, pairs: &Pairs, book: usize, n_known: usize, codes: &mut [u8], level: Level) {
        let (n_books, n_codewords, n_rows) = (pairs.n_books, pairs.n_codewords, codes.len() / pairs.n_books);
        self.rows.clear();
        for (row, pending) in self.pending[..n_rows].iter_mut().enumerate() {
            if *pending >> book & 1 == 1 {
                *pending &= !(1 << book);
                self.rows.push(row as u32);
                let codeword = codes[row * n_books + book].into();
                self.best[row] = Best { sum: u16::MAX, codeword };
            }
        }
        self.others.clear();
        let others = (0..n_books).filter(|other| *other != book).enumerate();
        self.others.extend(
            others.filter(|(_, other)| *other < n_known).map(|(index, other)| (index * n_codewords, other)),
        );
        let n_lines = n_codewords.div_ceil(ENTRIES_PER_LINE);
        for line in 0..n_lines {
            let candidates = Candidates {
                first: line * ENTRIES_PER_LINE,
                unaries: &self.unaries[(book * n_lines + line) * n_rows..][..n_rows],
                pairs: pairs.of(book, line),
                others: &self.others,
                codes,
                n_books,
                rows: &self.rows,
            };
            improve(level, &candidates, &mut self.best);
        }
        for &row in &self.rows {
            let (code, best) = (&mut codes[row as usize * n_books + book], self.best[row as usize]);
            if u16::from(*code) != best.codeword {
                *code = best.codeword as u8;
                self.pending[row as usize] |= !(1 << book);
            }
        }
    }
}

/// Gives some random codewords to different codebooks.
fn change(code: &mut [u8], n_changes: usize, n_codewords: usize, mut random: Random) {
    let n_books = code.len();
    let mut left = n_changes.min(n_books);
    for (book, code) in code.iter_mut().enumerate() {
        // Each set of codebooks is equally likely.
        if random.below(n_books - book) < left {
            left -= 1;
            *code = random.below(n_codewords) as u8;
        }
    }
}

/// A word in which every bit depends on all of the given one (splitmix64: Steele, Lea and Flood, OOPSLA 2014).
fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Random numbers: a counter, mixed.
struct Random(u64);

impl Random {
    /// An integer from 0 to `limit - 1`; `limit` is at least 1.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (((mixed(self.0) >> 32) * limit as u64) >> 32) as usize
    }
}
