//! The additive family: brute force over all codes, every level, every thread count, awkward shapes.
#![allow(missing_docs)]

mod common;

use common::Random;
use fastcodes_core::adc::{Codebooks, Vectors};
use fastcodes_core::additive::{self, Constraint, MAX_CODEBOOKS, Search};
use fastcodes_core::{At, Error, Level, Run};

struct Case {
    x: Vec<f32>,
    books: Vec<f32>,
    n_books: usize,
    n_codewords: usize,
    n_dims: usize,
}

const SEARCH: Search = Search { n_iterations: 3, n_passes: 2, n_changes: 2, seed: 7 };

impl Case {
    /// Sums of codewords, and noise.
    fn random(n_rows: usize, n_books: usize, n_codewords: usize, n_dims: usize) -> Case {
        let mut random = Random::new((n_rows + 100 * n_books + n_codewords) as u64);
        let books = random.floats(n_books * n_codewords * n_dims, -1.0..1.5);
        let mut x = random.floats(n_rows * n_dims, -0.3..0.3);
        for x in x.chunks_mut(n_dims) {
            for book in 0..n_books {
                let codeword = book * n_codewords + random.below(n_codewords);
                x.iter_mut().zip(&books[codeword * n_dims..]).for_each(|(x, value)| *x += value);
            }
        }
        Case { x, books, n_books, n_codewords, n_dims }
    }

    fn n_rows(&self) -> usize {
        self.x.len() / self.n_dims
    }

    fn x(&self) -> Vectors<'_> {
        Vectors::new("x", &self.x, self.n_rows(), self.n_dims).unwrap()
    }

    fn codebooks(&self) -> Codebooks<'_> {
        Codebooks::new(&self.books, self.n_books, self.n_codewords, self.n_dims).unwrap()
    }

    fn codeword(&self, book: usize, codeword: u8) -> &[f32] {
        &self.books[(book * self.n_codewords + codeword as usize) * self.n_dims..][..self.n_dims]
    }

    /// The squared error of a code and the penalty of its products, in float64.
    fn cost(&self, row: usize, code: &[u8], constraint: Constraint) -> f64 {
        let mut product = 0.0;
        for (book, &codeword) in code.iter().enumerate() {
            for (other, &other_codeword) in code.iter().enumerate().filter(|(other, _)| *other != book) {
                let pair = self.codeword(book, codeword).iter().zip(self.codeword(other, other_codeword));
                product += pair.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            }
        }
        let deviation = product - f64::from(constraint.product);
        self.error(row, code) + f64::from(constraint.penalty) * deviation * deviation
    }

    /// The squared error of a code, in float64.
    fn error(&self, row: usize, code: &[u8]) -> f64 {
        let x = &self.x[row * self.n_dims..][..self.n_dims];
        let rest = x.iter().enumerate().map(|(dim, x)| {
            let codewords = code.iter().enumerate();
            let sum: f64 = codewords.map(|(book, &code)| f64::from(self.codeword(book, code)[dim])).sum();
            f64::from(*x) - sum
        });
        rest.map(|rest| rest * rest).sum()
    }

    /// All codes that there are.
    fn all_codes(&self) -> impl Iterator<Item = Vec<u8>> {
        let (n_books, n_codewords) = (self.n_books as u32, self.n_codewords);
        (0..n_codewords.pow(n_books)).map(move |number| {
            (0..n_books).map(|book| (number / n_codewords.pow(book) % n_codewords) as u8).collect()
        })
    }

    fn beam(&self, n_paths: usize, run: &Run<'_>) -> (Vec<u8>, Vec<f32>) {
        let (mut codes, mut errors) = (vec![99; self.n_rows() * self.n_books], vec![f32::NAN; self.n_rows()]);
        additive::beam(self.x(), self.codebooks(), n_paths, &mut codes, &mut errors, run).unwrap();
        (codes, errors)
    }

    /// A search from the first codeword of each codebook on.
    fn search(&self, search: Search, run: &Run<'_>) -> (Vec<u8>, Vec<f32>) {
        self.search_from(&vec![0; self.n_rows() * self.n_books], search, run)
    }

    fn search_from(&self, codes: &[u8], search: Search, run: &Run<'_>) -> (Vec<u8>, Vec<f32>) {
        let (mut codes, mut errors) = (codes.to_vec(), vec![f32::NAN; self.n_rows()]);
        additive::local_search(self.x(), self.codebooks(), search, &mut codes, &mut errors, run).unwrap();
        (codes, errors)
    }

    fn composite(&self, constraint: Constraint, search: Search, run: &Run<'_>) -> (Vec<u8>, Vec<f32>) {
        let (mut codes, mut costs) = (vec![0; self.n_rows() * self.n_books], vec![f32::NAN; self.n_rows()]);
        let (x, books) = (self.x(), self.codebooks());
        additive::composite_search(x, books, constraint, search, &mut codes, &mut costs, run).unwrap();
        (codes, costs)
    }

    fn check_errors(&self, codes: &[u8], errors: &[f32]) {
        for (row, (code, error)) in codes.chunks(self.n_books).zip(errors).enumerate() {
            let exact = self.error(row, code);
            assert!((f64::from(*error) - exact).abs() <= 1e-5 * (1.0 + exact), "{error} {exact}");
        }
    }
}

const CONSTRAINT: Constraint = Constraint { product: 0.5, penalty: 0.2 };

const SHAPES: [(usize, usize, usize, usize); 9] = [
    (0, 2, 3, 4),
    (1, 1, 1, 1),
    (15, 2, 16, 15),
    (17, 3, 17, 17),
    (33, 8, 64, 16),
    (100, 4, 65, 33),
    (5, 2, 256, 31),
    (40, 5, 255, 2),
    (18, 64, 2, 3),
];

#[test]
fn all_levels_and_thread_counts_agree_and_errors_are_those_of_the_codes() {
    for (n_rows, n_books, n_codewords, n_dims) in SHAPES {
        let case = Case::random(n_rows, n_books, n_codewords, n_dims);
        let portable = &Run::serial(Level::PORTABLE);
        let beam = case.beam(3, portable);
        case.check_errors(&beam.0, &beam.1);
        let found = case.search(SEARCH, portable);
        case.check_errors(&found.0, &found.1);
        let resumed = case.search_from(&beam.0, SEARCH, portable);
        case.check_errors(&resumed.0, &resumed.1);
        assert!(resumed.1.iter().zip(&beam.1).all(|(after, before)| after <= before));
        let composite = case.composite(CONSTRAINT, SEARCH, portable);
        for (row, (code, cost)) in composite.0.chunks(n_books).zip(&composite.1).enumerate() {
            let exact = case.cost(row, code, CONSTRAINT);
            assert!((f64::from(*cost) - exact).abs() <= 1e-4 * (1.0 + exact), "{cost} {exact}");
        }
        for level in Level::available() {
            for threads in [1, 3] {
                let run = &Run::new(level, threads, &|| false);
                assert_eq!(case.composite(CONSTRAINT, SEARCH, run), composite, "{level:?}");
                assert_eq!(case.beam(3, run), beam, "{level:?}");
                assert_eq!(case.search(SEARCH, run), found, "{level:?}");
                assert_eq!(case.search_from(&beam.0, SEARCH, run), resumed);
            }
        }
    }
}

#[test]
fn a_search_over_all_paths_finds_the_best_code() {
    let run = &Run::serial(Level::best());
    for (n_books, n_codewords) in [(1, 40), (2, 9), (3, 5)] {
        let case = Case::random(20, n_books, n_codewords, 6);
        let long = Search { n_iterations: 60, n_passes: 4, n_changes: 2, ..SEARCH };
        let found = [case.beam(n_codewords.pow(n_books as u32 - 1), run), case.search(long, run)];
        for (codes, _) in found {
            for (row, code) in codes.chunks(n_books).enumerate() {
                let least = case.all_codes().map(|code| case.error(row, &code)).fold(f64::INFINITY, f64::min);
                let error = case.error(row, code);
                assert!(error <= least + 1e-3, "{n_books} x {n_codewords}: {error}, {least}");
            }
        }
        let (codes, _) = case.composite(CONSTRAINT, long, run);
        for (row, code) in codes.chunks(n_books).enumerate() {
            let costs = case.all_codes().map(|code| case.cost(row, &code, CONSTRAINT));
            let (cost, least) = (case.cost(row, code, CONSTRAINT), costs.fold(f64::INFINITY, f64::min));
            assert!(cost <= least + 1e-3, "{n_books} x {n_codewords}: {cost}, {least}");
        }
    }
}

#[test]
fn more_paths_and_iterations_help_and_a_row_does_not_depend_on_others() {
    let (case, run) = (Case::random(300, 6, 40, 20), &Run::serial(Level::best()));
    let mean = |errors: &[f32]| errors.iter().map(|error| f64::from(*error)).sum::<f64>();
    let beams = [1, 4, 16].map(|n_paths| mean(&case.beam(n_paths, run).1));
    assert!(beams[0] > beams[1] && beams[1] > beams[2], "{beams:?}");
    let found = [0, 1, 8].map(|n_iterations| case.search(Search { n_iterations, ..SEARCH }, run));
    for pair in found.windows(2) {
        assert!(pair[1].1.iter().zip(&pair[0].1).all(|(after, before)| after <= before));
        assert!(mean(&pair[1].1) < mean(&pair[0].1));
    }
    let (beam, search) = (case.beam(4, run), case.search(SEARCH, run));
    for row in [0, 1, 150, 299] {
        let part = Case { x: case.x[row * 20..][..20].to_vec(), books: case.books.clone(), ..case };
        assert_eq!(part.beam(4, run).0, beam.0[row * 6..][..6]);
        assert_eq!(part.search(SEARCH, run).0, search.0[row * 6..][..6]);
    }
}

#[test]
fn values_that_overflow_give_codes() {
    let mut case = Case::random(20, 3, 70, 5);
    case.x[7] = 3e38;
    case.books.iter_mut().for_each(|value| *value *= 1e25);
    for level in Level::available() {
        let run = &Run::serial(level);
        let composite = case.composite(CONSTRAINT, SEARCH, run).0;
        for codes in [case.beam(2, run).0, case.search(SEARCH, run).0, composite] {
            assert!(codes.iter().all(|code| *code < 70));
        }
    }
}

#[test]
fn wrong_arguments() {
    let (case, run) = (Case::random(4, 2, 3, 5), &Run::serial(Level::PORTABLE));
    let (mut codes, mut errors) = (vec![0; 8], vec![0.0; 4]);
    let mut beam = |x, codebooks, n_paths, n_codes: usize, n_errors: usize| {
        additive::beam(x, codebooks, n_paths, &mut codes[..n_codes], &mut errors[..n_errors], run)
            .unwrap_err()
    };
    let short = Vectors::new("x", &case.x, 5, 4).unwrap();
    assert!(matches!(beam(short, case.codebooks(), 1, 8, 4), Error::Mismatch { unit: "dimensions", .. }));
    assert!(matches!(beam(case.x(), case.codebooks(), 0, 8, 4), Error::Range { name: "n_paths", .. }));
    assert!(matches!(beam(case.x(), case.codebooks(), 1, 7, 4), Error::Length { name: "codes", .. }));
    assert!(matches!(beam(case.x(), case.codebooks(), 1, 8, 3), Error::Length { name: "errors", .. }));
    let many = vec![0.0; (MAX_CODEBOOKS + 1) * 5];
    let many = Codebooks::new(&many, MAX_CODEBOOKS + 1, 1, 5).unwrap();
    assert!(matches!(beam(case.x(), many, 1, 8, 4), Error::Range { name: "codebooks", .. }));
    let mut x = case.x.clone();
    x[13] = f32::NAN;
    let x = Vectors::new("x", &x, 4, 5).unwrap();
    assert!(matches!(beam(x, case.codebooks(), 1, 8, 4), Error::Value { at: At::Cell(2, 3), .. }));
    codes[5] = 3;
    let (x, books) = (case.x(), case.codebooks());
    for result in [
        additive::local_search(x, books, SEARCH, &mut codes, &mut errors, run),
        additive::composite_search(x, books, CONSTRAINT, SEARCH, &mut codes, &mut errors, run),
    ] {
        assert!(matches!(result, Err(Error::Value { name: "codes", at: At::Cell(2, 1), .. })), "{result:?}");
    }
}
