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

use super::changes::{change, hash, shuffle};
use super::operand::{Operand, check, copy_padded};
use super::{Best, Candidates, ENTRIES_PER_LINE, LANES, Line, ROWS_PER_GROUP, improve, squared_error};
use crate::adc::{Codebooks, Vectors};
use crate::error::{try_collect, try_resize, try_vec};
use crate::{Error, Level, Run};

/// Rows of a tile, at most: enough that each line in the cache is used several times.
const ROWS_PER_TILE: usize = 4096;

/// How long to search.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Random changes that are tried, each followed by ICM.
    pub n_iterations: usize,
    /// Passes of ICM over all codebooks.
    pub n_passes: usize,
    /// Codes that are changed at random.
    pub n_changes: usize,
    /// Of the random numbers, which depend on it, the vector and the iteration only.
    pub seed: u64,
}

/// What a search minimises, and the tables by which it gives a codebook its codeword.
pub(super) trait Objective: Copy + Send + Sync {
    /// Entries of some codewords, side by side.
    type Line: Copy + Send + Sync;
    /// The best codeword of a row so far.
    type Best: Copy + Send;

    const ENTRIES_PER_LINE: usize;
    /// Unary entries that no row chooses.
    const NO_ENTRIES: Self::Line;
    /// A `Best` to overwrite.
    const NO_BEST: Self::Best;

    /// What is subtracted from a row of entries.
    fn least(entries: &[f32]) -> f32;
    /// Entries as the kernels take them, in steps of `1 / scale` if they are integers.
    fn fill(line: &mut Self::Line, entries: &[f32], scale: f32);
    /// Twice the sum of the products of the codewords of a code, if that counts.
    fn product(&self, pairs: &Pairs<Self>, code: &[u8]) -> f32;
    /// The codeword that a code has, with the worst cost. `product` is that of the code.
    fn start(&self, pairs: &Pairs<Self>, book: usize, code: &[u8], product: f32) -> Self::Best;
    /// For each of the rows, takes the first of the best candidates if it is better than the best so far.
    fn improve(&self, level: Level, candidates: &Candidates<'_, Self::Line>, best: &mut [Self::Best]);
    /// The best codeword, and the product of the code with it.
    fn found(&self, best: Self::Best) -> (u8, f32);
    /// What is minimised, for a squared error and a product.
    fn cost(&self, error: f32, product: f32) -> f32;
}

/// The squared error.
#[derive(Clone, Copy)]
struct SquaredError;

impl Objective for SquaredError {
    type Line = Line;
    type Best = Best;

    const ENTRIES_PER_LINE: usize = ENTRIES_PER_LINE;
    const NO_ENTRIES: Line = Line([u16::MAX; ENTRIES_PER_LINE]);
    const NO_BEST: Best = Best { sum: u16::MAX, codeword: 0 };

    fn least(entries: &[f32]) -> f32 {
        entries.iter().fold(f32::INFINITY, |least, entry| least.min(*entry))
    }

    /// Those beyond 16 bits are the largest.
    fn fill(line: &mut Line, entries: &[f32], scale: f32) {
        for (out, entry) in line.0.iter_mut().zip(entries) {
            *out = (entry * scale + 0.5) as u16;
        }
    }

    fn product(&self, _: &Pairs<Self>, _: &[u8]) -> f32 {
        0.0
    }

    fn start(&self, _: &Pairs<Self>, book: usize, code: &[u8], _: f32) -> Best {
        Best { codeword: code[book].into(), ..Self::NO_BEST }
    }

    fn improve(&self, level: Level, candidates: &Candidates<'_, Line>, best: &mut [Best]) {
        improve(level, candidates, best);
    }

    fn found(&self, best: Best) -> (u8, f32) {
        (best.codeword as u8, 0.0)
    }

    fn cost(&self, error: f32, _: f32) -> f32 {
        error
    }
}

/// Pairwise entries, and the scales of the codebooks.
pub(super) struct Pairs<O: Objective> {
    /// `[book][line][other][codeword of other]`, without the book itself among the others.
    lines: Vec<O::Line>,
    scales: Vec<f32>,
    n_books: usize,
    n_codewords: usize,
}

impl<O: Objective> Pairs<O> {
    fn new(operand: &Operand, run: &Run<'_>) -> Result<Self, Error> {
        let (n_books, n_codewords) = (operand.n_books, operand.n_codewords);
        let n_lines = n_codewords.div_ceil(O::ENTRIES_PER_LINE);
        let per_line = (n_books - 1) * n_codewords;
        let mut lines = try_vec(O::NO_ENTRIES, n_books * n_lines * per_line)?;
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
            |rows, book, (scale, lines): (&mut f32, &mut [O::Line])| {
                try_resize(rows, per_line * n_codewords, 0.0_f32)?;
                let others = (0..n_books).filter(|other| *other != book).enumerate();
                let mut range = operand.largest_square(book) * 4.0; // the squared distance of two codewords, at most
                for (index, other) in others {
                    let rows = &mut rows[index * n_codewords * n_codewords..][..n_codewords * n_codewords];
                    let mut largest = 0.0_f32;
                    operand.pairs(level, book, other, |codeword, entries| {
                        let row = &mut rows[codeword * n_codewords..][..n_codewords];
                        let entries = &entries[..n_codewords];
                        let least = O::least(entries);
                        for (out, entry) in row.iter_mut().zip(entries) {
                            *out = entry - least;
                            largest = largest.max(*out);
                        }
                    })?;
                    range += largest;
                }
                *scale = if range > 0.0 { f32::from(u16::MAX) / (2.0 * range) } else { 0.0 };
                for (index, row) in rows.chunks_exact(n_codewords).enumerate() {
                    for (line, entries) in row.chunks(O::ENTRIES_PER_LINE).enumerate() {
                        O::fill(&mut lines[line * per_line + index], entries, *scale);
                    }
                }
                Ok(())
            },
        )?;
        Ok(Pairs { lines, scales, n_books, n_codewords })
    }

    /// The entries of a line of a codebook, for each codeword of each other codebook.
    fn of(&self, book: usize, line: usize) -> &[O::Line] {
        let len = (self.n_books - 1) * self.n_codewords;
        &self.lines[(book * self.n_codewords.div_ceil(O::ENTRIES_PER_LINE) + line) * len..][..len]
    }

    /// The lines with a codeword of a codebook, one for the codeword of each of the other codebooks with a lower number than `end`.
    pub fn with<'a>(&'a self, book: usize, end: usize, code: &'a [u8]) -> impl Iterator<Item = &'a O::Line> {
        let lines = self.of(book, usize::from(code[book]) / O::ENTRIES_PER_LINE);
        let others = code[..end].iter().enumerate().filter(move |(other, _)| *other != book).enumerate();
        others.map(|(index, (_, codeword))| &lines[index * self.n_codewords + usize::from(*codeword)])
    }
}

/// The buffers of a worker.
struct Tile<O: Objective> {
    objective: O,
    /// The vectors, padded, in whole groups.
    x: Vec<f32>,
    /// A group of unary entries, in float.
    group: Vec<f32>,
    /// `[book][line][row]`.
    unaries: Vec<O::Line>,
    hashes: Vec<u64>,
    /// Those of the codes during passes.
    products: Vec<f32>,
    best: Vec<O::Best>,
    /// One bit per codebook that may have a better codeword now.
    pending: Vec<u64>,
    rows: Vec<u32>,
    before: Vec<u8>,
    others: Vec<(usize, usize)>,
    order: Vec<usize>,
}

/// Improves the code of each vector, and writes its squared error.
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
    search_for(SquaredError, x, codebooks, search, codes, errors, run)
}

/// Improves the code of each vector, and writes its cost.
pub(super) fn search_for(
    objective: impl Objective,
    x: Vectors<'_>,
    codebooks: Codebooks<'_>,
    search: Search,
    codes: &mut [u8],
    costs: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    check(x, codebooks, codes, costs)?;
    let operand = Operand::new(codebooks)?;
    let pairs = Pairs::new(&operand, run)?;
    let n_books = operand.n_books;
    let n_rows = x.n_rows().div_ceil(run.threads()).clamp(ROWS_PER_GROUP, ROWS_PER_TILE);
    let parts = codes.chunks_mut(n_rows * n_books).zip(costs.chunks_mut(n_rows));
    let words = x.n_rows().saturating_mul(n_books * operand.n_codewords * operand.n_dims) / 8;
    let level = run.level();
    run.for_words(words).for_each_part(
        parts,
        || Ok(Tile::new(objective)),
        |tile, task, (codes, costs)| {
            let first = task * n_rows;
            let rows = first..first + costs.len();
            x.check_finite(rows.clone())?;
            operand.check_codes(codes, first)?;

            tile.load(&operand, &pairs, x, rows, search.seed, level)?;
            tile.search(&operand, &pairs, search, codes, costs, level)
        },
    )?;
    Ok(())
}

impl<O: Objective> Tile<O> {
    fn new(objective: O) -> Self {
        Tile {
            objective,
            x: Vec::new(),
            group: Vec::new(),
            unaries: Vec::new(),
            hashes: Vec::new(),
            products: Vec::new(),
            best: Vec::new(),
            pending: Vec::new(),
            rows: Vec::new(),
            before: Vec::new(),
            others: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Takes some vectors and computes their unary entries.
    fn load(
        &mut self,
        operand: &Operand,
        pairs: &Pairs<O>,
        x: Vectors<'_>,
        rows: Range<usize>,
        seed: u64,
        level: Level,
    ) -> Result<(), Error> {
        let (n_dims, width, n_rows) = (operand.n_dims, operand.width(), rows.len());
        let n_padded = n_rows.next_multiple_of(ROWS_PER_GROUP);
        let n_lines = operand.n_codewords.div_ceil(O::ENTRIES_PER_LINE);
        try_resize(&mut self.x, n_padded * n_dims, 0.0)?;
        try_resize(&mut self.group, ROWS_PER_GROUP * width, 0.0)?;
        self.unaries.clear();
        try_resize(&mut self.unaries, operand.n_books * n_lines * n_rows, O::NO_ENTRIES)?;
        self.hashes.clear();
        self.hashes.try_reserve(n_rows)?;
        for (row, padded) in self.x.chunks_exact_mut(n_dims).take(n_rows).enumerate() {
            let values = x.part(rows.start + row, 0, x.n_dims());
            copy_padded(values, padded);
            self.hashes.push(hash(seed, values));
        }
        for (index, group) in self.x[..n_padded * n_dims].chunks_exact(ROWS_PER_GROUP * n_dims).enumerate() {
            for book in 0..operand.n_books {
                operand.unaries(level, group, book, &mut self.group);
                let rows = self.group.chunks_exact_mut(width);
                for (row, entries) in (index * ROWS_PER_GROUP..n_rows).zip(rows) {
                    let entries = &mut entries[..operand.n_codewords];
                    let least = O::least(entries);
                    entries.iter_mut().for_each(|entry| *entry -= least);
                    for (line, entries) in entries.chunks(O::ENTRIES_PER_LINE).enumerate() {
                        let unaries = &mut self.unaries[(book * n_lines + line) * n_rows + row];
                        O::fill(unaries, entries, pairs.scales[book]);
                    }
                }
            }
        }
        Ok(())
    }

    fn search(
        &mut self,
        operand: &Operand,
        pairs: &Pairs<O>,
        search: Search,
        codes: &mut [u8],
        costs: &mut [f32],
        level: Level,
    ) -> Result<(), Error> {
        let (n_books, n_rows) = (operand.n_books, costs.len());
        try_resize(&mut self.best, n_rows, O::NO_BEST)?;
        try_resize(&mut self.products, n_rows, 0.0)?;
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
        for (row, cost) in costs.iter_mut().enumerate() {
            *cost = self.cost(operand, pairs, row, &codes[row * n_books..][..n_books], level);
        }
        // The first iteration improves the codes as they are.
        for iteration in 0..=search.n_iterations as u64 {
            self.before.copy_from_slice(codes);
            if iteration > 0 {
                shuffle(&mut self.order, search.seed, iteration);
                for (code, &hash) in codes.chunks_exact_mut(n_books).zip(&self.hashes) {
                    change(code, search.n_changes, operand.n_codewords, hash, iteration);
                }
            }
            self.pending[..n_rows].fill(all);
            self.passes(pairs, search.n_passes, codes, level);
            for (row, cost) in costs.iter_mut().enumerate() {
                let (code, before) = (row * n_books..(row + 1) * n_books, &mut self.before);
                if codes[code.clone()] == before[code.clone()] {
                    continue;
                }
                let changed = self.cost(operand, pairs, row, &codes[code.clone()], level);
                if changed < *cost {
                    *cost = changed;
                } else {
                    codes[code.clone()].copy_from_slice(&self.before[code]);
                }
            }
        }
        Ok(())
    }

    fn cost(&self, operand: &Operand, pairs: &Pairs<O>, row: usize, code: &[u8], level: Level) -> f32 {
        let (x, _) = self.x[row * operand.n_dims..][..operand.n_dims].as_chunks::<LANES>();
        let error = squared_error(level, x, operand.codewords_of(code));
        self.objective.cost(error, self.objective.product(pairs, code))
    }

    fn passes(&mut self, pairs: &Pairs<O>, n_passes: usize, codes: &mut [u8], level: Level) {
        for (product, code) in self.products.iter_mut().zip(codes.chunks_exact(pairs.n_books)) {
            *product = self.objective.product(pairs, code);
        }
        for _ in 0..n_passes {
            for index in 0..pairs.n_books {
                self.update(pairs, self.order[index], codes, level);
            }
        }
    }

    /// Gives the pending rows the best codeword of a codebook, given those of the others.
    fn update(&mut self, pairs: &Pairs<O>, book: usize, codes: &mut [u8], level: Level) {
        let (n_books, n_codewords, n_rows) = (pairs.n_books, pairs.n_codewords, codes.len() / pairs.n_books);
        self.rows.clear();
        for (row, pending) in self.pending[..n_rows].iter_mut().enumerate() {
            if *pending >> book & 1 == 1 {
                *pending &= !(1 << book);
                self.rows.push(row as u32);
                let code = &codes[row * n_books..][..n_books];
                self.best[row] = self.objective.start(pairs, book, code, self.products[row]);
            }
        }
        self.others.clear();
        let others = (0..n_books).filter(|other| *other != book).enumerate();
        self.others.extend(others.map(|(index, other)| (index * n_codewords, other)));
        let n_lines = n_codewords.div_ceil(O::ENTRIES_PER_LINE);
        for line in 0..n_lines {
            let candidates = Candidates {
                first: line * O::ENTRIES_PER_LINE,
                unaries: &self.unaries[(book * n_lines + line) * n_rows..][..n_rows],
                pairs: pairs.of(book, line),
                others: &self.others,
                codes,
                n_books,
                rows: &self.rows,
            };
            self.objective.improve(level, &candidates, &mut self.best);
        }
        for &row in &self.rows {
            let code = &mut codes[row as usize * n_books + book];
            let (codeword, product) = self.objective.found(self.best[row as usize]);
            if *code != codeword {
                *code = codeword;
                self.products[row as usize] = product;
                self.pending[row as usize] |= !(1 << book);
            }
        }
    }
}
