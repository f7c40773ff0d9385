//! Codes of sums of codewords.

use fastcodes_core::adc::{Codebooks, Vectors};
use fastcodes_core::additive::{self, Constraint, Search};
use fastcodes_core::{Level, Run};
use proptest::prelude::*;

use crate::{content, entry, fuzz};

#[test]
fn codes_of_all_levels_agree() {
    let shape = (0usize..40, 1usize..6, 1usize..140, 1usize..40);
    let case = (shape, 0u8..12, 1usize..6, 0usize..3, 0usize..7, any::<u32>(), 1usize..4);
    fuzz(case, |(shape, kind, n_paths, n_iterations, n_changes, seed, threads)| {
        let (n_rows, n_books, n_codewords, n_dims) = *shape;
        let floats = |len: usize, seed| -> Vec<f32> {
            let bytes = content(4 * len, 4, seed);
            bytes.as_chunks().0.iter().map(|bytes| entry(*kind, u32::from_ne_bytes(*bytes))).collect()
        };
        let x = floats(n_rows * n_dims, u64::from(*seed));
        let x = Vectors::new("x", &x, n_rows, n_dims).unwrap();
        let books = floats(n_books * n_codewords * n_dims, !u64::from(*seed));
        let books = Codebooks::new(&books, n_books, n_codewords, n_dims).unwrap();
        let search = Search {
            n_iterations: *n_iterations,
            n_passes: 2,
            n_changes: *n_changes,
            seed: u64::from(*seed),
        };
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let mut found = [(); 3].map(|()| (vec![0; n_rows * n_books], vec![0.0_f32; n_rows]));
            let [(codes, errors), (others, other_errors), (constrained, costs)] = &mut found;
            additive::beam(x, books, *n_paths, codes, errors, run).unwrap();
            additive::local_search(x, books, search, others, other_errors, run).unwrap();
            let constraint = Constraint { product: 3.0, penalty: 0.5 };
            additive::composite_search(x, books, constraint, search, constrained, costs, run).unwrap();
            found.map(|(codes, errors)| {
                (codes, errors.iter().map(|error| error.to_bits()).collect::<Vec<_>>())
            })
        };
        let expected = answers(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert!(answers(level, *threads) == expected, "{:?}", level);
        }
        Ok(())
    });
}
