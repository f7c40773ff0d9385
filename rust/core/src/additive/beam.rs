//! Beam search: one codebook after the other, with the best few partial sums.
//!
//! The error of a partial sum, without `|x|^2`, grows by the unary entry of the next codeword and its pairwise entries with
//! those before. So extending a path by any of K codewords takes a sum of rows of tables, not a residual vector.

use super::operand::{Operand, check, copy_padded};
use super::{LANES, ROWS_PER_GROUP, add, squared_error};
use crate::adc::{Codebooks, Vectors};
use crate::error::{try_resize, try_vec};
use crate::{Error, Level, Run};

/// The largest number of paths.
const MAX_PATHS: usize = 4096;

/// Pairwise entries of all codebooks with the ones before: `[book][other][codeword of other][codeword of book / 16]`.
struct Pairs {
    entries: Vec<[f32; LANES]>,
    n_codewords: usize,
    n_panels: usize,
}

impl Pairs {
    fn new(operand: &Operand, run: &Run<'_>) -> Result<Self, Error> {
        let (n_books, n_codewords) = (operand.n_books, operand.n_codewords);
        let n_panels = operand.width() / LANES;
        let len = n_codewords * n_panels;
        let mut entries = try_vec([0.0; LANES], n_books * (n_books - 1) / 2 * len)?;
        let of_books = (1..n_books).flat_map(|book| (0..book).map(move |other| (book, other)));
        let parts = entries.chunks_exact_mut(len).zip(of_books);
        let level = run.level();
        let words = len * operand.n_dims * n_books * n_books / 4;
        run.for_words(words).for_each_part(
            parts,
            || Ok(()),
            |(), _, (entries, (book, other))| {
                operand.pairs(level, book, other, |codeword, row| {
                    entries[codeword * n_panels..][..n_panels].as_flattened_mut().copy_from_slice(row);
                })
            },
        )?;
        Ok(Pairs { entries, n_codewords, n_panels })
    }

    fn of(&self, book: usize, other: usize, codeword: usize) -> &[[f32; LANES]] {
        let row = (book * (book - 1) / 2 + other) * self.n_codewords + codeword;
        &self.entries[row * self.n_panels..][..self.n_panels]
    }
}

/// The best partial sums, sorted by (error, previous path, codeword).
#[derive(Default)]
struct Paths {
    errors: Vec<f32>,
    /// The codes of each path, `n_books` apart.
    codes: Vec<u8>,
}

/// The buffers of a worker.
#[derive(Default)]
struct Buffers {
    group: Vec<f32>,
    unaries: Vec<f32>,
    sums: Vec<[f32; LANES]>,
    /// Error, previous path and codeword of the best extensions so far.
    best: Vec<(f32, u32, u32)>,
    paths: Paths,
    next: Paths,
}

/// Writes the code of each vector that a beam search finds, and its squared error. The search keeps the `n_paths` best partial sums
/// after each codebook; equal errors go to the earlier path, then to the lower codeword.
///
/// # Errors
/// [`Error::Mismatch`] if vectors and codebooks differ in dimensions, [`Error::Range`] without paths or with too many of them or of
/// the codebooks, [`Error::Value`] if a vector is not finite, [`Error::Length`] if `codes` does not have an element
/// per vector and codebook or `errors` one per vector, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn beam(
    x: Vectors<'_>,
    codebooks: Codebooks<'_>,
    n_paths: usize,
    codes: &mut [u8],
    errors: &mut [f32],
    run: &Run<'_>,
) -> Result<(), Error> {
    check(x, codebooks, codes, errors)?;
    if !(1..=MAX_PATHS).contains(&n_paths) {
        return Err(Error::Range { name: "n_paths", unit: "", given: n_paths, low: 1, high: MAX_PATHS });
    }
    let operand = Operand::new(codebooks)?;
    let pairs = Pairs::new(&operand, run)?;
    let n_books = operand.n_books;
    let parts = codes.chunks_mut(ROWS_PER_GROUP * n_books).zip(errors.chunks_mut(ROWS_PER_GROUP));
    let words = x.n_rows().saturating_mul(n_books * operand.n_codewords * operand.n_dims) / 8;
    let level = run.level();
    let new_buffers = || Ok(Buffers::default());
    run.for_words(words).for_each_part(parts, new_buffers, |buffers, task, (codes, errors)| {
        let first = task * ROWS_PER_GROUP;
        x.check_finite(first..first + errors.len())?;
        let (n_dims, width) = (operand.n_dims, operand.width());
        try_resize(&mut buffers.group, ROWS_PER_GROUP * n_dims, 0.0)?;
        for (row, padded) in buffers.group.chunks_exact_mut(n_dims).take(errors.len()).enumerate() {
            copy_padded(x.part(first + row, 0, x.n_dims()), padded);
        }

        try_resize(&mut buffers.unaries, n_books * ROWS_PER_GROUP * width, 0.0)?;
        for (book, unaries) in buffers.unaries.chunks_exact_mut(ROWS_PER_GROUP * width).enumerate() {
            operand.unaries(level, &buffers.group, book, unaries);
        }
        for (row, (code, error)) in codes.chunks_exact_mut(n_books).zip(errors).enumerate() {
            search(&operand, &pairs, n_paths, row, buffers, level)?;
            code.copy_from_slice(&buffers.paths.codes[..n_books]);
            let (x, _) = buffers.group[row * n_dims..][..n_dims].as_chunks();
            *error = squared_error(level, x, operand.codewords_of(code));
        }
        Ok(())
    })?;
    Ok(())
}

/// Finds the best paths of a row of the group.
fn search(
    operand: &Operand,
    pairs: &Pairs,
    n_paths: usize,
    row: usize,
    buffers: &mut Buffers,
    level: Level,
) -> Result<(), Error> {
    let (n_books, width) = (operand.n_books, operand.width());
    let Buffers { unaries, sums, best, paths, next, .. } = buffers;
    try_resize(sums, width / LANES, [0.0; LANES])?;
    best.try_reserve(n_paths + 1)?;
    for paths in [&mut *paths, &mut *next] {
        try_resize(&mut paths.codes, n_paths * n_books, 0)?;
        paths.errors.clear();
        paths.errors.try_reserve(n_paths)?;
    }
    paths.errors.push(0.0);
    for book in 0..n_books {
        let (unaries, _) = unaries[(book * ROWS_PER_GROUP + row) * width..][..width].as_chunks();
        best.clear();
        for (path, error) in paths.errors.iter().enumerate() {
            sums.copy_from_slice(unaries);
            let code = &paths.codes[path * n_books..][..n_books];
            for (other, &codeword) in code[..book].iter().enumerate() {
                add(level, sums, pairs.of(book, other, codeword as usize));
            }
            for (panel, sums) in sums.iter().enumerate() {
                let limit = if best.len() < n_paths { f32::INFINITY } else { best[n_paths - 1].0 };
                // Most panels have nothing below the limit.
                let least =
                    sums.iter().fold(f32::INFINITY, |least, sum| if *sum < least { *sum } else { least });
                if error + least < limit {
                    keep_best(best, n_paths, error, path, panel, sums);
                }
            }
        }
        if best.is_empty() {
            best.push((f32::INFINITY, 0, 0)); // values so large that all errors overflow
        }
        next.errors.clear();
        for (slot, &(error, path, codeword)) in best.iter().enumerate() {
            next.errors.push(error);
            let (before, after) = (path as usize * n_books, slot * n_books);
            next.codes[after..after + book].copy_from_slice(&paths.codes[before..before + book]);
            next.codes[after + book] = codeword as u8;
        }
        std::mem::swap(paths, next);
    }
    Ok(())
}

/// Inserts the codewords of a panel into the sorted list of the best extensions.
fn keep_best(
    best: &mut Vec<(f32, u32, u32)>,
    n_paths: usize,
    error: &f32,
    path: usize,
    panel: usize,
    sums: &[f32; LANES],
) {
    for (lane, sum) in sums.iter().enumerate() {
        let error = error + sum;
        let limit = if best.len() < n_paths { f32::INFINITY } else { best[n_paths - 1].0 };
        if error < limit {
            best.truncate(n_paths - 1);
            let place = best.partition_point(|(other, ..)| *other <= error);
            best.insert(place, (error, path as u32, (panel * LANES + lane) as u32));
        }
    }
}
